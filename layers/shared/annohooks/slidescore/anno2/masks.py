"""The member of an anno2 zip that stores points as pictures, when they are many and dense."""

from __future__ import annotations

import struct
import tarfile
import zlib
from collections.abc import Iterator

import numpy as np

from annohooks.imaging.outlines import IntArray
from annohooks.slidescore.anno2.png import deflated, grey_png
from annohooks.slidescore.anno2.tiles import TILE_PX, Tiles

BLOCK_TILES = 64
ROW_BYTES = 1 + TILE_PX // 8
"""Bytes in an uncompressed row of a tile: the filter type 0, and a bit per pixel."""
TILE_BYTES = TILE_PX * ROW_BYTES
GZIP_LEVEL = 1
"""Low, because only names and padding are not compressed yet."""


def masks_tar_gz(xy: IntArray) -> bytes:
    """masks.tar.gz: a picture tile_x{column}_y{row}.png with white points for each tile that has points.

    xy: int32 [K, 2], K at least 1, not negative. Duplicates become one pixel. The tiles are in the order of `Tiles`.
    """
    gzip = zlib.compressobj(GZIP_LEVEL, wbits=16 + zlib.MAX_WBITS)  # its header has no time stamp
    parts = [gzip.compress(block) for block in _tar(xy)]
    parts.append(gzip.flush())
    return b"".join(parts)


def _tar(xy: IntArray) -> Iterator[bytes]:
    size = 0
    for name, picture in _pictures(xy, Tiles.of(*(xy // TILE_PX).T)):
        block = tar_header(name, len(picture)) + picture + bytes(-len(picture) % tarfile.BLOCKSIZE)
        size += len(block)
        yield block
    end = 2 * tarfile.BLOCKSIZE
    yield bytes(end + -(size + end) % tarfile.RECORDSIZE)


def _pictures(xy: IntArray, tiles: Tiles) -> Iterator[tuple[str, bytes]]:
    """The name and the PNG of each tile."""
    for first in range(0, len(tiles), BLOCK_TILES):
        last = min(first + BLOCK_TILES, len(tiles))
        begin, end = tiles.offsets[first], tiles.offsets[last]
        counts = np.diff(tiles.offsets[first : last + 1])
        x, y = xy[tiles.members[begin:end]].T % TILE_PX
        at = np.repeat(np.arange(last - first) * TILE_BYTES, counts) + y * ROW_BYTES + 1 + x // 8
        rows = np.zeros((last - first) * TILE_BYTES, np.uint8)
        np.bitwise_or.at(rows, at, (128 >> x % 8).astype(np.uint8))
        names = zip(tiles.column[first:last].tolist(), tiles.row[first:last].tolist(), strict=True)
        for (column, row), tile in zip(names, rows.reshape(-1, TILE_BYTES), strict=True):
            yield f"tile_x{column}_y{row}.png", grey_png(TILE_PX, TILE_PX, 1, deflated(tile))


def tar_header(name: str, size: int) -> bytes:
    """The tar header of a file, with a name of up to 100 characters. Six times as fast as `tarfile`, with equal bytes.

    Source: POSIX.1-1988, ustar.
    """
    before = struct.pack(
        "100s8s8s8s12s12s", name.encode(), b"0000644", b"0000000", b"0000000", b"%011o" % size, b"0" * 11
    )
    after = struct.pack("c100s8s247x", b"0", b"", b"ustar\x0000")
    checksum = sum(before) + sum(after) + 8 * ord(" ")
    return before + b"%06o\0 " % checksum + after
