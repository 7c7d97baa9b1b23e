"""Objects on top of each other, and objects drawn twice."""

from __future__ import annotations

from itertools import combinations

import pytest
from cases import found, frames, objects, told, unchecked
from hypothesis import given
from hypothesis import strategies as st
from labels import HOLE, OUTER, TRIANGLE, drawn_on_page, entity, line, marker, pose, rectangle, semantic

OVERLAP = "check: overlap\nparameters: {max_iou: 0.3}"
LEFT, RIGHT, FAR = (0.0, 0.0, 0.2, 0.2), (0.1, 0.0, 0.2, 0.2), (0.6, 0.6, 0.2, 0.2)
NEARLY_LEFT = (0.0, 0.0, 0.2, 0.199)


def test_objects_that_hardly_overlap_are_accepted():
    assert (
        told(OVERLAP, objects(rectangle("a", at=LEFT), rectangle("b", at=FAR), rectangle("c", at=(0.19, 0, 0.2, 0.2))))
        == []
    )


def test_overlap_is_told_on_the_one_whose_mid_comes_later():
    label = objects(rectangle("a", at=LEFT), rectangle("b", "TREE", at=RIGHT))
    assert told(OVERLAP, label) == [("b", "TREE and CAR: overlap of 33.33% is more than 30%")]


def test_sliver_is_told_as_more_than_nothing():
    label = objects(rectangle("a", at=LEFT), rectangle("b", at=(0.2 - 1e-9, 0.0, 0.2, 0.2)))
    assert told("check: overlap\nparameters: {max_iou: 0}", label) == [
        ("b", "CAR and CAR: overlap of 0.00000025% is more than 0%")
    ]


def test_largest_overlap_accepted_is_accepted():
    label = objects(rectangle("a", at=LEFT), rectangle("b", at=LEFT))
    assert told("check: overlap\nparameters: {max_iou: 1}", label) == []
    assert (
        told("check: overlap\nparameters: {max_iou: 0}", objects(rectangle("a", at=LEFT), rectangle("b", at=FAR))) == []
    )


@pytest.mark.parametrize(("between", "pairs"), [("any", 3), ("same_category", 1), ("different_categories", 2)])
def test_pairs_of_categories_can_be_chosen(between, pairs):
    label = objects(rectangle("a", at=LEFT), rectangle("b", at=LEFT), rectangle("c", "TREE", at=LEFT))
    rule = f"check: overlap\nparameters: {{max_iou: 0.5, between: {between}}}"
    assert len(told(rule, label)) == pairs


def test_objects_in_a_hole_do_not_overlap():
    label = objects(semantic("ring", "CAR", OUTER, HOLE), semantic("inner", "TREE", HOLE))
    assert told("check: overlap\nparameters: {max_iou: 0}", label) == []


def test_all_pieces_of_an_object_count():
    split = [semantic("a", "CAR", OUTER), semantic("a", "CAR", TRIANGLE)]
    again = [semantic("b", "CAR", TRIANGLE), semantic("b", "CAR", OUTER)]
    assert told(OVERLAP, objects(*split, *again)) == [("b", "CAR and CAR: overlap of 100% is more than 30%")]


def test_only_what_is_on_the_same_frame_or_page_overlaps():
    apart = frames(f1=[rectangle("a", at=LEFT)], f2=[rectangle("b", at=LEFT)])
    assert told(OVERLAP, apart) == []
    meeting = frames(
        f1=[rectangle("a", at=FAR), rectangle("b", at=LEFT)], f2=[rectangle("b", at=FAR), rectangle("a", at=FAR)]
    )
    assert told(OVERLAP, meeting) == [("b", "CAR and CAR: overlap of 100% is more than 30% in frame 2")]
    pages = objects(drawn_on_page("a", "CAR", 1, OUTER), drawn_on_page("b", "CAR", 2, OUTER))
    assert told(OVERLAP, pages) == []


@pytest.mark.parametrize("rule", [OVERLAP, "check: duplicates"])
@pytest.mark.parametrize("drawn", [rectangle, marker])
def test_pairs_are_told_on_the_same_objects_whatever_their_order(rule, drawn):
    label = [drawn(mid) for mid in "abc"]
    assert found(rule, objects(*label)) == found(rule, objects(*reversed(label)))


