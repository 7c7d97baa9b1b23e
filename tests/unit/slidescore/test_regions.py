"""The regions from the shapes that users draw, finished or not."""

from __future__ import annotations

import json
import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annohooks.core.errors import BadRequest
from annohooks.slidescore.regions import regions

SLIDE = 2000, 1500
RECT = {"type": "rect", "corner": {"x": 100, "y": 200}, "size": {"x": 300, "y": 400}}
NULLS = {"x": None, "y": None}


def ring(*points):
    return [{"x": x, "y": y} for x, y in points]


def drawn(*shapes):
    return regions(json.dumps(shapes), *SLIDE)


def refusal(answer):
    with pytest.raises(BadRequest) as raised:
        regions(answer, *SLIDE)
    return raised.value.message


def area(region):
    return cv2.countNonZero(region.mask((region.box.height, region.box.width), 1))


FROM_THE_LOWER_RIGHT = {"type": "rect", "corner": {"x": 400, "y": 600}, "size": {"x": -300, "y": -400}}


@pytest.mark.parametrize("rectangle", [RECT, FROM_THE_LOWER_RIGHT, {**RECT, "type": "RECT", "labels": [{"x": 1}]}])
def test_a_rectangle_is_its_corner_and_size(rectangle):
    for answer in [rectangle], json.dumps([rectangle]):
        (region,) = regions(answer, *SLIDE)
        assert region.box == (100, 200, 300, 400)
        assert area(region) == 300 * 400


@pytest.mark.parametrize(("semi_x", "semi_y"), [(100, 60), (500, 300), (7, 90)])
def test_the_size_of_an_ellipse_is_its_semi_axes(semi_x, semi_y):
    (region,) = drawn({"type": "ellipse", "center": {"x": 700, "y": 600}, "size": {"x": semi_x, "y": semi_y}})
    assert (region.box.x, region.box.width) == (700 - semi_x, 2 * semi_x)
    assert region.box.height == pytest.approx(2 * semi_y, abs=2)
    assert area(region) == pytest.approx(math.pi * semi_x * semi_y, rel=0.01)


def test_a_polygon_is_filled():
    (region,) = drawn({"type": "polygon", "points": ring((0, 0), (200, 0), (0, 100))})
    assert area(region) == pytest.approx(200 * 100 / 2, rel=0.01)


def square(x, y, side):
    return ring((x, y), (x + side, y), (x + side, y + side), (x, y + side))


def test_a_brush_is_its_positive_rings_without_the_negative_ones():
    positive, negative = [square(500, 500, 100), square(700, 500, 10)], [square(520, 520, 20), ring((1, 1))]
    (region,) = drawn({"type": "brush", "positivePolygons": positive, "negativePolygons": negative})
    assert region.box == (500, 500, 210, 100)
    assert area(region) == 100 * 100 + 10 * 10 - 20 * 20


def test_several_shapes_are_several_regions_unless_they_overlap():
    for places, number in (((100, 500, 900), 3), ((100, 300, 900), 2)):
        assert len(drawn(*({**RECT, "corner": {"x": x, "y": 200}} for x in places))) == number


@pytest.mark.parametrize(
    "unfinished",
    [
        {"type": "rect", "corner": NULLS, "size": NULLS},
        {"type": "rect"},
        {"type": "rect", "corner": {"x": 5, "y": None}, "size": {"x": 5, "y": 5}},
        {"type": "ellipse", "center": NULLS, "size": {"x": 5, "y": 5}},
        {"type": "polygon", "points": ring((1, 2), (3, 4))},
        {"type": "polygon", "points": [*ring((1, 2), (3, 4), (9, 1)), NULLS]},
        {"type": "brush", "positivePolygons": [], "negativePolygons": []},
        {"type": "brush", "positivePolygons": [ring((1, 2))], "negativePolygons": []},
    ],
)
def test_an_unfinished_shape_is_left_out_beside_a_finished_one_and_refused_alone(unfinished):
    (region,) = drawn(unfinished, RECT)
    assert region.box == (100, 200, 300, 400)
    assert "was not finished. Please draw" in refusal(json.dumps([unfinished]))


