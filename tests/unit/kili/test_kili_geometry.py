"""Areas, overlaps and crossings of what was drawn, judged by closed forms, by exact arithmetic and by pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations, pairwise

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from annohooks.core.deadline import Deadline
from annohooks.kili.label.geometry import (
    Area,
    Bounds,
    TooComplex,
    Work,
    _Region,
    area,
    bounds,
    overlapping,
    overlapping_bounds,
    ring_area,
    self_crossing,
)
from annohooks.kili.label.model import Point, Ring, Shape
from tests.unit.kili.labels import HOLE, OUTER, TRIANGLE, box

GRID = 1000
"""Steps of the coordinates that are compared with pixels, and pixels to a side."""


def drawn(*rings: Sequence[Point]) -> Shape:
    return Shape(rings=tuple(tuple(ring) for ring in rings))


def boxed(left: float, top: float, width: float, height: float) -> Shape:
    return drawn(box(left, top, width, height))


def iou(a: Area, b: Area, work: Work | None = None) -> float:
    """As `overlapping` has it, which leaves out what is 0."""
    return next((share for _, _, share in overlapping([a, b], 0.0, work)), 0.0)


def intersection_area(a: Area, b: Area, work: Work | None = None) -> float:
    return _Region(a).intersection(_Region(b), work or Work())


fractions = st.floats(0, 1, allow_subnormal=False)
boxes = st.tuples(fractions, fractions, fractions, fractions)
points = st.tuples(st.integers(0, GRID), st.integers(0, GRID)).map(lambda xy: (xy[0] / GRID, xy[1] / GRID))
any_rings = st.lists(points, min_size=3, max_size=9).map(tuple)
few_points = st.tuples(st.integers(0, 6), st.integers(0, 6)).map(lambda xy: (float(xy[0]), float(xy[1])))
crowded_rings = st.lists(few_points, min_size=3, max_size=9).map(tuple)
shapes = st.lists(any_rings, min_size=1, max_size=3).map(lambda rings: drawn(*rings))


# One area


def test_area_of_a_triangle_is_half_that_of_its_bounds():
    assert area(drawn(TRIANGLE)) == pytest.approx(0.045)


def test_area_is_without_its_holes():
    assert area(drawn(OUTER, HOLE)) == pytest.approx(0.16 - 0.01)


def test_area_of_an_object_is_that_of_its_pieces():
    assert area([drawn(OUTER, HOLE), drawn(TRIANGLE)]) == pytest.approx(0.15 + 0.045)


def test_lines_and_points_have_no_area():
    assert area(Shape(points=((0.0, 0.0), (1.0, 1.0)))) == 0


def test_holes_larger_than_their_outline_leave_nothing():
    assert area(drawn(HOLE, OUTER)) == 0


@given(any_rings, st.integers(0, 8), st.booleans())
def test_area_is_the_same_from_any_vertex_on_and_either_way_around(ring, start, backwards):
    turned = ring[start:] + ring[:start]
    assert ring_area(turned[::-1] if backwards else turned) == pytest.approx(ring_area(ring), abs=1e-15)


def test_area_far_from_the_origin_loses_little():
    assert ring_area(tuple((x + 1e8, y - 1e8) for x, y in [(0, 0), (0, 1), (1, 1), (1, 0)])) == 1


@given(st.lists(few_points, min_size=3, max_size=9).map(tuple))
def test_area_is_that_of_exact_arithmetic(ring):
    around = zip(ring, ring[1:] + ring[:1], strict=True)
    exactly = abs(sum(Fraction(ax) * Fraction(by) - Fraction(bx) * Fraction(ay) for (ax, ay), (bx, by) in around)) / 2
    assert ring_area(ring) == float(exactly)


def test_bounds_are_around_outlines_and_points():
    found = bounds([drawn(TRIANGLE), Shape(points=((0.1, 0.95),))])
    assert found == Bounds(0.1, 0.6, 0.9, 0.95)
    assert (found.width, found.height) == (pytest.approx(0.8), pytest.approx(0.35))


def test_nothing_has_no_bounds():
    with pytest.raises(ValueError, match="there are no outlines"):
        bounds(Shape())


# Two areas


@given(boxes, boxes)
def test_overlap_of_upright_rectangles_is_what_they_share_of_each_axis(a, b):
    def shared(one: float, length: float, other: float, other_length: float) -> float:
        return max(0.0, min(one + length, other + other_length) - max(one, other))

    both = shared(a[0], a[2], b[0], b[2]) * shared(a[1], a[3], b[1], b[3])
    either = a[2] * a[3] + b[2] * b[3] - both
    assert intersection_area(boxed(*a), boxed(*b)) == pytest.approx(both, abs=1e-12)
    assume(either > 1e-9)
    assert iou(boxed(*a), boxed(*b)) == pytest.approx(both / either, abs=1e-6)


@given(boxes, boxes)
def test_rectangles_are_measured_alike_as_rectangles_and_as_outlines(a, b):
    left, top, width, height = b
    with_one_vertex_more = drawn([(left, top), (left + width / 2, top), *box(left, top, width, height)[2:], box(*b)[0]])
    assert intersection_area(boxed(*a), with_one_vertex_more) == pytest.approx(
        intersection_area(boxed(*a), boxed(*b)), abs=1e-12
    )


Exact = tuple[Fraction, Fraction]


def side(p: Point | Exact, q: Point | Exact, r: Point | Exact) -> Fraction:
    """Above 0 on one side of the line from p to q, below 0 on the other."""
    (px, py), (qx, qy), (rx, ry) = ((Fraction(x), Fraction(y)) for x, y in (p, q, r))
    return (qx - px) * (ry - py) - (qy - py) * (rx - px)


def clipped(ring: Ring, by: Ring) -> list[Exact]:
    """What of a convex outline is within another, exactly. Source: Sutherland, Hodgman 1974."""
    rest = [(Fraction(x), Fraction(y)) for x, y in ring]
    for p, q in zip(by, by[1:] + by[:1], strict=True):
        kept: list[Exact] = []
        for (ax, ay), (bx, by_) in zip(rest, [*rest[1:], *rest[:1]], strict=True):
            one, other = side(p, q, (ax, ay)), side(p, q, (bx, by_))
            if one >= 0:
                kept.append((ax, ay))
            if one * other < 0:
                share = one / (one - other)
                kept.append((ax + (bx - ax) * share, ay + (by_ - ay) * share))
        rest = kept
    return rest


def hull(cloud: Sequence[Point]) -> Ring:
    """Turning the way that `clipped` has it."""
    around = cv2.convexHull(np.array([(round(x * GRID), round(y * GRID)) for x, y in cloud], np.int32))
    ring = tuple((int(x) / GRID, int(y) / GRID) for x, y in around[:, 0])
    return ring if len(ring) < 3 or side(*ring[:3]) > 0 else ring[::-1]


@given(any_rings, any_rings)
def test_overlap_of_convex_outlines_is_that_of_exact_clipping(a, b):
    a, b = hull(a), hull(b)
    assume(len(a) > 2 and len(b) > 2)
    rest = clipped(a, b)
    around = zip(rest, [*rest[1:], *rest[:1]], strict=True)
    exactly = abs(sum(ax * by - bx * ay for (ax, ay), (bx, by) in around)) / 2
    assert intersection_area(drawn(a), drawn(b)) == pytest.approx(float(exactly), abs=1e-13)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_overlap_of_staircases_is_that_of_their_columns(a, b):
    def staircase(heights: list[int]) -> Shape:
        steps = [(float(x), float(h)) for i, h in enumerate(heights) for x in (i, i + 1)]
        return drawn([(0.0, 0.0), *steps, (float(len(heights)), 0.0)])

    assert intersection_area(staircase(a), staircase(b)) == sum(map(min, zip(a, b, strict=False)))


def pixels(shape: Shape) -> np.ndarray:
    """Inside as even-odd has it, at the middles of pixels."""
    xy = (np.arange(GRID) + 0.5) / GRID
    inside = np.zeros((GRID, GRID), bool)
    for ring in shape.rings:
        for (ax, ay), (bx, by) in zip(ring, (*ring[1:], ring[0]), strict=True):
            rows = (ay > xy) != (by > xy)
            if rows.any():
                edge = ax + (xy[rows] - ay) / (by - ay) * (bx - ax)
                inside[rows] ^= xy[None] < edge[:, None]
    return inside


def perimeter(shape: Shape) -> float:
    return sum(math.dist(p, q) for ring in shape.rings for p, q in pairwise((*ring, ring[0])))


@given(shapes, shapes)
def test_overlap_of_any_outlines_and_holes_is_that_of_their_pixels(a, b):
    """A pixel can only be wrong where an outline passes through it: so many that the tolerance is the perimeter's."""
    a_pixels, b_pixels = pixels(a), pixels(b)
    tolerance = (perimeter(a) + perimeter(b)) / GRID
    assert intersection_area(a, b) == pytest.approx((a_pixels & b_pixels).mean(), abs=tolerance)
    either = (a_pixels | b_pixels).mean()
    assume(either > 20 * tolerance)
    assert iou(a, b) == pytest.approx((a_pixels & b_pixels).mean() / either, abs=3 * tolerance / either)


