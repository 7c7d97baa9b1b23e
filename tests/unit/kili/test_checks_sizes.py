"""How large objects are."""

from __future__ import annotations

import pytest
from cases import InMemory, frames, objects, ruleset, told, unchecked
from hypothesis import given
from hypothesis import strategies as st
from labels import HOLE, OUTER, TRIANGLE, drawn_on_page, line, marker, pose, rectangle, semantic

from annohooks.kili.rules.bounds import beyond

LARGE = (0.0, 0.0, 0.6, 0.6)


def size(parameters: str, unit: str = "fraction") -> str:
    return f"check: size\nparameters: {{{parameters}, unit: {unit}}}"


def test_box_that_is_small_enough_is_accepted():
    assert told(size("max_area: 0.33"), objects(rectangle(at=(0, 0, 0.5, 0.6)))) == []


def test_box_that_is_too_large_is_told_on_the_box():
    label = objects(rectangle("small", at=(0, 0, 0.1, 0.1)), rectangle("large", at=LARGE))
    assert told(size("max_area: 0.33"), label) == [("large", "CAR: area 36% of the image is more than 33%")]


def test_object_without_a_category_is_called_by_its_job():
    label = objects({**rectangle("a", at=LARGE), "categories": []})
    assert told(size("max_area: 0.33"), label) == [("a", "JOB_0: area 36% of the image is more than 33%")]


@pytest.mark.parametrize(
    ("at", "parameters", "said"),
    [
        ((0, 0, 0.5, 0.660002), "max_area: 0.33", "area 33.0001% of the image is more than 33%"),
        ((0, 0, 0.001, 0.001), "min_area: 0.01", "area 0.0001% of the image is less than 1%"),
        ((0, 0, 0.00001, 0.00002), "min_area: 0.01", "area 0.00000002% of the image is less than 1%"),
        ((0, 0, 0.1, 0.2), "min_width: 2000, unit: px", "width 100 px is less than 2000 px"),
        ((0, 0, 0.5, 0.5000004), "max_area: 125000, unit: px", "area 125000.1 px is more than 125000 px"),
    ],
)
def test_numbers_are_as_long_as_it_takes_to_see_what_is_wrong(at, parameters, said):
    rule = f"check: size\nparameters: {{{parameters}}}"
    assert told(rule, objects(rectangle("a", at=at))) == [("a", f"CAR: {said}")]


measures = st.floats(1e-12, 1e12)


@given(measures, measures, st.sampled_from(["", " px", "%"]))
def test_numbers_that_are_said_stand_in_the_order_of_those_that_were_measured(value, bound, unit):
    said = beyond("{}", value, None, bound, unit)
    assert bool(said) == (value > bound)
    if value * 100 > bound * 100:
        larger, smaller = (float(part.removesuffix(unit)) for part in said.split(" is more than "))
        assert larger > smaller
        assert larger == pytest.approx(value * (100 if unit == "%" else 1), rel=1e-3)


def test_bounds_themselves_are_accepted():
    label = objects(rectangle(at=(0, 0, 0.5, 0.5)))
    assert told(size("min_area: 0.25, max_area: 0.25, max_width: 0.5, min_height: 0.5"), label) == []


def test_area_is_that_of_the_polygon_and_not_of_the_box_around_it():
    half = [(0.0, 0.0), (0.8, 0.0), (0.0, 0.8)]
    assert told(size("max_area: 0.33"), objects(semantic("a", "CAR", half))) == []


def test_holes_are_left_off_and_pieces_added_up():
    label = objects(semantic("a", "CAR", OUTER, HOLE), semantic("a", "CAR", TRIANGLE))
    assert told(size("min_area: 0.194, max_area: 0.196"), label) == []
    assert told(size("max_width: 0.5"), label) == [("a", "CAR: width 80% of the image is more than 50%")]


def test_everything_wrong_with_a_size_is_said_at_once():
    label = objects(rectangle("a", at=(0.2, 0.2, 0.01, 0.9)))
    expected = (
        "CAR: area 0.9% of the image is less than 1%, width 1% of the image is less than 5%, "
        "height 90% of the image is more than 50%"
    )
    assert told(size("min_area: 0.01, min_width: 0.05, max_height: 0.5"), label) == [("a", expected)]


def test_pixels_are_asked_for_when_the_rule_is_in_pixels():
    label = objects(rectangle("a", at=(0.1, 0.1, 0.01, 0.01)))
    assert told(size("min_width: 8", "px"), label) == []
    assert told(size("min_height: 8", "px"), label) == [("a", "CAR: height 5 px is less than 8 px")]
    assert told(size("max_area: 40", "px"), label) == [("a", "CAR: area 50 px is more than 40 px")]


def test_rule_in_pixels_is_not_checked_without_a_resolution():
    assert unchecked(size("min_width: 8", "px"), objects(rectangle()), size_px=None) == "no resolution"


def test_kili_is_asked_for_nothing_that_does_not_matter():
    case = InMemory(objects(rectangle(at=LARGE)))
    assert ruleset(size("max_area: 0.33")).find(case).findings
    assert case.asked == []


