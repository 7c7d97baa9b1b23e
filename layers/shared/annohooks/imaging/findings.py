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

    outlines: in slide pixels, with their holes. classes: uint8 [M], the class of each ring, from 1 to K.
    object_counts: int64 [K], the number of objects of each class, with those that have no outline. area_um2: float64
    [K], the area of all objects of each class without their holes, counted in pixels. region_um2: the area that was
    analysed; 0 if no pixel has its centre in the region. downsample: slide pixels per analysed pixel, along a side.
    slide_mpp: micrometres per slide pixel.
    """

    region: Region
    outlines: Outlines
    classes: NDArray[np.uint8]
    object_counts: NDArray[np.int64]
    area_um2: FloatArray
    region_um2: float
    downsample: int
    slide_mpp: float

    @property
    def left_out(self) -> int:
        """The number of objects that are counted but have no outline, because there were too many or they were too
        complex: the largest that fit have one."""
        return int(self.object_counts.sum() - self.outlines.is_outer.sum())
