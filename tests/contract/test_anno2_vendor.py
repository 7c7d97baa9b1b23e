"""Our anno2 zips judged by slidescore-sdk: its decoder reads them, and its encoder writes the same members."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import zipfile

import brotli
import msgpack
import numpy as np
import png
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slidescore import APIClient
from slidescore.lib.AnnoClasses import EfficientArray
from slidescore.lib.Decoder import Decoder
from slidescore.lib.simplify import simplifyPolygons

from annohooks.imaging.outlines import Outlines
from annohooks.slidescore.anno2 import points_zip, polygons_zip
from local.anno2 import decode

SIDE_PX = 5_000
TILE_INDEX = "polygon_container/tile_polygons_i.msgpack.br"
BIG_TILE_INDEX = "polygon_container/big_tile_polygons_i.msgpack.br"


@pytest.fixture(scope="module", autouse=True)
def quiet():
    """The SDK prints and logs every step."""
    logging.disable(logging.CRITICAL)
    with contextlib.redirect_stdout(io.StringIO()):
        yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def vendor_zip(tmp_path_factory):
    """The SDK's own zip of a list of anno1 items, through its public function."""
    path = tmp_path_factory.mktemp("anno2") / "vendor.zip"
    client = APIClient("http://localhost", "unused")

    def convert(items, metadata=None):
        client.convert_to_anno2(items, metadata, str(path))
        return path.read_bytes()

    return convert


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


def polygons(entries, metadata=None, side=SIDE_PX):
    return polygons_zip(as_outlines(entries), metadata or {}, width=side, height=side)


def members(zipped):
    """Every member after decompression: pictures as pixels, the rest as bytes."""
    read = {}
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith(".br"):
                content = brotli.decompress(content)
            if name.endswith(".png"):
                width, height, rows, described = png.Reader(bytes=content).read()
                read[name] = (width, height, described["bitdepth"], described["greyscale"], [list(row) for row in rows])
            else:
                read[name] = content
    return read


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


# Rings of 1 to 60 vertices: scattered over the slide; small, where duplicates, ties and single pixels abound; in line.
anywhere = st.integers(0, SIDE_PX)
small = st.integers(0, 12)
scattered = st.lists(st.tuples(anywhere, anywhere), min_size=1, max_size=60)


@st.composite
def cells(draw):
    x, y = draw(st.tuples(*2 * [st.integers(0, SIDE_PX - 60)]))
    span = draw(st.sampled_from([1, 3, 12, 60]))
    offset = st.integers(0, span)
    return [(x + dx, y + dy) for dx, dy in draw(st.lists(st.tuples(offset, offset), min_size=1, max_size=60))]


@st.composite
def lines(draw):
    x, y = draw(st.tuples(small, small))
    dx, dy = draw(st.sampled_from([(0, 0), (1, 0), (0, 1), (1, 1), (3, 1), (7, 5)]))
    return [(x + step * dx, y + step * dy) for step in draw(st.lists(st.integers(0, 500), min_size=1, max_size=60))]


rings = cells() | scattered | lines()
batches = st.lists(st.tuples(rings, st.just([]) | st.lists(cells(), min_size=1, max_size=3)), min_size=1, max_size=40)
metadata = st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=9))


@settings(max_examples=300, deadline=None)
@given(batches)
def test_vendor_decoder_gives_back_our_outlines_as_the_vendor_simplifies_them(entries):
    outlines = as_outlines(entries)
    items = vendor_decoded(polygons_zip(outlines, {}, width=SIDE_PX, height=SIDE_PX))
    decoded = [[list(vertex) for vertex in items[number]["positiveVertices"]] for number in range(len(items))]
    assert decoded == vendor_simplified(outlines)


@settings(max_examples=300, deadline=None)
@given(batches, metadata)
def test_every_member_equals_the_vendor_encoders(vendor_zip, entries, metadata):
    assert_same_members(polygons(entries, metadata), vendor_zip(as_brushes(entries), metadata))


@settings(max_examples=200, deadline=None)
@given(scattered | cells(), metadata)
def test_every_member_of_points_equals_the_vendor_encoders(vendor_zip, points, metadata):
    ours = points_zip(np.array(points, np.int32), metadata, width=SIDE_PX, height=SIDE_PX)
    assert_same_members(ours, vendor_zip(anno1(points), metadata))
    assert list(vendor_decoded(ours)) == points


@settings(max_examples=100, deadline=None)
@given(batches)
def test_the_local_viewer_reads_the_vendors_zip_as_it_reads_ours(vendor_zip, entries):
    ours, theirs = decode(polygons(entries)), decode(vendor_zip(as_brushes(entries)))
    assert [ring.tolist() for ring in ours.outlines] == [ring.tolist() for ring in theirs.outlines]
    assert ours.negatives == theirs.negatives


