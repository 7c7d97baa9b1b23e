"""QR codes, EAN and UPC by OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

from annohooks.imaging.decode import Picture
from annohooks.imaging.detections import Detections
from annohooks.imaging.detectors.base import Detector, Parameters
from annohooks.imaging.outlines import FloatArray

_MOST_LOOKS = 20
_LOOK_PX = 1000
_MOST_ENLARGED = 3.0
_MARGIN = 0.35


class Barcodes(Detector[Parameters]):
    """Codes that can be read: a label is the text, a ring the code's corners; there are no scores.

    QR codes are found by their finder patterns as ArUco markers are; those that cannot be read then are enlarged and
    read as codes of their own pictures, which is what small modules need. EAN-13, EAN-8, UPC-A and UPC-E.
    Source: ISO/IEC 18004, ISO/IEC 15420 (cv2.QRCodeDetectorAruco, cv2.QRCodeDetector, cv2.barcode.BarcodeDetector).
    """

    name = "barcodes"
    title = "Barcodes"
    kind = "barcode"
    parameters = Parameters

    def detect(self, picture: Picture, parameters: Parameters) -> Detections:
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        found = _qr_codes(grey) + _bars(grey)
        rings = [corners for corners, _ in found]
        xy = np.concatenate(rings).astype(np.float64) if rings else np.empty((0, 2))
        labels = tuple(text for _, text in found)
        return Detections(xy, np.arange(0, len(xy) + 1, 4, dtype=np.int64), labels, np.full(len(labels), np.nan))
