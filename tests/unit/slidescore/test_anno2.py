"""The anno2 zip, read back by the plain decoder, and its members one by one."""

from __future__ import annotations

import io
import json
import re
import tarfile
import tracemalloc
import zipfile

import msgpack
import numpy as np
import pytest
from anno2_zips import SIDE_PX, SQUARE, encode, encode_heatmap, encode_points, member, outlines
from hypothesis import given, settings
from hypothesis import strategies as st

from annohooks.imaging.outlines import Outlines
from annohooks.slidescore import anno2
from annohooks.slidescore.anno2 import density, points_zip, polygons, polygons_zip
from annohooks.slidescore.anno2.simplification import simplify
from annohooks.slidescore.anno2.tiles import Boxes
from local.anno2 import decode, png


@pytest.fixture
def few_points(monkeypatch):
    """Ten points are many, three to a tile are dense."""
    monkeypatch.setattr(anno2, "FEW_POINTS", 10)
    monkeypatch.setattr(anno2, "DENSE_POINTS_PER_TILE", 3)


def tile_index(zipped, name="tile_polygons_i"):
    """{(row, column): [outline, ...]}"""
    rows = msgpack.unpackb(member(zipped, f"polygon_container/{name}.msgpack.br"), strict_map_key=False)
    return {
        (row, column): np.frombuffer(entry["bytes"], "<u4").tolist()
        for row, columns in rows.items()
        for column, entry in columns.items()
    }


def grey(zipped, tile_px):
    """Pixels of a density table."""
    return png(member(zipped, f"lookup-tables/density_{tile_px}px.png")).tolist()


vertices = st.tuples(st.integers(0, 700), st.integers(0, 700)) | st.tuples(st.integers(250, 260), st.integers(250, 260))


@st.composite
def rings_anywhere(draw):
    """One ring of up to 30 vertices, at most a few tiles wide, anywhere on the slide."""
    x, y = draw(st.tuples(*2 * [st.integers(0, SIDE_PX - 700)]))
    return [(x + dx, y + dy) for dx, dy in draw(st.lists(vertices, min_size=1, max_size=30))]


rings = st.lists(rings_anywhere(), min_size=1, max_size=20)


@settings(deadline=None)
@given(rings)
def test_decoding_gives_back_the_outlines_simplified_to_one_pixel(rings):
    given_outlines = Outlines.from_rings(rings)
    xy, offsets = simplify(given_outlines.xy, given_outlines.offsets, 1.0)
    expected = [part.tolist() for part in np.split(xy, offsets[1:-1])]
    assert outlines(encode(*rings)) == expected


@settings(deadline=None)
@given(st.lists(vertices, min_size=1, max_size=200))
def test_decoding_gives_back_the_points_in_their_order_with_duplicates(points):
    decoded = decode(encode_points(points))
    assert decoded.type == "points"
    assert decoded.points.tolist() == [list(point) for point in points]


