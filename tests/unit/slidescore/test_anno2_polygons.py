"""Outlines as an anno2 zip: read back by the plain decoder, and checked member by member."""

from __future__ import annotations

import io
import re
import zipfile

import numpy as np
import pytest
from anno2_zips import SIDE_PX, SQUARE, encode, encode_heatmap, encode_points, item_count, member, outlines
from hypothesis import example, given
from hypothesis import strategies as st

from annohooks.imaging.outlines import Outlines
from annohooks.slidescore.anno2 import omega, points_zip, polygons_zip
from annohooks.slidescore.anno2.simplification import simplify
from local.anno2 import decode, signed
from local.anno2 import omega as decode_all

offsets_px = st.integers(0, 700) | st.integers(250, 260)


@st.composite
def rings_anywhere(draw):
    """One ring of up to 30 vertices, at most a few tiles wide, anywhere on the slide."""
    x, y = draw(st.tuples(*2 * [st.integers(0, SIDE_PX - 700)]))
    return [(x + dx, y + dy) for dx, dy in draw(st.lists(st.tuples(offsets_px, offsets_px), min_size=1, max_size=30))]


@given(st.lists(rings_anywhere(), min_size=1, max_size=20))
def test_the_decoded_outlines_are_the_outlines_simplified_to_one_pixel(rings):
    originals = Outlines.from_rings(rings)
    xy, offsets = simplify(originals.xy, originals.offsets, 1.0)
    assert outlines(encode(*rings)) == [part.tolist() for part in np.split(xy, offsets[1:-1])]


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


def test_the_members_are_uncompressed():
    with zipfile.ZipFile(io.BytesIO(encode(SQUARE, labels=[(0, {})], item_metadata={0: {"a": 1}}))) as archive:
        assert len(archive.infolist()) == 11
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_the_same_input_gives_the_same_bytes_at_any_time(monkeypatch):
    def zips():
        yield encode(SQUARE, metadata={"a": 1}, labels=[(0, {"text": "b"})], item_metadata={0: {"c": 2}})
        yield encode_points([(1, 2)])
        yield encode_points([(1, 2), (300, 2)], mask=True)
        yield encode_heatmap(np.eye(3, dtype=np.uint8))

    first = list(zips())
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    monkeypatch.setattr("time.localtime", lambda *_: (2033, 5, 18, 3, 33, 20, 2, 138, 0))
    assert list(zips()) == first


@pytest.mark.parametrize("dtype", [np.uint8, ">i2", np.uint64])
def test_other_integers_and_memory_orders_give_the_same_bytes_and_are_not_changed(dtype):
    size, originals = {"width": 999, "height": 999}, Outlines.from_rings([SQUARE, [(10, 10), (250, 20), (10, 20)]])
    xy = np.asfortranarray(originals.xy.astype(dtype))
    other = Outlines(xy.copy(order="K"), originals.offsets, originals.parent)
    assert polygons_zip(other, {}, **size) == polygons_zip(originals, {}, **size)
    assert np.array_equal(other.xy, xy)
    for mask in (False, True):
        assert points_zip(xy, {}, mask=mask, **size) == points_zip(originals.xy, {}, mask=mask, **size)


def test_no_outlines_or_no_vertices_are_refused():
    with pytest.raises(ValueError, match="no outlines"):
        encode()
    with pytest.raises(ValueError, match=r"^outline 1 has no vertices$"):
        encode(SQUARE, np.empty((0, 2), np.int32), SQUARE)


# Holes


def test_holes_are_linked_to_their_outline_and_count_as_items():
    inner = [(10, 10), (20, 10), (20, 20), (10, 20)]
    far = [(x + 500, y) for x, y in SQUARE]
    zipped = encode(inner, SQUARE, far, [(30, 30), (40, 30), (40, 40)], parent=[1, -1, -1, 1])
    assert decode(zipped).negatives == {1: [0, 3]}
    assert item_count(zipped) == 4


@pytest.mark.parametrize("parent", [[-1, 1], [-1, 2], [1, 0]], ids=["itself", "nothing", "a hole"])
def test_a_hole_outside_an_outer_outline_is_refused(parent):
    with pytest.raises(ValueError, match="not an outer outline"):
        encode(SQUARE, SQUARE, parent=parent)


# Labels and metadata of outlines


