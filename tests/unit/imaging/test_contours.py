"""Masks to outlines, against masks whose outlines are known."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from masks import drawn, masks

from annohooks.imaging.outlines import Outlines, contours

small_masks = masks.map(lambda mask: mask[:16, :16].copy())


def rectangle(shape, x, y, width, height):
    mask = np.zeros(shape, np.uint8)
    mask[y : y + height, x : x + width] = 255
    return mask


def components(mask, connectivity):
    """{frozenset of (row, column)} of what is set, by flood fill."""
    left, found = set(zip(*np.nonzero(mask), strict=True)), set()
    steps = [(-1, 0), (1, 0), (0, -1), (0, 1)]
    if connectivity == 8:
        steps += [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    while left:
        component, edge = set(), [left.pop()]
        while edge:
            row, column = edge.pop()
            component.add((row, column))
            for down, right in steps:
                if (row + down, column + right) in left:
                    left.remove((row + down, column + right))
                    edge.append((row + down, column + right))
        found.add(frozenset(component))
    return found


def holes(mask):
    """4-connected background that does not reach the border."""
    last_row, last_column = mask.shape[0] - 1, mask.shape[1] - 1
    return {
        hole
        for hole in components(mask == 0, 4)
        if not any(row in (0, last_row) or column in (0, last_column) for row, column in hole)
    }


RING = drawn("""
    .......
    .#####.
    .#...#.
    .#...#.
    .#####.
    .......
""")

ISLAND = drawn("""
    #########
    #.......#
    #.#####.#
    #.#...#.#
    #.#.#.#.#
    #.#...#.#
    #.#####.#
    #.......#
    #########
