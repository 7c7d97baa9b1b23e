"""Masks to outlines, beside connected components."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from masks import masks

from annohooks.imaging.outlines import Outlines, contours

small_masks = masks.map(lambda mask: mask[:16, :16].copy())


def components(mask, connectivity):
    """{frozenset of (row, column)} of the connected pixels that are not 0."""
    number, labels = cv2.connectedComponents(np.asarray(mask, np.uint8), connectivity=connectivity)
    return {frozenset(zip(*np.nonzero(labels == label), strict=True)) for label in range(1, number)}


def holes(mask):
    """4-connected background that does not reach the border."""
    last_row, last_column = mask.shape[0] - 1, mask.shape[1] - 1
    return {
        hole
        for hole in components(mask == 0, 4)
        if not any(row in (0, last_row) or column in (0, last_column) for row, column in hole)
    }


def within(mask, hole):
    """{(row, column)} that a hole encloses, islands too: what cannot be reached around it."""
    around = np.pad(np.ones_like(mask), 1, constant_values=1)
    around[tuple(np.array(list(hole)).T + 1)] = 0
    (outside,) = (component for component in components(around, 8) if (0, 0) in component)
    return {(row, column) for row, column in np.ndindex(mask.shape) if (row + 1, column + 1) not in outside}


@pytest.mark.parametrize(
    ("width", "height", "vertices"),
    [
        (0, 0, []),
        (1, 1, [[1, 2]]),
        (6, 1, [[1, 2], [6, 2]]),
        (1, 5, [[1, 2], [1, 6]]),
        (8, 7, [[1, 2], [1, 8], [8, 8], [8, 2]]),
    ],
    ids=["nothing", "a point", "a row", "a column", "to the border"],
)
def test_outline_has_vertices_where_its_direction_changes(width, height, vertices):
    mask = np.zeros((9, 9), np.uint8)
    mask[2 : 2 + height, 1 : 1 + width] = 255
    assert contours.outlines(mask).xy.tolist() == vertices


@given(small_masks)
def test_filling_the_outlines_gives_back_the_mask(mask):
    outlines = contours.outlines(mask)
    again = cv2.fillPoly(np.zeros_like(mask), [outlines.ring(index) for index in range(len(outlines))], 255)
    assert np.array_equal(again, mask)


@given(small_masks)
def test_pixels_of_rings_and_objects_are_those_of_connected_components(mask):
    """An outer ring also encloses what is in the holes, and a hole encloses its islands."""

    def filled(pixels):
        alone = np.zeros_like(mask)
        alone[tuple(zip(*pixels, strict=True))] = 255
        return pixels.union(*holes(alone))

    outlines, objects = contours.outlines(mask), components(mask, 8)
    outer, is_hole = outlines.is_outer, ~outlines.is_outer
    enclosed = contours.enclosed_px(outlines)
    assert sorted(enclosed[outer].tolist()) == sorted(len(filled(pixels)) for pixels in objects)
    assert sorted(enclosed[is_hole].tolist()) == sorted(len(within(mask, hole)) for hole in holes(mask))
    pixels = contours.object_px(outlines.parent, enclosed, np.zeros(len(outlines), np.bool_))
    assert sorted(pixels[outer].tolist()) == sorted(map(len, objects))
    assert (pixels[is_hole] == pixels[outlines.parent[is_hole]]).all()
    solid = contours.object_px(outlines.parent, enclosed, is_hole)
    assert solid[outer].tolist() == enclosed[outer].tolist()


@given(small_masks, st.integers(0, 20), st.integers(0, 40), st.integers(0, 9))
def test_objects_are_kept_by_their_number_of_pixels_after_small_holes_are_filled(mask, smallest, largest, hole):
    solid = mask.copy()
    for pixels in holes(mask):
        enclosed = within(mask, pixels)
        if len(enclosed) < min(hole, smallest):
            solid[tuple(zip(*enclosed, strict=True))] = 255
    expected = np.zeros_like(mask)
    for pixels in components(solid, 8):
        if smallest <= len(pixels) <= largest:
            expected[tuple(zip(*pixels, strict=True))] = 255
    before = mask.copy()
    assert np.array_equal(contours.sized(mask, smallest, largest, hole), expected)
    assert np.array_equal(mask, before)


def test_bay_that_reaches_the_border_is_not_a_hole_however_small():
    mask = np.full((5, 5), 255, np.uint8)
    mask[0, 2] = mask[2, 2] = 0
    sized = contours.sized(mask, 10, math.inf, smallest_hole_px=10)
    assert (sized[0, 2], sized[2, 2]) == (0, 255)


@pytest.mark.parametrize(
    ("downsample", "xy"),
    [
        (1, [[100, 700], [105, 708], [100, 708]]),
        (2, [[101, 701], [111, 717], [101, 717]]),
        (8, [[104, 704], [144, 768], [104, 768]]),
    ],
)
def test_vertex_becomes_the_slide_pixel_that_contains_the_centre_of_its_pixel(downsample, xy):
    rings = Outlines.from_rings([[(0, 0), (5, 8), (0, 8)], [(1, 1), (2, 2), (1, 2)]], [-1, 0])
    placed = contours.placed(rings, 100, 700, downsample)
    assert placed.xy[:3].tolist() == xy
    assert placed.xy.dtype == np.int32
    assert (placed.parent.tolist(), placed.offsets.tolist()) == ([-1, 0], [0, 3, 6])
