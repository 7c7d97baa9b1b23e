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


def face(by=0, score=0.9, label="face"):
    return ((BOX[0] + by, BOX[1], BOX[2] + by, BOX[3]), label, score)


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
    (one,) = tracked([face(0, 0.6)], [face(3, 0.9)], [face(-2, 0.7)])
    assert (one.start_ms, one.stop_ms, one.label, one.score) == (0, 300, "face", 0.9)
    assert one.xy.tolist() == [[100, 100], [200, 100], [200, 200], [100, 200]]


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([[face(by)] for by in (0, 20, 40, 60, 80, 100)], [(0, 200, 0), (200, 400, 0), (400, 600, 0)]),
        ([[face(0)], [face(150)]], [(0, 100, 0), (100, 200, 1)]),
        ([[face()], [], [face()]], [(0, 300, 0)]),
        ([[face()], [], [], [face()]], [(0, 100, 0), (300, 400, 1)]),
        ([[face(0)], [], [face(50)]], [(0, 100, 0), (200, 300, 0)]),
        ([[face(label="cat")], [face(label="dog")], [face(label="cat")]], [(0, 300, 0), (100, 200, 1)]),
        ([[face(0), face(60)], [face(55), face(5)]], [(0, 200, 0), (0, 200, 1)]),
        ([[face(0)], [face(30), face(10)]], [(0, 200, 0), (100, 200, 1)]),
        ([[face()] * 90] * 2, [(0, 200, number) for number in range(90)]),
        ([], []),
        ([[], [], []], []),
    ],
    ids=[
        "it moves",
        "it jumps",
        "it is missed once",
        "it is missed twice",
        "it moves while it is missed",
        "another label",
        "two objects, each continues the closest",
        "two objects where one was, the closer is the same",
        "many objects in one place",
        "no samples",
        "no detections",
    ],
)
def test_appearances_are_places_of_an_object_and_tracks_are_objects(samples, expected):
    assert spans(tracked(*samples)) == expected


def test_scores_and_rings_are_those_of_the_object_they_belong_to():
    appearances = tracked([face(0, 0.8), face(60, 0.5)], [face(55, 0.5), face(5, 0.8)])
    assert [appearance.score for appearance in appearances] == [0.8, 0.5]
    assert tracked([face(0)], [face(30), face(10)])[1].xy[0, 0] == 130


def test_score_is_known_if_one_sample_knows_it():
    assert tracked([face(0, np.nan)], [face(0, 0.4)], [face(0, np.nan)])[0].score == 0.4
    assert np.isnan(tracked([face(0, np.nan)], [face(0, np.nan)])[0].score)


def test_ring_that_is_not_a_box_is_kept():
    triangle = Detections(np.array([[0.0, 0], [10, 0], [5, 8]]), np.array([0, 3]), ("x",), np.array([1.0]))
    tracker = Tracker(STEP_MS)
    for at_ms in (0, STEP_MS):
        tracker.add(at_ms, triangle)
    (one,) = tracker.finish()
    assert one.xy.tolist() == triangle.xy.tolist()


def test_appearance_lasts_a_step_beyond_its_last_sample():
    assert spans(tracked([], [face()], step_ms=60_000)) == [(60_000, 120_000, 0)]


SAMPLES = st.lists(
    st.lists(
        st.builds(
            face, st.integers(0, 60), st.sampled_from([0.25, 0.5, float("nan")]), st.sampled_from(["face", "cat"])
        ),
        max_size=4,
    ),
    max_size=8,
)


@given(SAMPLES, st.sampled_from([0.3, 0.5, 0.8]))
def test_every_detection_is_in_an_appearance_whose_ring_is_right_for_it(samples, iou):
    appearances = tracked(*samples, iou=iou)

    def is_right(appearance, at_ms, box, label, score):
        place = np.hstack([appearance.xy.min(axis=0), appearance.xy.max(axis=0)])
        return (
            appearance.label == label
            and appearance.start_ms <= at_ms < appearance.stop_ms
            and overlaps(np.array(box, float), place[None])[0] >= iou
            and (np.isnan(score) or appearance.score >= score)
        )

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
