"""The members of an anno2 zip that hold outlines: their vertices, which tile they lie in, which of them are holes."""

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

BLOCK_MEMBERSHIPS = 1 << 17
"""Of outlines in tiles, worked on together."""


class EncodedPolygons:
    """encoded_polygons.bin, of outlines that come block by block: one stream of vertices, in runs of one tile."""

    def __init__(self) -> None:
        self._counts: list[bytes] = []
        self._places: list[bytes] = []
        self._entries: list[NDArray[np.int64]] = []
        self._tiles: list[IntArray] = []
        self._vertices = 0
        self._tile = np.full((1, 2), -1, np.int32)
        self._far = np.zeros(2, np.int32)

    def add(self, xy: IntArray, offsets: NDArray[np.int64]) -> None:
        """xy: int32 [n, 2], n at least 1, none negative. offsets: int64 [m + 1], of the outlines in it."""
        tile = np.concatenate((self._tile, xy // TILE_PX), dtype=np.int32, casting="same_kind")
        entries = np.flatnonzero(np.diff(np.ascontiguousarray(tile).view(np.int64).ravel()))  # x and y as one number
        self._counts.append((2 * np.diff(offsets)).astype("<u4").tobytes())
        self._places.append((xy % TILE_PX).astype(np.uint8).tobytes())
        self._entries.append(self._vertices + entries)
        self._tiles.append(tile[1 + entries])
        self._vertices += len(xy)
        self._tile = tile[-1:]
        self._far = np.maximum(self._far, xy.max(axis=0))

    def blocks(self) -> Iterator[bytes]:
        """Little endian: uint32 tile size, rows, columns; then, each after its length in bytes: uint32 coordinates per
        outline; omega codes of the jumps in x, in y, from run to run; of the vertices per run; x, y within the tile.
        """
        columns, rows = (-(-self._far // TILE_PX)).tolist()
        jumps = np.diff(np.concatenate(self._tiles), axis=0, prepend=0).astype(np.int64)
        runs = np.diff(np.concatenate([*self._entries, [self._vertices]]))
        yield struct.pack("<3I", TILE_PX, rows, columns)
        for parts in (
            self._counts,
            [omega.encode_signed(jumps[:, 0])],
            [omega.encode_signed(jumps[:, 1])],
            [omega.encode(runs)],
            self._places,
        ):
            yield struct.pack("<I", sum(map(len, parts)))
            yield from parts


def tile_index(boxes: Boxes, indices: NDArray[np.int64]) -> Iterator[bytes]:
    """tile_polygons_i.msgpack: {tile row: {tile column: indices of the outlines whose bounding box touches the tile}}.

    indices: int64 [M], the number each box's outline goes by. Rows and columns stand in the order in which the outlines
    come to them, as in Slide Score's own files. In blocks, so that memory is bounded by BLOCK_MEMBERSHIPS or by the
    fullest row of tiles.
    """
    if not len(boxes):
        yield msgpack.packb({})
        return
    low, high = boxes.low // TILE_PX, boxes.high // TILE_PX
    columns, rows = (high - low + 1).astype(np.int64).T
    box, row = ranges(low[:, 1], rows)
    by_row = Tiles.of(np.zeros_like(row), row)  # whole rows, as tiles of a single column
    yield msgpack.Packer().pack_map_header(len(by_row))
    box = box[by_row.members]
    memberships = np.concatenate(([0], np.cumsum(columns[box])))[by_row.offsets]
    first = 0
    while first < len(by_row):
        fitting = np.searchsorted(memberships, memberships[first] + BLOCK_MEMBERSHIPS, side="right") - 1
        last = max(int(fitting), first + 1)
        boxes_here = box[by_row.offsets[first] : by_row.offsets[last]]
        row_here = np.repeat(by_row.row[first:last], np.diff(by_row.offsets[first : last + 1]))
        member, column = ranges(low[boxes_here, 0], columns[boxes_here])
        yield _packed_rows(Tiles.of(column, row_here[member]), indices[boxes_here[member]])
        first = last


def _packed_rows(tiles: Tiles, indices: NDArray[np.int64]) -> bytes:
    """The entries of whole rows of tiles. indices: [T], of the outline behind each member."""
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
    """negative_polygons.json: {outer outline: [its holes]}, in the order of the first holes.

    parent: int32 [M], -1 for an outer outline.
    """
    holes = np.flatnonzero(parent >= 0)
    links: dict[int, list[int]] = {}
    for outer, hole in zip(parent[holes].tolist(), holes.tolist(), strict=True):
        links.setdefault(outer, []).append(hole)
    return json.dumps(links, indent=2).encode()
