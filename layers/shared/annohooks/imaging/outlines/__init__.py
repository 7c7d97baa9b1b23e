"""Outlines as arrays: three arrays hold any number of closed rings, so that one operation works on all of them."""

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
    """M closed rings with N vertices in total; each ring has at least one.

    xy: int32 [N, 2], x then y, in pixels of the picture or slide that the rings belong to.
    offsets: int64 [M + 1]; ring m is xy[offsets[m]:offsets[m + 1]], its first vertex not repeated at the end.
    parent: int32 [M]; -1 for an outer ring, else the index of the ring this hole lies in.
    """

    xy: IntArray
    offsets: NDArray[np.int64]
    parent: IntArray

    @classmethod
    def empty(cls) -> Outlines:
        """No objects."""
        return cls(np.empty((0, 2), np.int32), np.zeros(1, np.int64), np.empty(0, np.int32))

    @classmethod
    def from_rings(cls, rings: Sequence[NDArray[Any] | Sequence[Any]], parent: ArrayLike | None = None) -> Outlines:
        """rings: M arrays, all [k, 2] or all [k, 1, 2] (k may differ), rounded to int32. parent: [M]; without it, all
        rings are outer rings."""
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
        """The rings of all parts, in order. Parents are renumbered."""
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
        """The number of vertices of each ring, int64 [M]."""
        return np.diff(self.offsets)

    @property
    def is_outer(self) -> BoolArray:
        """Whether each outline is an outer one, and not a hole: bool [M]."""
        return self.parent < 0

    def ring(self, index: int) -> IntArray:
        """Ring number `index`, a view [k, 2]."""
        return self.xy[self.offsets[index] : self.offsets[index + 1]]

    def take(self, keep: BoolArray) -> Outlines:
        """The rings where keep, bool [M], is true. A hole stays only if its outer ring stays."""
        return self.pick(np.flatnonzero(keep & (self.is_outer | keep[self.parent])))

    def pick(self, order: NDArray[np.int64]) -> Outlines:
        """The rings with these indices, in this order. The indices of a hole and of its outer ring go together."""
        counts = self.counts[order]
        offsets = np.zeros(len(order) + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        vertices = np.repeat(self.offsets[order] - offsets[:-1], counts)
        vertices += np.arange(len(vertices))
        new_index = np.zeros(len(self), np.int32)
        new_index[order] = np.arange(len(order), dtype=np.int32)
        parent = self.parent[order]
        return Outlines(
            self.xy.take(vertices, axis=0),
            offsets,
            np.where(parent < 0, np.int32(-1), new_index.take(parent, mode="wrap")),
        )

    def clipped(self, width: int, height: int) -> Outlines:
        """The outlines with each vertex moved into [0, width] x [0, height]."""
        xy = np.empty_like(self.xy)
        for axis, size in enumerate((width, height)):
            np.clip(self.xy[:, axis], 0, size, out=xy[:, axis])
        return Outlines(xy, self.offsets, self.parent)

    def areas(self) -> FloatArray:
        """The area that each ring encloses, holes included, float64 [M], square pixels. Source: shoelace formula."""
        areas = [np.empty(0)]
        for rings in self._blocks():
            x, y, next_x, next_y = rings._edges()
            x *= next_y
            next_x *= y
            x -= next_x
            areas.append(np.abs(np.add.reduceat(x, rings.offsets[:-1])) / 2)
        return np.concatenate(areas)

    def centroids(self) -> FloatArray:
        """The area centroid of each outer ring without its holes, float64 [number of outer rings, 2], in ring order.

        For a ring without area (a point, a line) it is the mean of the vertices.
        Source: Bourke 1988, centroid of a polygon; composition by area for holes.
        """
        area, moment = self._moments()
        first = self.xy[self.offsets[:-1]]
        holes = ~self.is_outer
        if holes.any():
            outer = self.parent[holes]
            holes_moment = moment[holes] + area[holes, None] * (first[holes] - first[outer])
            np.subtract.at(area, outer, area[holes])
            np.subtract.at(moment, outer, holes_moment)
        flat = area <= 0
        centre = np.divide(moment, area[:, None], out=np.zeros_like(moment), where=~flat[:, None])
        if flat.any():
            flat_rings = Outlines(self.xy, self.offsets, np.full(len(self), -1, np.int32)).take(flat)
            from_first = np.stack(flat_rings._edges()[:2], axis=1)
            centre[flat] = np.add.reduceat(from_first, flat_rings.offsets[:-1]) / flat_rings.counts[:, None]
        centre += first
        return centre[self.is_outer]

    def _blocks(self) -> Iterator[Outlines]:
        """The rings in order, about a million vertices at a time, which bounds the memory of temporary arrays."""
        start = 0
        while start < len(self):
            last_vertex = self.offsets[start] + _BLOCK_VERTICES
            end = max(start + 1, int(np.searchsorted(self.offsets, last_vertex, side="right")) - 1)
            vertices = slice(self.offsets[start], self.offsets[end])
            yield Outlines(self.xy[vertices], self.offsets[start : end + 1] - vertices.start, self.parent[start:end])
            start = end

    def _edges(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """x, y, next x and next y: of each vertex and of the one after it, float64 [N] each.

        They are relative to the ring's first vertex, which keeps sums exact.
        """
        starts, ends = self.offsets[:-1], self.offsets[1:] - 1
        edges = []
        for axis in (0, 1):
            position = self.xy[:, axis]
            here = np.subtract(position, np.repeat(position[starts], self.counts), dtype=np.float64)
            after = np.empty_like(here)
            after[:-1] = here[1:]
            after[ends] = 0.0
            edges += [here, after]
        x, next_x, y, next_y = edges
        return x, y, next_x, next_y

    def _moments(self) -> tuple[FloatArray, FloatArray]:
        """Area [M] and first moments [M, 2] about each ring's first vertex. The ring's direction does not matter."""
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


def next_vertices(xy: IntArray, offsets: NDArray[np.int64]) -> IntArray:
    """The vertex that follows each vertex in its ring, int32 [N, 2]."""
    after = np.empty_like(xy)
    after[:-1] = xy[1:]
    after[offsets[1:] - 1] = xy[offsets[:-1]]
    return after
