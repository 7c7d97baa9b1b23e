"""count: the number of objects."""

from __future__ import annotations

import pytest
from cases import findings, frames, objects, reported, unchecked, verdict
from labels import OUTER, TRIANGLE, drawn_on_page, marker, polygon, rectangle, semantic

ONE, TWO, THREE = ([rectangle(mid) for mid in "abc"[:count]] for count in (1, 2, 3))
UNREADABLE = {"type": "rectangle"}


def count(parameters: str = "max: 1", scope: str = "") -> str:
    return f"check: count\nscope: {{{scope}}}\nparameters: {{{parameters}}}"


AT_MOST_ONE_CAR = count(scope="job: JOB_0, category: CAR")


def test_accepted_number_is_accepted():
    assert reported(AT_MOST_ONE_CAR, objects(rectangle("a"), rectangle("b", "TREE"), rectangle("c", "TREE"))) == []


def test_too_many_objects_are_reported_on_the_label():
    assert reported(AT_MOST_ONE_CAR, objects(*TWO)) == [(None, "CAR: 2 instead of at most 1")]


def test_only_objects_in_the_scope_are_counted():
    rule = count(scope="job: JOB_0, tool: [rectangle, polygon]")
    assert reported(rule, objects(rectangle("a"), marker("b"), OTHER={"annotations": [rectangle("c")]})) == []
    assert reported(rule, objects(rectangle("a"), polygon("b"))) == [(None, "annotations: 2 instead of at most 1")]


def test_pieces_of_an_object_are_one_and_objects_without_a_mid_are_each_one():
    split = [semantic("split", "CAR", ring) for ring in (OUTER, TRIANGLE)]
    assert reported(count("exactly: 2"), objects(*split, semantic("whole", "CAR", OUTER))) == []
    assert reported(count("exactly: 3"), objects(*({**rectangle(), "mid": None} for _ in range(3)))) == []


@pytest.mark.parametrize(
    ("parameters", "accepted"), [("min: 2", "at least 2"), ("min: 2, max: 3", "2 to 3"), ("exactly: 2", "exactly 2")]
)
def test_missing_objects_are_reported_even_of_an_empty_label(parameters, accepted):
    rule = count(parameters, "category: CAR")
    assert reported(rule, {}) == [(None, f"CAR: 0 instead of {accepted}")]
    assert reported(rule, objects(*TWO)) == []


def test_too_few_is_uncertain_but_too_many_is_certain_when_parts_could_not_be_read():
    assert "could not be read" in unchecked(count("min: 2"), objects(*ONE, UNREADABLE))
    assert reported(count("max: 1"), objects(*TWO, UNREADABLE))


@pytest.mark.parametrize("categories", ["CAR, TREE", "TREE, CAR"])
def test_too_many_of_a_category_is_reported_beside_uncertain_ones(categories):
    rule = count("exactly: 1, each_category: true", f"category: [{categories}]")
    found, reasons, _ = verdict(rule, objects(*TWO, UNREADABLE))
    assert [finding.text for finding in found] == ["CAR: 2 instead of exactly 1"]
    assert "could not be read" in reasons["rule-1"]


def test_frame_with_too_many_is_reported_beside_uncertain_frames():
    rule = count("exactly: 2, per: frame")
    label = frames(f2=ONE, f3=TWO, f4=THREE)
    assert reported(rule, label) == [(None, "annotations: 1 instead of exactly 2 in frame 2 and 1 more frame")]
    label["5"] = objects(UNREADABLE)
    found, reasons, _ = verdict(rule, label)
    assert [finding.text for finding in found] == ["annotations: 3 instead of exactly 2 in frame 4"]
    assert "could not be read" in reasons["rule-1"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (count("max: 2", "category: [CAR, TREE, DOG]"), ["CAR, TREE, DOG: 3 instead of at most 2"]),
        (
            count("exactly: 1, each_category: true", "category: [CAR, TREE, DOG]"),
            ["TREE: 2 instead of exactly 1", "DOG: 0 instead of exactly 1"],
        ),
        (count("max: 1, each_category: true"), ["TREE: 2 instead of at most 1"]),
    ],
)
def test_categories_are_counted_together_or_each_by_itself(rule, expected):
    label = objects(rectangle("a"), rectangle("b", "TREE"), rectangle("c", "TREE"))
    assert [text for _, text in reported(rule, label)] == expected


def test_each_frame_is_counted_and_the_label_reported_once():
    label = frames(f2=ONE, f3=TWO, f7=TWO, f10=TWO)
    assert reported(count("max: 1, per: frame"), label) == [
        (None, "annotations: 2 instead of at most 1 in frame 3 and 2 more frames")
    ]
    assert reported(count("max: 2"), label) == []


def test_each_page_is_counted():
    label = objects(*(drawn_on_page(f"box-{page}-{n}", "CAR", page, OUTER) for page in (1, 2) for n in range(page)))
    assert reported(count("max: 1, per: page"), label) == [(None, "annotations: 2 instead of at most 1 on page 2")]


def test_subject_does_not_depend_on_the_count():
    subjects = [findings(AT_MOST_ONE_CAR, objects(*boxes))[0].subject for boxes in (TWO, THREE)]
    assert subjects == ["JOB_0/CAR", "JOB_0/CAR"]
