"""Dark regions on the real picture and on squares, and Otsu's threshold beside that of OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from analysed import class_map
from hypothesis import given
from hypothesis import strategies as st
from skimage import color, filters, morphology

from annohooks.imaging.analyzers.dark_regions import DarkRegions, DarkRegionsParameters
from annohooks.imaging.histograms import histogram, otsu_threshold


def dark(picture, **chosen):
    return class_map(DarkRegions(), picture, 1.0, DarkRegionsParameters(**chosen))


def flat(value):
    return np.full((40, 50, 3), value, np.uint8)


def test_dark_regions_of_tissue_are_those_of_otsu_and_an_opening_by_scikit_image(tissue):
    grey = color.rgb2gray(tissue[..., ::-1])
    theirs = morphology.opening(grey < filters.threshold_otsu(grey), np.ones((3, 3), bool))
    ours = dark(tissue)
    assert ours.dtype == np.uint8
    assert np.unique(ours).tolist() == [0, 1]
    assert ((ours > 0) & theirs).sum() > 0.98 * ((ours > 0) | theirs).sum()
    assert grey[ours > 0].mean() + 60 / 255 < grey[ours == 0].mean()


def test_dark_square_is_found_to_the_pixel_and_specks_of_less_than_three_pixels_are_left_out():
    picture = flat(230)
    picture[10:22, 15:40] = picture[30:33, 2:5] = 60
    inside = picture[..., 0] == 60
    picture[2:4, 10:12] = 60
    assert np.array_equal(dark(picture) > 0, inside)


@pytest.mark.parametrize("threshold", [1, 100, 255])
def test_fixed_threshold_selects_darker_pixels_and_none_as_bright(threshold):
    picture = flat(threshold)
    picture[5:15, 5:15] = threshold - 1
    assert not dark(picture).any()  # too little contrast for Otsu's threshold
    selected = dark(picture, threshold=threshold)
    assert (selected[5:15, 5:15].all(), cv2.countNonZero(selected)) == (True, 100)


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
