"""What was found, in words for the person who asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from annohooks.imaging.analyzers import Analyzer
from annohooks.imaging.findings import Findings

_LEAST_MM2 = 0.1  # smaller areas are told in um2


def summary(analyzer: Analyzer[Any, Any], conclusion: str, found: Sequence[Findings], *, is_mpp_known: bool) -> str:
    """Number, area and share of the regions, of each class if there are several; what the analyzer says of it; how it
    was read; and what is counted but not shown.

    conclusion: the analyzer's sentence. is_mpp_known: whether the slide says how large its pixels are.
    """
    coarsest = max(found, key=lambda findings: findings.downsample)
    sentences = [
        _counts(analyzer, found),
        conclusion,
        f"Analysed at {coarsest.slide_mpp * coarsest.downsample:.2g} um per pixel.",
    ]
    if not is_mpp_known:
        sentences.append(f"The slide does not say how large its pixels are: {coarsest.slide_mpp} um assumed.")
    if left_out := sum(findings.left_out for findings in found):
        shown = sum(int(findings.outlines.is_outer.sum()) for findings in found)
        sentences.append(
            f"That is more than can be shown: the largest {shown:,} that fit are, the other {left_out:,} only counted."
        )
    return " ".join(filter(None, sentences))


def _counts(analyzer: Analyzer[Any, Any], found: Sequence[Findings]) -> str:
    numbers = np.sum([findings.object_counts for findings in found], axis=0)
    areas = np.sum([findings.area_um2 for findings in found], axis=0)
    number, area, region = int(numbers.sum()), float(areas.sum()), sum(findings.region_um2 for findings in found)
    where = "the region" if len(found) == 1 else f"{len(found)} regions"
    if not number:
        return f"{analyzer.title}: nothing found in {where} ({_area(region)})."
    share = 100 * area / region if region else 0.0
    text = (
        f"{analyzer.title}: {number:,} found, {_area(area)} together, {_area(area / number, 1)} on average; "
        f"{share:.1f} % of {where} ({_area(region)})."
    )
    if len(analyzer.classes) == 1:
        return text
    of_each = [f"{count:,} {of.title}" for count, of in zip(numbers, analyzer.classes, strict=True)]
    return f"{text} Of these, {', '.join(of_each)}."


def _area(um2: float, decimals: int = 0) -> str:
    """In mm2 where that is easier to read."""
    return f"{um2:,.{decimals}f} um2" if um2 < _LEAST_MM2 * 1e6 else f"{um2 / 1e6:,.2f} mm2"
