"""A simple decoder of anno2 zips, as a viewer shows them. It shares no code with the encoder."""

from __future__ import annotations

import io
import json
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import brotli
import numpy as np
from numpy.typing import NDArray

TILE_PX = 256


@dataclass(frozen=True)
class Heatmap:
    """levels: uint8 [rows, columns]. x, y: the first cell's corner on the slide. cell_px: slide pixels per cell."""

    levels: NDArray[np.uint8]
    x: int
    y: int
    cell_px: int


@dataclass(frozen=True)
class Decoded:
    """An annotation, of type polygons, points, mask or heatmap.

    metadata: of the user. outlines: int64 [k, 2] each, holes included. negatives: index of an outline -> indices of its
    holes. labels: polygon_i is the index of the outline. points: int64 [K, 2]; points from pictures have no duplicates,
    and the order of the pictures. item_metadata: by the index of the outline, or by "x,y", as text.
    """

    type: str
    metadata: dict[str, object]
    outlines: list[NDArray[np.int64]] = field(default_factory=list)
    negatives: dict[int, list[int]] = field(default_factory=dict)
    labels: list[dict[str, object]] = field(default_factory=list)
    points: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), np.int64))
    heatmap: Heatmap | None = None
    item_metadata: dict[str, object] = field(default_factory=dict)


