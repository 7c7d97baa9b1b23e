"""Of more outlines than an answer can hold, the largest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.findings import Findings
from annohooks.imaging.outlines import Outlines
from annohooks.slidescore.anno2 import MOST_MEMBERSHIPS
from annohooks.slidescore.anno2.tiles import Boxes


class Most(msgspec.Struct, frozen=True):
    """What all outlines of an answer may amount to: outlines, as many as the viewer can take; their vertices; and how
    often one touches a tile of anno2's index, where a few outlines as large as the slide take more than a million
    nuclei. Holes count with the outline they lie in."""

    outlines: int
    vertices: int = 16_000_000
    memberships: int = MOST_MEMBERSHIPS


def largest(found: Sequence[Findings], most: Most) -> list[Findings]:
    """The findings with as many of their outlines as fit: the largest of all regions and classes.

    An outline that is too much by itself is left out. Outlines that go stay counted, in `found` and `left_out`.
    """
    limits = np.array([most.outlines, most.vertices, most.memberships])
    cost = np.concatenate([np.empty((0, 3), np.int64), *(_cost(each.outlines) for each in found)])
    if (cost.sum(axis=0) <= limits).all():
        return list(found)
    areas = np.concatenate([each.outlines.areas()[each.outlines.is_outer] for each in found])
    order = np.argsort(-areas, kind="stable")
    order = order[(cost[order] <= limits).all(axis=1)]
    fits = (np.cumsum(cost[order], axis=0) <= limits).all(axis=1)
    keep = np.zeros(len(cost), np.bool_)
    keep[order[fits]] = True
    ends = np.cumsum([int(each.outlines.is_outer.sum()) for each in found])
    return [_kept(each, part) for each, part in zip(found, np.split(keep, ends[:-1]), strict=True)]


def _cost(outlines: Outlines) -> NDArray[np.int64]:
    """For each outer ring, int64 [outer, 3]: one, its vertices, the tiles it touches; those of its holes included."""
    if not len(outlines):
        return np.empty((0, 3), np.int64)
    outer = outlines.is_outer
    of = (np.cumsum(outer) - 1)[np.where(outer, np.arange(len(outlines)), outlines.parent)]
    tiles = Boxes.around(outlines.xy, outlines.offsets).tile_counts()
    amounts = (outer, outlines.counts, tiles)
    return np.stack([np.bincount(of, weights=amount).astype(np.int64) for amount in amounts], axis=1)


def _kept(findings: Findings, outer: NDArray[np.bool_]) -> Findings:
    """outer: which outer rings stay, in ring order; a hole stays with its own."""
    keep = np.zeros(len(findings.outlines), np.bool_)
    keep[findings.outlines.is_outer] = outer
    holes = ~findings.outlines.is_outer
    keep[holes] = keep[findings.outlines.parent[holes]]
    return replace(findings, outlines=findings.outlines.take(keep), classes=findings.classes[keep])
