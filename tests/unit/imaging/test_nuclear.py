"""The parts nuclei are found with, beside slower or simpler ways."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from annohooks.imaging import nuclear, stains


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.sampled_from([0, 255])))
def test_lengths_are_the_longer_sides_of_the_boxes_of_connected_components(mask):
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_32S)
    expected = stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
    assert nuclear.lengths(mask, labels).tolist() == [0, *expected.tolist()]


@pytest.mark.parametrize("mpp", [0.25, 0.5, 1.0])
def test_surroundings_are_all_but_those_of_a_gaussian(tissue, mpp):
    grey = cv2.cvtColor(tissue, cv2.COLOR_BGR2GRAY)
    gaussian = cv2.GaussianBlur(grey, (0, 0), 8 / mpp)
    inside = np.s_[100:-100, 100:-100]
    apart = np.abs(nuclear._surroundings(grey, mpp)[inside].astype(int) - gaussian[inside])
    assert apart.max() <= 6
    assert apart.mean() < 1.5


def test_limit_is_between_nuclei_and_the_rest_of_the_real_picture(tissue):
    amount = stains.amount(tissue, "H-DAB", stains.FIRST)
    assert 0.07 < nuclear.limit(amount, 0.5) < 0.2


def test_limit_of_what_does_not_stand_out_is_infinite(glass):
    assert nuclear.limit(stains.amount(glass, "H-DAB", stains.FIRST), 0.5) == math.inf


def test_nothing_is_a_nucleus_by_a_stain_without_a_limit(tissue):
    amounts = stains.amounts(tissue, "H-DAB")
    assert not nuclear.nuclei(amounts, (math.inf, math.inf), 0.5, 0.75).any()
    by_first = nuclear.nuclei(amounts[:1], (0.1,), 0.5, 0.75)
    assert by_first.any()
    assert np.array_equal(nuclear.nuclei(amounts, (0.1, math.inf), 0.5, 0.75), by_first)