@given(shapes, shapes)
def test_iou_is_symmetric_and_a_share(a, b):
    assert iou(a, b) == pytest.approx(iou(b, a), abs=1e-12)
    assert 0 <= iou(a, b) <= 1


@given(shapes)
def test_iou_of_an_area_with_itself_is_one(shape):
    assume(intersection_area(shape, shape) > 1e-6)
    assert iou(shape, shape) == pytest.approx(1, abs=1e-9)


@given(any_rings, any_rings, st.integers(0, 8), st.booleans())
def test_overlap_does_not_depend_on_where_an_outline_starts_and_how_it_turns(a, b, start, backwards):
    turned = a[start:] + a[:start]
    again = drawn(turned[::-1] if backwards else turned)
    assert intersection_area(again, drawn(b)) == pytest.approx(intersection_area(drawn(a), drawn(b)), abs=1e-12)


@given(shapes, st.floats(0.01, 0.99))
def test_overlaps_with_both_halves_of_the_image_add_up_to_that_with_all_of_it(shape, cut):
    whole = intersection_area(shape, boxed(0, 0, 1, 1))
    upper, lower = drawn([(0, 0), (1, 0), (1, cut), (0, cut)]), drawn([(0, cut), (1, cut), (1, 1), (0, 1)])
    assert intersection_area(shape, upper) + intersection_area(shape, lower) == pytest.approx(whole, abs=1e-12)


