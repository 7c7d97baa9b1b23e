"""Regions: shapes whose boxes overlap, and the masks of shapes."""

from __future__ import annotations

import itertools
import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annohooks.imaging.region import Box, Region, Shape, regions_of

SLIDE = 1000, 800

coordinates = st.floats(-20, 100, width=16) | st.integers(-20, 100)
vertices = st.tuples(coordinates, coordinates)
rings = st.lists(vertices, min_size=3, max_size=9).map(lambda ring: np.array(ring, np.float64))


def rectangle(x, y, width, height):
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float64)


upright = st.tuples(*2 * [coordinates], *2 * [st.integers(1, 90)]).map(lambda box: rectangle(*box))
rectangles = upright | upright.map(lambda ring: np.roll(ring, 1, axis=0)[::-1])


def shape(*box):
    return Shape((rectangle(*box),))


def boxes(shapes):
    return sorted(tuple(region.box) for region in regions_of(shapes, *SLIDE))


def centres_inside(ring, height, width, downsample):
    """Pixels with an odd number of edges to the left of their centre; bool [height, width]."""
    inside = np.zeros((height, width), np.bool_)
    x, y = (np.arange(width) + 0.5) * downsample, (np.arange(height) + 0.5) * downsample
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if y0 != y1:
            crossed = (y >= min(y0, y1)) & (y < max(y0, y1))
            at = x0 + (y - y0) * (x1 - x0) / (y1 - y0)
            inside ^= crossed[:, None] & (x[None, :] >= at[:, None])
    return inside


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(10, 10, 50, 40), (40, 30, 100, 20)], [(10, 10, 130, 40)]),
        ([(0, 0, 10, 10), (10, 0, 10, 10), (50, 50, 5, 5)], [(0, 0, 10, 10), (10, 0, 10, 10), (50, 50, 5, 5)]),
        ([(0, 0, 10, 10), (20, 0, 10, 10), (5, 2, 20, 3)], [(0, 0, 30, 10)]),
        ([(-20, 700, 100, 500)], [(0, 700, 80, 100)]),
        ([(-50, 10, 50, 10), (1000, 10, 50, 10), (10, -5, 5, 5), (10, 800, 5, 5), (5000, 5000, 9, 9)], []),
    ],
    ids=["overlap", "side by side", "a bridge", "partly off the slide", "off the slide"],
)
def test_shapes_that_overlap_form_one_region_on_the_slide(shapes, expected):
    assert boxes(shape(*box) for box in shapes) == expected


@given(st.lists(st.tuples(*2 * [st.integers(-50, 1000)], *2 * [st.integers(1, 200)]), max_size=12))
def test_no_two_regions_overlap_and_every_shape_on_the_slide_is_in_one(drawn):
    shapes = [shape(*box) for box in drawn]
    regions = regions_of(shapes, *SLIDE)
    for i, region in enumerate(regions):
        assert 0 <= region.box.x < region.box.right <= SLIDE[0]
        assert 0 <= region.box.y < region.box.bottom <= SLIDE[1]
        assert not any(region.box.overlaps(other.box) for other in regions[:i])
    members = [id(member) for region in regions for member in region.shapes]
    assert sorted(members) == sorted(id(s) for s in shapes if s.box.within(*SLIDE))


def test_box_of_a_shape_contains_all_of_its_rings_and_so_does_its_mask():
    assert Shape((np.array([(1.5, 2.2), (7.1, 2.2), (3.0, 9.9)]),)).box == Box(1, 2, 7, 8)
    brush = Shape((rectangle(1, 1, 9, 9), rectangle(20, 18, 10, 10)))
    assert brush.box == Box(1, 1, 29, 27)
    mask = Region(brush.box, (brush,)).mask((27, 29), 1)
    assert (mask[4, 4], mask[24, 24], mask[14, 14], cv2.countNonZero(mask)) == (255, 255, 0, 181)


