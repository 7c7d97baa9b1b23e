"""Slides in memory, and what analyzers make of them."""

from __future__ import annotations

import math
import threading

import numpy as np

from annohooks.core.deadline import Deadline
from annohooks.imaging import segmentation
from annohooks.imaging.analyzers.dark_regions import DarkRegions, DarkRegionsParameters
from annohooks.imaging.region import Box, Region, Shape
from annohooks.imaging.segmentation import Limits

DARK = DarkRegionsParameters(threshold=150)


class InMemory:
    """A slide of uint8 BGR pixels. It records the boxes that were read, and the most reads at once."""

    def __init__(self, pixels, mpp=0.5):
        self.pixels, self.mpp = pixels, mpp
        self.height, self.width = pixels.shape[:2]
        self.read = []
        self.most_at_once = 0
        self._reading = 0
        self._lock = threading.Lock()

    def picture(self, box, downsample):
        with self._lock:
            self.read.append(box)
            self._reading += 1
            self.most_at_once = max(self.most_at_once, self._reading)
        try:
            return self.pixels_of(box, downsample)
        finally:
            with self._lock:
                self._reading -= 1

    def pixels_of(self, box, downsample):
        """Means of downsample x downsample pixels; pixels beyond the slide repeat its edge."""
        assert box.x >= 0
        assert box.y >= 0
        assert box.right <= self.width
        assert box.bottom <= self.height
        part = self.pixels[box.y : box.bottom, box.x : box.right]
        rows, columns = math.ceil(box.height / downsample), math.ceil(box.width / downsample)
        missing = (0, rows * downsample - box.height), (0, columns * downsample - box.width), (0, 0)
        whole = np.pad(part, missing, mode="edge").reshape(rows, downsample, columns, downsample, 3)
        return np.rint(whole.mean(axis=(1, 3))).astype(np.uint8)


def rectangle(x, y, width, height):
    ring = np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float64)
    return Region(Box(x, y, width, height), (Shape((ring,)),))


def segment(slide, region=None, analyzer=None, parameters=DARK, limits=None, deadline=None):
    """Findings of an analyzer (dark regions) in a region (the whole slide)."""
    region = region or rectangle(0, 0, slide.width, slide.height)
    deadline = deadline or Deadline.after(60)
    return segmentation.segment(slide, region, analyzer or DarkRegions(), parameters, deadline, limits or Limits())


def class_map(analyzer, picture, mpp, parameters):
    return analyzer.class_map(picture, mpp, parameters, analyzer.calibrate(picture, mpp, parameters))


def assert_same(findings, other):
    assert len(findings.outlines) > 0
    for array in ("xy", "offsets", "parent"):
        assert np.array_equal(getattr(findings.outlines, array), getattr(other.outlines, array)), array
    for array in ("classes", "object_counts", "area_um2"):
        assert np.array_equal(getattr(findings, array), getattr(other, array)), array
    assert (findings.region_um2, findings.downsample) == (other.region_um2, other.downsample)
