"""Outlines of a picture that comes in parts: the same, and in the same order, whatever the parts are."""

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

_CROWDED = 200_000  # runs of pixels; the time to link rings to each other grows with the square of their number
_SAMPLED_ROWS = 7  # one in so many, and no pattern's pitch

Drawn = Callable[[int, int, int, int], Mask | None]
"""(row, column, height, width) to which pixels of that part count: uint8 [height, width], not 0; None when all do."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is kept: objects of smallest_px to largest_px pixels. Holes are filled that enclose fewer than
    smallest_hole_px, which is at most smallest_px, so that what lies in them is too small as well."""

    smallest_px: float
    largest_px: float
    smallest_hole_px: float


@dataclass(frozen=True, slots=True, eq=False)
class Traced:
    """Rings in pixel indices of the picture, by class, in reading order of each object's first pixel, an object's holes
    after it; classes: uint8 [M], from 1. found: int64 [K], objects; pixels: int64 [K], those they cover."""

    outlines: Outlines
    classes: NDArray[np.uint8]
    found: NDArray[np.int64]
    pixels: NDArray[np.int64]


class Tracing:
    """Objects of K classes in a picture of rows x columns pixels. Holds the result and the objects that are cut yet.

    objects, vertices: as many as are kept in the end, over all classes; of more, the largest, and none that has too
    many vertices by itself. found and pixels are of all. A line one pixel wide encloses nothing and is no object. A
    hole that holds a pixel that was not drawn is left open, however small.
    """

    def __init__(
        self, size: tuple[int, int], classes: int, sizes: Sizes, objects: int, vertices: int, drawn: Drawn
    ) -> None:
        self._rows, self._columns = size
        self._sizes, self._objects, self._vertices, self._drawn = sizes, objects, vertices, drawn
        self._cut = [_Cut([], [], [], []) for _ in range(classes)]
        self._kept = _Pile()
        self._found, self._pixels = np.zeros(classes, np.int64), np.zeros(classes, np.int64)

    def add(self, mask: Mask, number: int, row: int, column: int, inside: Mask | None = None) -> None:
        """A part of the picture, with its corner at row and column; no pixel may be in two.

        mask: uint8 [h, w], not 0 where an object of class `number` (from 1) is, and drawn. inside: what was drawn.
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
            filled[_reaching(rings, filled, lambda top, left, h, w: inside[top : top + h, left : left + w])] = False
        rings = contours.mapped(rings, column, row, 1)
        lines = np.array((column, row + height, column + width, row), np.int32)
        lines[np.array((column == 0, row + height == self._rows, column + width == self._columns, row == 0))] = -1
        cut = _touching(rings, lines)
        whole = rings
        if cut.any():
            is_cut = cut | (holes & cut[rings.parent])
            self._cut[number - 1].add(rings.take(is_cut & ~filled), enclosed[is_cut & ~filled], lines)
            whole, enclosed, filled = rings.take(~is_cut), enclosed[~is_cut], filled[~is_cut]
        self._keep(number, [whole], whole.parent, enclosed, filled)

    def finish(self, check: Callable[[], None]) -> Traced:
        """What all parts hold together. check: called between steps that take long."""
        for number, cut in enumerate(self._cut, 1):
            if cut.outer:
                check()
                self._join(number, cut)
                cut.holes.clear()
        check()
        outlines, classes = self._kept.largest(self._objects, self._vertices)
        order = _reading_order(outlines, classes)
        return Traced(outlines.pick(order), classes[order], self._found, self._pixels)

    def _join(self, number: int, cut: _Cut) -> None:
        rings, part_of = joined(cut.rings(), np.concatenate(cut.lines))
        enclosed = contours.enclosed_px(rings)
        filled = ~rings.is_outer & (enclosed < self._sizes.smallest_hole_px)
        filled[_reaching(rings, filled, self._drawn)] = False
        parts = [rings, *cut.holes]
        parent = np.concatenate([rings.parent, *(part_of[holes.parent] for holes in cut.holes)])
        filled = np.append(filled, np.zeros(len(parent) - len(rings), np.bool_))
        self._keep(number, parts, parent, np.concatenate([enclosed, *cut.enclosed]), filled)

    def _keep(
        self,
        number: int,
        parts: Sequence[Outlines],
        parent: IntArray,
        enclosed: NDArray[np.int64],
        filled: BoolArray,
    ) -> None:
        """Counts the objects of the right size, and keeps those that are not too much by themselves.

        parts: the rings, one after the other. parent: of all of them.
        """
        outer = parent < 0
        family = np.where(outer, np.arange(len(parent)), parent)
        counts = np.concatenate([part.counts for part in parts])
        pixels = contours.object_px(parent, enclosed, filled)
        keep = (pixels >= self._sizes.smallest_px) & (pixels <= self._sizes.largest_px) & (counts > 2)[family]
        self._found[number - 1] += (keep & outer).sum()
        self._pixels[number - 1] += pixels[keep & outer].sum()
        keep &= ~filled
        keep &= np.bincount(family[keep], counts[keep], len(parent))[family] <= self._vertices
        chosen, done = [], 0
        for part in parts:
            some = keep[done : done + len(part)]
            chosen.append((part.xy[np.repeat(some, part.counts)], part.counts[some]))
            done += len(part)
        rings = Outlines(
            np.concatenate([xy for xy, _ in chosen]),
            np.append(0, np.cumsum(np.concatenate([each for _, each in chosen]))),
            np.where(outer, -1, np.cumsum(keep)[parent] - 1)[keep].astype(np.int32),
        )
        self._kept.add(rings, np.full(len(rings), number, np.uint8), pixels[keep])
        if self._kept.objects > 2 * self._objects or self._kept.vertices > 2 * self._vertices:
            self._kept.largest(self._objects, self._vertices, and_next=True)

    def _has_small_gaps(self, inside: Mask) -> bool:
        """Whether something small that was not drawn lies in what was."""
        rings = contours.outlines(inside)
        return bool((~rings.is_outer & (contours.enclosed_px(rings) < self._sizes.smallest_hole_px)).any())


class _Cut(NamedTuple):
    """What borders between parts cut, of one class, part by part.

    outer: the outer rings. lines: for `joined`. holes: those to be left open; parent: of all outer rings, the number
    of the one they lie in. enclosed: pixels within them.
    """

    outer: list[Outlines]
    lines: list[IntArray]
    holes: list[Outlines]
    enclosed: list[NDArray[np.int64]]

    def rings(self) -> Outlines:
        """All outer rings, which are then no longer kept here."""
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


class _Pile:
    """Objects with their classes and sizes in pixels; a hole has its object's size."""

    def __init__(self) -> None:
        self._rings: list[Outlines] = []
        self._classes: list[NDArray[np.uint8]] = []
        self._pixels: list[NDArray[np.int64]] = []
        self.objects = self.vertices = 0

    def add(self, rings: Outlines, classes: NDArray[np.uint8], pixels: NDArray[np.int64]) -> None:
        self._rings.append(rings)
        self._classes.append(classes)
        self._pixels.append(pixels)
        self.objects += int(rings.is_outer.sum())
        self.vertices += len(rings.xy)

    def largest(self, objects: int, vertices: int, and_next: bool = False) -> tuple[Outlines, NDArray[np.uint8]]:
        """The largest objects, until there are so many or they have so many vertices; ties by class, then position.

        and_next: also the first that has too many, so that it stands before smaller ones when more are added, and the
        end is the same whatever was left out on the way.
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
            order = np.lexsort((_places(rings)[outer], classes[outer], -pixels[outer]))
            size = size[order]
            outer = outer[order[np.cumsum(size) - size * and_next <= vertices][:objects]]
            keep = np.zeros(len(rings), np.bool_)
            keep[outer] = True
            keep = keep[family]
            rings, classes, pixels = rings.take(keep), classes[keep], pixels[keep]
        self._rings, self._classes, self._pixels = [rings], [classes], [pixels]
        self.objects, self.vertices = len(outer), len(rings.xy)
        return rings, classes


def _places(rings: Outlines, vertex: int = 0) -> NDArray[np.int64]:
    """Where in reading order a vertex of each ring is, [M]."""
    xy = rings.xy[rings.offsets[:-1] + vertex].astype(np.int64)
    return (xy[:, 1] << 31) + xy[:, 0]


def _reading_order(rings: Outlines, classes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Classes, in each its objects by where they start, after each its holes by where they start and go first."""
    first = _places(rings)
    outer = np.where(rings.is_outer, np.arange(len(rings)), rings.parent)
    return np.lexsort((_places(rings, 1), np.where(rings.is_outer, -1, first), first[outer], classes))


