"""Which outlines lie in which square tile of the slide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.outlines import BoolArray, IntArray

BIG_PX2 = 10_000
"""An outline whose bounding box covers more than this is big: indexed apart, left out of the density tables."""


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Bounding boxes of M outlines: low and high, int32 [M, 2] each, both inclusive."""

    low: IntArray
    high: IntArray

    @classmethod
    def around(cls, xy: IntArray, offsets: NDArray[np.int64]) -> Boxes:
        return cls(np.minimum.reduceat(xy, offsets[:-1]), np.maximum.reduceat(xy, offsets[:-1]))

    def __getitem__(self, keep: BoolArray) -> Boxes:
        return Boxes(self.low[keep], self.high[keep])

    @property
    def big(self) -> BoolArray:
        """Which boxes are larger than BIG_PX2, bool [M]."""
        width, height = (self.high - self.low).astype(np.int64).T
        return np.asarray(width * height > BIG_PX2)

    def tiles(self, tile_px: int) -> tuple[NDArray[np.int64], IntArray, IntArray]:
        """Tiles each box touches: index of the box, tile column, tile row, each [T]; by box, then row, then column."""
        low, high = self.low // tile_px, self.high // tile_px
        columns, rows = (high - low + 1).astype(np.int64).T
        touched = columns * rows
        box = np.repeat(np.arange(len(touched)), touched)
        nth = np.arange(len(box)) - np.repeat(np.cumsum(touched) - touched, touched)
        row, column = np.divmod(nth, columns[box])
        return box, low[box, 0] + column.astype(np.int32), low[box, 1] + row.astype(np.int32)
