"""Keeps the largest outlines when an answer cannot hold them all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.findings import Findings
from annohooks.imaging.outlines import BoolArray, Outlines
from annohooks.slidescore.anno2 import MAX_TILE_ENTRIES
from annohooks.slidescore.anno2.tiles import Boxes


class AnswerLimits(msgspec.Struct, frozen=True):
    """Limits for all outlines of an answer together. A hole counts with the outline it lies in.

    outlines: as many as the viewer can show. vertices: of these outlines. tile_entries: of anno2's tile index, where a
    few outlines as large as the slide need more entries than a million nuclei.
    """

    outlines: int
    vertices: int = 16_000_000
    tile_entries: int = MAX_TILE_ENTRIES


def largest(findings: Iterable[Findings], limits: AnswerLimits) -> list[Findings]:
    """The findings with their largest outlines, across all regions and classes, until the first that does not fit.

    An outline that exceeds a limit by itself is left out, and smaller ones are still kept. Objects whose outlines are
    left out still count, in `object_counts` and `left_out`. findings: may come from a generator; the memory then holds
    no more than the outlines that fit, and the latest findings. The order of the findings does not change which
    outlines are kept, except that the earlier one wins between two of the same size.
    """
    limit = np.array([limits.outlines, limits.vertices, limits.tile_entries])
    selected: list[Findings] = []
    cost, area_px2 = np.empty((0, 3), np.int64), np.empty(0)
    largest_left_out_px2 = -1.0
    for latest in findings:
        earlier = len(cost)
        selected.append(latest)
        cost = np.concatenate((cost, _cost(latest.outlines)))
        area_px2 = np.concatenate((area_px2, latest.outlines.areas()[latest.outlines.is_outer]))
        del latest  # its memory must be free while the next findings are made
        keep = np.asarray((cost <= limit).all(axis=1))
        keep[earlier:] &= area_px2[earlier:] > largest_left_out_px2
        by_size = np.flatnonzero(keep)[np.argsort(-area_px2[keep], kind="stable")]
        beyond = by_size[~(np.cumsum(cost[by_size], axis=0) <= limit).all(axis=1)]
        if beyond.size:
            largest_left_out_px2 = area_px2[beyond[0]]
            keep[beyond] = False
        ends = np.cumsum([int(part.outlines.is_outer.sum()) for part in selected])
        selected = [_taken(part, outer) for part, outer in zip(selected, np.split(keep, ends[:-1]), strict=True)]
        cost, area_px2 = cost[keep], area_px2[keep]
    return selected


def _cost(outlines: Outlines) -> NDArray[np.int64]:
    """What each outer outline counts against the limits, with its holes: int64 [outer, 3], in their order."""
    if not len(outlines):
        return np.empty((0, 3), np.int64)
    outer = outlines.is_outer
    owner = (np.cumsum(outer) - 1)[np.where(outer, np.arange(len(outlines)), outlines.parent)]
    tile_counts = Boxes.around(outlines.xy, outlines.offsets).tile_counts()
    amounts = (outer, outlines.counts, tile_counts)
    return np.stack([np.bincount(owner, weights=amount).astype(np.int64) for amount in amounts], axis=1)


def _taken(findings: Findings, outer: BoolArray) -> Findings:
    """The findings with some of their outer outlines and the holes in these. outer: bool, one per outer outline."""
    if outer.all():
        return findings
    keep = np.zeros(len(findings.outlines), np.bool_)
    keep[findings.outlines.is_outer] = outer
    holes = ~findings.outlines.is_outer
    keep[holes] = keep[findings.outlines.parent[holes]]
    return replace(findings, outlines=findings.outlines.take(keep), classes=findings.classes[keep])
