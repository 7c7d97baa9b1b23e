"""Slides for the simulated Slide Score server: a real microscope picture, a mosaic of it, and empty glass."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
GLASS_RGB = (243, 242, 238)


@dataclass(frozen=True)
class Slide:
    """One slide at full resolution.

    pixels: uint8 [H, W, 3], RGB. mpp: micrometres per pixel, None when the scanner did not say.
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
    """The field that scikit-image ships: 512 x 512 px of tissue stained brown (DAB), its nuclei blue (haematoxylin)."""
    from skimage import data

    return Slide("immunohistochemistry", np.ascontiguousarray(data.immunohistochemistry(), dtype=np.uint8), mpp=0.5)


def mosaic(width: int, height: int) -> Slide:
    """The same field mirrored until it fills width x height px, so that nothing breaks off at a seam."""
    return Slide("mosaic", mirrored(immunohistochemistry().pixels, width, height), mpp=0.5)


def blank(width: int, height: int) -> Slide:
    """Empty glass: off-white with the faint noise of a camera (standard deviation 1), the same each time."""
    noise = np.random.default_rng(seed=1).normal(GLASS_RGB, 1.0, size=(256, 256, 3))
    return Slide("empty glass", mirrored(noise.round().astype(np.uint8), width, height), mpp=0.5)


def mirrored(pixels: Pixels, width: int, height: int) -> Pixels:
    """pixels [h, w, 3] reflected at its borders as often as needed: uint8 [height, width, 3]."""
    rows, columns = _reflected(height, pixels.shape[0]), _reflected(width, pixels.shape[1])
    return np.take(np.take(pixels, rows, axis=0), columns, axis=1)


def studio() -> dict[int, Slide]:
    """The default slides by image id: 1 the field, 2 a mosaic of 5000 x 4000 px, 3 empty glass."""
    return {1: immunohistochemistry(), 2: mosaic(5000, 4000), 3: blank(2048, 1536)}


def _reflected(length: int, period: int) -> NDArray[np.intp]:
    """Which of `period` pixels each of `length` positions shows, mirrored over and over: 0 1 2 2 1 0 0 1."""
    position = np.arange(length) % (2 * period)
    return np.minimum(position, 2 * period - 1 - position)
