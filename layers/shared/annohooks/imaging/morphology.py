"""Structuring elements whose size is given in micrometres."""

from __future__ import annotations

import cv2
import numpy as np

from annohooks.imaging.outlines.contours import Mask


def disc(diameter_um: float, mpp: float) -> Mask:
    """A disc as structuring element, 0 or 1, an odd number of pixels wide. mpp: micrometres per pixel."""
    size = round(diameter_um / mpp) | 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)).astype(np.uint8, copy=False)