@given(crowded_rings, crowded_rings)
def test_overlap_where_vertices_and_edges_coincide_is_no_more_than_either(a, b):
    both = intersection_area(drawn(a), drawn(b))
    assert both <= intersection_area(drawn(a), drawn(a)) + 1e-9
    assert both <= intersection_area(drawn(b), drawn(b)) + 1e-9


def test_overlap_leaves_holes_out():
    assert intersection_area(drawn(OUTER, HOLE), drawn(HOLE)) == pytest.approx(0, abs=1e-15)
    assert iou(drawn(OUTER, HOLE), drawn(OUTER)) == pytest.approx(0.15 / 0.16)


def test_pieces_of_an_object_overlap_together():
    halves = [boxed(0, 0, 0.5, 1), boxed(0.5, 0, 0.5, 1)]
    assert iou(halves, boxed(0, 0, 1, 1)) == pytest.approx(1)


def test_a_bow_tie_overlaps_itself_wholly():
    bow_tie = drawn([(0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)])
    assert intersection_area(bow_tie, bow_tie) == pytest.approx(0.5)
    assert iou(bow_tie, bow_tie) == pytest.approx(1)


@pytest.mark.parametrize("nothing", [Shape(), Shape(points=((0.5, 0.5),)), drawn([(0.2, 0.2), (0.8, 0.8), (0.5, 0.5)])])
def test_what_has_no_area_overlaps_nothing(nothing):
    assert iou(nothing, nothing) == 0
    assert iou(nothing, boxed(0, 0, 1, 1)) == pytest.approx(0, abs=1e-15)


def test_largest_coordinates_that_are_read_can_be_measured():
    huge = drawn([(-1e9, -1e9), (1e9, -1e9), (1e9, 1e9), (-1e9, 1e9), (-1e9, 5e-324)])
    assert area(huge) == pytest.approx(4e18)
    assert iou(huge, huge) == pytest.approx(1)
    assert self_crossing(huge.rings[0]) is None


# Many areas


@given(st.lists(boxes, max_size=12))
def test_pairs_of_bounds_are_all_that_share_some_area(all_boxes):
    around = [bounds(boxed(*one)) for one in all_boxes]
    expected = {
        (i, j)
        for (i, a), (j, b) in combinations(enumerate(around), 2)
        if min(a.right, b.right) > max(a.left, b.left) and min(a.bottom, b.bottom) > max(a.top, b.top)
    }
    found = list(overlapping_bounds(around))
    assert len(found) == len(set(found))
    assert set(found) == expected


@given(st.lists(any_rings.map(drawn), max_size=6), st.sampled_from([0.0, 0.1, 0.5]))
def test_overlapping_pairs_are_all_whose_iou_is_enough(areas, at_least):
    found = {(i, j): share for i, j, share in overlapping(areas, at_least)}
    for (i, a), (j, b) in combinations(enumerate(areas), 2):
        share = iou(a, b)
        if (i, j) in found:
            assert found[i, j] == pytest.approx(share, abs=1e-12)
        else:
            assert share == 0 or share < at_least + 1e-9