@settings(deadline=None)
@given(rings)
def test_every_tile_an_outline_has_a_vertex_in_lists_that_outline(rings):
    zipped = encode(*rings)
    index = tile_index(zipped)
    for number, outline in enumerate(decode(zipped).outlines):
        for x, y in outline.tolist():
            assert number in index[y // 256, x // 256]


def test_the_vendors_worked_example_has_these_bytes():
    rings = [(1, 1), (1, 2), (300, 300), (3, 3)], [(400, 400), (200, 200), (5, 5), (3, 3), (0, 0)]
    assert member(encode(*rings), "polygon_container/encoded_polygons.bin.br") == bytes.fromhex(
        "00010000 02000000 02000000"
        "08000000 06000000 04000000"
        "02000000 4d30"
        "02000000 4d30"
        "01000000 00"
        "0a000000 01012c2c03039090 0000"
    )


def test_members_stand_in_the_order_slide_score_writes_them():
    with zipfile.ZipFile(io.BytesIO(encode(SQUARE))) as archive:
        assert archive.namelist() == [
            "system_metadata.json",
            "user_metadata.json",
            "lookup-tables/density_32px.png",
            "lookup-tables/density_256px.png",
            "polygon_container/tile_polygons_i.msgpack.br",
            "polygon_container/big_tile_polygons_i.msgpack.br",
            "polygon_container/encoded_polygons.bin.br",
            "polygon_container/simpl_encoded_polygons.bin.br",
            "polygon_container/negative_polygons.json",
        ]
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_members_of_points_are_their_json_and_the_metadata():
    zipped = encode_points([(7, 0), (10, 123456)], side=200_000)
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        assert archive.namelist() == ["system_metadata.json", "user_metadata.json", "anno1_points.json.br"]
    assert member(zipped, "anno1_points.json.br") == b'[{"x": 7, "y": 0}, {"x": 10, "y": 123456}]'


def test_same_input_gives_the_same_bytes(monkeypatch):
    def zips():
        return (
            encode(SQUARE, metadata={"a": 1}, labels=[(0, {"text": "b"})], item_metadata={0: {"c": 2}}),
            encode_points([(1, 2)]),
            encode_points([(1, 2), (300, 2)], mask=True),
            encode_heatmap(np.eye(3, dtype=np.uint8)),
        )

    first = zips()
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    monkeypatch.setattr("time.localtime", lambda *_: (2033, 5, 18, 3, 33, 20, 2, 138, 0))
    assert zips() == first


def test_caller_keeps_its_arrays_unchanged():
    given_outlines = Outlines.from_rings([SQUARE, [(10, 10), (20, 20), (10, 20)]], [-1, 0])
    before = given_outlines.xy.copy(), given_outlines.offsets.copy(), given_outlines.parent.copy()
    polygons_zip(given_outlines, {}, width=50, height=50)
    assert all(map(np.array_equal, before, (given_outlines.xy, given_outlines.offsets, given_outlines.parent)))


@pytest.mark.parametrize("dtype", [">i2", np.int16, np.uint16, np.uint32, np.int64, np.uint64])
def test_other_integers_and_orders_of_memory_give_the_same_bytes(dtype):
    given_outlines = Outlines.from_rings([SQUARE, [(10, 300), (600, 20), (500, 500)]])
    other = Outlines(np.asfortranarray(given_outlines.xy.astype(dtype)), given_outlines.offsets, given_outlines.parent)
    assert polygons_zip(other, {}, width=999, height=999) == polygons_zip(given_outlines, {}, width=999, height=999)
    for mask in False, True:
        ours = [points_zip(outlines.xy, {}, width=999, height=999, mask=mask) for outlines in (given_outlines, other)]
        assert ours[0] == ours[1]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_places_in_a_single_byte_give_the_same_bytes(dtype):
    given_outlines = Outlines.from_rings([SQUARE])
    other = Outlines(given_outlines.xy.astype(dtype), given_outlines.offsets, given_outlines.parent)
    assert polygons_zip(other, {}, width=999, height=999) == polygons_zip(given_outlines, {}, width=999, height=999)
    for mask in False, True:
        ours = [points_zip(outlines.xy, {}, width=999, height=999, mask=mask) for outlines in (given_outlines, other)]
        assert ours[0] == ours[1]


# Holes


def test_holes_are_linked_from_the_outline_they_lie_in_and_count_as_items():
    inner = [(10, 10), (20, 10), (20, 20), (10, 20)]
    far = [(x + 500, y) for x, y in SQUARE]
    zipped = encode(inner, SQUARE, far, [(30, 30), (40, 30), (40, 40)], parent=[1, -1, -1, 1])
    assert decode(zipped).negatives == {1: [0, 3]}
    assert json.loads(member(zipped, "system_metadata.json"))["numItems"] == 4


@pytest.mark.parametrize("parent", [[-1, 1], [-1, 2], [1, 0]], ids=["itself", "nothing", "a hole"])
def test_hole_in_something_that_is_not_an_outer_outline_is_refused(parent):
    with pytest.raises(ValueError, match="not an outer outline"):
        encode(SQUARE, SQUARE, parent=parent)


# Points as pictures


def mask_names(zipped):
    with tarfile.open(fileobj=io.BytesIO(member(zipped, "masks.tar.gz"))) as tar:
        return tar.getnames()


@settings(deadline=None)
@given(st.lists(vertices, min_size=1, max_size=200))
def test_decoding_a_mask_gives_back_the_places_without_order_and_duplicates(points):
    decoded = decode(encode_points(points, mask=True))
    assert decoded.type == "mask"
    assert len(decoded.points) == len(set(points))
    assert set(map(tuple, decoded.points.tolist())) == set(points)


def test_members_of_a_mask_are_its_density_and_its_tiles_row_by_row_as_first_come_to():
    zipped = encode_points([(600, 300), (0, 600), (10, 310), (599, 301), (300, 700), (600, 700)], mask=True)
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        assert archive.namelist() == [
            "system_metadata.json",
            "user_metadata.json",
            "lookup-tables/density_32px.png",
            "lookup-tables/density_256px.png",
            "masks.tar.gz",
        ]
    assert mask_names(zipped) == [f"tile_x{x}_y{y}.png" for x, y in [(2, 1), (0, 1), (0, 2), (1, 2), (2, 2)]]
    assert json.loads(member(zipped, "system_metadata.json")) == {"version": "0.2.0", "type": "mask", "numItems": 6}


def test_tar_is_one_any_reader_takes():
    zipped = encode_points([(600, 300), (0, 600)], mask=True)
    with tarfile.open(fileobj=io.BytesIO(member(zipped, "masks.tar.gz"))) as tar:
        entries = tar.getmembers()
    assert [(entry.isreg(), entry.mode, entry.uid, entry.gid, entry.mtime) for entry in entries] == [
        (True, 0o644, 0, 0, 0)
    ] * 2
    assert entries[1].offset == tarfile.BLOCKSIZE * (1 + -(-entries[0].size // tarfile.BLOCKSIZE))


def test_tile_that_names_another_place_is_another_place():
    masks = encode_points([(255, 0), (256, 255), (511, 256)], mask=True)
    assert sorted(decode(masks).points.tolist()) == [[255, 0], [256, 255], [511, 256]]


def test_few_points_are_json_without_density_however_dense(few_points):
    zipped = encode_points([(1, 1)] * 9)
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        assert archive.namelist() == ["system_metadata.json", "user_metadata.json", "anno1_points.json.br"]


def test_many_points_far_apart_are_json_with_density(few_points):
    points = [(7, 7)] * 7 + [(260, 7), (7, 260), (520, 7), (1, 1)]
    zipped = encode_points(points)
    assert decode(zipped).points.tolist() == [list(point) for point in points]
    assert grey(zipped, 32) == [[255] + [0] * 7 + [32] + [0] * 7 + [32], *[[0] * 17] * 7, [32] + [0] * 16]
    assert grey(zipped, 256) == [[255, 32, 32], [32, 0, 0]]


def test_many_points_close_together_are_pictures(few_points):
    points = [(x, 10 * x) for x in range(12)]
    zipped = encode_points([*points, *points])
    decoded = decode(zipped)
    assert decoded.type == "points"
    assert decoded.points.tolist() == [list(point) for point in points]
    assert json.loads(member(zipped, "system_metadata.json"))["numItems"] == 24


@pytest.mark.parametrize(("tiles", "form"), [(4, "masks.tar.gz"), (5, "anno1_points.json.br")])
def test_dense_is_from_the_limit_on_average_of_the_tiles_with_points(few_points, tiles, form):
    zipped = encode_points([(256 * (nth % tiles), 0) for nth in range(12)])  # 3 a tile, 2.4 a tile
    assert member(zipped, form)


def test_rules_of_half_a_million_points():
    """As Slide Score's encoder has them: JSON below 500,000; from there, pictures from 30 a tile."""
    assert (anno2.FEW_POINTS, anno2.DENSE_POINTS_PER_TILE) == (500_000, 30)
    xy = np.stack(np.divmod(np.arange(500_000, dtype=np.int32), 700), axis=1)
    pictures, text = encode_points(xy), encode_points(xy[1:])
    assert "masks.tar.gz" in zipfile.ZipFile(io.BytesIO(pictures)).namelist()
    assert {tuple(point) for point in decode(pictures).points.tolist()} == {tuple(point) for point in xy.tolist()}
    assert np.array_equal(decode(text).points, xy[1:])


# Heatmap


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.randoms(use_true_random=False))
def test_decoding_gives_back_the_heatmap(rows, columns, random):
    levels = np.frombuffer(random.randbytes(rows * columns), np.uint8).reshape(rows, columns)
    decoded = decode(encode_heatmap(levels, x=40, y=70, cell_px=128))
    assert decoded.type == "heatmap"
    assert np.array_equal(decoded.heatmap.levels, levels)
    assert (decoded.heatmap.x, decoded.heatmap.y, decoded.heatmap.cell_px) == (40, 70, 128)


def test_members_of_a_heatmap_are_its_picture_and_its_place():
    zipped = encode_heatmap(np.array([[0, 1, 2], [253, 254, 255]], np.uint8), x=5, y=6, cell_px=7)
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        names = archive.namelist()
    assert names == ["system_metadata.json", "user_metadata.json", "heatmap.png", "heatmap_metadata.json"]
    assert json.loads(member(zipped, "system_metadata.json"))["numItems"] == 6
    assert member(zipped, "heatmap_metadata.json") == b'{\n  "x": 5,\n  "y": 6,\n  "sizePerPixel": 7\n}'


def test_heatmap_larger_than_a_block_and_a_view_comes_back():
    levels = (np.arange(2 * 700 * 600) % 251).astype(np.uint8).reshape(700, 1200)[:, ::2]
    assert np.array_equal(decode(encode_heatmap(levels)).heatmap.levels, levels)


@pytest.mark.parametrize(
    "levels",
    [
        pytest.param([[0.0, 1.0]], id="fractions"),
        pytest.param([[0, 256]], id="more than 255"),
        pytest.param(np.zeros(3, np.uint8), id="one row without columns"),
        pytest.param(np.zeros((2, 2, 3), np.uint8), id="colour"),
        pytest.param(np.zeros((0, 3), np.uint8), id="no rows"),
        pytest.param(np.zeros((3, 0), np.uint8), id="no columns"),
        pytest.param([[float("nan")]], id="NaN"),
    ],
)
def test_levels_that_are_not_a_grid_of_bytes_are_refused(levels):
    with pytest.raises(ValueError, match=r"^levels must be uint8 \[rows, columns\], not "):
        encode_heatmap(levels)


@pytest.mark.parametrize("cell_px", [0, -1, 0.5, 64.0, float("nan")])
def test_cell_that_is_not_a_whole_number_of_pixels_is_refused(cell_px):
    with pytest.raises(ValueError, match=f"^cells of {re.escape(str(cell_px))} px$"):
        encode_heatmap(np.zeros((1, 1), np.uint8), cell_px=cell_px)


@pytest.mark.parametrize("place", [(-1, 0), (0, -1), (61, 0), (0, 41)])
def test_heatmap_that_begins_off_the_slide_is_refused_with_its_place(place):
    x, y = place
    with pytest.raises(ValueError, match=f"^{re.escape(str(place))} lies off the slide, 60 x 40 px$"):
        encode_heatmap(np.zeros((1, 1), np.uint8), x=x, y=y, width=60, height=40)


# Labels and metadata of items


def test_labels_name_the_outline_they_belong_to():
    given_labels = [(1, {"label": "tumour", "x": 5}), (0, {"label": "\u00b5"}), (1, {})]
    zipped = encode(SQUARE, SQUARE, labels=given_labels)
    assert decode(zipped).labels == [
        {"label": "tumour", "x": 5, "polygon_i": 1},
        {"label": "\u00b5", "polygon_i": 0},
        {"polygon_i": 1},
    ]
    assert given_labels[0][1] == {"label": "tumour", "x": 5}
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        assert archive.namelist()[-2:] == ["polygon_container/negative_polygons.json", "labels.json"]


def test_metadata_of_items_goes_by_outline_or_by_place():
    outline = encode(SQUARE, SQUARE, item_metadata={1: {"class": "\u00b5"}})
    assert decode(outline).item_metadata == {"1": {"class": "\u00b5"}}
    points = encode_points([(1, 2), (3, 4)], item_metadata={(3, 4): {"class": 7}})
    assert decode(points).item_metadata == {"3,4": {"class": 7}}
    with zipfile.ZipFile(io.BytesIO(outline)) as archive:
        assert archive.namelist()[3:6] == [
            "lookup-tables/density_256px.png",
            "items_metadata.json.br",
            "polygon_container/tile_polygons_i.msgpack.br",
        ]


@pytest.mark.parametrize("index", [-1, 2])
def test_label_or_metadata_of_an_outline_that_is_not_there_is_refused(index):
    for named in {"labels": [(index, {})]}, {"item_metadata": {index: {}}}:
        with pytest.raises(ValueError, match=f"^there is no outline {index}$"):
            encode(SQUARE, SQUARE, **named)


def test_indices_and_coordinates_may_be_numpys():
    named = {"labels": [(np.int64(1), {})], "item_metadata": {np.uint8(1): {"a": 1}}}
    assert encode(SQUARE, SQUARE, **named) == encode(SQUARE, SQUARE, labels=[(1, {})], item_metadata={1: {"a": 1}})
    places = encode_points([(3, 4)], item_metadata={(np.int32(3), np.int64(4)): {"a": 1}})
    assert places == encode_points([(3, 4)], item_metadata={(3, 4): {"a": 1}})


@pytest.mark.parametrize("described", ["text", [1], [("a", 1)], None, 7])
def test_label_or_item_metadata_that_is_no_json_object_is_refused(described):
    for named in {"labels": [(0, described)]}, {"item_metadata": {0: described}}:
        with pytest.raises(TypeError, match="JSON object"):
            encode(SQUARE, **named)
    with pytest.raises(TypeError, match="JSON object"):
        encode_points([(1, 2)], item_metadata={(1, 2): described})


@pytest.mark.parametrize("index", [0.5, 0.0, "0", None])
def test_index_or_coordinate_that_is_no_integer_is_refused(index):
    for named in {"labels": [(index, {})]}, {"item_metadata": {index: {}}}:
        with pytest.raises(TypeError):
            encode(SQUARE, **named)
    with pytest.raises(TypeError):
        encode_points([(0, 0)], item_metadata={(0, index): {}})


@pytest.mark.parametrize("place", [(2, 1), (-1, 2), (2**70, 2)])
def test_metadata_of_a_point_that_is_not_there_is_refused(place):
    for mask in False, True:
        with pytest.raises(ValueError, match=f"^there is no point at {re.escape(str(place))}$"):
            encode_points([(1, 2)], mask=mask, item_metadata={(1, 2): {}, place: {}})


def test_label_or_item_metadata_json_cannot_hold_is_refused():
    for named in {"labels": [(0, {"a": float("nan")})]}, {"item_metadata": {0: {"a": float("inf")}}}:
        with pytest.raises(ValueError, match="JSON"):
            encode(SQUARE, **named)
    with pytest.raises(TypeError):
        encode(SQUARE, labels=[(0, {"a": object()})])


# Corner cases


def test_no_outlines_are_refused():
    with pytest.raises(ValueError, match="no outlines"):
        encode()


def test_no_points_are_refused():
    for mask in False, True:
        with pytest.raises(ValueError, match=r"^no points$"):
            encode_points([], mask=mask)


def test_outline_without_vertices_is_refused_by_its_number():
    with pytest.raises(ValueError, match=r"^outline 1 has no vertices$"):
        encode(SQUARE, np.empty((0, 2), np.int32), SQUARE)


def test_one_vertex_stays_one_vertex():
    assert outlines(encode([(5, 6)])) == [[[5, 6]]]


def test_two_vertices_stay_two_even_when_a_pixel_apart():
    assert outlines(encode([(5, 6), (5, 7)])) == [[[5, 6], [5, 7]]]


def test_two_identical_vertices_become_one():
    assert outlines(encode([(5, 6), (5, 6)])) == [[[5, 6]]]


def test_three_vertices_in_line_become_two():
    assert outlines(encode([(0, 0), (5, 5), (10, 10)])) == [[[0, 0], [10, 10]]]


def test_triangle_of_one_pixel_collapses_to_two_vertices():
    assert outlines(encode([(0, 0), (1, 0), (0, 1)])) == [[[0, 0], [0, 1]]]


def test_closing_vertex_is_kept_when_given():
    assert outlines(encode([*SQUARE, (0, 0)])) == [[*map(list, SQUARE), [0, 0]]]


@pytest.mark.parametrize("place", [(-1, 0), (0, -1), (61, 0), (0, 41), (2**31 - 1, 0), (0, -(2**31))])
def test_vertex_or_point_off_the_slide_is_refused_with_its_place(place):
    message = f"^{re.escape(str(place))} lies off the slide, 60 x 40 px$"
    with pytest.raises(ValueError, match=message):
        polygons_zip(Outlines.from_rings([SQUARE[:1], [(1, 1), place]]), {}, width=60, height=40)
    with pytest.raises(ValueError, match=message):
        points_zip(np.array([(1, 1), place], np.int32), {}, width=60, height=40)


def test_vertices_and_points_may_lie_on_the_far_edges_of_the_slide():
    corners = [(0, 0), (60, 0), (60, 40), (0, 40)]
    zipped = polygons_zip(Outlines.from_rings([corners]), {}, width=60, height=40)
    assert outlines(zipped) == [[list(corner) for corner in corners]]
    points = points_zip(np.array(corners, np.int32), {}, width=60, height=40)
    assert decode(points).points.tolist() == [list(corner) for corner in corners]


@pytest.mark.parametrize(
    "xy",
    [
        pytest.param(np.array([(1.5, 2.0)]), id="fractions"),
        pytest.param(np.array([(np.nan, 2.0)]), id="NaN"),
        pytest.param(np.array([(np.inf, 2.0)]), id="infinity"),
        pytest.param(np.array([(None, 2)]), id="None"),
        pytest.param(np.array([("1", "2")]), id="text"),
        pytest.param(np.array([1, 2], np.int32), id="one row"),
        pytest.param(np.array([(1, 2, 3)], np.int32), id="three coordinates"),
    ],
)
def test_places_that_are_not_whole_pixels_are_refused(xy):
    with pytest.raises(ValueError, match=r"^places must be whole pixels \[K, 2\], not "):
        points_zip(xy, {}, width=60, height=40)
    with pytest.raises(ValueError, match=r"^places must be whole pixels \[K, 2\], not "):
        polygons_zip(Outlines(xy, np.array([0, 1]), np.array([-1], np.int32)), {}, width=60, height=40)


@pytest.mark.parametrize(("width", "height"), [(2**31, 5), (5, 2**31)])
def test_slide_beyond_32_bits_is_refused(width, height):
    xy = np.array([(2, 3)])
    for encoded in (
        lambda: points_zip(xy, {}, width=width, height=height),
        lambda: polygons_zip(Outlines(xy, np.array([0, 1]), np.array([-1])), {}, width=width, height=height),
    ):
        with pytest.raises(ValueError, match=f"^no slide has {width} x {height} px$"):
            encoded()


# Metadata


def test_metadata_is_a_json_object_and_comes_back():
    metadata = {"name": "Kern \u2713", "count": 2, "nested": {"a": [1.5, None, True]}}
    assert decode(encode(SQUARE, metadata=metadata)).metadata == metadata
    assert decode(encode_points([(1, 1)], metadata=metadata)).metadata == metadata
    assert decode(encode_points([(1, 1)], metadata=metadata, mask=True)).metadata == metadata
    assert decode(encode_heatmap(np.zeros((1, 1), np.uint8), metadata)).metadata == metadata


@pytest.mark.parametrize("metadata", ['{"a": 1}', [("a", 1)], 7, {"a": object()}, {"a": {1, 2}}])
def test_metadata_that_is_no_json_object_is_a_type_error(metadata):
    with pytest.raises(TypeError):
        encode(SQUARE, metadata=metadata)
    with pytest.raises(TypeError):
        encode_points([(1, 1)], metadata=metadata)
    with pytest.raises(TypeError):
        encode_heatmap(np.zeros((1, 1), np.uint8), metadata)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_number_json_cannot_hold_is_a_value_error(number):
    with pytest.raises(ValueError, match="JSON"):
        encode(SQUARE, metadata={"score": number})


# Tiles and density


def test_tile_index_goes_by_the_bounding_box_of_the_simplified_outline():
    spike = [(250, 250), (256, 250), (250, 251)]  # reaches the next tile at (256, 250)
    nearly_flat = [(200, 255), (210, 256), (220, 255)]  # (210, 256) is one pixel off the line, so it goes
    assert tile_index(encode(spike, nearly_flat)) == {(0, 0): [0, 1], (0, 1): [0]}


def test_outline_is_big_from_10_001_square_pixels_of_bounding_box():
    at_limit = [(0, 0), (100, 0), (100, 100)]
    beyond = [(0, 0), (10_001, 0), (10_001, 1)]
    zipped = encode(at_limit, [(0, 0), (101, 0), (101, 100)], beyond, at_limit)
    assert tile_index(zipped, "big_tile_polygons_i") == {(0, 0): [1, 2]} | {(0, x): [2] for x in range(1, 40)}
    assert tile_index(encode(at_limit), "big_tile_polygons_i") == {}


def expected_index(boxes):
    """MessagePack of {row: {column: the outlines whose box touches the tile}}, outline by outline."""
    members = {}
    for number, (left, top, right, bottom) in enumerate(boxes):
        for row in range(top // 256, bottom // 256 + 1):
            for column in range(left // 256, right // 256 + 1):
                members.setdefault(row, {}).setdefault(column, []).append(number)
    return msgpack.packb(
        {row: {x: typed_array(each) for x, each in columns.items()} for row, columns in members.items()}
    )


def typed_array(numbers):
    stored = np.array(numbers, "<u4").tobytes()
    return {"isTypedArray": True, "bytes": stored, "type": "uint32", "len": len(numbers)}


def packed_index(boxes):
    low, high = np.array(boxes, np.int32).reshape(-1, 2, 2).swapaxes(0, 1)
    return b"".join(polygons.tile_index(Boxes(low, high), np.arange(len(boxes))))


near_a_change_of_form = st.sampled_from([0, 126, 127, 128, 254, 255, 256, 65_534, 65_535, 65_536])


@st.composite
def boxes_anywhere(draw):
    column, row = draw(st.tuples(near_a_change_of_form, near_a_change_of_form))
    wide, high = draw(st.tuples(st.integers(1, 20), st.integers(1, 4)))
    return [(256 * column, 256 * row, 256 * (column + wide) - 1, 256 * (row + high) - 1)] * draw(st.integers(1, 3))


@settings(deadline=None)
@given(st.lists(boxes_anywhere(), max_size=12), st.sampled_from([5, 1 << 17]))
def test_tile_index_is_the_messagepack_of_its_map(boxes, block):
    boxes = [box for equal in boxes for box in equal]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(polygons, "BLOCK_MEMBERSHIPS", block)
        assert packed_index(boxes) == expected_index(boxes)


@pytest.mark.parametrize("members", [1, 63, 64, 127, 128, 255, 256, 16_383, 16_384, 65_535, 65_536])
def test_tile_index_of_full_tiles_is_the_messagepack_of_its_map(members):
    boxes = [(0, 0, 9, 9)] * members + [(0, 0, 300, 300)]
    assert packed_index(boxes) == expected_index(boxes)


@pytest.mark.parametrize("columns", [15, 16, 65_535, 65_536, 70_000])
def test_tile_index_of_long_rows_is_the_messagepack_of_its_map(columns):
    boxes = [(0, 0, 256 * columns - 1, 300)]
    assert packed_index(boxes) == expected_index(boxes)


def test_tall_thin_outline_counts_in_every_band_it_passes(monkeypatch):
    monkeypatch.setattr(density, "BAND_TILES", 16)  # bands of 8 rows
    zipped = encode([(0, 0), (3, 0), (3, 1_023)])
    assert grey(zipped, 32) == [[255]] * 32
    assert grey(zipped, 256) == [[255]] * 4


def test_density_counts_every_outline_in_every_tile_its_box_touches():
    zipped = encode(SQUARE, [(300, 0), (310, 9)], [(33, 33), (34, 40)], [(40, 40), (41, 50)])
    assert grey(zipped, 32) == [[85, 85, 0, 0, 0, 0, 0, 0, 0, 85], [85, 255, 0, 0, 0, 0, 0, 0, 0, 0]]
    assert grey(zipped, 256) == [[255, 42]]  # 6 of the fine tiles' counts against 1


def test_density_of_only_big_outlines_is_one_black_pixel():
    zipped = encode([(0, 0), (5000, 0), (5000, 5000)])
    assert grey(zipped, 32) == grey(zipped, 256) == [[0]]


# Bounds


def peak_mb(work):
    tracemalloc.start()
    work()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 1e6


def test_far_outline_has_a_density_table_up_to_it():
    corner = 60_000
    pixels = np.array(grey(encode([(corner, corner), (corner - 9, corner), (corner, corner - 9)], side=corner), 32))
    assert pixels.shape == (1876, 1876)
    assert np.argwhere(pixels).tolist() == [[1874, 1874], [1874, 1875], [1875, 1874], [1875, 1875]]


def test_density_tables_are_made_in_little_memory_however_far_the_outline():
    corner = 1_000_000
    far = [(corner, corner), (corner - 9, corner), (corner, corner - 9)]
    assert peak_mb(lambda: encode(far, side=corner)) < 15


def test_outlines_over_the_whole_slide_are_indexed_in_bounded_memory():
    side = 100_000
    whole = [[(nth, nth), (side, nth), (side, side)] for nth in range(10)]  # 1.5 million memberships
    assert peak_mb(lambda: encode(*whole, side=side)) < 60


def test_tile_counts_are_the_memberships_of_each_outline():
    rings = SQUARE, [(250, 250), (256, 250)], [(0, 0), (5_119, 2_560)]
    index = tile_index(encode(*rings))
    counts = np.bincount([outline for outlines in index.values() for outline in outlines])
    given_outlines = Outlines.from_rings(rings)
    assert Boxes.around(given_outlines.xy, given_outlines.offsets).tile_counts().tolist() == counts.tolist()
    assert counts.tolist() == [1, 2, 20 * 11]


def test_outlines_that_touch_too_many_tiles_are_refused_with_both_numbers(monkeypatch):
    monkeypatch.setattr(anno2, "MOST_MEMBERSHIPS", 4)
    assert encode(SQUARE, [(250, 250), (260, 250)], SQUARE)
    with pytest.raises(ValueError, match=r"^the outlines touch 5 tiles of 256 px between them, more than 4$"):
        encode(SQUARE, [(250, 250), (260, 250)], SQUARE, SQUARE)
