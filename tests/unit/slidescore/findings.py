"""Findings and analyzers made up for tests."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from annohooks.imaging.analyzers import Conclusion, ObjectClass
from annohooks.imaging.analyzers.dark_regions import DarkRegions
from annohooks.imaging.findings import Findings
from annohooks.imaging.outlines import Outlines
from annohooks.imaging.region import Box, Region, Shape

SLIDE = SimpleNamespace(width=10_000, height=8_000, mpp=0.25)


def square(x, y, side):
    return [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]


def findings(
    *rings, parent=None, classes=None, found=None, area_um2=(80.0,), region_um2=1000.0, downsample=2, slide_mpp=0.25
):
    """Rings of slide pixels, of class 1 when nothing else is said; found: how many, when not just those with a ring."""
    outlines = Outlines.from_rings(rings, parent)
    of = np.array(classes or [1] * len(rings), np.uint8)
    count = np.bincount(of[outlines.is_outer], minlength=len(area_um2) + 1)[1:]
    region = Region(Box(0, 0, 10_000, 8_000), (Shape((np.array(square(0, 0, 8_000), float),)),))
    numbers = count if found is None else np.array(found)
    return Findings(region, outlines, of, numbers, np.array(area_um2), region_um2, downsample, slide_mpp)


class Cells(DarkRegions):
    """Two classes, and whatever else an analyzer may have."""

    name, title = "cells", "Cells"
    classes = (ObjectClass("positive cells", "#AA0000"), ObjectClass("negative cells", "#0000AA"))
    says = ""
    map = None

    def conclude(self, findings, parameters):
        return Conclusion(self.says, self.map)
