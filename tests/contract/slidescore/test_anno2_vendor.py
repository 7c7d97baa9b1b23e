"""slidescore-sdk judges the anno2 zips: its decoder reads them, and its encoder writes the same members."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import tarfile
import zipfile

import brotli
import numpy as np
import png
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slidescore import APIClient
from slidescore.lib.AnnoClasses import EfficientArray, Points, Polygons
from slidescore.lib.Decoder import Decoder
from slidescore.lib.Encoder import Encoder
from slidescore.lib.simplify import simplifyPolygons

from annohooks.imaging.outlines import Outlines
from annohooks.slidescore import anno2
from annohooks.slidescore.anno2 import density, heatmap_zip, masks, points_zip, polygons_zip, simplification
from annohooks.slidescore.anno2 import heatmap as heatmap_members
from annohooks.slidescore.anno2 import points as points_member
from annohooks.slidescore.anno2 import polygons as polygon_members
from local.anno2 import decode

SIDE_PX = 5_000


@pytest.fixture(scope="module", autouse=True)
def quiet():
    """The SDK prints and logs every step."""
    logging.disable(logging.CRITICAL)
    with contextlib.redirect_stdout(io.StringIO()):
        yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def vendor_zip(tmp_path_factory):
    """The SDK's zip of a list of anno1 items, or of its own Points or Polygons, through its public function."""
    path = tmp_path_factory.mktemp("anno2") / "vendor.zip"
    client = APIClient("http://localhost", "unused")

    def convert(items, metadata=None):
        client.convert_to_anno2(items, metadata, str(path))
        return path.read_bytes()

    return convert


@contextlib.contextmanager
def patched(*changes):
    """Changes attributes for a while. changes: (module or class, name, value)."""
    with pytest.MonkeyPatch.context() as patch:
        for where, name, value in changes:
            patch.setattr(where, name, value)
        yield


# Blocks so small that every batch needs many of them.
SMALL_BLOCKS = (
    (simplification, "BLOCK_VERTICES", 7),
    (polygon_members, "BLOCK_TILE_ENTRIES", 6),
    (density, "BAND_TILES", 50),
    (masks, "BLOCK_TILES", 2),
    (points_member, "BLOCK_POINTS", 3),
    (heatmap_members, "BLOCK_ROWS", 2),
)
# For both sides, ten points are many, and three per tile are dense.
FEW_POINTS = (
    (Encoder, "few_points_cutoff", 10),
    (Encoder, "low_density_cutoff", 3),
    (anno2, "FEW_POINTS", 10),
    (anno2, "DENSE_POINTS_PER_TILE", 3),
)
block_sizes = st.sampled_from([(), SMALL_BLOCKS])


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


# Rings of 1 to 60 vertices: scattered over the slide; small, with many duplicates, ties and single pixels; in line.
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


@given(batches)
def test_vendor_decoder_gives_back_our_outlines_as_the_vendor_simplifies_them(entries):
    outlines = as_outlines(entries)
    items = vendor_decoded(polygons_zip(outlines, {}, width=SIDE_PX, height=SIDE_PX))
    decoded = [[list(vertex) for vertex in items[number]["positiveVertices"]] for number in range(len(items))]
    assert decoded == vendor_simplified(outlines)


@given(batches, metadata, block_sizes)
def test_every_member_equals_the_vendor_encoders(vendor_zip, entries, metadata, blocks):
    with patched(*blocks):
        ours = polygons(entries, metadata)
    assert_same_members(ours, vendor_zip(as_brushes(entries), metadata))


@given(scattered | cells(), metadata, block_sizes)
def test_every_member_of_points_equals_the_vendor_encoders(vendor_zip, places, metadata, blocks):
    with patched(*blocks):
        ours = points(places, metadata)
    assert_same_members(ours, vendor_zip(anno1(places), metadata))
    assert list(vendor_decoded(ours)) == places


@given(scattered | cells() | lines(), metadata, block_sizes)
def test_every_member_of_many_points_equals_the_vendor_encoders(vendor_zip, places, metadata, blocks):
    with patched(*FEW_POINTS, *blocks):
        ours, theirs = points(places, metadata), vendor_zip(anno1(places), metadata)
    assert_same_members(ours, theirs)
    assert list(vendor_decoded(ours)) == list(vendor_decoded(theirs))


@given(scattered | cells() | lines(), metadata, block_sizes)
def test_every_member_of_a_mask_equals_the_vendor_encoders(vendor_zip, places, metadata, blocks):
    with patched(*blocks):
        ours = points(places, metadata, mask=True)
    given_points = Points(places)
    given_points.name = "mask"
    assert_same_members(ours, vendor_zip(given_points, metadata))
    assert sorted(vendor_decoded(ours)) == sorted(set(places))


@st.composite
def grids(draw):
    rows, columns = draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    row = st.lists(st.integers(0, 255), min_size=columns, max_size=columns)
    return draw(st.lists(row, min_size=rows, max_size=rows))


