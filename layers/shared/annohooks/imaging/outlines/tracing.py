"""Outlines of a picture that comes in parts. They and their order do not depend on how the picture is divided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.outlines import BoolArray, IntArray, Outlines, contours
from annohooks.imaging.outlines.contours import Mask
from annohooks.imaging.outlines.joining import joined

# The method. Objects a and b lie within one part each: they are traced, measured and counted when their part is added.
# Object c lies on the line between two parts: the outer rings of its pieces wait in _Cut until all parts are there.
# Then `joined` makes one ring of them, and c is measured like the others.
#
#     +-----------+-----------+
#     |  a a      |      b b  |
#     |  a a    c | c c  b b  |
#     |         c | c         |
#     +-----------+-----------+
#
# Holes within one part go with their outer ring. A hole that crosses the line, as in a ring-shaped object, is open in
# each part, so it is no hole there; `joined` finds it.

_CROWDED = 200_000  # runs of pixels; the time to link rings to each other grows with the square of their number
_SAMPLED_ROWS = 7  # one row in so many; unlikely to be the period of a pattern

Drawn = Callable[[int, int, int, int], Mask | None]
"""Says which pixels of a part were drawn, from its row, column, height and width.

Returns uint8 [height, width], not 0 where a pixel was drawn; None if all were.
"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of objects and holes that are kept, in pixels.

    Objects have smallest_px to largest_px. Holes below smallest_hole_px are filled. smallest_hole_px is at most
    smallest_px, so an object within a filled hole is too small as well.
    """

    smallest_px: float
    largest_px: float
    smallest_hole_px: float


@dataclass(frozen=True, slots=True, eq=False)
class Traced:
    """Rings in pixel indices of the picture: by class, then in reading order of the object's first pixel. The holes of
    an object follow it.

    classes: uint8 [M], the class of each ring, from 1. object_counts: int64 [K], the objects of each class. pixels:
    int64 [K], the pixels that they cover.
    """

    outlines: Outlines
    classes: NDArray[np.uint8]
    object_counts: NDArray[np.int64]
    pixels: NDArray[np.int64]


class Tracing:
    """Traces the objects of K classes in a picture of rows x columns pixels, part by part.

    objects, vertices: the limits of the result, over all classes. When there are more, the largest objects are kept. An
    object with too many vertices by itself is left out. Counts and pixels are those of all objects. A line one pixel
    wide encloses nothing and is not an object. A hole that contains a pixel that was not drawn is left open, however
    small. Memory: the result, and the objects that are still cut.
    """

    def __init__(
        self, size: tuple[int, int], classes: int, sizes: Sizes, objects: int, vertices: int, drawn: Drawn
    ) -> None:
        self._rows, self._columns = size
        self._sizes, self._max_objects, self._max_vertices, self._drawn = sizes, objects, vertices, drawn
        self._cut = [_Cut([], [], [], []) for _ in range(classes)]
        self._objects_so_far = _Objects()
        self._object_counts, self._pixels = np.zeros(classes, np.int64), np.zeros(classes, np.int64)

    def add(self, mask: Mask, number: int, row: int, column: int, inside: Mask | None = None) -> None:
        """Adds a part of the picture with its corner at row and column. No pixel may be in two parts.

        mask: uint8 [h, w], not 0 where the pixel was drawn and belongs to an object of class `number` (from 1). inside:
        uint8 [h, w], not 0 where the pixel was drawn; None if all were.
        """
        height, width = mask.shape
        if _runs(mask) > _CROWDED:
            for rows, columns in _halves(height, width):
                half = inside if inside is None else inside[rows, columns]
                self.add(mask[rows, columns], number, row + rows.start, column + columns.start, half)
            return
        rings = contours.outlines(mask)
        if not len(rings):
            return
        enclosed = contours.enclosed_px(rings)
        holes = ~rings.is_outer
        filled = holes & (enclosed < self._sizes.smallest_hole_px)
        if inside is not None and filled.any() and self._has_small_gaps(inside):
            filled[_with_undrawn(rings, filled, lambda top, left, h, w: inside[top : top + h, left : left + w])] = False
        rings = contours.placed(rings, column, row, 1)
        lines = np.array((column, row + height, column + width, row), np.int32)
        lines[np.array((column == 0, row + height == self._rows, column + width == self._columns, row == 0))] = -1
        cut = _touching(rings, lines)
        whole = rings
        if cut.any():
            is_cut = cut | (holes & cut[rings.parent])
            self._cut[number - 1].add(rings.take(is_cut & ~filled), enclosed[is_cut & ~filled], lines)
            whole, enclosed, filled = rings.take(~is_cut), enclosed[~is_cut], filled[~is_cut]
        self._count(number, [whole], whole.parent, enclosed, filled)

    def finish(self, check: Callable[[], None]) -> Traced:
        """The objects of all parts. check: called between the steps that take long."""
        for number, cut in enumerate(self._cut, 1):
            if cut.outer:
                check()
                self._join(number, cut)
                cut.holes.clear()
        check()
        outlines, classes = self._objects_so_far.largest(self._max_objects, self._max_vertices)
        order = _reading_order(outlines, classes)
        return Traced(outlines.pick(order), classes[order], self._object_counts, self._pixels)

    def _join(self, number: int, cut: _Cut) -> None:
        """Counts the objects of a class that lie in several parts."""
        rings, part_of = joined(cut.rings(), np.concatenate(cut.lines))
        enclosed = contours.enclosed_px(rings)
        filled = ~rings.is_outer & (enclosed < self._sizes.smallest_hole_px)
        filled[_with_undrawn(rings, filled, self._drawn)] = False
        parts = [rings, *cut.holes]
        parent = np.concatenate([rings.parent, *(part_of[holes.parent] for holes in cut.holes)])
        filled = np.append(filled, np.zeros(len(parent) - len(rings), np.bool_))
        self._count(number, parts, parent, np.concatenate([enclosed, *cut.enclosed]), filled)

    def _count(
        self,
        number: int,
        parts: Sequence[Outlines],
        parent: IntArray,
        enclosed: NDArray[np.int64],
        filled: BoolArray,
    ) -> None:
        """Counts the objects of the right size, and keeps those that do not have too many vertices by themselves.

        parts: the rings in several pieces. parent, enclosed, filled: of all of them, one after the other.
        """
        outer = parent < 0
        family = np.where(outer, np.arange(len(parent)), parent)
        counts = np.concatenate([part.counts for part in parts])
        pixels = contours.object_px(parent, enclosed, filled)
        keep = (pixels >= self._sizes.smallest_px) & (pixels <= self._sizes.largest_px) & (counts > 2)[family]
        self._object_counts[number - 1] += (keep & outer).sum()
        self._pixels[number - 1] += pixels[keep & outer].sum()
        keep &= ~filled
        keep &= np.bincount(family[keep], counts[keep], len(parent))[family] <= self._max_vertices
        kept_rings, done = [], 0
        for part in parts:
            kept = keep[done : done + len(part)]
            kept_rings.append((part.xy[np.repeat(kept, part.counts)], part.counts[kept]))
            done += len(part)
        rings = Outlines(
            np.concatenate([xy for xy, _ in kept_rings]),
            np.append(0, np.cumsum(np.concatenate([part_counts for _, part_counts in kept_rings]))),
            np.where(outer, -1, np.cumsum(keep)[parent] - 1)[keep].astype(np.int32),
        )
        objects = self._objects_so_far
        objects.add(rings, np.full(len(rings), number, np.uint8), pixels[keep])
        if objects.count > 2 * self._max_objects or objects.vertices > 2 * self._max_vertices:
            objects.largest(self._max_objects, self._max_vertices, and_next=True)

    def _has_small_gaps(self, inside: Mask) -> bool:
        """Whether the drawn area has a small hole."""
        rings = contours.outlines(inside)
        return bool((~rings.is_outer & (contours.enclosed_px(rings) < self._sizes.smallest_hole_px)).any())


class _Cut(NamedTuple):
    """The objects of one class that lie in several parts, part by part.

    outer: their outer rings. lines: as for `joined`. holes: those that stay open, with the index of their outer ring
    among all outer rings as parent. enclosed: the pixels within the holes.
    """

    outer: list[Outlines]
    lines: list[IntArray]
    holes: list[Outlines]
    enclosed: list[NDArray[np.int64]]

    def rings(self) -> Outlines:
        """All outer rings. They are removed from here, which frees their memory."""
        rings = Outlines.concatenate(self.outer)
        self.outer.clear()
        return rings

    def add(self, rings: Outlines, enclosed: NDArray[np.int64], lines: IntArray) -> None:
        before = sum(map(len, self.outer))
        number = (np.cumsum(rings.is_outer) - 1 + before).astype(np.int32)
        outer = rings.take(rings.is_outer)
        self.outer.append(outer)
        self.lines.append(np.tile(lines, (len(outer), 1)))
        if len(outer) < len(rings):
            holes = ~rings.is_outer
            offsets = np.append(0, np.cumsum(rings.counts[holes]))
            self.holes.append(Outlines(rings.xy[np.repeat(holes, rings.counts)], offsets, number[rings.parent[holes]]))
            self.enclosed.append(enclosed[holes])


class _Objects:
    """Rings with their classes and with the size of their object in pixels. count: the number of objects."""

    def __init__(self) -> None:
        self._rings: list[Outlines] = []
        self._classes: list[NDArray[np.uint8]] = []
        self._pixels: list[NDArray[np.int64]] = []
        self.count = self.vertices = 0

    def add(self, rings: Outlines, classes: NDArray[np.uint8], pixels: NDArray[np.int64]) -> None:
        self._rings.append(rings)
        self._classes.append(classes)
        self._pixels.append(pixels)
        self.count += int(rings.is_outer.sum())
        self.vertices += len(rings.xy)

    def largest(self, objects: int, vertices: int, and_next: bool = False) -> tuple[Outlines, NDArray[np.uint8]]:
        """The largest objects that stay within both limits. Objects of one size go by class, then by position.

        The rest is removed. and_next: also keeps the first object that exceeds the limit of vertices. It then still
        comes before smaller objects that are added later, so the result does not depend on intermediate calls.
        """
        if not self._rings:
            return Outlines.empty(), np.empty(0, np.uint8)
        rings = Outlines.concatenate(self._rings)
        self._rings.clear()
        classes, pixels = np.concatenate(self._classes), np.concatenate(self._pixels)
        outer = np.flatnonzero(rings.is_outer)
        family = np.where(rings.is_outer, np.arange(len(rings)), rings.parent)
        size = np.bincount(family, rings.counts, len(rings))[outer]
        if len(outer) > objects or size.sum() > vertices:
            order = np.lexsort((_reading_positions(rings)[outer], classes[outer], -pixels[outer]))
            size = size[order]
            outer = outer[order[np.cumsum(size) - size * and_next <= vertices][:objects]]
            keep = np.zeros(len(rings), np.bool_)
            keep[outer] = True
            keep = keep[family]
            rings, classes, pixels = rings.take(keep), classes[keep], pixels[keep]
        self._rings, self._classes, self._pixels = [rings], [classes], [pixels]
        self.count, self.vertices = len(outer), len(rings.xy)
        return rings, classes


def _reading_positions(rings: Outlines, vertex: int = 0) -> NDArray[np.int64]:
    """A number for one vertex of each ring, [M], which rises in reading order."""
    xy = rings.xy[rings.offsets[:-1] + vertex].astype(np.int64)
    return (xy[:, 1] << 31) + xy[:, 0]


def _reading_order(rings: Outlines, classes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The indices of rings by class, then by the start of their object. The holes of an object follow it, by their
    start and then by their second vertex."""
    first = _reading_positions(rings)
    outer = np.where(rings.is_outer, np.arange(len(rings)), rings.parent)
    return np.lexsort((_reading_positions(rings, 1), np.where(rings.is_outer, -1, first), first[outer], classes))