""")


def test_hole_is_linked_from_the_outline_it_lies_in():
    outlines = contours.outlines(RING)
    assert len(outlines) == 2
    (outer,) = np.flatnonzero(outlines.is_outer)
    assert outlines.parent.tolist()[1 - outer] == outer
    assert sorted(outlines.ring(outer).tolist()) == [[1, 1], [1, 4], [5, 1], [5, 4]]


def test_several_holes_go_to_their_own_outlines():
    outlines = contours.outlines(np.hstack([RING, RING, rectangle(RING.shape, 2, 2, 3, 3), RING]))
    outer = np.flatnonzero(outlines.is_outer)
    assert len(outer) == 4
    for hole in np.flatnonzero(~outlines.is_outer):
        ring, around = outlines.ring(hole), outlines.ring(outlines.parent[hole])
        assert (around.min(axis=0) <= ring.min(axis=0)).all()
        assert (ring.max(axis=0) <= around.max(axis=0)).all()


def test_island_in_a_hole_is_an_outer_ring_of_its_own():
    grown = cv2.resize(ISLAND, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
    outlines = contours.outlines(grown)
    assert outlines.is_outer.sum() == 3
    assert sorted(np.ptp(outlines.ring(i), axis=0)[0] for i in np.flatnonzero(outlines.is_outer)) == [2, 14, 26]
    assert sorted(np.ptp(outlines.ring(p), axis=0)[0] for p in outlines.parent[~outlines.is_outer]) == [14, 26]


def test_empty_mask_has_no_outlines():
    assert len(contours.outlines(np.zeros((5, 6), np.uint8))) == 0


@pytest.mark.parametrize(
    ("width", "height", "vertices"), [(1, 1, [[1, 2]]), (6, 1, [[1, 2], [6, 2]]), (1, 5, [[1, 2], [1, 6]])]
)
def test_points_and_lines_are_their_ends(width, height, vertices):
    assert contours.outlines(rectangle((9, 9), 1, 2, width, height)).xy.tolist() == vertices


def test_a_whole_mask_is_one_outline_along_its_border():
    outlines = contours.outlines(np.full((4, 6), 255, np.uint8))
    assert sorted(outlines.ring(0).tolist()) == [[0, 0], [0, 3], [5, 0], [5, 3]]


def within(mask, hole):
    """What a hole encloses, islands too, as {(row, column)}: what cannot be reached around it."""
    around = np.pad(np.ones_like(mask), 1)
    around[0] = around[-1] = around[:, 0] = around[:, -1] = 1
    for row, column in hole:
        around[row + 1, column + 1] = 0
    (outside,) = (found for found in components(around, 8) if (0, 0) in found)
    rows, columns = mask.shape
    return {(row, column) for row in range(rows) for column in range(columns) if (row + 1, column + 1) not in outside}


@given(small_masks)
def test_filling_the_outlines_gives_back_the_mask(mask):
    outlines = contours.outlines(mask)
    again = cv2.fillPoly(np.zeros_like(mask), [outlines.ring(index) for index in range(len(outlines))], 255)
    assert np.array_equal(again, mask)


@given(small_masks)
def test_rings_enclose_as_many_pixels_as_are_within(mask):
    """Of an object with what its holes hold, of a hole with its islands."""
    outlines = contours.outlines(mask)
    objects = [len(filled(pixels, mask)) for pixels in components(mask, 8)]
    enclosed = contours.enclosed_px(outlines)
    assert sorted(enclosed[outlines.is_outer].tolist()) == sorted(objects)
    assert sorted(enclosed[~outlines.is_outer].tolist()) == sorted(len(within(mask, hole)) for hole in holes(mask))


def filled(pixels, mask):
    alone = np.zeros_like(mask)
    alone[tuple(zip(*pixels, strict=True))] = 255
    return pixels.union(*holes(alone))


@given(small_masks)
def test_pixels_of_an_object_are_those_that_are_set_and_those_of_its_filled_holes(mask):
    outlines = contours.outlines(mask)
    enclosed = contours.enclosed_px(outlines)
    none, every = np.zeros(len(outlines), np.bool_), ~outlines.is_outer
    pixels = contours.object_px(outlines.parent, enclosed, none)
    assert sorted(pixels[outlines.is_outer].tolist()) == sorted(map(len, components(mask, 8)))
    assert (pixels[every] == pixels[outlines.parent[every]]).all()
    solid = contours.object_px(outlines.parent, enclosed, every)
    assert solid[outlines.is_outer].tolist() == enclosed[outlines.is_outer].tolist()


@given(small_masks, st.integers(0, 20), st.integers(0, 40), st.integers(0, 9))
def test_objects_are_kept_by_their_number_of_pixels_once_small_holes_are_filled(mask, smallest, largest, hole):
    solid = mask.copy()
    for pixels in holes(mask):
        enclosed = within(mask, pixels)
        if len(enclosed) < min(hole, smallest):
            solid[tuple(zip(*enclosed, strict=True))] = 255
    expected = np.zeros_like(mask)
    for pixels in components(solid, 8):
        if smallest <= len(pixels) <= largest:
            expected[tuple(zip(*pixels, strict=True))] = 255
    assert np.array_equal(contours.sized(mask, smallest, largest, hole), expected)


def test_no_largest_size_keeps_everything():
    assert np.array_equal(contours.sized(ISLAND, 0, math.inf, 0), ISLAND)


def test_bay_that_reaches_the_border_is_no_hole_however_small():
    mask = np.full((5, 5), 255, np.uint8)
    mask[0, 2] = mask[2, 2] = 0
    sized = contours.sized(mask, 10, math.inf, smallest_hole_px=10)
    assert (sized[0, 2], sized[2, 2]) == (0, 255)


def test_the_mask_given_is_left_as_it_was():
    mask = RING.copy()
    contours.sized(mask, 5, 6, 20)
    contours.outlines(mask)
    assert np.array_equal(mask, RING)


@given(
    st.sampled_from([1, 2, 4, 8]),
    st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(2, 40), st.integers(2, 40)),
    st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)),
)
def test_a_rectangle_comes_back_within_half_an_analysed_pixel(downsample, pixels, corner):
    """And half a slide pixel, as vertices are whole slide pixels."""
    column, row, width, height = pixels
    found = contours.outlines(rectangle((90, 90), column, row, width, height))
    xy = contours.placed(found, *corner, downsample).xy
    first = np.array([column, row]) * downsample + corner
    last = first + np.array([width, height]) * downsample
    assert xy.min(axis=0) == pytest.approx(first, abs=downsample / 2 + 0.5)
    assert xy.max(axis=0) == pytest.approx(last, abs=downsample / 2 + 0.5)


@given(masks, st.sampled_from([2, 4, 8, 16]))
def test_mapping_a_mirrored_mask_is_mirroring_the_mapped_outlines(mask, downsample):
    def mapped(of):
        outlines = contours.placed(contours.outlines(of), 0, 0, downsample)
        return {tuple(vertex) for vertex in outlines.xy.tolist()}

    height, width = (side * downsample for side in mask.shape)
    assert mapped(mask[::-1, ::-1]) == {(width - x, height - y) for x, y in mapped(mask)}


@pytest.mark.parametrize(
    ("downsample", "slide_px"), [(1, [100, 105]), (2, [101, 111]), (4, [102, 122]), (8, [104, 144])]
)
def test_vertex_goes_to_the_slide_pixel_that_holds_the_centre_of_its_own(downsample, slide_px):
    outlines = contours.placed(Outlines.from_rings([[(0, 0), (5, 5), (0, 5)]]), 100, 100, downsample)
    assert outlines.xy[:2].tolist() == [[slide_px[0]] * 2, [slide_px[1]] * 2]
    assert outlines.xy.dtype == np.int32


def test_mapping_keeps_holes_linked():
    found = contours.outlines(RING)
    mapped = contours.placed(found, 7, 9, 2)
    assert mapped.parent.tolist() == found.parent.tolist()
    assert mapped.offsets.tolist() == found.offsets.tolist()
