"""Dark regions on the real picture, and on squares."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from analysed import class_map
from skimage import color, filters, morphology

from annohooks.imaging.analyzers.dark_regions import DarkRegions, DarkRegionsParameters


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


@pytest.mark.parametrize(("background", "square", "is_dark"), [(230, 60, True), (60, 230, False)])
def test_darker_of_a_square_and_its_background_is_found_to_the_pixel(background, square, is_dark):
    picture = flat(background)
    picture[10:22, 15:40] = square
    inside = np.zeros(picture.shape[:2], bool)
    inside[10:22, 15:40] = True
    mask = dark(picture) > 0
    assert (mask[inside] == is_dark).all()
    assert (mask[:9] != is_dark).all()
    assert not is_dark or np.array_equal(mask, inside)


def test_empty_glass_has_no_dark_regions(glass):
    assert not dark(glass).any()


@pytest.mark.parametrize("threshold", [1, 100, 255])
def test_fixed_threshold_selects_darker_pixels_and_none_as_bright(threshold):
    assert (dark(flat(threshold - 1), threshold=threshold) == 1).all()
    assert not dark(flat(threshold), threshold=threshold).any()


def test_fixed_threshold_finds_dark_areas_of_too_little_contrast_for_otsu():
    picture = flat(100)
    picture[5:15, 5:15] = 95
    assert not dark(picture).any()
    assert cv2.countNonZero(dark(picture, threshold=97)) == 100


def test_specks_of_less_than_three_pixels_across_are_left_out():
    picture = flat(230)
    picture[10:12, 10:12] = picture[20:23, 20:23] = 40
    assert cv2.countNonZero(dark(picture)) == 9
