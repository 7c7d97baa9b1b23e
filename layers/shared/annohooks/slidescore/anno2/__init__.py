"""anno2, Slide Score's format for annotations of any size: the zip its own SDK writes, member for member, from arrays.

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
from annohooks.slidescore.anno2.compression import brotlied
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
"""Fewer points than this are kept as JSON, without density tables."""
DENSE_POINTS_PER_TILE = 30
"""From this many points per tile that has any, as many points as that are kept as pictures."""
MOST_MEMBERSHIPS = 10_000_000
"""Of outlines in tiles (`Boxes.tile_counts`), in one zip: what takes a few seconds and a few hundred MB at most."""


def polygons_zip(
    outlines: Outlines,
    metadata: Mapping[str, object],
    *,
    width: int,
    height: int,
    labels: Sequence[tuple[int, Mapping[str, object]]] = (),
    item_metadata: Mapping[int, Mapping[str, object]] | None = None,
) -> bytes:
    """An anno2 zip of outlines, simplified to one pixel; a hole is linked from the outline it lies in.

    outlines: in slide pixels. metadata: a JSON object, kept with the annotation. width, height: the slide's, pixels; a
    vertex may lie on its far edge. labels: JSON objects, each after the index of the outline it belongs to.
    item_metadata: a JSON object of its own for any of the outlines, by index. The same input gives the same bytes.
    Time is linear in the vertices (`simplification.simplified` says what outlines that resist simplification look
    like), in the memberships and, for the density tables, in the area from the slide's corner to the far end of the
    last outline that is not big: some 10 ns for each tile of 32 px, 2.5 s for a slide of 500,000 px squared. Memory is
    linear in the vertices and in the memberships.
    Raises ValueError if there is no outline, if one has no vertex, if a vertex lies off the slide, if a hole does not
    lie in an outer outline, if the outlines touch more than MOST_MEMBERSHIPS tiles between them or if labels or
    item_metadata name an outline that is not there; TypeError or ValueError if what should be a JSON object is not, or
    the index of an outline is no integer.
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
    by_outline = {index(outline): json_object(described) for outline, described in (item_metadata or {}).items()}
    for outline in (*(outline for outline, _ in labels), *by_outline):
        if not 0 <= outline < len(outlines):
            raise ValueError(f"there is no outline {outline}")
    return archive("polygons", len(outlines), metadata, _polygon_members(outlines, labels, by_outline))


def _polygon_members(
    outlines: Outlines,
    labels: Sequence[tuple[int, Mapping[str, object]]],
    item_metadata: Mapping[int, Mapping[str, object]],
) -> Iterator[tuple[str, bytes]]:
    fine, coarse, around = EncodedPolygons(), EncodedPolygons(), []
    for block, coarse_block in simplified(outlines.xy, outlines.offsets, (FINE_TOLERANCE_PX, COARSE_TOLERANCE_PX)):
        fine.add(*block)
        coarse.add(*coarse_block)
        around.append(Boxes.around(*block))
    boxes = Boxes.concatenate(around)
    memberships = int(boxes.tile_counts().sum())
    if memberships > MOST_MEMBERSHIPS:
        raise ValueError(
            f"the outlines touch {memberships} tiles of {TILE_PX} px between them, more than {MOST_MEMBERSHIPS}"
        )
    yield from density_members(boxes[~boxes.big])
    yield from _item_metadata_members(item_metadata)
    yield "polygon_container/tile_polygons_i.msgpack.br", brotlied(tile_index(boxes, np.arange(len(outlines))))
    big_index = tile_index(boxes[boxes.big], np.flatnonzero(boxes.big))
    yield "polygon_container/big_tile_polygons_i.msgpack.br", brotlied(big_index)
    yield "polygon_container/encoded_polygons.bin.br", brotlied(fine.blocks())
    yield "polygon_container/simpl_encoded_polygons.bin.br", brotlied(coarse.blocks())
    yield "polygon_container/negative_polygons.json", negative_polygons(outlines.parent)
    if labels:
        of_outlines = [{**label, "polygon_i": outline} for outline, label in labels]
        yield "labels.json", json.dumps(of_outlines, indent=2, allow_nan=False).encode()


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

    xy: int32 [K, 2], slide pixels. Points are in their order, duplicates kept, while they are fewer than FEW_POINTS or
    on average fewer than DENSE_POINTS_PER_TILE to a tile; beyond that they are pixels, as those of a mask always are.
    metadata, width, height: as for `polygons_zip`. item_metadata: a JSON object of its own for the place (x, y) of any.
    The same input gives the same bytes.
    Raises ValueError if there are no points, if one is off the slide or if item_metadata names a place where there is
    none; TypeError or ValueError if what should be a JSON object is not, or a place is no pair of integers.
    """
    if not len(xy):
        raise ValueError("no points")
    xy = _on_slide(xy, width, height)
    by_place = {(index(x), index(y)): json_object(described) for (x, y), described in (item_metadata or {}).items()}
    places = set(map(tuple, xy.tolist())) if by_place else set()
    for place in by_place:
        if place not in places:
            raise ValueError(f"there is no point at {place}")
    items = {f"{x},{y}": described for (x, y), described in by_place.items()}
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
    """An anno2 zip of a heatmap, a grid of square cells.

    levels: uint8 [rows, columns]; levels[i, j] covers the slide pixels from x + j * cell_px to x + (j + 1) * cell_px,
    and from y + i * cell_px likewise. metadata, width, height: as for `polygons_zip`.
    The same input gives the same bytes.
    Raises ValueError if levels are of another type or shape or empty, if a cell is not a whole number of pixels or if
    the first begins off the slide; TypeError or ValueError if the metadata is not a JSON object.
    """
    if levels.dtype != np.uint8 or levels.ndim != 2 or not levels.size:
        raise ValueError(f"levels must be uint8 [rows, columns], not {levels.dtype} {list(levels.shape)}")
    if not isinstance(cell_px, int | np.integer) or cell_px < 1:
        raise ValueError(f"cells of {cell_px} px")
    _on_slide(np.array([(x, y)]), width, height)
    members = [
        ("heatmap.png", heatmap_png(levels)),
        ("heatmap_metadata.json", heatmap_metadata(int(x), int(y), int(cell_px))),
    ]
    return archive("heatmap", levels.size, metadata, members)


def _item_metadata_members(item_metadata: Mapping[int, object] | Mapping[str, object]) -> Iterator[tuple[str, bytes]]:
    if item_metadata:
        text = json.dumps(item_metadata, allow_nan=False)
        yield "items_metadata.json.br", brotlied([text.encode()])


def _on_slide(xy: NDArray[np.integer], width: int, height: int) -> IntArray:
    """Vertices or points as int32; ValueError if they are not int [K, 2], or not all in [0, width] x [0, height]."""
    if max(width, height) > np.iinfo(np.int32).max:
        raise ValueError(f"no slide has {width} x {height} px")
    if xy.dtype.kind not in "iu" or xy.ndim != 2 or xy.shape[1] != 2:
        raise ValueError(f"places must be whole pixels [K, 2], not {xy.dtype} {list(xy.shape)}")
    if xy.min() < 0 or xy[:, 0].max() > width or xy[:, 1].max() > height:
        x, y = xy[((xy < 0) | (xy > (width, height))).any(axis=1)][0].tolist()
        raise ValueError(f"({x}, {y}) lies off the slide, {width} x {height} px")
    return xy.astype(np.int32, copy=False)
