"""anno2 zips of ours, and what is in a zip."""

from __future__ import annotations

import contextlib
import io
import tarfile
import zipfile

import brotli
import numpy as np
import png
import pytest
from slidescore.lib.AnnoClasses import EfficientArray
from slidescore.lib.Decoder import Decoder
from slidescore.lib.simplify import simplifyPolygons

from annohooks.imaging.outlines import Outlines
from annohooks.slidescore.anno2 import density, masks, points_zip, polygons_zip, simplification
from annohooks.slidescore.anno2 import heatmap as heatmap_members
from annohooks.slidescore.anno2 import points as points_member
from annohooks.slidescore.anno2 import polygons as polygon_members

SIDE_PX = 5_000
# Blocks so small that every batch needs many of them.
SMALL_BLOCKS = (
    (simplification, "BLOCK_VERTICES", 7),
    (polygon_members, "BLOCK_TILE_ENTRIES", 6),
    (density, "BAND_TILES", 50),
    (masks, "BLOCK_TILES", 2),
    (points_member, "BLOCK_POINTS", 3),
    (heatmap_members, "BLOCK_ROWS", 2),
)


@contextlib.contextmanager
def patched(*changes):
    """Changes attributes for a while. changes: (module or class, name, value)."""
    with pytest.MonkeyPatch.context() as patch:
        for where, name, value in changes:
            patch.setattr(where, name, value)
        yield


def anno1(vertices):
    return [{"x": x, "y": y} for x, y in vertices]


def as_brushes(entries):
    """entries: [(outer ring, [hole, ...]), ...]"""
    return [
        {"type": "brush", "positivePolygons": [anno1(outer)], "negativePolygons": [anno1(hole) for hole in holes]}
        for outer, holes in entries
    ]


def as_outlines(entries):
    rings, parent = [], []
    for outer, holes in entries:
        parent += [-1, *[len(rings)] * len(holes)]
        rings += [outer, *holes]
    return Outlines.from_rings(rings, parent)


def polygons(entries, metadata=None, side=SIDE_PX, **more):
    return polygons_zip(as_outlines(entries), metadata or {}, width=side, height=side, **more)


def points(places, metadata=None, side=SIDE_PX, **more):
    xy = np.array(places, np.int32).reshape(-1, 2)
    return points_zip(xy, metadata or {}, width=side, height=side, **more)


def members(zipped):
    """All members after decompression: pictures as pixels, a tar as its files, others as bytes."""
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        return {name: plain(name, archive.read(name)) for name in archive.namelist()}


def plain(name, content):
    if name.endswith(".br"):
        return brotli.decompress(content)
    if name.endswith(".png"):
        width, height, rows, described = png.Reader(bytes=content).read()
        return width, height, described["bitdepth"], described["greyscale"], [list(row) for row in rows]
    if name.endswith(".tar.gz"):
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            return [(entry.name, plain(entry.name, tar.extractfile(entry).read())) for entry in tar]
    return content


def assert_same_members(ours, theirs):
    ours, theirs = members(ours), members(theirs)
    assert list(ours) == list(theirs)
    for name, content in theirs.items():
        assert ours[name] == content, name


def vendor_decoded(zipped):
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        decoder = Decoder(archive)
        decoder.decode()
    return decoder.items


def vendor_simplified(outlines):
    rings = EfficientArray()
    for number in range(len(outlines)):
        rings.addValues(outlines.ring(number).ravel().tolist())
    simplified = simplifyPolygons(rings, 1)
    return [np.reshape(simplified.getValues(number), (-1, 2)).tolist() for number in range(len(simplified))]
