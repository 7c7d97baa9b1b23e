"""The members of an anno2 zip that hold a heatmap."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from annohooks.slidescore.anno2.png import Deflated, grey_png, unfiltered

BLOCK_ROWS = 256


def heatmap_png(levels: NDArray[np.uint8]) -> bytes:
    """heatmap.png, whose grey values are the levels. levels: uint8 [rows, columns]."""
    rows, columns = levels.shape
    deflated = Deflated()
    for first in range(0, rows, BLOCK_ROWS):
        deflated.add(unfiltered(levels[first : first + BLOCK_ROWS]))
    return grey_png(columns, rows, 8, deflated.stream())


def heatmap_metadata(x: int, y: int, cell_px: int) -> bytes:
    """heatmap_metadata.json: the place of the first cell's corner on the slide, and a cell's side in slide pixels."""
    return json.dumps({"x": x, "y": y, "sizePerPixel": cell_px}, indent=2).encode()