def _runs(mask: Mask) -> int:
    """About how many runs of pixels the rows of a mask have, by some of them; a mask has no more objects than runs."""
    rows = mask[::_SAMPLED_ROWS]
    return _SAMPLED_ROWS * (cv2.countNonZero(cv2.compare(rows[:, 1:], rows[:, :-1], cv2.CMP_GT)) + len(rows))


def _halves(height: int, width: int) -> list[tuple[slice, slice]]:
    if height >= width:
        return [(slice(0, height // 2), slice(0, width)), (slice(height // 2, height), slice(0, width))]
    return [(slice(0, height), slice(0, width // 2)), (slice(0, height), slice(width // 2, width))]


def _touching(rings: Outlines, lines: IntArray) -> BoolArray:
    """Outer rings that reach where their part meets others, bool [M]. lines: int32 [4], as for `joined`."""
    touching = np.zeros(len(rings), np.bool_)
    x, y = rings.xy[:, 0], rings.xy[:, 1]
    for line, place in zip(lines.tolist(), (x, y + 1, x + 1, y), strict=True):
        if line >= 0:
            touching |= np.logical_or.reduceat(place == line, rings.offsets[:-1])
    return touching & rings.is_outer


def _reaching(rings: Outlines, among: BoolArray, drawn: Drawn) -> list[int]:
    """Those rings among some in which a pixel lies that was not drawn."""
    found = []
    for index in np.flatnonzero(among).tolist():
        ring = rings.ring(index)
        left, top = ring.min(axis=0).tolist()
        right, bottom = ring.max(axis=0).tolist()
        inside = drawn(top, left, bottom + 1 - top, right + 1 - left)
        if inside is not None and not inside.all():
            within = cv2.fillPoly(np.zeros(inside.shape, np.uint8), [ring - (left, top)], 1)
            if (inside[within > 0] == 0).any():
                found.append(index)
    return found
