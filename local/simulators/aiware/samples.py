"""Pictures and a video for engines, from pictures in scikit-image. They are the same in every run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from local import pictures, slides
from local.simulators.aiware.media import MediaServer

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]
WIDTH, HEIGHT, FPS = 640, 360, 10
FACE: Box = (177, 66, 272, 161)
"""The face of the astronaut in pixels: left, top, right, bottom."""
QR_TEXT = "https://annohooks.example/slide/42"


@dataclass(frozen=True)
class Video:
    """An MP4 file. faces: by frame, the box of the face in parts of the picture, or None without a whole face."""

    content: bytes = field(repr=False)
    faces: tuple[Box | None, ...] = field(repr=False)
    width: int = WIDTH
    height: int = HEIGHT
    fps: int = FPS

    @property
    def duration_ms(self) -> int:
        return len(self.faces) * 1000 // self.fps


@cache
def face_jpeg() -> bytes:
    """Eileen Collins, 512 x 512 px: one face, at FACE."""
    return _encoded(".jpg", pictures.read("astronaut.png"))


@cache
def faceless_jpeg() -> bytes:
    """A cup of coffee, 600 x 400 px."""
    return _encoded(".jpg", pictures.read("coffee.png"))


@cache
def qr_png() -> bytes:
    """A QR code of QR_TEXT with a white border."""
    code = cv2.QRCodeEncoder.create().encode(QR_TEXT)
    large = cv2.resize(code, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
    return _encoded(".png", cv2.copyMakeBorder(large, 64, 64, 64, 64, cv2.BORDER_CONSTANT, value=255))


@cache
def cells_png() -> bytes:
    """Tissue under the microscope, 512 x 512 px, 0.5 micrometres per pixel."""
    return _encoded(".png", slides.immunohistochemistry().pixels)


@cache
def video(seconds: int = 60) -> Video:
    """Scenes of five seconds. In every second scene a face enters, moves and leaves; the others have no face."""
    faces = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sample.mp4")
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (WIDTH, HEIGHT))
        for pixels, face in _frames(seconds * FPS):
            writer.write(pixels[..., ::-1])
            faces.append(face)
        writer.release()
        return Video(path.read_bytes(), tuple(faces))


def fill(media: MediaServer) -> None:
    """Adds a picture and a minute of video to a server, by the names in events/aiware and `make serve`."""
    media.add("face.jpg", face_jpeg(), "image/jpeg")
    media.add("minute.mp4", video().content, "video/mp4")


SCENE_FRAMES = 5 * FPS
_VIEWS: dict[str, tuple[tuple[float, float, float], ...]] = {
    # centre and width of the view in pixels of the picture, at equal intervals of the scene
    "coffee.png": ((240, 250, 420), (340, 200, 480), (300, 180, 560)),
    "astronaut.png": (
        (250, 390, 400),
        (230, 130, 400),
        (300, 150, 380),
        (220, 140, 440),
        (260, 130, 480),
        (400, 370, 220),
    ),
    "rocket.jpg": ((400, 240, 300), (320, 200, 420), (250, 150, 480)),
    "motorcycle_left.png": ((300, 250, 420), (370, 260, 560), (420, 230, 480)),
}
_PROGRAMME = ("coffee.png", "astronaut.png", "rocket.jpg", "astronaut.png", "motorcycle_left.png", "astronaut.png")


def _frames(count: int) -> Iterator[tuple[Pixels, Box | None]]:
    for number in range(count):
        scene, within = divmod(number, SCENE_FRAMES)
        name = _PROGRAMME[scene % len(_PROGRAMME)]
        times = np.linspace(0, 1, len(_VIEWS[name]))
        now = within / (SCENE_FRAMES - 1)
        x, y, width = (float(np.interp(now, times, values)) for values in zip(*_VIEWS[name], strict=True))
        scale = WIDTH / width
        left, top = x - width / 2, y - HEIGHT / scale / 2
        shift = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
        pixels = cv2.warpAffine(pictures.read(name), shift, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
        pixels = cv2.GaussianBlur(pixels, (0, 0), 1)  # less detail: the file is smaller by a third
        yield pixels.astype(np.uint8), _visible_face(left, top, scale) if name == "astronaut.png" else None


def _visible_face(left: float, top: float, scale: float) -> Box | None:
    """FACE in parts of a view; None if a part of it lies outside."""
    x0, x1 = ((x - left) * scale / WIDTH for x in FACE[::2])
    y0, y1 = ((y - top) * scale / HEIGHT for y in FACE[1::2])
    return (x0, y0, x1, y1) if min(x0, y0) >= 0 and max(x1, y1) <= 1 else None


def _encoded(suffix: str, pixels: Pixels) -> bytes:
    return cv2.imencode(suffix, pixels[..., ::-1] if pixels.ndim == 3 else pixels)[1].tobytes()
