"""The detectors that a deployment configures: ONNX models, described in a YAML file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from annohooks.core.errors import Unavailable
from annohooks.imaging import detector_file
from annohooks.imaging.analyzers import ANALYZERS
from annohooks.imaging.decode import Picture
from annohooks.imaging.detections import Detections, distinct
from annohooks.imaging.detector_file import Confidence, Description
from annohooks.imaging.detectors import DETECTORS
from annohooks.imaging.detectors.base import Detector, Parameters
from annohooks.imaging.outlines import FloatArray

ReadModel = Callable[[str, str], bytes]
"""Returns a model's bytes from its key and sha256, as `core.onnx_files.read` does."""

_MAX_CANDIDATES = 3000
_PADDING = 114  # the grey around a picture in the training of YOLO


def load(text: str, read_model: ReadModel) -> dict[str, Detector[Any]]:
    """The detectors of a YAML text, by name. `detector_file.Description` says what the text may contain.

    A model is read when its detector is first used. Raises SettingsError naming the line and the field.
    """
    detectors: dict[str, Detector[Any]] = {}
    for line, description in detector_file.read(text):
        if description.name in DETECTORS or description.name in ANALYZERS:
            raise detector_file.name_taken(line, description.name)
        detectors[description.name] = OnnxDetector(description, read_model)
    return detectors


class OnnxDetector(Detector[Any]):
    """A detector that runs an ONNX model with OpenCV."""

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
        self._lock = threading.Lock()  # a network holds its input and its results

    def detect(self, picture: Picture, parameters: Any) -> Detections:
        """The objects in a picture. Raises Unavailable if the model cannot be read or run, or its output is invalid."""
        size_px, corner_px = self._fit(picture)
        blob = self._blob(picture, size_px, corner_px)
        boxes, scores, classes = self._boxes(self._outputs(blob), parameters.least_confidence)
        if not (np.isfinite(boxes).all() and ((scores >= 0) & (scores <= 1.001)).all()):
            raise self._unavailable("returns boxes or confidences that are not valid")
        height, width = picture.shape[:2]
        boxes = (boxes - np.tile(corner_px, 2)) * np.tile((width / size_px[0], height / size_px[1]), 2)
        boxes = boxes.clip(0, (width, height, width, height))
        candidates = np.argsort(-scores, kind="stable")[:_MAX_CANDIDATES]
        candidates = candidates[(boxes[candidates, 2:] > boxes[candidates, :2]).all(axis=1)]
        boxes, scores, classes = boxes[candidates], scores[candidates].clip(0, 1), classes[candidates]
        best = distinct(boxes, scores, self._description.most_overlap, classes)
        best = best[np.argsort(-scores[best], kind="stable")]
        labels = [self._description.labels[number] for number in classes[best].tolist()]
        return Detections.from_boxes(boxes[best], labels, scores[best])

    def _fit(self, picture: Picture) -> tuple[tuple[int, int], tuple[int, int]]:
        """The picture's width and height within the model's input, and the position of its corner there."""
        input_width, input_height = self._description.width_px, self._description.height_px
        if self._description.format == "ssd":
            return (input_width, input_height), (0, 0)
        height, width = picture.shape[:2]
        scale = min(input_width / width, input_height / height)
        fitted_width, fitted_height = max(1, round(width * scale)), max(1, round(height * scale))
        return (fitted_width, fitted_height), ((input_width - fitted_width) // 2, (input_height - fitted_height) // 2)

    def _blob(self, picture: Picture, size_px: tuple[int, int], corner_px: tuple[int, int]) -> cv2.typing.MatLike:
        """The model's input."""
        is_smaller = size_px[0] < picture.shape[1]
        fitted = cv2.resize(picture, size_px, interpolation=cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR)
        (left, top), (width, height) = corner_px, size_px
        description = self._description
        canvas = np.full((description.height_px, description.width_px, 3), _PADDING, np.uint8)
        canvas[top : top + height, left : left + width] = fitted
        return cv2.dnn.blobFromImage(canvas, description.scale, mean=description.mean, swapRB=description.is_rgb)

    def _outputs(self, blob: cv2.typing.MatLike) -> list[NDArray[np.float32]]:
        with self._lock:
            try:
                if self._net is None:
                    model = self._read_model(self._description.model, self._description.sha256)
                    self._net = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))
                self._net.setInput(blob)
                outputs = self._net.forward(self._net.getUnconnectedOutLayersNames())
            except cv2.error as error:
                size = f"{self._description.width_px} x {self._description.height_px}"
                raise self._unavailable(f"cannot be run on pictures of {size} pixels") from error
        return [np.asarray(output) for output in outputs]

    def _boxes(
        self, outputs: list[NDArray[np.float32]], least_confidence: float
    ) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
        """Corners [M, 4] in pixels of the model's input, scores [M] and classes [M] of at least that confidence."""
        format_ = self._description.format
        number = len(self._description.labels)
        expected = {"yolov5": (1, -1, 5 + number), "yolov8": (1, 4 + number, -1), "ssd": (1, 1, -1, 7)}[format_]
        fitting = [output for output in outputs if _fits(output.shape, expected)]
        if len(fitting) != 1:
            shapes = " and ".join(str(output.shape) for output in outputs)
            shape = str(expected).replace("-1", "N")
            raise self._unavailable(f"returns {shapes}, but {shape} is expected from {format_} with {number} labels")
        output = fitting[0][0]
        if format_ == "ssd":
            return self._ssd_boxes(output[0], least_confidence)
        rows = output if format_ == "yolov5" else output.T
        first = rows.shape[1] - number
        best = rows[:, first:].argmax(axis=1)
        scores = rows[np.arange(len(rows)), first + best].astype(np.float64)
        if format_ == "yolov5":
            scores *= rows[:, 4]
        is_sure = ~(scores < least_confidence)  # NaN stays, so that `detect` refuses it
        centre, half = rows[is_sure, :2].astype(np.float64), rows[is_sure, 2:4].astype(np.float64) / 2
        return np.hstack([centre - half, centre + half]), scores[is_sure], best[is_sure].astype(np.int64)

    def _ssd_boxes(
        self, rows: NDArray[np.float32], least_confidence: float
    ) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
        """As `_boxes`, from rows [N, 7]: picture number (-1: empty row), class, confidence, corners from 0 to 1."""
        sure = rows[(rows[:, 0] >= 0) & ~(rows[:, 2] < least_confidence)].astype(np.float64)
        classes, number = sure[:, 1], len(self._description.labels)
        if not ((classes >= 0) & (classes < number)).all():
            raise self._unavailable(f"returns classes beyond its {number} labels")
        sides = np.tile((self._description.width_px, self._description.height_px), 2)
        return sure[:, 3:] * sides, sure[:, 2], classes.astype(np.int64)

    def _unavailable(self, problem: str) -> Unavailable:
        return Unavailable(f'The model "{self._description.model}" of the detector "{self.name}" {problem}.')


def _fits(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Whether a shape is the expected one, in which -1 stands for any length."""
    return len(shape) == len(expected) and all(
        expected_side in (-1, side) for side, expected_side in zip(shape, expected, strict=True)
    )
