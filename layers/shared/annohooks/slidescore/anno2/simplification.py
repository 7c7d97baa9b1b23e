"""Ramer-Douglas-Peucker on many outlines at once, with several tolerances in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.outlines import BoolArray, FloatArray, IntArray
from annohooks.slidescore.anno2.tiles import changes, ranges

BLOCK_VERTICES = 24_000
"""Vertices that are processed together, or one outline if it has more. Limits the memory besides input and result.

Arrays of this many float64 fit into the second-level cache. Larger ones cost more in a new process, because the C
library returns the memory of each of them to the system.
"""
DISTANCES_PER_VERTEX = 64
"""Limit of distances that a block evaluates per vertex. Natural outlines need about log2 of their vertices."""
SPARE_DISTANCES = 1 << 26
"""Distances that one call may evaluate beyond this limit."""


def simplify(xy: IntArray, offsets: NDArray[np.int64], tolerance_px: float) -> tuple[IntArray, NDArray[np.int64]]:
    """The xy and offsets of outlines with only the vertices that Ramer-Douglas-Peucker keeps at a tolerance.

    xy, offsets: as for `simplified`; M may be 0.
    """
    blocks = [block for (block,) in simplified(xy, offsets, (tolerance_px,))]
    counts = np.concatenate([[0], *(np.diff(block_offsets) for _, block_offsets in blocks)])
    return np.concatenate([xy[:0], *(block_xy for block_xy, _ in blocks)]), np.cumsum(counts)


def simplified(
    xy: IntArray, offsets: NDArray[np.int64], tolerances_px: Sequence[float]
) -> Iterator[list[tuple[IntArray, NDArray[np.int64]]]]:
    """Outlines with only the vertices that Ramer-Douglas-Peucker keeps, in blocks of outlines.

    xy: int32 [N, 2], pixels. offsets: int64 [M + 1]; outline m is xy[offsets[m]:offsets[m + 1]], at least one vertex.
    tolerances_px: ascending. Yields, for each tolerance, the vertices of a block, int32 [n, 2], and their offsets,
    int64 [m + 1], from 0. A tolerance gives the same result on the original outline and on the result of the
    tolerance before it: the vertex at which a chain is split is kept, so the larger tolerance splits there as well.

    An outline is an open chain. Its first and last vertex are kept, or only the first one if no other vertex is kept
    and both are at one place. A chain is split at the vertex farthest from the segment between its ends (the first of
    several) if that is strictly farther than the tolerance. Distances are squared. Each step is rounded as in Slide
    Score's own encoder, so that ties have the same result. Products are exact in float64 for outlines that span less
    than 2 ** 26 px.

    In some outlines, such as combs, each split removes only one vertex, so the number of distances is quadratic. The
    work is therefore limited: a block of outlines may evaluate DISTANCES_PER_VERTEX distances per vertex, and all
    blocks together SPARE_DISTANCES more. Beyond the limit, all vertices of the unfinished chains are kept: the outline
    has more vertices than necessary, but no wrong ones. One comb of up to 11,000 vertices is exact.
    Source: Ramer 1972; Douglas and Peucker 1973.
    """
    limits = np.square(tolerances_px)
    spare = SPARE_DISTANCES
    bounds = np.unique(np.append(np.searchsorted(offsets, np.arange(0, len(xy), BLOCK_VERTICES)), len(offsets) - 1))
    for begin, end in pairwise(bounds):
        block, ends = xy[offsets[begin] : offsets[end]], offsets[begin : end + 1] - offsets[begin]
        rank, allowance = _ranks(block, ends, limits, DISTANCES_PER_VERTEX * len(block) + spare)
        spare = min(spare, allowance)
        yield [_selected(block, ends, rank > number) for number in range(len(limits))]


def _selected(xy: IntArray, offsets: NDArray[np.int64], keep: BoolArray) -> tuple[IntArray, NDArray[np.int64]]:
    """The vertices to keep, and their offsets. keep: bool [N], with both ends of each outline."""
    counts = np.add.reduceat(keep, offsets[:-1], dtype=np.int64)
    first, last = offsets[:-1], offsets[1:] - 1
    is_one_place = (counts == 2) & (xy[first] == xy[last]).all(axis=1)
    keep[last[is_one_place]] = False
    counts[is_one_place] = 1
    return xy.compress(keep, axis=0), np.concatenate(([0], np.cumsum(counts)))


def _ranks(
    xy: IntArray, offsets: NDArray[np.int64], limits: FloatArray, allowance: int
) -> tuple[NDArray[np.uint8], int]:
    """The rank of each vertex, uint8 [N], and the rest of the allowance.

    A rank is the number of tolerances, from the smallest, at which the vertex is kept. All chains are split together,
    level by level. limits: squared tolerances, ascending. allowance: the number of
    distances that may be evaluated.
    """
    rank = np.zeros(len(xy), np.uint8)
    rank[offsets[:-1]] = rank[offsets[1:] - 1] = len(limits)
    x, y = xy.T.astype(np.float64, order="C")
    first, last = offsets[:-1], offsets[1:] - 1
    chain_rank = np.full(len(first), len(limits), np.uint8)
    buffers = np.empty((0, 0))
    while True:
        inner = last - first > 1
        first, last, chain_rank = first[inner], last[inner], chain_rank[inner]
        if not first.size:
            return rank, allowance
        between = last - first - 1
        distances = int(between.sum())
        if distances > allowance:
            owner, vertex = ranges(first + 1, between)
            rank[vertex] = chain_rank[owner]
            return rank, 0
        allowance -= distances
        if len(first) < 10 + distances // 500:  # few or long chains: faster one at a time
            if not buffers.size:
                buffers = np.empty((3, distances))
            peaks = [_farthest(x, y, a, b, buffers) for a, b in zip(first.tolist(), last.tolist(), strict=True)]
            farthest, peak = np.array([vertex for vertex, _ in peaks]), np.array([distance2 for _, distance2 in peaks])
        else:
            farthest, peak = _farthest_per_chain(x, y, first, between)
        chain_rank = np.minimum(chain_rank, np.searchsorted(limits, peak))
        split = chain_rank > 0
        first, last, chain_rank, farthest = first[split], last[split], chain_rank[split], farthest[split]
        rank[farthest] = chain_rank
        first, last = np.concatenate((first, farthest)), np.concatenate((farthest, last))
        chain_rank = np.concatenate((chain_rank, chain_rank))


def _farthest(x: FloatArray, y: FloatArray, first: int, last: int, buffers: FloatArray) -> tuple[int, float]:
    """The vertex farthest from the segment between the vertices first and last, and its squared distance."""
    px, py = x[first + 1 : last], y[first + 1 : last]
    t, near, distance2 = buffers[:, : len(px)]
    from_x, from_y = x[first], y[first]
    dx, dy = x[last] - from_x, y[last] - from_y
    np.subtract(px, from_x, out=t)
    np.multiply(t, dx, out=t)
    np.subtract(py, from_y, out=near)
    np.multiply(near, dy, out=near)
    np.add(t, near, out=t)
    np.divide(t, dx * dx + dy * dy or 1.0, out=t)
    np.maximum(t, 0.0, out=t)
    np.minimum(t, 1.0, out=t)
    np.multiply(t, dx, out=near)
    np.add(near, from_x, out=near)
    np.subtract(px, near, out=near)
    np.multiply(near, near, out=distance2)
    np.multiply(t, dy, out=near)
    np.add(near, from_y, out=near)
    np.subtract(py, near, out=near)
    np.multiply(near, near, out=near)
    np.add(distance2, near, out=distance2)
    at = int(distance2.argmax())
    return first + 1 + at, float(distance2[at])


def _farthest_per_chain(
    x: FloatArray, y: FloatArray, first: NDArray[np.int64], between: NDArray[np.int64]
) -> tuple[NDArray[np.int64], FloatArray]:
    """As `_farthest`, for S chains at once. first: [S]. between: the number of vertices between the ends, [S]."""
    starts = np.cumsum(between) - between
    vertex = np.arange(starts[-1] + between[-1]) + np.repeat(first + 1 - starts, between)
    from_x, from_y = x[first], y[first]
    last = first + between + 1
    dx, dy = x[last] - from_x, y[last] - from_y
    length2 = dx * dx + dy * dy
    length2[length2 == 0.0] = 1.0  # both ends are at one place: t is 0 for any divisor
    from_x, from_y, dx, dy = (np.repeat(values, between) for values in (from_x, from_y, dx, dy))
    px, py = x[vertex], y[vertex]
    t = (px - from_x) * dx
    t += (py - from_y) * dy
    t /= np.repeat(length2, between)
    np.clip(t, 0.0, 1.0, out=t)
    px -= from_x + dx * t
    py -= from_y + dy * t
    distance2 = px * px + py * py
    peak = np.maximum.reduceat(distance2, starts)
    at_peak = np.flatnonzero(distance2 == np.repeat(peak, between))
    if len(at_peak) > len(first):  # there are ties
        at_peak = at_peak[changes(np.repeat(np.arange(len(first)), between)[at_peak])]
    return vertex[at_peak], peak
