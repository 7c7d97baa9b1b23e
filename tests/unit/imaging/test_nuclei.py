"""Nuclei on the real picture, and on discs of a stain's colour."""

from __future__ import annotations

import math
from unittest import mock

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage, spatial
from skimage import color, feature, filters, measure, morphology, segmentation

from annohooks.imaging import nucleus_masks, stains
from annohooks.imaging.analyzers.nuclei import Nuclei, NucleiParameters
from annohooks.imaging.outlines import contours

ANALYZER = Nuclei()
MPP = 0.5
HEMATOXYLIN_BGR = (0.286, 0.704, 0.650)
DAB_BGR = (0.776, 0.570, 0.268)


def found(picture, stain="H-DAB", **chosen):
    parameters = NucleiParameters(stain=stain, **chosen)
    return ANALYZER.class_map(picture, MPP, parameters, ANALYZER.calibrate(picture, MPP, parameters))


def number(mask):
    """Objects, where touching at a corner is touching."""
    return cv2.connectedComponents(mask, connectivity=8)[0] - 1


def stained(discs, color=HEMATOXYLIN_BGR, side=160):
    """Discs (x, y, radius in pixels) of one stain on bright glass, uint8 BGR."""
    y, x = np.indices((side, side))
    amount = np.zeros((side, side))
    for column, row, radius in discs:
        amount[np.hypot(x - column, y - row) <= radius] = 0.7
    return np.rint(240 * 10 ** -(amount[..., None] * np.array(color))).astype(np.uint8)


@pytest.fixture(scope="module")
def nuclei(tissue):
    return found(tissue)


@pytest.fixture(scope="module")
def nuclei_of_scikit_image(tissue):
    """Another way: a local threshold of its hematoxylin, watershed of the distance to the edge; int [h, w]."""
    amount = color.separate_stains(tissue[..., ::-1], color.hdx_from_rgb)[..., 0]
    amount = filters.gaussian(amount, 1.5)
    dark = (amount > filters.threshold_otsu(amount)) & (amount > filters.threshold_local(amount, 65))
    dark = morphology.remove_small_objects(morphology.opening(dark, morphology.disk(1)), max_size=32)
    depth = filters.gaussian(ndimage.distance_transform_edt(dark), 1)
    seeds = np.zeros(dark.shape, int)
    peaks = feature.peak_local_max(depth, min_distance=5, labels=measure.label(dark))
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return segmentation.watershed(-depth, seeds, mask=dark)


def test_pixels_of_nuclei_are_those_that_scikit_image_finds(nuclei, nuclei_of_scikit_image):
    theirs = nuclei_of_scikit_image > 0
    overlap = ((nuclei > 0) & theirs).sum() / ((nuclei > 0) | theirs).sum()
    assert overlap == pytest.approx(0.9, abs=0.01)  # as docs/analyzers.md has it


def test_nuclei_are_about_as_many_as_scikit_image_tells_apart_and_where_it_does(nuclei, nuclei_of_scikit_image):
    ours = measure.label(contours.sized(nuclei * 255, 8 / MPP**2, math.inf, 0), connectivity=2)
    centres = [np.array([each.centroid for each in measure.regionprops(one)]) for one in (ours, nuclei_of_scikit_image)]
    assert [len(each) for each in centres] == pytest.approx([359, 359], abs=3)  # as docs/analyzers.md has it
    to_theirs, to_ours = (spatial.KDTree(there).query(here)[0] * MPP for here, there in (centres, centres[::-1]))
    assert (to_theirs < 4).mean() > 0.8
    assert (to_ours < 4).mean() > 0.8


def test_class_map_is_nothing_but_0_and_1(nuclei):
    assert nuclei.dtype == np.uint8
    assert np.unique(nuclei).tolist() == [0, 1]


def test_nuclei_have_the_size_of_nuclei(nuclei):
    areas_um2 = cv2.connectedComponentsWithStats(nuclei)[2][1:, cv2.CC_STAT_AREA] * MPP**2
    assert 20 < np.median(areas_um2) < 70
    assert areas_um2.mean() < 80


def test_nuclei_hold_more_hematoxylin_than_the_rest(tissue, nuclei):
    hematoxylin = stains.amounts(tissue, "H-DAB")[0]
    assert hematoxylin[nuclei > 0].mean() > 3 * hematoxylin[nuclei == 0].mean()


