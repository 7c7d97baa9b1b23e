"""Objects and entities tied to one another."""

from __future__ import annotations

import pytest
from cases import objects, told, unchecked, verdict
from labels import SAMPLES, entity, rectangle, relation

LINKED = "check: relations\nscope: {category: CAR}\nparameters: {to: TREE}"


def tied(*relations, drawn=()):
    boxes = (rectangle("a"), rectangle("b"), rectangle("t", "TREE"), rectangle("u", "TREE"))
    return objects(*boxes, *drawn, TIES={"annotations": list(relations)})


def test_objects_that_are_linked_are_accepted():
    label = tied(relation("r", "BESIDE", ["a"], ["t"], "Objects"), relation("s", "BESIDE", ["u"], ["b"], "Objects"))
    assert told(LINKED, label) == []
    assert told("check: dangling_relations", label) == []


def test_object_without_a_link_is_told_on_it():
    label = tied(relation("r", "BESIDE", ["a"], ["t"], "Objects"))
    assert told(LINKED, label) == [("b", "CAR is linked to 0 TREE instead of at least 1")]


def test_links_to_others_or_to_what_is_not_there_do_not_count():
    label = tied(
        relation("r", "BESIDE", ["a"], ["b"], "Objects"), relation("s", "BESIDE", ["a", "b"], ["gone"], "Objects")
    )
    assert [mid for mid, _ in told(LINKED, label)] == ["a", "b"]
    assert told(LINKED.replace("to: TREE", "to: [TREE, CAR]"), label) == []


def test_direction_and_kind_of_relation_can_be_chosen():
    label = tied(relation("r", "BESIDE", ["a"], ["t"], "Objects"), relation("s", "UNDER", ["t"], ["b"], "Objects"))
    for more, without in [
        ("direction: start", ["b"]),
        ("direction: end", ["a"]),
        ("relation: UNDER", ["a"]),
        ("relation: TIES", []),
        ("relation: [BESIDE, UNDER]", []),
    ]:
        assert [mid for mid, _ in told(LINKED.replace("to: TREE", f"to: TREE, {more}"), label)] == without


def test_too_many_links_are_told():
    label = tied(
        relation("r", "BESIDE", ["a"], ["t", "u"], "Objects"), relation("s", "BESIDE", ["b"], ["t"], "Objects")
    )
    rule = LINKED.replace("to: TREE", "min_links: 0, max_links: 1")
    assert told(rule, label) == [("a", "CAR is linked to 2 others instead of at most 1")]


def test_objects_without_a_link_are_accepted_where_only_a_most_is_given():
    label = tied(relation("r", "BESIDE", ["a"], ["t"], "Objects"))
    rule = "check: relations\nscope: {category: CAR}\nparameters: {max_links: 0}"
    assert told(rule, label) == [("a", "CAR is linked to 1 others instead of at most 0")]


def test_too_many_links_are_told_whatever_may_be_missing():
    label = tied(relation("r", "BESIDE", ["b"], ["t", "u"], "Objects"), {"startObjects": 7, "endObjects": []})
    findings, why, _ = verdict(LINKED.replace("to: TREE", "min_links: 1, max_links: 1"), label)
    assert [finding.mid for finding in findings] == ["b"]
    assert "could not be read" in why["rule-1"]


def test_same_link_twice_is_one():
    label = tied(*(relation(mid, "BESIDE", ["a", "b"], ["t"], "Objects") for mid in "rs"))
    assert told(LINKED.replace("to: TREE", "max_links: 1"), label) == []


def test_entities_are_linked_as_objects_are():
    assert told("check: relations", SAMPLES["entities"].response) == []
    label = {"ENTITIES": {"annotations": [entity("n", "NOUN", "Cow", 4)]}}
    assert told("check: relations", label) == [("n", "NOUN is linked to 0 others instead of at least 1")]


def test_link_that_could_not_be_read_may_be_the_one():
    label = tied({"startObjects": [{"mid": "a"}], "endObjects": 7})
    assert "could not be read" in unchecked(LINKED, label)


def test_relations_that_are_too_many_to_count_are_told():
    many = [str(n) for n in range(2000)]
    assert "too complex" in unchecked(LINKED, tied(relation("r", "BESIDE", many, many, "Objects")))


# Dangling


def test_relation_to_what_is_not_in_the_label_is_told_on_what_is():
    label = tied(
        relation("r", "BESIDE", ["a"], ["gone"], "Objects"),
        relation("s", "BESIDE", ["gone"], ["b"], "Objects"),
        relation("t", "BESIDE", [], ["b"], "Objects"),
    )
    assert told("check: dangling_relations", label) == [
        ("a", "BESIDE: ends at what is not in the label"),
        ("b", "BESIDE: starts from what is not in the label"),
        ("b", "BESIDE: starts from nothing"),
    ]
    assert told("check: dangling_relations\nscope: {category: UNDER}", label) == []


def test_relation_between_nothing_is_told_on_the_label():
    label = {"TIES": {"annotations": [relation("r", "BESIDE", ["x"], ["y"])]}}
    expected = "BESIDE: starts from what is not in the label, ends at what is not in the label"
    assert told("check: dangling_relations", label) == [(None, expected)]


@pytest.mark.parametrize("end", [None, 3, [3], [{"mid": 4}], [{}], {"mid": "t"}])
def test_malformed_end_is_not_called_dangling(end):
    label = tied({"startObjects": [{"mid": "a"}], "endObjects": end, "mid": "r"}, {"type": "rectangle"})
    assert "could not be read" in unchecked("check: dangling_relations", label)
