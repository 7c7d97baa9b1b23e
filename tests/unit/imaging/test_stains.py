"""Stain separation of pixels whose stains are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import color

from annohooks.imaging import stains

# Ruifrok and Johnston 2001, table 1: red, green, blue.
HEMATOXYLIN = (0.650, 0.704, 0.286)
EOSIN = (0.072, 0.990, 0.105)
DAB = (0.268, 0.570, 0.776)
SECOND = {"H&E": EOSIN, "H-DAB": DAB}
amounts = st.floats(0.25, 0.6)


def unit(vector):
    return np.array(vector) / np.linalg.norm(vector)


def pixel(*stained):
    """One pixel, BGR, of light that passed (optical density vector, amount) after another."""
    density = sum(unit(vector) * amount for vector, amount in stained)
    transmitted = 255 * 10.0**-density
    return np.rint(transmitted[::-1]).astype(np.uint8).reshape(1, 1, 3)


def unmixed(picture, stain):
    return [float(amount[0, 0]) for amount in stains.amounts(picture, stain)]


@given(amounts, st.sampled_from(["H&E", "H-DAB"]))
def test_pure_hematoxylin_comes_back_in_its_amount_and_nothing_else(amount, stain):
    first, second = unmixed(pixel((HEMATOXYLIN, amount)), stain)
    assert first == pytest.approx(amount, rel=0.02)
    assert abs(second) < 0.02


@pytest.mark.parametrize("stain", SECOND)
@given(amount=amounts)
def test_pure_counterpart_comes_back_in_its_amount_and_nothing_else(stain, amount):
    first, second = unmixed(pixel((SECOND[stain], amount)), stain)
    assert second == pytest.approx(amount, rel=0.02)
    assert abs(first) < 0.02


@pytest.mark.parametrize("stain", SECOND)
@given(hematoxylin=st.floats(0.1, 0.5), other=st.floats(0.1, 0.5))
def test_mixed_stains_are_told_apart(stain, hematoxylin, other):
    first, second = unmixed(pixel((HEMATOXYLIN, hematoxylin), (SECOND[stain], other)), stain)
    assert first == pytest.approx(hematoxylin, abs=0.03)
    assert second == pytest.approx(other, abs=0.03)


@pytest.mark.parametrize("stain", SECOND)
def test_white_holds_no_stain(stain):
    for amount in stains.amounts(np.full((2, 3, 3), 255, np.uint8), stain):
        assert amount == pytest.approx(np.zeros((2, 3)))


@pytest.mark.parametrize("stain", SECOND)
def test_black_is_finite(stain):
    for amount in stains.amounts(np.zeros((4, 5, 3), np.uint8), stain):
        assert amount.shape == (4, 5)
        assert amount.dtype == np.float32
        assert np.isfinite(amount).all()


@pytest.mark.parametrize("stain", SECOND)
def test_one_stain_alone_is_the_same(tissue, stain):
    both = stains.amounts(tissue, stain)
    for which in (stains.FIRST, stains.SECOND):
        assert np.abs(stains.amount(tissue, stain, which) - both[which]).max() < 1e-5


def test_amounts_of_the_real_picture_are_those_of_scikit_image(tissue):
    """It gives no less than 0, in units of log(10^6), and a grey value of 0 is a millionth to it, not a 256th."""
    theirs = 6 * color.separate_stains(tissue[..., ::-1], color.hdx_from_rgb)
    bright = tissue.min(axis=2) >= 20
    assert bright.mean() > 0.95
    for which, ours in enumerate(stains.amounts(tissue, "H-DAB")):
        assert np.abs(np.maximum(ours, 0) - theirs[..., which])[bright].max() < 0.05
