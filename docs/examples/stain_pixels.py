"""The stained area, found by a small network: an example of an analyzer with its own model (see docs/analyzers.md)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Annotated

import cv2
import msgspec
import numpy as np

from annohooks.core import onnx_files
from annohooks.imaging import onnx
from annohooks.imaging.analyzers.base import Analyzer, ClassMap, Conclusion, ObjectClass, Parameters, analyzer
from annohooks.imaging.decode import Picture
from annohooks.imaging.findings import Findings

MODEL = "stain_pixels.onnx"
SHA256 = "81951ad62e8badc28d64c4a6fa2ddce6837e911c690e3d817bb07b729d2ea4b6"  # make_model.py prints it


class StainPixelsParameters(Parameters, frozen=True, kw_only=True):
    """The parameters that a user may choose. Each is a question of the form."""

    certainty: Annotated[float, msgspec.Meta(title="certainty in percent", ge=1, le=99)] = 50.0
    smallest_um2: Annotated[float, msgspec.Meta(title="smallest area in um2", ge=0, le=1e9)] = 5.0


@analyzer
class StainPixels(Analyzer[StainPixelsParameters, None]):
    """Pixels that the network classifies as stained."""

    name = "stain_pixels"
    title = "Stained area (network)"
    classes = (ObjectClass("stained areas", "#C06000"),)
    shows = ("outlines",)
    parameters = StainPixelsParameters
    mpp = 0.5
    coarsest_mpp = 1.0
    smallest_hole_um2 = 5.0
    halo_um = 4.0  # the network reaches one pixel far, the opening two

    def calibrate(self, sample: Picture, mpp: float, parameters: StainPixelsParameters) -> None:
        """The network is trained already, so there is nothing to calibrate."""

    def class_map(self, picture: Picture, mpp: float, parameters: StainPixelsParameters, calibration: None) -> ClassMap:
        rest, stained = _network().scores(picture)
        odds = parameters.certainty / (100 - parameters.certainty)
        certain = (stained - rest > np.log(odds)).astype(np.uint8)
        return cv2.morphologyEx(certain, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).astype(np.uint8, copy=False)

    def conclude(self, findings: Sequence[Findings], parameters: StainPixelsParameters) -> Conclusion:
        stained_um2 = sum(region.area_um2.sum() for region in findings)
        analysed_um2 = sum(region.region_um2 for region in findings)
        return Conclusion(f"{100 * stained_um2 / analysed_um2:.1f} % stained." if analysed_um2 else "")


@cache
def _network() -> onnx.Network:
    """The network, read once, when it is first needed."""
    return onnx.Network(onnx_files.read(MODEL, SHA256), MODEL, classes=2, patch_px=256, margin_px=1)
