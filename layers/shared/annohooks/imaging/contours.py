"""A mask to its outlines."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.outlines import BoolArray, Outlines

Mask = NDArray[np.uint8]
"""uint8 [height, width]; 0 is background, 255 object."""


def sized(mask: Mask, smallest_px: float, largest_px: float, smallest_hole_px: float) -> Mask:
    """The mask with only the objects of smallest_px to largest_px pixels, and holes below smallest_hole_px filled.

    Objects are 8-connected, holes 4-connected; what touches the border of the mask is no hole. Counting pixels before
    tracing keeps specks out of the outlines, where the nesting of hundreds of thousands of them costs seconds.
    """
    if smallest_hole_px > 1:
        labels, stats = _components(255 - mask, connectivity=4)
        left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
        right, bottom = left + stats[:, cv2.CC_STAT_WIDTH], top + stats[:, cv2.CC_STAT_HEIGHT]
        enclosed = (left > 0) & (top > 0) & (right < mask.shape[1]) & (bottom < mask.shape[0])
        mask = mask | _painted(labels, enclosed & (stats[:, cv2.CC_STAT_AREA] < smallest_hole_px))
    labels, stats = _components(mask, connectivity=8)
    pixels = stats[:, cv2.CC_STAT_AREA]
    return _painted(labels, (pixels >= smallest_px) & (pixels <= largest_px))


def _components(mask: Mask, connectivity: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Labels [height, width] and statistics [labels, 5] of the connected components; 0 is what the mask leaves out."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=connectivity, ltype=cv2.CV_32S)
    return labels.astype(np.int32, copy=False), stats.astype(np.int32, copy=False)


def _painted(labels: NDArray[np.int32], keep: BoolArray) -> Mask:
    """The mask of the labels to keep."""
    value = keep.astype(np.uint8) * np.uint8(255)
    value[0] = 0
    return value[labels]


def outlines(mask: Mask) -> Outlines:
    """Outlines of the mask's objects, holes linked to the object they lie in, in pixel indices of the mask.

    A vertex is the index of a boundary pixel; `mapped` takes it to the slide. Rings of fewer than three vertices
    (a line one pixel wide) enclose nothing and are left out.
    Source: Suzuki and Abe 1985 (cv2.findContours, two levels).
    """
    rings, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not rings:
        return Outlines.empty()
    found = Outlines.from_rings(rings, hierarchy[0, :, 3])
    return found.take(found.counts >= 3)


def mapped(found: Outlines, x: int, y: int, downsample: float) -> Outlines:
    """Outlines in pixel indices of a picture, in slide pixels.

    x, y: slide position of the picture's corner; downsample: slide pixels per picture pixel. A vertex is a pixel's
    centre, half a pixel from its corner; it goes to the slide pixel that holds it.
    """
    centres = (found.xy + 0.5) * downsample + (x, y)
    return Outlines(np.floor(centres).astype(np.int32), found.offsets, found.parent)
