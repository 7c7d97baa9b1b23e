"""Density maps of points whose density is known, and of the nuclei of the real picture."""

from __future__ import annotations

import math

import numpy as np
import pytest
from analysed import InMemory, rectangle, segment
from hypothesis import given
from hypothesis import strategies as st

from annohooks.imaging import density
from annohooks.imaging.analyzers import Conclusion
from annohooks.imaging.analyzers.density import Density, DensityParameters
from annohooks.imaging.analyzers.nuclei import Nuclei, NucleiParameters
from annohooks.imaging.density import density_map
from annohooks.imaging.region import Box, Region

MPP = 0.5
ANALYZER = Density()


def points(*xy):
    return np.array(xy, np.float64).reshape(-1, 2)


def spread(x, y, step):
    """Evenly spaced points in [0, x] x [0, y], float64 [N, 2]."""
    half = step / 2
    return np.stack(np.meshgrid(np.arange(half, x, step), np.arange(half, y, step)), axis=-1).reshape(-1, 2)


def per_mm2(drawn):
    return drawn.levels / 255 * drawn.per_mm2


# The map


def test_density_of_a_cell_is_the_number_of_its_points_per_area():
    """Cells of 100 px are 50 um wide: one point in one is 400 per mm2."""
    xy = points((10, 10), (20, 30), (150, 20), (250, 180), (251, 181), (252, 182), (253, 183))
    drawn = density_map(xy, [rectangle(0, 0, 300, 200)], 50, MPP)
    assert (drawn.x, drawn.y, drawn.cell_px) == (0, 0, 100)
    assert drawn.per_mm2 == pytest.approx(1600)
    assert drawn.levels.dtype == np.uint8
    assert drawn.levels.tolist() == [[128, 64, 0], [0, 0, 255]]


def test_point_on_the_border_of_two_cells_is_in_the_second_and_one_on_the_far_edge_in_the_last():
    drawn = density_map(points((40, 0), (80, 40)), [rectangle(0, 0, 80, 40)], 20, MPP)
    assert drawn.levels.tolist() == [[0, 255]]
    assert drawn.per_mm2 == pytest.approx(2 / 0.02**2)


# The box of a region ends where the slide does; its shape may not.
BEYOND = Region(Box(0, 0, 150, 100), rectangle(-500, -500, 1000, 1000).shapes)


@pytest.mark.parametrize(
    ("region", "x", "dense"),
    [
        (rectangle(0, 0, 175, 100), 150, 400 / 0.75),
        (rectangle(0, 0, 102, 100), 101, 800),
        (BEYOND, 125, 800),
    ],
    ids=["three quarters of a cell", "a fiftieth, which counts as half", "beyond the slide"],
)
def test_density_counts_the_part_of_a_cell_that_was_drawn(region, x, dense):
    drawn = density_map(points((50, 50), (x, 50)), [region], 50, MPP)
    assert (drawn.x, drawn.y) == (0, 0)
    assert per_mm2(drawn)[0] == pytest.approx([400, dense], rel=0.01)


def test_map_contains_all_regions():
    regions = [rectangle(900, 300, 200, 100), rectangle(100, 700, 100, 200), rectangle(1400, 700, 200, 200)]
    drawn = density_map(points((950, 350), (150, 850), (1500, 800)), regions, 50, MPP)
    assert (drawn.x, drawn.y, drawn.cell_px) == (100, 300, 100)
    assert drawn.levels.shape == (6, 15)
    assert np.argwhere(drawn.levels).tolist() == [[0, 8], [5, 0], [5, 14]]


def test_area_of_two_regions_is_as_dense_as_in_either():
    """Its objects are found in both regions."""
    one, other = rectangle(0, 0, 200, 100), rectangle(100, 0, 200, 100)
    drawn = density_map(points((50, 50), (150, 50), (150, 50), (250, 50)), [one, other], 50, MPP)
    assert per_mm2(drawn)[0] == pytest.approx([400, 400, 400])