def test_objects_that_lie_apart_are_not_compared_with_each_other():
    rows_and_columns = [bounds(boxed(0.01 * x, 0.01 * y, 0.009, 0.009)) for x in range(70) for y in range(70)]
    work = Work()
    assert list(overlapping_bounds(rows_and_columns, work)) == []
    assert Work().left - work.left < 100 * len(rows_and_columns)


def test_objects_in_one_column_are_not_all_compared_with_each_other():
    column = [bounds(boxed(0.0, 0.001 * y, 1.0, 0.0009)) for y in range(5000)]
    work = Work()
    assert list(overlapping_bounds(column, work)) == []
    assert Work().left - work.left < 2 * len(column)


# Crossings


def test_bow_tie_crosses_itself_in_its_middle():
    assert self_crossing(((0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0))) == (0.5, 0.5)


def test_level_edges_cross_too():
    assert self_crossing(((0.0, 0.5), (1.0, 0.5), (1.0, 1.0), (0.5, 0.0))) is not None


def test_first_crossing_is_the_uppermost():
    twice = ((0.0, 0.0), (1.0, 1.0), (0.0, 2.0), (1.0, 2.0), (0.0, 1.0), (1.0, 0.0))
    assert self_crossing(twice) == (0.5, 0.5)


@pytest.mark.parametrize(
    "ring",
    [
        tuple(OUTER),
        ((0.0, 0.0), (1.0, 0.0), (0.5, 0.5), (1.0, 1.0), (0.0, 1.0), (0.5, 0.5)),
        ((0.0, 0.0), (1.0, 0.0), (1.0, 0.0), (1.0, 1.0)),
        ((0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (1.0, 0.0), (1.0, 1.0)),
        ((0.5, 0.5),) * 4,
    ],
    ids=["square", "touches itself in a point", "vertex twice", "spike", "one point"],
)
def test_outline_that_only_touches_itself_is_simple(ring):
    assert self_crossing(ring) is None


@given(any_rings | crowded_rings)
def test_crossings_are_those_of_exact_arithmetic(ring):
    edges = list(zip(ring, ring[1:] + ring[:1], strict=True))
    crossed = any(
        side(p, q, r) * side(p, q, s) < 0 and side(r, s, p) * side(r, s, q) < 0
        for (p, q), (r, s) in combinations(edges, 2)
    )
    assert (self_crossing(ring) is not None) == crossed


@given(st.floats(0.1, 10), st.integers(1, 40), st.booleans())
def test_nearly_straight_outlines_are_told_apart_exactly(slope, steps, beyond):
    """A vertex a hair's breadth on either side of an edge: only beyond it is there a crossing."""
    hair = math.ulp(slope) * steps * (1 if beyond else -1)
    ring = ((0.0, 0.0), (2.0, 2 * slope), (2.0, 2 * slope + 1), (1.0, slope - hair), (0.0, 1.0))
    assert (self_crossing(ring) is not None) == beyond


# Bounds of the work


def spokes(count: int) -> Shape:
    """An outline whose edges nearly all cross each other."""
    angles = [2 * math.pi * (k * (count // 2)) / count for k in range(count)]
    return drawn([(0.5 + math.cos(angle) / 2, 0.5 + math.sin(angle) / 2) for angle in angles])


@pytest.mark.parametrize(
    "measured",
    [
        lambda: iou(spokes(1501), spokes(1501)),
        lambda: intersection_area(spokes(501), boxed(0, 0, 1, 1), Work(10_000)),
        lambda: self_crossing(spokes(501).rings[0], Work(10_000)),
        lambda: list(overlapping_bounds([Bounds(0, 0, 1, 1)] * 500, Work(10_000))),
        lambda: list(overlapping([boxed(0, 0, 1, 1)] * 500, 0.5, Work(10_000))),
    ],
    ids=["iou", "intersection_area", "self_crossing", "overlapping_bounds", "overlapping"],
)
def test_what_would_take_too_long_is_said_to_be_too_complex(measured):
    with pytest.raises(TooComplex, match="too complex to be measured"):
        measured()


def test_what_is_still_being_measured_at_the_deadline_is_said_to_be_too_complex():
    with pytest.raises(TooComplex, match="time that was left"):
        iou(spokes(501), spokes(501), Work(deadline=Deadline.after(-1)))


def test_measurements_that_share_their_work_stop_together():
    def measure(work: Work) -> float:
        return iou(spokes(21), drawn(TRIANGLE), work)

    alone = Work()
    share = measure(alone)
    shared = Work(2 * (Work().left - alone.left))
    assert measure(shared) == measure(shared) == share > 0
    with pytest.raises(TooComplex):
        measure(shared)
