"""Ramer-Douglas-Peucker over many outlines at once, for several tolerances in one go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.outlines import BoolArray, FloatArray, IntArray
from annohooks.slidescore.anno2.tiles import changes, ranges

BLOCK_VERTICES = 24_000
"""Vertices worked on together, or one outline if it has more. Bounds the memory beyond the input and the result.

Arrays of this many float64 stay in the second-level cache. Larger ones cost more in a young process, where the C
library gives each of them back to the system.
"""
DISTANCES_A_VERTEX = 64
"""That a block may evaluate for each of its vertices. Outlines of nature take about log2 of their vertices."""
DISTANCES_TO_SPARE = 1 << 26
"""That one call may evaluate beyond that."""


def simplify(xy: IntArray, offsets: NDArray[np.int64], tolerance_px: float) -> tuple[IntArray, NDArray[np.int64]]:
    """Outlines with only the vertices Ramer-Douglas-Peucker keeps at a tolerance: their xy and offsets.

    xy, offsets: as for `simplified`, which says the rest; M may be 0.
    """
    blocks = [left for (left,) in simplified(xy, offsets, (tolerance_px,))]
    counts = np.concatenate([[0], *(np.diff(ends) for _, ends in blocks)])
    return np.concatenate([xy[:0], *(left for left, _ in blocks)]), np.cumsum(counts)


def simplified(
    xy: IntArray, offsets: NDArray[np.int64], tolerances_px: Sequence[float]
) -> Iterator[list[tuple[IntArray, NDArray[np.int64]]]]:
    """Outlines with only the vertices Ramer-Douglas-Peucker keeps, block after block of outlines.

    xy: int32 [N, 2], pixels. offsets: int64 [M + 1]; outline m is xy[offsets[m]:offsets[m + 1]], at least one vertex.
    tolerances_px: ascending. Yields, for each tolerance, the vertices left, int32 [n, 2], and their own offsets, from 0
    on, int64 [m + 1]. It is the same whether a tolerance is applied to the outline given or to what the one before it
    has left: the vertex at which a chain is split is kept, so the next tolerance finds it again, and splits likewise
    until it stops.

    An outline is an open chain whose first and last vertex are always kept, but one of them if nothing else is and both
    are in one place. Distance is to the segment, squared; a chain is split at its farthest vertex (the first of
    several) if that is strictly farther than the tolerance. Each step is rounded as in Slide Score's own encoder, so
    that ties fall as they do there; products are exact in float64 for outlines that span less than 2 ** 26 px.

    An outline may be such that each split takes off one vertex, as a comb's; its distances go with the square of its
    vertices. The work is therefore bounded: a block of outlines may evaluate DISTANCES_A_VERTEX distances for each of
    its vertices, and what is left of DISTANCES_TO_SPARE of all blocks. After that every vertex between the splits made
    so far is kept: the outline is drawn in full, nothing is lost. One comb of up to 11,000 vertices is exact.
    Source: Ramer 1972; Douglas and Peucker 1973.
    """
    limits = np.square(tolerances_px)
    spare = DISTANCES_TO_SPARE
    bounds = np.unique(np.append(np.searchsorted(offsets, np.arange(0, len(xy), BLOCK_VERTICES)), len(offsets) - 1))
    for begin, end in pairwise(bounds):
        block, ends = xy[offsets[begin] : offsets[end]], offsets[begin : end + 1] - offsets[begin]
        rank, allowance = _ranks(block, ends, limits, DISTANCES_A_VERTEX * len(block) + spare)
        spare = min(spare, allowance)
        yield [_kept(block, ends, rank > nth) for nth in range(len(limits))]


def _kept(xy: IntArray, offsets: NDArray[np.int64], keep: BoolArray) -> tuple[IntArray, NDArray[np.int64]]:
    """The vertices to keep, bool [N], the ends of each outline among them, and their offsets."""
    counts = np.add.reduceat(keep, offsets[:-1], dtype=np.int64)
    first, last = offsets[:-1], offsets[1:] - 1
    one_place = (counts == 2) & (xy[first] == xy[last]).all(axis=1)
    keep[last[one_place]] = False
    counts[one_place] = 1
    return xy.compress(keep, axis=0), np.concatenate(([0], np.cumsum(counts)))


def _ranks(
    xy: IntArray, offsets: NDArray[np.int64], limits: FloatArray, allowance: int
) -> tuple[NDArray[np.uint8], int]:
    """At how many of the tolerances, the first ones, each vertex is kept, all segments split together, level by level.

    limits: squared tolerances, ascending. allowance: distances it may evaluate; what is left of them is returned, too.
    """
    rank = np.zeros(len(xy), np.uint8)
    rank[offsets[:-1]] = rank[offsets[1:] - 1] = len(limits)
    x, y = xy.T.astype(np.float64, order="C")
    first, last = offsets[:-1], offsets[1:] - 1
    of = np.full(len(first), len(limits), np.uint8)
    buffers = np.empty((0, 0))
    while True:
        inner = last - first > 1
        first, last, of = first[inner], last[inner], of[inner]
        if not first.size:
            return rank, allowance
        between = last - first - 1
        distances = int(between.sum())
        if distances > allowance:
            owner, vertex = ranges(first + 1, between)
            rank[vertex] = of[owner]
            return rank, 0
        allowance -= distances
        if len(first) < 10 + distances // 500:  # few or long: quicker one at a time
            if not buffers.size:
                buffers = np.empty((3, distances))
            found = [_farthest(x, y, a, b, buffers) for a, b in zip(first.tolist(), last.tolist(), strict=True)]
            farthest, peak = np.array([at for at, _ in found]), np.array([distance2 for _, distance2 in found])
        else:
            farthest, peak = _farthest_of_each(x, y, first, between)
        of = np.minimum(of, np.searchsorted(limits, peak))
        split = of > 0
        first, last, of, farthest = first[split], last[split], of[split], farthest[split]
        rank[farthest] = of
        first, last, of = (np.concatenate(pair) for pair in ((first, farthest), (farthest, last), (of, of)))


def _farthest(x: FloatArray, y: FloatArray, first: int, last: int, buffers: FloatArray) -> tuple[int, float]:
    """The vertex between first and last that is farthest from the segment between them, and its distance squared."""
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


def _farthest_of_each(
    x: FloatArray, y: FloatArray, first: NDArray[np.int64], between: NDArray[np.int64]
) -> tuple[NDArray[np.int64], FloatArray]:
    """As `_farthest`, of S segments at once. first: [S]. between: how many vertices lie between its ends, [S]."""
    starts = np.cumsum(between) - between
    vertex = np.arange(starts[-1] + between[-1]) + np.repeat(first + 1 - starts, between)
    from_x, from_y = x[first], y[first]
    last = first + between + 1
    dx, dy = x[last] - from_x, y[last] - from_y
    length2 = dx * dx + dy * dy
    length2[length2 == 0.0] = 1.0  # both ends in one place: t is 0 whatever it is divided by
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
    if len(at_peak) > len(first):  # ties somewhere
        at_peak = at_peak[changes(np.repeat(np.arange(len(first)), between)[at_peak])]
    return vertex[at_peak], peak
