"""slidescore-sdk judges the anno2 zips of what is out of the ordinary, and of what no zip can hold."""

from __future__ import annotations

import io
import json
import re
import zipfile

import numpy as np
import pytest
from anno2_zips import SIDE_PX, SMALL_BLOCKS, anno1, as_brushes, assert_same_members, members, patched, points, polygons
from slidescore.lib.Encoder import Encoder

from annohooks.slidescore import anno2
from annohooks.slidescore.anno2 import heatmap_zip, points_zip


def regular(radius, x, y, vertices):
    angle = np.arange(vertices) * 2 * np.pi / vertices
    return np.rint(np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], 1)).astype(int).tolist()


@pytest.mark.parametrize(
    "entries",
    [
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
        pytest.param(np.stack([4 * n, (n % 2) * (n + 10)], 1), id="growing teeth"),
        pytest.param(np.array([*np.stack([2 * n, 100 * (n % 2)], 1), (600, 300), (0, 300), (0, 0)]), id="closed"),
        pytest.param(np.stack([3 * ANGLE * np.cos(ANGLE), 3 * ANGLE * np.sin(ANGLE)], 1) + 900, id="spiral"),
        pytest.param(np.stack([2 * n, 3_000 * (n % 2)], 1), id="over many tiles"),
    ],
)
def test_outlines_in_which_each_split_removes_one_vertex_give_the_vendors_members(vendor_zip, outline):
    entries = [(np.rint(outline).astype(int).tolist(), [])]
    assert_same_members(polygons(entries), vendor_zip(as_brushes(entries)))


@pytest.mark.parametrize("far", [2**15, 2**16], ids=["far", "beyond a mebibyte of empty density table"])
def test_far_outlines_give_the_vendors_members(vendor_zip, far):
    entries = [(regular(20, far, far, 12), []), (regular(20, far, 40, 12), [regular(5, far, 40, 6)])]
    assert_same_members(polygons(entries, side=2 * far), vendor_zip(as_brushes(entries)))


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
