"""QR codes, EAN and UPC by OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.decode import Picture
from annohooks.imaging.detections import Detections
from annohooks.imaging.detectors.base import Detector, Parameters
from annohooks.imaging.outlines import FloatArray

_MOST_LOOKS = 20
_MOST_QUADS = 2_500  # OpenCV compares each with each, in time that grows faster than their number
# OpenCV tries all that may belong together, which takes less than a second for so many. A code has up to 7, as edges
# are counted from inside and from outside where a window is small, and alignment patterns look alike.
_MOST_FINDERS = 250
_WINDOWS = (3, 13, 23)  # of its thresholds, in pixels
_THRESHOLD = 7
_LEAST_LENGTH = 0.02  # of a contour, in sides of the picture
_INNER = 0.4  # of a finder pattern's length, that of the square in its middle
_ASIDE, _SMALLER = 0.15, 0.8  # how far from its middle, and how much smaller than it, in its sides
_ENLARGED = 3.0
_LOOK_PX = 900.0  # no larger, as reading takes 20 ms then
_MARGIN = 0.35  # about a code that is looked at, in its own sides: the quiet zone, and more as corners are not exact

_Found = list[tuple[FloatArray, str]]


class Barcodes(Detector[Parameters]):
    """Codes that can be read: a label is the text, a ring the code's corners; there are no scores.

    QR codes are found by their finder patterns as ArUco markers are; those that cannot be read then are enlarged and
    read as codes of their own pictures, which is what small modules need. EAN-13, EAN-8, UPC-A and UPC-E. QR codes are
    not looked for where there are more finder patterns than those of about 35 codes, or more than 2500 quadrangles:
    trying which of them belong together would not end.
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


def _qr_codes(grey: cv2.typing.MatLike) -> _Found:
    """Corners, [4, 2], and text of each."""
    if _is_crowded(grey):
        return []
    _, texts, corners, _ = cv2.QRCodeDetectorAruco().detectAndDecodeBytesMulti(grey)
    read: _Found = []
    looks = 0
    for text, ring in zip(texts, () if corners is None else np.asarray(corners, np.float64), strict=False):
        if not text and looks < _MOST_LOOKS:
            looks += 1
            text = _looked_at(grey, ring)
        if text:
            read.append((ring, _text(text)))
    return read


def _is_crowded(grey: cv2.typing.MatLike) -> bool:
    """Whether there is more that looks like a finder pattern, or a marker, than OpenCV comes to an end with."""
    least = _LEAST_LENGTH * max(grey.shape)
    for window in _WINDOWS:
        binary = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, window, _THRESHOLD)
        contours, _ = cv2.findContours(binary, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        long = [contour for contour in contours if len(contour) >= _INNER * least]
        quads = [contour for contour in long if len(cv2.approxPolyDP(contour, 0.05 * len(contour), True)) == 4]
        if len(quads) > _MOST_QUADS:
            return True
        if quads and _finders(np.array([cv2.boundingRect(contour) for contour in quads])) > _MOST_FINDERS:
            return True
    return False


def _finders(boxes: NDArray[np.int64]) -> int:
    """How many boxes, [M, 4] as x, y, width, height, are around another with the same middle, and in none that is so.

    So is a finder pattern, a square in a square in a square.
    """
    sides = boxes[:, 2:].max(axis=1)
    middles = (boxes[:, :2] + boxes[:, 2:] / 2).astype(np.float32)
    aside = np.abs(middles[:, None] - middles[None]).max(axis=2)
    is_around = (aside < _ASIDE * sides[:, None]) & (sides[None] < _SMALLER * sides[:, None])
    return int((is_around.any(axis=1) & ~is_around.any(axis=0)).sum())


def _looked_at(grey: cv2.typing.MatLike, ring: FloatArray) -> bytes:
    """What a code says when it is enlarged; nothing when that does not help."""
    margin = _MARGIN * np.ptp(ring, axis=0).max()
    height, width = grey.shape
    left, top = (ring.min(axis=0) - margin).clip(0, (width, height)).astype(int).tolist()
    right, bottom = (ring.max(axis=0) + margin).clip(0, (width, height)).astype(int).tolist()
    if right <= left or bottom <= top:
        return b""
    scale = min(_ENLARGED, max(1.0, _LOOK_PX / max(right - left, bottom - top)))
    piece = cv2.resize(grey[top:bottom, left:right], None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    text, _, _ = cv2.QRCodeDetector().detectAndDecodeBytes(piece)
    return bytes(text)


def _text(content: bytes) -> str:
    """A code without a declared encoding is UTF-8 as they are written, or Latin-1 as the standard has it."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _bars(grey: cv2.typing.MatLike) -> _Found:
    """Corners, [4, 2], and digits of each."""
    _, texts, _, corners = cv2.barcode.BarcodeDetector().detectAndDecodeWithType(grey)
    rings = () if corners is None else np.asarray(corners, np.float64)
    return [(ring, text) for text, ring in zip(texts, rings, strict=False) if text]
