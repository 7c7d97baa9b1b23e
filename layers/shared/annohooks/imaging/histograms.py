"""How pixels spread over the grey values, and where to part them."""

from __future__ import annotations

import cv2
import numpy as np

from annohooks.imaging.outlines import FloatArray
from annohooks.imaging.outlines.contours import Mask


def histogram(values: Mask, counted: Mask | None = None) -> FloatArray:
    """How many pixels have each of the 256 values, float64 [256].

    values: uint8 [h, w]. counted: uint8 [h, w], 0 where a pixel does not count; all do when left out.
    """
    return cv2.calcHist([values], [0], counted, [256], [0, 256]).ravel().astype(np.float64)


def otsu_threshold(counts: FloatArray, least_contrast: float) -> int | None:
    """Otsu's threshold, or None when the two classes' means are closer than least_contrast: nothing stands out.

    counts: of the values from 0 on. The lower class is up to and with the threshold. Source: Otsu 1979.
    """
    value = np.arange(len(counts))
    below, below_sum = np.cumsum(counts), np.cumsum(counts * value)
    above, above_sum = below[-1] - below, below_sum[-1] - below_sum
    valid = (below > 0) & (above > 0)
    if not valid.any():
        return None
    gap = np.zeros(len(counts))
    gap[valid] = above_sum[valid] / above[valid] - below_sum[valid] / below[valid]
    best = int(np.argmax(below * above * gap**2))
    return best if gap[best] >= least_contrast else None
