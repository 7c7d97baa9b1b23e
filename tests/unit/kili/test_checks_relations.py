"""relations and dangling_relations: links between objects or entities."""

from __future__ import annotations

import pytest
from cases import objects, reported, unchecked, verdict
from labels import SAMPLES, entity, rectangle, relation

DANGLING = "check: dangling_relations"


def beside(start: list[str], end: list[str], mid: str = "r", category: str = "BESIDE"):
    return relation(mid, category, start, end, "Objects")


def label(*relations):
    """Two cars, a and b, two trees, t and u, and these relations."""
    boxes = (rectangle("a"), rectangle("b"), rectangle("t", "TREE"), rectangle("u", "TREE"))
    return objects(*boxes, TIES={"annotations": list(relations)})


def linked(parameters: str = "to: TREE") -> str:
    return f"check: relations\nscope: {{category: CAR}}\nparameters: {{{parameters}}}"


A_TO_T = beside(["a"], ["t"])


def test_linked_objects_are_accepted():
    sound = label(A_TO_T, beside(["u"], ["b"], "s"))
    assert reported(linked(), sound) == reported(DANGLING, sound) == []


def test_object_without_a_link_is_reported():
    assert reported(linked(), label(A_TO_T)) == [("b", "CAR is linked to 0 TREE instead of at least 1")]


def test_links_to_other_categories_and_to_absent_objects_do_not_count():
    response = label(beside(["a"], ["b"]), beside(["a", "b"], ["gone"], "s"))
    assert [mid for mid, _ in reported(linked(), response)] == ["a", "b"]
    assert reported(linked("to: [TREE, CAR]"), response) == []


@pytest.mark.parametrize(
    ("parameters", "without_link"),
    [
        ("direction: start", ["b"]),
        ("direction: end", ["a"]),
        ("relation: UNDER", ["a"]),
        ("relation: TIES", []),
        ("relation: [BESIDE, UNDER]", []),
        ("min_links: 1", []),
    ],
)
def test_direction_and_category_of_the_relation_can_be_chosen(parameters, without_link):
    response = label(A_TO_T, beside(["t"], ["b"], "s", "UNDER"))
    assert [mid for mid, _ in reported(linked(f"to: TREE, {parameters}"), response)] == without_link


@pytest.mark.parametrize(
    ("parameters", "ends", "expected"),
    [
        ("min_links: 0, max_links: 1", ["t", "u"], [("a", "CAR is linked to 2 others instead of at most 1")]),
        ("max_links: 0", ["t"], [("a", "CAR is linked to 1 others instead of at most 0")]),
        ("max_links: 2", ["t", "u"], []),
    ],
)
def test_too_many_links_are_reported_and_none_is_accepted_without_a_minimum(parameters, ends, expected):
    assert reported(linked(parameters), label(beside(["a"], ends))) == expected


def test_too_many_links_are_certain_when_parts_could_not_be_read():
    response = label(beside(["b"], ["t", "u"]), {"startObjects": 7, "endObjects": []})
    found, reasons, _ = verdict(linked("min_links: 1, max_links: 1"), response)
    assert [finding.mid for finding in found] == ["b"]
    assert "could not be read" in reasons["rule-1"]


def test_missing_link_may_be_in_a_part_that_could_not_be_read():
    assert "could not be read" in unchecked(linked(), label({"startObjects": [{"mid": "a"}], "endObjects": 7}))


def test_object_without_a_mid_has_no_links():
    response = objects({**rectangle(), "mid": None}, TIES={"annotations": [A_TO_T]})
    assert reported(linked(), response) == [(None, "CAR is linked to 0 TREE instead of at least 1")]


def test_repeated_link_counts_once():
    response = label(*(beside(["a", "b"], ["t"], mid) for mid in "rs"))
    assert reported(linked("max_links: 1"), response) == []


def test_entities_are_linked_like_objects():
    assert reported("check: relations", SAMPLES["entities"].response) == []
    alone = objects(entity("n", "NOUN", "Cow", 4))
    assert reported("check: relations", alone) == [("n", "NOUN is linked to 0 others instead of at least 1")]


def test_too_many_relations_to_count_are_unchecked():
    mids = [str(n) for n in range(2300)]
    assert "too complex" in unchecked(linked(), label(beside(mids, mids)))


def test_relation_to_an_absent_object_is_reported_on_the_present_one():
    response = label(beside(["a"], ["gone"]), beside(["gone"], ["b"], "s"), beside([], ["b"], "t"))
    assert reported(DANGLING, response) == [
        ("a", "BESIDE: ends at an object that is not in the label"),
        ("b", "BESIDE: starts from an object that is not in the label"),
        ("b", "BESIDE: starts from nothing"),
    ]
    assert reported(f"{DANGLING}\nscope: {{category: UNDER}}", response) == []


def test_relation_between_absent_objects_is_reported_on_the_label():
    ((mid, text),) = reported(DANGLING, {"TIES": {"annotations": [relation("r", "BESIDE", ["x"], ["y"])]}})
    absent = "an object that is not in the label"
    assert (mid, text) == (None, f"BESIDE: starts from {absent}, ends at {absent}")
