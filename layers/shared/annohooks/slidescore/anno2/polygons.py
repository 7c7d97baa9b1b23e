"""The members of an anno2 zip that store outlines: their vertices, their tiles, and their holes."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

import msgpack  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.outlines import IntArray
from annohooks.slidescore.anno2 import omega
from annohooks.slidescore.anno2.packing import typed_arrays
from annohooks.slidescore.anno2.tiles import TILE_PX, Boxes, Tiles, changes, ranges

BLOCK_TILE_ENTRIES = 1 << 17
"""Entries of the tile index that are packed together."""


class EncodedPolygons:
    """Builds encoded_polygons.bin block by block: one stream of vertices, divided into runs within one tile."""

    def __init__(self) -> None:
        self._counts: list[bytes] = []
        self._places: list[bytes] = []
        self._run_starts: list[NDArray[np.int64]] = []
        self._run_tiles: list[IntArray] = []
        self._vertices = 0
        self._tile = np.full((1, 2), -1, np.int32)
        self._farthest = np.zeros(2, np.int32)

    def add(self, xy: IntArray, offsets: NDArray[np.int64]) -> None:
        """xy: int32 [n, 2], n at least 1, not negative. offsets: int64 [m + 1], of the outlines."""
        tile = np.concatenate((self._tile, xy // TILE_PX), dtype=np.int32, casting="same_kind")
        run_starts = np.flatnonzero(np.diff(np.ascontiguousarray(tile).view(np.int64).ravel()))  # x and y as one number
        self._counts.append((2 * np.diff(offsets)).astype("<u4").tobytes())
        self._places.append((xy % TILE_PX).astype(np.uint8).tobytes())
        self._run_starts.append(self._vertices + run_starts)
        self._run_tiles.append(tile[1 + run_starts])
        self._vertices += len(xy)
        self._tile = tile[-1:]
        self._farthest = np.maximum(self._farthest, xy.max(axis=0))

    def blocks(self) -> Iterator[bytes]:
        """The content, little endian: uint32 tile size, rows, columns; then five parts, each after its length in bytes:

        uint32 coordinates per outline; omega codes of the steps in x from run to run, in tiles; of the steps in y; of
        the vertices per run; uint8 x, y of the vertices within their tile.
        """
        columns, rows = (-(-self._farthest // TILE_PX)).tolist()
        steps = np.diff(np.concatenate(self._run_tiles), axis=0, prepend=0).astype(np.int64)
        runs = np.diff(np.concatenate([*self._run_starts, [self._vertices]]))
        yield struct.pack("<3I", TILE_PX, rows, columns)
        for parts in (
            self._counts,
            [omega.encode_signed(steps[:, 0])],
            [omega.encode_signed(steps[:, 1])],
            [omega.encode(runs)],
            self._places,
        ):
            yield struct.pack("<I", sum(map(len, parts)))
            yield from parts


def tile_index(boxes: Boxes, indices: NDArray[np.int64]) -> Iterator[bytes]:
    """tile_polygons_i.msgpack: {tile row: {tile column: indices of the outlines whose bounding box touches the tile}}.

    indices: int64 [M], the index of each box's outline. Rows and columns are in the order of their first outline, as in
    Slide Score's own files. Yields blocks, so that the memory is limited by BLOCK_TILE_ENTRIES, or by the row of tiles
    with the most entries.
    """
    if not len(boxes):
        yield msgpack.packb({})
        return
    low, high = boxes.low // TILE_PX, boxes.high // TILE_PX
    columns, rows = (high - low + 1).astype(np.int64).T
    box, row = ranges(low[:, 1], rows)
    by_row = Tiles.of(np.zeros_like(row), row)  # a whole row is a tile of a single column here
    yield msgpack.Packer().pack_map_header(len(by_row))
    box = box[by_row.members]
    entries = np.concatenate(([0], np.cumsum(columns[box])))[by_row.offsets]
    first = 0
    while first < len(by_row):
        fits_until = np.searchsorted(entries, entries[first] + BLOCK_TILE_ENTRIES, side="right") - 1
        last = max(int(fits_until), first + 1)
        boxes_here = box[by_row.offsets[first] : by_row.offsets[last]]
        row_here = np.repeat(by_row.row[first:last], np.diff(by_row.offsets[first : last + 1]))
        member, column = ranges(low[boxes_here, 0], columns[boxes_here])
        yield _packed_rows(Tiles.of(column, row_here[member]), indices[boxes_here[member]])
        first = last


def _packed_rows(tiles: Tiles, indices: NDArray[np.int64]) -> bytes:
    """The entries of whole rows of tiles. indices: [T], the outline of each member."""
    entries, ends = typed_arrays(tiles.column, indices[tiles.members].astype("<u4"), np.diff(tiles.offsets))
    first = np.flatnonzero(changes(tiles.row))
    columns = np.diff(first, append=len(tiles))
    row_ends = ends[first + columns - 1].tolist()
    parts = []
    for row, count, begin, end in zip(
        tiles.row[first].tolist(), columns.tolist(), [0, *row_ends[:-1]], row_ends, strict=True
    ):
        parts += [msgpack.packb(row), msgpack.Packer().pack_map_header(count), entries[begin:end]]
    return b"".join(parts)


def negative_polygons(parent: IntArray) -> bytes:
    """negative_polygons.json: {outer outline: [its holes]}, in the order of the holes.

    parent: int32 [M], -1 for an outer outline.
    """
    holes = np.flatnonzero(parent >= 0)
    links: dict[int, list[int]] = {}
    for outer, hole in zip(parent[holes].tolist(), holes.tolist(), strict=True):
        links.setdefault(outer, []).append(hole)
    return json.dumps(links, indent=2).encode()
