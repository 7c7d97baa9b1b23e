"""The lookup tables of an anno2 zip: how crowded the slide is, as small grey pictures."""

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
"""Fine tiles counted at a time, or RATIO rows of them if that is more. Bounds the memory, but for a slide wider than
half a million px: there it grows with the width."""


def density_members(boxes: Boxes) -> list[tuple[str, bytes]]:
    """density_32px.png and density_256px.png of what has these bounding boxes, none of them big; points are boxes too.

    Each counts once in every 32 px tile its box touches; a 256 px tile has the sum of its 32 px tiles. The fullest tile
    is white. A picture ends at the last tile that counts; up to there, every tile of a band that any box touches takes
    time, empty or not.
    """
    counts = _Counts(boxes)
    fullest = 1, 1
    for _, *band in counts.bands():
        fullest = max(fullest[0], int(band[0].max())), max(fullest[1], int(band[1].max()))
    fine, coarse = _Picture(fullest[0]), _Picture(fullest[1])
    for first, fine_counts, coarse_counts in counts.bands():
        fine.add(first, fine_counts)
        coarse.add(first // RATIO, coarse_counts)
    return [
        (f"lookup-tables/density_{FINE_PX}px.png", fine.png()),
        (f"lookup-tables/density_{COARSE_PX}px.png", coarse.png()),
    ]


class _Picture:
    """A table being written, band by band. fullest: the count that is white."""

    def __init__(self, fullest: int) -> None:
        self._grey = np.rint(np.arange(fullest + 1) / fullest * 255).astype(np.uint8)
        self._width = self._height = 0
        self._rows = Deflated()

    def add(self, first: int, counts: NDArray[np.int64]) -> None:
        """counts: [rows, width]. first: the row they begin at; those since the last band are black."""
        rows, self._width = counts.shape
        self._rows.add_zeros((first - self._height) * (1 + self._width))
        self._rows.add(unfiltered(self._grey[counts]))
        self._height = first + rows

    def png(self) -> bytes:
        return grey_png(self._width, self._height, 8, self._rows.finished())


class _Counts:
    """How many boxes touch each fine tile, band by band, from the corners of the boxes alone.

    A tile's count is the sum, over it and all tiles above it and to its left, of differences: 1 where a box begins and
    just off its opposite corner, -1 just off its other two.
    Source: Crow 1984, summed-area tables, the other way round.
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
        """From the top down: the first row of a band, the counts of its fine tiles [rows, width], and those of the
        coarse tiles they make up. A band without any is left out, unless it is the last.
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
        """Of places, ascending, those in the rows first to last - 1, counted from where these begin."""
        bounds = np.array((first, last)) * self._stride
        begin, end = np.searchsorted(places, bounds.astype(places.dtype))
        inside: Integers = places[begin:end] - places.dtype.type(bounds[0])
        return inside
