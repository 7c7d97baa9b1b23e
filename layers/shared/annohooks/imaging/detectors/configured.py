"""Detectors that a deployment brings: ONNX models, and a YAML file that says how each is used."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from annohooks.core.errors import Unavailable
from annohooks.imaging import descriptions
from annohooks.imaging.analyzers import ANALYZERS
from annohooks.imaging.decode import Picture
from annohooks.imaging.descriptions import Confidence, Description
from annohooks.imaging.detections import Detections, distinct
from annohooks.imaging.detectors import DETECTORS
from annohooks.imaging.detectors.base import Detector, Parameters
from annohooks.imaging.outlines import FloatArray

ReadModel = Callable[[str, str], bytes]
"""A model's bytes, from its key and sha256: `core.models.read`."""

_MOST_CANDIDATES = 3000
_PADDING = 114  # the grey that YOLO is trained with around a picture


def load(text: str, read_model: ReadModel) -> dict[str, Detector[Any]]:
    """The detectors of a YAML text, by name: `detectors:`, and a list of what `Description` has.

    A model is read when it is first asked to detect. Raises SettingsError naming the line and the field.
    """
    found: dict[str, Detector[Any]] = {}
    for line, description in descriptions.read(text):
        if description.name in DETECTORS or description.name in ANALYZERS:
            raise descriptions.taken(line, description.name)
        found[description.name] = OnnxDetector(description, read_model)
    return found


class OnnxDetector(Detector[Any]):
    """A detector of an ONNX model, run by OpenCV."""

    kind = "object"

    def __init__(self, description: Description, read_model: ReadModel) -> None:
        self.name, self.title = description.name, description.title or description.name
        self.parameters = msgspec.defstruct(
            "OnnxParameters",
            [("least_confidence", Confidence, description.least_confidence)],
            bases=(Parameters,),
            frozen=True,
            kw_only=True,
        )
        self._description, self._read_model = description, read_model
        self._net: cv2.dnn.Net | None = None
        self._lock = threading.Lock()  # a network holds its input and what it makes of it

    def detect(self, picture: Picture, parameters: Any) -> Detections:
        """Raises Unavailable when the model cannot be read or run, or gives what it should not."""
        size_px, corner_px, shape = self._fitting(picture)
        blob = self._blob(picture, size_px, corner_px, shape)
        boxes, scores, classes = self._boxes(self._outputs(blob), parameters.least_confidence)
        if not (np.isfinite(boxes).all() and ((scores >= 0) & (scores <= 1.001)).all()):
            raise self._unavailable("gives boxes or confidences that are none")
        height, width = picture.shape[:2]
        boxes = (boxes - np.tile(corner_px, 2)) * np.tile((width / size_px[0], height / size_px[1]), 2)
        boxes = boxes.clip(0, (width, height, width, height))
        surest = np.argsort(-scores, kind="stable")[:_MOST_CANDIDATES]
        surest = surest[(boxes[surest, 2:] > boxes[surest, :2]).all(axis=1)]
        boxes, scores, classes = boxes[surest], scores[surest].clip(0, 1), classes[surest]
        kept = distinct(boxes, scores, self._description.most_overlap, classes)
        kept = kept[np.argsort(-scores[kept], kind="stable")]
        labels = [self._description.labels[each] for each in classes[kept].tolist()]
        return Detections.from_boxes(boxes[kept], labels, scores[kept])

    def _fitting(self, picture: Picture) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Width and height of the picture in what the model takes, where its corner is there, and the size of that."""
        taken = self._description.width_px, self._description.height_px
        if self._description.format == "ssd":
            return taken, (0, 0), taken
        height, width = picture.shape[:2]
        scale = min(taken[0] / width, taken[1] / height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return size, ((taken[0] - size[0]) // 2, (taken[1] - size[1]) // 2), taken

    def _blob(
        self, picture: Picture, size_px: tuple[int, int], corner_px: tuple[int, int], taken_px: tuple[int, int]
    ) -> cv2.typing.MatLike:
        is_smaller = size_px[0] < picture.shape[1]
        fitted = cv2.resize(picture, size_px, interpolation=cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR)
        (left, top), (width, height) = corner_px, size_px
        canvas = np.full((taken_px[1], taken_px[0], 3), _PADDING, np.uint8)
        canvas[top : top + height, left : left + width] = fitted
        chosen = self._description
        return cv2.dnn.blobFromImage(canvas, chosen.scale, mean=chosen.mean, swapRB=chosen.is_rgb)

    def _outputs(self, blob: cv2.typing.MatLike) -> list[NDArray[np.float32]]:
        with self._lock:
            try:
                if self._net is None:
                    model = self._read_model(self._description.model, self._description.sha256)
                    self._net = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))
                self._net.setInput(blob)
                given = self._net.forward(self._net.getUnconnectedOutLayersNames())
            except cv2.error as error:
                size = f"{self._description.width_px} x {self._description.height_px}"
                raise self._unavailable(f"is none that can be run on pictures of {size} pixels") from error
        return [np.asarray(each) for each in given]

    def _boxes(
        self, outputs: list[NDArray[np.float32]], least_confidence: float
    ) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
        """Corners [M, 4] in pixels of what the model takes, scores [M] and classes [M] of at least that confidence."""
        chosen = self._description
        number = len(chosen.labels)
        expected = {"yolov5": (1, -1, 5 + number), "yolov8": (1, 4 + number, -1), "ssd": (1, 1, -1, 7)}[chosen.format]
        fitting = [each for each in outputs if _fits(each.shape, expected)]
        if len(fitting) != 1:
            shapes = " and ".join(str(each.shape) for each in outputs)
            wanted = str(expected).replace("-1", "N")
            raise self._unavailable(
                f"gives {shapes}, where {wanted} is expected of {chosen.format} with {number} labels"
            )
        given = fitting[0][0]
        if chosen.format == "ssd":
            return self._corners(given[0], least_confidence)
        rows = given if chosen.format == "yolov5" else given.T
        first = rows.shape[1] - number
        best = rows[:, first:].argmax(axis=1)
        scores = rows[np.arange(len(rows)), first + best].astype(np.float64)
        if chosen.format == "yolov5":
            scores *= rows[:, 4]
        kept = ~(scores < least_confidence)  # what is not a number too, to be told
        centre, half = rows[kept, :2].astype(np.float64), rows[kept, 2:4].astype(np.float64) / 2
        return np.hstack([centre - half, centre + half]), scores[kept], best[kept].astype(np.int64)

    def _corners(
        self, rows: NDArray[np.float32], least_confidence: float
    ) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
        kept = rows[(rows[:, 0] >= 0) & ~(rows[:, 2] < least_confidence)].astype(np.float64)  # -1 marks what is empty
        classes, number = kept[:, 1], len(self._description.labels)
        if not ((classes >= 0) & (classes < number)).all():
            raise self._unavailable(f"gives classes that are none of its {number} labels")
        sides = np.tile((self._description.width_px, self._description.height_px), 2)
        return kept[:, 3:] * sides, kept[:, 2], classes.astype(np.int64)

    def _unavailable(self, what: str) -> Unavailable:
        return Unavailable(f'The model "{self._description.model}" of the detector "{self.name}" {what}.')


def _fits(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    return len(shape) == len(expected) and all(each in (-1, side) for side, each in zip(shape, expected, strict=True))
