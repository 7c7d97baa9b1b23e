"""Joins the rings of objects that lie in several parts of a picture into the rings of the whole objects."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.outlines import BoolArray, IntArray, Outlines, next_vertices

Indices = NDArray[np.int64]
Codes = NDArray[np.int8]

# The method. Here "|" is the line between two parts of the picture, and "#" is a pixel of the object:
#
#     pixels          1. each part alone   2. shared sides go   3. ends are linked
#
#     . # # | # .       +---+ +-+            +---  --+            +-----+
#     . # # | # #       |   | | +-+          |       +-+          |     +-+
#     . . # | # #       +-+ | |   |          +-+       |          +-+     |
#           |             +-+ +---+            +-  ----+            +-----+
#
# 1. OpenCV traces a ring through pixel centres. `_steps` makes of it the sides of the pixels that it passes, where
#    it runs along a line, and keeps its other vertices as strings.
# 2. A side that both parts have lies inside the object: `_shared` finds it, and it goes.
# 3. Where a ring now ends at a corner on the line, `_links` finds the side that starts at this corner.
# 4. `_cycles` follows the links around. `_simplified` keeps the vertices that OpenCV would keep.
#
# At a corner that four pixels touch like a checkerboard, two rings end and two start. Rings turn right there, so that
# the two pixels of the object belong together: objects are 8-connected.
#
#     # | .
#     --+--
#     . | #
#
# An outer ring of OpenCV has its object on the left, with y pointing down. The sides of a pixel have numbers in the
# order in which the ring passes them: W 0, S 1, E 2, N 3. So have the moves to the next pixel: S 0, SE 1, up to SW 7.
_MOVE = np.array([5, 4, 3, 6, -1, 2, 7, 0, 1], np.int8)  # by sign of dy, then by sign of dx; -1 is no move
_S, _N = 1, 3
_SIDE_STARTS_X = np.array(
    [0, 0, 1, 1], np.int32
)  # the corner of the pixel where a side starts and the previous one ends
_SIDE_STARTS_Y = np.array([0, 1, 1, 0], np.int32)


class _Steps(NamedTuple):
    """The steps of rings, in order: sides of pixels at a line between parts, and strings of vertices elsewhere.

    ring: int64 [n], the ring that a step belongs to. first, length: int64 [n], the stretch of an array of vertices that
    holds a string's vertices, or a side's pixel. side: int8 [n], the number of a side, -1 for a string.
    """

    ring: Indices
    first: Indices
    length: Indices
    side: Codes

    def take(self, which: Indices | BoolArray) -> _Steps:
        return _Steps(self.ring[which], self.first[which], self.length[which], self.side[which])


def joined(cut: Outlines, lines: IntArray) -> tuple[Outlines, IntArray]:
    """The rings of whole objects, from the outer rings that their pieces have in the parts of a picture.

    cut: outer rings as cv2.findContours traces them in each part alone (8-connected, CHAIN_APPROX_SIMPLE), in pixel
    indices of the picture; all pieces of each object. lines: int32 [M, 4], where the part of ring m meets other parts:
    its first column, the row below its last, the column right of its last, its first row; -1 at the picture's edge.
    Returns the outer ring of each object, and the holes that are not within one part, with the vertices that
    findContours traces in the whole picture, in the same order from the same start; and for each ring of cut the index
    of the outer ring that it is now part of, int32 [M].
    """
    number = len(cut)
    xy, steps = _steps(cut, lines)
    del cut  # it may take more memory than anything else here
    is_shared, pairs = _shared(xy, steps, lines)
    steps, ring_pairs = steps.take(~is_shared), steps.ring[pairs]
    ends, starts = _links(xy, steps, lines)
    object_of = _connected(number, np.concatenate([ring_pairs, np.stack([steps.ring[ends], steps.ring[starts]], 1)]))
    after = np.arange(1, len(steps.ring) + 1)
    last = np.flatnonzero(np.diff(steps.ring, append=-1))
    after[last] = np.append(0, last[:-1] + 1)
    after[ends] = starts
    order, cycles = _cycles(after)
    cycle_object = object_of[steps.ring[order[cycles[:-1]]]]
    steps = steps.take(order)
    offsets = np.append(0, np.cumsum(steps.length))[cycles]
    xy = _stretches(xy, steps.first, steps.length)
    xy, offsets, is_outer = _simplified(xy, offsets)
    outer_of = np.full(number, -1, np.int32)
    outer_of[cycle_object[is_outer]] = np.flatnonzero(is_outer)
    parent = np.where(is_outer, np.int32(-1), outer_of[cycle_object])
    return Outlines(xy, offsets, parent), outer_of[object_of]


def _steps(cut: Outlines, lines: IntArray) -> tuple[IntArray, _Steps]:
    """The steps of the rings, and their vertices, [n, 2]: those of the rings, then the pixels at lines."""
    at_line = np.zeros(len(cut.xy), np.bool_)
    for line, position in zip(lines.T, _side_positions(cut.xy), strict=True):
        at_line |= position == np.repeat(line, cut.counts)
    vertex = np.flatnonzero(at_line)
    ring = np.searchsorted(cut.offsets, vertex, side="right") - 1
    first, end = cut.offsets[ring], cut.offsets[ring + 1]
    here = cut.xy[vertex]
    after = cut.xy[np.where(vertex + 1 < end, vertex + 1, first)]
    before = cut.xy[np.where(vertex > first, vertex, end) - 1]
    along = np.zeros(len(vertex), np.bool_)
    for line, position, next_position in zip(lines[ring].T, _side_positions(here), _side_positions(after), strict=True):
        along |= (position == line) & (next_position == line)
    step = after - here
    move, last_move = _moves(step), _moves(here - before)
    pixel, repetition = _repeated(np.where(along, np.maximum(np.abs(step).max(axis=1), 1), 1))
    pixels = here[pixel] + np.sign(step)[pixel] * repetition[:, None].astype(np.int32)
    first_side, sides = _sides(np.where(repetition > 0, move[pixel], last_move[pixel]), move[pixel])
    side, repetition = _repeated(sides.astype(np.int64))
    is_end = np.ones(len(cut.xy), np.bool_)
    is_end[1:] = at_line[:-1]
    is_end[cut.offsets[:-1]] = True
    string = np.flatnonzero(is_end & ~at_line)
    is_end[:-1] = at_line[1:]
    is_end[cut.offsets[1:] - 1] = True
    length = np.flatnonzero(is_end & ~at_line) + 1 - string
    string_ring = np.searchsorted(cut.offsets, string, side="right") - 1
    order = np.argsort(np.concatenate([vertex[pixel[side]], string]), kind="stable")
    steps = _Steps(
        ring=np.concatenate([ring[pixel[side]], string_ring]),
        first=np.concatenate([len(cut.xy) + side, string]),
        length=np.concatenate([np.ones_like(side), length]),
        side=np.concatenate([(first_side[side] + repetition) % 4, np.full(len(string), -1)]).astype(np.int8),
    )
    return np.concatenate([cut.xy, pixels]), steps.take(order)


def _repeated(times: Indices) -> tuple[Indices, Indices]:
    """Each index of an array as often as the array says, and the number of the repetition, from 0."""
    index = np.repeat(np.arange(len(times)), times)
    return index, np.arange(len(index)) - np.repeat(np.cumsum(times) - times, times)


def _side_positions(xy: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """The positions of the four sides of pixels: x of W, y of S, x of E, y of N."""
    x, y = xy[:, 0], xy[:, 1]
    return x, y + 1, x + 1, y


def _moves(step: IntArray) -> Codes:
    """The moves of steps [n, 2], straight or diagonal; -1 for a step of length 0."""
    right, down = ((along > 0).view(np.int8) - (along < 0).view(np.int8) for along in step.T)
    moves: Codes = _MOVE[down * 3 + right + 4]
    return moves


def _sides(last_move: Codes, move: Codes) -> tuple[Codes, Codes]:
    """The first side of a pixel that a ring passes, and the number of sides, from the moves to and from the pixel."""
    first = last_move // 2
    return first, np.where(move < 0, np.int8(4), ((move + 1) // 2 - first) % 4 + 1)


def _shared(xy: IntArray, steps: _Steps, lines: IntArray) -> tuple[BoolArray, Indices]:
    """Which steps are sides that two parts share, bool [n], and the pairs of such steps, [pairs, 2]."""
    at = np.flatnonzero(steps.side >= 0)
    side, pixels = steps.side[at], xy[steps.first[at]]
    line = np.choose(side, _side_positions(pixels)).astype(np.int64)
    on_line = line == lines[steps.ring[at], side]
    at, side, pixels, line = at[on_line], side[on_line], pixels[on_line], line[on_line]
    horizontal = side % 2
    key = _reading_order(np.where(horizontal, pixels[:, 0], line), np.where(horizontal, line, pixels[:, 1]))
    key = (key << 1) + horizontal
    order = np.argsort(key, kind="stable")
    twin = np.flatnonzero(np.diff(key[order]) == 0)
    pairs = at[np.stack([order[twin], order[twin + 1]], axis=1)]
    is_shared = np.zeros(len(steps.side), np.bool_)
    is_shared[pairs] = True
    return is_shared, pairs


def _links(xy: IntArray, steps: _Steps, lines: IntArray) -> tuple[Indices, Indices]:
    """The steps that end at a corner on a line, and the steps that start there and continue them, [links] each."""
    at = np.flatnonzero(steps.side >= 0)
    side, pixels, line = steps.side[at], xy[steps.first[at]], lines[steps.ring[at]]
    links = []
    for corner, turn in (((side + 1) % 4, side), (side, (side + 1) % 4)):  # a side ends where the next side starts
        x, y = pixels[:, 0] + _SIDE_STARTS_X[corner], pixels[:, 1] + _SIDE_STARTS_Y[corner]
        on_line = (x == line[:, 0]) | (y == line[:, 1]) | (x == line[:, 2]) | (y == line[:, 3])
        key = (_reading_order(x, y) << 2) + turn
        links.append(at[on_line][np.argsort(key[on_line])])
    return links[0], links[1]


def _reading_order(x: IntArray, y: IntArray) -> Indices:
    """A number for each position, which rises in reading order."""
    return (y.astype(np.int64) << 30) + x


def _connected(number: int, pairs: Indices) -> IntArray:
    """For each of `number` rings the lowest ring that pairs connect it with, directly or through others, [number]."""
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


def _cycles(after: Indices) -> tuple[Indices, Indices]:
    """The cycles of a permutation: all members in order, and where each cycle starts, with the end of the last.

    after: the successor of each index, which is mostly the next index. The loop runs over stretches of such indices.
    """
    breaks = np.flatnonzero(after != np.arange(1, len(after) + 1))
    heads = np.append(0, breaks[:-1] + 1)
    lengths = breaks + 1 - heads
    successors = np.searchsorted(heads, after[breaks]).tolist()
    order: list[int] = []
    cycles: list[int] = []
    seen = [False] * len(successors)
    for stretch in range(len(successors)):
        if not seen[stretch]:
            cycles.append(len(order))
        while not seen[stretch]:
            seen[stretch] = True
            order.append(stretch)
            stretch = successors[stretch]
    lengths, heads = lengths[order], heads[order]
    starts = np.cumsum(lengths) - lengths
    return np.repeat(heads - starts, lengths) + np.arange(len(after)), np.append(starts[cycles], len(after))


def _simplified(xy: IntArray, offsets: Indices) -> tuple[IntArray, Indices, BoolArray]:
    """Rings with only the vertices where their direction changes, and which of them are outer rings.

    xy: [n, 2], the pixels of the rings; a pixel may occur several times in a row. An outer ring starts at its first
    pixel in reading order. A hole's ring starts at the pixel left of the hole's first pixel, or at the vertex after it.
    """
    move = _moves_to_next(xy, offsets)
    differs = move >= 0
    differs[offsets[:-1]] |= ~np.logical_or.reduceat(differs, offsets[:-1])
    xy, offsets, move = *_filtered(xy, offsets, differs), move[differs]
    last_move = np.empty_like(move)
    last_move[1:] = move[:-1]
    last_move[offsets[:-1]] = move[offsets[1:] - 1]
    is_vertex = (move != last_move) | (move < 0)
    xy, offsets, last_move, move = *_filtered(xy, offsets, is_vertex), last_move[is_vertex], move[is_vertex]
    first, end = offsets[:-1], offsets[1:]
    uppermost = np.flatnonzero(xy[:, 1] == np.repeat(np.minimum.reduceat(xy[:, 1], first), end - first))
    first_side, sides = _sides(last_move[uppermost], move[uppermost])
    has_n, has_s = (_N - first_side) % 4 < sides, (_S - first_side) % 4 < sides
    # Among the uppermost, the leftmost upper side of the object; if it has none, the leftmost lower side, above a hole.
    rank = xy[uppermost, 0] + np.where(has_n, 0, np.where(has_s, 1 << 30, 1 << 31))
    ring = np.searchsorted(first, uppermost, side="right") - 1
    lowest_rank = np.minimum.reduceat(rank, np.searchsorted(uppermost, first))
    start = uppermost[rank == lowest_rank[ring]]
    is_outer = lowest_rank < 1 << 30
    before = np.where(start == first, end, start) - 1
    left_of_hole = ~is_outer & (xy[before] - xy[start] == (-1, 1)).all(axis=1)
    start = np.where(left_of_hole, before, start)
    halves, lengths = np.stack([start, first], axis=1), np.stack([end - start, start - first], axis=1)
    return _stretches(xy, halves.ravel(), lengths.ravel()), offsets, is_outer


def _stretches(xy: IntArray, first: Indices, length: Indices) -> IntArray:
    """Stretches of an array, one after the other, by their first index and length."""
    index = np.repeat(first - (np.cumsum(length) - length), length)
    index += np.arange(len(index))
    return xy.take(index, axis=0)


def _moves_to_next(xy: IntArray, offsets: Indices) -> Codes:
    """The move from each vertex of rings to the next."""
    step = next_vertices(xy, offsets)
    step -= xy
    return _moves(step)


def _filtered(xy: IntArray, offsets: Indices, keep: BoolArray) -> tuple[IntArray, Indices]:
    """Rings with only the vertices where keep is true."""
    counts = np.add.reduceat(keep, offsets[:-1], dtype=np.int64)
    return xy[keep], np.append(0, np.cumsum(counts))
