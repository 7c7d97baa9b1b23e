"""anno2, Slide Score's format for annotations of any size: writes the same zip members as its SDK, from arrays.

Source of the format: slidescore-sdk 1.5.4, whose encoder and decoder judge this one in tests/contract.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from operator import index

import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.outlines import IntArray, Outlines
from annohooks.slidescore.anno2.archive import archive, json_object
from annohooks.slidescore.anno2.compression import brotli_compressed
from annohooks.slidescore.anno2.density import density_members
from annohooks.slidescore.anno2.heatmap import heatmap_metadata, heatmap_png
from annohooks.slidescore.anno2.masks import masks_tar_gz
from annohooks.slidescore.anno2.points import anno1_points
from annohooks.slidescore.anno2.polygons import EncodedPolygons, negative_polygons, tile_index
from annohooks.slidescore.anno2.simplification import simplified
from annohooks.slidescore.anno2.tiles import TILE_PX, Boxes, changes

FINE_TOLERANCE_PX = 1.0
COARSE_TOLERANCE_PX = 16.0
FEW_POINTS = 500_000
"""Fewer points than this are stored as JSON, without density tables."""
DENSE_POINTS_PER_TILE = 30
"""FEW_POINTS or more are stored as pictures if the tiles that hold any have this many on average."""
MAX_TILE_ENTRIES = 10_000_000
"""Limit of one zip's tile index (sum of `Boxes.tile_counts`). It takes a few seconds and a few hundred MB."""


def polygons_zip(
    outlines: Outlines,
    metadata: Mapping[str, object],
    *,
    width: int,
    height: int,
    labels: Sequence[tuple[int, Mapping[str, object]]] = (),
    item_metadata: Mapping[int, Mapping[str, object]] | None = None,
) -> bytes:
    """An anno2 zip of outlines, simplified to one pixel.

    outlines: in slide pixels; each hole is linked to its outer outline. metadata: a JSON object for the annotation.
    width, height: of the slide, pixels; a vertex may lie on its far edge. labels: pairs of an outline's index and a
    JSON object. item_metadata: JSON objects by the index of their outline. The same input gives the same bytes.
    Time is linear in the vertices (`simplification.simplified` describes the exceptions), in the entries of the tile
    index and, for the density tables, in the area from the slide's corner to the far end of the last outline that is
    not big: some 10 ns per tile of 32 px, 2.5 s for a slide of 500,000 x 500,000 px. Memory is linear in the vertices
    and in the entries of the tile index.
    Raises ValueError if there is no outline, an outline has no vertex, a vertex lies off the slide, a hole does not lie
    in an outer outline, the tile index needs more than MAX_TILE_ENTRIES, or labels or item_metadata name an outline
    that does not exist. Raises TypeError or ValueError if a JSON object is something else, or an index is no integer.
    """
    if not len(outlines):
        raise ValueError("no outlines")
    if outlines.counts.min() < 1:
        raise ValueError(f"outline {outlines.counts.argmin()} has no vertices")
    outlines = replace(outlines, xy=_on_slide(outlines.xy, width, height))
    outer_of_hole = outlines.parent[~outlines.is_outer]
    if outer_of_hole.size and (outer_of_hole.max() >= len(outlines) or not outlines.is_outer[outer_of_hole].all()):
        raise ValueError("a hole lies in something that is not an outer outline")
    labels = [(index(outline), json_object(label)) for outline, label in labels]
    by_outline = {index(outline): json_object(content) for outline, content in (item_metadata or {}).items()}
    for outline in (*(outline for outline, _ in labels), *by_outline):
        if not 0 <= outline < len(outlines):
            raise ValueError(f"outline {outline} does not exist")
    return archive("polygons", len(outlines), metadata, _polygon_members(outlines, labels, by_outline))


def _polygon_members(
    outlines: Outlines,
    labels: Sequence[tuple[int, Mapping[str, object]]],
    item_metadata: Mapping[int, Mapping[str, object]],
) -> Iterator[tuple[str, bytes]]:
    fine, coarse, box_blocks = EncodedPolygons(), EncodedPolygons(), []
    for block, coarse_block in simplified(outlines.xy, outlines.offsets, (FINE_TOLERANCE_PX, COARSE_TOLERANCE_PX)):
        fine.add(*block)
        coarse.add(*coarse_block)
        box_blocks.append(Boxes.around(*block))
    boxes = Boxes.concatenate(box_blocks)
    tile_entries = int(boxes.tile_counts().sum())
    if tile_entries > MAX_TILE_ENTRIES:
        raise ValueError(f"the tile index needs {tile_entries} entries; the limit is {MAX_TILE_ENTRIES}")
    yield from density_members(boxes[~boxes.big])
    yield from _item_metadata_members(item_metadata)
    yield "polygon_container/tile_polygons_i.msgpack.br", brotli_compressed(tile_index(boxes, np.arange(len(outlines))))
    big_index = tile_index(boxes[boxes.big], np.flatnonzero(boxes.big))
    yield "polygon_container/big_tile_polygons_i.msgpack.br", brotli_compressed(big_index)
    yield "polygon_container/encoded_polygons.bin.br", brotli_compressed(fine.blocks())
    yield "polygon_container/simpl_encoded_polygons.bin.br", brotli_compressed(coarse.blocks())
    yield "polygon_container/negative_polygons.json", negative_polygons(outlines.parent)
    if labels:
        linked = [{**label, "polygon_i": outline} for outline, label in labels]
        yield "labels.json", json.dumps(linked, indent=2, allow_nan=False).encode()


