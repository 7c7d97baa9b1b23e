"""Regions of a slide: boxes, and the shapes inside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from annohooks.imaging.outlines import FloatArray
from annohooks.imaging.outlines.contours import Mask

_BAND_PX = 32  # rows drawn at once, which bounds the memory for many long edges


class Box(NamedTuple):
    """A rectangle in slide pixels. It is half open: x <= column < x + width."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column to the right of the box."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The first row below the box."""
        return self.y + self.height

    def overlaps(self, other: Box) -> bool:
        """Whether the boxes share a pixel."""
        return self.x < other.right and other.x < self.right and self.y < other.bottom and other.y < self.bottom

    def around(self, other: Box) -> Box:
        """The smallest box that contains both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        return Box(x, y, max(self.right, other.right) - x, max(self.bottom, other.bottom) - y)

    def within(self, width: int, height: int) -> Box | None:
        """The part within a slide of that size; None if there is none."""
        x, y = max(self.x, 0), max(self.y, 0)
        right, bottom = min(self.right, width), min(self.bottom, height)
        return Box(x, y, right - x, bottom - y) if right > x and bottom > y else None


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """One drawn shape in slide pixels: outer rings [k, 2], and rings of the holes in them."""

    rings: tuple[FloatArray, ...]
    holes: tuple[FloatArray, ...] = ()

    @property
    def box(self) -> Box:
        """The smallest box of whole pixels that contains all rings; it may reach beyond the slide."""
        corners = np.concatenate(self.rings)
        x, y = np.floor(corners.min(axis=0)).astype(int)
        right, bottom = np.ceil(corners.max(axis=0)).astype(int)
        return Box(int(x), int(y), int(right - x), int(bottom - y))


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """An area that is analysed as one: a box on the slide, and the drawn shapes in it."""

    box: Box
    shapes: tuple[Shape, ...]

    def mask(self, size: tuple[int, int], downsample: float, row: int = 0, column: int = 0) -> Mask:
        """A mask of the shapes on a picture of the box, or on a part of it: 255 where a pixel's centre is in a shape.

        size: (height, width) of the part in pixels. row, column: the position of its corner in the picture.
        """
        inside = np.zeros(size, np.uint8)
        for shape in self.shapes:
            # A hole is cut out of its own shape only, so this shape needs its own canvas.
            canvas = np.zeros(size, np.uint8) if shape.holes else inside
            for ring in shape.rings:
                self._fill(canvas, ring, downsample, row, column, 255)
            for hole in shape.holes:
                self._fill(canvas, hole, downsample, row, column, 0)
            if shape.holes:
                inside |= canvas
        return inside

    def fills(self, size: tuple[int, int], downsample: float, row: int = 0, column: int = 0) -> bool:
        """Whether one drawn rectangle contains the whole part. Its mask is then 255 everywhere."""
        height, width = size
        for shape in self.shapes:
            for ring in shape.rings if not shape.holes else ():
                if _is_rectangle(ring):
                    left, top = self._pixels(ring.min(axis=0), downsample)
                    right, bottom = self._pixels(ring.max(axis=0), downsample)
                    if left <= column and top <= row and column + width <= right and row + height <= bottom:
                        return True
        return False

    def _pixels(self, xy: FloatArray, downsample: float) -> FloatArray:
        """The first pixels whose centres are at or beyond the slide positions."""
        return np.ceil((xy - (self.box.x, self.box.y)) / downsample - 0.5)

    def _fill(self, canvas: Mask, ring: FloatArray, downsample: float, row: int, column: int, value: int) -> None:
        """Sets the pixels whose centre is in a ring, by the even-odd rule. The ring may reach beyond the canvas.

        cv2.fillPoly would set every pixel that an edge touches, which makes each shape half a pixel larger.
        """
        height, width = canvas.shape
        corner, end = (column, row), (column + width, row + height)
        left, start = np.clip(self._pixels(ring.min(axis=0), downsample), corner, end).astype(int)
        right, stop = np.clip(self._pixels(ring.max(axis=0), downsample), corner, end).astype(int)
        if _is_rectangle(ring):
            canvas[start - row : stop - row, left - column : right - column] = value
            return
        x, y = ((ring - (self.box.x, self.box.y)) / downsample - 0.5).T
        to_x, to_y = np.roll(x, -1), np.roll(y, -1)
        near = (np.minimum(y, to_y) <= stop) & (np.maximum(y, to_y) >= start)
        x, y, to_x, to_y = x[near], y[near], to_x[near], to_y[near]
        for top in range(start, stop, _BAND_PX):
            bottom = min(top + _BAND_PX, stop)
            first = np.clip(np.ceil(np.minimum(y, to_y)), top, bottom).astype(np.int64)
            last = np.clip(np.ceil(np.maximum(y, to_y)), top, bottom).astype(np.int64)
            rows = last - first
            edge = np.repeat(np.arange(len(x)), rows)
            at = np.arange(len(edge)) + np.repeat(last - np.cumsum(rows), rows)
            crossing = x[edge] + (at - y[edge]) * (to_x - x)[edge] / (to_y - y)[edge]
            crossed = np.clip(np.ceil(crossing), left, right).astype(np.int64) - left
            turns = np.sort((at - top) * (right - left) + crossed)  # inside starts and ends by turns
            runs = np.diff(turns, prepend=0, append=(bottom - top) * (right - left))
            within = np.repeat(np.arange(len(runs)) % 2 > 0, runs).reshape(bottom - top, right - left)
            canvas[top - row : bottom - row, left - column : right - column][within] = value


def _is_rectangle(ring: FloatArray) -> bool:
    """Whether a ring is the four corners of a rectangle along the axes."""
    upright, level = (ring == np.roll(ring, -1, axis=0)).T  # its edges
    return len(ring) == 4 and bool((upright != level).all() and (upright != np.roll(upright, 1)).all())


def regions_of(shapes: Iterable[Shape], width: int, height: int) -> list[Region]:
    """The regions of shapes on a slide of that size. Shapes outside the slide are left out.

    Shapes whose boxes overlap form one region, so that an object in both is counted once.
    """
    regions: list[tuple[Box, tuple[Shape, ...]]] = []
    for shape in shapes:
        box = shape.box.within(width, height)
        if box is None:
            continue
        members: tuple[Shape, ...] = (shape,)
        while overlapping := [region for region in regions if region[0].overlaps(box)]:
            for region in overlapping:
                box, members = box.around(region[0]), region[1] + members
                regions.remove(region)
        regions.append((box, members))
    return [Region(box, members) for box, members in regions]
