"""size, aspect_ratio and border."""

from __future__ import annotations

import pytest
from cases import InMemory, frames, objects, reported, ruleset, unchecked
from hypothesis import given
from hypothesis import strategies as st
from labels import HOLE, OUTER, TRIANGLE, drawn_on_page, line, marker, pose, rectangle, semantic

from annohooks.kili.rules.bounds import out_of_bounds

LARGE = (0.0, 0.0, 0.6, 0.6)
TOO_LARGE = "CAR: area 36% of the image is more than 33%"
BORDER = "check: border"


def size(parameters: str = "max_area: 0.33", unit: str = "fraction") -> str:
    return f"check: size\nparameters: {{{parameters}, unit: {unit}}}"


@pytest.mark.parametrize(
    ("at", "rule", "problem"),
    [
        ((0, 0, 0.5, 0.6), size(), None),
        (LARGE, size(), "area 36% of the image is more than 33%"),
        ((0, 0, 0.5, 0.5), size("min_area: 0.25, max_area: 0.25, max_width: 0.5, min_height: 0.5"), None),
        ((0, 0, 0.5, 0.660002), size(), "area 33.0001% of the image is more than 33%"),
        ((0, 0, 0.00001, 0.00002), size("min_area: 0.01"), "area 0.00000002% of the image is less than 1%"),
        ((0, 0, 0.1, 0.2), size("min_width: 2000", "px"), "width 100 px is less than 2000 px"),
        ((0, 0, 0.5, 0.5000004), size("max_area: 125000", "px"), "area 125000.1 px is more than 125000 px"),
        ((0.1, 0.1, 0.01, 0.01), size("min_width: 8", "px"), None),
        ((0.1, 0.1, 0.01, 0.01), size("min_height: 8", "px"), "height 5 px is less than 8 px"),
        (
            (0.2, 0.2, 0.01, 0.9),
            size("min_area: 0.01, min_width: 0.05, max_height: 0.5"),
            "area 0.9% of the image is less than 1%, width 1% of the image is less than 5%, "
            "height 90% of the image is more than 50%",
        ),
    ],
)
def test_all_problems_of_a_box_are_reported_with_enough_digits(at, rule, problem):
    expected = [("a", f"CAR: {problem}")] if problem else []
    assert reported(rule, objects(rectangle("a", at=at))) == expected


@given(st.floats(1e-12, 1e12), st.floats(1e-12, 1e12), st.sampled_from(["", " px", "%"]))
def test_numbers_in_a_text_are_in_the_order_of_the_measured_ones(value, bound, unit):
    text = out_of_bounds("{}", value, None, bound, unit)
    assert bool(text) == (value > bound)
    if value * 100 > bound * 100:
        larger, smaller = (float(part.removesuffix(unit)) for part in text.split(" is more than "))
        assert larger > smaller
        assert larger == pytest.approx(value * (100 if unit == "%" else 1), rel=1e-3)


def test_object_without_a_category_is_named_by_its_job():
    label = objects({**rectangle("a", at=LARGE), "categories": []})
    assert reported(size(), label) == [("a", TOO_LARGE.replace("CAR", "JOB_0"))]


def test_area_is_that_of_the_outline_without_holes_and_with_all_pieces():
    assert reported(size(), objects(semantic("a", "CAR", [(0.0, 0.0), (0.8, 0.0), (0.0, 0.8)]))) == []
    pieces = objects(semantic("a", "CAR", OUTER, HOLE), semantic("a", "CAR", TRIANGLE))
    assert reported(size("min_area: 0.194, max_area: 0.196"), pieces) == []
    assert reported(size("max_width: 0.5"), pieces) == [("a", "CAR: width 80% of the image is more than 50%")]


RATIO = "check: aspect_ratio\nparameters: {min_ratio: 0.5, max_ratio: 2}"


@pytest.mark.parametrize("rule", [size("min_width: 8", "px"), RATIO])
def test_pixels_need_a_resolution(rule):
    assert unchecked(rule, objects(rectangle()), size_px=None) == "no resolution"
    assert reported(rule, objects(marker()), size_px=None) == []


def test_kili_is_not_asked_about_fractions():
    case = InMemory(objects(rectangle(at=LARGE)))
    assert ruleset(size()).find(case).findings
    assert case.requests == []


