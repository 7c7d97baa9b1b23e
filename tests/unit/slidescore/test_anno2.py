"""The anno2 zip, read back by the plain decoder, and its members one by one."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
import zlib

import brotli
import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annohooks.imaging.outlines import Outlines
from annohooks.slidescore.anno2 import points_zip, polygons_zip
from annohooks.slidescore.anno2.simplification import simplify
from local.anno2 import decode

SIDE_PX = 20_000
SQUARE = [(0, 0), (50, 0), (50, 50), (0, 50)]


def encode(*rings, parent=None, metadata=None, side=SIDE_PX):
    return polygons_zip(Outlines.from_rings(rings, parent), metadata or {}, width=side, height=side)


def encode_points(points, metadata=None, side=SIDE_PX):
    return points_zip(np.array(points, np.int32).reshape(-1, 2), metadata or {}, width=side, height=side)


def outlines(zipped):
    return [outline.tolist() for outline in decode(zipped).outlines]


def member(zipped, name):
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        content = archive.read(name)
    return brotli.decompress(content) if name.endswith(".br") else content


def tile_index(zipped, name="tile_polygons_i"):
    """{(row, column): [outline, ...]}"""
    rows = msgpack.unpackb(member(zipped, f"polygon_container/{name}.msgpack.br"), strict_map_key=False)
    return {
        (row, column): np.frombuffer(entry["bytes"], "<u4").tolist()
        for row, columns in rows.items()
        for column, entry in columns.items()
    }


def grey(zipped, tile_px):
    """Pixels of a density table, read by hand: 8-bit grey, rows unfiltered."""
    png = member(zipped, f"lookup-tables/density_{tile_px}px.png")
    chunks, at = {}, 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        name, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length) == (zlib.crc32(name + content),)
        chunks[name], at = content, at + 12 + length
    width, height = struct.unpack_from(">2I", chunks[b"IHDR"])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return rows[:, 1:].tolist()


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
    first = encode(SQUARE, metadata={"a": 1}), encode_points([(1, 2)])
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    monkeypatch.setattr("time.localtime", lambda *_: (2033, 5, 18, 3, 33, 20, 2, 138, 0))
    assert (encode(SQUARE, metadata={"a": 1}), encode_points([(1, 2)])) == first


def test_caller_keeps_its_arrays_unchanged():
    given_outlines = Outlines.from_rings([SQUARE, [(10, 10), (20, 20), (10, 20)]], [-1, 0])
    before = given_outlines.xy.copy(), given_outlines.offsets.copy(), given_outlines.parent.copy()
    polygons_zip(given_outlines, {}, width=50, height=50)
    assert all(map(np.array_equal, before, (given_outlines.xy, given_outlines.offsets, given_outlines.parent)))


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


# Corner cases


def test_no_outlines_are_refused():
    with pytest.raises(ValueError, match="no outlines"):
        encode()


def test_no_points_are_refused():
    with pytest.raises(ValueError, match=r"^0 points: "):
        encode_points([])


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


def test_most_points_are_499_999_and_one_more_is_refused_with_the_limit():
    xy = np.arange(500_000, dtype=np.int32).repeat(2).reshape(-1, 2)
    with pytest.raises(ValueError, match=r"^500000 points: .* 499999$"):
        points_zip(xy, {}, width=10**6, height=10**6)
    assert np.array_equal(decode(points_zip(xy[1:], {}, width=10**6, height=10**6)).points, xy[1:])


# Metadata


def test_metadata_is_a_json_object_and_comes_back():
    metadata = {"name": "Kern \u2713", "count": 2, "nested": {"a": [1.5, None, True]}}
    assert decode(encode(SQUARE, metadata=metadata)).metadata == metadata
    assert decode(encode_points([(1, 1)], metadata=metadata)).metadata == metadata


@pytest.mark.parametrize("metadata", ['{"a": 1}', [("a", 1)], 7, {"a": object()}, {"a": {1, 2}}])
def test_metadata_that_is_no_json_object_is_a_type_error(metadata):
    with pytest.raises(TypeError):
        encode(SQUARE, metadata=metadata)
    with pytest.raises(TypeError):
        encode_points([(1, 1)], metadata=metadata)


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


def test_density_counts_every_outline_in_every_tile_its_box_touches():
    zipped = encode(SQUARE, [(300, 0), (310, 9)], [(33, 33), (34, 40)], [(40, 40), (41, 50)])
    assert grey(zipped, 32) == [[85, 85, 0, 0, 0, 0, 0, 0, 0, 85], [85, 255, 0, 0, 0, 0, 0, 0, 0, 0]]
    assert grey(zipped, 256) == [[255, 42]]  # 6 of the fine tiles' counts against 1


def test_density_of_only_big_outlines_is_one_black_pixel():
    zipped = encode([(0, 0), (5000, 0), (5000, 5000)])
    assert grey(zipped, 32) == grey(zipped, 256) == [[0]]


# The decoder itself


def rewritten(zipped, name, content):
    """The zip with one member replaced, or left out."""
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


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        (ENCODED, None, "is missing"),
        ("system_metadata.json", None, "is missing"),
        ("system_metadata.json", b'{"type": "polygons", "numItems": 2}', "2 items announced, 1 found"),
        ("system_metadata.json", b'{"type": "heatmap", "numItems": 1}', "type heatmap"),
        (NEGATIVE, b'{"0": [1]}', "not there"),
        (NEGATIVE, b'{"5": [0]}', "not there"),
        (ENCODED, b"\x00\x02\x00\x00", "tiles of 512 px"),
        (ENCODED, struct.pack("<5I", 256, 1, 1, 4, 4) + bytes(12) + struct.pack("<I", 2) + b"ab", "do not add up"),
        (ENCODED, struct.pack("<5I", 256, 1, 1, 4, 2) + bytes(12) + struct.pack("<I", 2) + b"ab", "runs end"),
    ],
)
def test_decoder_refuses_a_zip_that_does_not_agree_with_itself(name, content, complaint):
    with pytest.raises(ValueError, match=complaint):
        decode(rewritten(encode(SQUARE), name, content))


@pytest.mark.parametrize("content", [b"", b"not a zip", encode(SQUARE)[:-40]])
def test_decoder_refuses_what_is_not_a_zip(content):
    with pytest.raises(ValueError, match="not an anno2 zip"):
        decode(content)
