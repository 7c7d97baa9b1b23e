"""The plain decoder, which judges the zips of the encoder, refuses invalid ones."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile

import brotli
import numpy as np
import pytest
from anno2_zips import SQUARE, encode, encode_heatmap, encode_points, member

from local.anno2 import decode


def rewritten(zipped, name, content):
    """The zip with one member replaced or removed."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(zipped)) as old, zipfile.ZipFile(changed, "w") as new:
        for entry in old.namelist():
            if entry != name:
                new.writestr(entry, old.read(entry))
            elif content is not None:
                new.writestr(entry, brotli.compress(content) if entry.endswith(".br") else content)
    return changed.getvalue()


ENCODED = "polygon_container/encoded_polygons.bin.br"
NEGATIVE = "polygon_container/negative_polygons.json"
ENCODED_SQUARE = member(encode(SQUARE), ENCODED)
STEP_NOWHERE, STEP_FAR = struct.pack("<I", 1) + b"\0", struct.pack("<I", 50) + 50 * b"\xff"


HEADER = struct.pack("<5I", 256, 1, 1, 4, 4) + bytes(12) + struct.pack("<I", 2) + b"ab"


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        (ENCODED, None, "is missing"),
        ("system_metadata.json", b'{"type": "polygons", "numItems": 2}', "2 items announced, 1 found"),
        ("system_metadata.json", b'{"type": "binary-heatmap", "numItems": 1}', "type binary-heatmap"),
        ("system_metadata.json", b"[]", "another shape"),
        (NEGATIVE, b'{"0": [1]}', "do not exist"),
        (NEGATIVE, b'{"a": [0]}', "invalid literal"),
        ("labels.json", b'[{"polygon_i": 1}]', "do not exist"),
        (ENCODED, struct.pack("<3I", 512, 1, 1), "tiles of 512 px"),
        (ENCODED, struct.pack("<8I", 256, 1, 1, 0, 0, 0, 0, 0), "holds no outlines"),
        (ENCODED, ENCODED_SQUARE + b"\0", "bytes after"),
        *[(ENCODED, ENCODED_SQUARE[:length], "ends too early") for length in range(0, len(ENCODED_SQUARE), 5)],
        (ENCODED, ENCODED_SQUARE.replace(STEP_NOWHERE, STEP_FAR, 1), "too large"),
        (ENCODED, HEADER, "do not add up"),
    ],
)
def test_an_inconsistent_zip_is_refused(name, content, complaint):
    with pytest.raises(ValueError, match=complaint):
        decode(rewritten(encode(SQUARE, labels=[(0, {})]), name, content))


@pytest.mark.parametrize("content", [b"", b"not a zip", encode(SQUARE)[:-40]])
def test_content_that_is_no_zip_is_refused(content):
    with pytest.raises(ValueError, match="not an anno2 zip"):
        decode(content)


def masks(content, name="tile_x0_y0.png"):
    """masks.tar.gz of one file."""
    tar_gz, entry = io.BytesIO(), tarfile.TarInfo(name)
    entry.size = len(content)
    with tarfile.open(fileobj=tar_gz, mode="w:gz") as tar:
        tar.addfile(entry, io.BytesIO(content))
    return tar_gz.getvalue()


TILE = member(encode_heatmap(np.ones((256, 256), np.uint8)), "heatmap.png")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"no gzip", "not an anno2 zip"),
        (masks(TILE, "tile_0_0.png"), "holds 'tile_0_0.png'"),
        (masks(TILE[:19] + b"\xff" + TILE[20:]), "checksum"),
        (masks(TILE), "2 items announced, 65536 found"),
    ],
)
def test_masks_that_are_no_tiles_of_points_are_refused(content, complaint):
    with pytest.raises(ValueError, match=complaint):
        decode(rewritten(encode_points([(1, 1), (2, 2)], mask=True), "masks.tar.gz", content))