@pytest.mark.parametrize("rule", [size("max_area: 0.001"), BORDER, "check: aspect_ratio\nparameters: {max_ratio: 1}"])
def test_degrees_are_not_measured(rule):
    label = objects(semantic("field", "CAR", [(-79.1, -3.2), (-79.0, -3.2), (-79.0, -3.1)]))
    assert unchecked(rule, label, input_type="GEOSPATIAL") == "coordinates are degrees, not fractions of an image"
    assert reported(rule, label, input_type="IMAGE")


def test_geospatial_labels_in_pixels_are_measured():
    assert reported(size(), objects(rectangle("a", at=LARGE)), input_type="GEOSPATIAL")


def test_first_wrong_frame_or_page_is_reported():
    small, large = rectangle("a", at=(0, 0, 0.1, 0.1)), rectangle("a", at=LARGE)
    assert reported(size(), frames(f1=[small], f5=[large], f6=[large])) == [("a", f"{TOO_LARGE} in frame 5")]
    ((_, text),) = reported(size("max_area: 0.1"), objects(drawn_on_page("a", "CAR", 4, OUTER)))
    assert text == "CAR: area 16% of the image is more than 10% on page 4"


def test_objects_without_an_area_have_no_size():
    label = objects(marker(), line("l", "CAR", [(0, 0), (1, 1)]), pose("p", "CAR", {"NOSE": (0.5, 0.5)}))
    assert reported(size("min_area: 0.01"), label) == []


def test_message_may_format_a_percentage():
    rule = 'check: size\nparameters: {max_area: 0.33}\nmessage: "{object} is {area:.0%} of the image"'
    assert reported(rule, objects(rectangle("a", at=LARGE))) == [("a", "a is 36% of the image")]


@pytest.mark.parametrize(
    ("size_px", "expected"),
    [
        ((1000, 500), []),
        ((3000, 1000), [("a", "CAR: width 3 times the height is more than 2")]),
        ((1000, 4000), [("a", "CAR: width 0.25 times the height is less than 0.5")]),
    ],
)
def test_aspect_ratio_is_in_pixels(size_px, expected):
    assert reported(RATIO, objects(rectangle("a", at=(0.1, 0.1, 0.2, 0.2))), size_px=size_px) == expected


def test_aspect_ratio_of_an_object_without_a_height_is_out_of_bounds():
    flat = semantic("a", "CAR", [(0.1, 0.1), (0.2, 0.1), (0.3, 0.1)])
    assert reported(RATIO, objects(flat)) == [("a", "CAR: no height")]


@pytest.mark.parametrize(("degrees", "width", "ratio"), [(0, 400, 8), (90, 200, 2), (180, 400, 8), (270, 200, 2)])
def test_pixels_are_those_of_the_turned_image(degrees, width, ratio):
    label = objects(rectangle("a", at=(0.1, 0.1, 0.4, 0.1)), ROTATION_JOB={"rotation": degrees})
    in_pixels = size("max_area: 0", "px") + "\nmessage: '{width:.0f} by {height:.0f}, {area:.0f}'"
    assert reported(in_pixels, label, size_px=(1000, 500)) == [("a", f"{width} by {20_000 // width}, 20000")]
    rule = "check: aspect_ratio\nparameters: {max_ratio: 0}\nmessage: '{ratio:.0f}'"
    assert reported(rule, label, size_px=(1000, 500)) == [("a", str(ratio))]


@pytest.mark.parametrize(
    ("parameters", "drawn", "sides"),
    [
        ("{}", rectangle("a", at=(0.1, 0.1, 0.8, 0.8)), ""),
        ("{}", rectangle("a", at=(0.0, 0.2, 0.3, 0.8)), "left, bottom"),
        ("{}", marker("a", at=(0.9995, 0.5)), "right"),
        ("{sides: top}", rectangle("a", at=(0.0, 0.2, 0.3, 0.8)), ""),
        ("{sides: [top, right], margin: 0.25}", rectangle("a", at=(0.0, 0.2, 0.3, 0.8)), "top"),
    ],
)
def test_touched_sides_of_the_rule_are_reported(parameters, drawn, sides):
    expected = [("a", f"CAR touches the border of the image ({sides})")] if sides else []
    assert reported(f"{BORDER}\nparameters: {parameters}", objects(drawn)) == expected
