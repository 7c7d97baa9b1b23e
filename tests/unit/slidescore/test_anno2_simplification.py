"""Simplification of many outlines at once against one outline at a time, by recursion."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annohooks.slidescore.anno2 import simplification
from annohooks.slidescore.anno2.simplification import kept_vertices, simplify

near = st.integers(0, 30)
wide = st.integers(0, 2**26)
rings = st.lists(
    st.lists(st.tuples(near, near) | st.tuples(wide, wide), min_size=1, max_size=40)
    | st.lists(st.tuples(near, st.just(7)), min_size=1, max_size=40),
    min_size=1,
    max_size=25,
)


def squared_distance(p, a, b):
    """From p to the segment a-b; at every step the same rounding as in Slide Score's encoder."""
    (x, y), dx, dy = a, b[0] - a[0], b[1] - a[1]
    if dx or dy:
        t = ((p[0] - x) * dx + (p[1] - y) * dy) / (dx * dx + dy * dy)
        if t > 1:
            x, y = b
        elif t > 0:
            x, y = x + dx * t, y + dy * t
    return (p[0] - x) * (p[0] - x) + (p[1] - y) * (p[1] - y)


def kept(ring, first, last, tolerance):
    """Indices strictly between first and last that are kept."""
    distances = [squared_distance(ring[i], ring[first], ring[last]) for i in range(first + 1, last)]
    if not distances or max(distances) <= tolerance * tolerance:
        return []
    split = first + 1 + distances.index(max(distances))
    return [*kept(ring, first, split, tolerance), split, *kept(ring, split, last, tolerance)]


def plain(ring, tolerance):
    left = [ring[i] for i in sorted({0, *kept(ring, 0, len(ring) - 1, tolerance), len(ring) - 1})]
    return left[:1] if len(left) == 2 and left[0] == left[1] else left


def arrays(rings):
    offsets = np.cumsum([0, *map(len, rings)])
    return np.array([vertex for ring in rings for vertex in ring], np.int32), offsets


def simplified(rings, tolerance):
    xy, offsets = simplify(*arrays(rings), tolerance)
    return [list(map(tuple, ring.tolist())) for ring in np.split(xy, offsets[1:-1])]


@settings(deadline=None)
@given(rings, st.sampled_from([1.0, 16.0]))
def test_every_outline_is_simplified_as_by_recursion(rings, tolerance):
    assert simplified(rings, tolerance) == [plain(ring, tolerance) for ring in rings]


@settings(deadline=None)
@given(rings)
def test_outlines_do_not_depend_on_how_they_are_grouped_into_blocks(rings):
    together = simplified(rings, 1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simplification, "BLOCK_VERTICES", 3)
        assert simplified(rings, 1.0) == together


def test_first_of_several_farthest_vertices_splits_the_chain():
    # (2, 3) and (8, 3) are both 3 away from the chord; once split at (2, 3), (8, 3) is 2.1 away from the next one.
    assert simplified([[(0, 0), (2, 3), (8, 3), (10, 0)]], 2.9) == [[(0, 0), (2, 3), (10, 0)]]


def test_vertex_exactly_at_the_tolerance_goes():
    assert simplified([[(0, 0), (5, 16), (10, 0)]], 16.0) == [[(0, 0), (10, 0)]]
    assert simplified([[(0, 0), (5, 17), (10, 0)]], 16.0) == [[(0, 0), (5, 17), (10, 0)]]


def test_distance_is_to_the_segment_not_to_the_line_through_it():
    assert simplified([[(0, 0), (9, 0), (5, 0)]], 1.0) == [[(0, 0), (9, 0), (5, 0)]]


def test_ring_that_ends_where_it_starts_is_measured_from_that_place():
    assert simplified([[(0, 0), (3, 4), (0, 0)], [(7, 7), (7, 8), (7, 7)]], 1.0) == [
        [(0, 0), (3, 4), (0, 0)],
        [(7, 7)],
    ]


def comb(vertices):
    """Every split takes off one tooth: as many levels as there are vertices."""
    i = np.arange(vertices)
    return np.stack([4 * i, (i % 2) * (i + 10)], axis=1).astype(np.int32), np.array([0, vertices])


def test_comb_that_splits_one_vertex_at_a_time_keeps_all_of_them_in_memory_of_its_own_size():
    xy, offsets = comb(2_000)
    tracemalloc.start()
    kept_mask = kept_vertices(xy, offsets, 1.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept_mask.all()
    assert peak < 200 * len(xy)
