"""The floor: what OpenCV and brotli cost without our code. The ratio shows how close our side comes to it."""

import zipfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import brotli
import cv2
import numpy as np

SAMPLE_MS = 1000
"""The time between two analysed pictures of a video, as by default."""


def region(jpeg: str, members: str) -> Callable[[], str]:
    """Traces the contours of the JPEG with OpenCV alone, and compresses the members of our anno2 of it."""
    from annohooks.slidescore.anno2.compression import QUALITY

    content = Path(jpeg).read_bytes()
    with zipfile.ZipFile(members) as plain:
        our_members = [plain.read(name) for name in plain.namelist()]

    def work() -> str:
        contours, _ = dark_contours(content)
        packed = [brotli.compress(member, quality=QUALITY) for member in our_members]
        return (
            f"OpenCV and brotli alone, {len(contours):,} contours, {sum(map(len, contours)):,} vertices; "
            f"{sum(map(len, our_members)) / 1e6:.2f} MB of our zip's members compressed to "
            f"{sum(map(len, packed)) / 1e6:.2f} MB; ratio is floor / ours"
        )

    return work


def dark_contours(jpeg: bytes) -> tuple:
    """The result of cv2.findContours for the dark regions of a picture: Otsu's threshold, then opening."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    _, dark = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    opened = cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return cv2.findContours(opened, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)


def images(file: str) -> Callable[[], str]:
    """Decodes each picture of a zip, and repeats the OpenCV calls that our detector makes on it."""
    contents = pictures(file)
    calls = detector_calls(map(decoded, contents))

    def work() -> str:
        for content, picture_calls in zip(contents, calls, strict=True):
            decoded(content)
            for call in picture_calls:
                call()
        return f"cv2.imdecode and our detector's {sum(map(len, calls)):,} calls of OpenCV, and nothing else"

    return work


def video_frames(file: str) -> Callable[[], str]:
    """Reads every frame of a video, and repeats the OpenCV calls that our detector makes on the sampled ones."""
    return _video(file, "every frame read", _reading)


def video_frames_seeking(file: str) -> Callable[[], str]:
    """Seeks to each sampled frame of a video, and repeats the same OpenCV calls."""
    return _video(file, "each frame sought by its number", _seeking)


def _video(file: str, how: str, read: Callable) -> Callable[[], str]:
    calls = detector_calls(read(file))

    def work() -> str:
        for _, frame_calls in zip(read(file), calls, strict=True):
            for call in frame_calls:
                call()
        return f"{how}, and our detector's {sum(map(len, calls)):,} calls of OpenCV on {len(calls)} of them"

    return work


def _reading(file: str):
    capture = cv2.VideoCapture(file)
    step = round(capture.get(cv2.CAP_PROP_FPS) * SAMPLE_MS / 1000)
    number = 0
    while (read := capture.read())[0]:
        if number % step == 0:
            yield read[1]
        number += 1


def _seeking(file: str):
    capture = cv2.VideoCapture(file)
    step = round(capture.get(cv2.CAP_PROP_FPS) * SAMPLE_MS / 1000)
    for number in range(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), step):
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        yield capture.read()[1]


def pictures(file: str) -> list[bytes]:
    with zipfile.ZipFile(file) as archive:
        return [archive.read(name) for name in archive.namelist()]


def decoded(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def detector_calls(pictures: Iterable[np.ndarray]) -> list[list[Callable[[], object]]]:
    """The OpenCV calls that our face detector makes on each picture, so that they can be repeated."""
    from annohooks.imaging.detectors import faces

    calls: list[Callable[[], object]] = []
    calls_by_picture = []
    original, faces.cv2 = faces.cv2, Recorder(cv2, calls)
    try:
        detector = faces.Faces()
        for picture in pictures:
            calls.clear()
            detector.detect(picture, faces.FaceParameters())
            calls_by_picture.append([*calls])
    finally:
        faces.cv2 = original
    return calls_by_picture


class Recorder:
    """Stands for a module, or for an object of one, and records the calls of its functions."""

    def __init__(self, target: object, calls: list[Callable[[], object]]) -> None:
        self._target, self._calls = target, calls

    def __getattr__(self, name: str):
        attribute = getattr(self._target, name)
        if isinstance(attribute, type):
            return lambda *arguments: Recorder(attribute(*arguments), self._calls)
        return partial(self._call, attribute) if callable(attribute) else attribute

    def _call(self, function: Callable, *arguments, **named):
        self._calls.append(partial(function, *arguments, **named))
        return function(*arguments, **named)
