"""What an analyzer found in a region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.outlines import FloatArray, Outlines
from annohooks.imaging.region import Region


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Objects of K classes in one region.

    outlines: in slide pixels, holes linked; classes: uint8 [M], the class of each ring, from 1 to K.
    found: int64 [K], how many objects of each class there are, those left out of the outlines too. area_um2: float64
    [K], of all of them, holes taken off, counted in pixels. region_um2: what was looked at, 0 for a region that no
    pixel's centre lies in. downsample: slide pixels per analysed pixel, along a side. slide_mpp: micrometres per slide
    pixel.
    """

    region: Region
    outlines: Outlines
    classes: NDArray[np.uint8]
    found: NDArray[np.int64]
    area_um2: FloatArray
    region_um2: float
    downsample: int
    slide_mpp: float

    @property
    def left_out(self) -> int:
        """Objects that are counted but have no outline here: the smallest of too many, or of too many vertices."""
        return int(self.found.sum() - self.outlines.is_outer.sum())
