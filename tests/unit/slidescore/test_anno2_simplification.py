"""Simplification of many outlines at once, compared with a plain recursive one of one outline at a time."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annohooks.slidescore.anno2 import simplification
from annohooks.slidescore.anno2.simplification import simplified as blocks
from annohooks.slidescore.anno2.simplification import simplify

near = st.integers(0, 30)
wide = st.integers(0, 2**26)
one_ring = st.lists(st.tuples(near, near) | st.tuples(wide, wide), min_size=1, max_size=40)
in_line = st.lists(st.tuples(near, st.just(7)), min_size=1, max_size=40)
rings = st.lists(one_ring | in_line, min_size=1, max_size=25)


def squared_distance(p, a, b):
    """From p to the segment a-b, with the rounding of Slide Score's encoder at every step."""
    (x, y), dx, dy = a, b[0] - a[0], b[1] - a[1]
    if dx or dy:
        t = ((p[0] - x) * dx + (p[1] - y) * dy) / (dx * dx + dy * dy)
        if t > 1:
            x, y = b
        elif t > 0:
            x, y = x + dx * t, y + dy * t
    return (p[0] - x) * (p[0] - x) + (p[1] - y) * (p[1] - y)


def plain(ring, tolerance):
    keep, segments = {0, len(ring) - 1}, [(0, len(ring) - 1)]
    while segments:
        first, last = segments.pop()
        distances = [squared_distance(ring[i], ring[first], ring[last]) for i in range(first + 1, last)]
        if distances and max(distances) > tolerance * tolerance:
            split = first + 1 + distances.index(max(distances))
            keep.add(split)
            segments += [(first, split), (split, last)]
    vertices = [ring[i] for i in sorted(keep)]
    return vertices[:1] if len(vertices) == 2 and vertices[0] == vertices[1] else vertices


def arrays(rings):
    offsets = np.cumsum([0, *map(len, rings)])
    return np.array([vertex for ring in rings for vertex in ring], np.int32), offsets


def split(xy, offsets):
    return [list(map(tuple, ring.tolist())) for ring in np.split(xy, offsets[1:-1])]


def simplified(rings, tolerance):
    return split(*simplify(*arrays(rings), tolerance))


@given(rings, st.sampled_from([1.0, 16.0]))
def test_every_outline_is_simplified_as_by_the_plain_algorithm(rings, tolerance):
    assert simplified(rings, tolerance) == [plain(ring, tolerance) for ring in rings]


def at_both(rings):
    """Outlines simplified to one pixel and to 16 pixels in one call."""
    for in_blocks in zip(*blocks(*arrays(rings), (1.0, 16.0)), strict=True):
        yield [ring for block in in_blocks for ring in split(*block)]


@given(rings)
def test_two_tolerances_at_once_give_the_result_of_one_after_the_other(rings):
    fine = [plain(ring, 1.0) for ring in rings]
    coarse = [plain(ring, 16.0) for ring in fine]
    assert list(at_both(rings)) == [fine, coarse]


@given(rings)
def test_the_size_of_blocks_does_not_change_the_result(rings):
    together = simplified(rings, 1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simplification, "BLOCK_VERTICES", 3)
        assert simplified(rings, 1.0) == together


@pytest.mark.parametrize(
    ("ring", "tolerance", "expected"),
    [
        # (2, 3) and (8, 3) are both 3 away from the chord. After the split at (2, 3), (8, 3) is 2.1 away.
        ([(0, 0), (2, 3), (8, 3), (10, 0)], 2.9, [(0, 0), (2, 3), (10, 0)]),
        ([(0, 0), (5, 16), (10, 0)], 16.0, [(0, 0), (10, 0)]),
        ([(0, 0), (9, 0), (5, 0)], 1.0, [(0, 0), (9, 0), (5, 0)]),
        ([(7, 7), (7, 8), (7, 7)], 1.0, [(7, 7)]),
    ],
    ids=["first of the farthest", "exactly at the tolerance", "distance is to the segment", "closed, collapses"],
)
def test_a_chain_keeps_these_vertices(ring, tolerance, expected):
    assert simplified([ring], tolerance) == [expected]


# Outlines in which each split removes one vertex