@given(grids(), st.integers(0, SIDE_PX), st.integers(0, SIDE_PX), st.integers(1, 999), metadata, block_sizes)
def test_every_member_of_a_heatmap_equals_the_vendor_encoders(vendor_zip, levels, x, y, cell_px, metadata, blocks):
    with patched(*blocks):
        grid = np.array(levels, np.uint8)
        ours = heatmap_zip(grid, metadata, x=x, y=y, cell_px=cell_px, width=SIDE_PX, height=SIDE_PX)
    given_heatmap = {"type": "heatmap", "x": x, "y": y, "height": cell_px * len(levels), "data": levels}
    assert_same_members(ours, vendor_zip([given_heatmap], metadata))
    decoded = vendor_decoded(ours)
    assert [list(row) for row in decoded.matrix] == levels
    assert decoded.get_metadata() == {"x": x, "y": y, "sizePerPixel": cell_px}


labels = st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=4) | st.integers()), max_size=3)


@given(st.lists(st.tuples(cells(), labels), min_size=1, max_size=5))
def test_labels_equal_the_vendor_encoders(vendor_zip, labelled):
    ours = polygons(
        [(ring, []) for ring, _ in labelled],
        labels=[(number, label) for number, (_, ring_labels) in enumerate(labelled) for label in ring_labels],
    )
    items = [
        {"type": "polygon", "points": anno1(ring), "labels": [dict(label) for label in ring_labels]}
        for ring, ring_labels in labelled
    ]
    assert_same_members(ours, vendor_zip(items))


described = st.dictionaries(st.text(max_size=4), st.text(max_size=4) | st.integers() | st.none(), max_size=3)


@given(st.lists(st.tuples(cells(), described), min_size=1, max_size=5))
def test_metadata_of_outlines_equals_the_vendor_encoders(vendor_zip, entries):
    by_index = {number: description for number, (_, description) in enumerate(entries) if description}
    theirs = Polygons()
    theirs.metadata = by_index
    for ring, _ in entries:
        theirs.addPolygon([coordinate for vertex in ring for coordinate in vertex])
    ours = polygons([(ring, []) for ring, _ in entries], item_metadata=by_index)
    assert_same_members(ours, vendor_zip(theirs))


@given(scattered, st.lists(described, max_size=5), st.booleans())
def test_metadata_of_points_equals_the_vendor_encoders(vendor_zip, places, descriptions, mask):
    by_place = dict(zip(places, descriptions, strict=False))
    theirs = Points(places)
    theirs.name = "mask" if mask else "points"
    theirs.metadata = {f"{x},{y}": description for (x, y), description in by_place.items()}
    assert_same_members(points(places, mask=mask, item_metadata=by_place), vendor_zip(theirs))


@given(batches)
def test_the_local_viewer_reads_the_vendors_zip_as_it_reads_ours(vendor_zip, entries):
    ours, theirs = decode(polygons(entries)), decode(vendor_zip(as_brushes(entries)))
    assert [ring.tolist() for ring in ours.outlines] == [ring.tolist() for ring in theirs.outlines]
    assert ours.negatives == theirs.negatives


@given(scattered | cells())
def test_the_local_viewer_reads_the_vendors_mask_as_it_reads_ours(vendor_zip, places):
    theirs = Points(places)
    theirs.name = "mask"
    assert decode(points(places, mask=True)).points.tolist() == decode(vendor_zip(theirs)).points.tolist()


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


@pytest.mark.parametrize("blocks", [(), SMALL_BLOCKS], ids=["one band", "many bands"])
def test_tall_thin_outlines_give_the_vendors_members(vendor_zip, blocks):
    tall = [(([(x, y), (x + 3, y), (x + 3, y + 3_000)]), []) for x, y in [(0, 0), (90, 700)]]  # not big
    with patched(*blocks):
        ours = polygons(tall)
    assert_same_members(ours, vendor_zip(as_brushes(tall)))


n = np.arange(300)
ANGLE = n * 0.3


