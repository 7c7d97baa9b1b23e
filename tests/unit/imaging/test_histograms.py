"""Otsu's threshold beside that of OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from annohooks.imaging.histograms import histogram, otsu_threshold


@given(st.integers(0, 2**32 - 1), st.floats(20, 120), st.floats(135, 240), st.floats(0.05, 0.95), st.floats(2, 25))
def test_threshold_is_that_of_opencv(seed, dark, bright, share, noise):
    random = np.random.default_rng(seed)
    means = np.where(random.random((90, 110)) < share, dark, bright)
    values = np.clip(random.normal(means, noise), 0, 255).astype(np.uint8)
    threshold = otsu_threshold(histogram(values), min_contrast=0)
    theirs, _ = cv2.threshold(values, 0, 255, cv2.THRESH_OTSU)
    assert np.array_equal(values > threshold, values > theirs)


def test_histogram_counts_each_value():
    values = np.array([[0, 0, 255], [7, 255, 255]], np.uint8)
    counts = histogram(values)
    assert counts.shape == (256,)
    assert (counts[0], counts[7], counts[255], counts.sum()) == (2, 1, 3, 6)


@given(st.integers(0, 255), st.integers(0, 255), st.integers(1, 50), st.floats(0, 260))
def test_threshold_exists_if_the_contrast_is_high_enough(one, other, ones, min_contrast):
    values = np.full((10, 10), other, np.uint8)
    values.ravel()[:ones] = one
    threshold = otsu_threshold(histogram(values), min_contrast)
    if one != other and abs(one - other) >= min_contrast:
        assert min(one, other) <= threshold < max(one, other)
    else:
        assert threshold is None
