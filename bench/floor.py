"""The other side of a benchmark that asks how near ours is to what OpenCV and brotli cost by themselves."""

import zipfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import brotli
import cv2
import numpy as np

SAMPLE_MS = 1000
"""Between the pictures of a video that are looked at, as is the default."""


def region(jpeg: str, members: str) -> Callable[[], str]:
    """The JPEG to contours, by OpenCV's own calls, and brotli over what our anno2 of the same picture compresses."""
    from annohooks.slidescore.anno2.compression import QUALITY

    content = Path(jpeg).read_bytes()
    with zipfile.ZipFile(members) as plain:
        members_of_ours = [plain.read(name) for name in plain.namelist()]

    def work() -> str:
        contours, _ = dark_contours(content)
        packed = [brotli.compress(member, quality=QUALITY) for member in members_of_ours]
        return (
            f"OpenCV and brotli by themselves, {len(contours):,} contours, {sum(map(len, contours)):,} vertices; "
            f"{sum(map(len, members_of_ours)) / 1e6:.2f} MB of our zip's members compressed to "
            f"{sum(map(len, packed)) / 1e6:.2f} MB; ratio is floor / ours"
        )

    return work


def dark_contours(jpeg: bytes) -> tuple:
    """What cv2.findContours returns for the dark regions of a picture: Otsu's threshold, specks opened away."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    _, dark = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    opened = cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return cv2.findContours(opened, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)


def images(file: str) -> Callable[[], str]:
    """Each picture of a zip decoded, and the calls of OpenCV that our detector makes on it."""
    contents = pictures(file)
    calls = detecting(map(decoded, contents))

    def work() -> str:
        for content, of_picture in zip(contents, calls, strict=True):
            decoded(content)
            for call in of_picture:
                call()
        return f"cv2.imdecode and our detector's {sum(map(len, calls)):,} calls of OpenCV, and nothing else"

    return work


def video_frames(file: str) -> Callable[[], str]:
    """Every frame of a video read, and the calls of OpenCV that our detector makes on those that are looked at."""
    return _video(file, "every frame read", _reading)


def video_frames_seeking(file: str) -> Callable[[], str]:
    """Those frames of a video gone to that are looked at."""
    return _video(file, "each frame gone to by its number", _seeking)


def _video(file: str, how: str, read: Callable) -> Callable[[], str]:
    calls = detecting(read(file))

    def work() -> str:
        for _, of_frame in zip(read(file), calls, strict=True):
            for call in of_frame:
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
    with zipfile.ZipFile(file) as stored:
        return [stored.read(name) for name in stored.namelist()]


def decoded(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def detecting(pictures: Iterable[np.ndarray]) -> list[list[Callable[[], object]]]:
    """The calls of OpenCV that our detector of faces makes on each picture, to be made again."""
    from annohooks.imaging.detectors import faces

    calls: list[Callable[[], object]] = []
    found = []
    given, faces.cv2 = faces.cv2, Noted(cv2, calls)
    try:
        detector = faces.Faces()
        for picture in pictures:
            calls.clear()
            detector.detect(picture, faces.FaceParameters())
            found.append([*calls])
    finally:
        faces.cv2 = given
    return found


class Noted:
    """A module, or an object of one, whose calls are noted."""

    def __init__(self, of: object, calls: list[Callable[[], object]]) -> None:
        self._of, self._calls = of, calls

    def __getattr__(self, name: str):
        found = getattr(self._of, name)
        if isinstance(found, type):
            return lambda *arguments: Noted(found(*arguments), self._calls)
        return partial(self._call, found) if callable(found) else found

    def _call(self, function: Callable, *arguments, **named):
        self._calls.append(partial(function, *arguments, **named))
        return function(*arguments, **named)
