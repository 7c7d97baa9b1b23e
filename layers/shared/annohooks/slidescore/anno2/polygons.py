"""The members of an anno2 zip that hold outlines: their vertices, which tile they lie in, which of them are holes."""

from __future__ import annotations

import json
import struct

import msgpack  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.outlines import IntArray
from annohooks.slidescore.anno2 import omega
from annohooks.slidescore.anno2.tiles import Boxes

TILE_PX = 256


def encoded_polygons(xy: IntArray, offsets: NDArray[np.int64]) -> bytes:
    """encoded_polygons.bin: all outlines as one stream of vertices, in runs of one tile.

    xy: int32 [N, 2], none negative. offsets: int64 [M + 1]; outline m is xy[offsets[m]:offsets[m + 1]].
    Little endian: uint32 tile size, rows, columns; then, each after its length in bytes: uint32 coordinates per
    outline; omega codes of the jumps in x, in y, from run to run; of the vertices per run; x, y within the tile.
    """
    tile = xy // TILE_PX
    enters = np.ones(len(xy), np.bool_)
    enters[1:] = (tile[1:, 0] != tile[:-1, 0]) | (tile[1:, 1] != tile[:-1, 1])
    entry = np.flatnonzero(enters)
    jumps = np.diff(tile[entry], axis=0, prepend=0).astype(np.int64)
    runs = np.diff(entry, append=len(xy))
    columns, rows = (-(-int(xy[:, axis].max()) // TILE_PX) for axis in (0, 1))
    coordinates = (2 * np.diff(offsets)).astype("<u4").tobytes()
    parts = (
        coordinates,
        omega.encode_signed(jumps[:, 0]),
        omega.encode_signed(jumps[:, 1]),
        omega.encode(runs),
        (xy % TILE_PX).astype(np.uint8).tobytes(),
    )
    return struct.pack("<3I", TILE_PX, rows, columns) + b"".join(struct.pack("<I", len(part)) + part for part in parts)


def tile_index(boxes: Boxes, indices: NDArray[np.int64]) -> bytes:
    """tile_polygons_i.msgpack: {tile row: {tile column: indices of the outlines whose bounding box touches the tile}}.

    indices: int64 [M], the number each box's outline goes by. Rows and columns stand in the order in which the outlines
    come to them, as in Slide Score's own files.
    """
    box, column, row = boxes.tiles(TILE_PX)
    tile = row.astype(np.int64) << 32 | column
    by_tile = np.argsort(tile, kind="stable")
    members = indices[box[by_tile]].astype("<u4").tobytes()
    begin = np.flatnonzero(np.diff(tile[by_tile], prepend=-1))
    end = np.append(begin[1:], len(box))
    earliest = by_tile[begin]
    index: dict[int, dict[int, dict[str, object]]] = {}
    for nth in np.argsort(earliest):
        first, after = int(begin[nth]), int(end[nth])
        index.setdefault(int(row[earliest[nth]]), {})[int(column[earliest[nth]])] = {
            "isTypedArray": True,
            "bytes": members[4 * first : 4 * after],
            "type": "uint32",
            "len": after - first,
        }
    packed: bytes = msgpack.packb(index)
    return packed


def negative_polygons(parent: IntArray) -> bytes:
    """negative_polygons.json: {outer outline: [its holes]}, in the order of the first holes.

    parent: int32 [M], -1 for an outer outline.
    """
    holes = np.flatnonzero(parent >= 0)
    links: dict[int, list[int]] = {}
    for outer, hole in zip(parent[holes].tolist(), holes.tolist(), strict=True):
        links.setdefault(outer, []).append(hole)
    return json.dumps(links, indent=2).encode()
