"""Stain separation of pixels whose stains are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import color

from annohooks.imaging import stains

# Ruifrok and Johnston 2001, table 1: red, green, blue.
HEMATOXYLIN, EOSIN, DAB = (0.650, 0.704, 0.286), (0.072, 0.990, 0.105), (0.268, 0.570, 0.776)
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
