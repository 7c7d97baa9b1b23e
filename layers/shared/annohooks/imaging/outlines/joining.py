"""Rings that the borders between parts of a picture cut, joined to the rings of the picture in one piece."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.outlines import BoolArray, IntArray, Outlines, following

Indices = NDArray[np.int64]
Codes = NDArray[np.int8]

# An outer ring as OpenCV follows it has its object on the left, y pointing down. The sides of a pixel it passes are
# numbered in the order it passes them, W 0, S 1, E 2, N 3, and so are the moves to the next pixel, S 0, SE 1 to SW 7.
_MOVE = np.array([5, 4, 3, 6, -1, 2, 7, 0, 1], np.int8)  # by sign of dy, then of dx; none is -1
_S, _N = 1, 3
_SIDE_STARTS_X = np.array([0, 0, 1, 1], np.int32)  # corners of a pixel, and where a side starts the one before ends
_SIDE_STARTS_Y = np.array([0, 1, 1, 0], np.int32)


class _Steps(NamedTuple):
    """What rings pass, in their order: sides of pixels at a line between parts, and strings of vertices elsewhere.

    ring: int64 [n]. first, length: int64 [n], vertices of a string, or a side's pixel, in some array of them.
    side: int8 [n], -1 for a string.
    """

    ring: Indices
    first: Indices
    length: Indices
    side: Codes

    def taken(self, which: Indices | BoolArray) -> _Steps:
        return _Steps(self.ring[which], self.first[which], self.length[which], self.side[which])


def joined(cut: Outlines, lines: IntArray) -> tuple[Outlines, IntArray]:
    """The rings that the objects have whose parts' outer rings are given.

    cut: outer rings as cv2.findContours traces them in each part alone (8-connected, CHAIN_APPROX_SIMPLE), in pixel
    indices of the picture; of each object all parts. lines: int32 [M, 4], where the part of ring m meets others: its
    first column, the row below its last, the column right of its last, its first row; -1 at the picture's edge.
    Returns the outer ring of each object and the holes that no part has alone, with the vertices that findContours
    traces in the picture in one piece, in the same order from the same start; and for each ring given the number of
    the outer ring it is now part of, int32 [M].

    Rings are followed between pixels, along their sides. A side that two parts share is none of the object's, and
    where rings end at a corner on a line, they go on with what starts there. Where two and two meet at a corner, which
    four pixels touch like a checkerboard's, they turn right, as objects are 8-connected.
    """
    number = len(cut)
    xy, steps = _passed(cut, lines)
    del cut  # it may be what takes most of the memory
    inner, shared = _shared(xy, steps, lines)
    steps, together = steps.taken(~inner), steps.ring[shared]
    ends, starts = _links(xy, steps, lines)
    object_of = _connected(number, np.concatenate([together, np.stack([steps.ring[ends], steps.ring[starts]], 1)]))
    after = np.arange(1, len(steps.ring) + 1)
    last = np.flatnonzero(np.diff(steps.ring, append=-1))
    after[last] = np.append(0, last[:-1] + 1)
    after[ends] = starts
    order, cycles = _followed(after)
    belongs = object_of[steps.ring[order[cycles[:-1]]]]
    steps = steps.taken(order)
    offsets = np.append(0, np.cumsum(steps.length))[cycles]
    xy = _gathered(xy, steps.first, steps.length)
    xy, offsets, is_outer = _traced(xy, offsets)
    outer_of = np.full(number, -1, np.int32)
    outer_of[belongs[is_outer]] = np.flatnonzero(is_outer)
    parent = np.where(is_outer, np.int32(-1), outer_of[belongs])
    return Outlines(xy, offsets, parent), outer_of[object_of]


def _passed(cut: Outlines, lines: IntArray) -> tuple[IntArray, _Steps]:
    """The steps of the rings, and the vertices [n, 2] that they number: of the rings, and the pixels at lines."""
    at_line = np.zeros(len(cut.xy), np.bool_)
    for number, place in enumerate(_places(cut.xy)):
        at_line |= place == np.repeat(lines[:, number], cut.counts)
    vertex = np.flatnonzero(at_line)
    ring = np.searchsorted(cut.offsets, vertex, side="right") - 1
    first, end = cut.offsets[ring], cut.offsets[ring + 1]
    here = cut.xy[vertex]
    after = cut.xy[np.where(vertex + 1 < end, vertex + 1, first)]
    before = cut.xy[np.where(vertex > first, vertex, end) - 1]
    along = np.zeros(len(vertex), np.bool_)
    for number, (place, next_place) in enumerate(zip(_places(here), _places(after), strict=True)):
        line = lines[ring, number]
        along |= (place == line) & (next_place == line)
    step = after - here
    goes, came = _moves(step), _moves(here - before)
    pixel, nth = _repeated(np.where(along, np.maximum(np.abs(step).max(axis=1), 1), 1))
    pixels = here[pixel] + np.sign(step)[pixel] * nth[:, None].astype(np.int32)
    first_side, sides = _sides(np.where(nth > 0, goes[pixel], came[pixel]), goes[pixel])
    side, nth = _repeated(sides.astype(np.int64))
    edge = np.ones(len(cut.xy), np.bool_)
    edge[1:] = at_line[:-1]
    edge[cut.offsets[:-1]] = True
    string = np.flatnonzero(edge & ~at_line)
    edge[:-1] = at_line[1:]
    edge[cut.offsets[1:] - 1] = True
    length = np.flatnonzero(edge & ~at_line) + 1 - string
    string_ring = np.searchsorted(cut.offsets, string, side="right") - 1
    order = np.argsort(np.concatenate([vertex[pixel[side]], string]), kind="stable")
    steps = _Steps(
        ring=np.concatenate([ring[pixel[side]], string_ring]),
        first=np.concatenate([len(cut.xy) + side, string]),
        length=np.concatenate([np.ones_like(side), length]),
        side=np.concatenate([(first_side[side] + nth) % 4, np.full(len(string), -1)]).astype(np.int8),
    )
    return np.concatenate([cut.xy, pixels]), steps.taken(order)


def _repeated(times: Indices) -> tuple[Indices, Indices]:
    """Each index as often as it says, and the how manieth time it is."""
    index = np.repeat(np.arange(len(times)), times)
    return index, np.arange(len(index)) - np.repeat(np.cumsum(times) - times, times)


def _places(xy: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """The lines that the four sides of pixels are on."""
    x, y = xy[:, 0], xy[:, 1]
    return x, y + 1, x + 1, y


def _moves(step: IntArray) -> Codes:
    """Which way steps [n, 2] go, straight or diagonally; -1 for none."""
    right, down = ((along > 0).view(np.int8) - (along < 0).view(np.int8) for along in step.T)
    moves: Codes = _MOVE[down * 3 + right + 4]
    return moves


def _sides(came: Codes, goes: Codes) -> tuple[Codes, Codes]:
    """The first side that is passed of a pixel, and how many are, by the moves to the pixel and from it."""
    first = came // 2
    return first, np.where(goes < 0, np.int8(4), ((goes + 1) // 2 - first) % 4 + 1)


def _shared(xy: IntArray, steps: _Steps, lines: IntArray) -> tuple[BoolArray, Indices]:
    """Which sides two parts share, [n], and the pairs of them, [pairs, 2]."""
    at = np.flatnonzero(steps.side >= 0)
    side, pixels = steps.side[at], xy[steps.first[at]]
    line = np.choose(side, _places(pixels)).astype(np.int64)
    on_line = line == lines[steps.ring[at], side]
    at, side, pixels, line = at[on_line], side[on_line], pixels[on_line], line[on_line]
    horizontal = side % 2
    key = (
        _reading(np.where(horizontal, pixels[:, 0], line), np.where(horizontal, line, pixels[:, 1])) << 1
    ) + horizontal
    order = np.argsort(key, kind="stable")
    twin = np.flatnonzero(np.diff(key[order]) == 0)
    pairs = at[np.stack([order[twin], order[twin + 1]], axis=1)]
    inner = np.zeros(len(steps.side), np.bool_)
    inner[pairs] = True
    return inner, pairs


def _links(xy: IntArray, steps: _Steps, lines: IntArray) -> tuple[Indices, Indices]:
    """Where rings end at a corner on a line, and where what starts there goes on, [links] each."""
    at = np.flatnonzero(steps.side >= 0)
    side, pixels, mine = steps.side[at], xy[steps.first[at]], lines[steps.ring[at]]
    found = []
    for corner, turn in (((side + 1) % 4, side), (side, (side + 1) % 4)):  # a side ends where its pixel's next starts
        x, y = pixels[:, 0] + _SIDE_STARTS_X[corner], pixels[:, 1] + _SIDE_STARTS_Y[corner]
        on_line = (x == mine[:, 0]) | (y == mine[:, 1]) | (x == mine[:, 2]) | (y == mine[:, 3])
        key = (_reading(x, y) << 2) + turn
        found.append(at[on_line][np.argsort(key[on_line])])
    return found[0], found[1]


def _reading(x: IntArray, y: IntArray) -> Indices:
    """A number for each position, in reading order."""
    return (y.astype(np.int64) << 30) + x


def _connected(number: int, pairs: Indices) -> IntArray:
    """The lowest of those that each is connected with, directly or not, [number]."""
    lowest = np.arange(number, dtype=np.int32)
    one, other = pairs[:, 0], pairs[:, 1]
    while True:
        low = np.minimum(lowest[one], lowest[other])
        lower = lowest.copy()
        np.minimum.at(lower, lowest[one], low)
        np.minimum.at(lower, lowest[other], low)
        lower = lower[lower]
        if np.array_equal(lower, lowest):
            return lowest
        lowest = lower


def _followed(after: Indices) -> tuple[Indices, Indices]:
    """The cycles of a permutation that mostly goes on to the next: all members in order, and where cycles start."""
    breaks = np.flatnonzero(after != np.arange(1, len(after) + 1))
    heads = np.append(0, breaks[:-1] + 1)
    lengths = breaks + 1 - heads
    onward = np.searchsorted(heads, after[breaks]).tolist()
    order: list[int] = []
    cycles: list[int] = []
    seen = [False] * len(onward)
    for piece in range(len(onward)):
        if not seen[piece]:
            cycles.append(len(order))
        while not seen[piece]:
            seen[piece] = True
            order.append(piece)
            piece = onward[piece]
    lengths, heads = lengths[order], heads[order]
    starts = np.cumsum(lengths) - lengths
    return np.repeat(heads - starts, lengths) + np.arange(len(after)), np.append(starts[cycles], len(after))


def _traced(xy: IntArray, offsets: Indices) -> tuple[IntArray, Indices, BoolArray]:
    """Rings through pixels [n, 2], some passed several times in a row, and which of them are outer rings.

    Only the vertices where the direction changes stay. An outer ring starts at its first pixel in reading order; a
    hole's at the pixel left of the hole's first, or the vertex after.
    """
    goes = _goes(xy, offsets)
    differs = goes >= 0
    differs[offsets[:-1]] |= ~np.logical_or.reduceat(differs, offsets[:-1])
    xy, offsets, goes = *_kept(xy, offsets, differs), goes[differs]
    came = np.empty_like(goes)
    came[1:] = goes[:-1]
    came[offsets[:-1]] = goes[offsets[1:] - 1]
    vertex = (goes != came) | (goes < 0)
    xy, offsets, came, goes = *_kept(xy, offsets, vertex), came[vertex], goes[vertex]
    first, end = offsets[:-1], offsets[1:]
    uppermost = np.flatnonzero(xy[:, 1] == np.repeat(np.minimum.reduceat(xy[:, 1], first), end - first))
    first_side, sides = _sides(came[uppermost], goes[uppermost])
    has_n, has_s = (_N - first_side) % 4 < sides, (_S - first_side) % 4 < sides
    # There the leftmost side above an object, or above a hole if there is none above.
    place = xy[uppermost, 0] + np.where(has_n, 0, np.where(has_s, 1 << 30, 1 << 31))
    ring = np.searchsorted(first, uppermost, side="right") - 1
    least = np.minimum.reduceat(place, np.searchsorted(uppermost, first))
    start = uppermost[place == least[ring]]
    is_outer = least < 1 << 30
    before = np.where(start == first, end, start) - 1
    left_of_hole = ~is_outer & (xy[before] - xy[start] == (-1, 1)).all(axis=1)
    start = np.where(left_of_hole, before, start)
    halves, lengths = np.stack([start, first], axis=1), np.stack([end - start, start - first], axis=1)
    return _gathered(xy, halves.ravel(), lengths.ravel()), offsets, is_outer


def _gathered(xy: IntArray, first: Indices, length: Indices) -> IntArray:
    """Stretches of an array, one after the other."""
    index = np.repeat(first - (np.cumsum(length) - length), length)
    index += np.arange(len(index))
    return xy.take(index, axis=0)


def _goes(xy: IntArray, offsets: Indices) -> Codes:
    """The move from each vertex of rings to the next."""
    step = following(xy, offsets)
    step -= xy
    return _moves(step)


def _kept(xy: IntArray, offsets: Indices, keep: BoolArray) -> tuple[IntArray, Indices]:
    counts = np.add.reduceat(keep, offsets[:-1], dtype=np.int64)
    return xy[keep], np.append(0, np.cumsum(counts))
