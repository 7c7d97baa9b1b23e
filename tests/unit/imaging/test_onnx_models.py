"""Detectors of ONNX models: small ones, which find the red and blue cells of a grid; and their YAML file."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import cv2
import models
import numpy as np
import pytest
import scenes
from hypothesis import given
from hypothesis import strategies as st
from models import CELL_PX, HEIGHT, WIDTH
from onnx import helper
from scipy import ndimage

from annohooks.core.errors import SettingsError, Unavailable
from annohooks.imaging.detections import overlaps
from annohooks.imaging.detectors import configured
from annohooks.imaging.onnx import Network

FORMATS = ("yolov5", "yolov8", "ssd")
RED, BLUE = (0, 0, 255), (255, 0, 0)


def text(form="yolov8", **changed):
    """A file of one detector."""
    size = {"width_px": WIDTH, "height_px": HEIGHT}
    usual = {"name": "cells", "model": "cells.onnx", "format": form, **size, "labels": ["red", "blue"]}
    lines = [f"    {name}: {value}" for name, value in (usual | changed).items() if value is not None]
    return "detectors:\n  -" + "\n".join(lines)[3:] + "\n"


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
    picture = canvas(width, height)
    scale = min(WIDTH / width, HEIGHT / height)
    side = round(2.2 * CELL_PX / scale)  # large enough to fill a cell wherever it lies
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


def test_real_picture_of_any_size_is_analysed_in_one_piece_and_padding_is_not_an_object():
    picture = cv2.resize(scenes.picture("coffee"), (1920, 1080))
    cv2.rectangle(picture, (800, 300), (1200, 700), RED, -1)
    detections = detect(detector(), picture, least_confidence=0.8)
    assert set(detections.labels) == {"red"}
    assert (overlaps(np.array([800.0, 300, 1200, 700]), detections.boxes()) > 0).all()
    assert len(detect(detector(), canvas(height=16), least_confidence=0.05)) == 0


def test_least_confidence_is_that_of_the_file_unless_a_request_gives_another(red_cell):
    red_cell[16:32, 48:64] = np.array(RED) * 0.5 + 20
    strict = detector(least_confidence=0.8)
    assert strict.parameters().least_confidence == 0.8
    assert len(detect(strict, red_cell)) == 0
    assert len(detect(strict, red_cell, least_confidence=0.2)) == 1
    assert detector().parameters().least_confidence == 0.25


@pytest.mark.parametrize(
    ("color", "most_overlap", "scores"),
    [(RED, 0.45, [1]), (BLUE, 0.45, [1, 0.7]), (RED, 0.95, [1, 0.7])],
    ids=["of one label", "of two labels", "that may overlap"],
)
def test_best_of_the_boxes_in_one_place_stays_and_the_highest_score_is_first(red_cell, color, most_overlap, scores):
    red_cell[16:32, 32:48] = np.array(color) * 0.7
    overlapping = detector(content=models.detector("yolov8", side=64.0), most_overlap=most_overlap)
    assert detect(overlapping, red_cell, least_confidence=0.6).scores == pytest.approx(scores, abs=0.02)


def test_model_gets_the_grey_values_that_the_file_describes(red_cell):
    assert detect(detector(is_rgb="false"), red_cell).labels == ("blue",)
    assert detect(detector(scale=0.5 / 255), red_cell).scores == pytest.approx([0.5], abs=0.01)
    less_red = detect(detector(mean=[100, 0, 0]), red_cell, least_confidence=0.5)
    assert less_red.labels == ("red",)
    assert less_red.scores == pytest.approx([155 / 255], abs=0.01)


# Models that cannot be read or used


def test_model_is_read_when_it_is_first_needed_and_then_kept():
    read = mock.Mock(return_value=models.detector("yolov8"))
    cells = configured.load(text(sha256="a" * 64), read)["cells"]
    assert not read.called
    for _ in range(2):
        detect(cells, canvas())
    read.assert_called_once_with("cells.onnx", "a" * 64)


def test_model_that_could_not_be_read_is_read_again():
    read = mock.Mock(side_effect=[Unavailable("S3 failed."), models.detector("yolov8")])
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
        ("yolov8", models.detector("yolov8", classes=3), {}, r"\(1, 7, 48\), but \(1, 6, N\) is expected from yolov8"),
        ("yolov5", models.detector("yolov5", classes=1), {}, r"\(1, 48, 6\), but \(1, N, 7\) is expected from yolov5"),
        ("ssd", models.detector("yolov8"), {}, r"returns \(1, 6, 48\), but \(1, 1, N, 7\) is .* ssd with 2 labels"),
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


# The file


def test_file_of_several_detectors_gives_each_by_its_name():
    written = text() + text("ssd", name="others", title="Other cells").removeprefix("detectors:\n")
    detectors = configured.load(written, None).items()
    assert [(name, onnx.name, onnx.title, onnx.kind) for name, onnx in detectors] == [
        ("cells", "cells", "cells", "object"),
        ("others", "others", "Other cells", "object"),
    ]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", "line 1: expected `detectors:` and a list"),
        ("detectors: 3", "line 1: expected `detectors:` and a list"),
        ("detectors: !!python/object:os.system x", "line 1: tags (!) are not accepted"),
        ("detectors:\n  - cells", "line 2: a detector has to be a mapping"),
        ("detectors:\n  - {[a]: b}\n", "line 2: a name has to be a text"),
        ("detectors:\n  - name: [", "line 3: not YAML"),
        ("detectors:\n  - name: \x07", "line 2: this character is not allowed in YAML"),
        ("detectors: [" + " " * 300_000, "more than 256000 characters"),
        ("detectors:\n  " + "[" * 2_000, "line 2: nested too deeply"),
        (text(labels="[" * 900 + "]" * 900), "line 7: nested too deeply"),
        (text(colour="red"), "line 8: colour: Object contains unknown field `colour`"),
        (text(model=None), "line 2: Object missing required field `model`"),
        (text() + "    model: other.onnx\n", "line 8: model: it occurs twice"),
        (text(width_px=0), "line 5: width_px: Expected `int` >= 16"),
        (text(labels="[red, no]"), "line 7: labels: Expected `str`, got `bool`"),
        (text(sha256="abc"), "line 8: sha256: Expected `str` matching regex"),
        (text(name="Cells"), "line 2: name: Expected `str` matching regex"),
        (text(least_confidence=2), "line 8: least_confidence: Expected `float` <= 1"),
        (text(name="nuclei"), "line 2: name: there is another 'nuclei'"),
        (text(name="faces"), "line 2: name: there is another 'faces'"),
        (text(labels="2026-99-99"), "line 7: labels: it cannot be read"),
        (text() + text().removeprefix("detectors:\n"), "line 8: name: there is another 'cells'"),
        (text(scale=".nan"), "line 8: scale: not a finite number"),
        (text(mean="[0, -.inf, 0]"), "line 8: mean: not a finite number"),
        (text(model="!!python/name:os.system x"), "line 3: tags (!) are not accepted"),
        (text(labels="&x [*x]"), "line 7: anchors and aliases (&, *) are not accepted"),
        (text(labels="{[a]: b}"), "line 7: labels: it cannot be read"),
    ],
)
def test_mistake_is_reported_with_its_line_and_field(written, message):
    with pytest.raises(SettingsError) as refused:
        configured.load(written, None)
    assert message in str(refused.value)
    assert str(refused.value).startswith("detectors: ")


# A network on pictures of any size, beside its convolution by scipy

PATCH_PX = 32
KERNEL = np.random.default_rng(3).normal(size=(2, 3, 5, 5)).astype(np.float32)


def model(kernel=KERNEL):
    """One convolution from RGB to two scores, as ONNX."""
    node = helper.make_node("Conv", ["picture", "kernel"], ["output"], kernel_shape=[5, 5], pads=[2, 2, 2, 2])
    sizes = ([1, channels, PATCH_PX, PATCH_PX] for channels in (2, 3))
    return models.onnx([node], {"kernel": kernel}, *sizes)


def network(content=None, **chosen):
    usual = {"classes": 2, "patch_px": PATCH_PX, "margin_px": 2}
    return Network(model() if content is None else content, "one.onnx", **usual | chosen)


def convolved(rgb):
    """The expected scores of a picture that is mirrored at its border, float64 [2, h, w]."""
    channels = [[ndimage.correlate(rgb[..., c], k[c].astype(float), mode="mirror") for c in range(3)] for k in KERNEL]
    return np.array(channels).sum(axis=1)


@given(st.integers(3, 90), st.integers(3, 90), st.integers(2, 15), st.integers(0, 2**32 - 1))
def test_scores_do_not_depend_on_the_position_of_the_patches(height, width, margin_px, seed):
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    scores = network(margin_px=margin_px).scores(picture)
    assert scores.dtype == np.float32
    assert scores == pytest.approx(convolved(picture[..., ::-1] / 255), abs=1e-4)


def test_network_gets_the_grey_values_that_it_was_trained_with(tissue):
    picture = tissue[:40, :50]
    centred = network(scale=0.5, mean=(10, 20, 30)).scores(picture)
    assert centred == pytest.approx(convolved((picture[..., ::-1] - np.array([10.0, 20, 30])) * 0.5), abs=0.01)
    assert network(is_rgb=False).scores(picture) == pytest.approx(convolved(picture / 255), abs=1e-4)


def test_threads_that_share_a_network_do_not_get_each_others_scores(monkeypatch):
    """A thread that has set its input waits until the other is about to; with a lock the other cannot be."""
    shared = network()
    net, both = shared._net, threading.Barrier(2)

    class Slow:
        def setInput(self, blob):
            net.setInput(blob)
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(0.2)

        def forward(self):
            return net.forward()

    monkeypatch.setattr(shared, "_net", Slow())
    pictures = [np.full((20, 20, 3), value, np.uint8) for value in (10, 240)]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(shared.scores, pictures))
    for picture, scores in zip(pictures, results, strict=True):
        assert scores == pytest.approx(convolved(picture / 255), abs=1e-4)


@pytest.mark.parametrize(
    ("content", "classes", "message"),
    [
        (b"", 2, r'The model "one\.onnx" cannot be run on patches of 32 pixels'),
        (model(KERNEL[:, :1]), 2, r'The model "one\.onnx" cannot be run on patches of 32 pixels'),
        (model(), 3, r"returns scores of the shape \(1, 2, 32, 32\), but \(1, 3, 32, 32\) is expected"),
    ],
    ids=["empty", "for other channels", "for other classes"],
)
def test_network_that_cannot_be_used_is_named_with_the_reason(content, classes, message):
    with pytest.raises(Unavailable, match=message):
        network(content, classes=classes)


@pytest.mark.parametrize("margin_px", [-1, 16])
def test_margin_that_leaves_nothing_of_a_patch_is_a_mistake(margin_px):
    with pytest.raises(ValueError, match="leaves nothing of a patch of 32"):
        network(margin_px=margin_px)
