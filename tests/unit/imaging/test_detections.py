"""Detections as arrays, the distinct ones of those that overlap, and appearances of objects over time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annohooks.imaging.detections import Detections, distinct, overlaps
from annohooks.imaging.outlines import Outlines
from annohooks.imaging.tracking import Tracker

BOXES = np.array([[10.0, 20, 30, 60], [0, 0, 5.5, 5]])


def test_box_becomes_its_corners_clockwise_from_the_top_left():
    detections = Detections.from_boxes(BOXES, ["a", "b"], [0.5, 1])
    assert detections.ring(0).tolist() == [[10, 20], [30, 20], [30, 60], [10, 60]]
    assert detections.offsets.tolist() == [0, 4, 8]
    assert (detections.labels, detections.scores.tolist()) == (("a", "b"), [0.5, 1])
    assert detections.boxes().tolist() == BOXES.tolist()
    assert np.isnan(Detections.from_boxes(BOXES, ["a", "b"]).scores).all()


@pytest.mark.parametrize(
    "empty", [Detections.empty(), Detections.from_boxes([], []), Detections.from_outlines(Outlines.empty(), [])]
)
def test_no_detections_are_empty_arrays(empty):
    assert len(empty) == 0
    assert empty.xy.shape == (0, 2)
    assert empty.offsets.tolist() == [0]
    assert empty.boxes().shape == (0, 4)
    assert empty.scores.shape == (0,)


def test_holes_of_outlines_are_left_out_with_their_labels():
    rings = [[(0, 0), (9, 0), (9, 9), (0, 9)], [(2, 2), (4, 2), (4, 4)], [(20, 5), (25, 5), (22, 9)]]
    detections = Detections.from_outlines(Outlines.from_rings(rings, [-1, 0, -1]), ["cell", "hole", "nucleus"])
    assert detections.labels == ("cell", "nucleus")
    assert detections.ring(1).tolist() == [[20, 5], [25, 5], [22, 9]]
    assert detections.boxes().tolist() == [[0, 0, 9, 9], [20, 5, 25, 9]]
    assert detections.xy.dtype == np.float64


BOX = st.tuples(*[st.integers(0, 12)] * 4).map(
    lambda box: (min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3]))
)


def pixels(box):
    mask = np.zeros((12, 12), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


@given(BOX, st.lists(BOX, max_size=5))
def test_overlap_is_that_of_counted_pixels(box, others):
    ious = overlaps(np.array(box, float), np.array(others, float).reshape(-1, 4))
    for iou, other in zip(ious, others, strict=True):
        union = (pixels(box) | pixels(other)).sum()
        assert iou == pytest.approx((pixels(box) & pixels(other)).sum() / union if union else 0)


SCORED = st.lists(st.tuples(BOX, st.integers(1, 100), st.integers(0, 1)), max_size=8)


@given(SCORED, st.sampled_from([0.1003, 0.5003, 0.9003]), st.booleans())
def test_distinct_boxes_overlap_none_of_a_higher_score_that_stays(detections, max_iou, by_class):
    boxes = np.array([box for box, _, _ in detections], float).reshape(-1, 4) + np.array([0, 0, 1, 1])
    scores = np.array([score / 100 for _, score, _ in detections])
    classes = np.array([number for _, _, number in detections], np.int64)
    expected = []
    for index in np.argsort(-scores, kind="stable"):
        rivals = [other for other in expected if not by_class or classes[other] == classes[index]]
        if all(overlaps(boxes[index], boxes[[other]])[0] <= max_iou for other in rivals):
            expected.append(index)
    indices = distinct(boxes, scores, max_iou, classes if by_class else None)
    assert sorted(indices.tolist()) == sorted(expected)


# Appearances over time

STEP_MS = 100


def face(by=0, score=0.9, label="face"):
    return ((100 + by, 100, 200 + by, 200), label, score)


def tracked(*samples, step_ms=STEP_MS, **chosen):
    """The appearances of samples: for each time, a list of (box, label, score)."""
    tracker = Tracker(step_ms, **chosen)
    for number, detections in enumerate(samples):
        boxes, labels, scores = zip(*detections, strict=True) if detections else ([], [], [])
        tracker.add(number * step_ms, Detections.from_boxes(boxes, labels, scores))
    appearances = tracker.finish()
    assert tracker.finish() == []
    return appearances


def spans(appearances):
    return [(appearance.start_ms, appearance.stop_ms, appearance.track) for appearance in appearances]


def test_object_that_stays_is_one_appearance_with_its_first_ring_and_its_highest_score():
    (one,) = tracked([face(0, 0.6)], [face(3, 0.9)], [face(-2, 0.7)], step_ms=60_000)
    assert (one.start_ms, one.stop_ms, one.label, one.score) == (0, 180_000, "face", 0.9)
    assert one.xy.tolist() == [[100, 100], [200, 100], [200, 200], [100, 200]]


def test_scores_and_rings_are_those_of_the_object_they_belong_to():
    appearances = tracked([face(0, 0.8), face(60, 0.5)], [face(55, 0.5), face(5, 0.8)])
    assert [appearance.score for appearance in appearances] == [0.8, 0.5]
    assert tracked([face(0)], [face(30), face(10)])[1].xy[0, 0] == 130


def row(name, samples, *expected):
    return pytest.param(samples, list(expected), id=name)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        row("moves", [[face(by)] for by in (0, 20, 40, 60)], (0, 200, 0), (200, 400, 0)),
        row("jumps", [[face(0)], [face(150)]], (0, 100, 0), (100, 200, 1)),
        row("missed once", [[face()], [], [face()]], (0, 300, 0)),
        row("missed twice", [[face()], [], [], [face()]], (0, 100, 0), (300, 400, 1)),
        row("moves while it is missed", [[face(0)], [], [face(50)]], (0, 100, 0), (200, 300, 0)),
        row("another label", [[face(label=x)] for x in ("cat", "dog", "cat")], (0, 300, 0), (100, 200, 1)),
        row("two, each continues the closest", [[face(0), face(60)], [face(55), face(5)]], (0, 200, 0), (0, 200, 1)),
        row("many in one place", [[face()] * 90] * 2, *[(0, 200, number) for number in range(90)]),
        row("no detections", [[], [], []]),
    ],
)
def test_appearances_are_places_of_an_object_and_tracks_are_objects(samples, expected):
    assert spans(tracked(*samples)) == expected


def test_score_is_known_if_one_sample_knows_it():
    assert tracked([face(0, np.nan)], [face(0, 0.4)], [face(0, np.nan)])[0].score == 0.4
    assert np.isnan(tracked([face(0, np.nan)], [face(0, np.nan)])[0].score)


def test_ring_that_is_not_a_box_is_kept():
    triangle = Detections(np.array([[0.0, 0], [10, 0], [5, 8]]), np.array([0, 3]), ("x",), np.array([1.0]))
    tracker = Tracker(STEP_MS)
    tracker.add(0, triangle)
    tracker.add(STEP_MS, triangle)
    assert tracker.finish()[0].xy.tolist() == triangle.xy.tolist()


LABELS, SCORES = st.sampled_from(["face", "cat"]), st.sampled_from([0.25, 0.5, float("nan")])
SAMPLES = st.lists(st.lists(st.builds(face, st.integers(0, 60), SCORES, LABELS), max_size=4), max_size=8)


@given(SAMPLES, st.sampled_from([0.3, 0.5, 0.8]))
def test_every_detection_is_in_an_appearance_whose_ring_is_right_for_it(samples, iou):
    appearances = tracked(*samples, iou=iou)

    def is_right(one, at_ms, box, label, score):
        place = np.hstack([one.xy.min(axis=0), one.xy.max(axis=0)])
        is_there = one.start_ms <= at_ms < one.stop_ms and overlaps(np.array(box, float), place[None])[0] >= iou
        return is_there and one.label == label and (np.isnan(score) or one.score >= score)

    for number, detections in enumerate(samples):
        for detection in detections:
            assert any(is_right(appearance, number * STEP_MS, *detection) for appearance in appearances)
    assert all(appearance.stop_ms - appearance.start_ms >= STEP_MS for appearance in appearances)


@given(SAMPLES)
def test_appearances_of_one_track_follow_each_other(samples):
    appearances = tracked(*samples)
    assert appearances == sorted(appearances, key=lambda appearance: (appearance.start_ms, appearance.track))
    for track in {appearance.track for appearance in appearances}:
        of_track = [appearance for appearance in appearances if appearance.track == track]
        assert all(before.stop_ms <= after.start_ms for before, after in pairwise(of_track))


def test_thousands_of_objects_each_continue_as_themselves():
    corners = np.stack(np.meshgrid(np.arange(60) * 12, np.arange(60) * 12), axis=-1).reshape(-1, 2)
    labels = [str(number % 3) for number in range(len(corners))]
    tracker = Tracker(STEP_MS)
    for at_ms, by in ((0, 0), (STEP_MS, 1)):
        tracker.add(at_ms, Detections.from_boxes(np.hstack([corners + by, corners + by + 10]), labels))
    appearances = tracker.finish()
    assert spans(appearances) == [(0, 2 * STEP_MS, number) for number in range(3600)]
    assert [appearance.label for appearance in appearances] == labels
