"""Masks to outlines: pictures in parts against whole pictures, and those against a simple oracle."""

from __future__ import annotations

import math
import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from masks import SIDE, cuts, drawn, masks, parts

from annohooks.imaging.outlines import Outlines, contours, tracing
from annohooks.imaging.outlines.tracing import Sizes, Tracing

EVERYTHING = Sizes(0, math.inf, 0)
PLENTY = 10**6


@st.composite
def drawn_shapes(draw):
    """A drawn area with small holes; often the whole picture."""
    inside = np.full((SIDE, SIDE), 255, np.uint8)
    if draw(st.booleans()):
        corners = st.lists(st.tuples(*2 * [st.integers(-5, SIDE + 5)]), min_size=3, max_size=6)
        inside = cv2.fillPoly(np.zeros_like(inside), [np.array(draw(corners), np.int32)], 255)
        for row, column in draw(st.lists(st.tuples(*2 * [st.integers(0, SIDE - 1)]), max_size=6)):
            inside[row, column] = 0
    return inside


@st.composite
def sizes(draw):
    smallest = draw(st.integers(0, 30))
    return Sizes(smallest, draw(st.sampled_from([math.inf, 40, 100])), draw(st.integers(0, min(smallest, 12))))


def traced(class_map, inside, of_parts, limits_px=EVERYTHING, classes=1, objects=PLENTY, vertices=PLENTY):
    def drawn_part(row, column, height, width):
        part = inside[row : row + height, column : column + width]
        return None if part.all() else part

    picture = Tracing(class_map.shape, classes, limits_px, objects, vertices, drawn_part)
    for row, column, height, width in of_parts:
        part = slice(row, row + height), slice(column, column + width)
        for number in range(1, classes + 1):
            mask = ((class_map[part] == number) & (inside[part] > 0)) * np.uint8(255)
            picture.add(mask, number, row, column, drawn_part(row, column, height, width))
    return picture.finish(lambda: None)


