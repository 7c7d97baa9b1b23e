"""How many objects a label has."""

from __future__ import annotations

import pytest
from cases import found, frames, objects, told, unchecked, verdict
from labels import OUTER, TRIANGLE, drawn_on_page, marker, polygon, rectangle, semantic

AT_MOST_ONE_CAR = "check: count\nscope: {job: JOB_0, category: CAR}\nparameters: {max: 1}"


def test_as_many_as_accepted_are_accepted():
    assert told(AT_MOST_ONE_CAR, objects(rectangle("a"), rectangle("b", "TREE"), rectangle("c", "TREE"))) == []


def test_one_too_many_is_told_on_the_label():
    label = objects(rectangle("a"), rectangle("b"))
    assert told(AT_MOST_ONE_CAR, label) == [(None, "CAR: 2 instead of at most 1")]


def test_vendors_message_is_what_the_vendors_example_says():
    rule = f'{AT_MOST_ONE_CAR}\nmessage: "There are too many BBox ({{count}}) - Only 1 BBox of Object A accepted"'
    label = objects(rectangle("a"), rectangle("b"), rectangle("c"))
    assert told(rule, label) == [(None, "There are too many BBox (3) - Only 1 BBox of Object A accepted")]


def test_other_jobs_and_tools_are_not_counted():
    rule = "check: count\nscope: {job: JOB_0, tool: [rectangle, polygon]}\nparameters: {max: 1}"
    label = objects(rectangle("a"), marker("b"), OTHER={"annotations": [rectangle("c")]})
    assert told(rule, label) == []
    assert told(rule, objects(rectangle("a"), polygon("b"))) == [(None, "annotations: 2 instead of at most 1")]


def test_pieces_of_one_object_are_one():
    rule = "check: count\nscope: {category: CAR}\nparameters: {exactly: 2}"
    label = objects(
        semantic("split", "CAR", OUTER), semantic("split", "CAR", TRIANGLE), semantic("whole", "CAR", OUTER)
    )
    assert told(rule, label) == []


def test_objects_without_a_mid_are_counted_each():
    label = objects(*({**rectangle(), "mid": None} for _ in range(3)))
    assert told(AT_MOST_ONE_CAR, label) == [(None, "CAR: 3 instead of at most 1")]


@pytest.mark.parametrize(
    ("parameters", "accepted"), [("min: 2", "at least 2"), ("{min: 2, max: 3}", "2 to 3"), ("exactly: 2", "exactly 2")]
)
def test_what_is_missing_is_told_even_of_an_empty_label(parameters, accepted):
    rule = f"check: count\nscope: {{category: CAR}}\nparameters: {{{parameters.strip('{}')}}}"
    assert told(rule, {}) == [(None, f"CAR: 0 instead of {accepted}")]
    assert told(rule, objects(rectangle("a"), rectangle("b"))) == []


def test_too_few_is_not_told_of_a_label_that_could_not_all_be_read():
    rule = "check: count\nparameters: {min: 2}"
    assert "could not be read" in unchecked(rule, objects(rectangle("a"), {"type": "rectangle", "mid": "b"}))


def test_too_many_is_told_of_it_all_the_same():
    rule = "check: count\nparameters: {max: 1}"
    assert told(rule, objects(rectangle("a"), rectangle("b"), {"type": "rectangle"}))


@pytest.mark.parametrize("categories", ["CAR, TREE", "TREE, CAR"])
def test_what_is_too_many_is_told_whatever_may_be_missing(categories):
    rule = f"check: count\nscope: {{category: [{categories}]}}\nparameters: {{exactly: 1, each_category: true}}"
    findings, why, _ = verdict(rule, objects(rectangle("a"), rectangle("b"), {"type": "rectangle"}))
    assert [finding.text for finding in findings] == ["CAR: 2 instead of exactly 1"]
    assert "could not be read" in why["rule-1"]


def test_frame_with_too_many_is_told_whatever_may_be_missing_in_another():
    rule = "check: count\nparameters: {exactly: 1, per: frame}"
    one, two = [rectangle("a")], [rectangle("a"), rectangle("b")]
    label = frames(f2=two[:1], f3=two, f4=[*two, rectangle("c")])
    assert told(rule.replace("exactly: 1", "exactly: 2"), label) == [
        (None, "annotations: 1 instead of exactly 2 in frame 2, wrong in 1 more")
    ]
    label["5"] = objects({"type": "rectangle"})
    findings, why, _ = verdict(rule.replace("exactly: 1", "exactly: 2"), label)
    assert [finding.text for finding in findings] == ["annotations: 3 instead of exactly 2 in frame 4"]
    assert "could not be read" in why["rule-1"]
    assert told(rule, frames(f2=one)) == []


def test_categories_are_counted_together_unless_apart():
    label = objects(rectangle("a"), rectangle("b", "TREE"), rectangle("c", "TREE"))
    together = "check: count\nscope: {category: [CAR, TREE, DOG]}\nparameters: {max: 2}"
    assert told(together, label) == [(None, "CAR, TREE, DOG: 3 instead of at most 2")]
    apart = "check: count\nscope: {category: [CAR, TREE, DOG]}\nparameters: {exactly: 1, each_category: true}"
    assert told(apart, label) == [(None, "TREE: 2 instead of exactly 1"), (None, "DOG: 0 instead of exactly 1")]
    of_any = "check: count\nparameters: {max: 1, each_category: true}"
    assert told(of_any, label) == [(None, "TREE: 2 instead of at most 1")]


def test_frames_of_a_video_are_counted_each_and_told_once():
    rule = "check: count\nparameters: {max: 1, per: frame}"
    two = [rectangle("a"), rectangle("b")]
    label = frames(f2=[rectangle("a")], f3=two, f7=two, f10=two)
    assert told(rule, label) == [(None, "annotations: 2 instead of at most 1 in frame 3, wrong in 2 more")]
    assert told("check: count\nparameters: {max: 2}", label) == []


def test_pages_of_a_document_are_counted_each():
    label = objects(*(drawn_on_page(f"box-{page}-{n}", "CAR", page, OUTER) for page in (1, 2) for n in range(page)))
    rule = "check: count\nparameters: {max: 1, per: page}"
    assert told(rule, label) == [(None, "annotations: 2 instead of at most 1 on page 2")]


def test_subject_stays_the_same_when_the_count_changes():
    two, three = (objects(*(rectangle(f"box-{n}") for n in range(count))) for count in (2, 3))
    assert found(AT_MOST_ONE_CAR, two)[0].subject == found(AT_MOST_ONE_CAR, three)[0].subject == "JOB_0/CAR"