def test_an_empty_answer_or_a_shape_that_encloses_no_area_is_refused():
    for answer in (None, "", [], "[]"):
        assert refusal(answer).startswith("No region of interest was drawn")
    for kind in ("polyline", "arrow", ""):
        assert "encloses no area" in refusal([{"type": kind}])


@pytest.mark.parametrize(
    "flat",
    [
        {**RECT, "size": {"x": 300, "y": 0}},
        {"type": "ellipse", "center": {"x": 5, "y": 5}, "size": {"x": 0, "y": 0}},
        {"type": "polygon", "points": ring((5, 1), (5, 9), (5, 3))},
    ],
)
def test_a_region_without_area_is_left_out_beside_others_and_refused_alone(flat):
    assert "has no area" in refusal(json.dumps([flat]))
    assert len(drawn(flat, RECT)) == 1


def test_a_region_off_the_slide_is_refused_and_a_part_off_the_slide_is_cut_off():
    for x in (-400, 2000, 1e12, -1e300):
        assert "outside the slide" in refusal(json.dumps([{**RECT, "corner": {"x": x, "y": 10}}]))
    (region,) = drawn({**RECT, "corner": {"x": -100, "y": 1400}})
    assert region.box == (0, 1400, 200, 100)


@pytest.mark.parametrize("size", [1e9, 1e6])
def test_a_region_far_larger_than_the_slide_is_the_whole_slide(size):
    points = square(-size / 2, -size / 2, size)
    for shape in (
        {"type": "rect", "corner": points[0], "size": {"x": size, "y": size}},
        {"type": "polygon", "points": points},
        {"type": "brush", "positivePolygons": [points]},
    ):
        (region,) = drawn(shape)
        assert region.box == (0, 0, *SLIDE)
        assert area(region) == SLIDE[0] * SLIDE[1]


@pytest.mark.parametrize(
    "answer",
    [
        "canary",
        '{"type": "rect"}',
        '[{"corner": {"x": 1, "y": 1}}]',
        '[{"type": "rect", "corner": {"x": "canary", "y": 1}}]',
        "[NaN]",
        "\ud800",
        '[{"type": "rect", "label": ' + "[" * 99_999,
        5,
        [1],
    ],
)
def test_an_answer_that_is_no_list_of_shapes_is_refused_without_repeating_it(answer):
    message = refusal(answer)
    assert "has to be of type AnnoShapes" in message
    assert "canary" not in message


def test_too_many_shapes_or_vertices_are_refused_with_their_numbers():
    assert "201 shapes with 0 vertices" in refusal([RECT] * 201)
    many = {"type": "polygon", "points": ring((0, 0)) * 200_001}
    assert "1 shapes with 200001 vertices" in refusal([many])
    assert len(regions([RECT] * 200, *SLIDE)) == 1


coordinates = st.none() | st.integers(-(10**10), 10**10) | st.floats(allow_nan=False, allow_infinity=False)
points = st.fixed_dictionaries({}, optional={"x": coordinates, "y": coordinates})
polygons = st.lists(points, max_size=5)
shapes = st.fixed_dictionaries(
    {"type": st.sampled_from(["rect", "ellipse", "polygon", "brush", "polyline"])},
    optional=dict.fromkeys(("corner", "center", "size"), st.none() | points)
    | {"points": polygons}
    | dict.fromkeys(("positivePolygons", "negativePolygons"), st.lists(polygons, max_size=2)),
)


@given(st.lists(shapes, max_size=4))
def test_any_shapes_are_regions_on_the_slide_or_refused(some):
    try:
        on_slide = regions(json.dumps(some), *SLIDE)
    except BadRequest:
        return
    for region in on_slide:
        assert 0 <= region.box.x < region.box.right <= SLIDE[0]
        assert 0 <= region.box.y < region.box.bottom <= SLIDE[1]
        assert np.unique(region.mask((-(-region.box.height // 64), -(-region.box.width // 64)), 64)).size <= 2
