"""Videos that are done in no time."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import cv2
import skimage.data


@cache
def video(seconds: int = 4, fps: int = 4) -> bytes:
    """A face that does not move, as an MP4 of 256 x 256 pixels."""
    picture = cv2.resize(skimage.data.astronaut()[:, :, ::-1], (256, 256), interpolation=cv2.INTER_AREA)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (256, 256))
        for _ in range(seconds * fps):
            writer.write(picture)
        writer.release()
        return path.read_bytes()
