"""Rings of parts of a picture, joined, beside the rings of the whole picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from masks import cuts, drawn, masks, parts

from annohooks.imaging.outlines import Outlines, contours
from annohooks.imaging.outlines.joining import joined


def families(outlines):
    """{outer ring: its holes} as lists of vertices, in order."""
    return {
        str(outlines.ring(outer).tolist()): sorted(
            outlines.ring(hole).tolist() for hole in np.flatnonzero(outlines.parent == outer)
        )
        for outer in np.flatnonzero(outlines.is_outer)
    }


def joined_families(mask, row_cuts, column_cuts):
    """The families of all objects: each part is traced alone, and all outer rings are joined, cut or not."""
    height, width = mask.shape
    rings, lines, holes = [], [], []
    for row, column, h, w in parts(height, width, row_cuts, column_cuts):
        part = contours.outlines(mask[row : row + h, column : column + w])
        number = np.cumsum(part.is_outer) - 1 + len(rings)
        for index in range(len(part)):
            ring = part.ring(index) + np.array((column, row), np.int32)
            if part.parent[index] < 0:
                rings.append(ring)
                lines.append((column, row + h, column + w, row))
            else:
                holes.append((ring.tolist(), number[part.parent[index]]))
    if not rings:
        return {}
    at_edge = np.array((0, height, width, 0))
    lines = np.where(np.array(lines) == at_edge, -1, lines).astype(np.int32)
    whole, part_of = joined(Outlines.from_rings(rings), lines)
    by_outer = families(whole)
    for ring, outer in holes:
        by_outer[str(whole.ring(part_of[outer]).tolist())].append(ring)
    return {outer: sorted(holes) for outer, holes in by_outer.items()}


@given(masks, cuts, cuts)
def test_joined_rings_are_those_of_the_whole_picture_from_the_same_vertex_on(mask, row_cuts, column_cuts):
    assert joined_families(mask, row_cuts, column_cuts) == families(contours.outlines(mask))


@pytest.mark.parametrize(
    "text",
    [
        "#.. .#. ..#",
        "..# .#. #..",
        "#.# .#. #.#",
        "### ### ###",
        "### #.# ###",
        ".#. #.# .#.",
        "..... .###. .###. .###. .....",
        "##### #...# #.#.# #...# #####",
        "####. #..#. #.##. ..... .....",
    ],
)
@pytest.mark.parametrize("every", [1, 2])
def test_objects_that_meet_at_a_corner_of_four_parts_are_joined_as_in_the_whole_picture(text, every):
    mask = drawn(text)
    assert joined_families(mask, [every] * 9, [every] * 9) == families(contours.outlines(mask))


def test_part_that_an_object_fills_from_border_to_border_belongs_to_it():
    corners = [(column, row) for row in (0, 2, 4) for column in (0, 2, 4)]
    squares = [[(x, y), (x, y + 1), (x + 1, y + 1), (x + 1, y)] for x, y in corners]
    lines = [(x or -1, y + 2 if y < 4 else -1, x + 2 if x < 4 else -1, y or -1) for x, y in corners]
    whole, part_of = joined(Outlines.from_rings(squares), np.array(lines, np.int32))
    assert whole.xy.tolist() == [[0, 0], [0, 5], [5, 5], [5, 0]]
    assert part_of.tolist() == [0] * 9
