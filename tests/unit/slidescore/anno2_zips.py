"""anno2 zips for tests, and their content."""

from __future__ import annotations

import io
import json
import zipfile

import brotli
import numpy as np

from annohooks.imaging.outlines import Outlines
from annohooks.slidescore.anno2 import heatmap_zip, points_zip, polygons_zip
from local.anno2 import decode, png

SIDE_PX = 20_000
SQUARE = [(0, 0), (50, 0), (50, 50), (0, 50)]


def encode(*rings, parent=None, metadata=None, side=SIDE_PX, **more):
    return polygons_zip(Outlines.from_rings(rings, parent), metadata or {}, width=side, height=side, **more)


def encode_points(points, metadata=None, side=SIDE_PX, **more):
    return points_zip(np.array(points, np.int32).reshape(-1, 2), metadata or {}, width=side, height=side, **more)


def encode_heatmap(levels, metadata=None, *, x=0, y=0, cell_px=64, width=SIDE_PX, height=SIDE_PX):
    return heatmap_zip(np.asarray(levels), metadata or {}, x=x, y=y, cell_px=cell_px, width=width, height=height)


def outlines(zipped):
    return [outline.tolist() for outline in decode(zipped).outlines]


def member_names(zipped):
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        return archive.namelist()


def member(zipped, name):
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        content = archive.read(name)
    return brotli.decompress(content) if name.endswith(".br") else content


def item_count(zipped):
    return json.loads(member(zipped, "system_metadata.json"))["numItems"]


def density(zipped, tile_px):
    """The pixels of a density table."""
    return png(member(zipped, f"lookup-tables/density_{tile_px}px.png")).tolist()
