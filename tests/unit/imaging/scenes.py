"""Real pictures and videos made of them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import skimage.data

FOLDER = Path(skimage.data.__file__).parent
CODECS = {"mp4": "mp4v", "mov": "mp4v", "avi": "MJPG", "mkv": "mp4v", "webm": "VP80"}
CODECS |= {"ts": "mpg2", "mpg": "mpg1", "flv": "FLV1", "ogv": "VP80", "wmv": "WMV2"}
"""The codec of each kind of video file, by its suffix."""
FACE = np.array([176.0, 66.0, 272.0, 162.0])
"""The box of the astronaut's face: x0, y0, x1, y1."""


def picture(name):
    """A picture of scikit-image, uint8 BGR."""
    return cv2.imread(str(next(FOLDER.glob(f"{name}.*"))))


def passing(number, size=(160, 120)):
    """Pictures through which a scene moves; no two are the same."""
    scene = cv2.resize(picture("coffee"), size)
    return [np.roll(scene, 3 * index, axis=1) for index in range(number)]


def written(path, pictures, fps=25.0, codec="mp4v"):
    """A video file of the pictures, with a key frame every twelve."""
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), fps, (width, height))
    assert writer.isOpened()
    for frame in pictures:
        writer.write(frame)
    writer.release()
    return path


def at_times(source: Path, target: Path, times_ms: Iterable[int]) -> Path:
    """The packets of a video in another file, at other times."""
    capture = cv2.VideoCapture(str(source), cv2.CAP_FFMPEG)
    size = tuple(int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    capture.set(cv2.CAP_PROP_FORMAT, -1)
    raw = [cv2.VIDEOWRITER_PROP_RAW_VIDEO, 1]
    code = cv2.VideoWriter_fourcc(*"VP80")
    writer = cv2.VideoWriter(str(target), cv2.CAP_FFMPEG, code, 1000, size, raw)
    assert writer.isOpened()
    for number, time_ms in enumerate(times_ms):
        assert capture.grab()
        writer.set(cv2.VIDEOWRITER_PROP_PTS, time_ms)
        writer.set(cv2.VIDEOWRITER_PROP_DTS_DELAY, number - time_ms)
        writer.write(capture.retrieve()[1])
    writer.release()
    return target


def with_keys(path: Path, every: int) -> Path:
    """An MP4 that announces only the first of every so many key frames."""
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
    """The pictures of a file and their times in ms, in order, from decoding all of it."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    frames = []
    while capture.grab():
        frames.append((capture.get(cv2.CAP_PROP_POS_MSEC), capture.retrieve()[1]))
    return sorted(frames, key=lambda frame: frame[0])
