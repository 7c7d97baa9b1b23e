"""Nuclei on the real picture, on discs in the colour of a stain, and the steps that find them."""

from __future__ import annotations

import math
from unittest import mock

import cv2
import numpy as np
import pytest
from analysed import class_map
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import spatial
from skimage import color, measure

from annohooks.imaging import nucleus_masks, stains
from annohooks.imaging.analyzers.nuclei import Nuclei, NucleiParameters
from annohooks.imaging.outlines import contours

ANALYZER = Nuclei()
MPP = 0.5
# Ruifrok and Johnston 2001, table 1: red, green, blue.
HEMATOXYLIN, EOSIN, DAB = (0.650, 0.704, 0.286), (0.072, 0.990, 0.105), (0.268, 0.570, 0.776)
HEMATOXYLIN_BGR, DAB_BGR = HEMATOXYLIN[::-1], DAB[::-1]
GRID = [(x, y) for x in (30, 80, 130) for y in (30, 80, 130)]


def mask(picture, stain="H-DAB", **chosen):
    return class_map(ANALYZER, picture, MPP, NucleiParameters(stain=stain, **chosen))


def count(nuclei, smallest_um2=0.0):
    """The number of objects of at least that size; objects that touch at a corner are one."""
    sized = contours.sized(nuclei * 255, smallest_um2 / MPP**2, math.inf, 0)
    return cv2.connectedComponents(sized, connectivity=8)[0] - 1


def stained(discs, color=HEMATOXYLIN_BGR, side=160):
    """Discs (x, y, radius in pixels) of one stain on bright glass, uint8 BGR."""
    y, x = np.indices((side, side))
    amount = np.zeros((side, side))
    for column, row, radius in discs:
        amount[np.hypot(x - column, y - row) <= radius] = 0.7
    return np.rint(240 * 10 ** -(amount[..., None] * np.array(color))).astype(np.uint8)


@pytest.fixture(scope="module")
def nuclei(tissue):
    return mask(tissue)


# The real picture


def test_pixels_of_nuclei_are_those_that_scikit_image_finds(nuclei, nuclei_of_scikit_image):
    theirs = nuclei_of_scikit_image > 0
    overlap = ((nuclei > 0) & theirs).sum() / ((nuclei > 0) | theirs).sum()
    assert overlap == pytest.approx(0.9, abs=0.01)  # as docs/analyzers.md says


def test_scikit_image_finds_as_many_nuclei_and_in_the_same_places(nuclei, nuclei_of_scikit_image):
    ours = measure.label(contours.sized(nuclei * 255, 8 / MPP**2, math.inf, 0), connectivity=2)
    centres = [
        np.array([region.centroid for region in measure.regionprops(labels)])
        for labels in (ours, nuclei_of_scikit_image)
    ]
    assert [len(points) for points in centres] == pytest.approx([359, 359], abs=3)  # as docs/analyzers.md says
    to_theirs, to_ours = (spatial.KDTree(there).query(here)[0] * MPP for here, there in (centres, centres[::-1]))
    assert (to_theirs < 4).mean() > 0.8
    assert (to_ours < 4).mean() > 0.8


def test_nuclei_contain_more_of_the_stain_of_the_marker_than_the_rest(tissue, nuclei):
    hematoxylin, dab = stains.amounts(tissue, "H-DAB")
    assert hematoxylin[nuclei > 0].mean() > 3 * hematoxylin[nuclei == 0].mean()
    brown = mask(tissue, marker="DAB")
    assert count(brown) > 50
    assert dab[brown > 0].mean() > 1.5 * dab[brown == 0].mean()
    assert np.array_equal(mask(tissue, "H&E", marker="DAB"), mask(tissue, "H&E"))  # eosin marks no nuclei