@pytest.mark.parametrize(("side", "smoothing_um", "is_alone"), [(20, 500, True), (60, 30, False), (1000, 500, False)])
def test_smoothing_keeps_an_even_density_whatever_the_size_of_the_region(side, smoothing_um, is_alone):
    grid, far = spread(side, side + 100, 4), spread(4000, 2000, 4) + np.array((5000, 3000))  # 25 points in each cell
    regions = [rectangle(0, 0, side, side + 100), rectangle(5000, 3000, 4000, 2000)]
    centres, regions = (grid, regions[:1]) if is_alone else (np.concatenate([grid, far]), regions)
    drawn = density_map(centres, regions, 10, MPP, smoothing_um)
    dense = per_mm2(drawn)
    assert drawn.per_mm2 == pytest.approx(25 / 0.01**2, rel=0.01)
    assert dense[dense > 0] == pytest.approx(25 / 0.01**2, rel=0.01)


@pytest.mark.parametrize("smoothing_um", [2, 50])
def test_object_in_a_sliver_has_no_high_density_beside_its_neighbours_when_smoothed(smoothing_um):
    """The sliver is a fiftieth of its cell. Unsmoothed it would be twice as dense as the cell beside it."""
    drawn = density_map(points((50, 50), (101, 50)), [rectangle(0, 0, 102, 100)], 50, MPP, smoothing_um)
    assert per_mm2(drawn)[0].max() <= 2.01 * per_mm2(drawn)[0].min()
    isolated = density_map(points((50, 50)), [rectangle(49, 0, 1, 1), rectangle(5000, 0, 1, 1)], 50, MPP, 200)
    assert isolated.per_mm2 <= 2.01 / 0.05**2


@pytest.mark.parametrize("smoothing_um", [40, 100], ids=["", "computed on larger cells"])
def test_smoothing_spreads_a_point_as_a_gaussian(smoothing_um):
    side = 2 * 7 * smoothing_um + 5
    middle = side // 5 // 2
    drawn = density_map(points((side, side)), [rectangle(0, 0, 2 * side, 2 * side)], 5, MPP, smoothing_um)
    y, x = (np.indices(drawn.levels.shape) - middle) * 5.0
    gaussian = np.exp(-(x**2 + y**2) / (2 * smoothing_um**2)) / (2 * math.pi * (smoothing_um / 1000) ** 2)
    assert np.abs(per_mm2(drawn) - gaussian).max() < 0.06 * gaussian.max()
    assert per_mm2(drawn).sum() * 0.005**2 == pytest.approx(1, rel=0.05)
    assert drawn.per_mm2 == pytest.approx(gaussian.max(), rel=0.02)


def test_cell_is_dark_only_without_an_object():
    """One point beside 2000 is less than half a level."""
    drawn = density_map(points(*(2000 * [(50, 50)]), (150, 50)), [rectangle(0, 0, 300, 100)], 50, MPP)
    assert drawn.levels.tolist() == [[255, 1, 0]]
    nothing = density_map(points(), [rectangle(5, 5, 100, 100)], 50, MPP)
    assert (nothing.levels.tolist(), nothing.per_mm2) == ([[0]], 0.0)


@given(st.integers(1, 200_000), st.integers(1, 200_000), st.integers(1, 300))
def test_cells_are_enlarged_as_much_as_necessary_and_no_more(width, height, cell_px):
    def cells(side):
        return math.ceil(width / side) * math.ceil(height / side)

    factor = density._enlargement(Box(0, 0, width, height), cell_px)
    assert cells(factor * cell_px) <= density.MAX_CELLS
    assert factor == 1 or cells((factor - 1) * cell_px) > density.MAX_CELLS


SOME_POINTS = st.lists(st.tuples(st.integers(0, 499), st.integers(0, 399)), max_size=60)


