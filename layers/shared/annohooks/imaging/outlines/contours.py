"""A mask to its rings, and their sizes in pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.outlines import BoolArray, IntArray, Outlines, following

Mask = NDArray[np.uint8]
"""uint8 [height, width]; 0 is background, 255 object."""


def outlines(mask: Mask) -> Outlines:
    """Outer rings of the mask's objects and their holes, linked, in pixel indices of the mask.

    Objects are 8-connected, holes 4-connected; what touches the border of the mask is no hole. A vertex is the index of
    an object's pixel; `mapped` takes it to the slide. Vertices stand where the direction changes, so an object that is
    one pixel has one, and a line one pixel wide two.
    Source: Suzuki and Abe 1985 (cv2.findContours, two levels).
    """
    rings, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return Outlines.from_rings(rings, hierarchy[0, :, 3]) if rings else Outlines.empty()


def enclosed_px(rings: Outlines) -> NDArray[np.int64]:
    """Pixels within each ring of `outlines`, int64 [M]: of an outer ring its own too, of a hole without.

    Source: Pick 1899, the points of a lattice within a polygon of lattice points.
    """
    if not len(rings):
        return np.empty(0, np.int64)
    step = following(rings.xy, rings.offsets)
    step -= rings.xy
    np.abs(step, out=step)
    border_px = np.add.reduceat(np.maximum(step[:, 0], step[:, 1]), rings.offsets[:-1], dtype=np.int64)
    within = np.rint(rings.areas() - border_px / 2 + 1).astype(np.int64)
    return np.where(rings.is_outer, within + border_px, within)


def object_px(parent: IntArray, enclosed: NDArray[np.int64], filled: BoolArray) -> NDArray[np.int64]:
    """Pixels of the object of each ring, a hole's being the one it lies in, int64 [M].

    parent: of the rings. enclosed: of enclosed_px. filled: bool [M], the holes that count as filled.
    """
    pixels, holes = enclosed.copy(), parent >= 0
    np.subtract.at(pixels, parent[holes & ~filled], enclosed[holes & ~filled])
    pixels[holes] = pixels[parent[holes]]
    return pixels


def sized(mask: Mask, smallest_px: float, largest_px: float, smallest_hole_px: float) -> Mask:
    """The mask with only the objects of smallest_px to largest_px pixels, and the holes of these filled that enclose
    fewer than smallest_hole_px and than smallest_px, with whatever lies in them."""
    rings = outlines(mask)
    enclosed = enclosed_px(rings)
    filled = ~rings.is_outer & (enclosed < min(smallest_hole_px, smallest_px))
    pixels = object_px(rings.parent, enclosed, filled)
    keep = (pixels >= smallest_px) & (pixels <= largest_px)
    sized = mask.copy()
    for drawn, value in ((~keep, 0), (keep & filled, 255)):
        if drawn.any():
            cv2.fillPoly(sized, [rings.ring(index) for index in np.flatnonzero(drawn).tolist()], value)
    return sized


def mapped(found: Outlines, x: int, y: int, downsample: int) -> Outlines:
    """Outlines in pixel indices of a picture, in slide pixels.

    x, y: slide position of the picture's corner; downsample: slide pixels per picture pixel. A vertex is a pixel's
    centre, half a pixel from its corner; it goes to the slide pixel that holds it.
    """
    xy = found.xy * np.int32(downsample)
    xy[:, 0] += x + downsample // 2
    xy[:, 1] += y + downsample // 2
    return Outlines(xy, found.offsets, found.parent)