number = np.arange(200)
angle = number * 0.3
top = (number % 2) * 100
square = np.stack([10 * (number // 2), 100 * (((number + 1) // 2) % 2)], 1)
COMBS = [
    square,
    np.stack([2 * number + top, top + number], 1),
    np.stack([4 * number, (number % 2) * (number + 10)], 1),  # growing
    np.concatenate([np.stack([2 * number, top + 300], 1), np.stack([2 * number, top], 1)[::-1]]),  # there and back
    np.concatenate([square, [(2_000, 400), (0, 400), (0, 0)]]),  # closed
    np.stack([2**16 * number + 2**20 + 1, top * 2**13 + 2**20 - 1], 1),  # far and wide
    np.stack([(number % 2) * 50, (number % 2) * 70], 1),  # in place
    np.rint(np.stack([angle * np.cos(angle), angle * np.sin(angle)], 1) * 3).astype(int) + 9_000,  # a spiral
]


def test_combs_are_simplified_as_by_the_plain_algorithm():
    rings = [list(map(tuple, outline.tolist())) for outline in COMBS]
    fine = [plain(ring, 1.0) for ring in rings]
    assert list(at_both(rings * 3)) == [fine * 3, [plain(ring, 16.0) for ring in fine] * 3]


def test_a_comb_of_8000_vertices_is_within_the_limit_of_the_work():
    n = np.arange(8_000)
    xy = np.stack([2 * n, 100 * (n % 2)], 1).astype(np.int32)
    xy[-3:, 1] = 0  # two of them can be removed, which the very last distances show
    simple, offsets = simplify(xy, np.array([0, 8_000]), 1.0)
    assert offsets.tolist() == [0, 7_998]
    assert np.array_equal(simple, np.delete(xy, [7_997, 7_998], axis=0))


def test_beyond_the_limit_of_the_work_all_vertices_of_unfinished_chains_are_kept(monkeypatch):
    monkeypatch.setattr(simplification, "DISTANCES_PER_VERTEX", 2)
    monkeypatch.setattr(simplification, "SPARE_DISTANCES", 0)
    # 24 distances: 10 find (30, 90), another 9 find (20, 0) and (60, 90), the next 7 would be too many.
    line = [(x, 0) for x in range(0, 120, 10)]
    ring = [*line[:3], (30, 90), *line[4:6], (60, 90), *line[7:]]
    assert simplified([ring], 1.0) == [ring]
    assert plain(ring, 1.0) == [(0, 0), (20, 0), (30, 90), (40, 0), (50, 0), (60, 90), (70, 0), (110, 0)]


def test_beyond_the_limit_vertices_that_the_larger_tolerance_has_removed_stay_removed(monkeypatch):
    monkeypatch.setattr(simplification, "DISTANCES_PER_VERTEX", 1)
    monkeypatch.setattr(simplification, "SPARE_DISTANCES", 0)
    ring = [(0, 0), (10, 1), (20, 5), (30, 1), (40, 0), (50, 1)]
    fine, coarse = at_both([ring])
    assert (fine, coarse) == ([ring], [[(0, 0), (50, 1)]])


def test_the_spare_work_goes_to_the_first_outlines(monkeypatch):
    monkeypatch.setattr(simplification, "BLOCK_VERTICES", 1)  # each outline is a block
    monkeypatch.setattr(simplification, "DISTANCES_PER_VERTEX", 8)
    monkeypatch.setattr(simplification, "SPARE_DISTANCES", 2_000)
    comb = [(2 * n, 100 * (n % 2)) for n in range(60)]
    comb[30:30] = [(58, 1), (58, 0)]  # a vertex that can be removed
    natural = [(0, 0), (10, 0), (20, 0), (20, 20)]
    exact = plain(comb, 1.0)
    assert simplified([comb, comb, natural], 1.0) == [exact, comb, plain(natural, 1.0)]
    assert len(exact) < len(comb)


def test_the_memory_is_linear_in_the_vertices_of_a_comb():
    n = np.arange(4_000)
    xy = np.stack([4 * n, (n % 2) * (n + 10)], axis=1).astype(np.int32)
    tracemalloc.start()
    list(blocks(xy, np.array([0, 4_000]), (1.0, 16.0)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200 * len(xy)
