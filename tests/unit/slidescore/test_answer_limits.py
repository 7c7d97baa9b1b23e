"""The largest outlines that fit, of too many outlines, vertices or entries of the tile index."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
from findings import findings, square
from hypothesis import given
from hypothesis import strategies as st

from annohooks.slidescore.answer_limits import AnswerLimits, largest

UNLIMITED = 10**9


def sides(findings):
    """The sides of the outer squares, region by region."""
    return [
        [int(np.ptp(region.outlines.ring(i)[:, 0])) for i in np.flatnonzero(region.outlines.is_outer)]
        for region in findings
    ]


def row(*widths, x=0):
    """Squares side by side, in different tiles."""
    return [square(x + 256 * i, 0, width) for i, width in enumerate(widths)]


def limits(outlines=UNLIMITED, **others):
    return AnswerLimits(outlines, **others)


def of_widths(*regions):
    """Regions of squares that lie in one corner."""
    return [findings(*[square(0, 0, width) for width in widths]) for widths in regions]


@pytest.mark.parametrize("regions", [[], [findings(), findings()], [findings(*row(5, 9)), findings()]])
def test_findings_within_the_limits_are_not_changed(regions):
    assert all(one is other for one, other in zip(largest(regions, AnswerLimits(2, 8, 2)), regions, strict=True))


def test_the_largest_outlines_of_all_regions_and_classes_stay_in_their_order():
    one, two = findings(*row(30, 5, 50), classes=[2, 1, 1], area_um2=(1.0, 1.0)), findings(*row(8, 40))
    selected = largest([one, two], limits(3))
    assert sides(selected) == [[30, 50], [40]]
    assert [region.classes.tolist() for region in selected] == [[2, 1], [1]]
    assert [region.left_out for region in selected] == [1, 1]
    assert [region.object_counts.tolist() for region in selected] == [[2, 1], [2]]


def test_holes_stay_or_go_with_their_outline_and_count_with_it():
    rings = [*row(30, 20, 10), square(258, 2, 9), square(2, 2, 9), square(12, 12, 9)]
    regions = [findings(*rings, parent=[-1, -1, -1, 1, 0, 0])]
    (selected,) = largest(regions, limits(2))
    assert selected.outlines.parent.tolist() == [-1, -1, 1, 0, 0]
    for vertices, expected in [(12, [30]), (19, [30]), (20, [30, 20])]:
        assert sides(largest(regions, limits(vertices=vertices))) == [expected]


@pytest.mark.parametrize(
    ("tile_entries", "expected"),
    [(12, [600, 30, 20, 10]), (11, [600, 30, 20]), (2, [30, 20])],
    ids=["all fit", "one entry too many", "the largest exceeds the limit by itself"],
)
def test_an_outline_counts_with_the_tiles_that_it_touches(tile_entries, expected):
    regions = [findings(square(0, 0, 600), *row(30, 20, 10, x=1024))]  # 9 tiles, and 1 tile per square
    assert sides(largest(regions, limits(tile_entries=tile_entries))) == [expected]


def test_the_first_outlines_of_the_same_size_stay():
    (selected,) = largest([findings(*row(*[9, 20] * 60))], limits(90))  # enough to reveal an unstable sort
    assert selected.outlines.xy[::4, 0].tolist() == [256 * i for i in range(120) if i < 60 or i % 2]


def test_no_smaller_outline_of_any_region_stays_after_the_first_that_does_not_fit():
    wide, small = of_widths([600, 560], [20])  # 9, 9 and 1 tiles
    assert sides(largest([wide, small], limits(tile_entries=10))) == [[600], []]
    assert sides(largest([small, wide], limits(tile_entries=10))) == [[], [600]]
    across, within = square(100, 100, 500), findings(square(0, 0, 500))  # of one size, 9 and 4 tiles
    assert sides(largest([findings(square(0, 0, 600), across), within], limits(tile_entries=13))) == [[600], []]


def test_the_outlines_of_a_region_are_released_before_the_next_region_is_made():
    xy_of_regions = []

    def regions():
        for widths in [30, 5, 50], [8, 40], [1, 45]:
            assert not any(xy() is not None for xy in xy_of_regions)
            region = findings(*row(*widths))
            xy_of_regions.append(weakref.ref(region.outlines.xy))
            yield region
            del region

    assert sides(largest(regions(), limits(1))) == [[50], [], []]
    assert len(xy_of_regions) == 3


region_sides = st.lists(st.lists(st.integers(1, 700), max_size=6), min_size=1, max_size=4)


@given(region_sides, st.integers(1, 12), st.integers(4, 60), st.integers(1, 30))
def test_the_selected_outlines_fit_and_no_larger_one_that_fits_is_missing(widths, outlines, vertices, tile_entries):
    chosen = largest(of_widths(*widths), AnswerLimits(outlines, vertices, tile_entries))
    selected = sorted((side for region in sides(chosen) for side in region), reverse=True)
    tiles = {side: (side // 256 + 1) ** 2 for region in widths for side in region}
    assert len(selected) <= min(outlines, vertices // 4)
    assert sum(tiles[side] for side in selected) <= tile_entries
    possible = sorted((side for region in widths for side in region if tiles[side] <= tile_entries), reverse=True)
    assert selected == possible[: len(selected)]
    if len(selected) < min(len(possible), outlines, vertices // 4):
        assert sum(tiles[side] for side in possible[: len(selected) + 1]) > tile_entries


some_limits = st.builds(AnswerLimits, st.integers(1, 12), st.integers(4, 48), st.integers(1, 60))


@given(st.lists(st.integers(1, 1500), unique=True, max_size=12), some_limits, st.data())
def test_the_selection_does_not_depend_on_the_division_into_regions(widths, some_limits, data):
    shuffled = data.draw(st.permutations(widths))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(widths)), max_size=4)))
    regions = of_widths(*(shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(widths)], strict=True)))
    (expected,) = sides(largest(of_widths(widths), some_limits))
    assert sorted(side for region in sides(largest(regions, some_limits)) for side in region) == sorted(expected)
