"""Slides for the simulated Slide Score server: a microscope picture, a mosaic of it, empty glass, tissue on glass."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from local import pictures

Pixels = NDArray[np.uint8]
GLASS_RGB = (243, 242, 238)


@dataclass(frozen=True)
class Slide:
    """One slide at full resolution.

    pixels: uint8 [H, W, 3], RGB. mpp: micrometres per pixel, None if unknown.
    """

    name: str
    pixels: Pixels = field(repr=False)
    mpp: float | None = None

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])


def immunohistochemistry() -> Slide:
    """The picture in scikit-image: 512 x 512 px of tissue stained with DAB (brown) and haematoxylin (blue nuclei)."""
    return Slide("immunohistochemistry", pictures.read("ihc.png"), mpp=0.5)


def mosaic(width: int, height: int) -> Slide:
    """The same picture, mirrored until it fills width x height px. No structure is cut at a seam."""
    return Slide("mosaic", mirrored(immunohistochemistry().pixels, width, height), mpp=0.5)


def blank(width: int, height: int) -> Slide:
    """Empty glass: off-white with camera noise of standard deviation 1. Each call returns the same pixels."""
    noise = np.random.default_rng(seed=1).normal(GLASS_RGB, 1.0, size=(256, 256, 3))
    return Slide("empty glass", mirrored(noise.round().astype(np.uint8), width, height), mpp=0.5)


def tissue_on_glass(width: int, height: int) -> Slide:
    """Pieces of the mosaic on empty glass, one with a tear. Their borders are uneven, and soft over a few pixels."""
    columns, rows = width // _COARSE, height // _COARSE
    pieces = np.zeros((rows, columns), np.float32)
    for x, y, a, b, angle, covered in _PIECES:
        centre, axes = (round(x * columns), round(y * rows)), (round(a * columns), round(b * columns))
        cv2.ellipse(pieces, centre, axes, angle, 0, 360, covered, -1)
    bumps = np.random.default_rng(seed=2).uniform(-0.45, 0.45, (rows // 10, columns // 10)).astype(np.float32)
    pieces += cv2.resize(bumps, (columns, rows))
    pieces = cv2.resize(cv2.GaussianBlur(pieces, (0, 0), columns / 100), (width, height), interpolation=cv2.INTER_CUBIC)
    cover = cv2.GaussianBlur((pieces > 0.5).astype(np.float32), (0, 0), 2)
    pixels, tissue = blank(width, height).pixels, mosaic(width, height).pixels
    for top in range(0, height, 256):  # in strips, to save memory
        part = slice(top, top + 256)
        pixels[part] = np.rint(pixels[part] + (tissue[part].astype(np.float32) - pixels[part]) * cover[part, :, None])
    return Slide("tissue on glass", pixels, mpp=0.5)


_COARSE = 8
_PIECES = (
    (0.31, 0.52, 0.2, 0.3, 20, 1.0),
    (0.34, 0.55, 0.05, 0.1, -30, 0.0),
    (0.78, 0.36, 0.13, 0.2, -15, 1.0),
    (0.75, 0.82, 0.07, 0.06, 0, 1.0),
)
"""Ellipses of the tissue slide, later ones on top: centre and semi-axes in parts of the slide, angle in degrees, and 1
for tissue or 0 for a tear."""


def mirrored(pixels: Pixels, width: int, height: int) -> Pixels:
    """Reflects pixels [h, w, 3] at their borders until they fill uint8 [height, width, 3]."""
    rows, columns = _reflected(height, pixels.shape[0]), _reflected(width, pixels.shape[1])
    return np.take(np.take(pixels, rows, axis=0), columns, axis=1)


def studio() -> dict[int, Slide]:
    """The default slides by image id: 1 the picture, 2 a mosaic of 5000 x 4000 px, 3 empty glass, 4 tissue on glass."""
    return {1: immunohistochemistry(), 2: mosaic(5000, 4000), 3: blank(2048, 1536), 4: tissue_on_glass(4000, 3000)}


def _reflected(length: int, period: int) -> NDArray[np.intp]:
    """The index of the mirrored pixel for each of `length` positions; 0 1 2 2 1 0 0 1 for a period of 3 pixels."""
    position = np.arange(length) % (2 * period)
    return np.minimum(position, 2 * period - 1 - position)
