"""Outlines beside a simple oracle that works on one ring at a time."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annohooks.imaging.outlines import Outlines

SQUARE = [(0, 0), (10, 0), (10, 10), (0, 10)]
HOLE = [(2, 2), (2, 4), (4, 4), (4, 2)]
FAR = 10_000_000

vertices = st.tuples(st.integers(0, FAR), st.integers(0, FAR)) | st.tuples(st.integers(0, 50), st.integers(0, 50))
rings = st.lists(vertices, min_size=1, max_size=12)


@st.composite
def ring_families(draw):
    """Rings in any order; the parent of a hole comes before or after it."""
    drawn_rings = draw(st.lists(rings, max_size=12))
    outer = [draw(st.booleans()) for _ in drawn_rings]
    parents = [i for i, is_outer in enumerate(outer) if is_outer]
    if not parents:
        return Outlines.from_rings(drawn_rings)
    parent = [-1 if is_outer else draw(st.sampled_from(parents)) for is_outer in outer]
    return Outlines.from_rings(drawn_rings, parent)


def moments(ring):
    """Area and first moments by the shoelace formula, exactly, whichever way the ring turns."""
    edges = [(x, y, u, v, x * v - u * y) for (x, y), (u, v) in zip(ring, [*ring[1:], ring[0]], strict=True)]
    sign = -1 if sum(cross for *_, cross in edges) < 0 else 1
    area = sign * sum(Fraction(cross, 2) for *_, cross in edges)
    moment_x = sign * sum(Fraction((x + u) * cross, 6) for x, _, u, _, cross in edges)
    return area, moment_x, sign * sum(Fraction((y + v) * cross, 6) for _, y, _, v, cross in edges)


def centroid(outer, holes):
    """By area where there is any left, else the mean of the outer ring's vertices."""
    of_holes = np.array([moments(hole) for hole in holes] or [[Fraction(0)] * 3])
    area, moment_x, moment_y = np.array(moments(outer)) - of_holes.sum(axis=0)
    if area > 0:
        return float(moment_x / area), float(moment_y / area)
    return sum(x for x, _ in outer) / len(outer), sum(y for _, y in outer) / len(outer)


def families(outlines, keep=None):
    """[(outer ring, [its holes])], in order, of the rings that are kept."""
    keep = np.ones(len(outlines), np.bool_) if keep is None else keep
    return [
        (outlines.ring(i).tolist(), [outlines.ring(h).tolist() for h in np.flatnonzero((outlines.parent == i) & keep)])
        for i in np.flatnonzero(outlines.is_outer & keep)
    ]


@given(ring_families())
def test_areas_are_the_shoelace_formulas(outlines):
    expected = [float(moments(outlines.ring(i).tolist())[0]) for i in range(len(outlines))]
    assert outlines.areas() == pytest.approx(expected, abs=1e-6)


@given(st.lists(rings, min_size=1, max_size=8))
def test_centroids_are_the_shoelace_formulas(drawn_rings):
    def is_compact(ring):
        area = moments(ring)[0]
        return area == 0 or abs(area) * 50 > max(np.ptp(ring, axis=0).tolist()) ** 2

    compact = list(filter(is_compact, drawn_rings))
    expected = np.array([centroid(ring, []) for ring in compact]).reshape(-1, 2)
    assert Outlines.from_rings(compact).centroids() == pytest.approx(expected, rel=1e-9, abs=1e-3)


@given(st.integers(0, FAR), st.integers(0, FAR), st.integers(0, 5), st.integers(0, 5), st.booleans())
def test_holes_are_taken_off_a_centroid_whichever_way_they_turn(x, y, dx, dy, reverse):
    hole = [(x + dx + a, y + dy + b) for a, b in (HOLE[::-1] if reverse else HOLE)]
    square = [(x + a, y + b) for a, b in SQUARE]
    outlines = Outlines.from_rings([hole, square], [1, -1])
    assert outlines.centroids() == pytest.approx(np.array([centroid(square, [hole])]), rel=1e-12)


@pytest.mark.parametrize(
    ("ring", "centre"),
    [
        ([(7, 8)], [7, 8]),
        ([(0, 0), (3, 3), (9, 9)], [4, 4]),
        ([(5, 5), (5, 5), (5, 5)], [5, 5]),
        ([(0, 0), (2, 2), (2, 0), (0, 2)], [1, 1]),
    ],
    ids=["a point", "on one line", "the same point", "a bow tie"],
)
def test_ring_without_area_has_the_mean_of_its_vertices_as_centroid(ring, centre):
    outlines = Outlines.from_rings([SQUARE, ring, HOLE, HOLE], [-1, -1, -1, 2])  # the last ring fills the one before
    assert outlines.areas().tolist() == [100, 0, 4, 4]
    assert outlines.centroids().tolist() == [[5, 5], centre, [3, 3]]


def test_empty_outlines_have_no_areas_and_no_centroids():
    empty = Outlines.from_rings([])
    assert (len(empty), empty.areas().shape, empty.centroids().shape) == (0, (0,), (0, 2))
    assert empty.take(np.empty(0, np.bool_)).counts.tolist() == []
    assert empty.clipped(5, 5).xy.shape == (0, 2)


@given(ring_families(), st.data())
def test_take_keeps_families_together_and_drops_holes_with_their_outer_ring(outlines, data):
    keep = np.array(data.draw(st.lists(st.booleans(), min_size=len(outlines), max_size=len(outlines))), np.bool_)
    taken = outlines.take(keep)
    assert families(taken) == families(outlines, keep)
    assert len(taken) == sum(1 + len(holes) for _, holes in families(taken))
    assert (taken.xy.dtype, taken.offsets.dtype, taken.parent.dtype) == (np.int32, np.int64, np.int32)


@given(st.lists(ring_families(), max_size=4))
def test_concatenation_keeps_every_ring_and_every_family_in_order(parts):
    whole = Outlines.concatenate(parts)
    assert families(whole) == [family for part in parts for family in families(part)]
    assert whole.counts.tolist() == [count for part in parts for count in part.counts]
    assert whole.parent.dtype == np.int32


def test_rings_may_have_fractions_or_the_middle_axis_of_opencv():
    assert Outlines.from_rings([[(0.4, 0.6), (1.9, -0.2)]]).xy.tolist() == [[0, 1], [2, 0]]
    assert Outlines.from_rings([np.array([[[1, 2]], [[3, 4]]], np.int32)]).xy.tolist() == [[1, 2], [3, 4]]


@given(ring_families(), st.integers(1, 60), st.integers(1, 60))
def test_clipping_moves_only_vertices_off_the_slide_to_its_edge(outlines, width, height):
    outlines.xy[:1] -= 9
    clipped = outlines.clipped(width, height)
    expected = [[min(max(x, 0), width), min(max(y, 0), height)] for x, y in outlines.xy.tolist()]
    assert clipped.xy.tolist() == expected
    assert clipped.xy.dtype == np.int32
    assert clipped.parent.tolist() == outlines.parent.tolist()
