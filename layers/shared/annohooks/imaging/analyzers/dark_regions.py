"""Areas that are darker than their surroundings: tissue on glass, ink, pigment, stained areas."""

from __future__ import annotations

from typing import Annotated

import cv2
import msgspec
import numpy as np

from annohooks.imaging.analyzers.base import Analyzer, ClassMap, ObjectClass, Parameters, analyzer
from annohooks.imaging.decode import Picture
from annohooks.imaging.histograms import histogram, otsu_threshold
from annohooks.imaging.outlines.contours import Mask

_MIN_CONTRAST = 12.0  # grey values between the means of dark and bright; JPEG noise on empty glass stays below 5


class DarkRegionsParameters(Parameters, frozen=True, kw_only=True):
    """The parameters of dark regions."""

    threshold: Annotated[int, msgspec.Meta(title="darker than this grey value, 0 for Otsu's", ge=0, le=255)] = 0
    smallest_um2: Annotated[float, msgspec.Meta(title="smallest area in um2", ge=0, le=1e9)] = 25.0


@analyzer
class DarkRegions(Analyzer[DarkRegionsParameters, float]):
    """Grey values below a threshold. Without one, the threshold is Otsu's. Source: Otsu 1979."""

    name = "dark_regions"
    title = "Dark regions"
    classes = (ObjectClass("dark regions", "#0000FF"),)
    parameters = DarkRegionsParameters
    mpp = 1.0
    coarsest_mpp = float("inf")
    smallest_hole_um2 = 25.0
    halo_um = 8.0

    def calibrate(self, sample: Picture, mpp: float, parameters: DarkRegionsParameters) -> float:
        """The highest grey value that counts as dark; -1 without contrast."""
        if parameters.threshold:
            return parameters.threshold - 1.0
        threshold = otsu_threshold(histogram(_grey(sample)), _MIN_CONTRAST)
        return -1.0 if threshold is None else threshold

    def class_map(
        self, picture: Picture, mpp: float, parameters: DarkRegionsParameters, calibration: float
    ) -> ClassMap:
        """See `Analyzer.class_map`."""
        _, dark = cv2.threshold(_grey(picture), calibration, 1, cv2.THRESH_BINARY_INV)
        opened = cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        return opened.astype(np.uint8, copy=False)


def _grey(picture: Picture) -> Mask:
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
