"""The parts nuclei are found with, beside slower or simpler ways."""

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
def test_lengths_are_the_longer_sides_of_the_boxes_of_connected_components(mask):
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
def test_nothing_farther_off_than_the_halo_decides_about_a_pixel(seed, cut):
    """Of some hundred thousand such sheets these are the ones in which cutting off the left reaches farthest."""
    amount = sheet_with_slits(seed)
    whole, right = (nucleus_masks.nucleus_mask([each], [0.12], 1.0, 0.75) for each in (amount, amount[:, cut:].copy()))
    assert (whole[:, cut:] != right)[:, 44:].any()
    beyond = math.ceil(nucleus_masks.HALO_UM)
    assert np.array_equal(whole[:, cut + beyond :], right[:, beyond:])


def test_where_cores_are_farther_than_the_reach_nothing_is_cut():
    """Two blobs at the ends of a bar too thin to hold a core, whose middle is beyond the reach of both."""

    def cut_at(length_um):
        mask = np.zeros((80, 200), np.uint8)
        cv2.circle(mask, (50, 40), 14, 255, -1)
        cv2.circle(mask, (50 + int(length_um / 0.5), 40), 14, 255, -1)
        mask[39:41, 50 : 50 + int(length_um / 0.5)] = 255
        return (mask > 0) & (nucleus_masks._split(mask, 0.5, 0.75) == 0)

    assert cut_at(24).any()
    assert not cut_at(60).any()


def test_specks_are_no_nuclei_and_holes_of_their_size_are_filled():
    """8 um2 are 32 pixels at 0.5 um."""
    amount = np.zeros((60, 90), np.float32)
    amount[20:40, 10:30] = amount[20:25, 50:55] = amount[40:50, 60:66] = 0.5
    amount[28:31, 18:21] = 0.0
    found = nucleus_masks.nucleus_mask([amount], [0.2], 0.5, 0.75)
    assert found[29, 19] == 1
    assert not found[18:27, 45:60].any()
    assert found[45, 63] == 1


@pytest.mark.parametrize("mpp", [0.25, 0.5, 1.0])
def test_surroundings_are_all_but_those_of_a_gaussian(tissue, mpp):
    grey = cv2.cvtColor(tissue, cv2.COLOR_BGR2GRAY)
    gaussian = cv2.GaussianBlur(grey, (0, 0), 8 / mpp)
    inside = np.s_[100:-100, 100:-100]
    apart = np.abs(nucleus_masks._surroundings(grey, mpp)[inside].astype(int) - gaussian[inside])
    assert apart.max() <= 6
    assert apart.mean() < 1.5


def test_limit_is_between_nuclei_and_the_rest_of_the_real_picture(tissue):
    amount = stains.amount(tissue, "H-DAB", stains.FIRST)
    assert 0.07 < nucleus_masks.stain_threshold(amount, 0.5) < 0.2


def test_limit_of_what_does_not_stand_out_is_infinite(glass):
    assert nucleus_masks.stain_threshold(stains.amount(glass, "H-DAB", stains.FIRST), 0.5) == math.inf


def test_nothing_is_a_nucleus_by_a_stain_without_a_limit(tissue):
    amounts = stains.amounts(tissue, "H-DAB")
    assert not nucleus_masks.nucleus_mask(amounts, (math.inf, math.inf), 0.5, 0.75).any()
    by_first = nucleus_masks.nucleus_mask(amounts[:1], (0.1,), 0.5, 0.75)
    assert by_first.any()
    assert np.array_equal(nucleus_masks.nucleus_mask(amounts, (0.1, math.inf), 0.5, 0.75), by_first)
