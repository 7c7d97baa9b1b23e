"""The amount of each stain in each pixel."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.decode import Picture

Stain = Literal["H&E", "H-DAB"]
FIRST, SECOND = 0, 1  # hematoxylin; eosin or DAB

# Optical density of each stain in red, green and blue. Source: Ruifrok and Johnston 2001, table 1.
_HEMATOXYLIN = (0.650, 0.704, 0.286)
_EOSIN = (0.072, 0.990, 0.105)
_DAB = (0.268, 0.570, 0.776)

_DENSITY = -np.log10((np.arange(256, dtype=np.float32) + 1) / 256)  # optical density of each grey value


def amounts(picture: Picture, stain: Stain) -> list[NDArray[np.float32]]:
    """The amounts of both stains, float32 [height, width] each: hematoxylin, then eosin or DAB.

    They are in units of optical density: 1.0 lets a tenth of the light through. Density that neither stain explains is
    left out.
    Source: Ruifrok and Johnston 2001.
    """
    unmixed = cv2.split(cv2.transform(densities(picture), _unmixing(stain)))
    return [amount.astype(np.float32, copy=False) for amount in unmixed]


def amount(picture: Picture, stain: Stain, which: int) -> NDArray[np.float32]:
    """The amount of one stain, float32 [height, width]. which: FIRST or SECOND. See `amounts`."""
    return cv2.transform(densities(picture), _unmixing(stain)[which : which + 1]).astype(np.float32, copy=False)


def densities(picture: Picture) -> NDArray[np.float32]:
    """The optical density of blue, green and red, float32 [height, width, 3]."""
    return cv2.LUT(picture, _DENSITY).astype(np.float32, copy=False)


def _unmixing(stain: Stain) -> NDArray[np.float32]:
    """The matrix [2, 3] from the optical densities of blue, green and red to the amounts of the stains."""
    first, second = np.array(_HEMATOXYLIN), np.array(_EOSIN if stain == "H&E" else _DAB)
    vectors = np.stack([first, second, np.cross(first, second)])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    red_green_blue = np.linalg.inv(vectors).T[:2]
    return red_green_blue[:, ::-1].astype(np.float32)
