"""The sample pictures and the sample video show what their descriptions say."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from local import slides
from local.simulators.aiware import samples

pytestmark = pytest.mark.thorough


def decoded(content: bytes) -> NDArray[np.uint8]:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def faces(pixels: NDArray[np.uint8]) -> list[tuple[int, int, int, int]]:
    """As left, top, right, bottom."""
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    detections = cascade.detectMultiScale(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), 1.1, 5, minSize=(40, 40))
    return [(x, y, x + width, y + height) for x, y, width, height in detections]


def test_one_picture_has_a_face_and_the_other_has_none() -> None:
    assert samples.face_jpeg()[:3] == samples.faceless_jpeg()[:3] == b"\xff\xd8\xff"
    (face,) = faces(decoded(samples.face_jpeg()))
    assert face == pytest.approx(samples.FACE, abs=8)
    assert faces(decoded(samples.faceless_jpeg())) == []


def test_the_qr_code_says_its_text() -> None:
    assert cv2.QRCodeDetector().detectAndDecode(decoded(samples.qr_png()))[0] == samples.QR_TEXT


def test_the_cells_are_the_field_under_the_microscope() -> None:
    assert np.array_equal(decoded(samples.cells_png())[..., ::-1], slides.immunohistochemistry().pixels)


def test_the_video_shows_a_face_in_some_scenes_where_it_says(tmp_path: Path) -> None:
    video = samples.video(20)
    assert len(video.faces) == 200
    assert video.duration_ms == 20_000
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
    assert [shown for shown, _ in groupby(face is not None for face in video.faces)] == [False, True] * 2 + [False]


def test_in_the_video_the_face_moves() -> None:
    boxes = np.array([face for face in samples.video(20).faces if face])
    assert (np.ptp(boxes, axis=0) > 0.15).all()


def test_the_video_is_a_minute_of_a_few_megabytes_and_the_same_each_time() -> None:
    video = samples.video()
    assert (video.duration_ms, len(video.content) < 4 << 20) == (60_000, True)
    samples.video.cache_clear()
    assert samples.video() == video