def test_pair_is_told_in_the_first_frame_where_it_is_wrong():
    label = frames(
        f1=[rectangle("b", at=LEFT), rectangle("c", at=LEFT)],
        f5=[rectangle(mid, at=LEFT) for mid in "abc"],
    )
    assert [said for mid, said in told(OVERLAP, label) if mid == "c"] == [
        "CAR and CAR: overlap of 100% is more than 30% in frame 1",
        "CAR and CAR: overlap of 100% is more than 30% in frame 5",
    ]


def test_whole_video_comes_before_its_frames():
    label = {**frames(f1=[rectangle("b", at=LEFT), rectangle("c", at=LEFT)]), "assetLevel": objects(rectangle("a"))}
    assert len(told(OVERLAP, label)) == 1


def test_what_is_too_complex_is_told_as_unchecked():
    def comb(offset):
        teeth = [((n + offset) / 3000, n % 2) for n in range(3000)]
        return [*teeth, (1.0, 2.0), (0.0, 2.0)]

    label = objects(semantic("a", "CAR", comb(0)), semantic("b", "CAR", comb(0.5)))
    assert "too complex" in unchecked(OVERLAP, label)


boxes = st.tuples(*[st.integers(0, 8).map(lambda n: n / 16)] * 2, *[st.integers(1, 8).map(lambda n: n / 16)] * 2)


@given(st.lists(boxes, max_size=6))
def test_pairs_of_boxes_are_those_that_plain_arithmetic_finds(drawn):
    def iou(one, other):
        width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
        height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
        both = max(width, 0) * max(height, 0)
        return both / (one[2] * one[3] + other[2] * other[3] - both)

    label = objects(*(rectangle(f"box-{index}", at=at) for index, at in enumerate(drawn)))
    expected = {f"box-{i} box-{j}" for i, j in combinations(range(len(drawn)), 2) if iou(drawn[i], drawn[j]) > 0.3}
    assert {finding.subject for finding in found(OVERLAP, label)} == expected


# Duplicates


def test_two_that_are_alike_are_no_duplicates_when_their_categories_or_places_differ():
    label = objects(rectangle("a", at=LEFT), rectangle("b", "TREE", at=LEFT), rectangle("c", at=RIGHT), marker("d"))
    assert told("check: duplicates", label) == []


def test_box_drawn_twice_is_told_on_the_second():
    label = objects(rectangle("a", at=LEFT), rectangle("b", at=NEARLY_LEFT))
    assert told("check: duplicates", label) == [("b", "CAR is annotated twice")]
    assert told("check: duplicates\nparameters: {min_iou: 1}", label) == []


@pytest.mark.parametrize(
    "twice",
    [
        lambda mid: marker(mid, at=(0.25, 0.75)),
        lambda mid: line(mid, "CAR", [(0, 0), (0.5, 0.5)]),
        lambda mid: pose(mid, "CAR", {"NOSE": (0.5, 0.5)}),
        lambda mid: entity(mid, "CAR", "Ford", 10),
    ],
    ids=["marker", "polyline", "pose", "entity"],
)
def test_what_has_no_area_is_there_twice_when_it_is_the_same(twice):
    assert told("check: duplicates", objects(twice("a"), twice("b"))) == [("b", "CAR is annotated twice")]


def test_markers_beside_each_other_and_entities_elsewhere_are_no_duplicates():
    label = objects(marker("a", at=(0.25, 0.75)), marker("b", at=(0.26, 0.75)), entity("c", "CAR", "Ford", 10))
    label["JOB_0"]["annotations"].append(entity("d", "CAR", "Ford", 20))
    assert told("check: duplicates", label) == []


def test_malformed_twin_is_left_out():
    broken = {**rectangle("b", at=LEFT), "boundingPoly": [{"normalizedVertices": [{"x": None}]}]}
    label = objects(rectangle("a", at=LEFT), broken)
    for rule in (OVERLAP, "check: duplicates"):
        assert told(rule, label) == []
