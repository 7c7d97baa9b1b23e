"""Findings as the results Slide Score's viewer shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from itertools import pairwise
from typing import Any, Literal

import msgspec
import numpy as np

from annohooks.imaging.analyzers import Analyzer
from annohooks.imaging.outlines import IntArray, Outlines
from annohooks.imaging.segmentation import ASSUMED_MPP, Findings, Slide
from annohooks.slidescore import anno2
from annohooks.slidescore.anno2.simplification import simplify

SHOW_QUESTION = "Show"
_BYTES_A_VERTEX = 12  # the least `{"x":1,"y":1},` can take, less its comma and a digit
_BYTES_A_POLYGON = 3 * _BYTES_A_VERTEX


class Show(Enum):
    """What the user wants to see."""

    BOTH = "Outlines and centres"
    OUTLINES = "Outlines"
    CENTRES = "Centres"


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of the answer. Source: protocol reference, section 4 (response)."""

    type: Literal["polygons", "points", "anno2", "text"]
    name: str
    value: Any
    color: str | None = None


Upload = Callable[[bytes], str]
"""Takes an anno2 zip to the server, returns its id."""


class Limits(msgspec.Struct, frozen=True):
    """inline_bytes: of JSON a result may take in the answer, anno2 beyond; outlines: as many as the viewer can take."""

    inline_bytes: int
    outlines: int


def results(
    slide: Slide,
    analyzer: Analyzer[Any, Any],
    found: Sequence[Findings],
    show: Show,
    limits: Limits,
    upload: Upload,
    chosen: str = "",
) -> list[Result]:
    """Outlines and centres, in the answer while small and without holes, as anno2 beyond; and a text that sums up.

    The viewer's polygons have no holes, so outlines with holes are anno2 whatever their number. Of more outlines than
    the viewer can take the largest are, as anno2. With nothing found there is the text alone. Outlines in the answer
    are simplified to one pixel, as those in an anno2 are. chosen: a sentence on the parameters, for the text.
    """
    outlines = Outlines.concatenate([findings.outlines for findings in found])
    notes = [chosen] if chosen else []
    total = int(outlines.is_outer.sum())
    if total > limits.outlines:
        outlines = _largest(outlines, limits.outlines)
        limits = Limits(0, limits.outlines)
        notes.append(f"The viewer can take {limits.outlines} outlines: the largest are shown.")
    shown: list[Result] = []
    if total and show is not Show.CENTRES:
        shown.append(_outlines_result(slide, analyzer, outlines, limits, upload))
    if total and show is not Show.OUTLINES:
        shown.append(_centres_result(slide, analyzer, outlines, limits, upload))
    if any(result.type == "anno2" for result in shown):
        notes.append("What is too much for the answer itself, or has holes, is shown as anno2 only.")
    return [*shown, Result("text", analyzer.title, " ".join([_summary(slide, analyzer, found, total), *notes]))]


def _outlines_result(
    slide: Slide, analyzer: Analyzer[Any, Any], outlines: Outlines, limits: Limits, upload: Upload
) -> Result:
    if outlines.is_outer.all() and len(outlines) * _BYTES_A_POLYGON <= limits.inline_bytes:
        xy, offsets = simplify(outlines.xy, outlines.offsets, anno2.FINE_TOLERANCE_PX)
        if len(xy) * _BYTES_A_VERTEX <= limits.inline_bytes:
            points, ends = _points(xy), offsets.tolist()
            polygons = [{"type": "polygon", "points": points[a:b]} for a, b in pairwise(ends) if b - a > 2]
            if polygons and len(msgspec.json.encode(polygons)) <= limits.inline_bytes:
                return Result("polygons", analyzer.title, polygons, analyzer.color)
    packed = anno2.polygons_zip(outlines, _metadata(analyzer), width=slide.width, height=slide.height)
    return Result("anno2", analyzer.title, upload(packed), analyzer.color)


def _centres_result(
    slide: Slide, analyzer: Analyzer[Any, Any], outlines: Outlines, limits: Limits, upload: Upload
) -> Result:
    name = f"{analyzer.title}: centres"
    centres = np.clip(np.rint(outlines.centroids()), 0, (slide.width, slide.height)).astype(np.int32)
    if len(centres) * _BYTES_A_VERTEX <= limits.inline_bytes:
        points = _points(centres)
        if len(msgspec.json.encode(points)) <= limits.inline_bytes:
            return Result("points", name, points, analyzer.color)
    packed = anno2.points_zip(centres, _metadata(analyzer), width=slide.width, height=slide.height)
    return Result("anno2", name, upload(packed), analyzer.color)


def _metadata(analyzer: Analyzer[Any, Any]) -> dict[str, object]:
    return {"analysis": analyzer.name, "title": analyzer.title}


def _points(xy: IntArray) -> list[dict[str, int]]:
    return [{"x": x, "y": y} for x, y in xy.tolist()]


def _largest(outlines: Outlines, number: int) -> Outlines:
    """That many outer rings, those of the largest area, with their holes."""
    areas = np.where(outlines.is_outer, outlines.areas(), -1.0)
    keep = ~outlines.is_outer
    keep[np.argpartition(areas, -number)[-number:]] = True
    return outlines.take(keep)


def _summary(slide: Slide, analyzer: Analyzer[Any, Any], found: Sequence[Findings], total: int) -> str:
    area, region = sum(f.area_um2 for f in found), sum(f.region_um2 for f in found)
    where = "the region" if len(found) == 1 else f"{len(found)} regions"
    if total:
        share = 100 * area / region if region else 0.0
        text = (
            f"{analyzer.title}: {total} found, {area:,.0f} um2 together, {area / total:,.1f} um2 on average; "
            f"{share:.1f} % of {where} ({region:,.0f} um2)."
        )
    else:
        text = f"{analyzer.title}: nothing found in {where} ({region:,.0f} um2)."
    mpp = slide.mpp or ASSUMED_MPP
    coarsest = max(f.downsample for f in found)
    text += f" Analysed at {mpp * coarsest:.2g} um per pixel."
    if slide.mpp is None:
        text += f" The slide does not say how large its pixels are: {ASSUMED_MPP} um assumed."
    return text