def test_labels_and_item_metadata_name_their_outline():
    labels = [(1, {"label": "tumour", "x": 5}), (0, {"label": "\u00b5"}), (1, {})]
    decoded = decode(encode(SQUARE, SQUARE, labels=labels, item_metadata={np.uint8(1): {"class": "\u00b5"}}))
    assert decoded.labels == [{**label, "polygon_i": outline} for outline, label in labels]
    assert decoded.item_metadata == {"1": {"class": "\u00b5"}}
    assert labels[0][1] == {"label": "tumour", "x": 5}


@pytest.mark.parametrize(
    ("index", "content", "error", "message"),
    [
        (-1, {}, ValueError, "^outline -1 does not exist$"),
        (2, {}, ValueError, "^outline 2 does not exist$"),
        (0.5, {}, TypeError, None),
        (0, [("a", 1)], TypeError, "JSON object"),
        (0, {"a": object()}, TypeError, None),
        (0, {"a": float("nan")}, ValueError, "JSON"),
    ],
)
def test_labels_and_metadata_without_an_outline_or_of_another_type_are_refused(index, content, error, message):
    for described in {"labels": [(index, content)]}, {"item_metadata": {index: content}}:
        with pytest.raises(error, match=message):
            encode(SQUARE, SQUARE, **described)


def test_the_metadata_of_every_kind_of_annotation_comes_back():
    metadata = {"name": "Kern \u2713", "count": 2, "nested": {"a": [1.5, None, True]}}
    for zipped in (
        encode(SQUARE, metadata=metadata),
        encode_points([(1, 1)], metadata),
        encode_points([(1, 1)], metadata, mask=True),
        encode_heatmap(np.zeros((1, 1), np.uint8), metadata),
    ):
        assert decode(zipped).metadata == metadata
    for refused in ("text", [("a", 1)], {"a": object()}):
        with pytest.raises(TypeError):
            encode(SQUARE, metadata=refused)


# Places


@pytest.mark.parametrize("place", [(-1, 0), (0, -1), (61, 0), (0, 41), (2**31 - 1, 0)])
def test_a_vertex_off_the_slide_is_refused_with_its_place(place):
    with pytest.raises(ValueError, match=f"^{re.escape(str(place))} lies off the slide, 60 x 40 px$"):
        polygons_zip(Outlines.from_rings([SQUARE[:1], [(1, 1), place]]), {}, width=60, height=40)


@pytest.mark.parametrize("xy", [[(1.5, 2.0)], [(None, 2)], [("1", "2")], [1, 2], [(1, 2, 3)]], ids=str)
def test_vertices_that_are_no_pairs_of_integers_are_refused(xy):
    with pytest.raises(ValueError, match=r"^vertices and points must be integers \[K, 2\], not "):
        polygons_zip(Outlines(np.array(xy), np.array([0, 1]), np.array([-1], np.int32)), {}, width=60, height=40)


def test_a_slide_beyond_32_bits_is_refused():
    with pytest.raises(ValueError, match=r"^a slide of 5 x 2147483648 px is too large$"):
        polygons_zip(Outlines.from_rings([SQUARE]), {}, width=5, height=2**31)


# Elias omega codes


def plain(number):
    """The code of a number as a string of bits."""
    code = "0"
    while number > 1:
        group = f"{number:b}"
        code, number = group + code, len(group) - 1
    return code


def packed(bits):
    padded = bits + "0" * (-len(bits) % 8)
    return int(padded, 2).to_bytes(len(padded) // 8, "big")


@given(st.lists(st.integers(1, 2**32) | st.integers(1, 20), min_size=1, max_size=300))
@example([1, 2, 3, 4, 16])
def test_the_codes_are_those_of_a_plain_encoder(values):
    assert "".join(map(plain, [1, 2, 3, 4, 16])) == "0" + "100" + "110" + "101000" + "10100100000"  # as in the paper
    assert omega.encode(np.array(values, np.int64)) == packed("".join(map(plain, values)))


@given(st.lists(st.integers(-(2**31) + 1, 2**31 - 1) | st.integers(-5, 5), min_size=1, max_size=300))
def test_decoded_signed_numbers_are_the_originals(values):
    decoded = list(decode_all(omega.encode_signed(np.array(values, np.int64))))
    assert [signed(number) for number in decoded[: len(values)]] == values
