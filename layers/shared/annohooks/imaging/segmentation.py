"""A region of a slide to findings: read in tiles, analysed as they arrive, traced as one picture."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from annohooks.core.deadline import Deadline
from annohooks.core.errors import BadRequest
from annohooks.imaging import contours
from annohooks.imaging.analyzers.base import Analyzer, Parameters
from annohooks.imaging.contours import Mask
from annohooks.imaging.decode import Picture
from annohooks.imaging.outlines import Outlines
from annohooks.imaging.region import Box, Region

_TILES_AHEAD = 4
_SAMPLE_PIECES = 4  # by as many, spread over a region that is larger than one picture
_SAMPLE_PIECE_PX = 480


class Slide(Protocol):
    """Where pictures come from."""

    width: int
    height: int
    mpp: float | None
    """Micrometres per pixel at full resolution; None when the slide does not say."""

    def picture(self, box: Box, downsample: int) -> Picture:
        """The pixels of a box on the slide, [ceil(height / downsample), ceil(width / downsample), 3]. Thread safe."""


@dataclass(frozen=True, slots=True)
class Limits:
    """picture_px: longest side of one picture; region_px: pixels of a region, all tiles together."""

    picture_px: int = 2000
    region_px: int = 64_000_000


ASSUMED_MPP = 0.25
"""Micrometres per pixel of a slide that does not say: a 40x scan."""


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """What an analyzer found in a region.

    outlines: in slide pixels, holes linked. area_um2: of all objects, holes taken off, counted in pixels.
    region_um2: what was looked at, 0 for a region that no pixel's centre lies in. downsample: slide pixels per analysed
    pixel, along a side.
    """

    outlines: Outlines
    area_um2: float
    region_um2: float
    downsample: int


def downsample_for(box: Box, slide_mpp: float, target_mpp: float, region_px: int) -> int:
    """The power of two that brings a slide nearest to target_mpp, from full resolution down, and within region_px."""
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

    Tiles overlap by the analyzer's halo and share one calibration; their inner parts make up one mask, which is traced
    in one piece, so an object cut by a tile border is one outline, holes included.
    Raises BadRequest when slide or region would have to be read too coarsely for the analyzer, DeadlineExceeded between
    tiles, and whatever slide.picture raises.
    """
    slide_mpp = slide.mpp or ASSUMED_MPP
    downsample = downsample_for(region.box, slide_mpp, analyzer.mpp, limits.region_px)
    mpp = slide_mpp * downsample
    if mpp > analyzer.coarsest_mpp:
        raise BadRequest(_too_coarse(slide_mpp, analyzer, limits))
    grid = _Grid(region.box, downsample, math.ceil(analyzer.halo_um / mpp), limits.picture_px, slide)
    deadline.check("drawing the region")
    inside = region.mask((grid.rows, grid.columns), downsample)
    if not inside.any():
        return Findings(Outlines.empty(), 0.0, 0.0, downsample)
    mask = np.zeros_like(inside)
    calibration = None
    if not grid.is_one_picture:
        calibration = analyzer.calibrate(_sample(slide, grid, inside), mpp, parameters)
    for tile, picture in _fetched(slide, grid, inside):
        deadline.check(f"looking for {analyzer.title.lower()}")
        if calibration is None:
            calibration = analyzer.calibrate(picture, mpp, parameters)
        grid.paste(mask, tile, analyzer.mask(picture, mpp, parameters, calibration))
    deadline.check("measuring what was found")
    mask &= inside
    per_um2 = 1 / mpp**2
    smallest_px = max(parameters.smallest_um2 * per_um2, 4.0)
    largest_px = parameters.largest_um2 * per_um2 or math.inf
    mask = contours.sized(mask, smallest_px, largest_px, analyzer.smallest_hole_um2 * per_um2)
    mask &= inside
    deadline.check("tracing what was found")
    outlines = contours.mapped(contours.outlines(mask), region.box.x, region.box.y, downsample)
    return Findings(
        outlines=outlines.clipped(slide.width, slide.height),
        area_um2=cv2.countNonZero(mask) / per_um2,
        region_um2=cv2.countNonZero(inside) / per_um2,
        downsample=downsample,
    )