@pytest.mark.parametrize(
    "rule", [size("max_area: 0.001"), "check: border", "check: aspect_ratio\nparameters: {max_ratio: 1}"]
)
def test_degrees_are_not_measured(rule):
    label = objects(semantic("field", "CAR", [(-79.1, -3.2), (-79.0, -3.2), (-79.0, -3.1)]))
    assert unchecked(rule, label, input_type="GEOSPATIAL") == "coordinates are degrees, not fractions of an image"
    assert told(rule, label, input_type="IMAGE")


def test_geospatial_labels_in_pixels_are_measured():
    assert told(size("max_area: 0.33"), objects(rectangle("a", at=LARGE)), input_type="GEOSPATIAL")


def test_each_frame_is_measured_and_the_first_that_is_wrong_told():
    small, large = rectangle("a", at=(0, 0, 0.1, 0.1)), rectangle("a", at=LARGE)
    assert told(size("max_area: 0.33"), frames(f1=[small], f5=[large], f6=[large])) == [
        ("a", "CAR: area 36% of the image is more than 33% in frame 5")
    ]


def test_page_is_told():
    label = objects(drawn_on_page("a", "CAR", 4, OUTER))
    assert told(size("max_area: 0.1"), label) == [("a", "CAR: area 16% of the image is more than 10% on page 4")]


def test_what_has_no_area_has_no_size():
    label = objects(marker(), line("l", "CAR", [(0, 0), (1, 1)]), pose("p", "CAR", {"NOSE": (0.5, 0.5)}))
    assert told(size("min_area: 0.01"), label) == []


def test_percentages_can_be_written():
    rule = 'check: size\nparameters: {max_area: 0.33}\nmessage: "{object} is {area:.0%} of the image"'
    assert told(rule, objects(rectangle("a", at=LARGE))) == [("a", "a is 36% of the image")]


# Aspect ratio


RATIO = "check: aspect_ratio\nparameters: {min_ratio: 0.5, max_ratio: 2}"


def test_aspect_ratio_is_that_of_pixels():
    square_in_fractions = objects(rectangle("a", at=(0.1, 0.1, 0.2, 0.2)))
    assert told(RATIO, square_in_fractions, size_px=(1000, 500)) == []
    assert told(RATIO, square_in_fractions, size_px=(3000, 1000)) == [
        ("a", "CAR: width 3 times the height is more than 2")
    ]
    assert told(RATIO, square_in_fractions, size_px=(1000, 4000)) == [
        ("a", "CAR: width 0.25 times the height is less than 0.5")
    ]


def test_flat_object_has_no_end_of_a_ratio():
    flat = semantic("a", "CAR", [(0.1, 0.1), (0.2, 0.1), (0.3, 0.1)])
    assert told(RATIO, objects(flat)) == [("a", "CAR: no height")]


def test_aspect_ratio_is_not_checked_without_a_resolution():
    assert unchecked(RATIO, objects(rectangle()), size_px=None) == "no resolution"
    assert told(RATIO, objects(marker()), size_px=None) == []


@pytest.mark.parametrize(("degrees", "width", "ratio"), [(0, 400, 8), (90, 200, 2), (180, 400, 8), (270, 200, 2)])
def test_pixels_are_those_of_the_image_as_it_was_turned(degrees, width, ratio):
    label = objects(rectangle("a", at=(0.1, 0.1, 0.4, 0.1)), ROTATION_JOB={"rotation": degrees})
    in_pixels = size("max_area: 0", "px") + "\nmessage: '{width:.0f} by {height:.0f}, {area:.0f}'"
    assert told(in_pixels, label, size_px=(1000, 500)) == [("a", f"{width} by {20_000 // width}, 20000")]
    rule = "check: aspect_ratio\nparameters: {max_ratio: 0}\nmessage: '{ratio:.0f}'"
    assert told(rule, label, size_px=(1000, 500)) == [("a", str(ratio))]


# Border


def test_object_inside_the_image_does_not_touch_its_border():
    assert told("check: border", objects(rectangle(at=(0.1, 0.1, 0.8, 0.8)))) == []


def test_sides_that_are_touched_are_told():
    label = objects(rectangle("a", at=(0.0, 0.2, 0.3, 0.8)), marker("m", at=(0.9995, 0.5)))
    assert told("check: border", label) == [
        ("a", "CAR touches the border of the image (left, bottom)"),
        ("m", "CAR touches the border of the image (right)"),
    ]


def test_only_the_sides_of_the_rule_matter():
    label = objects(rectangle("a", at=(0.0, 0.2, 0.3, 0.8)))
    assert told("check: border\nparameters: {sides: top}", label) == []
    wide = "check: border\nparameters: {sides: [top, right], margin: 0.25}"
    assert told(wide, label) == [("a", "CAR touches the border of the image (top)")]


@pytest.mark.parametrize("rule", [size("min_area: 0.01"), RATIO, "check: border"])
@pytest.mark.parametrize("poly", [None, [], [{}], [{"normalizedVertices": [{"x": "a", "y": 1}] * 4}], "x", [[]]])
def test_malformed_outline_is_left_out(rule, poly):
    assert told(rule, objects({"type": "rectangle", "mid": "a", "boundingPoly": poly})) == []
