"""Density maps: the number of objects per area, in square cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.outlines import FloatArray
from annohooks.imaging.region import Box, Region

MAX_CELLS = 4_000_000
_SAMPLES = 8  # along a side of a cell, to measure how much of it was drawn
_MAX_SAMPLES = 16_000_000
_MIN_COVERED = 0.5  # of a cell; smaller parts count as this much, or one object in a sliver would give a high density
_FINEST_SIGMA = 8  # in cells; a wider Gaussian is computed on larger cells


@dataclass(frozen=True, slots=True, eq=False)
class DensityMap:
    """Cells of cell_px by cell_px slide pixels; the corner of the first cell is at (x, y).

    Cell (r, c) covers slide x + c * cell_px to x + (c + 1) * cell_px, and y in the same way. levels: uint8
    [rows, columns], 0 where there are no objects, 255 in the cell of the highest density. per_mm2: the density in
    objects per mm2 that 255 stands for.
    """

    x: int
    y: int
    cell_px: int
    levels: NDArray[np.uint8]
    per_mm2: float


def density_map(
    centres: FloatArray, regions: Sequence[Region], cell_um: float, slide_mpp: float, smoothing_um: float = 0.0
) -> DensityMap:
    """The density of objects in the smallest box of whole cells that contains all regions.

    centres: float64 [N, 2], slide pixels, of the objects. regions: at least one. cell_um: side of a cell, rounded to
    whole slide pixels, and enlarged by a whole factor if there would be more than MAX_CELLS. smoothing_um: standard
    deviation of a Gaussian, 0 for none; areas that were not drawn do not lower the result. The density of a cell is
    its objects per drawn area, which counts as at least half a cell.
    """
    box = regions[0].box
    for region in regions:
        box = box.around(region.box)
    cell_px = max(1, round(cell_um / slide_mpp))
    cell_px *= _enlargement(box, cell_px)
    rows, columns = math.ceil(box.height / cell_px), math.ceil(box.width / cell_px)
    # A centre on the far edge of the last cell belongs to this cell.
    column, row = np.clip((centres - (box.x, box.y)) // cell_px, 0, (columns - 1, rows - 1)).astype(np.int64).T
    count = np.bincount(row * columns + column, minlength=rows * columns).reshape(rows, columns).astype(np.float32)
    covered = _covered(regions, box, cell_px, rows, columns)
    drawn = (covered > 0) | (count > 0)
    min_covered = _MIN_COVERED
    if smoothing_um:
        sigma = smoothing_um / (cell_px * slide_mpp)
        count, covered = _smoothed(count, sigma), _smoothed(covered, sigma)
        min_covered *= min(1, 1 / (2 * math.pi * sigma**2))  # the peak of one smoothed cell
    cell_mm2 = (cell_px * slide_mpp / 1000) ** 2
    per_mm2 = np.where(drawn, count / (np.maximum(covered, min_covered) * cell_mm2), 0)
    highest = float(per_mm2.max())
    levels = np.rint(per_mm2 * (255 / highest)).astype(np.uint8) if highest else np.zeros((rows, columns), np.uint8)
    return DensityMap(box.x, box.y, cell_px, np.maximum(levels, per_mm2 > 0), highest)


def _enlargement(box: Box, cell_px: int) -> int:
    """The factor by which cells have to be larger so that the box has at most MAX_CELLS."""
    factor = max(1, math.isqrt(math.ceil(box.width * box.height / (cell_px**2 * MAX_CELLS))))
    while math.ceil(box.width / (factor * cell_px)) * math.ceil(box.height / (factor * cell_px)) > MAX_CELLS:
        factor += 1
    return factor


def _smoothed(cells: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """A Gaussian mean, with 0 outside the map. A wide one is computed on larger cells and interpolated linearly."""
    rows, columns = cells.shape
    factor = max(1, int(sigma / _FINEST_SIGMA))
    padded = cv2.copyMakeBorder(cells, 0, -rows % factor, 0, -columns % factor, cv2.BORDER_CONSTANT)
    height, width = padded.shape
    larger = cv2.resize(padded, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    smoothed = cv2.GaussianBlur(larger, (0, 0), sigma / factor, borderType=cv2.BORDER_CONSTANT)
    return cv2.resize(smoothed, (width, height))[:rows, :columns].astype(np.float32, copy=False)


def _covered(regions: Sequence[Region], box: Box, cell_px: int, rows: int, columns: int) -> NDArray[np.float32]:
    """The part of each cell that was drawn, from samples spread over it, float32 [rows, columns].

    It is 0 to 1 for each region, and the sum over the regions.
    """
    samples = max(1, min(_SAMPLES, cell_px, math.isqrt(_MAX_SAMPLES // (rows * columns))))
    covered = np.zeros((rows, columns), np.float32)
    for region in regions:
        first_row, first_column = (region.box.y - box.y) // cell_px, (region.box.x - box.x) // cell_px
        last_row, last_column = (region.box.bottom - 1 - box.y) // cell_px, (region.box.right - 1 - box.x) // cell_px
        height, width = last_row - first_row + 1, last_column - first_column + 1
        cells = Box(box.x + first_column * cell_px, box.y + first_row * cell_px, width * cell_px, height * cell_px)
        step = cell_px / samples
        drawn = Region(cells, region.shapes).mask((height * samples, width * samples), step) > 0
        # A shape may reach beyond the slide, and so beyond the right and lower side of its region's box.
        y, x = (np.arange(side * samples) * step + step / 2 for side in (height, width))
        drawn &= (cells.y + y < region.box.bottom)[:, None] & (cells.x + x < region.box.right)
        part = drawn.reshape(height, samples, width, samples).mean(axis=(1, 3), dtype=np.float32)
        covered[first_row : last_row + 1, first_column : last_column + 1] += part
    return covered
