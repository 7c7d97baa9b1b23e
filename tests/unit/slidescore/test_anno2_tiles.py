"""The tile index and the density tables of an anno2 zip."""

from __future__ import annotations

import tracemalloc
from contextlib import contextmanager

import msgpack
import numpy as np
import pytest
from anno2_zips import SQUARE, density, encode, member, outlines
from hypothesis import given
from hypothesis import strategies as st

from annohooks.slidescore import anno2
from annohooks.slidescore.anno2 import density as density_module
from annohooks.slidescore.anno2 import polygons
from annohooks.slidescore.anno2.tiles import Boxes


def tile_index(zipped, name="tile_polygons_i"):
    """{(row, column): [outline, ...]}"""
    rows = msgpack.unpackb(member(zipped, f"polygon_container/{name}.msgpack.br"), strict_map_key=False)
    return {
        (row, column): np.frombuffer(entry["bytes"], "<u4").tolist()
        for row, columns in rows.items()
        for column, entry in columns.items()
    }


# Tile index


@given(st.lists(st.lists(st.tuples(*2 * [st.integers(0, 700)]), min_size=1, max_size=30), min_size=1, max_size=20))
def test_every_tile_with_a_vertex_of_an_outline_lists_that_outline(rings):
    zipped = encode(*rings)
    index = tile_index(zipped)
    for number, outline in enumerate(outlines(zipped)):
        for x, y in outline:
            assert number in index[y // 256, x // 256]


def test_the_index_goes_by_the_bounding_box_of_the_simplified_outline():
    spike = [(250, 250), (256, 250), (250, 251)]  # reaches the next tile at (256, 250)
    nearly_flat = [(200, 255), (210, 256), (220, 255)]  # (210, 256) is one pixel off the line, so it is removed
    assert tile_index(encode(spike, nearly_flat)) == {(0, 0): [0, 1], (0, 1): [0]}


def test_an_outline_is_big_from_10_001_square_pixels_of_bounding_box():
    at_limit = [(0, 0), (100, 0), (100, 100)]
    beyond = [(0, 0), (10_001, 0), (10_001, 1)]
    zipped = encode(at_limit, [(0, 0), (101, 0), (101, 100)], beyond, at_limit)
    assert tile_index(zipped, "big_tile_polygons_i") == {(0, 0): [1, 2]} | {(0, x): [2] for x in range(1, 40)}
    assert tile_index(encode(at_limit), "big_tile_polygons_i") == {}


def assert_packed_correctly(boxes):
    """The index of these boxes is the MessagePack of {row: {column: the outlines whose box touches the tile}}."""
    rows = {}
    for number, (left, top, right, bottom) in enumerate(boxes):
        for row in range(top // 256, bottom // 256 + 1):
            for column in range(left // 256, right // 256 + 1):
                rows.setdefault(row, {}).setdefault(column, []).append(number)
    for columns in rows.values():
        for column, numbers in columns.items():
            stored = np.array(numbers, "<u4").tobytes()
            columns[column] = {"isTypedArray": True, "bytes": stored, "type": "uint32", "len": len(numbers)}
    low, high = np.array(boxes, np.int32).reshape(-1, 2, 2).swapaxes(0, 1)
    assert b"".join(polygons.tile_index(Boxes(low, high), np.arange(len(boxes)))) == msgpack.packb(rows)


near_a_change_of_format = st.sampled_from([0, 126, 127, 128, 254, 255, 256, 65_534, 65_535, 65_536])


@st.composite
def equal_boxes(draw):
    column, row = draw(near_a_change_of_format), draw(near_a_change_of_format)
    right, bottom = column + draw(st.integers(1, 20)), row + draw(st.integers(1, 4))
    return [(256 * column, 256 * row, 256 * right - 1, 256 * bottom - 1)] * draw(st.integers(1, 3))


@given(st.lists(equal_boxes(), max_size=12), st.sampled_from([5, 1 << 17]))
def test_the_index_is_the_messagepack_of_its_map(boxes, block_entries):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(polygons, "BLOCK_TILE_ENTRIES", block_entries)
        assert_packed_correctly([box for equal in boxes for box in equal])


FULL_TILES = [[(0, 0, 9, 9)] * number + [(0, 0, 300, 300)] for number in (63, 64, 255, 256, 16_383, 16_384, 65_536)]
LONG_ROWS = [[(0, 0, 256 * columns - 1, 255)] for columns in (15, 16, 65_535, 65_536)]


@pytest.mark.parametrize(
    "boxes", [*FULL_TILES, *LONG_ROWS], ids=lambda boxes: f"{len(boxes)} boxes, the last {boxes[-1]}"
)
def test_the_index_of_full_tiles_and_long_rows_is_the_messagepack_of_its_map(boxes):
    assert_packed_correctly(boxes)


def test_an_index_with_too_many_entries_is_refused(monkeypatch):
    monkeypatch.setattr(anno2, "MAX_TILE_ENTRIES", 4)
    wide = [(250, 250), (260, 250)]
    assert encode(SQUARE, wide, SQUARE)
    with pytest.raises(ValueError, match=r"^the tile index needs 5 entries; the limit is 4$"):
        encode(SQUARE, wide, SQUARE, SQUARE)


# Density tables


def test_an_outline_counts_in_every_tile_that_its_box_touches():
    zipped = encode(SQUARE, [(300, 0), (310, 9)], [(33, 33), (34, 40)], [(40, 40), (41, 50)])
    assert density(zipped, 32) == [[85, 85, 0, 0, 0, 0, 0, 0, 0, 85], [85, 255, 0, 0, 0, 0, 0, 0, 0, 0]]
    assert density(zipped, 256) == [[255, 42]]  # the sums are 6 and 1


def test_a_tall_outline_counts_in_every_band(monkeypatch):
    monkeypatch.setattr(density_module, "BAND_TILES", 16)  # bands of 8 rows
    zipped = encode([(0, 0), (3, 0), (3, 1_023)])
    assert density(zipped, 32) == [[255]] * 32
    assert density(zipped, 256) == [[255]] * 4


def test_the_density_of_big_outlines_is_one_black_pixel():
    zipped = encode([(0, 0), (5000, 0), (5000, 5000)])
    assert density(zipped, 32) == density(zipped, 256) == [[0]]


# Memory


@contextmanager
def memory_below(limit_mb):
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < limit_mb * 1e6


def test_the_density_table_of_a_far_outline_reaches_to_it_in_little_memory():
    corner = 60_000
    pixels = np.array(density(encode([(corner, corner), (corner - 9, corner), (corner, corner - 9)], side=corner), 32))
    assert pixels.shape == (1876, 1876)
    assert np.argwhere(pixels).tolist() == [[1874, 1874], [1874, 1875], [1875, 1874], [1875, 1875]]
    corner = 1_000_000
    with memory_below(15):
        encode([(corner, corner), (corner - 9, corner), (corner, corner - 9)], side=corner)


def test_the_index_of_outlines_as_large_as_the_slide_needs_limited_memory():
    side = 100_000
    whole = [[(number, number), (side, number), (side, side)] for number in range(10)]  # 1.5 million entries
    with memory_below(60):
        encode(*whole, side=side)


# Memory
