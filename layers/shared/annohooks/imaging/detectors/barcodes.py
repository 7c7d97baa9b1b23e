"""QR codes, EAN and UPC codes, read by OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.decode import Picture
from annohooks.imaging.detections import Detections
from annohooks.imaging.detectors.base import Detector, Parameters
from annohooks.imaging.outlines import FloatArray

_MAX_ENLARGED_CODES = 20  # codes of one picture that are enlarged
_MAX_QUADS = 2_500  # OpenCV compares each quadrangle with each other one, in more than linear time
# OpenCV tries all combinations of finder patterns, which takes less than a second for so many. One code can have up to
# 7: with a small window, edges count from inside and from outside, and alignment patterns look like finder patterns.
_MAX_FINDERS = 250
_WINDOWS_PX = (3, 13, 23)  # of OpenCV's adaptive thresholds
_THRESHOLD = 7
_MIN_LENGTH = 0.02  # of a contour, in longer sides of the picture
_INNER = 0.4  # the length of the square in the middle of a finder pattern, relative to the pattern
_ASIDE, _SMALLER = 0.15, 0.8  # distance of the middles and largest size of the inner square, in sides of the outer one
_ENLARGEMENT = 3.0
_ENLARGED_PX = 900.0  # largest side of an enlarged code; reading it takes 20 ms
_MARGIN = 0.35  # around an enlarged code, in its sides: the quiet zone, and more because corners are not exact

_Codes = list[tuple[FloatArray, str]]


class Barcodes(Detector[Parameters]):
    """Reads QR codes, EAN-13, EAN-8, UPC-A and UPC-E. The label is the text, the ring the code's corners; no scores.

    OpenCV finds QR codes by their finder patterns, like ArUco markers. A code that cannot be read is cut out, enlarged
    and read again, which helps with small modules. QR codes are not searched for if there are more finder patterns
    than about 35 codes have, or more than 2500 quadrangles, because OpenCV would try their combinations for too long.
    Source: ISO/IEC 18004, ISO/IEC 15420 (cv2.QRCodeDetectorAruco, cv2.QRCodeDetector, cv2.barcode.BarcodeDetector).
    """

    name = "barcodes"
    title = "Barcodes"
    kind = "barcode"
    parameters = Parameters

    def detect(self, picture: Picture, parameters: Parameters) -> Detections:
        """See `Detector.detect`."""
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        codes = _qr_codes(grey) + _bars(grey)
        rings = [corners for corners, _ in codes]
        xy = np.concatenate(rings).astype(np.float64) if rings else np.empty((0, 2))
        labels = tuple(text for _, text in codes)
        return Detections(xy, np.arange(0, len(xy) + 1, 4, dtype=np.int64), labels, np.full(len(labels), np.nan))


def _qr_codes(grey: cv2.typing.MatLike) -> _Codes:
    """The corners, [4, 2], and the text of each QR code."""
    if _is_crowded(grey):
        return []
    _, texts, corners, _ = cv2.QRCodeDetectorAruco().detectAndDecodeBytesMulti(grey)
    codes: _Codes = []
    enlarged = 0
    for text, ring in zip(texts, () if corners is None else np.asarray(corners, np.float64), strict=False):
        if not text and enlarged < _MAX_ENLARGED_CODES:
            enlarged += 1
            text = _read_enlarged(grey, ring)
        if text:
            codes.append((ring, _decoded(text)))
    return codes


def _is_crowded(grey: cv2.typing.MatLike) -> bool:
    """Whether there are more finder patterns or quadrangles than OpenCV can combine in reasonable time."""
    min_length = _MIN_LENGTH * max(grey.shape)
    for window in _WINDOWS_PX:
        binary = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, window, _THRESHOLD)
        contours, _ = cv2.findContours(binary, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        long = [contour for contour in contours if len(contour) >= _INNER * min_length]
        quads = [contour for contour in long if len(cv2.approxPolyDP(contour, 0.05 * len(contour), True)) == 4]
        if len(quads) > _MAX_QUADS:
            return True
        if quads and _finders(np.array([cv2.boundingRect(contour) for contour in quads])) > _MAX_FINDERS:
            return True
    return False


def _finders(boxes: NDArray[np.int64]) -> int:
    """The number of boxes that look like finder patterns. boxes: [M, 4], x, y, width, height.

    A finder pattern is a square in a square in a square. So its outermost box contains another box with the same
    middle, and no other box contains it in this way.
    """
    sides = boxes[:, 2:].max(axis=1)
    middles = (boxes[:, :2] + boxes[:, 2:] / 2).astype(np.float32)
    aside = np.abs(middles[:, None] - middles[None]).max(axis=2)
    is_around = (aside < _ASIDE * sides[:, None]) & (sides[None] < _SMALLER * sides[:, None])
    return int((is_around.any(axis=1) & ~is_around.any(axis=0)).sum())


def _read_enlarged(grey: cv2.typing.MatLike, ring: FloatArray) -> bytes:
    """The content of a code, read from an enlarged cut-out; empty if it still cannot be read."""
    margin = _MARGIN * np.ptp(ring, axis=0).max()
    height, width = grey.shape
    left, top = (ring.min(axis=0) - margin).clip(0, (width, height)).astype(int).tolist()
    right, bottom = (ring.max(axis=0) + margin).clip(0, (width, height)).astype(int).tolist()
    if right <= left or bottom <= top:
        return b""
    scale = min(_ENLARGEMENT, max(1.0, _ENLARGED_PX / max(right - left, bottom - top)))
    piece = cv2.resize(grey[top:bottom, left:right], None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    text, _, _ = cv2.QRCodeDetector().detectAndDecodeBytes(piece)
    return bytes(text)


def _decoded(content: bytes) -> str:
    """The text of a code that declares no encoding: most are UTF-8, and the standard's default is Latin-1."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _bars(grey: cv2.typing.MatLike) -> _Codes:
    """The corners, [4, 2], and the digits of each EAN or UPC code."""
    _, texts, _, corners = cv2.barcode.BarcodeDetector().detectAndDecodeWithType(grey)
    rings = () if corners is None else np.asarray(corners, np.float64)
    return [(ring, text) for text, ring in zip(texts, rings, strict=False) if text]
