"""A heatmap as an anno2 zip."""

from __future__ import annotations

import re

import numpy as np
import pytest
from anno2_zips import encode_heatmap, item_count, member, member_names
from hypothesis import given
from hypothesis import strategies as st

from local.anno2 import decode


@given(st.integers(1, 40), st.integers(1, 40), st.randoms(use_true_random=False))
def test_the_decoded_heatmap_is_the_original(rows, columns, random):
    levels = np.frombuffer(random.randbytes(rows * columns), np.uint8).reshape(rows, columns)
    decoded = decode(encode_heatmap(levels, x=40, y=70, cell_px=128))
    assert decoded.type == "heatmap"
    assert np.array_equal(decoded.heatmap.levels, levels)
    assert (decoded.heatmap.x, decoded.heatmap.y, decoded.heatmap.cell_px) == (40, 70, 128)


def test_the_members_are_the_picture_and_its_place():
    zipped = encode_heatmap(np.array([[0, 1, 2], [253, 254, 255]], np.uint8), x=5, y=6, cell_px=7)
    assert member_names(zipped)[2:] == ["heatmap.png", "heatmap_metadata.json"]
    assert item_count(zipped) == 6
    assert member(zipped, "heatmap_metadata.json") == b'{\n  "x": 5,\n  "y": 6,\n  "sizePerPixel": 7\n}'


def test_a_view_with_more_rows_than_a_block_comes_back():
    levels = (np.arange(2 * 700 * 600) % 251).astype(np.uint8).reshape(700, 1200)[:, ::2]
    assert np.array_equal(decode(encode_heatmap(levels)).heatmap.levels, levels)


@pytest.mark.parametrize(
    "levels",
    [[[0.0, 1.0]], [[0, 256]], *(np.zeros(shape, np.uint8) for shape in [(3,), (2, 2, 3), (0, 3), (3, 0)])],
    ids=["fractions", "more than 255", "one dimension", "colour", "no rows", "no columns"],
)
def test_levels_that_are_no_grid_of_bytes_are_refused(levels):
    with pytest.raises(ValueError, match=r"^levels must be uint8 \[rows, columns\], not "):
        encode_heatmap(levels)


@pytest.mark.parametrize("cell_px", [0, -1, 64.0, float("nan")])
def test_a_cell_that_is_no_whole_number_of_pixels_is_refused(cell_px):
    message = f"^cell_px must be a positive whole number, not {re.escape(str(cell_px))}$"
    with pytest.raises(ValueError, match=message):
        encode_heatmap(np.zeros((1, 1), np.uint8), cell_px=cell_px)


def test_a_heatmap_that_begins_off_the_slide_is_refused_with_its_place():
    with pytest.raises(ValueError, match=r"^\(0, 41\) lies off the slide, 60 x 40 px$"):
        encode_heatmap(np.zeros((1, 1), np.uint8), y=41, width=60, height=40)
