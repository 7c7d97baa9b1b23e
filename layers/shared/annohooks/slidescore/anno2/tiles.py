"""The square tiles of the slide, and the outlines and points that lie in each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.outlines import BoolArray, IntArray

Integers = NDArray[np.signedinteger]

TILE_PX = 256
BIG_PX2 = 10_000
"""An outline whose bounding box covers more is big: it has a separate index, and is not in the density tables."""


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Bounding boxes of M outlines. low, high: int32 [M, 2], both inclusive."""

    low: IntArray
    high: IntArray

    @classmethod
    def around(cls, xy: IntArray, offsets: NDArray[np.int64]) -> Boxes:
        """xy: int32 [N, 2]. offsets: int64 [M + 1]; outline m is xy[offsets[m]:offsets[m + 1]], at least one vertex."""
        return cls(np.minimum.reduceat(xy, offsets[:-1]), np.maximum.reduceat(xy, offsets[:-1]))

    @classmethod
    def concatenate(cls, parts: Sequence[Boxes]) -> Boxes:
        """The boxes of all parts, in order."""
        return cls(np.concatenate([part.low for part in parts]), np.concatenate([part.high for part in parts]))

    def __len__(self) -> int:
        return len(self.low)

    def __getitem__(self, mask: BoolArray) -> Boxes:
        return Boxes(self.low[mask], self.high[mask])

    @property
    def big(self) -> BoolArray:
        """Which boxes are larger than BIG_PX2, bool [M]."""
        width, height = (self.high - self.low).astype(np.int64).T
        return np.asarray(width * height > BIG_PX2)

    def tile_counts(self, tile_px: int = TILE_PX) -> NDArray[np.int64]:
        """The number of tiles that each box touches, int64 [M]."""
        columns, rows = (self.high // tile_px - self.low // tile_px + 1).astype(np.int64).T
        return np.asarray(columns * rows)


@dataclass(frozen=True, slots=True, eq=False)
class Tiles:
    """The T members of G tiles, in Slide Score's order: rows by their first member, and columns in a row likewise.

    column, row: [G]. offsets: int64 [G + 1]; tile g has members[offsets[g]:offsets[g + 1]], int64 [T], ascending.
    """

    column: Integers
    row: Integers
    offsets: NDArray[np.int64]
    members: NDArray[np.int64]

    @classmethod
    def of(cls, column: Integers, row: Integers) -> Tiles:
        """column, row: [T], T at least 1, not negative: the tile of each of the members 0 to T - 1."""
        members = np.lexsort((_narrow(column), _narrow(row)))
        column, row = column[members], row[members]
        begin = np.flatnonzero(changes(column) | changes(row))
        count = np.diff(begin, append=len(members))
        column, row, earliest = column[begin], row[begin], members[begin]
        row_begin = np.flatnonzero(changes(row))
        row_earliest = np.minimum.reduceat(earliest, row_begin)
        order = np.argsort(np.repeat(row_earliest, np.diff(row_begin, append=len(row))) * len(members) + earliest)
        count = count[order]
        return cls(
            column[order],
            row[order],
            np.concatenate(([0], np.cumsum(count))),
            members[ranges(begin[order], count)[1]],
        )

    def __len__(self) -> int:
        return len(self.column)


def ranges(first: Integers, count: NDArray[np.int64]) -> tuple[IntArray, IntArray]:
    """For every i in turn, count[i] numbers from first[i] up: two arrays, the i and the numbers, int32 [T]."""
    owner = np.repeat(np.arange(len(count), dtype=np.int32), count)
    begin = (first - np.cumsum(count) + count).astype(np.int32)
    return owner, np.arange(len(owner), dtype=np.int32) + np.repeat(begin, count)


def changes(values: Integers) -> BoolArray:
    """Mask of the values that differ from the value before them, bool [T]. The first value is one of them."""
    changed = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=changed[1:])
    return changed


def _narrow(numbers: Integers) -> NDArray[np.unsignedinteger]:
    """The numbers in 16 bits if they fit, because NumPy sorts these by radix, many times as fast."""
    return numbers.astype(np.min_scalar_type(int(numbers.max())), copy=False)
