"""Dark regions on the real picture, and Otsu's threshold beside OpenCV's own."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annohooks.imaging.analyzers.base import histogram, otsu_threshold
from annohooks.imaging.analyzers.dark_regions import DarkRegions, DarkRegionsParameters

ANALYZER = DarkRegions()
MPP = 1.0


def found(picture, **chosen):
    parameters = DarkRegionsParameters(**chosen)
    return ANALYZER.mask(picture, MPP, parameters, ANALYZER.calibrate(picture, MPP, parameters))


def grey(picture):
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)


def flat(value, shape=(40, 50)):
    return np.full((*shape, 3), value, np.uint8)


def test_what_is_found_on_tissue_is_darker_than_the_rest_by_a_wide_margin(tissue):
    mask = found(tissue)
    assert 0.2 < (mask > 0).mean() < 0.8
    assert grey(tissue)[mask > 0].mean() + 60 < grey(tissue)[mask == 0].mean()


def test_mask_is_nothing_but_0_and_255(tissue):
    assert np.unique(found(tissue)).tolist() == [0, 255]


def test_dark_square_on_a_bright_field_is_found_to_the_pixel():
    picture = flat(230)
    picture[10:22, 15:40] = (60, 50, 70)
    expected = np.zeros(picture.shape[:2], np.uint8)
    expected[10:22, 15:40] = 255
    assert np.array_equal(found(picture), expected)


def test_bright_square_on_a_dark_field_is_what_is_left_out():
    picture = flat(60)
    picture[10:22, 15:40] = 230
    mask = found(picture)
    assert not mask[10:22, 15:40].any()
    assert (mask[:10] == 255).all()


def test_empty_glass_gives_nothing(glass):
    assert not found(glass).any()


@pytest.mark.parametrize("value", [0, 128, 255])
def test_picture_of_one_grey_gives_nothing(value):
    assert not found(flat(value)).any()


@pytest.mark.parametrize("threshold", [1, 100, 128, 255])
def test_fixed_threshold_takes_what_is_darker_and_nothing_that_is_as_bright(threshold):
    assert (found(flat(threshold - 1), threshold=threshold) == 255).all()
    assert not found(flat(threshold), threshold=threshold).any()


def test_fixed_threshold_finds_dark_areas_where_otsu_finds_none():
    picture = flat(100)
    picture[5:15, 5:15] = 95
    assert not found(picture).any()
    assert cv2.countNonZero(found(picture, threshold=97)) == 100


def test_specks_of_less_than_three_pixels_across_are_left_out():
    picture = flat(230)
    picture[10:12, 10:12] = picture[20:23, 20:23] = 40
    assert cv2.countNonZero(found(picture)) == 9


@given(st.integers(0, 2**32 - 1), st.floats(20, 120), st.floats(135, 240), st.floats(0.05, 0.95), st.floats(2, 25))
def test_threshold_is_otsus_as_opencv_has_it(seed, dark, bright, share, noise):
    random = np.random.default_rng(seed)
    means = np.where(random.random((90, 110)) < share, dark, bright)
    values = np.clip(random.normal(means, noise), 0, 255).astype(np.uint8)
    threshold = otsu_threshold(histogram(values), least_contrast=0)
    theirs, _ = cv2.threshold(values, 0, 255, cv2.THRESH_OTSU)
    assert np.array_equal(values > threshold, values > theirs)


def test_histogram_counts_every_value():
    values = np.array([[0, 0, 255], [7, 255, 255]], np.uint8)
    counts = histogram(values)
    assert counts.shape == (256,)
    assert (counts[0], counts[7], counts[255], counts.sum()) == (2, 1, 3, 6)


@given(st.integers(0, 255), st.integers(0, 255), st.integers(1, 50), st.floats(0, 260))
def test_threshold_exists_when_the_two_classes_are_far_enough_apart(one, other, ones, least_contrast):
    values = np.full((10, 10), other, np.uint8)
    values.ravel()[:ones] = one
    threshold = otsu_threshold(histogram(values), least_contrast)
    if one != other and abs(one - other) >= least_contrast:
        assert min(one, other) <= threshold < max(one, other)
    else:
        assert threshold is None
