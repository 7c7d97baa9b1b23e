"""Outlines as arrays: any number of closed rings in three arrays, so that all of them are worked on at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

IntArray = NDArray[np.int32]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Outlines:
    """M closed rings of N vertices in all, each of at least one.

    xy: int32 [N, 2], x then y, pixels of whatever picture or slide they belong to.
    offsets: int64 [M + 1]; ring m is xy[offsets[m]:offsets[m + 1]], its first vertex not repeated at the end.
    parent: int32 [M]; -1 for an outer ring, else the index of the ring this hole lies in.
    """

    xy: IntArray
    offsets: NDArray[np.int64]
    parent: IntArray

    @classmethod
    def empty(cls) -> Outlines:
        return cls(np.empty((0, 2), np.int32), np.zeros(1, np.int64), np.empty(0, np.int32))

    @classmethod
    def from_rings(cls, rings: Sequence[ArrayLike], parent: ArrayLike | None = None) -> Outlines:
        """rings: M arrays [k, 2] (k may differ), rounded to int32. parent: [M], all outer rings when left out."""
        if not len(rings):
            return cls.empty()
        arrays = [np.asarray(ring).reshape(-1, 2) for ring in rings]
        offsets = np.zeros(len(arrays) + 1, np.int64)
        np.cumsum([len(array) for array in arrays], out=offsets[1:])
        xy = np.concatenate(arrays)
        if xy.dtype.kind == "f":
            xy = np.rint(xy)
        parents = np.full(len(arrays), -1, np.int32) if parent is None else np.asarray(parent, np.int32)
        return cls(xy.astype(np.int32, copy=False), offsets, parents)

    @classmethod
    def concatenate(cls, parts: Sequence[Outlines]) -> Outlines:
        """All rings of all parts, in order; parents are renumbered."""
        if not parts:
            return cls.empty()
        first_ring = np.cumsum([0] + [len(part) for part in parts[:-1]])
        first_vertex = np.cumsum([0] + [len(part.xy) for part in parts[:-1]])
        return cls(
            np.concatenate([part.xy for part in parts]),
            np.concatenate(
                [np.zeros(1, np.int64)] + [p.offsets[1:] + first for p, first in zip(parts, first_vertex, strict=True)]
            ),
            np.concatenate(
                [
                    np.where(p.parent < 0, -1, p.parent + first).astype(np.int32)
                    for p, first in zip(parts, first_ring, strict=True)
                ]
            ),
        )

    def __len__(self) -> int:
        return len(self.parent)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Vertices of each ring, int64 [M]."""
        return np.diff(self.offsets)

    @property
    def is_outer(self) -> BoolArray:
        return self.parent < 0

    def ring(self, index: int) -> IntArray:
        """Ring number `index`, a view [k, 2]."""
        return self.xy[self.offsets[index] : self.offsets[index + 1]]

    def take(self, keep: BoolArray) -> Outlines:
        """The rings where keep [M] is true; a hole whose outer ring goes, goes with it."""
        keep = keep & (self.is_outer | keep[self.parent])
        counts = self.counts
        offsets = np.zeros(int(keep.sum()) + 1, np.int64)
        np.cumsum(counts[keep], out=offsets[1:])
        renumbered = (np.cumsum(keep) - 1).astype(np.int32)
        parent = self.parent[keep]
        return Outlines(
            self.xy[np.repeat(keep, counts)], offsets, np.where(parent < 0, np.int32(-1), renumbered[parent])
        )

    def clipped(self, width: int, height: int) -> Outlines:
        """Every vertex moved into [0, width] x [0, height]."""
        return Outlines(np.clip(self.xy, 0, (width, height)).astype(np.int32), self.offsets, self.parent)

    def areas(self) -> FloatArray:
        """Area each ring encloses, float64 [M], square pixels, holes not taken off. Source: the shoelace formula."""
        return np.abs(self._moments()[0])

    def centroids(self) -> FloatArray:
        """Area centroid of each outer ring less its holes, float64 [number of outer rings, 2], in ring order.

        A ring without area (a point, a line) has the mean of its vertices.
        Source: Bourke 1988, centroid of a polygon; composition by area for holes.
        """
        area, moment = self._moments()
        sign = np.where(area < 0, -1.0, 1.0)
        area, moment = area * sign, moment * sign[:, None]
        first = self.xy[self.offsets[:-1]]
        holes = ~self.is_outer
        if holes.any():
            outer = self.parent[holes]
            about_outer = moment[holes] + area[holes, None] * (first[holes] - first[outer])
            np.subtract.at(area, outer, area[holes])
            np.subtract.at(moment, outer, about_outer)
        flat = area <= 0
        centre = np.divide(moment, area[:, None], out=np.zeros_like(moment), where=~flat[:, None])
        if flat.any():
            starts = self.offsets[:-1]
            mean = np.add.reduceat(self._from_first(), starts) / self.counts[:, None]
            centre[flat] = mean[flat]
        centre += first
        return centre[self.is_outer]

    def _from_first(self) -> FloatArray:
        """Vertices relative to their ring's first, which keeps the sums below small and exact."""
        return np.subtract(self.xy, np.repeat(self.xy[self.offsets[:-1]], self.counts, axis=0), dtype=np.float64)

    def _moments(self) -> tuple[FloatArray, FloatArray]:
        """Signed area [M] and first moments [M, 2] about each ring's first vertex."""
        if not len(self):
            return np.empty(0), np.empty((0, 2))
        here = self._from_first()
        following = np.empty_like(here)
        following[:-1] = here[1:]
        following[self.offsets[1:] - 1] = 0.0  # the ring closes at its first vertex, the origin here
        cross = here[:, 0] * following[:, 1] - following[:, 0] * here[:, 1]
        starts = self.offsets[:-1]
        return np.add.reduceat(cross, starts) / 2, np.add.reduceat((here + following) * cross[:, None], starts) / 6
