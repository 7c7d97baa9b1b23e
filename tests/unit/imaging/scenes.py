"""Real pictures and videos made of them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import skimage.data

FOLDER = Path(skimage.data.__file__).parent
FACE = np.array([176.0, 66.0, 272.0, 162.0])
"""Where the astronaut's face is: x0, y0, x1, y1."""


def picture(name):
    """One of scikit-image's, uint8 BGR."""
    return cv2.imread(str(next(FOLDER.glob(f"{name}.*"))))


def passing(number, size=(160, 120)):
    """Pictures that a scene passes through, no two alike."""
    scene = cv2.resize(picture("coffee"), size)
    return [np.roll(scene, 3 * each, axis=1) for each in range(number)]


def written(path, pictures, fps=25.0, codec="mp4v"):
    """A video file of the pictures; a key frame every twelve."""
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), fps, (width, height))
    assert writer.isOpened()
    for each in pictures:
        writer.write(each)
    writer.release()
    return path


def at_times(source: Path, target: Path, times_ms: Iterable[int]) -> Path:
    """A video's packets in another file, each at another time."""
    capture = cv2.VideoCapture(str(source), cv2.CAP_FFMPEG)
    size = tuple(int(capture.get(each)) for each in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    capture.set(cv2.CAP_PROP_FORMAT, -1)
    as_they_are = [cv2.VIDEOWRITER_PROP_RAW_VIDEO, 1]
    code = cv2.VideoWriter_fourcc(*"VP80")
    writer = cv2.VideoWriter(str(target), cv2.CAP_FFMPEG, code, 1000, size, as_they_are)
    assert writer.isOpened()
    for number, time_ms in enumerate(times_ms):
        assert capture.grab()
        writer.set(cv2.VIDEOWRITER_PROP_PTS, time_ms)
        writer.set(cv2.VIDEOWRITER_PROP_DTS_DELAY, number - time_ms)
        writer.write(capture.retrieve()[1])
    writer.release()
    return target


def with_keys(path: Path, every: int) -> Path:
    """An MP4 that says of fewer of its frames that they are key frames: of each of that many key frames, the first."""
    content = bytearray(path.read_bytes())
    at = content.index(b"stss") + 8
    (number,) = struct.unpack_from(">I", content, at)
    keys = struct.unpack_from(f">{number}I", content, at + 4)[::every]
    struct.pack_into(f">{1 + len(keys)}I", content, at, len(keys), *keys)
    path.write_bytes(content)
    return path


def turned(path: Path) -> Path:
    """An MP4 that says it was filmed with the camera on its side."""
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 4 + 20 + 16
    struct.pack_into(">9i", content, matrix, 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def timed(path):
    """Every picture of a file with its time in ms, as decoding it from end to end gives them."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    found = []
    while capture.grab():
        found.append((capture.get(cv2.CAP_PROP_POS_MSEC), capture.retrieve()[1]))
    return found
