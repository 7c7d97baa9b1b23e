"""slidescore-sdk judges the anno2 zips of anything: its decoder reads them, and its encoder writes the same members."""

from __future__ import annotations

import numpy as np
import pytest
from anno2_zips import (
    SIDE_PX,
    SMALL_BLOCKS,
    anno1,
    as_brushes,
    as_outlines,
    assert_same_members,
    patched,
    points,
    polygons,
    vendor_decoded,
    vendor_simplified,
)
from hypothesis import given
from hypothesis import strategies as st
from slidescore.lib.AnnoClasses import Points, Polygons
from slidescore.lib.Encoder import Encoder

from annohooks.slidescore import anno2
from annohooks.slidescore.anno2 import heatmap_zip, polygons_zip
from local.anno2 import decode

# For both sides, ten points are many, and three per tile are dense.
FEW_POINTS = (
    (Encoder, "few_points_cutoff", 10),
    (Encoder, "low_density_cutoff", 3),
    (anno2, "FEW_POINTS", 10),
    (anno2, "DENSE_POINTS_PER_TILE", 3),
)
block_sizes = st.sampled_from([(), SMALL_BLOCKS])
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


@pytest.mark.parametrize("limits", [(), FEW_POINTS], ids=["few points", "many points"])
@given(scattered | cells() | lines(), metadata, block_sizes)
def test_every_member_of_points_equals_the_vendor_encoders(vendor_zip, limits, places, metadata, blocks):
    with patched(*limits, *blocks):
        ours, theirs = points(places, metadata), vendor_zip(anno1(places), metadata)
    assert_same_members(ours, theirs)
    decoded = list(vendor_decoded(ours))
    assert decoded == (list(vendor_decoded(theirs)) if limits else places)


@given(scattered | cells() | lines(), metadata, block_sizes)
def test_every_member_of_a_mask_equals_the_vendor_encoders(vendor_zip, places, metadata, blocks):
    with patched(*blocks):
        ours = points(places, metadata, mask=True)
    given_points = Points(places)
    given_points.name = "mask"
    assert_same_members(ours, vendor_zip(given_points, metadata))
    assert sorted(vendor_decoded(ours)) == sorted(set(places))
    assert decode(ours).points.tolist() == decode(vendor_zip(given_points, metadata)).points.tolist()


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
