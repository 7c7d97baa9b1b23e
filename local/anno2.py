"""What a viewer sees in an anno2 zip: a plain decoder, written to be read. It shares no code with the encoder."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import brotli
import numpy as np
from numpy.typing import NDArray

TILE_PX = 256


@dataclass(frozen=True)
class Decoded:
    """An annotation.

    outlines: int64 [k, 2] each, holes among them. negatives: index of an outline -> indices of its holes.
    points: int64 [K, 2]. metadata: the user's own.
    """

    type: str
    metadata: dict[str, object]
    outlines: list[NDArray[np.int64]]
    negatives: dict[int, list[int]]
    points: NDArray[np.int64]


def decode(zip_bytes: bytes) -> Decoded:
    """Raises ValueError for what is not a zip of outlines, or of points as JSON, that agrees with itself."""
    try:
        with zipfile.ZipFile(io.BytesIO(zip_bytes)) as zipped:
            members = {name: zipped.read(name) for name in zipped.namelist()}
        return _decode(members)
    except KeyError as missing:
        raise ValueError(f"not an anno2 zip: {missing} is missing") from None
    except (zipfile.BadZipFile, brotli.error) as broken:
        raise ValueError(f"not an anno2 zip: {broken}") from None


def _decode(members: dict[str, bytes]) -> Decoded:
    system = json.loads(members["system_metadata.json"])
    metadata = json.loads(members["user_metadata.json"])
    outlines: list[NDArray[np.int64]] = []
    negatives: dict[int, list[int]] = {}
    points: list[tuple[int, int]] = []
    if system["type"] == "polygons":
        outlines = _outlines(brotli.decompress(members["polygon_container/encoded_polygons.bin.br"]))
        links = json.loads(members["polygon_container/negative_polygons.json"])
        negatives = {int(positive): holes for positive, holes in links.items()}
        mentioned = set(negatives).union(*negatives.values())
        if not mentioned <= set(range(len(outlines))):
            raise ValueError("negative_polygons.json names outlines that are not there")
    elif system["type"] == "points":
        points = [(point["x"], point["y"]) for point in json.loads(brotli.decompress(members["anno1_points.json.br"]))]
    else:
        raise ValueError(f"cannot show anno2 of type {system['type']}")
    if system["numItems"] != len(outlines) + len(points):
        raise ValueError(f"{system['numItems']} items announced, {len(outlines) + len(points)} found")
    return Decoded(system["type"], metadata, outlines, negatives, np.array(points, np.int64).reshape(-1, 2))


def _outlines(encoded: bytes) -> list[NDArray[np.int64]]:
    """encoded_polygons.bin: header, coordinates per outline, jumps in x, in y, vertices per run, places in tiles."""
    stream = io.BytesIO(encoded)
    tile_px, _rows, _columns = (_uint32(stream) for _ in range(3))
    if tile_px != TILE_PX:
        raise ValueError(f"tiles of {tile_px} px")
    lengths, x_jumps, y_jumps, runs, places = (stream.read(_uint32(stream)) for _ in range(5))

    coordinates = np.frombuffer(lengths, "<u4").astype(np.int64)
    inside = np.frombuffer(places, np.uint8).astype(np.int64).reshape(-1, 2)
    if coordinates.sum() != 2 * len(inside):
        raise ValueError("the outlines' lengths do not add up to the vertices")

    entries = zip(omega(x_jumps), omega(y_jumps), omega(runs), strict=False)  # padding decodes as further ones
    vertices = list(islice(_vertices(entries, inside), len(inside)))
    if len(vertices) != len(inside):
        raise ValueError("the runs end before the vertices do")
    ends = np.cumsum(coordinates // 2)
    return np.split(np.array(vertices, np.int64).reshape(-1, 2), ends[:-1])


def _vertices(entries: Iterator[tuple[int, int, int]], inside: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """The vertices in order, from (jump in x, jump in y, vertices in that tile) and their places within tiles."""
    tile = np.zeros(2, np.int64)
    place = iter(inside)
    for x_jump, y_jump, run in entries:
        tile = tile + np.array([signed(x_jump), signed(y_jump)])
        for within in islice(place, run):
            yield tile * TILE_PX + within


def omega(packed: bytes) -> Iterator[int]:
    """The numbers behind Elias omega codes. Source: Elias 1975."""
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
    """1, 2, 3, 4, 5 stand for 0, 1, -1, 2, -2."""
    return number // 2 if number % 2 == 0 else -(number // 2)


def _uint32(stream: io.BytesIO) -> int:
    return int.from_bytes(stream.read(4), "little")
