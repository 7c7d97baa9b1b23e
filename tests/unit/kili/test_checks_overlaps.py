"""overlap and duplicates."""

from __future__ import annotations

from itertools import combinations

import pytest
from cases import findings, frames, objects, reported, unchecked
from hypothesis import given
from hypothesis import strategies as st
from labels import HOLE, OUTER, TRIANGLE, drawn_on_page, entity, line, marker, pose, rectangle, semantic

DUPLICATES = "check: duplicates"
LEFT, RIGHT, FAR = (0.0, 0.0, 0.2, 0.2), (0.1, 0.0, 0.2, 0.2), (0.6, 0.6, 0.2, 0.2)
WHOLE = "CAR and CAR: overlap of 100% is more than 30%"
TWICE = [("b", "CAR is annotated twice")]


def overlap(max_iou: float = 0.3, between: str = "any") -> str:
    return f"check: overlap\nparameters: {{max_iou: {max_iou}, between: {between}}}"


@pytest.mark.parametrize(
    ("max_iou", "a", "b", "problem"),
    [
        (0.3, LEFT, FAR, None),
        (0.3, LEFT, (0.19, 0, 0.2, 0.2), None),
        (0.3, LEFT, RIGHT, "overlap of 33.33% is more than 30%"),
        (0, LEFT, (0.2 - 1e-9, 0.0, 0.2, 0.2), "overlap of 0.00000025% is more than 0%"),
        (0, LEFT, FAR, None),
        (1, LEFT, LEFT, None),
    ],
)
def test_pair_that_overlaps_more_than_accepted_is_reported_on_the_later_mid(max_iou, a, b, problem):
    label = objects(rectangle("a", at=a), rectangle("b", "TREE", at=b))
    assert reported(overlap(max_iou), label) == ([("b", f"TREE and CAR: {problem}")] if problem else [])


@pytest.mark.parametrize(("between", "pairs"), [("any", 3), ("same_category", 1), ("different_categories", 2)])
def test_pairs_of_categories_can_be_chosen(between, pairs):
    label = objects(rectangle("a", at=LEFT), rectangle("b", at=LEFT), rectangle("c", "TREE", at=LEFT))
    assert len(reported(overlap(0.5, between), label)) == pairs


def test_object_in_a_hole_does_not_overlap():
    assert reported(overlap(0), objects(semantic("ring", "CAR", OUTER, HOLE), semantic("inner", "TREE", HOLE))) == []


def test_all_pieces_of_an_object_count():
    drawn = [("a", OUTER), ("a", TRIANGLE), ("b", TRIANGLE), ("b", OUTER)]
    pieces = [semantic(mid, "CAR", ring) for mid, ring in drawn]
    assert reported(overlap(), objects(*pieces)) == [("b", WHOLE)]


def test_only_objects_on_the_same_frame_or_page_overlap():
    a, b, far_a, far_b = (rectangle(mid, at=at) for at in (LEFT, FAR) for mid in "ab")
    assert reported(overlap(), frames(f1=[a], f2=[b])) == []
    assert reported(overlap(), frames(f1=[far_a, b], f2=[far_b, far_a])) == [("b", f"{WHOLE} in frame 2")]
    pages = objects(*(drawn_on_page(mid, "CAR", page, OUTER) for mid, page in (("a", 1), ("b", 2))))
    assert reported(overlap(), pages) == []
    on_the_whole_video = {**frames(f1=[a, b]), "assetLevel": objects(rectangle("c"))}
    assert len(reported(overlap(), on_the_whole_video)) == 1


@pytest.mark.parametrize("rule", [overlap(), DUPLICATES])
@pytest.mark.parametrize("drawn", [rectangle, marker])
def test_order_in_the_label_does_not_matter(rule, drawn):
    label = [drawn(mid) for mid in "abc"]
    assert findings(rule, objects(*label)) == findings(rule, objects(*reversed(label)))


def test_pair_is_reported_in_its_first_frame():
    label = frames(f1=[rectangle(mid, at=LEFT) for mid in "bc"], f5=[rectangle(mid, at=LEFT) for mid in "abc"])
    assert [text for mid, text in reported(overlap(), label) if mid == "c"] == [
        f"{WHOLE} in frame 1",
        f"{WHOLE} in frame 5",
    ]


def test_shapes_that_are_too_complex_are_unchecked():
    def comb(offset):
        return [*(((n + offset) / 2400, n % 2) for n in range(2400)), (1.0, 2.0), (0.0, 2.0)]

    label = objects(semantic("a", "CAR", comb(0)), semantic("b", "CAR", comb(0.5)))
    assert "too complex" in unchecked(overlap(), label)


boxes = st.tuples(*[st.integers(0, 8).map(lambda n: n / 16)] * 2, *[st.integers(1, 8).map(lambda n: n / 16)] * 2)


@given(st.lists(boxes, max_size=6))
def test_pairs_of_boxes_are_those_of_plain_arithmetic(drawn):
    def iou(a, b):
        width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
        height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
        both = max(width, 0) * max(height, 0)
        return both / (a[2] * a[3] + b[2] * b[3] - both)

    label = objects(*(rectangle(f"box-{index}", at=at) for index, at in enumerate(drawn)))
    expected = {f"box-{i} box-{j}" for i, j in combinations(range(len(drawn)), 2) if iou(drawn[i], drawn[j]) > 0.3}
    assert {finding.subject for finding in findings(overlap(), label)} == expected


# Duplicates


def test_box_drawn_twice_is_reported_on_the_later_mid():
    label = objects(rectangle("a", at=LEFT), rectangle("b", at=(0.0, 0.0, 0.2, 0.199)))
    assert reported(DUPLICATES, label) == TWICE
    assert reported(f"{DUPLICATES}\nparameters: {{min_iou: 1}}", label) == []


@pytest.mark.parametrize(
    "drawn",
    [
        lambda mid: marker(mid, at=(0.25, 0.75)),
        lambda mid: line(mid, "CAR", [(0, 0), (0.5, 0.5)]),
        lambda mid: pose(mid, "CAR", {"NOSE": (0.5, 0.5)}),
        lambda mid: entity(mid, "CAR", "Ford", 10),
    ],
    ids=["marker", "polyline", "pose", "entity"],
)
def test_objects_without_an_area_are_duplicates_if_they_are_equal(drawn):
    assert reported(DUPLICATES, objects(drawn("a"), drawn("b"))) == TWICE


@pytest.mark.parametrize(
    "drawn",
    [
        (rectangle("a", at=LEFT), rectangle("b", "TREE", at=LEFT), rectangle("c", at=RIGHT), marker("d")),
        (marker("a", at=(0.25, 0.75)), marker("b", at=(0.26, 0.75))),
        (entity("a", "CAR", "Ford", 10), entity("b", "CAR", "Ford", 20)),
    ],
)
def test_objects_of_other_categories_or_places_are_no_duplicates(drawn):
    assert reported(DUPLICATES, objects(*drawn)) == []
