"""Histograms of grey values, and thresholds from them."""

from __future__ import annotations

import cv2
import numpy as np

from annohooks.imaging.outlines import FloatArray
from annohooks.imaging.outlines.contours import Mask


def histogram(values: Mask, counted: Mask | None = None) -> FloatArray:
    """The number of pixels of each of the 256 values, float64 [256].

    values: uint8 [h, w]. counted: uint8 [h, w], 0 where a pixel does not count; without it, all pixels count.
    """
    return cv2.calcHist([values], [0], counted, [256], [0, 256]).ravel().astype(np.float64)


def otsu_threshold(counts: FloatArray, min_contrast: float) -> int | None:
    """Otsu's threshold, or None if the means of the two classes are closer than min_contrast.

    counts: of the values from 0. The threshold itself belongs to the lower class. Source: Otsu 1979.
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
    return best if gap[best] >= min_contrast else None
