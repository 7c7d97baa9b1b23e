"""The rings of a mask, and their sizes in pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.outlines import BoolArray, IntArray, Outlines, next_vertices

Mask = NDArray[np.uint8]
"""uint8 [height, width]; 0 is background, 255 is object."""


def outlines(mask: Mask) -> Outlines:
    """The outer rings of the mask's objects, and their holes with the outer ring as parent, in pixels of the mask.

    Objects are 8-connected and holes 4-connected; background that touches the border of the mask is not a hole. A
    vertex is the index of an object's pixel; `placed` converts it to slide pixels. A ring has a vertex where its
    direction changes: an object of one pixel has one vertex, and a line one pixel wide has two.
    Source: Suzuki and Abe 1985 (cv2.findContours, two levels).
    """
    rings, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return Outlines.from_rings(rings, hierarchy[0, :, 3]) if rings else Outlines.empty()


def enclosed_px(rings: Outlines) -> NDArray[np.int64]:
    """The number of pixels within each ring of `outlines`, int64 [M].

    An outer ring's own pixels count. A hole's ring consists of pixels of the object, which do not count.
    Source: Pick 1899, the points of a lattice within a polygon of lattice points.
    """
    if not len(rings):
        return np.empty(0, np.int64)
    step = next_vertices(rings.xy, rings.offsets)
    step -= rings.xy
    np.abs(step, out=step)
    border_px = np.add.reduceat(np.maximum(step[:, 0], step[:, 1]), rings.offsets[:-1], dtype=np.int64)
    within = np.rint(rings.areas() - border_px / 2 + 1).astype(np.int64)
    return np.where(rings.is_outer, within + border_px, within)


def object_px(parent: IntArray, enclosed: NDArray[np.int64], filled: BoolArray) -> NDArray[np.int64]:
    """The number of pixels of each ring's object, int64 [M]. A hole belongs to the object that it lies in.

    parent: of the rings. enclosed: as `enclosed_px` returns it. filled: bool [M], the holes that count as filled.
    """
    pixels, holes = enclosed.copy(), parent >= 0
    np.subtract.at(pixels, parent[holes & ~filled], enclosed[holes & ~filled])
    pixels[holes] = pixels[parent[holes]]
    return pixels


def sized(mask: Mask, smallest_px: float, largest_px: float, smallest_hole_px: float) -> Mask:
    """The mask with only the objects of smallest_px to largest_px pixels, and with their small holes filled.

    A small hole encloses fewer pixels than smallest_hole_px and than smallest_px; what lies in it is filled too.
    """
    rings = outlines(mask)
    enclosed = enclosed_px(rings)
    filled = ~rings.is_outer & (enclosed < min(smallest_hole_px, smallest_px))
    pixels = object_px(rings.parent, enclosed, filled)
    keep = (pixels >= smallest_px) & (pixels <= largest_px)
    sized = mask.copy()
    for selected, value in ((~keep, 0), (keep & filled, 255)):
        if selected.any():
            cv2.fillPoly(sized, [rings.ring(index) for index in np.flatnonzero(selected).tolist()], value)
    return sized


def placed(rings: Outlines, x: int, y: int, downsample: int) -> Outlines:
    """Outlines in pixel indices of a picture, converted to slide pixels.

    x, y: slide position of the picture's corner. downsample: slide pixels per picture pixel. A vertex is the centre of
    a pixel, half a pixel from its corner; it becomes the slide pixel that contains this centre.
    """
    xy = rings.xy * np.int32(downsample)
    xy[:, 0] += x + downsample // 2
    xy[:, 1] += y + downsample // 2
    return Outlines(xy, rings.offsets, rings.parent)
