"""Faces seen from the front, by two cascades of OpenCV that have to agree."""

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
# The thresholds of their last stages, which are subtracted from the weights. The weights of the second cascade are five
# times as large as those of the first.
_MIN_WEIGHTS = (53.755569, -2.992828)
_UNITS = (1.0, 5.0)
_WINDOW_PX = 20  # side of the first cascade's window
_SCAN_STEP = 1.2
_MAX_CANDIDATES = 100
# A candidate is scaled to this side. Then tens of windows of each cascade agree on a face, and few on anything else.
_CANDIDATE_PX = 56.0
_CANDIDATE_STEP = 1.1
_EVEN_EVIDENCE = 6.0  # more than in any of scikit-image's pictures without faces; 98 of 100 faces of LFW have more

_Pair = tuple[cv2.CascadeClassifier, cv2.CascadeClassifier]


class FaceParameters(Parameters, frozen=True, kw_only=True):
    """The parameters of faces."""

    smallest_face: Annotated[
        float, msgspec.Meta(title="smallest face, as part of the picture's shorter side", ge=0.02, le=1)
    ] = 0.06
    least_confidence: Annotated[float, msgspec.Meta(title="least confidence", ge=0, le=1)] = 0.5


class Faces(Detector[FaceParameters]):
    """Finds candidates with one cascade in wide steps, and then checks each with both cascades in narrow steps.

    The score is e^3 / (e^3 + 6^3). The evidence e is the geometric mean, over both cascades, of the total weight of the
    windows that agree on the place. Most objects with a score of 0.5 or more are faces.
    Source: Viola and Jones 2001; Lienhart and Maydt 2002 (cv2.CascadeClassifier, the cascades of OpenCV 4).
    """

    name = "faces"
    title = "Faces"
    kind = "face"
    parameters = FaceParameters

    def __init__(self) -> None:
        # A cascade holds the picture it works on, so each request needs its own pair.
        self._idle: deque[_Pair] = deque()

    def detect(self, picture: Picture, parameters: FaceParameters) -> Detections:
        """See `Detector.detect`."""
        try:
            cascades = self._idle.pop()
        except IndexError:
            cascades = _loaded()
        try:
            boxes, evidence = _faces(picture, parameters.smallest_face, cascades)
        finally:
            self._idle.append(cascades)
        scores = evidence**3 / (evidence**3 + _EVEN_EVIDENCE**3)
        best = distinct(boxes, scores, max_iou=0.3)
        best = best[scores[best] >= parameters.least_confidence]
        return Detections.from_boxes(boxes[best], [""] * len(best), scores[best])


def _loaded() -> _Pair:
    first, second = (cv2.CascadeClassifier(str(_FOLDER / name)) for name in _CASCADES)
    return first, second


def _faces(picture: Picture, smallest_face: float, cascades: _Pair) -> tuple[FloatArray, FloatArray]:
    """Boxes [M, 4] in pixels of the picture, and the evidence for each, [M]. A face may have several boxes."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    scale = min(1.0, _WINDOW_PX / (smallest_face * min(grey.shape)))
    small = _scaled(grey, scale)
    boxes, weights = _windows(cascades, 0, small, _SCAN_STEP)
    boxes *= np.tile(np.divide(grey.shape, small.shape)[::-1], 2)
    candidates = boxes[distinct(boxes, weights, max_iou=0.4)[:_MAX_CANDIDATES]]
    faces = [face for face in (_checked(grey, box, cascades) for box in candidates) if face is not None]
    return np.array([box for box, _ in faces]).reshape(-1, 4), np.array([evidence for _, evidence in faces])


def _windows(
    cascades: _Pair, which: int, grey: cv2.typing.MatLike, step: float, smallest_px: float = 0, largest_px: float = 0
) -> tuple[FloatArray, FloatArray]:
    """The windows that pass a cascade: boxes [M, 4], and weights [M] above the threshold of its last stage."""
    min_side, max_side = round(smallest_px), round(largest_px)
    windows, _, weights = cascades[which].detectMultiScale3(
        grey, step, 0, minSize=(min_side, min_side), maxSize=(max_side, max_side), outputRejectLevels=True
    )
    boxes = np.asarray(windows, np.float64).reshape(-1, 4)
    order = np.lexsort(boxes.T)  # the order of OpenCV's threads varies
    boxes[:, 2:] += boxes[:, :2]
    return boxes[order], np.ravel(weights).astype(np.float64)[order] - _MIN_WEIGHTS[which]


def _checked(grey: cv2.typing.MatLike, box: FloatArray, cascades: _Pair) -> tuple[FloatArray, float] | None:
    """The exact box of a candidate's face, and the evidence for it; None if one of the cascades finds no face."""
    side = box[2] - box[0]
    scale = _CANDIDATE_PX / side
    height, width = grey.shape
    left, top = np.floor((box[:2] - side / 2).clip(0)).astype(int).tolist()
    right, bottom = np.ceil((box[2:] + side / 2).clip(0, (width, height))).astype(int).tolist()
    corner = np.array([left, top, left, top])
    piece = _scaled(grey[top:bottom, left:right], scale)
    place, evidence = (box - corner) * scale, 1.0
    for which, unit in enumerate(_UNITS):
        boxes, weights = _windows(cascades, which, piece, _CANDIDATE_STEP, 0.7 * _CANDIDATE_PX, 1.45 * _CANDIDATE_PX)
        if which == 0:
            near = overlaps(place, boxes) > 0.3
            if not near.any():
                return None
            place = np.average(boxes[near], axis=0, weights=weights[near] + 1e-6)
        evidence *= weights[overlaps(place, boxes) > 0.5].sum() / unit
    return (place / scale + corner, float(np.sqrt(evidence))) if evidence > 0 else None


def _scaled(grey: cv2.typing.MatLike, scale: float) -> cv2.typing.MatLike:
    """The picture, resampled. Each side has at least one pixel, also if a picture is very wide."""
    if scale == 1:
        return grey
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    return cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
