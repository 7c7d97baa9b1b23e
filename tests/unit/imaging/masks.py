"""Masks that are hard to trace, and cuts through them."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

SIDE = 36


def drawn(text):
    """A mask from rows of # and ."""
    rows = text.split()
    return np.array([[character == "#" for character in row] for row in rows]) * np.uint8(255)


def _noise(random, height, width):
    return random.random((height, width)) < min(1, 1.1 * random.random())  # at times everything


def _blobs(random, height, width):
    field = cv2.GaussianBlur(random.normal(size=(height, width)), (0, 0), random.uniform(0.5, 3))
    return field > random.normal() * 0.1


def _specks(random, height, width):
    row, column = np.mgrid[:height, :width]
    specks = (row % 4 < random.integers(1, 4)) & (column % 4 < random.integers(1, 4))
    return specks if random.random() < 0.5 else ~specks


def _comb(random, height, width):
    row, column = np.mgrid[:height, :width]
    comb = (column % 4 < random.integers(1, 4)) | (row < random.integers(1, 4))
    return comb if random.random() < 0.5 else comb[::-1]


def _rings(random, height, width):
    row, column = np.mgrid[:height, :width]
    from_edge = np.minimum(np.minimum(row, height - 1 - row), np.minimum(column, width - 1 - column))
    return (from_edge + random.integers(0, 4)) // random.integers(1, 4) % 2 == 0


def _spiral(random, height, width):
    row, column = np.mgrid[:height, :width]
    y, x = row - height / 2, column - width / 2
    return np.sin(np.hypot(y, x) / random.uniform(0.4, 1.5) + np.arctan2(y, x)) > random.uniform(-0.6, 0.6)


@st.composite
def _generated(draw):
    make = draw(st.sampled_from([_noise, _blobs, _specks, _comb, _rings, _spiral]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    return make(random, draw(st.integers(1, SIDE)), draw(st.integers(1, SIDE))) * np.uint8(255)


_any_mask = arrays.arrays(np.bool_, st.tuples(st.integers(1, 16), st.integers(1, 16)))
masks = _any_mask.map(lambda mask: mask * np.uint8(255)) | _generated()

cuts = st.lists(st.integers(1, 12), min_size=SIDE, max_size=SIDE)
"""The distance from each cut to the next."""


def parts(height, width, row_cuts, column_cuts):
    """(row, column, height, width) of each part of a picture that is cut."""
    rows, columns = (
        [0, *itertools.takewhile(lambda at, side=side: at < side, itertools.accumulate(steps)), side]
        for side, steps in ((height, row_cuts), (width, column_cuts))
    )
    for (top, bottom), (left, right) in itertools.product(itertools.pairwise(rows), itertools.pairwise(columns)):
        yield top, left, bottom - top, right - left
