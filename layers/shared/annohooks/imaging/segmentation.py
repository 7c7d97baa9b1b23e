"""Runs an analyzer on a region of a slide: reads it in tiles, and analyses and traces each tile when it arrives."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

import cv2
import numpy as np

from annohooks.core.deadline import Deadline
from annohooks.core.errors import AnnohooksError, BadRequest
from annohooks.imaging.analyzers.base import Analyzer, ClassMap, Parameters
from annohooks.imaging.decode import Picture
from annohooks.imaging.findings import Findings
from annohooks.imaging.outlines import contours
from annohooks.imaging.outlines.contours import Mask
from annohooks.imaging.outlines.tracing import Drawn, Sizes, Tracing
from annohooks.imaging.region import Box, Region

_TILES_AHEAD = 4
_SAMPLE_PIECES = 4  # rows and columns of pieces, spread over a region that is larger than one picture
_SAMPLE_PIECE_PX = 480


class Slide(Protocol):
    """A slide that pictures can be read from."""

    width: int
    height: int
    mpp: float | None
    """Micrometres per pixel at full resolution; None if it is unknown."""

    def picture(self, box: Box, downsample: int) -> Picture:
        """The pixels of a box, [ceil(height / downsample), ceil(width / downsample), 3]. Thread safe."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one region.

    picture_px: longest side of one picture. region_px: analysed pixels of all tiles. objects, vertices: of the
    outlines; when there are more, the smallest objects have none.
    """

    picture_px: int = 2000
    region_px: int = 64_000_000
    objects: int = 250_000
    vertices: int = 16_000_000


ASSUMED_MPP = 0.25
"""Micrometres per pixel of a slide for which they are unknown: a 40x scan."""


def downsample_for(box: Box, slide_mpp: float, target_mpp: float, region_px: int) -> int:
    """The power of two, from 1, that brings a slide nearest to target_mpp; larger if region_px would be exceeded."""
    downsample: int = 1 << max(0, round(math.log2(target_mpp / slide_mpp)))
    while math.ceil(box.width / downsample) * math.ceil(box.height / downsample) > region_px:
        downsample *= 2
    return downsample


def segment(
    slide: Slide,
    region: Region,
    analyzer: Analyzer[Any, Any],
    parameters: Parameters,
    deadline: Deadline,
    limits: Limits,
) -> Findings:
    """Runs an analyzer over a region of any size.

    Tiles overlap by the analyzer's halo and share one calibration. Their inner parts are traced, and objects that lie
    in several tiles are joined, so the outlines equal those of the region in one picture. Memory: the tiles in flight
    and the findings. Raises BadRequest if the slide or the region has to be read at a resolution too coarse for the
    analyzer, DeadlineExceeded between tiles, AnnohooksError for an invalid class map, and what slide.picture raises.
    """
    slide_mpp = slide.mpp or ASSUMED_MPP
    downsample = downsample_for(region.box, slide_mpp, analyzer.mpp, limits.region_px)
    mpp = slide_mpp * downsample
    if mpp > analyzer.coarsest_mpp:
        raise BadRequest(_too_coarse(slide_mpp, analyzer, limits))
    grid = _Grid(region.box, downsample, math.ceil(analyzer.halo_um / mpp), limits.picture_px, slide)
    px_per_um2, activity = 1 / mpp**2, f"looking for {analyzer.title.lower()}"
    smallest_px = max(parameters.smallest_um2 * px_per_um2, 4.0)
    sizes = Sizes(
        smallest_px,
        parameters.largest_um2 * px_per_um2 or math.inf,
        min(analyzer.smallest_hole_um2 * px_per_um2, smallest_px),
    )

    def drawn(row: int, column: int, height: int, width: int) -> Mask | None:
        part = (height, width), downsample, row, column
        return None if region.fills(*part) else region.mask(*part)

    tracing = Tracing((grid.rows, grid.columns), len(analyzer.classes), sizes, limits.objects, limits.vertices, drawn)
    deadline.check("drawing the region")
    tiles = _drawn_tiles(grid, drawn)
    first = next(tiles, None)
    calibration, region_px = None, 0
    if first and not grid.is_one_picture:
        calibration = analyzer.calibrate(_sample(slide, grid, drawn), mpp, parameters)
    for tile, picture in _fetched(slide, grid, chain([first] if first else [], tiles)):
        deadline.check(activity)
        if calibration is None:
            calibration = analyzer.calibrate(picture, mpp, parameters)
        class_map = analyzer.class_map(picture, mpp, parameters, calibration)
        _require_valid(class_map, picture, analyzer)
        class_map = tile.cut(class_map)
        region_px += class_map.size if tile.inside is None else cv2.countNonZero(tile.inside)
        for number in range(1, len(analyzer.classes) + 1):
            mask = cv2.inRange(class_map, number, number)
            if tile.inside is not None:
                mask = cv2.bitwise_and(mask, tile.inside)
            tracing.add(mask.astype(np.uint8, copy=False), number, tile.row, tile.column, tile.inside)
    traced = tracing.finish(lambda: deadline.check("joining the outlines"))
    outlines = contours.placed(traced.outlines, region.box.x, region.box.y, downsample)
    return Findings(
        region=region,
        outlines=outlines.clipped(slide.width, slide.height),
        classes=traced.classes,
        object_counts=traced.object_counts,
        area_um2=traced.pixels / px_per_um2,
        region_um2=region_px / px_per_um2,
        downsample=downsample,
        slide_mpp=slide_mpp,
    )


def _require_valid(class_map: ClassMap, picture: Picture, analyzer: Analyzer[Any, Any]) -> None:
    """Raises AnnohooksError for an invalid class map, whose counts would be wrong without anyone noticing."""
    if class_map.dtype != np.uint8 or class_map.shape != picture.shape[:2]:
        problem = f"{class_map.dtype} {list(class_map.shape)} for a picture of {list(picture.shape[:2])}"
    elif (highest := int(class_map.max())) > len(analyzer.classes):
        problem = f"of class {highest}, where there are {len(analyzer.classes)}"
    else:
        return
    raise AnnohooksError(f'The analysis "{analyzer.title}" does not work: its class map is {problem}.')


def _too_coarse(slide_mpp: float, analyzer: Analyzer[Any, Any], limits: Limits) -> str:
    if slide_mpp > analyzer.coarsest_mpp:
        return (
            f"{analyzer.title} cannot be recognised on this slide: it has {slide_mpp:.2g} um per pixel, and "
            f"{analyzer.coarsest_mpp:.2g} or less is needed."
        )
    coarsest_mpp = slide_mpp * 2 ** math.floor(math.log2(analyzer.coarsest_mpp / slide_mpp))
    largest_mm2 = limits.region_px * (coarsest_mpp / 1000) ** 2
    return (
        f"The region is too large to look for {analyzer.title.lower()}: please draw a region smaller than "
        f"{largest_mm2:.1f} mm2."
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Tile:
    """A part of the region, and the larger box that is read for it.

    row, column, height, width: the part, in analysed pixels of the region. inside: a mask of the drawn pixels of the
    part, None if all were drawn. box: on the slide. top, left: the position of the part in the picture of the box.
    """

    row: int
    column: int
    height: int
    width: int
    inside: Mask | None
    box: Box
    top: int
    left: int

    def cut(self, mask: Mask) -> Mask:
        """The part, cut out of a mask of the picture."""
        return mask[self.top : self.top + self.height, self.left : self.left + self.width]


class _Grid:
    """Divides a region into tiles of whole analysed pixels."""

    def __init__(self, box: Box, downsample: int, halo_px: int, picture_px: int, slide: Slide) -> None:
        self.box, self.downsample, self.picture_px, self._slide = box, downsample, picture_px, slide
        self.columns, self.rows = math.ceil(box.width / downsample), math.ceil(box.height / downsample)
        self.is_one_picture = max(self.columns, self.rows) <= picture_px
        self._halo = 0 if self.is_one_picture else halo_px
        self._core = picture_px if self.is_one_picture else max(picture_px - 2 * halo_px, picture_px // 10)

    def parts(self) -> Iterator[tuple[int, int, int, int]]:
        """The tiles without their overlap: row, column, height, width."""
        for row in range(0, self.rows, self._core):
            for column in range(0, self.columns, self._core):
                yield row, column, min(self._core, self.rows - row), min(self._core, self.columns - column)

    def box_of(self, row: int, column: int, height: int, width: int) -> Box:
        """The box on the slide of a rectangle in analysed pixels."""
        x, y = self.box.x + column * self.downsample, self.box.y + row * self.downsample
        right = min(x + width * self.downsample, self._slide.width)
        bottom = min(y + height * self.downsample, self._slide.height)
        return Box(x, y, right - x, bottom - y)

    def tile(self, row: int, column: int, height: int, width: int, inside: Mask | None) -> _Tile:
        top, left = min(self._halo, row), min(self._halo, column)
        bottom = min(self._halo, self.rows - row - height)
        right = min(self._halo, self.columns - column - width)
        box = self.box_of(row - top, column - left, top + height + bottom, left + width + right)
        return _Tile(row, column, height, width, inside, box, top, left)


def _drawn_tiles(grid: _Grid, drawn: Drawn) -> Iterator[_Tile]:
    """The tiles that contain drawn pixels."""
    for part in grid.parts():
        inside = drawn(*part)
        if inside is None or inside.any():
            yield grid.tile(*part, inside)


def _fetched(slide: Slide, grid: _Grid, tiles: Iterable[_Tile]) -> Iterator[tuple[_Tile, Picture]]:
    """Tiles with their pictures, in order. Threads read a few tiles ahead.

    It ends only when no thread reads any more, so that the caller can then give up the right to read.
    """
    waiting: deque[tuple[_Tile, Future[Picture]]] = deque()
    pool = ThreadPoolExecutor(_TILES_AHEAD, thread_name_prefix="tile")
    try:
        for tile in tiles:
            waiting.append((tile, pool.submit(slide.picture, tile.box, grid.downsample)))
            if len(waiting) > _TILES_AHEAD:
                first, picture = waiting.popleft()
                yield first, picture.result()
        while waiting:
            first, picture = waiting.popleft()
            yield first, picture.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _sample(slide: Slide, grid: _Grid, drawn: Drawn) -> Picture:
    """Pieces of the region side by side, at the resolution of the analysis, for the calibration.

    They are spread evenly over the box of the region; those without drawn pixels are left out. If no piece has drawn
    pixels, because the shapes are thin, all pieces are used.
    """
    height, width = (min(_SAMPLE_PIECE_PX, grid.picture_px, side) for side in (grid.rows, grid.columns))
    rows = np.unique(np.linspace(0, grid.rows - height, _SAMPLE_PIECES).astype(int)).tolist()
    columns = np.unique(np.linspace(0, grid.columns - width, _SAMPLE_PIECES).astype(int)).tolist()
    parts = [(row, column, height, width) for row in rows for column in columns]
    insides = [drawn(*part) for part in parts]
    drawn_parts = [part for part, inside in zip(parts, insides, strict=True) if inside is None or inside.any()]
    with ThreadPoolExecutor(_TILES_AHEAD, thread_name_prefix="sample") as pool:
        boxes = [grid.box_of(*part) for part in drawn_parts or parts]
        pieces = list(pool.map(lambda box: slide.picture(box, grid.downsample), boxes))
    return np.hstack(pieces)
