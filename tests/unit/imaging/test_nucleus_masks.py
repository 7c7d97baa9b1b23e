"""The steps that find nuclei, beside slower or simpler methods."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from annohooks.imaging import nucleus_masks, stains


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


@pytest.mark.parametrize("mpp", [0.25, 0.5, 1.0])
def test_surroundings_are_nearly_those_of_a_gaussian(tissue, mpp):
    grey = cv2.cvtColor(tissue, cv2.COLOR_BGR2GRAY)
    gaussian = cv2.GaussianBlur(grey, (0, 0), 8 / mpp)
    inside = np.s_[100:-100, 100:-100]
    difference = np.abs(nucleus_masks._surroundings(grey, mpp)[inside].astype(int) - gaussian[inside])
    assert difference.max() <= 6
    assert difference.mean() < 1.5


def test_threshold_lies_between_nuclei_and_the_rest_and_is_infinite_without_contrast(tissue, glass):
    in_tissue, on_glass = (stains.amount(picture, "H-DAB", stains.FIRST) for picture in (tissue, glass))
    assert 0.07 < nucleus_masks.stain_threshold(in_tissue, 0.5) < 0.2
    assert nucleus_masks.stain_threshold(on_glass, 0.5) == math.inf


def test_stain_with_an_infinite_threshold_has_no_nuclei(tissue):
    amounts = stains.amounts(tissue, "H-DAB")
    assert not nucleus_masks.nucleus_mask(amounts, (math.inf, math.inf), 0.5, 0.75).any()
    by_first = nucleus_masks.nucleus_mask(amounts[:1], (0.1,), 0.5, 0.75)
    assert by_first.any()
    assert np.array_equal(nucleus_masks.nucleus_mask(amounts, (0.1, math.inf), 0.5, 0.75), by_first)
