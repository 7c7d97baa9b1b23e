"""Detectors of ONNX models: small ones, which find the red and blue cells of a grid."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import models
import numpy as np
import pytest
import scenes
from models import CELL_PX, HEIGHT, WIDTH
from test_detector_file import text

from annohooks.core.errors import Unavailable
from annohooks.imaging.detections import overlaps
from annohooks.imaging.detectors import configured

FORMATS = ("yolov5", "yolov8", "ssd")
RED, BLUE = (0, 0, 255), (255, 0, 0)


def detector(form="yolov8", content=None, **changed):
    content = models.detector(form) if content is None else content
    return configured.load(text(form, **changed), lambda key, sha256: content)["cells"]


def detect(onnx, picture, **chosen):
    return onnx.detect(picture, onnx.parameters(**chosen))


def canvas(width=WIDTH, height=HEIGHT):
    return np.full((height, width, 3), 90, np.uint8)


@pytest.fixture
def red_cell():
    picture = canvas()
    picture[16:32, 48:64] = RED
    return picture


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_gives_boxes_labels_and_scores_in_pixels_of_the_picture(form, red_cell):
    red_cell[64:80, 0:16] = np.array(BLUE) * 0.8
    detections = detect(detector(form), red_cell)
    assert detections.labels == ("red", "blue")
    assert detections.boxes() == pytest.approx(np.array([[48, 16, 64, 32], [0, 64, 16, 80.0]]), abs=1e-3)
    assert detections.scores == pytest.approx([1, 0.8], abs=0.01)
    assert len(detect(detector(form), scenes.picture("camera"))) == 0


@pytest.mark.parametrize("form", ["yolov5", "yolov8"])
@pytest.mark.parametrize(("width", "height"), [(256, 96), (128, 300), (64, 48), (640, 480)])
def test_picture_of_another_shape_is_fitted_in_and_its_boxes_are_converted_back(form, width, height):
    """The red square is large enough to fill a cell wherever it lies."""
    picture = canvas(width, height)
    scale = min(WIDTH / width, HEIGHT / height)
    side = round(2.2 * CELL_PX / scale)
    corner = np.array([(width - side) // 2, (height - side) // 2] * 2)
    picture[max(0, corner[1]) : corner[1] + side, max(0, corner[0]) : corner[0] + side] = RED
    detections = detect(detector(form), picture, least_confidence=0.9)
    assert set(detections.labels) == {"red"}
    boxes = detections.boxes()
    assert (boxes >= corner - 1 / scale).all()
    assert (boxes <= corner + side + 1 / scale).all()
    sides = boxes[:, 2:] - boxes[:, :2]
    assert sides[sides.min(axis=1) > 0.9 * CELL_PX / scale] == pytest.approx(CELL_PX / scale, rel=0.05)


def test_picture_of_another_shape_is_stretched_for_ssd():
    picture = canvas(2 * WIDTH)
    picture[16:32, 96:128] = RED
    assert detect(detector("ssd"), picture).boxes() == pytest.approx(np.array([[96, 16, 128, 32.0]]), abs=0.01)


def test_padding_is_not_an_object():
    assert len(detect(detector(), canvas(height=16), least_confidence=0.05)) == 0


def test_real_picture_of_any_size_is_analysed_in_one_piece():
    picture = cv2.resize(scenes.picture("coffee"), (1920, 1080))
    cv2.rectangle(picture, (800, 300), (1200, 700), RED, -1)
    detections = detect(detector(), picture, least_confidence=0.8)
    assert set(detections.labels) == {"red"}
    assert (overlaps(np.array([800.0, 300, 1200, 700]), detections.boxes()) > 0).all()


def test_least_confidence_is_that_of_the_file_unless_a_request_gives_another(red_cell):
    red_cell[16:32, 48:64] = np.array(RED) * 0.5 + 20
    strict = detector(least_confidence=0.8)
    assert strict.parameters().least_confidence == 0.8
    assert len(detect(strict, red_cell)) == 0
    assert len(detect(strict, red_cell, least_confidence=0.2)) == 1
    assert detector().parameters().least_confidence == 0.25


@pytest.mark.parametrize(
    ("labels", "changed", "scores"),
    [
        ([0, 0, 1], {}, [0.9, 0.7]),
        ([0, 1, 1], {}, [0.9, 0.7, 0.6]),
        ([0, 0, 1], {"most_overlap": 0.95}, [0.9, 0.7, 0.6]),
    ],
    ids=["of one label", "of two labels", "that may overlap"],
)
def test_best_of_the_boxes_in_one_place_stays_and_the_highest_score_is_first(labels, changed, scores):
    detections = detect(detector(content=models.overlapping(labels), **changed), canvas())
    assert detections.scores == pytest.approx(scores)


def test_model_gets_the_grey_values_that_the_file_describes(red_cell):
    assert detect(detector(is_rgb="false"), red_cell).labels == ("blue",)
    assert detect(detector(scale=0.5 / 255), red_cell).scores == pytest.approx([0.5], abs=0.01)
    less_red = detect(detector(mean=[100, 0, 0]), red_cell, least_confidence=0.5)
    assert less_red.labels == ("red",)
    assert less_red.scores == pytest.approx([155 / 255], abs=0.01)


# Models that cannot be read or used


def test_model_is_read_when_it_is_first_needed_and_then_kept():
    requests = []

    def read(key, sha256):
        requests.append((key, sha256))
        return models.detector("yolov8")

    cells = configured.load(text(sha256="a" * 64), read)["cells"]
    assert requests == []
    for _ in range(2):
        detect(cells, canvas())
    assert requests == [("cells.onnx", "a" * 64)]


def test_model_that_could_not_be_read_is_read_again():
    answers = iter([Unavailable("S3 failed."), models.detector("yolov8")])

    def read(key, sha256):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    cells = configured.load(text(), read)["cells"]
    with pytest.raises(Unavailable, match=r"S3 failed\."):
        detect(cells, canvas())
    assert len(detect(cells, canvas())) == 0


CANNOT_RUN = r'The model "cells.onnx" of the detector "cells" cannot be run on pictures of'
NOT_VALID = "returns boxes or confidences that are not valid"


@pytest.mark.parametrize(
    ("form", "content", "changed", "message"),
    [
        ("yolov8", b"", {}, f"{CANNOT_RUN} 128 x 96 pixels"),
        ("yolov8", models.detector("yolov8")[:100], {}, f"{CANNOT_RUN} 128 x 96 pixels"),
        ("yolov8", None, {"width_px": 64, "height_px": 64}, f"{CANNOT_RUN} 64 x 64 pixels"),
        (
            "yolov8",
            models.detector("yolov8", classes=3),
            {},
            r"returns \(1, 7, 48\), but \(1, 6, N\) is expected from yolov8 with 2 labels",
        ),
        (
            "yolov5",
            models.detector("yolov5", classes=1),
            {},
            r"returns \(1, 48, 6\), but \(1, N, 7\) is expected from yolov5 with 2 labels",
        ),
        ("yolov5", models.detector("yolov8"), {}, r"returns \(1, 6, 48\), but \(1, N, 7\) is expected"),
        ("ssd", models.detector("yolov8"), {}, r"returns \(1, 6, 48\), but \(1, 1, N, 7\) is expected from ssd"),
        ("ssd", None, {"labels": ["blue"]}, "returns classes beyond its 1 labels"),
        ("yolov8", models.detector("yolov8", side=np.inf), {}, NOT_VALID),
        *((form, models.detector(form, factor=factor), {}, NOT_VALID) for form in FORMATS for factor in (np.nan, 40.0)),
    ],
)
def test_model_that_cannot_be_used_is_named_with_the_reason(red_cell, form, content, changed, message):
    red_cell[64:80, 0:16] = BLUE
    with pytest.raises(Unavailable, match=message):
        detect(detector(form, content, **changed), red_cell)


def test_threads_that_share_a_detector_do_not_get_each_others_boxes():
    shared, start = detector(), threading.Barrier(8)

    def boxes(cell):
        picture = canvas()
        picture[:16, 16 * cell : 16 * cell + 16] = RED
        start.wait(30)
        return [detect(shared, picture).boxes().round().tolist() for _ in range(20)]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(boxes, range(8)))
    assert results == [[[[16 * cell, 0, 16 * cell + 16, 16]]] * 20 for cell in range(8)]
