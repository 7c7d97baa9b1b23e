"""Outlines as arrays: any number of closed rings in three arrays, so that all of them are worked on at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

IntArray = NDArray[np.int32]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_BLOCK_VERTICES = 1 << 20


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
    def from_rings(cls, rings: Sequence[NDArray[Any] | Sequence[Any]], parent: ArrayLike | None = None) -> Outlines:
        """rings: M arrays [k, 2], or all [k, 1, 2] (k may differ), rounded to int32. parent: [M], all outer rings when
        left out."""
        if not len(rings):
            return cls.empty()
        offsets = np.zeros(len(rings) + 1, np.int64)
        np.cumsum([len(ring) for ring in rings], out=offsets[1:])
        xy = np.concatenate(rings).reshape(-1, 2)
        if xy.dtype.kind == "f":
            xy = np.rint(xy)
        parents = np.full(len(rings), -1, np.int32) if parent is None else np.asarray(parent, np.int32)
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
        return self.pick(np.flatnonzero(keep & (self.is_outer | keep[self.parent])))

    def pick(self, order: NDArray[np.int64]) -> Outlines:
        """The rings of these numbers, in this order; with every hole, its outer ring."""
        counts = self.counts[order]
        offsets = np.zeros(len(order) + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        vertices = np.repeat(self.offsets[order] - offsets[:-1], counts)
        vertices += np.arange(len(vertices))
        number = np.zeros(len(self), np.int32)
        number[order] = np.arange(len(order), dtype=np.int32)
        parent = self.parent[order]
        return Outlines(
            self.xy.take(vertices, axis=0),
            offsets,
            np.where(parent < 0, np.int32(-1), number.take(parent, mode="wrap")),
        )

    def clipped(self, width: int, height: int) -> Outlines:
        """Every vertex moved into [0, width] x [0, height]."""
        xy = np.empty_like(self.xy)
        for axis, most in enumerate((width, height)):
            np.clip(self.xy[:, axis], 0, most, out=xy[:, axis])
        return Outlines(xy, self.offsets, self.parent)

    def areas(self) -> FloatArray:
        """Area each ring encloses, float64 [M], square pixels, holes not taken off. Source: the shoelace formula."""
        areas = [np.empty(0)]
        for rings in self._blocks():
            x, y, next_x, next_y = rings._edges()
            x *= next_y
            next_x *= y
            x -= next_x
            areas.append(np.abs(np.add.reduceat(x, rings.offsets[:-1])) / 2)
        return np.concatenate(areas)

    def centroids(self) -> FloatArray:
        """Area centroid of each outer ring less its holes, float64 [number of outer rings, 2], in ring order.

        A ring without area (a point, a line) has the mean of its vertices.
        Source: Bourke 1988, centroid of a polygon; composition by area for holes.
        """
        area, moment = self._moments()
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
            lone = Outlines(self.xy, self.offsets, np.full(len(self), -1, np.int32)).take(flat)
            from_first = np.stack(lone._edges()[:2], axis=1)
            centre[flat] = np.add.reduceat(from_first, lone.offsets[:-1]) / lone.counts[:, None]
        centre += first
        return centre[self.is_outer]

    def _blocks(self) -> Iterator[Outlines]:
        """The rings in order, about a million vertices at a time, which bounds what is needed beside them."""
        start = 0
        while start < len(self):
            most = self.offsets[start] + _BLOCK_VERTICES
            end = max(start + 1, int(np.searchsorted(self.offsets, most, side="right")) - 1)
            vertices = slice(self.offsets[start], self.offsets[end])
            yield Outlines(self.xy[vertices], self.offsets[start : end + 1] - vertices.start, self.parent[start:end])
            start = end

    def _edges(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """x and y of each vertex and of the one after, relative to their ring's first, which keeps sums exact."""
        starts, ends = self.offsets[:-1], self.offsets[1:] - 1
        found = []
        for axis in (0, 1):
            place = self.xy[:, axis]
            here = np.subtract(place, np.repeat(place[starts], self.counts), dtype=np.float64)
            after = np.empty_like(here)
            after[:-1] = here[1:]
            after[ends] = 0.0
            found += [here, after]
        x, next_x, y, next_y = found
        return x, y, next_x, next_y

    def _moments(self) -> tuple[FloatArray, FloatArray]:
        """Area [M] and first moments [M, 2] about each ring's first vertex, whichever way the ring turns."""
        area, moment = np.empty(len(self)), np.empty((len(self), 2))
        done = 0
        for rings in self._blocks():
            x, y, next_x, next_y = rings._edges()
            cross = x * next_y
            cross -= next_x * y
            block, starts = slice(done, done + len(rings)), rings.offsets[:-1]
            area[block] = np.add.reduceat(cross, starts) / 2
            for axis, (here, after) in enumerate(((x, next_x), (y, next_y))):
                here += after
                here *= cross
                moment[block, axis] = np.add.reduceat(here, starts) / 6
            done += len(rings)
        sign = np.where(area < 0, -1.0, 1.0)
        return area * sign, moment * sign[:, None]


def following(xy: IntArray, offsets: NDArray[np.int64]) -> IntArray:
    """The vertex after each vertex in its ring, int32 [N, 2]."""
    following = np.empty_like(xy)
    following[:-1] = xy[1:]
    following[offsets[1:] - 1] = xy[offsets[:-1]]
    return following