def test_more_separation_splits_more_and_more_sensitivity_finds_more(tissue):
    numbers = [count(mask(tissue, separation=separation)) for separation in (0.3, 0.5, 0.7, 0.9)]
    assert numbers == sorted(set(numbers))
    areas = [cv2.countNonZero(mask(tissue, sensitivity=sensitivity)) for sensitivity in (0.4, 1, 3)]
    assert areas == sorted(set(areas))


# Discs


@pytest.mark.parametrize("stain", ["H&E", "H-DAB"])
@pytest.mark.parametrize("radius", [6, 12])
def test_discs_are_as_many_objects_of_about_their_size(stain, radius):
    discs = mask(stained([(x, y, radius) for x, y in GRID]), stain)
    assert count(discs) == 9
    assert math.sqrt(cv2.countNonZero(discs) / 9 / math.pi) == pytest.approx(radius, abs=0.5)


@pytest.mark.parametrize("degrees", range(0, 180, 30))
@pytest.mark.parametrize("distance", [1.85, 1.95])
def test_two_discs_that_touch_are_split_in_two_of_about_their_size(degrees, distance):
    radius, angle = 10, math.radians(degrees)
    right, down = math.cos(angle) * distance * radius / 2, math.sin(angle) * distance * radius / 2
    split = mask(stained([(80 + right, 80 + down, radius), (80 - right, 80 - down, radius)]))
    without_crumbs = contours.sized(split * 255, NucleiParameters().smallest_um2 / MPP**2, math.inf, 0)
    areas = cv2.connectedComponentsWithStats(without_crumbs, connectivity=8)[2][1:, cv2.CC_STAT_AREA]
    assert len(areas) == 2
    assert min(areas) > 0.9 * max(areas)
    assert sum(areas) > 0.85 * 2 * math.pi * radius**2
    assert contours.outlines(without_crumbs).is_outer.tolist() == [True, True]


def test_discs_in_a_row_are_separated_and_a_long_nucleus_is_not_split():
    assert count(mask(stained([(20 + 17 * k, 80 + k % 2, 9) for k in range(8)]))) == 8
    assert count(mask(stained([(80 + step, 80, 6) for step in range(-12, 13)]))) == 1


def test_brown_discs_are_found_only_when_brown_marks_nuclei():
    both = np.minimum(stained([(40, 80, 9)]), stained([(120, 80, 9)], DAB_BGR))
    assert count(mask(both, marker="either")) == 2
    by_blue, by_brown = mask(both, marker="hematoxylin"), mask(both, marker="DAB")
    assert (by_blue[80, 40], by_blue[80, 120]) == (1, 0)
    assert (by_brown[80, 40], by_brown[80, 120]) == (0, 1)


def test_dark_brown_nuclei_do_not_hide_pale_blue_ones():
    """Each stain has its own threshold."""
    brown = 255 * (stained([(x, y, 9) for x, y in GRID if y < 130], DAB_BGR) / 255) ** 1.8
    blue = 255 * (stained([(x, y, 9) for x, y in GRID if y == 130]) / 255) ** 0.4
    assert count(mask(np.minimum(blue, brown).astype(np.uint8), marker="either")) == 9


BLOBS = arrays.arrays(np.uint8, (12, 14), elements=st.sampled_from([0, 0, 255]))


@given(BLOBS, st.sampled_from([0.3, 0.75, 0.98]), st.sampled_from([0.25, 0.5]))
def test_splitting_removes_only_pixels_and_no_object(blobs, separation, mpp):
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


# Glass and ink


@pytest.fixture(scope="module")
def field():
    """uint8 BGR [600, 600, 3]: 225 nuclei of radius 7 px, blurred, on stroma that absorbs some hematoxylin."""
    drawn = np.full((600, 600, 3), (215.0, 160.0, 195.0), np.float32)
    for x in range(20, 600, 40):
        for y in range(20, 600, 40):
            cv2.circle(drawn, (x, y), 7, (140, 70, 110), -1)
    noise = np.random.default_rng(7).normal(0, 5, drawn.shape)
    return np.clip(cv2.GaussianBlur(drawn, (0, 0), 1) + noise, 0, 255).astype(np.uint8)


