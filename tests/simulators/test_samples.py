"""The sample video and the sample slides show what their descriptions say."""

from __future__ import annotations

from itertools import groupby

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from local import slides
from local.simulators.aiware import samples

pytestmark = pytest.mark.thorough


def faces(pixels: NDArray[np.uint8]) -> list[tuple[int, int, int, int]]:
    """As left, top, right, bottom."""
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    detections = cascade.detectMultiScale(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), 1.1, 5, minSize=(40, 40))
    return [(x, y, x + width, y + height) for x, y, width, height in detections]


@pytest.mark.parametrize(("jpeg", "shown"), [(samples.face_jpeg(), [samples.FACE]), (samples.faceless_jpeg(), [])])
def test_one_picture_has_a_face_and_the_other_has_none(jpeg, shown):
    found = faces(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))
    assert np.array(found) == pytest.approx(np.array(shown), abs=8)


def test_the_video_shows_a_moving_face_in_some_scenes_where_it_says(tmp_path):
    video = samples.video(20)
    assert (len(video.faces), video.duration_ms) == (200, 20_000)
    assert [shown for shown, _ in groupby(face is not None for face in video.faces)] == [False, True] * 2 + [False]
    assert (np.ptp(np.array([face for face in video.faces if face]), axis=0) > 0.15).all()
    (tmp_path / "video.mp4").write_bytes(video.content)
    capture = cv2.VideoCapture(str(tmp_path / "video.mp4"))
    size = [capture.get(key) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS)]
    assert size == [video.width, video.height, video.fps]
    scale = np.tile((video.width, video.height), 2)
    for number, face in enumerate(video.faces):
        _, pixels = capture.read()
        if number % 10 == 0:
            detections = faces(pixels)
            assert len(detections) == (face is not None), f"frame {number}"
            if face is not None:
                assert detections[0] == pytest.approx(np.array(face) * scale, abs=20)
    assert not capture.read()[0]


def test_the_video_is_a_minute_of_a_few_megabytes_and_the_same_each_time():
    video = samples.video()
    assert (video.duration_ms, len(video.content) < 4 << 20) == (60_000, True)
    samples.video.cache_clear()
    assert samples.video() == video


def test_the_mosaic_mirrors_the_field_at_each_seam():
    field = slides.immunohistochemistry().pixels
    mosaic = slides.mosaic(1300, 700).pixels
    assert mosaic.shape == (700, 1300, 3)
    assert np.array_equal(mosaic[:512, :512], field)
    assert np.array_equal(mosaic[:512, 512:1024], field[:, ::-1])
    assert np.array_equal(mosaic[512:700, :512], field[::-1][:188])
    assert np.array_equal(mosaic[:512, 1024:1300], field[:, :276])


def test_tissue_on_glass_is_pieces_of_the_mosaic_with_a_tear_and_glass_all_around_them():
    slide, blank = slides.tissue_on_glass(1000, 750), slides.blank(1000, 750)
    assert (blank.pixels.min() > 225, 0 < blank.pixels[..., 0].std() < 2) == (True, True)
    glass = np.all(slide.pixels == blank.pixels, axis=2)
    tissue = np.all(slide.pixels == slides.mosaic(1000, 750).pixels, axis=2)
    assert 0.25 < tissue.mean() < 0.4
    assert 0.55 < glass.mean() < 0.7
    assert np.concatenate([glass[0], glass[-1], glass[:, 0], glass[:, -1]]).all()
    assert [_large_parts(~glass), _large_parts(glass)] == [3, 2]
    assert np.array_equal(slide.pixels, slides.tissue_on_glass(1000, 750).pixels)


def _large_parts(mask: NDArray[np.bool_]) -> int:
    """A pixel of tissue may have the colour of glass by chance."""
    stats = cv2.connectedComponentsWithStats(mask.astype(np.uint8))[2]
    return int((stats[1:, cv2.CC_STAT_AREA] > 500).sum())