def test_nuclei_stained_brown_hold_more_dab_than_the_rest(tissue):
    brown = found(tissue, marker="DAB")
    amount = stains.amounts(tissue, "H-DAB")[1]
    assert number(brown) > 50
    assert amount[brown > 0].mean() > 1.5 * amount[brown == 0].mean()


def test_every_object_becomes_one_outline(nuclei):
    enclosing = contours.sized(nuclei * 255, 9, math.inf, 0)
    assert contours.outlines(enclosing).is_outer.sum() >= 0.9 * number(enclosing)


def test_empty_glass_gives_nothing(glass):
    for stain in ("H&E", "H-DAB"):
        assert not found(glass, stain).any()


@pytest.mark.parametrize("marker", ["hematoxylin", "DAB", "either"])
def test_picture_of_one_colour_gives_nothing(marker):
    assert not found(np.full((90, 80, 3), 128, np.uint8), marker=marker).any()


@pytest.mark.parametrize("stain", ["H&E", "H-DAB"])
@pytest.mark.parametrize("radius", [6, 9, 12])
def test_discs_are_as_many_objects_of_about_their_size(stain, radius):
    mask = found(stained([(x, y, radius) for x in (30, 80, 130) for y in (30, 80, 130)]), stain)
    assert number(mask) == 9
    assert math.sqrt(cv2.countNonZero(mask) / 9 / math.pi) == pytest.approx(radius, abs=0.5)


@pytest.mark.parametrize("degrees", range(0, 180, 15))
@pytest.mark.parametrize("apart", [1.85, 1.9, 1.95])
def test_two_discs_that_touch_are_split_in_two_of_about_their_size(degrees, apart):
    radius, angle = 10, math.radians(degrees)
    right, down = math.cos(angle) * apart * radius / 2, math.sin(angle) * apart * radius / 2
    mask = found(stained([(80 + right, 80 + down, radius), (80 - right, 80 - down, radius)]))
    without_crumbs_of_the_cut = contours.sized(mask * 255, NucleiParameters().smallest_um2 / MPP**2, math.inf, 0)
    assert number(without_crumbs_of_the_cut) == 2
    areas = cv2.connectedComponentsWithStats(without_crumbs_of_the_cut, connectivity=8)[2][1:, cv2.CC_STAT_AREA]
    assert min(areas) > 0.9 * max(areas)
    assert sum(areas) > 0.85 * 2 * math.pi * radius**2
    assert contours.outlines(without_crumbs_of_the_cut).is_outer.tolist() == [True, True]


def test_discs_in_a_row_are_told_apart():
    assert number(found(stained([(20 + 17 * k, 80 + k % 2, 9) for k in range(8)]))) == 8


def test_a_long_nucleus_is_not_split():
    assert number(found(stained([(80 + step, 80, 6) for step in range(-12, 13)]))) == 1


def test_pen_marks_do_not_hide_the_nuclei():
    picture = stained([(x, y, 9) for x in (30, 80, 130) for y in (30, 80, 130)])
    picture[:12] = 10
    assert number(found(picture)[14:]) == 9


def test_brown_discs_are_found_only_when_brown_marks_nuclei():
    blue, brown = stained([(40, 80, 9)]), stained([(120, 80, 9)], DAB_BGR)
    both = np.minimum(blue, brown)
    assert number(found(both, marker="either")) == 2
    by_blue, by_brown = found(both, marker="hematoxylin"), found(both, marker="DAB")
    assert (by_blue[80, 40], by_blue[80, 120]) == (1, 0)
    assert (by_brown[80, 40], by_brown[80, 120]) == (0, 1)


def test_dark_brown_nuclei_do_not_hide_pale_blue_ones():
    """Each stain has a threshold of its own."""
    brown = stained([(x, y, 9) for x in (30, 80, 130) for y in (30, 80)], DAB_BGR)
    blue = 255 * (stained([(x, 130, 9) for x in (30, 80, 130)]) / 255) ** 0.4
    brown = 255 * (brown / 255) ** 1.8
    both = np.minimum(blue, brown).astype(np.uint8)
    assert number(found(both, marker="either")) == 9