def nuclei_in(picture, columns=slice(None)):
    return count(mask(picture, "H&E")[:, columns], 8)


@pytest.mark.parametrize("glass_px", [0, 200, 520])
def test_nuclei_are_found_however_much_of_the_picture_is_bare_glass(field, glass_px):
    """Otsu's threshold then falls between glass and tissue, and all tissue is one object too wide for a nucleus."""
    beside = field.copy()
    beside[:, :glass_px] = 243
    assert nuclei_in(beside) == pytest.approx(15 * (15 - len(range(20, glass_px, 40))), rel=0.03)


def test_ink_on_the_bare_glass_is_left_out_first_and_then_the_glass(field):
    beside = field.copy()
    beside[:, 120:] = 243
    assert nuclei_in(cv2.circle(beside, (500, 100), 90, (20, 20, 20), -1), columns=slice(120)) == 45
    glass = np.full((400, 400, 3), 243, np.uint8)
    assert not mask(cv2.circle(glass, (200, 200), 80, (110, 40, 60), -1)).any()  # ink alone


INKS = [((110, 40, 60), 15), ((20, 20, 20), 60), ((120, 60, 20), 30), ((60, 110, 30), 120)]


@pytest.mark.parametrize(("ink", "radius"), INKS)
def test_nuclei_are_found_however_much_of_the_picture_is_under_ink(field, ink, radius):
    marked = cv2.circle(field.copy(), (300, 300), radius, ink, -1)
    assert nuclei_in(marked, columns=slice(160)) == pytest.approx(60, abs=2)


# The steps, beside slower or simpler methods


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.sampled_from([0, 255])))
def test_longest_sides_are_those_of_the_boxes_of_connected_components(mask):
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_32S)
    expected = stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
    assert nucleus_masks.longest_sides(mask, labels).tolist() == [0, *expected.tolist()]


def sheet_with_slits(seed):
    """A sheet of stain at 1 um per pixel with twenty slits in it, float32 [48, 170]."""
    random = np.random.default_rng(seed)
    amount = np.full((48, 170), 0.4, np.float32)
    where = random.integers(0, 170, 20), random.integers(0, 48, 20), random.uniform(3, 25, 20)
    for x, y, length, angle, width in zip(*where, random.uniform(0, np.pi, 20), random.integers(1, 4, 20), strict=True):
        end = int(x + length * math.cos(angle)), int(y + length * math.sin(angle))
        cv2.line(amount, (int(x), int(y)), end, 0.0, int(width))
    return amount


@pytest.mark.parametrize(("seed", "cut"), [(125642, 20), (78895, 45), (156128, 45), (161937, 45)])
def test_no_pixel_beyond_the_halo_decides_about_a_pixel(seed, cut):
    """Of some hundred thousand such sheets, cutting off the left has the farthest effect in these."""
    amount = sheet_with_slits(seed)
    whole, right = (nucleus_masks.nucleus_mask([part], [0.12], 1.0, 0.75) for part in (amount, amount[:, cut:].copy()))
    assert (whole[:, cut:] != right)[:, 44:].any()
    beyond = math.ceil(nucleus_masks.HALO_UM)
    assert np.array_equal(whole[:, cut + beyond :], right[:, beyond:])


def test_there_are_no_cuts_beyond_the_reach_of_the_cores():
    """Two blobs at the ends of a bar that is too thin for a core, with its middle beyond the reach of both."""

    def cut_at(length_um):
        mask = np.zeros((80, 200), np.uint8)
        cv2.circle(mask, (50, 40), 14, 255, -1)
        cv2.circle(mask, (50 + int(length_um / 0.5), 40), 14, 255, -1)
        mask[39:41, 50 : 50 + int(length_um / 0.5)] = 255
        return (mask > 0) & (nucleus_masks._split(mask, 0.5, 0.75) == 0)

    assert cut_at(24).any()
    assert not cut_at(60).any()