def _runs(mask: Mask) -> int:
    """The approximate number of runs of pixels in the rows of a mask, from a sample of rows.

    A mask has at most as many objects as runs.
    """
    rows = mask[::_SAMPLED_ROWS]
    return _SAMPLED_ROWS * (cv2.countNonZero(cv2.compare(rows[:, 1:], rows[:, :-1], cv2.CMP_GT)) + len(rows))


def _halves(height: int, width: int) -> list[tuple[slice, slice]]:
    if height >= width:
        return [(slice(0, height // 2), slice(0, width)), (slice(height // 2, height), slice(0, width))]
    return [(slice(0, height), slice(0, width // 2)), (slice(0, height), slice(width // 2, width))]


def _touching(rings: Outlines, lines: IntArray) -> BoolArray:
    """Which rings are outer rings that touch a line to another part, bool [M]. lines: int32 [4], as for `joined`."""
    touching = np.zeros(len(rings), np.bool_)
    x, y = rings.xy[:, 0], rings.xy[:, 1]
    for line, position in zip(lines.tolist(), (x, y + 1, x + 1, y), strict=True):
        if line >= 0:
            touching |= np.logical_or.reduceat(position == line, rings.offsets[:-1])
    return touching & rings.is_outer


def _with_undrawn(rings: Outlines, selected: BoolArray, drawn: Drawn) -> list[int]:
    """The indices of the selected rings that enclose a pixel that was not drawn."""
    indices = []
    for index in np.flatnonzero(selected).tolist():
        ring = rings.ring(index)
        left, top = ring.min(axis=0).tolist()
        right, bottom = ring.max(axis=0).tolist()
        inside = drawn(top, left, bottom + 1 - top, right + 1 - left)
        if inside is not None and not inside.all():
            within = cv2.fillPoly(np.zeros(inside.shape, np.uint8), [ring - (left, top)], 1)
            if (inside[within > 0] == 0).any():
                indices.append(index)
    return indices
