"""Which outlines and points lie in which square tile of the slide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.outlines import BoolArray, IntArray

Integers = NDArray[np.signedinteger]

TILE_PX = 256
BIG_PX2 = 10_000
"""An outline whose bounding box covers more than this is big: indexed apart, left out of the density tables."""


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Bounding boxes of M outlines: low and high, int32 [M, 2] each, both inclusive."""

    low: IntArray
    high: IntArray

    @classmethod
    def around(cls, xy: IntArray, offsets: NDArray[np.int64]) -> Boxes:
        """xy: int32 [N, 2]. offsets: int64 [M + 1]; outline m is xy[offsets[m]:offsets[m + 1]], at least one vertex."""
        return cls(np.minimum.reduceat(xy, offsets[:-1]), np.maximum.reduceat(xy, offsets[:-1]))

    @classmethod
    def concatenate(cls, parts: Sequence[Boxes]) -> Boxes:
        return cls(np.concatenate([part.low for part in parts]), np.concatenate([part.high for part in parts]))

    def __len__(self) -> int:
        return len(self.low)

    def __getitem__(self, keep: BoolArray) -> Boxes:
        return Boxes(self.low[keep], self.high[keep])

    @property
    def big(self) -> BoolArray:
        """Which boxes are larger than BIG_PX2, bool [M]."""
        width, height = (self.high - self.low).astype(np.int64).T
        return np.asarray(width * height > BIG_PX2)

    def tile_counts(self, tile_px: int = TILE_PX) -> NDArray[np.int64]:
        """How many tiles each box touches, int64 [M]."""
        columns, rows = (self.high // tile_px - self.low // tile_px + 1).astype(np.int64).T
        return np.asarray(columns * rows)


@dataclass(frozen=True, slots=True, eq=False)
class Tiles:
    """What lies in each of G tiles, T members in all.

    Tiles are in Slide Score's order: rows as their first member comes, and within a row columns as theirs comes.
    column, row: [G]. offsets: int64 [G + 1]; tile g has members[offsets[g]:offsets[g + 1]], int64 [T], ascending.
    """

    column: Integers
    row: Integers
    offsets: NDArray[np.int64]
    members: NDArray[np.int64]

    @classmethod
    def of(cls, column: Integers, row: Integers) -> Tiles:
        """column, row: [T], T at least 1, the tile each of the members 0 to T - 1 lies in, none negative."""
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
    """count[i] numbers from first[i] up, for every i in turn: whose i each is, and the number itself, int32 [T]."""
    owner = np.repeat(np.arange(len(count), dtype=np.int32), count)
    begin = (first - np.cumsum(count) + count).astype(np.int32)
    return owner, np.arange(len(owner), dtype=np.int32) + np.repeat(begin, count)


def changes(values: Integers) -> BoolArray:
    """Where a value is not the one before it, bool [T]; always at the first."""
    changed = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=changed[1:])
    return changed


def _narrow(numbers: Integers) -> NDArray[np.unsignedinteger]:
    """In 16 bits if they fit: NumPy sorts those by radix, many times as fast."""
    return numbers.astype(np.min_scalar_type(int(numbers.max())), copy=False)
