"""An engine's documents about videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from spots import HEIGHT, WIDTH, Spots, engine, later, picture, sent

from annohooks.aiware import engine as engines
from annohooks.core.deadline import Deadline
from annohooks.core.errors import DeadlineExceeded
from annohooks.imaging.video import StreamBroken, Video


def film(monkeypatch, samples, duration_ms=10_000, broken_at=None):
    """A video of pictures by their times; the one at broken_at cannot be read."""
    times_ms = np.arange(0.0, duration_ms, 40.0)
    keys = np.arange(0, len(times_ms), 10)
    video = Video(Path("film.mp4"), WIDTH, HEIGHT, duration_ms, 25.0, len(times_ms), times_ms, keys, is_whole=True)

    def frames(given, start_ms, stop_ms, step_ms):
        assert given is video
        for at_ms in range(-(-start_ms // step_ms) * step_ms, stop_ms, step_ms):
            if at_ms == broken_at:
                raise StreamBroken(at_ms)
            if at_ms in samples:
                yield at_ms, samples[at_ms]

    monkeypatch.setattr(engines.video, "frames", frames)
    return video


def spans(document):
    """Start, stop and first corner of each item."""
    items = document["series"]
    return [(item["startTimeMs"], item["stopTimeMs"], item["object"]["boundingPoly"][0]) for item in items]


STILL = picture((20, 10, 40, 20))
MOVED = picture((120, 10, 40, 20))
LEFT, RIGHT = {"x": 0.1, "y": 0.1}, {"x": 0.6, "y": 0.1}


def of_video(video, start_ms=0, stop_ms=10_000, offset_ms=0, deadline=None, **payload):
    return sent(engine(**payload).of_video(video, start_ms, stop_ms, offset_ms, deadline or later()))


@pytest.mark.parametrize(
    ("samples", "offset_ms", "told"),
    [
        ({1000: STILL, 2000: STILL, 3000: STILL, 4000: picture()}, 0, [(1000, 4000, LEFT)]),
        ({0: STILL, 1000: MOVED}, 0, [(0, 1000, LEFT), (1000, 2000, RIGHT)]),
        ({1000: STILL}, 60_000, [(61_000, 62_000, LEFT)]),
    ],
    ids=["what stays once, up to the step after its last sample", "what moves of each place", "in times of the asset"],
)
def test_objects_are_told(monkeypatch, samples, offset_ms, told):
    assert spans(of_video(film(monkeypatch, samples), offset_ms=offset_ms)) == told


def test_only_samples_of_the_segment_are_looked_at(monkeypatch):
    video = film(monkeypatch, dict.fromkeys(range(0, 10_000, 500), STILL))
    assert spans(of_video(video, 2_000, 4_000, sampleMs=500)) == [(2_000, 4_000, LEFT)]


def test_nothing_is_told_beyond_the_end_of_the_file(monkeypatch):
    video = film(monkeypatch, {0: STILL, 1000: STILL}, duration_ms=1_400)
    assert spans(of_video(video)) == [(0, 1_400, LEFT)]


def test_an_analyzer_looks_at_frames_too(monkeypatch):
    video = film(monkeypatch, {0: STILL, 1000: STILL})
    (item,) = of_video(video, analyzer="dark_regions", mpp=1)["series"]
    assert (item["startTimeMs"], item["stopTimeMs"]) == (0, 2000)
    assert item["object"]["label"] == "dark regions"


def test_a_picture_that_is_shown_at_several_samples_is_looked_at_once(monkeypatch):
    looked = []
    detect = Spots.detect
    monkeypatch.setattr(Spots, "detect", lambda *given: looked.append(given[1]) or detect(*given))
    again = STILL.copy()
    video = film(monkeypatch, {0: STILL, 1000: STILL, 2000: STILL, 3000: again})
    assert spans(of_video(video)) == [(0, 4000, LEFT)]
    assert [picture is again for picture in looked] == [False, True]


def test_work_ends_at_the_deadline_between_samples(monkeypatch):
    video = film(monkeypatch, {0: STILL})
    with pytest.raises(DeadlineExceeded, match="reading the video"):
        of_video(video, deadline=Deadline.after(0))


def test_a_video_that_breaks_off_is_told_of_by_the_time_it_does(monkeypatch):
    video = film(monkeypatch, {0: STILL}, broken_at=2000)
    with pytest.raises(StreamBroken) as broken:
        of_video(video)
    assert broken.value.reached_ms == 2000
