"""Areas, overlaps and crossings, compared with closed forms, exact arithmetic and pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from labels import HOLE, OUTER, TRIANGLE, box

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
from annohooks.kili.label.model import Point, Shape

GRID = 1000
"""Steps of the coordinates that are compared with pixels, and pixels per side."""


def drawn(*rings: Sequence[Point]) -> Shape:
    return Shape(rings=tuple(tuple(ring) for ring in rings))


def boxed(left: float, top: float, width: float, height: float) -> Shape:
    return drawn(box(left, top, width, height))


def iou(a: Area, b: Area, work: Work | None = None) -> float:
    """The IoU of `overlapping`, which omits pairs with 0."""
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


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([drawn(TRIANGLE)], 0.045),
        ([drawn(OUTER, HOLE)], 0.16 - 0.01),
        ([drawn(OUTER, HOLE), drawn(TRIANGLE)], 0.15 + 0.045),
        ([Shape(points=((0.0, 0.0), (1.0, 1.0)))], 0),
        ([drawn(HOLE, OUTER)], 0),
    ],
    ids=["triangle", "with a hole", "in pieces", "line", "hole larger than its outline"],
)
def test_area_is_that_of_all_pieces_without_their_holes(pieces, expected):
    assert area(pieces) == pytest.approx(expected)


def test_area_far_from_the_origin_is_precise():
    assert ring_area(tuple((x + 1e8, y - 1e8) for x, y in [(0, 0), (0, 1), (1, 1), (1, 0)])) == 1


@given(crowded_rings, st.integers(0, 8), st.booleans())
def test_area_is_that_of_exact_arithmetic_from_any_vertex_and_in_both_directions(ring, start, backwards):
    around = zip(ring, ring[1:] + ring[:1], strict=True)
    exact = abs(sum(Fraction(ax) * Fraction(by) - Fraction(bx) * Fraction(ay) for (ax, ay), (bx, by) in around)) / 2
    turned = ring[start:] + ring[:start]
    assert ring_area(turned[::-1] if backwards else turned) == float(exact)


def test_bounds_surround_outlines_and_points():
    around = bounds([drawn(TRIANGLE), Shape(points=((0.1, 0.95),))])
    assert around == Bounds(0.1, 0.6, 0.9, 0.95)
    assert (around.width, around.height) == (pytest.approx(0.8), pytest.approx(0.35))
    with pytest.raises(ValueError, match="no outlines and no points"):
        bounds(Shape())


# Two areas


@given(boxes, boxes)
def test_overlap_of_upright_rectangles_is_the_product_of_both_axes(a, b):
    def shared(start: float, length: float, other: float, other_length: float) -> float:
        return max(0.0, min(start + length, other + other_length) - max(start, other))

    both = shared(a[0], a[2], b[0], b[2]) * shared(a[1], a[3], b[1], b[3])
    either = a[2] * a[3] + b[2] * b[3] - both
    assert intersection_area(boxed(*a), boxed(*b)) == pytest.approx(both, abs=1e-12)
    left, top, width, height = b
    corners = box(left, top, width, height)
    as_outline = drawn([(left, top), (left + width / 2, top), *corners[2:], corners[0]])
    assert intersection_area(boxed(*a), as_outline) == pytest.approx(both, abs=1e-12)
    assume(either > 1e-9)
    assert iou(boxed(*a), boxed(*b)) == pytest.approx(both / either, abs=1e-6)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_overlap_of_staircases_is_that_of_their_columns(a, b):
    def staircase(heights: list[int]) -> Shape:
        steps = [(float(x), float(h)) for i, h in enumerate(heights) for x in (i, i + 1)]
        return drawn([(0.0, 0.0), *steps, (float(len(heights)), 0.0)])

    assert intersection_area(staircase(a), staircase(b)) == sum(map(min, zip(a, b, strict=False)))


def pixels(shape: Shape) -> np.ndarray:
    """Whether the centre of each pixel is inside, by the even-odd rule."""
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
    """Only pixels that an outline passes through can be wrong, so the tolerance is proportional to the perimeter."""
    a_pixels, b_pixels = pixels(a), pixels(b)
    tolerance = (perimeter(a) + perimeter(b)) / GRID
    assert intersection_area(a, b) == pytest.approx((a_pixels & b_pixels).mean(), abs=tolerance)
    either = (a_pixels | b_pixels).mean()
    assume(either > 20 * tolerance)
    assert iou(a, b) == pytest.approx((a_pixels & b_pixels).mean() / either, abs=3 * tolerance / either)


@given(shapes, shapes, st.floats(0.01, 0.99))
def test_iou_is_symmetric_and_overlaps_add_up(a, b, cut):
    assert iou(a, b) == pytest.approx(iou(b, a), abs=1e-12)
    assert 0 <= iou(a, b) <= 1
    whole = intersection_area(a, boxed(0, 0, 1, 1))
    upper, lower = drawn([(0, 0), (1, 0), (1, cut), (0, cut)]), drawn([(0, cut), (1, cut), (1, 1), (0, 1)])
    assert intersection_area(a, upper) + intersection_area(a, lower) == pytest.approx(whole, abs=1e-12)
    assume(intersection_area(a, a) > 1e-6)
    assert iou(a, a) == pytest.approx(1, abs=1e-9)


@given(crowded_rings, crowded_rings, st.integers(0, 8))
def test_overlap_with_coinciding_vertices_and_edges_is_at_most_either_area_from_any_vertex(a, b, start):
    both = intersection_area(drawn(a), drawn(b))
    assert both <= intersection_area(drawn(a), drawn(a)) + 1e-9
    assert both <= intersection_area(drawn(b), drawn(b)) + 1e-9
    turned = drawn((a[start:] + a[:start])[::-1])
    assert intersection_area(turned, drawn(b)) == pytest.approx(both, abs=1e-9)


def test_overlap_excludes_holes_and_includes_all_pieces():
    assert intersection_area(drawn(OUTER, HOLE), drawn(HOLE)) == pytest.approx(0, abs=1e-15)
    assert iou(drawn(OUTER, HOLE), drawn(OUTER)) == pytest.approx(0.15 / 0.16)
    assert iou([boxed(0, 0, 0.5, 1), boxed(0.5, 0, 0.5, 1)], boxed(0, 0, 1, 1)) == pytest.approx(1)


def test_outline_that_crosses_itself_overlaps_itself_completely():
    bow_tie = drawn([(0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)])
    assert intersection_area(bow_tie, bow_tie) == pytest.approx(0.5)
    assert iou(bow_tie, bow_tie) == pytest.approx(1)


@pytest.mark.parametrize("empty", [Shape(), Shape(points=((0.5, 0.5),)), drawn([(0.2, 0.2), (0.8, 0.8), (0.5, 0.5)])])
def test_shape_without_an_area_overlaps_nothing(empty):
    assert iou(empty, empty) == 0
    assert iou(empty, boxed(0, 0, 1, 1)) == pytest.approx(0, abs=1e-15)


def test_largest_coordinates_can_be_measured():
    huge = drawn([(-1e9, -1e9), (1e9, -1e9), (1e9, 1e9), (-1e9, 1e9), (-1e9, 5e-324)])
    assert area(huge) == pytest.approx(4e18)
    assert iou(huge, huge) == pytest.approx(1)
    assert self_crossing(huge.rings[0]) is None


# Many areas


@given(st.lists(boxes, max_size=12))
def test_pairs_of_bounds_are_all_that_share_some_area(all_boxes):
    around = [bounds(boxed(*corners)) for corners in all_boxes]
    expected = [
        (i, j)
        for (i, a), (j, b) in combinations(enumerate(around), 2)
        if min(a.right, b.right) > max(a.left, b.left) and min(a.bottom, b.bottom) > max(a.top, b.top)
    ]
    assert sorted(overlapping_bounds(around)) == expected


@given(st.lists(any_rings.map(drawn), max_size=6), st.sampled_from([0.0, 0.1, 0.5]))
def test_overlapping_pairs_are_all_with_a_large_enough_iou(areas, at_least):
    pairs = {(i, j): share for i, j, share in overlapping(areas, at_least)}
    for (i, a), (j, b) in combinations(enumerate(areas), 2):
        share = iou(a, b)
        if (i, j) in pairs:
            assert pairs[i, j] == pytest.approx(share, abs=1e-12)
        else:
            assert share == 0 or share < at_least + 1e-9


@pytest.mark.parametrize(
    ("around", "steps_per_box"),
    [
        ([bounds(boxed(0.01 * x, 0.01 * y, 0.009, 0.009)) for x in range(70) for y in range(70)], 100),
        ([bounds(boxed(0.0, 0.001 * y, 1.0, 0.0009)) for y in range(5000)], 2),
    ],
    ids=["rows and columns", "one column"],
)
def test_distant_boxes_are_not_compared(around, steps_per_box):
    work = Work()
    assert list(overlapping_bounds(around, work)) == []
    assert Work().left - work.left < steps_per_box * len(around)


# Crossings


@pytest.mark.parametrize(
    ("ring", "crossing"),
    [
        (((0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)), (0.5, 0.5)),
        (((0.0, 0.0), (1.0, 1.0), (0.0, 2.0), (1.0, 2.0), (0.0, 1.0), (1.0, 0.0)), (0.5, 0.5)),
        (((0.0, 0.5), (1.0, 0.5), (1.0, 1.0), (0.5, 0.0)), (0.75, 0.5)),
    ],
    ids=["bow tie", "topmost of two", "horizontal edge"],
)
def test_topmost_crossing_is_returned(ring, crossing):
    assert self_crossing(ring) == crossing


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
def test_outline_that_only_touches_itself_does_not_cross(ring):
    assert self_crossing(ring) is None


def side(p: Point, q: Point, r: Point) -> Fraction:
    """Positive on one side of the line from p to q, negative on the other."""
    (px, py), (qx, qy), (rx, ry) = ((Fraction(x), Fraction(y)) for x, y in (p, q, r))
    return (qx - px) * (ry - py) - (qy - py) * (rx - px)


@given(any_rings | crowded_rings)
def test_crossings_are_those_of_exact_arithmetic(ring):
    edges = list(zip(ring, ring[1:] + ring[:1], strict=True))
    crossed = any(
        side(p, q, r) * side(p, q, s) < 0 and side(r, s, p) * side(r, s, q) < 0
        for (p, q), (r, s) in combinations(edges, 2)
    )
    assert (self_crossing(ring) is not None) == crossed


@given(st.floats(0.1, 10), st.integers(1, 40), st.booleans())
def test_crossing_is_decided_exactly_next_to_an_edge(slope, steps, beyond):
    """A vertex a few rounding steps from an edge: there is a crossing only beyond the edge."""
    offset = math.ulp(slope) * steps * (1 if beyond else -1)
    ring = ((0.0, 0.0), (2.0, 2 * slope), (2.0, 2 * slope + 1), (1.0, slope - offset), (0.0, 1.0))
    assert (self_crossing(ring) is not None) == beyond


# Limits


def spokes(count: int) -> Shape:
    """An outline of which nearly all edges cross each other."""
    angles = [2 * math.pi * (k * (count // 2)) / count for k in range(count)]
    return drawn([(0.5 + math.cos(angle) / 2, 0.5 + math.sin(angle) / 2) for angle in angles])


@pytest.mark.parametrize(
    "measured",
    [
        lambda: iou(spokes(501), spokes(501), Work(100_000)),
        lambda: intersection_area(spokes(501), boxed(0, 0, 1, 1), Work(10_000)),
        lambda: self_crossing(spokes(501).rings[0], Work(10_000)),
        lambda: list(overlapping_bounds([Bounds(0, 0, 1, 1)] * 500, Work(10_000))),
        lambda: list(overlapping([boxed(0, 0, 1, 1)] * 500, 0.5, Work(10_000))),
    ],
    ids=["iou", "intersection_area", "self_crossing", "overlapping_bounds", "overlapping"],
)
def test_measurement_that_needs_too_many_steps_is_too_complex(measured):
    with pytest.raises(TooComplex, match="too complex to be measured"):
        measured()


def test_measurement_at_the_deadline_is_too_complex():
    with pytest.raises(TooComplex, match="time that was left"):
        iou(spokes(501), spokes(501), Work(deadline=Deadline.after(-1)))


def test_measurements_share_the_steps_of_a_work():
    def measure(work: Work) -> float:
        return iou(spokes(21), drawn(TRIANGLE), work)

    alone = Work()
    share = measure(alone)
    shared = Work(2 * (Work().left - alone.left))
    assert measure(shared) == measure(shared) == share > 0
    with pytest.raises(TooComplex):
        measure(shared)
