"""Of too many outlines, too many vertices or too many tiles, the largest outlines that fit."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
from findings import findings, square
from hypothesis import given
from hypothesis import strategies as st

from annohooks.slidescore.answer_limits import Most, largest

PLENTY = 10**9


def sides(found):
    """Of the kept outer squares, region by region."""
    return [
        [int(np.ptp(each.outlines.ring(i)[:, 0])) for i in np.flatnonzero(each.outlines.is_outer)] for each in found
    ]


def row(*widths, x=0):
    """Squares side by side, each within tiles of its own."""
    return [square(x + 256 * i, 0, width) for i, width in enumerate(widths)]


def test_what_fits_is_left_as_it_is():
    found = [findings(*row(5, 9)), findings()]
    kept = largest(found, Most(2, 8, 2))
    assert all(one is other for one, other in zip(kept, found, strict=True))


def test_the_largest_stay_of_all_regions_and_classes_in_their_order():
    one, two = findings(*row(30, 5, 50), classes=[2, 1, 1], area_um2=(1.0, 1.0)), findings(*row(8, 40))
    kept = largest([one, two], Most(3))
    assert sides(kept) == [[30, 50], [40]]
    assert [each.classes.tolist() for each in kept] == [[2, 1], [1]]
    assert [each.left_out for each in kept] == [1, 1]
    assert [each.object_counts.tolist() for each in kept] == [[2, 1], [2]]


def test_holes_stay_and_go_with_their_outline_and_count_with_it():
    rings = [*row(30, 20, 10), square(258, 2, 9), square(2, 2, 9), square(12, 12, 9)]
    found = [findings(*rings, parent=[-1, -1, -1, 1, 0, 0])]
    (kept,) = largest(found, Most(2))
    assert kept.outlines.parent.tolist() == [-1, -1, 1, 0, 0]
    assert sides(largest(found, Most(PLENTY, vertices=12))) == [[30]]
    assert sides(largest(found, Most(PLENTY, vertices=19))) == [[30]]
    assert sides(largest(found, Most(PLENTY, vertices=20))) == [[30, 20]]


def test_outlines_are_counted_by_the_tiles_they_touch():
    found = [findings(square(0, 0, 600), *row(30, 20, 10, x=1024))]  # 9 tiles, and 1 each
    assert sides(largest(found, Most(PLENTY, memberships=12))) == [[600, 30, 20, 10]]
    assert sides(largest(found, Most(PLENTY, memberships=11))) == [[600, 30, 20]]


def test_outline_that_is_too_much_by_itself_does_not_take_the_others_with_it():
    found = [findings(square(0, 0, 600), *row(30, 20, 10, x=1024))]
    assert sides(largest(found, Most(PLENTY, memberships=2))) == [[30, 20]]


def test_of_outlines_too_many_of_the_same_size_the_first_stay():
    (kept,) = largest([findings(*row(*[9, 20] * 60))], Most(90))  # enough for a sort that is not stable to show
    assert kept.outlines.xy[::4, 0].tolist() == [256 * i for i in range(120) if i < 60 or i % 2]


def test_what_no_longer_fits_ends_it_in_whatever_region_it_is():
    wide, small = findings(square(0, 0, 600), square(0, 0, 560)), findings(square(0, 0, 20))  # 9, 9 and 1 tiles
    most = Most(PLENTY, memberships=10)
    assert sides(largest([wide, small], most)) == [[600], []]
    assert sides(largest([small, wide], most)) == [[], [600]]
    across, within = square(100, 100, 500), findings(square(0, 0, 500))  # of one size, 9 and 4 tiles
    assert sides(largest([findings(square(0, 0, 600), across), within], Most(PLENTY, memberships=13))) == [[600], []]


def test_no_region_is_kept_whole_while_the_next_is_made():
    whole = []

    def regions():
        for widths in [30, 5, 50], [8, 40], [1, 45]:
            assert not any(outlines() is not None for outlines in whole)
            each = findings(*row(*widths))
            whole.append(weakref.ref(each.outlines.xy))
            yield each
            del each

    assert sides(largest(regions(), Most(1))) == [[50], [], []]
    assert len(whole) == 3


regions = st.lists(st.lists(st.integers(1, 700), max_size=6), min_size=1, max_size=4)


@given(regions, st.integers(1, 12), st.integers(4, 60), st.integers(1, 30))
def test_whatever_is_kept_fits_and_nothing_larger_that_would_fit_was_passed_over(widths, outlines, vertices, tiles):
    found = [findings(*[square(0, 0, width) for width in each]) for each in widths]
    kept = [side for each in sides(largest(found, Most(outlines, vertices, tiles))) for side in each]
    touched = {side: (side // 256 + 1) ** 2 for each in widths for side in each}
    assert len(kept) <= outlines
    assert 4 * len(kept) <= vertices
    assert sum(touched[side] for side in kept) <= tiles
    possible = sorted((side for each in widths for side in each if touched[side] <= tiles), reverse=True)
    assert sorted(kept, reverse=True) == possible[: len(kept)]
    if len(kept) < min(len(possible), outlines, vertices // 4):
        assert sum(touched[side] for side in possible[: len(kept) + 1]) > tiles


@given(st.lists(st.integers(1, 1500), unique=True, max_size=12), st.data())
def test_what_is_kept_does_not_depend_on_how_outlines_come_by_region(widths, data):
    most = Most(data.draw(st.integers(1, 12)), data.draw(st.integers(4, 48)), data.draw(st.integers(1, 60)))
    expected = sorted(sides(largest([findings(*[square(0, 0, width) for width in widths])], most))[0])
    shuffled = data.draw(st.permutations(widths))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(widths)), max_size=4)))
    regions = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(widths)], strict=True)]
    kept = largest([findings(*[square(0, 0, width) for width in region]) for region in regions], most)
    assert sorted(side for region in sides(kept) for side in region) == expected


@pytest.mark.parametrize("found", [[], [findings()], [findings(), findings()]])
def test_nothing_stays_nothing(found):
    assert largest(found, Most(1)) == found
