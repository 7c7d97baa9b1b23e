"""Of more outlines than an answer can hold, the largest."""

from __future__ import annotations

from collections.abc import Iterable
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


def largest(found: Iterable[Findings], most: Most) -> list[Findings]:
    """The findings with the largest of their outlines, of all regions and classes, up to the first that no longer fits.

    An outline that is too much by itself is left out and does not count as the first. Outlines that go stay counted,
    in `object_counts` and `left_out`. found: may be made one by one; never more is in memory than fits, and the latest.
    Which outlines stay does not depend on the order of the findings, but that of the same size the earlier ones do.
    """
    limits = np.array([most.outlines, most.vertices, most.memberships])
    kept: list[Findings] = []
    cost, areas = np.empty((0, 3), np.int64), np.empty(0)
    gone_px2 = -1.0  # the area of the largest that no longer fitted
    for latest in found:
        earlier = len(cost)
        kept.append(latest)
        cost = np.concatenate((cost, _cost(latest.outlines)))
        areas = np.concatenate((areas, latest.outlines.areas()[latest.outlines.is_outer]))
        del latest  # it is not needed whole while the next is made
        keep = np.asarray((cost <= limits).all(axis=1))
        keep[earlier:] &= areas[earlier:] > gone_px2
        order = np.flatnonzero(keep)[np.argsort(-areas[keep], kind="stable")]
        beyond = order[~(np.cumsum(cost[order], axis=0) <= limits).all(axis=1)]
        if beyond.size:
            gone_px2 = areas[beyond[0]]
            keep[beyond] = False
        ends = np.cumsum([int(each.outlines.is_outer.sum()) for each in kept])
        kept = [_kept(each, part) for each, part in zip(kept, np.split(keep, ends[:-1]), strict=True)]
        cost, areas = cost[keep], areas[keep]
    return kept


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
    if outer.all():
        return findings
    keep = np.zeros(len(findings.outlines), np.bool_)
    keep[findings.outlines.is_outer] = outer
    holes = ~findings.outlines.is_outer
    keep[holes] = keep[findings.outlines.parent[holes]]
    return replace(findings, outlines=findings.outlines.take(keep), classes=findings.classes[keep])