def test_marker_does_not_matter_in_eosin(tissue):
    assert np.array_equal(found(tissue, "H&E", marker="DAB"), found(tissue, "H&E", marker="hematoxylin"))


def test_more_separation_splits_more(tissue):
    numbers = [number(found(tissue, separation=separation)) for separation in (0.3, 0.5, 0.7, 0.9)]
    assert numbers == sorted(set(numbers))


def test_more_sensitivity_finds_more(tissue):
    areas = [cv2.countNonZero(found(tissue, sensitivity=sensitivity)) for sensitivity in (0.4, 0.7, 1, 1.5, 3)]
    assert areas == sorted(set(areas))


@settings(deadline=None)
@given(
    arrays.arrays(np.uint8, (12, 14), elements=st.sampled_from([0, 0, 255])),
    st.sampled_from([0.3, 0.75, 0.98]),
    st.sampled_from([0.25, 0.5]),
)
def test_splitting_only_takes_pixels_away_and_loses_no_object(blobs, separation, mpp):
    coarse = cv2.resize(blobs, None, fx=6, fy=6, interpolation=cv2.INTER_NEAREST)
    picture = np.rint(240 * 10 ** -((coarse > 0)[..., None] * 0.7 * np.array(HEMATOXYLIN_BGR))).astype(np.uint8)
    parameters = NucleiParameters(stain="H-DAB", separation=separation)
    with mock.patch.object(nucleus_masks, "_split", wraps=nucleus_masks._split) as splitting:
        split = ANALYZER.class_map(picture, mpp, parameters, (0.24,))
    whole = splitting.call_args.args[0]
    assert set(np.unique(split)) <= {0, 1}
    assert (whole[split > 0] > 0).all()
    _, labels = cv2.connectedComponents(whole, connectivity=8)
    assert np.array_equal(np.unique(labels[split > 0]), np.arange(1, labels.max() + 1))


@pytest.fixture(scope="module")
def field():
    """uint8 BGR [600, 600, 3]: 225 nuclei of radius 7 px, blurred, on stroma that takes some hematoxylin up."""
    drawn = np.full((600, 600, 3), (215.0, 160.0, 195.0), np.float32)
    for x in range(20, 600, 40):
        for y in range(20, 600, 40):
            cv2.circle(drawn, (x, y), 7, (140, 70, 110), -1)
    noise = np.random.default_rng(7).normal(0, 5, drawn.shape)
    return np.clip(cv2.GaussianBlur(drawn, (0, 0), 1) + noise, 0, 255).astype(np.uint8)


def nuclei_in(picture, columns=slice(None)):
    return number(contours.sized(found(picture, "H&E")[:, columns] * 255, 8 / MPP**2, math.inf, 0))


@pytest.mark.parametrize("glass", [0, 200, 400, 520])
def test_nuclei_are_found_however_much_of_the_picture_is_bare_glass(field, glass):
    """Otsu's threshold falls between glass and tissue then, and all the tissue is one object too wide for a nucleus."""
    beside = field.copy()
    beside[:, :glass] = 243
    assert nuclei_in(beside) == pytest.approx(15 * (15 - len(range(20, glass, 40))), rel=0.03)


def test_ink_on_the_bare_glass_is_left_out_first_and_the_glass_then(field):
    """One after the other: while there is ink, it is all that stands out."""
    beside = field.copy()
    beside[:, 120:] = 243
    assert nuclei_in(cv2.circle(beside, (500, 100), 90, (20, 20, 20), -1), columns=slice(120)) == 45


@pytest.mark.parametrize("ink", [(110, 40, 60), (20, 20, 20), (120, 60, 20), (60, 110, 30)])
@pytest.mark.parametrize("radius", [15, 30, 60, 120])
def test_nuclei_are_found_however_much_of_the_picture_is_under_ink(field, ink, radius):
    marked = cv2.circle(field.copy(), (300, 300), radius, ink, -1)
    assert nuclei_in(marked, columns=slice(160)) == pytest.approx(60, abs=2)


def test_ink_on_bare_glass_is_no_nucleus():
    glass = np.full((400, 400, 3), 243, np.uint8)
    assert not found(cv2.circle(glass, (200, 200), 80, (110, 40, 60), -1)).any()
