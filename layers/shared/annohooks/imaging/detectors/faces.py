"""Faces seen from the front, by two of OpenCV's cascades that have to agree."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Annotated

import cv2
import msgspec
import numpy as np

from annohooks.imaging.decode import Picture
from annohooks.imaging.detections import Detections, distinct, overlaps
from annohooks.imaging.detectors.base import Detector, Parameters
from annohooks.imaging.outlines import FloatArray

_FOLDER = Path(cv2.__file__).with_name("data")
_CASCADES = ("haarcascade_frontalface_alt2.xml", "haarcascade_frontalface_default.xml")
# What their last stages ask for, from where weights count; the second's are five times as large as the first's.
_LEAST_WEIGHTS = (53.755569, -2.992828)
_UNITS = (1.0, 5.0)
_WINDOW_PX = 20  # what the first cascade looks at
_SCAN_STEP = 1.2
_MOST_CANDIDATES = 100
_LOOK_PX = 56.0  # a candidate is scaled to this size, where each cascade finds a face by tens of windows, others by few
_LOOK_STEP = 1.1
_EVEN_EVIDENCE = 6.0  # above all that skimage's pictures without faces give; of 100 faces of LFW, 98 are above

_Pair = tuple[cv2.CascadeClassifier, cv2.CascadeClassifier]


class FaceParameters(Parameters, frozen=True, kw_only=True):
    """What a user may choose for faces."""

    smallest_face: Annotated[
        float, msgspec.Meta(title="smallest face, as part of the picture's shorter side", ge=0.02, le=1)
    ] = 0.06
    least_confidence: Annotated[float, msgspec.Meta(title="least confidence", ge=0, le=1)] = 0.5


class Faces(Detector[FaceParameters]):
    """Scans with one cascade in wide steps, looks closely at what it finds with both, and trusts what both see.

    A score is e^3 / (e^3 + 6^3), e the geometric mean of what the windows of each cascade weigh that agree on the
    place: 0.5 or more is a face, as a rule.
    Source: Viola and Jones 2001; Lienhart and Maydt 2002 (cv2.CascadeClassifier, the cascades of OpenCV 4).
    """

    name = "faces"
    title = "Faces"
    kind = "face"
    parameters = FaceParameters

    def __init__(self) -> None:
        self._idle: deque[_Pair] = deque()  # a cascade holds the picture it works on, so each request has its own

    def detect(self, picture: Picture, parameters: FaceParameters) -> Detections:
        try:
            cascades = self._idle.pop()
        except IndexError:
            cascades = _loaded()
        try:
            boxes, evidence = _faces(picture, parameters.smallest_face, cascades)
        finally:
            self._idle.append(cascades)
        scores = evidence**3 / (evidence**3 + _EVEN_EVIDENCE**3)
        kept = distinct(boxes, scores, most_iou=0.3)
        kept = kept[scores[kept] >= parameters.least_confidence]
        return Detections.from_boxes(boxes[kept], [""] * len(kept), scores[kept])


def _loaded() -> _Pair:
    first, second = (cv2.CascadeClassifier(str(_FOLDER / name)) for name in _CASCADES)
    return first, second


def _faces(picture: Picture, smallest_face: float, cascades: _Pair) -> tuple[FloatArray, FloatArray]:
    """Boxes [M, 4] in pixels of the picture, several for a face, and how much evidence there is for each, [M]."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    scale = min(1.0, _WINDOW_PX / (smallest_face * min(grey.shape)))
    small = _scaled(grey, scale)
    boxes, weights = _windows(cascades, 0, small, _SCAN_STEP)
    boxes *= np.tile(np.divide(grey.shape, small.shape)[::-1], 2)
    found = [_look(grey, box, cascades) for box in boxes[distinct(boxes, weights, most_iou=0.4)[:_MOST_CANDIDATES]]]
    seen = [each for each in found if each is not None]
    return np.array([box for box, _ in seen]).reshape(-1, 4), np.array([evidence for _, evidence in seen])


def _windows(
    cascades: _Pair, which: int, grey: cv2.typing.MatLike, step: float, smallest_px: float = 0, largest_px: float = 0
) -> tuple[FloatArray, FloatArray]:
    """Every window that passes a cascade: boxes [M, 4], and weights [M] above what its last stage asks for."""
    least, most = round(smallest_px), round(largest_px)
    found, _, weights = cascades[which].detectMultiScale3(
        grey, step, 0, minSize=(least, least), maxSize=(most, most), outputRejectLevels=True
    )
    places = np.asarray(found, np.float64).reshape(-1, 4)
    order = np.lexsort(places.T)  # OpenCV's threads give them as they find them
    places[:, 2:] += places[:, :2]
    return places[order], np.ravel(weights).astype(np.float64)[order] - _LEAST_WEIGHTS[which]


def _look(grey: cv2.typing.MatLike, box: FloatArray, cascades: _Pair) -> tuple[FloatArray, float] | None:
    """Where exactly the face of a candidate is, and the evidence for it; None when a cascade sees none there."""
    side = box[2] - box[0]
    scale = _LOOK_PX / side
    height, width = grey.shape
    left, top = np.floor((box[:2] - side / 2).clip(0)).astype(int).tolist()
    right, bottom = np.ceil((box[2:] + side / 2).clip(0, (width, height))).astype(int).tolist()
    corner = np.array([left, top, left, top])
    piece = _scaled(grey[top:bottom, left:right], scale)
    place, evidence = (box - corner) * scale, 1.0
    for which, unit in enumerate(_UNITS):
        boxes, weights = _windows(cascades, which, piece, _LOOK_STEP, 0.7 * _LOOK_PX, 1.45 * _LOOK_PX)
        if which == 0:
            near = overlaps(place, boxes) > 0.3
            if not near.any():
                return None
            place = np.average(boxes[near], axis=0, weights=weights[near] + 1e-6)
        evidence *= weights[overlaps(place, boxes) > 0.5].sum() / unit
    return (place / scale + corner, float(np.sqrt(evidence))) if evidence > 0 else None


def _scaled(grey: cv2.typing.MatLike, scale: float) -> cv2.typing.MatLike:
    """Resampled; at least one pixel a side, of pictures a thousand times as wide as high."""
    if scale == 1:
        return grey
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