def regular(radius, x, y, vertices):
    angle = np.arange(vertices) * 2 * np.pi / vertices
    return np.rint(np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], 1)).astype(int).tolist()


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([([(5, 6)], [])], id="one vertex"),
        pytest.param([([(0, 0)], [])], id="one vertex in the corner of the slide"),
        pytest.param([([(5, 6), (90, 7)], [])], id="two vertices"),
        pytest.param([([(5, 6), (5, 6)], [])], id="two identical vertices"),
        pytest.param([([(0, 0), (50, 50), (100, 100)], [])], id="three in line"),
        pytest.param([([(8, 8), (9, 8), (8, 9)], [])], id="triangle of one pixel"),
        pytest.param([([(0, 0), (40, 0), (40, 40), (0, 0)], [])], id="closing vertex given"),
        pytest.param([([(256, 256), (512, 256), (512, 512)], [])], id="extent a multiple of the tile"),
        pytest.param([([(255, 0), (256, 0), (255, 9), (256, 9)], [])] * 3, id="back and forth across a tile border"),
        pytest.param([([(0, 0), (4000, 0), (4000, 3000)], [])], id="only big outlines"),
        pytest.param([([(0, 0), (100, 0), (100, 100)], []), ([(0, 0), (101, 0), (101, 100)], [])], id="barely big"),
        pytest.param([([(0, 0), (0, 4990)], [])], id="long but without area"),
        pytest.param([([(4990, 4990)], []), ([(3, 3)], []), ([(4990, 3)], [])], id="tiles entered out of order"),
        pytest.param([(regular(2400, 2450, 2450, 400), [regular(9, 99, 99, 20)])], id="hole beyond its outline's end"),
        pytest.param([(regular(30, x, 200, 20), [regular(9, x, 200, 8)]) for x in range(50, 4900, 50)], id="cells"),
    ],
)
def test_corner_cases_give_the_vendors_members(vendor_zip, entries):
    assert_same_members(polygons(entries, {"note": "\u00b5m"}), vendor_zip(as_brushes(entries), {"note": "\u00b5m"}))


def test_far_outlines_give_the_vendors_members(vendor_zip):
    far = 2**15
    entries = [(regular(20, far, far, 12), []), (regular(20, far, 40, 12), [regular(5, far, 40, 6)])]
    assert_same_members(polygons(entries, side=2**16), vendor_zip(as_brushes(entries)))


def test_nuclei_by_the_thousand_give_the_vendors_members(vendor_zip):
    random = np.random.default_rng(7)
    radius = random.uniform(8, 24, (3_000, 1)) * random.normal(1, 0.08, (3_000, 20))
    angle = np.arange(20) * 2 * np.pi / 20
    centre = random.integers(40, 4_960, (3_000, 2))
    x, y = centre[:, :1] + radius * np.cos(angle), centre[:, 1:] + radius * np.sin(angle)
    entries = [(ring, []) for ring in np.rint(np.stack([x, y], 2)).clip(0, SIDE_PX).astype(int).tolist()]
    assert_same_members(polygons(entries), vendor_zip(as_brushes(entries)))


def test_tile_indices_unpack_to_the_documented_typed_arrays():
    zipped = members(polygons([([(250, 10), (260, 10), (260, 20)], []), ([(0, 0), (300, 0), (300, 300)], [])]))
    index, big = (msgpack.unpackb(zipped[name], strict_map_key=False) for name in (TILE_INDEX, BIG_TILE_INDEX))

    def typed_array(*numbers):
        stored = np.array(numbers, "<u4").tobytes()
        return {"isTypedArray": True, "bytes": stored, "type": "uint32", "len": len(numbers)}

    assert index == {0: {0: typed_array(0, 1), 1: typed_array(0, 1)}, 1: {0: typed_array(1), 1: typed_array(1)}}
    assert big == {0: {0: typed_array(1), 1: typed_array(1)}, 1: {0: typed_array(1), 1: typed_array(1)}}


def test_the_vendors_own_example_is_the_one_checked_by_hand(vendor_zip):
    entries = [([(1, 1), (1, 2), (300, 300), (3, 3)], []), ([(400, 400), (200, 200), (5, 5), (3, 3), (0, 0)], [])]
    theirs = members(vendor_zip(as_brushes(entries)))["polygon_container/encoded_polygons.bin.br"]
    assert theirs.hex() == (
        "000100000200000002000000" + "080000000600000004000000" + "020000004d30" * 2 + "0100000000"
        "0a00000001012c2c030390900000"
    )
    assert members(polygons(entries))["polygon_container/encoded_polygons.bin.br"] == theirs


def test_most_points_are_where_the_vendor_still_writes_json(vendor_zip):
    xy = np.random.default_rng(3).integers(0, SIDE_PX, (499_999, 2), dtype=np.int32)
    ours = points_zip(xy, {}, width=SIDE_PX, height=SIDE_PX)
    assert_same_members(ours, vendor_zip(anno1(xy.tolist())))
    assert json.loads(members(ours)["anno1_points.json.br"])[-1] == dict(zip("xy", xy[-1].tolist(), strict=True))
