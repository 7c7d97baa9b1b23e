"""Malformed parts of a label: each is left out and named, and the rest is read."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
from cases import reading_of
from labels import (
    OUTER,
    TRIANGLE,
    annotation,
    classified,
    drawn_on_page,
    entity,
    line,
    marker,
    on_pages,
    polygon,
    pose,
    rectangle,
    tracked,
    vertices,
)

from annohooks.kili.label.model import Fault, Reading
from annohooks.kili.label.reader import DEEPEST, LONGEST_NAME, LONGEST_PATH, MOST_FAULTS, read


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        (None, "the label is null, not an object"),
        ([], "the label is a list, not an object"),
        (3.5, "the label is a number, not an object"),
        (True, "the label is true or false, not an object"),
        ({1, 2}, "the label is another type, not an object"),
        ("", "the label is not JSON"),
        ('{"JOB": NaN}', "the label is not JSON"),
        ("\ud800", "the label is not JSON"),
        (b"\xff\xfe", "the label is not JSON"),
        ("[" * 100_000, "the label is not JSON"),
        ("[]", "the label is a list, not an object"),
    ],
)
def test_malformed_label_is_one_fault(label, reason):
    assert read(label) == Reading(faults=(Fault("", reason),))


@pytest.mark.parametrize("malformed", [{"rotation": 45}, {"rotation": "90"}, {"rotation": None}, {}, 90, None])
def test_malformed_rotation_is_a_fault(malformed):
    fault = Fault("ROTATION_JOB", "not a rotation of 0, 90, 180 or 270 degrees")
    assert read({"ROTATION_JOB": malformed}) == Reading(faults=(fault,))


@pytest.mark.parametrize(
    ("response", "path", "reason"),
    [
        ([], "", "expected a job's response, not a list"),
        ("path/to/a/file.pdf", "", "expected a job's response, not a string"),
        ({"annotations": {}}, ".annotations", "expected annotations, not an object"),
        ({"annotations": [7]}, ".annotations[0]", "expected an annotation, not a number"),
        ({"categories": "A"}, ".categories", "expected categories, not a string"),
        ({"categories": ["A"]}, ".categories[0]", "a category without a name"),
        ({"categories": [{"name": None}]}, ".categories[0]", "a category without a name"),
        ({"text": 12}, ".text", "expected a string, not a number"),
        ({"choice": "A"}, ".choice", "not a choice with a code"),
        ({"orders": {}}, ".orders", "expected ranks, not an object"),
        ({"orders": [{"rank": 1}]}, ".orders[0]", "not a rank with its elements"),
        ({"fileId": 5}, ".fileId", "expected a string, not a number"),
        ({"children": [1]}, ".children", "expected jobs, not a list"),
        ({"children": {"": {}}}, ".children", "a job without a name"),
        ({"rotation": 90}, "", "without an answer to a job"),
    ],
)
def test_malformed_answer_is_a_fault(response, path, reason):
    reading = read({"JOB_0": response, "OTHER": classified("A")})
    assert reading.faults == (Fault(f"JOB_0{path}", reason),)
    assert [answer.job for answer in reading.answers] == ["OTHER"]


def replaced(drawn: Any, value: Any, *keys: Any) -> Any:
    """A copy with another value at the place that the keys lead to."""
    changed = copy.deepcopy(drawn)
    inner = changed
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return changed


POLY = ".boundingPoly[0].normalizedVertices"
VERTICES = ("boundingPoly", 0, "normalizedVertices")
PAGES = ("annotations", 0, "pageNumberArray")
COW = entity("m", "NOUN", "Cow", 4)


@pytest.mark.parametrize(
    ("drawn", "path", "reason"),
    [
        (replaced(polygon(), math.nan, *VERTICES, 1, "x"), f"{POLY}[1].x", "not a possible coordinate"),
        (replaced(polygon(), math.inf, *VERTICES, 1, "y"), f"{POLY}[1].y", "not a possible coordinate"),
        (replaced(polygon(), 10**400, *VERTICES, 1, "x"), f"{POLY}[1].x", "not a possible coordinate"),
        (replaced(polygon(), "0.5", *VERTICES, 1, "x"), f"{POLY}[1].x", "expected a coordinate, not a string"),
        (replaced(polygon(), True, *VERTICES, 1, "x"), f"{POLY}[1].x", "expected a coordinate, not true or false"),
        (replaced(polygon(), None, *VERTICES, 1, "x"), f"{POLY}[1].x", "expected a coordinate, not null"),
        (replaced(polygon(), [0.5, 0.5], *VERTICES, 1), f"{POLY}[1]", "expected a point, not a list"),
        (replaced(polygon(), [], *VERTICES), POLY, "empty"),
        (replaced(polygon(), [[]], *VERTICES), f"{POLY}[0]", "empty"),
        (replaced(polygon(), None, *VERTICES), POLY, "expected vertices, not null"),
        (replaced(polygon(), 7, "boundingPoly", 0), POLY, "expected vertices, not null"),
        (replaced(polygon(), [], "boundingPoly"), ".boundingPoly", "empty"),
        (replaced(polygon(), [[]], "boundingPoly"), ".boundingPoly[0]", "empty"),
        (replaced(polygon(), None, "boundingPoly"), ".boundingPoly", "expected outlines, not null"),
        (polygon("m", ring=TRIANGLE[:2]), POLY, "2 vertices, too few for an outline"),
        (replaced(rectangle(), vertices(TRIANGLE), *VERTICES), ".boundingPoly", "a rectangle of 3 vertices"),
        (replaced(rectangle(), vertices([*OUTER, (0, 1)]), *VERTICES), ".boundingPoly", "a rectangle of 5 vertices"),
        (replaced(polygon(), "circle", "type"), ".type", "not one of Kili's tools"),
        (replaced(polygon(), ["polygon"], "type"), ".type", "not one of Kili's tools"),
        (replaced(polygon(), "marker", "type"), "", "a marker that is not drawn"),
        (annotation("m", "CAR", type="rectangle"), "", "a rectangle that is not drawn"),
        (annotation("m", "CAR", type="polyline"), "", "a polyline that is not drawn"),
        (replaced(marker(), {"x": 1}, "point"), ".point.y", "expected a coordinate, not null"),
        (replaced(marker(), 4, "point"), ".point", "expected a point, not a number"),
        (line("m", "CAR", []), ".polyline", "empty"),
        (replaced(pose("m", "FACE", {}), 1, "points"), ".points", "expected points, not a number"),
        (replaced(COW, 7, "content"), ".content", "expected a string, not a number"),
        (replaced(COW, -1, "beginOffset"), ".beginOffset", "not an offset in a text"),
        (replaced(COW, "7", "endOffset"), ".endOffset", "not an offset in a text"),
        (
            replaced(on_pages("m", "NOUN", "x", [(1, OUTER), (2, OUTER)]), [1, 2, 3], *PAGES),
            ".annotations[0].pageNumberArray",
            "3 page numbers for 2 outlines",
        ),
        (
            replaced(drawn_on_page("m", "CAR", 1, OUTER), ["1"], *PAGES),
            ".annotations[0].pageNumberArray",
            "not a list of page numbers",
        ),
        (drawn_on_page("m", "CAR", 1, TRIANGLE), ".annotations[0]", "a rectangle of 3 vertices"),
        (
            {"annotations": [{"boundingPoly": outline} for outline in ([], None)]},
            ".annotations[0].boundingPoly",
            "empty",
        ),
        (
            {"annotations": [*drawn_on_page("m", "CAR", 1, OUTER)["annotations"], 7]},
            ".annotations[1]",
            "expected outlines, not a number",
        ),
        ({"categories": [{"name": "A"}], "pageNumberArray": "1"}, ".pageNumberArray", "not a list of page numbers"),
        ({"score": 3}, "", "neither drawn nor answered"),
        ({"categories": None}, "", "neither drawn nor answered"),
    ],
)
def test_malformed_annotation_is_a_fault_with_its_mid(drawn, path, reason):
    reading = reading_of({**drawn, "mid": "m"})
    assert reading == Reading(faults=(Fault(f"JOB_0.annotations[0]{path}", reason, "m"),))


# Only the malformed part is left out


def test_malformed_mid_is_left_out():
    reading = reading_of(polygon() | {"mid": 12})
    assert reading.objects[0].mid is None
    assert reading.faults == (Fault("JOB_0.annotations[0].mid", "a mid that is not a string"),)


def test_malformed_points_of_a_pose_are_left_out():
    drawn = replaced(pose("m", "FACE", {"NOSE": (0, 0), "LEFT_EYE": (1, 1)}), "left", "points", 1, "point", "x")
    drawn["points"] += [7, {"point": {"x": 0, "y": 0}}]
    reading = reading_of(drawn)
    assert [point.code for point in reading.objects[0].keypoints] == ["NOSE"]
    assert [(fault.path, fault.mid) for fault in reading.faults] == [
        (f"JOB_0.annotations[0].points{path}", "m") for path in ("[1].point.x", "[2]", "[3].code")
    ]


def test_malformed_ends_of_a_relation_are_left_out():
    reading = reading_of({"startObjects": [{"mid": "a"}, {"mid": 3}, "b"], "endObjects": "c", "mid": "m"})
    assert (reading.relations[0].starts, reading.relations[0].ends) == (("a",), ())
    assert [fault.path.removeprefix("JOB_0.annotations[0].") for fault in reading.faults] == [
        "startObjects[1]",
        "startObjects[2]",
        "endObjects",
    ]


def test_malformed_frames_are_left_out():
    frames = {str(frame): tracked(frame, True, ("m", 0.1)) for frame in range(3)}
    frames["1"]["JOB_0"]["annotations"][0]["boundingPoly"] = None
    reading = read({**frames, "3": []})
    assert [shape.frame for shape in reading.objects[0].shapes] == [0, 2]
    assert reading.faults == (
        Fault("1.JOB_0.annotations[0].boundingPoly", "expected outlines, not null", "m"),
        Fault("3", "expected jobs, not a list"),
    )


def test_second_tool_of_a_mid_is_left_out():
    reading = reading_of(polygon("m"), marker("m"))
    assert [obj.tool for obj in reading.objects] == ["polygon"]
    assert reading.faults == (Fault("JOB_0.annotations[1]", "a marker with the mid of a polygon", "m"),)


def test_fault_in_a_child_job_of_an_object_has_its_mid():
    reading = reading_of(rectangle("m", children={"PLATE": {"text": 7}}))
    path = "JOB_0.annotations[0].children.PLATE.text"
    assert (len(reading.objects), reading.faults) == (1, (Fault(path, "expected a string, not a number", "m"),))


# Limits


@pytest.mark.parametrize(
    "nest",
    [
        lambda inner: classified("A") | {"children": {"J": inner}},
        lambda inner: classified("A", "B") | {"children": {"J": inner}},
        lambda inner: classified("A", J=inner),
    ],
)
def test_child_jobs_are_read_to_a_limited_depth(nest):
    deep: Any = classified("A")
    for _ in range(5_000):
        deep = nest(deep)
    reading = read({"J": deep})
    assert len(reading.answers) == DEEPEST + 1
    assert [fault.reason for fault in reading.faults] == [f"more than {DEEPEST} levels of child jobs"]


def test_faults_above_the_limit_are_counted():
    reading = reading_of(*[7] * (MOST_FAULTS + 23), polygon())
    assert len(reading.faults) == MOST_FAULTS + 1
    assert reading.faults[-1] == Fault("", "and 23 more")
    assert len(reading.objects) == 1


def test_long_names_and_paths_are_limited():
    longest = "J" * LONGEST_NAME
    assert len(read({longest: {"children": {longest: []}}}).faults[0].path) == LONGEST_PATH
    reading = read({f"{longest}J": {"text": "x"}, "JOB_0": {"text": "y"}})
    assert reading.faults == (Fault("", "a job with a name of more than 200 characters"),)
    assert reading.jobs == {"JOB_0"}