@pytest.mark.parametrize(
    "outline",
    [
        pytest.param(np.stack([2 * n, 100 * (n % 2)], 1), id="teeth"),
        pytest.param(np.stack([10 * (n // 2), 100 * ((n + 1) // 2 % 2)], 1), id="square teeth"),
        pytest.param(np.stack([2 * n + 100 * (n % 2), 100 * (n % 2) + n], 1), id="slanted teeth"),
        pytest.param(np.stack([4 * n, (n % 2) * (n + 10)], 1), id="growing teeth"),
        pytest.param(np.array([*np.stack([2 * n, 100 * (n % 2)], 1), (600, 300), (0, 300), (0, 0)]), id="closed"),
        pytest.param(np.stack([3 * ANGLE * np.cos(ANGLE), 3 * ANGLE * np.sin(ANGLE)], 1) + 900, id="spiral"),
        pytest.param(np.stack([2 * n, 3_000 * (n % 2)], 1), id="over many tiles"),
    ],
)
def test_outlines_in_which_each_split_removes_one_vertex_give_the_vendors_members(vendor_zip, outline):
    entries = [(np.rint(outline).astype(int).tolist(), [])]
    assert_same_members(polygons(entries), vendor_zip(as_brushes(entries)))


def test_outline_beyond_a_mebibyte_of_empty_density_table_gives_the_vendors_members(vendor_zip):
    far = 2**16
    entries = [(regular(20, far, far, 12), [])]
    assert_same_members(polygons(entries, side=2**17), vendor_zip(as_brushes(entries)))


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


def test_the_vendors_own_example_is_the_one_checked_by_hand(vendor_zip):
    entries = [([(1, 1), (1, 2), (300, 300), (3, 3)], []), ([(400, 400), (200, 200), (5, 5), (3, 3), (0, 0)], [])]
    theirs = members(vendor_zip(as_brushes(entries)))["polygon_container/encoded_polygons.bin.br"]
    assert theirs.hex() == (
        "000100000200000002000000" + "080000000600000004000000" + "020000004d30" * 2 + "0100000000"
        "0a00000001012c2c030390900000"
    )
    assert members(polygons(entries))["polygon_container/encoded_polygons.bin.br"] == theirs


def test_limits_of_points_are_the_vendors():
    assert (Encoder.few_points_cutoff, Encoder.low_density_cutoff) == (anno2.FEW_POINTS, anno2.DENSE_POINTS_PER_TILE)


@pytest.mark.parametrize(
    ("number", "tiles", "form"),
    [
        pytest.param(499_999, 60, "anno1_points.json.br", id="fewer than half a million"),
        pytest.param(500_000, 60, "masks.tar.gz", id="dense"),
        pytest.param(500_000, 16_667, "anno1_points.json.br", id="just below 30 to a tile"),
    ],
)
def test_the_form_of_points_changes_where_the_vendors_does(vendor_zip, number, tiles, form):
    nth = np.arange(number)
    column, row = np.divmod(nth % tiles, 130)
    places = np.stack([256 * column + nth // tiles % 256, 256 * row + nth * 7 % 256], axis=1)
    ours = points(places, side=2**16)
    assert form in zipfile.ZipFile(io.BytesIO(ours)).namelist()
    assert_same_members(ours, vendor_zip(anno1(places.tolist())))


# Input that the vendor refuses, or accepts and spoils


NAN = float("nan")


def one_point(x):
    return lambda: points_zip(np.array([(x, 1)]), {}, width=9, height=9)


def one_cell(level):
    return lambda: heatmap_zip(np.array([[level]]), {}, x=0, y=0, cell_px=9, width=9, height=9)


def polygon(*vertices):
    return [{"type": "polygon", "points": anno1(vertices)}]


@pytest.mark.parametrize(
    ("items", "ours", "complaint"),
    [
        ([], lambda: polygons([]), "no outlines"),
        ([], lambda: points([]), "no points"),
        (polygon(), lambda: polygons([(np.empty((0, 2), int), [])]), "outline 0 has no vertices"),
        (polygon((1, 1), (-1, 5)), lambda: polygons([([(1, 1), (-1, 5)], [])]), "(-1, 5) lies off the slide"),
        (anno1([(3, -1)]), lambda: points([(3, -1)]), "(3, -1) lies off the slide"),
        (anno1([(NAN, 1)]), one_point(NAN), "integers [K, 2]"),
        (anno1([(None, 1)]), one_point(None), "integers [K, 2]"),
        (polygon(("1", "2")), one_point("1"), "integers [K, 2]"),
        (anno1([(2**32, 1)]), one_point(2**32), "(4294967296, 1) lies off the slide, 9 x 9 px"),
        ([{"type": "heatmap", "height": 9, "data": [[256]]}], one_cell(256), "uint8"),
        ([{"type": "heatmap", "height": 9, "data": [[0.5]]}], one_cell(0.5), "uint8"),
        (
            [{"type": "heatmap", "height": 9, "data": []}],
            lambda: heatmap_zip(np.empty((0, 0), np.uint8), {}, x=0, y=0, cell_px=9, width=9, height=9),
            "uint8",
        ),
    ],
)
def test_input_on_which_the_vendor_fails_is_refused_with_a_clear_message(vendor_zip, items, ours, complaint):
    with pytest.raises(Exception):  # noqa: B017, PT011 -- the vendor raises anything
        vendor_zip(items)
    with pytest.raises(ValueError, match=re.escape(complaint)):
        ours()


def test_cells_of_0_pixels_which_the_vendor_accepts_are_refused(vendor_zip):
    squeezed = [{"type": "heatmap", "x": 0, "y": 0, "height": 1, "data": [[1], [2], [3]]}]
    assert json.loads(members(vendor_zip(squeezed))["heatmap_metadata.json"])["sizePerPixel"] == 0
    with pytest.raises(ValueError, match=r"^cell_px must be a positive whole number, not 0$"):
        heatmap_zip(np.array([[1], [2], [3]], np.uint8), {}, x=0, y=0, cell_px=0, width=9, height=9)