def in_one_part(mask, limits_px=EVERYTHING, **limits):
    return traced(mask // 255, np.full_like(mask, 255), [(0, 0, *mask.shape)], limits_px, **limits)


def in_parts(mask, limits_px=EVERYTHING, every=3, **limits):
    of_parts = parts(*mask.shape, [every] * SIDE, [every] * SIDE)
    return traced(mask // 255, np.full_like(mask, 255), of_parts, limits_px, **limits)


def assert_same(one, other):
    for array in ("xy", "offsets", "parent"):
        assert np.array_equal(getattr(one.outlines, array), getattr(other.outlines, array)), array
    for array in ("classes", "object_counts", "pixels"):
        assert np.array_equal(getattr(one, array), getattr(other, array)), array


def objects_that_stay(mask, inside, limits_px):
    """The objects by connected components, after small holes are filled; each uint8 [h, w], 0 or 1."""
    filled = np.pad(mask, 1)
    number, labels = cv2.connectedComponents((filled == 0).astype(np.uint8), connectivity=4)
    for hole in (labels == label for label in range(1, number)):
        _, around = cv2.connectedComponents((~hole).astype(np.uint8), connectivity=8)
        enclosed = around != around[0, 0]
        is_small = enclosed.sum() < limits_px.smallest_hole_px
        if not hole[0, 0] and is_small and np.pad(inside, 1)[enclosed].all():
            filled[enclosed] = 255
    number, labels = cv2.connectedComponents(filled[1:-1, 1:-1], connectivity=8)
    objects = [(labels == label).astype(np.uint8) for label in range(1, number)]
    return [one for one in objects if limits_px.smallest_px <= one.sum() <= limits_px.largest_px]


def expected(mask, inside, limits_px):
    """(rings, parents, pixels) of the objects that are more than points or lines, as OpenCV traces them."""
    objects = []
    for one in objects_that_stay(mask, inside, limits_px):
        found, hierarchy = cv2.findContours(one, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        rings = [ring[:, 0].tolist() for ring in found]
        outer = rings.pop(hierarchy[0, :, 3].argmin())
        if len(outer) > 2:
            holes = sorted(rings, key=lambda hole: (hole[0][::-1], hole[1][::-1]))
            objects.append((outer[0][::-1], [outer, *holes], int(one.sum())))
    all_rings, parents = [], []
    for _, rings, _ in sorted(objects):
        parents += [-1] + [len(all_rings)] * (len(rings) - 1)
        all_rings += rings
    return all_rings, parents, [pixels for *_, pixels in objects]


@given(masks, drawn_shapes(), sizes())
def test_whole_picture_is_traced_as_opencv_traces_the_objects_that_stay(mask, inside, limits_px):
    inside = inside[: mask.shape[0], : mask.shape[1]]
    mask = mask & inside
    result = traced(mask // 255, inside, [(0, 0, *mask.shape)], limits_px)
    rings, parents, pixels = expected(mask, inside, limits_px)
    assert [result.outlines.ring(index).tolist() for index in range(len(result.outlines))] == rings
    assert result.outlines.parent.tolist() == parents
    assert (result.object_counts.tolist(), result.pixels.tolist()) == ([len(pixels)], [sum(pixels)])
    assert result.classes.tolist() == [1] * len(rings)


@given(masks, drawn_shapes(), sizes(), cuts, cuts, st.integers(1, 3), st.integers(0, 2**32))
def test_parts_are_traced_like_the_whole_picture(mask, inside, limits_px, row_cuts, column_cuts, classes, seed):
    inside = inside[: mask.shape[0], : mask.shape[1]]
    random = np.random.default_rng(seed)
    patches = random.integers(1, classes + 1, (5, 5)).astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    class_map = mask // 255 * patches[: mask.shape[0], : mask.shape[1]]
    whole = traced(class_map, inside, [(0, 0, *mask.shape)], limits_px, classes)
    cut = traced(class_map, inside, parts(*mask.shape, row_cuts, column_cuts), limits_px, classes)
    assert_same(cut, whole)


@given(masks, sizes(), cuts, cuts, st.integers(1, 4), st.integers(3, 60))
def test_same_objects_of_too_many_are_left_out_in_parts(mask, limits_px, row_cuts, column_cuts, objects, vertices):
    limits = {"objects": objects, "vertices": vertices}
    of_parts = parts(*mask.shape, row_cuts, column_cuts)
    cut = traced(mask // 255, np.full_like(mask, 255), of_parts, limits_px, **limits)
    assert_same(cut, in_one_part(mask, limits_px, **limits))
    assert cut.outlines.is_outer.sum() <= objects
    assert len(cut.outlines.xy) <= vertices


@given(masks, sizes(), st.integers(8, 60))
def test_crowded_part_is_divided_with_the_same_result(mask, limits_px, crowded):
    whole = in_one_part(mask, limits_px)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracing, "_CROWDED", crowded)
        assert_same(in_one_part(mask, limits_px), whole)


@pytest.mark.parametrize(
    "text",
    [
        "#.. .#. ..#",
        "#.# .#. #.#",
        "### ### ###",
        "### #.# ###",
        ".#. #.# .#.",
        "####. #..#. #.##. ..... .....",
        "##### #...# #.#.# #...# #####",
        "####### #.....# #.###.# #.#.#.# #.###.# #.....# #######",
    ],
)
def test_objects_that_meet_at_a_corner_of_four_parts_are_joined_as_in_the_whole_picture(text):
    mask = drawn(text)
    for every in (1, 2, 3):
        assert_same(in_parts(mask, every=every), in_one_part(mask))


@pytest.mark.parametrize("every", [2, 7])
@pytest.mark.parametrize(("limit", "pixels"), [(24, 24), (25, 0), (26, 49)], ids=["open", "open, too small", "filled"])
def test_hole_below_the_limit_is_filled_with_the_object_in_it_and_an_object_of_the_limit_counts(every, limit, pixels):
    mask = drawn("####### #.....# #.....# #..#..# #.....# #.....# #######")
    assert in_parts(mask, Sizes(limit, 60, limit), every=every).pixels.tolist() == [pixels]


@pytest.mark.parametrize("every", [2, 7])
def test_hole_that_was_not_drawn_stays_open_however_small(every):
    mask, inside = np.full((7, 7), 255, np.uint8), np.full((7, 7), 255, np.uint8)
    mask[3, 2:4] = inside[3, 3] = 0
    result = traced(mask // 255, inside, parts(7, 7, [every] * 9, [every] * 9), Sizes(10, 60, 10))
    assert (result.outlines.parent.tolist(), result.pixels.tolist()) == ([-1, 0], [47])
    assert in_parts(mask, Sizes(10, 60, 10), every=every).outlines.parent.tolist() == [-1]


@pytest.mark.parametrize(("height", "width"), [(0, 0), (1, 1), (1, 9), (9, 1)])
def test_nothing_points_and_lines_are_not_objects(height, width):
    mask = np.zeros((11, 11), np.uint8)
    mask[1 : 1 + height, 1 : 1 + width] = 255
    for result in (in_one_part(mask), in_parts(mask)):
        assert (len(result.outlines), len(result.classes)) == (0, 0)
        assert (result.object_counts.tolist(), result.pixels.tolist()) == ([0], [0])


SQUARES = drawn("""
    ##..###.####
    ##..###.####
    ....###.####
    ##......####
    ##.###......
    ...###..##..
    ...###..##..
""")


@pytest.mark.parametrize(("objects", "corners"), [(1, [(8, 0)]), (3, [(4, 0), (8, 0), (3, 4)]), (9, None)])
def test_the_largest_of_too_many_objects_stay_and_all_are_counted(objects, corners):
    result = in_parts(SQUARES, objects=objects)
    firsts = [tuple(xy) for xy in result.outlines.xy[result.outlines.offsets[:-1]].tolist()]
    assert firsts == (corners or [(0, 0), (4, 0), (8, 0), (0, 3), (3, 4), (8, 5)])
    assert (result.object_counts.tolist(), result.pixels.tolist()) == ([6], [3 * 4 + 2 * 9 + 16])


@pytest.mark.parametrize(("vertices", "count"), [(3, 0), (7, 1), (8, 2), (24, 6)])
def test_the_largest_objects_within_the_limit_of_vertices_stay(vertices, count):
    assert len(in_parts(SQUARES, vertices=vertices).outlines) == count


def test_object_that_has_too_many_vertices_alone_does_not_keep_others_out():
    mask = np.zeros((20, 30), np.uint8)
    mask[:, :20:2] = mask[:2, :20] = 255
    mask[5:9, 24:28] = 255
    result = in_parts(mask, vertices=12)
    assert result.outlines.xy.tolist() == [[24, 5], [24, 8], [27, 8], [27, 5]]
    assert result.object_counts.tolist() == [2]


def test_memory_does_not_grow_with_the_specks_that_are_left_out():
    """Each part has a hundred specks, and a hundred are kept in all."""
    specks = np.zeros((40, 40), np.uint8)
    specks[1::4, 1::4] = specks[2::4, 1::4] = specks[2::4, 2::4] = 255

    def peak(number):
        of_picture = Tracing((40, 40 * number), 1, EVERYTHING, 100, PLENTY, lambda *_: None)
        tracemalloc.start()
        for column in range(0, 40 * number, 40):
            of_picture.add(specks, 1, 0, column)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert of_picture.finish(lambda: None).object_counts.tolist() == [100 * number]
        return peak_bytes

    peak(4)
    assert peak(100) < 1.5 * peak(4)


# Masks to outlines


@given(masks, st.integers(0, 20), st.integers(0, 40), st.integers(0, 9))
def test_objects_are_kept_by_their_number_of_pixels_after_small_holes_are_filled(mask, smallest, largest, hole):
    stay = objects_that_stay(mask, np.full_like(mask, 255), Sizes(smallest, largest, min(hole, smallest)))
    before = mask.copy()
    assert np.array_equal(contours.sized(mask, smallest, largest, hole), 255 * sum(stay, np.zeros_like(mask)))
    assert np.array_equal(mask, before)


@pytest.mark.parametrize(
    ("width", "height", "vertices"),
    [(0, 0, []), (1, 1, [[1, 2]]), (6, 1, [[1, 2], [6, 2]]), (8, 7, [[1, 2], [1, 8], [8, 8], [8, 2]])],
    ids=["nothing", "a point", "a row", "to the border"],
)
def test_outline_has_vertices_where_its_direction_changes(width, height, vertices):
    mask = np.zeros((9, 9), np.uint8)
    mask[2 : 2 + height, 1 : 1 + width] = 255
    assert contours.outlines(mask).xy.tolist() == vertices


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