def points_zip(
    xy: IntArray,
    metadata: Mapping[str, object],
    *,
    width: int,
    height: int,
    mask: bool = False,
    item_metadata: Mapping[tuple[int, int], Mapping[str, object]] | None = None,
) -> bytes:
    """An anno2 zip of points, or of the pixels of a mask.

    xy: int32 [K, 2], slide pixels. Fewer than FEW_POINTS points, or on average fewer than DENSE_POINTS_PER_TILE per
    tile, are stored in their order with duplicates. All others, and the pixels of a mask, are stored as pictures.
    metadata, width, height: as for `polygons_zip`. item_metadata: JSON objects by the place (x, y) of their point. The
    same input gives the same bytes.
    Raises ValueError if there are no points, a point lies off the slide, or item_metadata names a place without a
    point. Raises TypeError or ValueError if a JSON object is something else, or a place is no pair of integers.
    """
    if not len(xy):
        raise ValueError("no points")
    xy = _on_slide(xy, width, height)
    by_place = {(index(x), index(y)): json_object(content) for (x, y), content in (item_metadata or {}).items()}
    places = set(map(tuple, xy.tolist())) if by_place else set()
    for place in by_place:
        if place not in places:
            raise ValueError(f"no point lies at {place}")
    items = {f"{x},{y}": content for (x, y), content in by_place.items()}
    return archive("mask" if mask else "points", len(xy), metadata, _point_members(xy, mask, items))


def _point_members(
    xy: IntArray, mask: bool, item_metadata: Mapping[str, Mapping[str, object]]
) -> Iterator[tuple[str, bytes]]:
    few = len(xy) < FEW_POINTS
    if mask or not few:
        yield from density_members(Boxes(xy, xy))
    if mask or (not few and len(xy) >= DENSE_POINTS_PER_TILE * _occupied_tiles(xy)):
        yield "masks.tar.gz", masks_tar_gz(xy)
    else:
        yield "anno1_points.json.br", anno1_points(xy)
    yield from _item_metadata_members(item_metadata)


def _occupied_tiles(xy: IntArray) -> int:
    column, row = (xy // TILE_PX).T
    return int(np.count_nonzero(changes(np.sort(row * (column.max() + np.int64(1)) + column))))


def heatmap_zip(
    levels: NDArray[np.uint8],
    metadata: Mapping[str, object],
    *,
    x: int,
    y: int,
    cell_px: int,
    width: int,
    height: int,
) -> bytes:
    """An anno2 zip of a heatmap, which is a grid of square cells.

    levels: uint8 [rows, columns]; levels[i, j] covers the slide pixels from x + j * cell_px to x + (j + 1) * cell_px,
    and from y + i * cell_px to y + (i + 1) * cell_px. metadata, width, height: as for `polygons_zip`. The same input
    gives the same bytes.
    Raises ValueError if levels have another type or shape or are empty, cell_px is no positive whole number, or the
    first cell begins off the slide. Raises TypeError or ValueError if the metadata is no JSON object.
    """
    if levels.dtype != np.uint8 or levels.ndim != 2 or not levels.size:
        raise ValueError(f"levels must be uint8 [rows, columns], not {levels.dtype} {list(levels.shape)}")
    if not isinstance(cell_px, int | np.integer) or cell_px < 1:
        raise ValueError(f"cell_px must be a positive whole number, not {cell_px}")
    _on_slide(np.array([(x, y)]), width, height)
    members = [
        ("heatmap.png", heatmap_png(levels)),
        ("heatmap_metadata.json", heatmap_metadata(int(x), int(y), int(cell_px))),
    ]
    return archive("heatmap", levels.size, metadata, members)


def _item_metadata_members(item_metadata: Mapping[int, object] | Mapping[str, object]) -> Iterator[tuple[str, bytes]]:
    if item_metadata:
        text = json.dumps(item_metadata, allow_nan=False)
        yield "items_metadata.json.br", brotli_compressed([text.encode()])


def _on_slide(xy: NDArray[np.integer], width: int, height: int) -> IntArray:
    """Vertices or points as int32. ValueError if they are no integers [K, 2] or one lies off the slide."""
    if max(width, height) > np.iinfo(np.int32).max:
        raise ValueError(f"a slide of {width} x {height} px is too large")
    if xy.dtype.kind not in "iu" or xy.ndim != 2 or xy.shape[1] != 2:
        raise ValueError(f"vertices and points must be integers [K, 2], not {xy.dtype} {list(xy.shape)}")
    if xy.min() < 0 or xy[:, 0].max() > width or xy[:, 1].max() > height:
        x, y = xy[((xy < 0) | (xy > (width, height))).any(axis=1)][0].tolist()
        raise ValueError(f"({x}, {y}) lies off the slide, {width} x {height} px")
    return xy.astype(np.int32, copy=False)