def test_specks_are_not_nuclei_and_holes_of_their_size_are_filled():
    """8 um2 are 32 pixels at 0.5 um."""
    amount = np.zeros((60, 90), np.float32)
    amount[20:40, 10:30] = amount[20:25, 50:55] = amount[40:50, 60:66] = 0.5
    amount[28:31, 18:21] = 0.0
    mask = nucleus_masks.nucleus_mask([amount], [0.2], 0.5, 0.75)
    assert mask[29, 19] == 1
    assert not mask[18:27, 45:60].any()
    assert mask[45, 63] == 1


def test_stain_without_contrast_has_an_infinite_threshold_and_no_nuclei(tissue, glass):
    in_tissue, on_glass = (stains.amount(picture, "H-DAB", stains.FIRST) for picture in (tissue, glass))
    assert 0.07 < nucleus_masks.stain_threshold(in_tissue, 0.5) < 0.2
    assert nucleus_masks.stain_threshold(on_glass, 0.5) == math.inf
    amounts = stains.amounts(tissue, "H-DAB")
    assert not nucleus_masks.nucleus_mask(amounts, (math.inf, math.inf), 0.5, 0.75).any()
    by_first = nucleus_masks.nucleus_mask(amounts[:1], (0.1,), 0.5, 0.75)
    assert by_first.any()
    assert np.array_equal(nucleus_masks.nucleus_mask(amounts, (0.1, math.inf), 0.5, 0.75), by_first)


# Stain separation of pixels whose stains are known

SECOND = {"H&E": EOSIN, "H-DAB": DAB}
each_stain = pytest.mark.parametrize("stain", SECOND)


def pixel(hematoxylin, second, stain):
    """One pixel, BGR, of the light that these amounts of both stains let through."""
    vectors = np.array([HEMATOXYLIN, SECOND[stain]])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    transmitted = 255 * 10.0 ** -(hematoxylin * vectors[0] + second * vectors[1])
    return np.rint(transmitted[::-1]).astype(np.uint8).reshape(1, 1, 3)


@each_stain
@given(amounts=st.tuples(st.just(0.0) | st.floats(0.1, 0.5), st.just(0.0) | st.floats(0.1, 0.5)))
def test_amounts_of_pure_and_mixed_stains_are_recovered(stain, amounts):
    unmixed = [float(amount[0, 0]) for amount in stains.amounts(pixel(*amounts, stain), stain)]
    assert unmixed == pytest.approx(amounts, abs=0.03 if all(amounts) else 0.02)


@each_stain
def test_white_contains_no_stain_and_black_is_finite(stain):
    for white in stains.amounts(np.full((2, 3, 3), 255, np.uint8), stain):
        assert white == pytest.approx(np.zeros((2, 3)))
    for black in stains.amounts(np.zeros((4, 5, 3), np.uint8), stain):
        assert (black.shape, black.dtype) == ((4, 5), np.float32)
        assert np.isfinite(black).all()


@each_stain
def test_one_stain_alone_is_the_same(tissue, stain):
    both = stains.amounts(tissue, stain)
    for which in (stains.FIRST, stains.SECOND):
        assert np.abs(stains.amount(tissue, stain, which) - both[which]).max() < 1e-5


def test_amounts_of_the_real_picture_are_those_of_scikit_image(tissue):
    """Its values are at least 0, in units of log(10^6); it takes a grey value of 0 for a millionth, not a 256th."""
    theirs = 6 * color.separate_stains(tissue[..., ::-1], color.hdx_from_rgb)
    bright = tissue.min(axis=2) >= 20
    assert bright.mean() > 0.95
    for which, ours in enumerate(stains.amounts(tissue, "H-DAB")):
        assert np.abs(np.maximum(ours, 0) - theirs[..., which])[bright].max() < 0.05
