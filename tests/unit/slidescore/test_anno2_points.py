"""Points and masks as an anno2 zip: as text while they are few or sparse, as pictures otherwise; and heatmaps."""

from __future__ import annotations

import io
import json
import re
import tarfile

import numpy as np
import pytest
from anno2_zips import density, encode_heatmap, encode_points, item_count, member, member_names
from hypothesis import given
from hypothesis import strategies as st

from annohooks.slidescore import anno2
from annohooks.slidescore.anno2 import points_zip
from local.anno2 import decode

AS_TEXT = "anno1_points.json.br"
AS_PICTURES = "masks.tar.gz"
METADATA_MEMBERS = ["system_metadata.json", "user_metadata.json"]
DENSITY_MEMBERS = ["lookup-tables/density_32px.png", "lookup-tables/density_256px.png"]

coordinates = st.integers(0, 700) | st.integers(250, 260)
places = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=200)


@pytest.fixture
def low_limits(monkeypatch):
    """Ten points are many, three per tile are dense."""
    monkeypatch.setattr(anno2, "FEW_POINTS", 10)
    monkeypatch.setattr(anno2, "DENSE_POINTS_PER_TILE", 3)


@given(places)
def test_decoded_points_have_their_order_and_their_duplicates_and_a_mask_has_each_place_once(points):
    decoded, mask = decode(encode_points(points)), decode(encode_points(points, mask=True))
    assert (decoded.type, mask.type) == ("points", "mask")
    assert decoded.points.tolist() == [list(point) for point in points]
    assert sorted(map(tuple, mask.points.tolist())) == sorted(set(points))


def test_the_member_of_few_points_is_their_json_without_density_even_if_they_are_dense(low_limits):
    zipped = encode_points([(7, 0), (10, 123456)], side=200_000)
    assert member(zipped, AS_TEXT) == b'[{"x": 7, "y": 0}, {"x": 10, "y": 123456}]'
    assert member_names(encode_points([(1, 1)] * 9)) == [*METADATA_MEMBERS, AS_TEXT]


def test_the_members_of_a_mask_are_its_density_and_its_tiles_in_slide_scores_order():
    zipped = encode_points([(600, 300), (0, 600), (10, 310), (599, 301), (300, 700), (600, 700)], mask=True)
    assert member_names(zipped) == [*METADATA_MEMBERS, *DENSITY_MEMBERS, AS_PICTURES]
    with tarfile.open(fileobj=io.BytesIO(member(zipped, AS_PICTURES))) as tar:
        names = tar.getnames()
    assert names == [f"tile_x{x}_y{y}.png" for x, y in [(2, 1), (0, 1), (0, 2), (1, 2), (2, 2)]]
    assert json.loads(member(zipped, "system_metadata.json")) == {"version": "0.2.0", "type": "mask", "numItems": 6}


def test_many_sparse_points_are_text_with_density(low_limits):
    points = [(7, 7)] * 7 + [(260, 7), (7, 260), (520, 7), (1, 1)]
    zipped = encode_points(points)
    assert decode(zipped).points.tolist() == [list(point) for point in points]
    assert density(zipped, 32) == [[255] + [0] * 7 + [32] + [0] * 7 + [32], *[[0] * 17] * 7, [32] + [0] * 16]
    assert density(zipped, 256) == [[255, 32, 32], [32, 0, 0]]


@pytest.mark.parametrize(("tiles", "form"), [(4, AS_PICTURES), (5, AS_TEXT)])
def test_points_are_pictures_from_the_limit_per_tile_that_has_points(low_limits, tiles, form):
    points = [(256 * (number % tiles), number) for number in range(12)]  # 3 and 2.4 per tile
    zipped = encode_points(points)
    assert form in member_names(zipped)
    assert sorted(map(tuple, decode(zipped).points.tolist())) == sorted(points)
    assert item_count(zipped) == 12


# Metadata of points


