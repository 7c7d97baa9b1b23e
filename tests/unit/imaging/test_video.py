"""Pictures of videos: the right one at each time, with as little decoding as possible."""

from __future__ import annotations

import itertools
import shutil

import cv2
import numpy as np
import pytest
import scenes
from hypothesis import example, given
from hypothesis import strategies as st

from annohooks.imaging import video

IRREGULAR_MS = [0, *itertools.accumulate(itertools.islice(itertools.cycle([40, 20, 100, 7, 33, 33, 900]), 99))]


@pytest.fixture(scope="module")
def irregular(tmp_path_factory, videos):
    """A hundred pictures at irregular times, up to almost a second apart; and their times and pictures."""
    path = scenes.at_times(videos["webm"], tmp_path_factory.mktemp("irregular") / "irregular.webm", IRREGULAR_MS)
    return path, scenes.timed(path)


@pytest.fixture(scope="module")
def minute(tmp_path_factory):
    """A minute, of 1500 pictures and 125 key frames."""
    return scenes.written(tmp_path_factory.mktemp("minute") / "minute.mp4", scenes.passing(1500, (96, 64)))


@pytest.fixture(scope="module")
def few_keys(tmp_path_factory, minute):
    """The same minute with a key frame every ten seconds."""
    copy = shutil.copy(minute, tmp_path_factory.mktemp("few_keys") / "few_keys.mp4")
    return scenes.with_keys(copy, every=21)


@pytest.fixture(scope="module", params=["minute", "few_keys"])
def minute_in_order(request):
    path = request.getfixturevalue(request.param)
    return path, scenes.timed(path)


def assert_samples(path, decoded, start_ms, stop_ms, step_ms):
    """At each sample, the picture is the last one that begins by then."""
    expected_ms = range(-(-start_ms // step_ms) * step_ms, stop_ms, step_ms)
    samples = video.frames(video.probe(path), start_ms, stop_ms, step_ms)
    for (at_ms, picture), expected_at_ms in zip(samples, expected_ms, strict=True):
        assert at_ms == expected_at_ms
        shown = [frame for time_ms, frame in decoded if time_ms <= at_ms + 0.5][-1]
        assert np.array_equal(picture, shown), at_ms


# The properties of a file


@pytest.mark.parametrize("kind", scenes.CODECS)
def test_size_duration_rate_and_number_of_frames_are_known_and_each_sample_is_what_is_shown(videos, captures, kind):
    probed = video.probe(videos[kind])
    assert (probed.width, probed.height, probed.duration_ms, probed.frames) == (160, 120, 4000, 100)
    assert probed.fps == pytest.approx(25)
    assert probed.is_whole
    assert [(capture.retrieved, capture.released) for capture in captures] == [(0, True)]  # nothing was decoded
    decoded = scenes.timed(videos[kind])
    for step_ms in (40, 333, 2500):
        assert_samples(videos[kind], decoded, 0, 4000, step_ms)


def test_rate_of_an_irregular_video_is_the_average_one(irregular):
    probed = video.probe(irregular[0])
    assert probed.times_ms.tolist() == pytest.approx(IRREGULAR_MS)
    assert probed.fps == pytest.approx(100 / (IRREGULAR_MS[-1] + 0.033) * 1000, rel=0.01)


def test_duration_that_the_file_does_not_give_is_that_of_its_pictures(tmp_path, videos):
    content = bytearray(videos["webm"].read_bytes())
    content[content.index(b"\x44\x89\x88")] = 0xEC  # the element of the duration becomes padding
    (tmp_path / "live.webm").write_bytes(content)
    assert video.probe(tmp_path / "live.webm").duration_ms == 4000


def test_video_of_one_picture_lasts_as_long_as_its_rate_says(tmp_path):
    one = video.probe(scenes.written(tmp_path / "one.avi", scenes.passing(1), fps=5, codec="MJPG"))
    assert (one.frames, one.duration_ms) == (1, 200)
    assert [at_ms for at_ms, _ in video.frames(one, 0, 1000, 100)] == [0, 100]


def test_pictures_and_size_are_rotated_as_the_file_says(tmp_path):
    pictures = scenes.passing(3)
    turned = video.probe(scenes.turned(scenes.written(tmp_path / "turned.mp4", pictures)))
    assert (turned.width, turned.height) == (120, 160)
    ((_, first),) = video.frames(turned, 0, 40, 40)
    assert first.shape == (160, 120, 3)
    assert np.abs(first.astype(int) - cv2.rotate(pictures[0], cv2.ROTATE_90_CLOCKWISE)).mean() < 10


# The picture at a time


@given(st.integers(0, 20_000), st.integers(0, 6_000), st.integers(1, 3_000))
@example(6511, 465, 465)  # OpenCV seeks to where nothing can be read
def test_each_sample_of_an_irregular_video_is_the_picture_that_is_shown(irregular, start_ms, length_ms, step_ms):
    stop_ms = min(start_ms + length_ms, start_ms + 12 * step_ms, video.probe(irregular[0]).duration_ms)
    assert_samples(*irregular, start_ms, stop_ms, step_ms)


@given(st.integers(0, 60_000), st.integers(0, 20_000), st.integers(1, 10_000))
def test_however_a_sample_is_reached_it_is_the_same_picture(minute_in_order, start_ms, length_ms, step_ms):
    assert_samples(*minute_in_order, start_ms, min(start_ms + length_ms, start_ms + 8 * step_ms, 60_000), step_ms)


def test_samples_of_segments_are_those_of_the_whole_and_within_it(minute):
    probed = video.probe(minute)

    def times_ms(start_ms, stop_ms):
        return [at_ms for at_ms, _ in video.frames(probed, start_ms, stop_ms, 700)]

    segments = [at_ms for start_ms in range(0, 60_000, 9_999) for at_ms in times_ms(start_ms, start_ms + 9_999)]
    assert segments == list(range(0, 60_000, 700))
    assert times_ms(59_000, 99_000) == [59_500]
    assert times_ms(-500, 701) == [0, 700]
    assert times_ms(60_000, 99_000) == []


# What is decoded


def test_picture_that_is_shown_at_several_samples_is_decoded_once_and_the_file_is_closed_in_the_end(videos, captures):
    frames = video.frames(video.probe(videos["mp4"]), 0, 4_000, 10)
    samples = list(itertools.islice(frames, 40))
    assert captures[-1].retrieved == captures[-1].grabbed == 10
    assert samples[0][1] is samples[3][1]
    assert not captures[-1].released
    frames.close()
    assert captures[-1].released


def test_samples_are_reached_by_decoding_on_or_from_the_key_frame_before(minute, captures):
    probed = video.probe(minute)
    assert len(list(video.frames(probed, 0, 20_000, 200))) == 100
    assert (captures[-1].sought, captures[-1].grabbed, captures[-1].retrieved) == (0, 496, 100)
    assert len(list(video.frames(probed, 0, 60_000, 5_000))) == 12
    assert captures[-1].sought == 11
    assert captures[-1].grabbed < 24
    assert [at_ms for at_ms, _ in video.frames(probed, 50_000, 50_100, 100)] == [50_000]
    assert captures[-1].sought == 1
    assert captures[-1].grabbed < 3


def test_reader_does_not_go_back_to_key_frames_that_are_rarer_than_samples(few_keys, captures):
    probed = video.probe(few_keys)
    assert np.diff(probed.keys).tolist() == [252] * 5
    assert len(list(video.frames(probed, 0, 60_000, 5_000))) == 12
    assert captures[-1].sought < 6
    assert captures[-1].grabbed > 500