@given(SOME_POINTS, st.integers(3, 120), st.tuples(st.integers(0, 5000), st.integers(0, 5000)))
def test_counts_are_those_of_numpys_histogram(xy, cell_px, corner):
    at = points(*xy) + corner
    drawn = density_map(at, [rectangle(*corner, 500, 400)], cell_px * MPP, MPP)
    rows, columns = drawn.levels.shape
    edges = [corner[1] + cell_px * np.arange(rows + 1), corner[0] + cell_px * np.arange(columns + 1)]
    counts = np.histogram2d(at[:, 1], at[:, 0], bins=edges)[0]
    assert ((drawn.levels > 0) == (counts > 0)).all()
    inside = np.s_[: 400 // cell_px, : 500 // cell_px]
    expected = counts[inside] / (cell_px * MPP / 1000) ** 2
    assert per_mm2(drawn)[inside] == pytest.approx(expected, abs=drawn.per_mm2 / 400)


# The analyzer


def analysed(pixels, region, **chosen):
    parameters = DensityParameters(stain="H-DAB", **chosen)
    return [segment(InMemory(pixels, MPP), region, ANALYZER, parameters)], parameters


def test_map_of_the_real_picture_counts_the_nuclei_that_nuclei_finds(tissue):
    region = rectangle(10, 20, 480, 400)
    drawn = ANALYZER.conclude(*analysed(tissue, region, cell_um=40)).density
    alone = segment(InMemory(tissue, MPP), region, Nuclei(), NucleiParameters(stain="H-DAB"))
    centres = alone.outlines.centroids()
    edges = 20 + 80 * np.arange(6), 10 + 80 * np.arange(7)
    counts = np.histogram2d(centres[:, 1], centres[:, 0], bins=edges)[0]
    assert counts.sum() > 150
    assert drawn.per_mm2 == pytest.approx(counts.max() / 0.04**2)
    assert drawn.levels.tolist() == np.rint(counts / counts.max() * 255).tolist()


def test_sentence_gives_the_mean_and_what_the_brightest_colour_stands_for(tissue):
    findings, parameters = analysed(tissue, None, cell_um=40)
    conclusion = ANALYZER.conclude(findings, parameters)
    assert conclusion.sentence == (
        f"{int(findings[0].object_counts[0]) / 0.256**2:,.0f} nuclei per mm2 on average; the map's cells are 40 um "
        f"wide, its brightest colour stands for {conclusion.density.per_mm2:,.0f} per mm2."
    )


def test_sentence_says_that_cells_are_smoothed_or_larger_or_nuclei_left_out(tissue, monkeypatch):
    monkeypatch.setattr(density, "MAX_CELLS", 100)
    findings, parameters = analysed(tissue, None, cell_um=20, smoothing_um=30)
    text = ANALYZER.conclude(findings, parameters).sentence
    assert "cells are 40 um wide" in text
    assert "It is smoothed over 30 um." in text
    assert "Cells of 20 um would be too many for a region of this size." in text
    assert "leaves out" not in text
    findings[0].object_counts[0] += 7
    assert "The map leaves out the 7 smallest nuclei" in ANALYZER.conclude(findings, parameters).sentence


@pytest.mark.parametrize(("cell_um", "width"), [(7.6, "are 7.5 um wide"), (5000, "are 5,000 um wide")])
def test_lengths_have_a_decimal_only_if_they_are_short(tissue, cell_um, width):
    text = ANALYZER.conclude(*analysed(tissue, rectangle(0, 0, 300, 300), cell_um=cell_um, smoothing_um=0.5)).sentence
    assert width in text
    assert "It is smoothed over 0.5 um." in text


def test_region_without_nuclei_has_no_map_and_a_sentence_that_says_so(glass):
    conclusion = ANALYZER.conclude(*analysed(glass, None))
    assert conclusion == Conclusion("No nucleus was found, so there is no map.")
