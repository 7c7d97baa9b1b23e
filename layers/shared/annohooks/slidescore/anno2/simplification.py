"""Ramer-Douglas-Peucker over many outlines at once."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.outlines import BoolArray, FloatArray, IntArray

BLOCK_VERTICES = 1 << 14
"""Vertices worked on together, or one outline if it has more. Bounds the memory beyond the input and the result."""


def simplify(xy: IntArray, offsets: NDArray[np.int64], tolerance_px: float) -> tuple[IntArray, NDArray[np.int64]]:
    """Outlines with only the vertices Ramer-Douglas-Peucker keeps; if those are two in one place, one of them.

    xy: int32 [N, 2], pixels. offsets: int64 [M + 1]; outline m is xy[offsets[m]:offsets[m + 1]], at least one vertex.
    Returns both, of the simplified outlines.
    """
    keep = kept_vertices(xy, offsets, tolerance_px)
    left = np.add.reduceat(keep, offsets[:-1], dtype=np.int64)
    first, last = offsets[:-1], offsets[1:] - 1
    one_place = (left == 2) & (xy[first] == xy[last]).all(axis=1)
    keep[last[one_place]] = False
    left[one_place] = 1
    return xy[keep], np.concatenate(([0], np.cumsum(left)))


def kept_vertices(xy: IntArray, offsets: NDArray[np.int64], tolerance_px: float) -> BoolArray:
    """Vertices that Ramer-Douglas-Peucker keeps, bool [N], with xy and offsets as for `simplify`.

    An outline is an open chain whose first and last vertex are always kept. Distance is to the segment, squared; a
    chain is split at its farthest vertex (the first of several) if that is strictly farther than the tolerance. Each
    step is rounded as in Slide Score's own encoder, so that ties fall as they do there; products are exact in float64
    for outlines that span less than 2 ** 26 px.
    Source: Ramer 1972; Douglas and Peucker 1973.
    """
    keep = np.zeros(len(xy), np.bool_)
    keep[offsets[:-1]] = True
    keep[offsets[1:] - 1] = True
    bounds = np.unique(np.append(np.searchsorted(offsets, np.arange(0, len(xy), BLOCK_VERTICES)), len(offsets) - 1))
    for begin, end in pairwise(bounds):
        _keep_in_block(xy, offsets[begin : end + 1], tolerance_px * tolerance_px, keep)
    return keep


def _keep_in_block(xy: IntArray, offsets: NDArray[np.int64], tolerance_px2: float, keep: BoolArray) -> None:
    """Marks in keep what the outlines of one block keep, all their segments split together, level by level."""
    base = offsets[0]
    x, y = xy[base : offsets[-1]].T.astype(np.float64, order="C")
    first, last = offsets[:-1] - base, offsets[1:] - base - 1
    while True:
        inner = last - first > 1
        first, last = first[inner], last[inner]
        if not first.size:
            return
        split, farthest = _splits(x, y, first, last, tolerance_px2)
        keep[farthest + base] = True
        first = np.concatenate((first[split], farthest))
        last = np.concatenate((farthest, last[split]))


def _splits(
    x: FloatArray, y: FloatArray, first: NDArray[np.int64], last: NDArray[np.int64], tolerance_px2: float
) -> tuple[BoolArray, NDArray[np.int64]]:
    """Which segments have a vertex too far from them, bool [S], and the farthest vertex of each of those.

    first, last: int64 [S], at least one vertex in between.
    """
    between = last - first - 1
    starts = np.cumsum(between) - between
    vertex = np.arange(starts[-1] + between[-1]) + np.repeat(first + 1 - starts, between)
    from_x, from_y = x[first], y[first]
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
    split = peak > tolerance_px2
    at_peak = np.flatnonzero(distance2 == np.repeat(np.where(split, peak, np.inf), between))
    return split, vertex[at_peak[np.searchsorted(at_peak, starts[split])]]
