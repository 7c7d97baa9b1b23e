"""How a label was made."""

from __future__ import annotations

import pytest
from cases import frames, objects, told, unchecked
from labels import pose, rectangle


def tracked(*numbers: int, keys: tuple[int, ...] = ()):
    return frames(**{f"f{n}": [rectangle("a", isKeyFrame=n in keys or not keys)] for n in numbers})


# Time


def test_label_that_took_long_enough_is_accepted():
    assert told("check: too_fast\nparameters: {min_seconds: 10}", {}, seconds=10) == []


def test_label_that_was_too_fast_is_told():
    rule = "check: too_fast\nparameters: {min_seconds: 10}"
    assert told(rule, {}, seconds=4) == [(None, "labelled in 4 s, at least 10 s expected")]


def test_time_can_be_asked_for_each_object():
    rule = "check: too_fast\nscope: {category: CAR}\nparameters: {min_seconds: 5, min_seconds_per_object: 3}"
    three = objects(*(rectangle(mid) for mid in "abc"), rectangle("t", "TREE"))
    assert told(rule, three, seconds=9) == []
    assert told(rule, three, seconds=8) == [(None, "labelled in 8 s, at least 9 s expected")]
    assert told(rule, {}, seconds=4) == [(None, "labelled in 4 s, at least 5 s expected")]
    assert told(rule.replace(": 5", ": 7.5"), {}, seconds=7.4) == [(None, "labelled in 7.4 s, at least 7.5 s expected")]


def test_time_that_is_nearly_enough_is_told_to_the_millisecond():
    rule = "check: too_fast\nparameters: {min_seconds: 1000}"
    assert told(rule, {}, seconds=999.9996) == []
    assert told(rule, {}, seconds=999.9994) == [(None, "labelled in 999.999 s, at least 1000 s expected")]
    assert (
        told("check: too_fast\nparameters: {min_seconds_per_object: 0.1}", objects(*map(rectangle, "abc")), seconds=0.3)
        == []
    )


def test_time_that_kili_does_not_tell_is_not_checked():
    assert "how long" in unchecked("check: too_fast\nparameters: {min_seconds: 1}", {}, seconds=None)


@pytest.mark.parametrize("response", [None, "x", [], {"JOB_0": 1}])
def test_malformed_label_is_too_fast_all_the_same(response):
    assert told("check: too_fast\nparameters: {min_seconds: 10}", response, seconds=4)


# Tracks


def test_object_followed_throughout_is_accepted():
    rule = "check: track\nparameters: {min_frames: 3, max_frames: 4, max_gap: 1, min_key_frame_share: 0.5}"
    assert told(rule, tracked(3, 4, 6, keys=(3, 6))) == []


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
def test_what_is_wrong_with_a_track_is_told_on_its_object(parameters, problem):
    label = tracked(3, 4, 6, 10, keys=(3,))
    assert told(f"check: track\nparameters: {{{parameters}}}", label) == [("a", f"CAR: {problem}")]


def test_first_of_equal_gaps_is_told():
    assert told("check: track\nparameters: {max_gap: 0}", tracked(1, 3, 5)) == [
        ("a", "CAR: gap of 1 frame is more than 0, after frame 1")
    ]


def test_poses_are_followed_too():
    label = frames(f1=[pose("p", "FACE", {"NOSE": (0.5, 0.5)})])
    assert told("check: track\nparameters: {min_frames: 2}", label) == [("p", "FACE: track of 1 frame is less than 2")]


def test_picture_has_no_tracks():
    assert told("check: track\nparameters: {min_frames: 2}", objects(rectangle())) == []


def test_malformed_frame_is_left_out():
    label = {**tracked(1, 2), "3": {"JOB_0": {"annotations": 7}}}
    assert told("check: track\nparameters: {min_frames: 2}", label) == []
    assert told("check: track\nparameters: {min_frames: 3}", label) != []