def test_item_metadata_goes_by_the_place_of_its_point():
    zipped = encode_points([(1, 2), (3, 4)], item_metadata={(3, 4): {"class": 7}})
    assert decode(zipped).item_metadata == {"3,4": {"class": 7}}
    assert zipped == encode_points([(1, 2), (3, 4)], item_metadata={(np.int32(3), np.int64(4)): {"class": 7}})


def test_metadata_that_is_no_json_object_or_has_no_point_is_refused():
    for place in (2, 1), (2**70, 2):
        with pytest.raises(ValueError, match=f"^no point lies at {re.escape(str(place))}$"):
            encode_points([(1, 2)], item_metadata={(1, 2): {}, place: {}})
    for item_metadata in {(1, 2): [1]}, {(1, 0.5): {}}:
        with pytest.raises(TypeError):
            encode_points([(1, 2)], item_metadata=item_metadata)


@pytest.mark.parametrize("mask", [False, True], ids=["points", "mask"])
def test_points_off_the_slide_are_refused_and_those_on_its_far_edges_are_not(mask):
    corners = [(0, 0), (60, 0), (0, 40), (60, 40)]
    zipped = points_zip(np.array(corners, np.int32), {}, width=60, height=40, mask=mask)
    assert decode(zipped).points.tolist() == [list(corner) for corner in corners]
    with pytest.raises(ValueError, match=r"^\(61, 0\) lies off the slide, 60 x 40 px$"):
        points_zip(np.array([(1, 1), (61, 0)], np.int32), {}, width=60, height=40, mask=mask)
    with pytest.raises(ValueError, match=r"^no points$"):
        encode_points([], mask=mask)


# Heatmaps


@given(st.integers(1, 40), st.integers(1, 40), st.randoms(use_true_random=False))
def test_the_decoded_heatmap_is_the_original(rows, columns, random):
    levels = np.frombuffer(random.randbytes(rows * columns), np.uint8).reshape(rows, columns)
    decoded = decode(encode_heatmap(levels, x=40, y=70, cell_px=128))
    assert decoded.type == "heatmap"
    assert np.array_equal(decoded.heatmap.levels, levels)
    assert (decoded.heatmap.x, decoded.heatmap.y, decoded.heatmap.cell_px) == (40, 70, 128)


def test_the_members_are_the_picture_and_its_place():
    zipped = encode_heatmap(np.array([[0, 1, 2], [253, 254, 255]], np.uint8), x=5, y=6, cell_px=7)
    assert member_names(zipped)[2:] == ["heatmap.png", "heatmap_metadata.json"]
    assert item_count(zipped) == 6
    assert member(zipped, "heatmap_metadata.json") == b'{\n  "x": 5,\n  "y": 6,\n  "sizePerPixel": 7\n}'


def test_a_view_with_more_rows_than_a_block_comes_back():
    levels = (np.arange(2 * 700 * 600) % 251).astype(np.uint8).reshape(700, 1200)[:, ::2]
    assert np.array_equal(decode(encode_heatmap(levels)).heatmap.levels, levels)


@pytest.mark.parametrize(
    "levels", [[[0.0, 1.0]], [[0, 256]], *(np.zeros(shape, np.uint8) for shape in [(3,), (2, 2, 3), (0, 3), (3, 0)])]
)
def test_levels_that_are_no_grid_of_bytes_are_refused(levels):
    with pytest.raises(ValueError, match=r"^levels must be uint8 \[rows, columns\], not "):
        encode_heatmap(levels)


def test_a_cell_that_is_no_whole_number_of_pixels_or_begins_off_the_slide_is_refused():
    for cell_px in (0, 64.0):
        with pytest.raises(ValueError, match=f"^cell_px must be a positive whole number, not {cell_px}$"):
            encode_heatmap(np.ones((1, 1), np.uint8), cell_px=cell_px)
    with pytest.raises(ValueError, match=r"^\(0, 41\) lies off the slide, 60 x 40 px$"):
        encode_heatmap(np.zeros((1, 1), np.uint8), y=41, width=60, height=40)
