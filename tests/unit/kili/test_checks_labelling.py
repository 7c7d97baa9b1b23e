"""too_fast and track: how a label was made."""

from __future__ import annotations

import pytest
from cases import frames, objects, reported, unchecked
from labels import pose, rectangle


def tracked(*numbers: int, keys: tuple[int, ...] = ()):
    return frames(**{f"f{n}": [rectangle("a", isKeyFrame=n in keys or not keys)] for n in numbers})


THREE_CARS = objects(*map(rectangle, "abc"), rectangle("t", "TREE"))


@pytest.mark.parametrize(
    ("parameters", "label", "seconds", "expected"),
    [
        ("min_seconds: 10", {}, 10, None),
        ("min_seconds: 10", {}, 4, "labelled in 4 s, at least 10 s expected"),
        ("min_seconds: 7.5", {}, 7.4, "labelled in 7.4 s, at least 7.5 s expected"),
        ("min_seconds: 5, min_seconds_per_object: 3", THREE_CARS, 9, None),
        ("min_seconds: 5, min_seconds_per_object: 3", THREE_CARS, 8, "labelled in 8 s, at least 9 s expected"),
        ("min_seconds: 5, min_seconds_per_object: 3", {}, 4, "labelled in 4 s, at least 5 s expected"),
        ("min_seconds_per_object: 0.1", THREE_CARS, 0.3, None),  # 3 * 0.1 is more than 0.3
        ("min_seconds: 1000", {}, 999.9996, None),
        ("min_seconds: 1000", {}, 999.9994, "labelled in 999.999 s, at least 1000 s expected"),
        ("min_seconds: 10", "malformed", 4, "labelled in 4 s, at least 10 s expected"),
    ],
)
def test_label_needs_the_time_of_the_rule_to_the_millisecond(parameters, label, seconds, expected):
    rule = f"check: too_fast\nscope: {{category: CAR}}\nparameters: {{{parameters}}}"
    assert reported(rule, label, seconds=seconds) == ([(None, expected)] if expected else [])


def test_label_without_a_time_is_unchecked():
    reason = unchecked("check: too_fast\nparameters: {min_seconds: 1}", {}, seconds=None)
    assert reason == "Kili did not report the labelling time"


def track(parameters: str) -> str:
    return f"check: track\nparameters: {{{parameters}}}"


def test_complete_track_is_accepted():
    rule = track("min_frames: 3, max_frames: 4, max_gap: 1, min_key_frame_share: 0.5")
    assert reported(rule, tracked(3, 4, 6, keys=(3, 6))) == []


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ("min_frames: 5", "track of 4 frames is less than 5"),
        ("max_frames: 3", "track of 4 frames is more than 3"),
        ("max_gap: 1", "gap of 3 frames is more than 1, after frame 6"),
        ("min_key_frame_share: 0.5", "share of 25% key frames is less than 50%"),
        (
            "max_gap: 0, min_frames: 5",
            "track of 4 frames is less than 5, gap of 3 frames is more than 0, after frame 6",
        ),
    ],
)
def test_problems_of_a_track_are_reported_on_its_object(parameters, problem):
    assert reported(track(parameters), tracked(3, 4, 6, 10, keys=(3,))) == [("a", f"CAR: {problem}")]


def test_first_of_equal_gaps_is_reported():
    assert reported(track("max_gap: 0"), tracked(1, 3, 5)) == [
        ("a", "CAR: gap of 1 frame is more than 0, after frame 1")
    ]


def test_poses_have_tracks_and_images_have_none():
    label = frames(f1=[pose("p", "FACE", {"NOSE": (0.5, 0.5)})])
    assert reported(track("min_frames: 2"), label) == [("p", "FACE: track of 1 frame is less than 2")]
    assert reported(track("min_frames: 2"), objects(rectangle())) == []
