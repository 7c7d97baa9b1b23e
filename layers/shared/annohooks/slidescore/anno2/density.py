"""The lookup tables of an anno2 zip: how crowded the slide is, as small grey pictures."""

from __future__ import annotations

import numpy as np

from annohooks.imaging.outlines import IntArray
from annohooks.slidescore.anno2.png import grey_png
from annohooks.slidescore.anno2.tiles import Boxes

FINE_PX = 32
COARSE_PX = 256


def density_pngs(boxes: Boxes) -> tuple[bytes, bytes]:
    """density_32px.png and density_256px.png of the outlines with these bounding boxes, none of them big.

    An outline counts once in every 32 px tile its box touches; a 256 px tile has the sum of its 32 px tiles. The
    fullest tile is white.
    """
    _, column, row = boxes.tiles(FINE_PX)
    ratio = COARSE_PX // FINE_PX
    return _crowding(column, row), _crowding(column // ratio, row // ratio)


def _crowding(column: IntArray, row: IntArray) -> bytes:
    """column, row: [T], a tile for each time something counts in it. The picture ends at the last tile that counts."""
    width, height = int(column.max(initial=0)) + 1, int(row.max(initial=0)) + 1
    tile, count = np.unique(row.astype(np.int64) * width + column, return_counts=True)
    grey = np.zeros(width * height, np.uint8)
    grey[tile] = np.rint(count / count.max(initial=1) * 255)
    return grey_png(grey.reshape(height, width))
