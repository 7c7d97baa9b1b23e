"""The built-in detectors, which use what OpenCV ships."""

from typing import Any

from annohooks.imaging.detectors.barcodes import Barcodes
from annohooks.imaging.detectors.base import Detector, Kind, Parameters
from annohooks.imaging.detectors.faces import Faces

DETECTORS: dict[str, Detector[Any]] = {detector.name: detector for detector in (Faces(), Barcodes())}
"""The built-in detectors, by name."""

__all__ = ["DETECTORS", "Detector", "Kind", "Parameters"]
