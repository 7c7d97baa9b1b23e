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
    """Findings with these rings. classes: by default all 1. found: by default the number of outer rings."""
    outlines = Outlines.from_rings(rings, parent)
    ring_classes = np.array(classes or [1] * len(rings), np.uint8)
    counts = np.bincount(ring_classes[outlines.is_outer], minlength=len(area_um2) + 1)[1:]
    region = Region(Box(0, 0, 10_000, 8_000), (Shape((np.array(square(0, 0, 8_000), float),)),))
    numbers = counts if found is None else np.array(found)
    return Findings(region, outlines, ring_classes, numbers, np.array(area_um2), region_um2, downsample, slide_mpp)


class Cells(DarkRegions):
    """An analyzer with two classes, and a conclusion of the test's choice."""

    name, title = "cells", "Cells"
    classes = (ObjectClass("positive cells", "#AA0000"), ObjectClass("negative cells", "#0000AA"))
    sentence = ""
    map = None

    def conclude(self, findings, parameters):
        return Conclusion(self.sentence, self.map)