@given(rings | rectangles, st.sampled_from([1, 2, 4]), st.integers(1, 80), st.integers(1, 80))
def test_mask_contains_the_pixels_whose_centre_is_in_the_shape(ring, downsample, width, height):
    """The ring may turn left or right, cross itself, or leave the slide."""
    size = math.ceil(height / downsample), math.ceil(width / downsample)
    mask = Region(Box(0, 0, width, height), (Shape((ring,)),)).mask(size, downsample)
    assert mask.dtype == np.uint8
    assert np.array_equal(mask, centres_inside(ring, *size, downsample) * np.uint8(255))


@st.composite
def shapes(draw):
    """A shape with holes, some of it rectangles."""
    ring = rings | rectangles
    return Shape(tuple(draw(st.lists(ring, min_size=1, max_size=2))), tuple(draw(st.lists(ring, max_size=1))))


@given(st.lists(shapes(), max_size=3), st.sampled_from([1, 2, 4]), st.data())
def test_part_of_a_mask_is_that_part_of_the_whole_mask(drawn, downsample, data):
    region = Region(Box(3, 5, 80, 70), tuple(drawn))
    height, width = math.ceil(70 / downsample), math.ceil(80 / downsample)
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    size = data.draw(st.integers(1, height - row)), data.draw(st.integers(1, width - column))
    expected = region.mask((height, width), downsample)[row : row + size[0], column : column + size[1]]
    assert np.array_equal(region.mask(size, downsample, row, column), expected)
    if region.fills(size, downsample, row, column):
        assert expected.all()


@given(st.integers(-9, 60), st.integers(-9, 60), st.integers(1, 99), st.integers(1, 99), st.sampled_from([1, 2, 4]))
def test_rectangle_fills_the_parts_whose_pixel_centres_it_contains(x, y, width, height, downsample):
    region = Region(Box(0, 0, 64, 64), (shape(x, y, width, height),))
    side = 64 // downsample
    mask = region.mask((side, side), downsample)
    for row, column in itertools.product(range(0, side, 8), repeat=2):
        expected = bool(mask[row : row + 8, column : column + 8].all())
        assert region.fills((8, 8), downsample, row, column) == expected


def test_holes_of_a_brush_are_cut_out_of_its_own_shape_only():
    brush = Shape((rectangle(0, 0, 40, 40),), (rectangle(10, 10, 20, 20),))
    alone = Region(Box(0, 0, 40, 40), (brush,))
    mask = alone.mask((40, 40), 1)
    assert (mask[20, 20], mask[5, 5], mask[20, 35], cv2.countNonZero(mask)) == (0, 255, 255, 1200)
    assert not alone.fills((10, 10), 1, 15, 15)
    with_another = Region(Box(0, 0, 40, 40), (brush, shape(18, 18, 5, 5))).mask((40, 40), 1)
    assert (with_another[20, 20], with_another[28, 28]) == (255, 0)


@pytest.mark.parametrize("far", [1e4, 4e9])
def test_shape_that_reaches_far_beyond_the_slide_still_covers_it(far):
    (region,) = regions_of([shape(-far, -far, 2 * far, 2 * far)], *SLIDE)
    assert region.box == Box(0, 0, *SLIDE)
    assert cv2.countNonZero(region.mask((800, 1000), 1)) == 800_000


@given(st.integers(0, 100), st.integers(0, 100), st.integers(1, 100), st.integers(1, 100))
def test_boxes_overlap_exactly_when_they_share_a_pixel(x, y, width, height):
    one, other = Box(30, 40, 25, 15), Box(x, y, width, height)
    shares_column = bool(set(range(30, 55)) & set(range(x, x + width)))
    shares_row = bool(set(range(40, 55)) & set(range(y, y + height)))
    assert one.overlaps(other) == other.overlaps(one) == (shares_column and shares_row)
    left, top = min(30, x), min(40, y)
    assert one.around(other) == (left, top, max(55, x + width) - left, max(55, y + height) - top)
