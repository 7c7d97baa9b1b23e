"""Dark regions on the real picture, and on squares."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import color, filters, morphology

from annohooks.imaging.analyzers.dark_regions import DarkRegions, DarkRegionsParameters

ANALYZER = DarkRegions()
MPP = 1.0


def found(picture, **chosen):
    parameters = DarkRegionsParameters(**chosen)
    return ANALYZER.class_map(picture, MPP, parameters, ANALYZER.calibrate(picture, MPP, parameters))


def grey(picture):
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)


def flat(value, shape=(40, 50)):
    return np.full((*shape, 3), value, np.uint8)


def test_what_is_found_on_tissue_is_darker_than_the_rest_by_a_wide_margin(tissue):
    mask = found(tissue)
    assert 0.2 < (mask > 0).mean() < 0.8
    assert grey(tissue)[mask > 0].mean() + 60 < grey(tissue)[mask == 0].mean()


def test_what_is_found_on_tissue_is_what_otsu_and_an_opening_by_scikit_image_find(tissue):
    grey_values = color.rgb2gray(tissue[..., ::-1])
    theirs = morphology.opening(grey_values < filters.threshold_otsu(grey_values), np.ones((3, 3), bool))
    ours = found(tissue) > 0
    assert (ours & theirs).sum() > 0.98 * (ours | theirs).sum()


def test_class_map_is_nothing_but_0_and_1(tissue):
    assert found(tissue).dtype == np.uint8
    assert np.unique(found(tissue)).tolist() == [0, 1]


def test_dark_square_on_a_bright_field_is_found_to_the_pixel():
    picture = flat(230)
    picture[10:22, 15:40] = (60, 50, 70)
    expected = np.zeros(picture.shape[:2], np.uint8)
    expected[10:22, 15:40] = 1
    assert np.array_equal(found(picture), expected)


def test_bright_square_on_a_dark_field_is_what_is_left_out():
    picture = flat(60)
    picture[10:22, 15:40] = 230
    mask = found(picture)
    assert not mask[10:22, 15:40].any()
    assert (mask[:10] == 1).all()


def test_empty_glass_gives_nothing(glass):
    assert not found(glass).any()


@pytest.mark.parametrize("value", [0, 128, 255])
def test_picture_of_one_grey_gives_nothing(value):
    assert not found(flat(value)).any()


@pytest.mark.parametrize("threshold", [1, 100, 128, 255])
def test_fixed_threshold_takes_what_is_darker_and_nothing_that_is_as_bright(threshold):
    assert (found(flat(threshold - 1), threshold=threshold) == 1).all()
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
