"""Tissue: pieces of the real picture on glass, beside dust, ink and shadows; dark regions, and Otsu's threshold."""

from __future__ import annotations

import analysed
import cv2
import numpy as np
import pytest
from analysed import InMemory, rectangle, segment
from hypothesis import given
from hypothesis import strategies as st
from skimage import color, filters, morphology

from annohooks.imaging.analyzers.dark_regions import DarkRegions, DarkRegionsParameters
from annohooks.imaging.analyzers.tissue import Tissue, TissueParameters
from annohooks.imaging.histograms import histogram, otsu_threshold
from annohooks.imaging.segmentation import Limits
from local import slides

ANALYZER = Tissue()
MPP = 8.0
HEIGHT, WIDTH = 400, 600
GLASS_BGR = (238, 242, 243)
BLUE, GREEN, BLACK = (150, 50, 30), (70, 120, 20), (25, 22, 24)
PALE_HE, FAINT_COUNTERSTAIN = (228, 208, 232), (236, 226, 224)


def findings(picture, **chosen):
    return segment(InMemory(picture, MPP), None, ANALYZER, TissueParameters(**chosen))


def class_map(picture, **chosen):
    return analysed.class_map(ANALYZER, picture, MPP, TissueParameters(**chosen))


def overlap(mask, truth):
    """Intersection over union."""
    return ((mask > 0) & (truth > 0)).sum() / ((mask > 0) | (truth > 0)).sum()


def disc(x, y, radius):
    return cv2.circle(np.zeros((HEIGHT, WIDTH), np.uint8), (x, y), radius, 1, -1)


def scanned(picture):
    """The picture with a camera's noise, after JPEG compression."""
    noisy = np.clip(picture + np.random.default_rng(5).normal(0, 1.2, picture.shape), 0, 255).astype(np.uint8)
    return cv2.imdecode(cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 85])[1], cv2.IMREAD_COLOR)


@pytest.fixture(scope="module")
def field(tissue):
    """The real picture at 8 um per pixel, mirrored to [400, 600, 3]."""
    return slides.mirrored(tissue.reshape(32, 16, 32, 16, 3).mean(axis=(1, 3)), WIDTH, HEIGHT)


@pytest.fixture
def glass():
    """Brighter in the middle, as lamps are."""
    y, x = np.indices((HEIGHT, WIDTH))
    return np.array(GLASS_BGR) * (1 - 0.03 * np.hypot((x - 300) / 300, (y - 200) / 300) ** 2)[..., None]


PIECES = disc(150, 130, 90) | disc(450, 250, 110)


@pytest.fixture
def slide(glass, field):
    """Two pieces of the real picture on glass."""
    return np.where(PIECES[..., None] > 0, field, glass)


def test_pieces_of_the_real_picture_are_found_where_they_were_put(slide, field):
    assert overlap(class_map(scanned(slide)), PIECES) > 0.95
    result = findings(scanned(slide))
    assert result.object_counts.tolist() == [2]
    assert result.area_um2[0] == pytest.approx(PIECES.sum() * MPP**2, rel=0.05)
    assert class_map(scanned(field)).mean() > 0.95  # a region that is all tissue


@pytest.mark.parametrize("tint", [PALE_HE, FAINT_COUNTERSTAIN], ids=["H&E", "counterstain"])
def test_pale_tissue_is_found_beside_dark_tissue(slide, tint):
    pale = disc(300, 330, 55)
    assert overlap(class_map(scanned(np.where(pale[..., None] > 0, tint, slide))), PIECES | pale) > 0.95


@pytest.mark.parametrize("ink", [BLUE, GREEN, BLACK], ids=["blue", "green", "black"])
def test_ink_on_glass_is_not_tissue_and_over_tissue_hides_only_what_is_under_it(slide, glass, ink):
    cv2.line(slide, (30, 300), (280, 380), ink, 9, cv2.LINE_AA)
    cv2.circle(slide, (300, 60), 40, ink, 7, cv2.LINE_AA)
    assert overlap(class_map(scanned(slide)), PIECES) > 0.95
    cv2.line(slide, (100, 20), (220, 260), ink, 7, cv2.LINE_AA)
    assert overlap(class_map(scanned(slide)), PIECES) > 0.85
    assert not class_map(scanned(glass)).any()
    cv2.line(glass, (30, 300), (280, 380), ink, 9, cv2.LINE_AA)
    assert not class_map(scanned(glass)).any()


def test_blue_and_green_may_be_stains(glass):
    dyed = scanned(cv2.circle(glass, (300, 200), 80, (180, 140, 60), -1))
    assert not class_map(dyed).any()
    assert overlap(class_map(dyed, ink="kept"), disc(300, 200, 80)) > 0.95


