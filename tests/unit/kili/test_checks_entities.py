"""entities: how named entities are marked."""

from __future__ import annotations

import pytest
from cases import findings, objects, reported
from hypothesis import given
from hypothesis import strategies as st
from labels import entity

CHECK = "check: entities"


def overlap(accepted: str) -> str:
    return f"{CHECK}\nparameters: {{overlap: {accepted}}}"


def marked(*spans: tuple[int, str]):
    """Entities e0, e1, ... with this offset and content."""
    return objects(*(entity(f"e{n}", "WORD", content, begin) for n, (begin, content) in enumerate(spans)), job="NER")


def test_adjacent_entities_are_accepted():
    assert reported(CHECK, marked((0, "New"), (3, "York"), (20, "x"))) == reported(CHECK, {}) == []


@pytest.mark.parametrize("content", [" York", "York ", "York\n"])
def test_white_space_at_an_end_is_reported(content):
    label = marked((0, content))
    assert reported(CHECK, label) == [("e0", 'WORD "York" has white space at an end')]
    assert reported(f"{CHECK}\nparameters: {{trimmed: false}}", label) == []


def test_overlap_is_reported_on_the_later_entity():
    label = marked((4, "Yorkshire"), (0, "New York"))
    assert reported(CHECK, label) == [("e0", 'WORD "Yorkshire" overlaps WORD "New York"')]
    assert reported(overlap("nested"), label) != []
    assert reported(overlap("any"), label) == []


def test_nested_entities_can_be_accepted():
    label = marked((0, "New York City"), (4, "York"), (9, "City"))
    assert len(reported(CHECK, label)) == 2
    assert reported(overlap("nested"), label) == []


def test_empty_entity_overlaps_nothing():
    assert reported(CHECK, marked((2, ""), (0, "York"))) == []


def test_order_in_the_label_does_not_matter():
    a, b = (entity(mid, "CITY", "York", 0) for mid in "ab")
    assert findings(CHECK, objects(a, b)) == findings(CHECK, objects(b, a))


@given(st.lists(st.tuples(st.integers(0, 20), st.text("a", min_size=1, max_size=8)), max_size=8))
def test_overlaps_are_those_of_comparing_all_pairs(spans):
    ends = [(begin, begin + len(content)) for begin, content in spans]
    pairs = [(a, b) for i, a in enumerate(ends) for j, b in enumerate(ends) if i != j]
    assert bool(reported(CHECK, marked(*spans))) == any(a[0] < b[1] and b[0] < a[1] for a, b in pairs)
    crossing = any(a[0] < b[0] < a[1] < b[1] for a, b in pairs)
    assert bool(reported(overlap("nested"), marked(*spans))) == crossing


def test_entities_in_different_nodes_do_not_overlap():
    other_node = {**entity("b", "WORD", "York", 0), "beginId": "main/[1]", "endId": "main/[1]"}
    assert reported(CHECK, objects(entity("a", "WORD", "York", 0), other_node)) == []


def test_missing_end_is_that_of_the_content():
    open_ended = entity("a", "WORD", "New York", 0)
    del open_ended["endOffset"]
    assert reported(CHECK, objects(open_ended, entity("b", "WORD", "York", 4))) != []