def _too_coarse(slide_mpp: float, analyzer: Analyzer[Any, Any], limits: Limits) -> str:
    if slide_mpp > analyzer.coarsest_mpp:
        return (
            f"{analyzer.title} cannot be told apart on this slide: it has {slide_mpp:.2g} um per pixel, and "
            f"{analyzer.coarsest_mpp:.2g} or less is needed."
        )
    coarsest_mpp = slide_mpp * 2 ** math.floor(math.log2(analyzer.coarsest_mpp / slide_mpp))
    largest_mm2 = limits.region_px * (coarsest_mpp / 1000) ** 2
    return f"The region is too large to look for {analyzer.title.lower()}: please draw one below {largest_mm2:.1f} mm2."


@dataclass(frozen=True, slots=True)
class _Tile:
    """core: its part of the mask (row, column, height, width); box: what is read, on the slide; margin: where the core
    starts in the picture (row, column)."""

    core: tuple[int, int, int, int]
    box: Box
    margin: tuple[int, int]


class _Grid:
    """A region cut into tiles of whole analysed pixels."""

    def __init__(self, box: Box, downsample: int, halo_px: int, picture_px: int, slide: Slide) -> None:
        self.box, self.downsample, self.picture_px, self._slide = box, downsample, picture_px, slide
        self.columns, self.rows = math.ceil(box.width / downsample), math.ceil(box.height / downsample)
        self.is_one_picture = max(self.columns, self.rows) <= picture_px
        self._halo = 0 if self.is_one_picture else halo_px
        self._core = picture_px if self.is_one_picture else max(picture_px - 2 * halo_px, picture_px // 4)

    def tiles(self) -> Iterator[_Tile]:
        for row in range(0, self.rows, self._core):
            for column in range(0, self.columns, self._core):
                yield self._tile(row, column, min(self._core, self.rows - row), min(self._core, self.columns - column))

    def part(self, row: int, column: int, height: int, width: int) -> Box:
        """Analysed pixels to a box on the slide."""
        x, y = self.box.x + column * self.downsample, self.box.y + row * self.downsample
        right = min(x + width * self.downsample, self._slide.width)
        bottom = min(y + height * self.downsample, self._slide.height)
        return Box(x, y, right - x, bottom - y)

    def paste(self, mask: Mask, tile: _Tile, found: Mask) -> None:
        row, column, height, width = tile.core
        top, left = tile.margin
        mask[row : row + height, column : column + width] = found[top : top + height, left : left + width]

    def _tile(self, row: int, column: int, height: int, width: int) -> _Tile:
        top, left = min(self._halo, row), min(self._halo, column)
        bottom = min(self._halo, self.rows - row - height)
        right = min(self._halo, self.columns - column - width)
        box = self.part(row - top, column - left, top + height + bottom, left + width + right)
        return _Tile((row, column, height, width), box, (top, left))


def _fetched(slide: Slide, grid: _Grid, inside: Mask) -> Iterator[tuple[_Tile, Picture]]:
    """Tiles in which something was drawn, with their pictures, in order, a few read ahead by threads.

    Ends only when no thread reads any more, so the caller may then give up the right to read.
    """
    waiting: deque[tuple[_Tile, Future[Picture]]] = deque()
    pool = ThreadPoolExecutor(_TILES_AHEAD, thread_name_prefix="tile")
    try:
        for tile in grid.tiles():
            row, column, height, width = tile.core
            if not inside[row : row + height, column : column + width].any():
                continue
            waiting.append((tile, pool.submit(slide.picture, tile.box, grid.downsample)))
            if len(waiting) > _TILES_AHEAD:
                first, picture = waiting.popleft()
                yield first, picture.result()
        for first, picture in waiting:
            yield first, picture.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _sample(slide: Slide, grid: _Grid, inside: Mask) -> Picture:
    """Pieces spread evenly over what was drawn, side by side, at the resolution of the analysis.

    Drawn so thinly that no piece meets it, the pieces of its box do.
    """
    height, width = (min(_SAMPLE_PIECE_PX, grid.picture_px, side) for side in (grid.rows, grid.columns))
    rows = np.unique(np.linspace(0, grid.rows - height, _SAMPLE_PIECES).astype(int))
    columns = np.unique(np.linspace(0, grid.columns - width, _SAMPLE_PIECES).astype(int))
    with ThreadPoolExecutor(_TILES_AHEAD, thread_name_prefix="sample") as pool:
        corners = [(int(row), int(column)) for row in rows for column in columns]
        drawn = [(row, column) for row, column in corners if inside[row : row + height, column : column + width].any()]
        boxes = [grid.part(row, column, height, width) for row, column in drawn or corners]
        pieces = list(pool.map(lambda box: slide.picture(box, grid.downsample), boxes))
    return np.hstack(pieces)
