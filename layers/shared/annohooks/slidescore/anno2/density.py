"""The lookup tables of an anno2 zip: small grey pictures of how many items lie in each tile."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from annohooks.slidescore.anno2.png import Deflated, grey_png, unfiltered
from annohooks.slidescore.anno2.tiles import Boxes, Integers

FINE_PX = 32
COARSE_PX = 256
RATIO = COARSE_PX // FINE_PX
BAND_TILES = 1 << 17
"""Fine tiles that are counted together, or RATIO rows of them if that is more. Limits the memory, except for a slide
wider than half a million px, where the memory grows with the width."""


def density_members(boxes: Boxes) -> list[tuple[str, bytes]]:
    """density_32px.png and density_256px.png of items with these bounding boxes. A point is a box, too.

    boxes: none of them big. An item counts once in every 32 px tile that its box touches. A 256 px tile has the sum of
    its 32 px tiles. The tile with the highest count is white. A picture ends at the last tile with an item. All tiles
    of a band that a box touches take time, also empty ones.
    """
    counts = _Counts(boxes)
    fine_highest = coarse_highest = 1
    for _, fine_counts, coarse_counts in counts.bands():
        fine_highest = max(fine_highest, int(fine_counts.max()))
        coarse_highest = max(coarse_highest, int(coarse_counts.max()))
    fine, coarse = _Picture(fine_highest), _Picture(coarse_highest)
    for first, fine_counts, coarse_counts in counts.bands():
        fine.add(first, fine_counts)
        coarse.add(first // RATIO, coarse_counts)
    return [
        (f"lookup-tables/density_{FINE_PX}px.png", fine.png()),
        (f"lookup-tables/density_{COARSE_PX}px.png", coarse.png()),
    ]


class _Picture:
    """A table as a picture, written band by band. highest: the count that is white."""

    def __init__(self, highest: int) -> None:
        self._grey = np.rint(np.arange(highest + 1) / highest * 255).astype(np.uint8)
        self._width = self._height = 0
        self._rows = Deflated()

    def add(self, first: int, counts: NDArray[np.int64]) -> None:
        """counts: [rows, width]. first: their first row. The rows between the last band and this one are black."""
        rows, self._width = counts.shape
        self._rows.add_zeros((first - self._height) * (1 + self._width))
        self._rows.add(unfiltered(self._grey[counts]))
        self._height = first + rows

    def png(self) -> bytes:
        return grey_png(self._width, self._height, 8, self._rows.stream())


class _Counts:
    """The number of boxes that touch each fine tile, band by band, from the corners of the boxes.

    Each box adds four differences around its tiles. A tile's count is the sum of the differences at this tile and at
    all tiles above it and to its left:

        +1  .  .  . -1      a box of 4 x 3 tiles
         .  .  .  .
         .  .  .  .
        -1          +1

    Source: Crow 1984, summed-area tables, applied in reverse.
    """

    def __init__(self, boxes: Boxes) -> None:
        width, self._height = (boxes.high.max(axis=0, initial=0) // FINE_PX + 1).tolist()
        self._stride = width + 1
        self._band_rows = max(BAND_TILES // self._stride // RATIO, 1) * RATIO
        narrow = np.int32 if (self._height + 1) * self._stride < 2**31 else np.int64
        left, top = (boxes.low // FINE_PX).T.astype(narrow)
        right, bottom = (boxes.high // FINE_PX + 1).T.astype(narrow)
        top *= self._stride
        bottom *= self._stride
        self._plus = np.concatenate((top + left, bottom + right))
        self._minus = np.concatenate((top + right, bottom + left))
        self._plus.sort()
        self._minus.sort()

    def bands(self) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
        """From the top down: the first row of a band, the counts of its fine tiles [rows, width], and the counts of
        its coarse tiles. A band without items is left out unless it is the last.
        """
        above = np.zeros(self._stride, np.int64)
        for first in range(0, self._height, self._band_rows):
            last = min(first + self._band_rows, self._height)
            begins, ends = self._within(self._plus, first, last), self._within(self._minus, first, last)
            if not (begins.size or ends.size or above.any() or last == self._height):
                continue
            counts = np.bincount(begins, minlength=(last - first) * self._stride)
            counts -= np.bincount(ends, minlength=(last - first) * self._stride)
            counts = counts.reshape(last - first, self._stride)
            counts[0] += above
            np.cumsum(counts, axis=0, out=counts)
            above = counts[-1].copy()
            np.cumsum(counts, axis=1, out=counts)
            fine = counts[:, :-1]
            down = np.add.reduceat(fine, np.arange(0, fine.shape[0], RATIO), axis=0)
            yield first, fine, np.add.reduceat(down, np.arange(0, fine.shape[1], RATIO), axis=1)

    def _within(self, places: Integers, first: int, last: int) -> Integers:
        """The places in rows first to last - 1, relative to the start of these rows. places: ascending."""
        bounds = np.array((first, last)) * self._stride
        begin, end = np.searchsorted(places, bounds.astype(places.dtype))
        inside: Integers = places[begin:end] - places.dtype.type(bounds[0])
        return inside
