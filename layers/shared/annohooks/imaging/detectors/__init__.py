"""The detectors that come with OpenCV."""

from typing import Any

from annohooks.imaging.detectors.barcodes import Barcodes
from annohooks.imaging.detectors.base import Detector, Kind, Parameters
from annohooks.imaging.detectors.faces import Faces

DETECTORS: dict[str, Detector[Any]] = {each.name: each for each in (Faces(), Barcodes())}
"""By name."""

__all__ = ["DETECTORS", "Detector", "Kind", "Parameters"]