def decode(zip_bytes: bytes) -> Decoded:
    """Decodes the shown parts of an anno2 zip; ignores tile indices, density tables and coarser outlines.

    Raises ValueError if the content is not an anno2 zip, or the shown parts contradict each other.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(zip_bytes)) as zipped:
            members = {name: zipped.read(name) for name in zipped.namelist()}
        return _decode(members)
    except KeyError as missing:
        raise ValueError(f"not an anno2 zip: {missing} is missing") from None
    except (
        zipfile.BadZipFile,
        brotli.error,
        tarfile.TarError,
        EOFError,
        OverflowError,
        zlib.error,
        struct.error,
    ) as broken:
        raise ValueError(f"not an anno2 zip: {broken}") from None
    except (AttributeError, TypeError) as broken:
        raise ValueError(f"not an anno2 zip: JSON of another shape: {broken}") from broken


def _decode(members: dict[str, bytes]) -> Decoded:
    system = json.loads(members["system_metadata.json"])
    kind, announced = system["type"], system["numItems"]
    item_metadata = {}
    if "items_metadata.json.br" in members:
        item_metadata = json.loads(brotli.decompress(members["items_metadata.json.br"]))
    decoded = _read(kind, members, json.loads(members["user_metadata.json"]), item_metadata)
    count = len(decoded.outlines) + len(decoded.points) + (decoded.heatmap.levels.size if decoded.heatmap else 0)
    in_pictures = "masks.tar.gz" in members  # pictures lose duplicates
    if announced < count or (announced > count and not in_pictures):
        raise ValueError(f"{announced} items announced, {count} found")
    return decoded


def _read(kind: str, members: dict[str, bytes], metadata: dict[str, object], items: dict[str, object]) -> Decoded:
    if kind == "polygons":
        outlines = _outlines(brotli.decompress(members["polygon_container/encoded_polygons.bin.br"]))
        links = json.loads(members["polygon_container/negative_polygons.json"])
        negatives = {int(positive): holes for positive, holes in links.items()}
        mentioned = set(negatives).union(*negatives.values())
        if not mentioned <= set(range(len(outlines))):
            raise ValueError("negative_polygons.json names outlines that do not exist")
        labels = json.loads(members.get("labels.json", b"[]"))
        if not {label["polygon_i"] for label in labels} <= set(range(len(outlines))):
            raise ValueError("labels.json names outlines that do not exist")
        return Decoded(kind, metadata, outlines, negatives, labels, item_metadata=items)
    if kind in ("points", "mask"):
        if "anno1_points.json.br" in members:
            listed = json.loads(brotli.decompress(members["anno1_points.json.br"]))
            points = np.array([(point["x"], point["y"]) for point in listed], np.int64).reshape(-1, 2)
        else:
            points = _white_pixels(members["masks.tar.gz"])
        return Decoded(kind, metadata, points=points, item_metadata=items)
    if kind == "heatmap":
        placed = json.loads(members["heatmap_metadata.json"])
        levels = png(members["heatmap.png"])
        return Decoded(kind, metadata, heatmap=Heatmap(levels, placed["x"], placed["y"], placed["sizePerPixel"]))
    raise ValueError(f"cannot show anno2 of type {kind}")


def _white_pixels(masks: bytes) -> NDArray[np.int64]:
    """The points in masks.tar.gz: pictures tile_x{column}_y{row}.png with a white pixel for each point."""
    points = [np.empty((0, 2), np.int64)]
    with tarfile.open(fileobj=io.BytesIO(masks), mode="r:gz") as tar:
        for entry in tar:
            name, content = re.fullmatch(r"tile_x(\d+)_y(\d+)\.png", entry.name), tar.extractfile(entry)
            if name is None or content is None:
                raise ValueError(f"masks.tar.gz holds {entry.name!r}")
            pixels = png(content.read())
            if pixels.shape != (TILE_PX, TILE_PX):
                raise ValueError(f"{entry.name} is not a tile of {TILE_PX} px")
            column, row = int(name[1]), int(name[2])
            y, x = np.nonzero(pixels)
            points.append(np.stack([column * TILE_PX + x, row * TILE_PX + y], axis=1))
    return np.concatenate(points)


def png(content: bytes) -> NDArray[np.uint8]:
    """The pixels of a grey PNG of 1 or 8 bits: uint8 [height, width], 0 and 1, or 0 to 255.

    Reads only pictures as writers of anno2 make them: no interlacing, no filtered rows. Source: W3C PNG.
    """
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        raise ValueError("not a PNG")
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        name, chunk = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        if struct.unpack_from(">I", content, at + 8 + length) != (zlib.crc32(name + chunk),):
            raise ValueError(f"a broken PNG: checksum of {name!r}")
        chunks[name] = chunks.get(name, b"") + chunk
        at += 12 + length
    width, height, depth, *rest = struct.unpack(">2I5B", chunks[b"IHDR"])
    if depth not in (1, 8) or any(rest):
        raise ValueError("a PNG that is not plain grey of 1 or 8 bits")
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    if rows.shape[1] != 1 + (width * depth + 7) // 8 or rows[:, 0].any():
        raise ValueError("a PNG whose rows are filtered or of another length")
    return np.unpackbits(rows[:, 1:], axis=1)[:, :width] if depth == 1 else rows[:, 1:]


def _outlines(encoded: bytes) -> list[NDArray[np.int64]]:
    """The outlines in encoded_polygons.bin.

    Its sections: header, coordinates per outline, tile jumps in x and in y, vertices per run, positions in tiles.
    """
    stream = io.BytesIO(encoded)
    tile_px, _rows, _columns = (_uint32(stream) for _ in range(3))
    if tile_px != TILE_PX:
        raise ValueError(f"tiles of {tile_px} px")
    lengths, x_jumps, y_jumps, runs, positions_in_tiles = (_exactly(stream, _uint32(stream)) for _ in range(5))
    if stream.read(1):
        raise ValueError("encoded_polygons.bin has bytes after its last section")

    coordinates = np.frombuffer(lengths, "<u4").astype(np.int64)
    if not len(coordinates):
        raise ValueError("encoded_polygons.bin holds no outlines")
    positions = np.frombuffer(positions_in_tiles, np.uint8).astype(np.int64).reshape(-1, 2)
    if coordinates.sum() != 2 * len(positions):
        raise ValueError("the outlines' lengths do not add up to the vertices")

    entries = zip(omega(x_jumps), omega(y_jumps), omega(runs), strict=False)  # the padding decodes as further entries
    vertices = list(islice(_vertices(entries, positions), len(positions)))
    if len(vertices) != len(positions):
        raise ValueError("the runs end before the vertices do")
    ends = np.cumsum(coordinates // 2)
    return np.split(np.array(vertices, np.int64).reshape(-1, 2), ends[:-1])


def _vertices(entries: Iterator[tuple[int, int, int]], positions: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """The vertices in order. entries: jump in x, jump in y, vertices in that tile. positions: in the tiles."""
    tile = np.zeros(2, np.int64)
    position = iter(positions)
    for x_jump, y_jump, run in entries:
        tile = tile + np.array([signed(x_jump), signed(y_jump)])
        for in_tile in islice(position, run):
            yield tile * TILE_PX + in_tile


def omega(packed: bytes) -> Iterator[int]:
    """Decodes Elias omega codes. Source: Elias 1975."""
    bits = "".join(f"{byte:08b}" for byte in packed)
    at = 0
    while at < len(bits):
        number = 1
        while at < len(bits) and bits[at] == "1":
            group = bits[at : at + number + 1]
            at += number + 1
            number = int(group, 2)
        at += 1
        yield number


def signed(number: int) -> int:
    """Decodes a signed number: 1, 2, 3, 4, 5 are 0, 1, -1, 2, -2."""
    return number // 2 if number % 2 == 0 else -(number // 2)


def _uint32(stream: io.BytesIO) -> int:
    return int.from_bytes(_exactly(stream, 4), "little")


def _exactly(stream: io.BytesIO, count: int) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise ValueError("encoded_polygons.bin ends too early")
    return content