def test_dust_shadow_cover_slip_and_unscanned_areas_are_not_tissue(slide):
    random = np.random.default_rng(2)
    for x, y, radius in random.integers((0, 0, 1), (WIDTH, HEIGHT, 4), (80, 3)).tolist():
        cv2.circle(slide, (x, y), radius, (90, 95, 100), -1, cv2.LINE_AA)
    cv2.line(slide, (580, 0), (583, HEIGHT), (120, 122, 125), 4, cv2.LINE_AA)
    slide[:, 584:] *= 0.9
    slide[:20] = 255
    slide[-20:] = 0
    assert overlap(class_map(scanned(slide)), PIECES) > 0.95


def test_unscanned_white_is_not_taken_for_the_glass(slide):
    """60 % of the slide, and glass with a tint that white lacks."""
    tinted = np.clip(slide * (0.94, 0.96, 1.0), 0, 254)
    unscanned = np.pad(tinted, ((0, HEIGHT * 3 // 2), (0, 0), (0, 0)), constant_values=255).astype(np.uint8)
    glass = ANALYZER.calibrate(unscanned, MPP, TissueParameters()).density
    assert glass == pytest.approx(ANALYZER.calibrate(tinted.astype(np.uint8), MPP, TissueParameters()).density)
    assert overlap(class_map(unscanned)[:HEIGHT], PIECES) > 0.95


def test_small_pieces_are_left_out_and_small_holes_filled(glass):
    """Small: a disc of 50,000 um2 has a radius of 16 px, a hole of 20,000 um2 one of 10."""
    for x, y, radius in ((60, 60, 11), (60, 200, 22), (300, 200, 90)):
        cv2.circle(glass, (x, y), radius, PALE_HE, -1)
    cv2.circle(glass, (270, 200), 8, GLASS_BGR, -1)
    cv2.circle(glass, (330, 200), 22, GLASS_BGR, -1)
    result = findings(scanned(glass))
    assert result.object_counts.tolist() == [2]
    assert (~result.outlines.is_outer).sum() == 1
    assert findings(scanned(glass), smallest_um2=10_000).object_counts.tolist() == [3]


def test_more_sensitivity_finds_paler_tissue(glass):
    pale = cv2.circle(glass, (300, 200), 80, (238, 236, 236), -1)
    pale = cv2.circle(pale, (100, 100), 60, PALE_HE, -1)
    areas = [class_map(scanned(pale), sensitivity=sensitivity).sum() for sensitivity in (0.5, 1, 2)]
    assert areas[0] <= areas[1] < areas[2]


@pytest.mark.parametrize("mpp", [4.0, 11.0, 45.0])
def test_pieces_in_tiles_are_those_in_one_picture(slide, mpp):
    picture = scanned(slide)

    class Fixed(Tissue):
        def calibrate(self, sample, mpp, parameters):
            return ANALYZER.calibrate(picture, mpp, parameters)

    memory, region = InMemory(picture, mpp), rectangle(7, 3, 590, 391)
    parameters = TissueParameters(smallest_um2=100 * mpp**2)
    whole = segment(memory, region, Fixed(), parameters)
    assert len(memory.read) == 1
    analysed.assert_same(segment(memory, region, Fixed(), parameters, Limits(230)), whole)
    assert len(memory.read) > 1 + 4


# Dark regions


def dark(picture, **chosen):
    return analysed.class_map(DarkRegions(), picture, 1.0, DarkRegionsParameters(**chosen))


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


@pytest.mark.parametrize("threshold", [5, 100, 255])
def test_fixed_threshold_selects_darker_pixels_and_none_as_bright(threshold):
    picture = flat(threshold)
    picture[5:15, 5:15] = threshold - 1
    selected = dark(picture, threshold=threshold)
    assert (selected[5:15, 5:15].all(), cv2.countNonZero(selected)) == (True, 100)
    picture[5:15, 5:15] = threshold - 5
    assert not dark(picture).any()  # too little contrast for Otsu's threshold


@given(st.integers(0, 2**32 - 1), st.floats(20, 120), st.floats(135, 240), st.floats(0.05, 0.95), st.floats(2, 25))
def test_threshold_is_that_of_opencv(seed, dark, bright, share, noise):
    random = np.random.default_rng(seed)
    means = np.where(random.random((90, 110)) < share, dark, bright)
    values = np.clip(random.normal(means, noise), 0, 255).astype(np.uint8)
    threshold = otsu_threshold(histogram(values), min_contrast=0)
    theirs, _ = cv2.threshold(values, 0, 255, cv2.THRESH_OTSU)
    assert np.array_equal(values > threshold, values > theirs)


def test_histogram_counts_each_value():
    counts = histogram(np.array([[0, 0, 255], [7, 255, 255]], np.uint8))
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
