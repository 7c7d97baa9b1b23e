"""Where on the slide to look: boxes, and shapes inside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.contours import Mask
from annohooks.imaging.outlines import FloatArray

_SUBPIXEL_BITS = 4
_FARTHEST_PX = 2**26  # of a vertex from the picture, so that its position fits 32 bits with the bits above
_FARTHEST_PX = 2**26  # what cv2.fillPoly takes, with the bits above


class Box(NamedTuple):
    """A rectangle in slide pixels, half open: x <= column < x + width."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + self.height

    def overlaps(self, other: Box) -> bool:
        return self.x < other.right and other.x < self.right and self.y < other.bottom and other.y < self.bottom

    def around(self, other: Box) -> Box:
        """The smallest box that holds both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        return Box(x, y, max(self.right, other.right) - x, max(self.bottom, other.bottom) - y)

    def within(self, width: int, height: int) -> Box | None:
        """The part on a slide of that size; None when nothing is left."""
        x, y = max(self.x, 0), max(self.y, 0)
        right, bottom = min(self.right, width), min(self.bottom, height)
        return Box(x, y, right - x, bottom - y) if right > x and bottom > y else None


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """One drawn shape: rings [k, 2] that are in, and rings cut out of them, in slide pixels."""

    rings: tuple[FloatArray, ...]
    holes: tuple[FloatArray, ...] = ()

    @property
    def box(self) -> Box:
        corners = np.concatenate(self.rings)
        x, y = np.floor(corners.min(axis=0)).astype(int)
        right, bottom = np.ceil(corners.max(axis=0)).astype(int)
        return Box(int(x), int(y), int(right - x), int(bottom - y))


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """What is analysed in one piece: a box on the slide, and the shapes in it that count."""

    box: Box
    shapes: tuple[Shape, ...]

    def mask(self, size: tuple[int, int], downsample: float) -> Mask:
        """The shapes drawn on a picture of the box, edges included; size: (height, width) of the picture in pixels."""
        inside = np.zeros(size, np.uint8)
        for shape in self.shapes:
            drawn = np.zeros(size, np.uint8)
            self._fill(drawn, shape.rings, 255, downsample)
            self._fill(drawn, shape.holes, 0, downsample)
            inside |= drawn
        return inside

    def _fill(self, canvas: Mask, rings: Sequence[FloatArray], value: int, downsample: float) -> None:
        for ring in rings:
            centres = (ring - (self.box.x, self.box.y)) / downsample - 0.5
            near = np.clip(centres, -_FARTHEST_PX, _FARTHEST_PX)
            fixed: NDArray[np.int32] = np.rint(near * (1 << _SUBPIXEL_BITS)).astype(np.int32)
            cv2.fillPoly(canvas, [fixed], value, shift=_SUBPIXEL_BITS)


def joined(shapes: Iterable[Shape], width: int, height: int) -> list[Region]:
    """Regions on a slide of that size; shapes whose boxes overlap form one, so that nothing in both counts twice.

    Shapes that lie off the slide are left out.
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
