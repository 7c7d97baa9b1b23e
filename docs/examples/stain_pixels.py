"""Stained area by a small network: an example of an analyzer with a model of its own (see docs/analyzers.md)."""

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
SHA256 = "81951ad62e8badc28d64c4a6fa2ddce6837e911c690e3d817bb07b729d2ea4b6"  # as make_model.py prints it


class StainPixelsParameters(Parameters, frozen=True, kw_only=True):
    """What a user may choose: each is a question of the form."""

    certainty: Annotated[float, msgspec.Meta(title="certainty in percent", ge=1, le=99)] = 50.0
    smallest_um2: Annotated[float, msgspec.Meta(title="smallest area in um2", ge=0, le=1e9)] = 5.0


@analyzer
class StainPixels(Analyzer[StainPixelsParameters, None]):
    """What the network holds for stained."""

    name = "stain_pixels"
    title = "Stained area (network)"
    classes = (ObjectClass("stained areas", "#C06000"),)
    shows = ("outlines",)
    parameters = StainPixelsParameters
    mpp = 0.5
    coarsest_mpp = 1.0
    smallest_hole_um2 = 5.0
    halo_um = 4.0  # the network looks one pixel far, the opening two

    def calibrate(self, sample: Picture, mpp: float, parameters: StainPixelsParameters) -> None:
        """Nothing to learn: the network knows."""

    def class_map(self, picture: Picture, mpp: float, parameters: StainPixelsParameters, calibration: None) -> ClassMap:
        rest, stained = _network().scores(picture)
        odds = parameters.certainty / (100 - parameters.certainty)
        certain = (stained - rest > np.log(odds)).astype(np.uint8)
        return cv2.morphologyEx(certain, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).astype(np.uint8, copy=False)

    def conclude(self, found: Sequence[Findings], parameters: StainPixelsParameters) -> Conclusion:
        stained, region = sum(each.area_um2.sum() for each in found), sum(each.region_um2 for each in found)
        return Conclusion(f"{100 * stained / region:.1f} % stained." if region else "")


@cache
def _network() -> onnx.Network:
    """Read when first needed, and once it could be."""
    return onnx.Network(onnx_files.read(MODEL, SHA256), MODEL, classes=2, patch_px=256, margin_px=1)
