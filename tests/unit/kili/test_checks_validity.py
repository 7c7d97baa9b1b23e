"""Whether a label is what Kili's tools can draw."""

from __future__ import annotations

import pytest
from cases import InMemory, found, frames, objects, ruleset, told
from labels import HOLE, OUTER, RESPONSES, line, marker, polygon, pose, rectangle, semantic

BOW_TIE = [(0.1, 0.1), (0.5, 0.5), (0.5, 0.1), (0.1, 0.5)]
FLAT = [(0.1, 0.1), (0.2, 0.1), (0.3, 0.1)]


@pytest.mark.parametrize("name", RESPONSES)
def test_labels_of_every_kind_are_well_formed_and_sound(name):
    input_type = "GEOSPATIAL" if name == "geospatial" else "IMAGE"
    assert told("check: well_formed", RESPONSES[name]) == []
    assert told("check: geometry", RESPONSES[name], input_type=input_type) == []


# Well-formed


def test_part_that_cannot_be_read_is_told_on_its_object():
    label = objects(rectangle("a"), {"type": "rectangle", "mid": "b", "boundingPoly": []})
    assert told("check: well_formed", label) == [
        ("b", "JOB_0.annotations[1].boundingPoly is not as Kili writes it: empty"),
    ]


@pytest.mark.parametrize(
    "response", ["not JSON", 7, [], {"JOB_0": 3}, {"JOB_0": {"annotations": {}}}, {"JOB_0": {"x": 1}}]
)
def test_whatever_is_no_label_is_told_on_the_label(response):
    assert [mid for mid, _ in told("check: well_formed", response)] == [None]


def test_part_is_known_again_by_its_object_wherever_it_stands():
    bad = {"type": "rectangle", "mid": "b", "boundingPoly": []}
    alone, later = (found("check: well_formed", objects(*drawn)) for drawn in ([bad], [rectangle("a"), bad]))
    assert [finding.subject for finding in alone] == [finding.subject for finding in later] == ["b: empty"]


# Geometry


@pytest.mark.parametrize(
    ("drawn", "problem"),
    [
        (polygon("a", "CAR", BOW_TIE), "an outline crosses itself"),
        (polygon("a", "CAR", FLAT), "no area"),
        (
            polygon("a", "CAR", [(0.1, 0.1), (0.2, 0.2), (0.1, 0.1), (0.2, 0.2)]),
            "an outline has fewer than three different vertices",
        ),
        (rectangle("a", at=(0.9, 0.1, 0.2, 0.1)), "a vertex lies outside the image"),
        (marker("a", at=(-0.1, 0.5)), "a vertex lies outside the image"),
        (pose("a", "CAR", {"NOSE": (0.5, 1.2)}), "a vertex lies outside the image"),
        (line("a", "CAR", [(0.1, 0.1), (0.1, 0.1)]), "a line has fewer than two different points"),
        (semantic("a", "CAR", OUTER, BOW_TIE), "an outline crosses itself"),
    ],
)
def test_what_is_not_drawn_soundly_is_told_on_the_object(drawn, problem):
    assert told("check: geometry", objects(rectangle("sound"), drawn)) == [("a", f"CAR: {problem}")]


def test_vertices_may_lie_outside_by_as_much_as_the_rule_says():
    label = objects(rectangle("a", at=(0.5, 0.5, 0.5005, 0.1)), rectangle("b", at=(0.5, 0.5, 0.52, 0.1)))
    assert [mid for mid, _ in told("check: geometry", label)] == ["b"]
    assert told("check: geometry\nparameters: {tolerance: 0.05}", label) == []
    assert told("check: geometry\nparameters: {within_image: false}", label) == []


def test_outlines_that_cross_themselves_can_be_accepted():
    crossing = polygon("a", "CAR", [(0.1, 0.1), (0.5, 0.5), (0.5, 0.1), (0.1, 0.4)])
    assert told("check: geometry", objects(crossing)) == [("a", "CAR: an outline crosses itself")]
    assert told("check: geometry\nparameters: {simple: false}", objects(crossing)) == []


def test_degrees_may_be_as_large_as_degrees_are():
    on_earth, beyond = (semantic("a", "CAR", [(x, 10.0), (x + 1, 10.0), (x, 11.0)]) for x in (100.0, 179.5))
    assert told("check: geometry", objects(on_earth), input_type="GEOSPATIAL") == []
    assert told("check: geometry", objects(beyond), input_type="GEOSPATIAL")


def test_kili_is_asked_for_nothing_about_what_is_inside_the_image():
    case = InMemory(objects(rectangle(), polygon(), marker()))
    ruleset("check: geometry").find(case)
    assert case.asked == []


def test_first_frame_that_is_wrong_is_told():
    sound, crossing = polygon("a", "CAR", HOLE), polygon("a", "CAR", BOW_TIE)
    assert told("check: geometry", frames(f1=[sound], f4=[crossing], f5=[crossing])) == [
        ("a", "CAR: an outline crosses itself in frame 4")
    ]


@pytest.mark.parametrize("x", [float("nan"), float("inf"), "0.5", None, True, 10**400])
def test_malformed_vertex_is_no_geometry(x):
    label = objects({"type": "marker", "mid": "a", "point": {"x": x, "y": 0.5}})
    assert told("check: geometry", label) == []
    assert [mid for mid, _ in told("check: well_formed", label)] == ["a"]
