"""Detections joined over time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annohooks.imaging.detections import Detections, overlaps
from annohooks.imaging.tracking import Tracker

STEP_MS = 100
BOX = (100, 100, 200, 200)


def moved(by, box=BOX):
    return (box[0] + by, box[1], box[2] + by, box[3])


def tracked(*samples, **chosen):
    """samples: for each time, a list of (box, label, score)."""
    tracker = Tracker(STEP_MS, **chosen)
    for number, found in enumerate(samples):
        boxes, labels, scores = zip(*found, strict=True) if found else ([], [], [])
        tracker.add(number * STEP_MS, Detections.from_boxes(boxes, labels, scores))
    return tracker.finish()


def spans(appearances):
    return [(each.start_ms, each.stop_ms, each.track) for each in appearances]


def face(by=0, score=0.9, label="face"):
    return (moved(by), label, score)


def test_object_that_stays_is_one_appearance_with_its_first_ring_and_its_highest_score():
    (one,) = tracked([face(0, 0.6)], [face(3, 0.9)], [face(-2, 0.7)])
    assert (one.start_ms, one.stop_ms, one.label, one.score) == (0, 300, "face", 0.9)
    assert one.xy.tolist() == [[100, 100], [200, 100], [200, 200], [100, 200]]


def test_object_that_moves_is_several_appearances_of_one_track():
    found = tracked(*[[face(by)] for by in (0, 20, 40, 60, 80, 100)])
    assert {each.track for each in found} == {0}
    assert [each.start_ms for each in found] == [0, 200, 400]
    assert [each.stop_ms for each in found] == [200, 400, 600]


def test_object_that_jumps_is_another_one():
    assert spans(tracked([face(0)], [face(150)])) == [(0, 100, 0), (100, 200, 1)]


def test_one_sample_in_which_an_object_is_missed_does_not_end_it():
    assert spans(tracked([face()], [], [face()])) == [(0, 300, 0)]


def test_two_samples_in_which_it_is_missed_do():
    assert spans(tracked([face()], [], [], [face()])) == [(0, 100, 0), (300, 400, 1)]


def test_object_that_is_missed_while_it_moves_goes_on_in_another_place():
    assert spans(tracked([face(0)], [], [face(50)])) == [(0, 100, 0), (200, 300, 0)]


def test_objects_of_other_labels_are_others():
    found = tracked([face(label="cat")], [face(label="dog")], [face(label="cat")])
    assert [(each.label, each.start_ms, each.stop_ms) for each in found] == [("cat", 0, 300), ("dog", 100, 200)]


def test_each_of_two_objects_goes_on_as_the_one_it_is_closest_to():
    found = tracked([face(0, 0.8), face(60, 0.5)], [face(55, 0.5), face(5, 0.8)])
    assert [(each.start_ms, each.stop_ms, each.score) for each in found] == [(0, 200, 0.8), (0, 200, 0.5)]


def test_of_two_objects_where_one_was_the_closer_is_the_same():
    found = tracked([face(0)], [face(30), face(10)])
    assert spans(found) == [(0, 200, 0), (100, 200, 1)]
    assert found[1].xy[0, 0] == 130


def test_score_is_known_once_one_sample_knows_it_and_else_not():
    assert tracked([face(0, np.nan)], [face(0, 0.4)], [face(0, np.nan)])[0].score == 0.4
    assert np.isnan(tracked([face(0, np.nan)], [face(0, np.nan)])[0].score)


def test_ring_that_is_no_box_is_kept():
    triangle = Detections(np.array([[0.0, 0], [10, 0], [5, 8]]), np.array([0, 3]), ("x",), np.array([1.0]))
    tracker = Tracker(STEP_MS)
    tracker.add(0, triangle)
    tracker.add(100, triangle)
    (one,) = tracker.finish()
    assert one.xy.tolist() == triangle.xy.tolist()


def test_tracker_is_empty_when_it_has_finished():
    tracker = Tracker(STEP_MS)
    tracker.add(0, Detections.from_boxes([BOX], ["face"]))
    assert len(tracker.finish()) == 1
    assert tracker.finish() == []


def test_no_samples_are_no_appearances():
    assert tracked() == tracked([], [], []) == []


FOUND = st.lists(
    st.tuples(
        st.integers(0, 60).map(moved),
        st.sampled_from(["face", "cat"]),
        st.sampled_from([0.25, 0.5, float("nan")]),
    ),
    max_size=4,
)


@given(st.lists(FOUND, max_size=8), st.sampled_from([0.3, 0.5, 0.8]))
def test_every_detection_is_in_an_appearance_whose_ring_is_right_for_it(samples, iou):
    appearances = tracked(*samples, iou=iou)
    for number, found in enumerate(samples):
        at_ms = number * STEP_MS
        for box, label, score in found:
            around = [
                each
                for each in appearances
                if each.label == label
                and each.start_ms <= at_ms < each.stop_ms
                and overlaps(np.array(box, float), np.hstack([each.xy.min(axis=0), each.xy.max(axis=0)])[None])[0]
                >= iou
                and (np.isnan(score) or each.score >= score)
            ]
            assert around
    assert sum(each.stop_ms - each.start_ms for each in appearances) >= STEP_MS * len(appearances)


@given(st.lists(FOUND, max_size=8))
def test_appearances_of_one_track_follow_each_other(samples):
    appearances = tracked(*samples)
    assert appearances == sorted(appearances, key=lambda each: (each.start_ms, each.track))
    for track in {each.track for each in appearances}:
        own = [each for each in appearances if each.track == track]
        assert all(before.stop_ms <= after.start_ms for before, after in pairwise(own))


@pytest.mark.parametrize("step_ms", [100, 60_000])
def test_appearance_lasts_a_step_beyond_the_sample_it_is_last_seen_in(step_ms):
    tracker = Tracker(step_ms)
    tracker.add(7 * step_ms, Detections.from_boxes([BOX], ["face"]))
    (one,) = tracker.finish()
    assert (one.start_ms, one.stop_ms) == (7 * step_ms, 8 * step_ms)


def test_thousands_of_objects_each_go_on_as_themselves():
    corners = np.stack(np.meshgrid(np.arange(60) * 12, np.arange(60) * 12), axis=-1).reshape(-1, 2)
    labels = [str(number % 3) for number in range(len(corners))]
    tracker = Tracker(STEP_MS)
    for at_ms, by in ((0, 0), (STEP_MS, 1)):
        tracker.add(at_ms, Detections.from_boxes(np.hstack([corners + by, corners + by + 10]), labels))
    found = tracker.finish()
    assert spans(found) == [(0, 2 * STEP_MS, number) for number in range(3600)]
    assert [each.label for each in found] == labels


def test_objects_in_one_and_the_same_place_are_all_told():
    tracker = Tracker(STEP_MS)
    for at_ms in (0, STEP_MS):
        tracker.add(at_ms, Detections.from_boxes([BOX] * 90, ["face"] * 90))
    assert spans(tracker.finish()) == [(0, 2 * STEP_MS, number) for number in range(90)]
