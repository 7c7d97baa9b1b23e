"""The results in words, for the user who asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from annohooks.imaging.analyzers import Analyzer
from annohooks.imaging.findings import Findings

_SMALLEST_MM2 = 0.1  # smaller areas are written in um2


def summary(analyzer: Analyzer[Any, Any], conclusion: str, findings: Sequence[Findings], *, is_mpp_known: bool) -> str:
    """The text of an answer: number, area and share of the regions, the number of each class, the analyzer's
    conclusion, the resolution, and the number of objects that are not shown.

    conclusion: a sentence. is_mpp_known: whether the slide states its pixel size.
    """
    coarsest = max(findings, key=lambda region: region.downsample)
    sentences = [
        _counts(analyzer, findings),
        conclusion,
        f"Analysed at {coarsest.slide_mpp * coarsest.downsample:.2g} um per pixel.",
    ]
    if not is_mpp_known:
        sentences.append(f"The slide does not state its pixel size; {coarsest.slide_mpp} um is assumed.")
    if left_out := sum(region.left_out for region in findings):
        shown = sum(int(region.outlines.is_outer.sum()) for region in findings)
        sentences.append(f"Only the largest {shown:,} are shown. Counted but not shown: {left_out:,}.")
    return " ".join(filter(None, sentences))


def _counts(analyzer: Analyzer[Any, Any], findings: Sequence[Findings]) -> str:
    numbers = np.sum([region.object_counts for region in findings], axis=0)
    areas = np.sum([region.area_um2 for region in findings], axis=0)
    number, area_um2 = int(numbers.sum()), float(areas.sum())
    region_um2 = sum(region.region_um2 for region in findings)
    where = "the region" if len(findings) == 1 else f"{len(findings)} regions"
    if not number:
        return f"{analyzer.title}: nothing found in {where} ({_area(region_um2)})."
    share = 100 * area_um2 / region_um2 if region_um2 else 0.0
    text = (
        f"{analyzer.title}: {number:,} found, {_area(area_um2)} together, {_area(area_um2 / number, 1)} on average; "
        f"{share:.1f} % of {where} ({_area(region_um2)})."
    )
    if len(analyzer.classes) == 1:
        return text
    classes = [f"{count:,} {class_.title}" for count, class_ in zip(numbers, analyzer.classes, strict=True)]
    return f"{text} Of these, {', '.join(classes)}."


def _area(um2: float, decimals: int = 0) -> str:
    """An area in um2, or in mm2 if it is large."""
    return f"{um2:,.{decimals}f} um2" if um2 < _SMALLEST_MM2 * 1e6 else f"{um2 / 1e6:,.2f} mm2"
