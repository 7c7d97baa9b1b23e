"""well_formed and geometry: whether a label has Kili's format and is drawn soundly."""

from __future__ import annotations

import pytest
from cases import InMemory, findings, frames, objects, reported, ruleset
from labels import HOLE, OUTER, RESPONSES, line, marker, polygon, pose, rectangle, semantic

WELL_FORMED, GEOMETRY = "check: well_formed", "check: geometry"
BOW_TIE = [(0.1, 0.1), (0.5, 0.5), (0.5, 0.1), (0.1, 0.5)]
FLAT = [(0.1, 0.1), (0.2, 0.1), (0.3, 0.1)]
EMPTY = {"type": "rectangle", "mid": "b", "boundingPoly": []}


@pytest.mark.parametrize("name", RESPONSES)
def test_labels_of_every_kind_are_well_formed_and_sound(name):
    input_type = "GEOSPATIAL" if name == "geospatial" else "IMAGE"
    assert reported(WELL_FORMED, RESPONSES[name]) == []
    assert reported(GEOMETRY, RESPONSES[name], input_type=input_type) == []


def test_unreadable_part_is_reported_on_its_object():
    assert reported(WELL_FORMED, objects(rectangle("a"), EMPTY)) == [
        ("b", "JOB_0.annotations[1].boundingPoly does not have Kili's format: empty")
    ]


def test_unreadable_part_of_an_object_has_the_same_subject_at_any_index():
    for label in (objects(EMPTY), objects(rectangle("a"), EMPTY)):
        assert [finding.subject for finding in findings(WELL_FORMED, label)] == ["b: empty"]


@pytest.mark.parametrize("response", ["not JSON", 7, [], {"JOB_0": 3}, {"JOB_0": {"annotations": {}}}])
def test_malformed_label_is_reported_on_the_label(response):
    assert [mid for mid, _ in reported(WELL_FORMED, response)] == [None]


@pytest.mark.parametrize(
    ("drawn", "problem"),
    [
        (polygon("a", "CAR", BOW_TIE), "an outline crosses itself"),
        (semantic("a", "CAR", OUTER, BOW_TIE), "an outline crosses itself"),
        (polygon("a", "CAR", FLAT), "no area"),
        (polygon("a", "CAR", 2 * FLAT[:2]), "an outline has fewer than three different vertices"),
        (rectangle("a", at=(0.9, 0.1, 0.2, 0.1)), "a vertex lies outside the image"),
        (marker("a", at=(-0.1, 0.5)), "a vertex lies outside the image"),
        (pose("a", "CAR", {"NOSE": (0.5, 1.2)}), "a vertex lies outside the image"),
        (line("a", "CAR", 2 * FLAT[:1]), "a line has fewer than two different points"),
    ],
)
def test_object_that_is_not_drawn_soundly_is_reported(drawn, problem):
    assert reported(GEOMETRY, objects(rectangle("sound"), drawn)) == [("a", f"CAR: {problem}")]


@pytest.mark.parametrize(
    ("parameters", "expected"), [("{}", ["b"]), ("{tolerance: 0.05}", []), ("{within_image: false}", [])]
)
def test_vertices_may_lie_outside_by_the_tolerance(parameters, expected):
    label = objects(rectangle("a", at=(0.5, 0.5, 0.5005, 0.1)), rectangle("b", at=(0.5, 0.5, 0.52, 0.1)))
    assert [mid for mid, _ in reported(f"{GEOMETRY}\nparameters: {parameters}", label)] == expected


def test_outlines_that_cross_themselves_can_be_accepted():
    crossing = objects(polygon("a", "CAR", [*BOW_TIE[:3], (0.1, 0.4)]))
    assert reported(GEOMETRY, crossing) == [("a", "CAR: an outline crosses itself")]
    assert reported(f"{GEOMETRY}\nparameters: {{simple: false}}", crossing) == []


def test_degrees_lie_within_180_and_90():
    inside, outside = (semantic("a", "CAR", [(x, 10.0), (x + 1, 10.0), (x, 11.0)]) for x in (100.0, 179.5))
    assert reported(GEOMETRY, objects(inside), input_type="GEOSPATIAL") == []
    assert reported(GEOMETRY, objects(outside), input_type="GEOSPATIAL")


def test_kili_is_not_asked_about_objects_inside_the_image():
    case = InMemory(objects(rectangle(), polygon(), marker()))
    ruleset(GEOMETRY).find(case)
    assert case.requests == []


def test_first_wrong_frame_is_reported():
    sound, crossing = polygon("a", "CAR", HOLE), polygon("a", "CAR", BOW_TIE)
    assert reported(GEOMETRY, frames(f1=[sound], f4=[crossing], f5=[crossing])) == [
        ("a", "CAR: an outline crosses itself in frame 4")
    ]
