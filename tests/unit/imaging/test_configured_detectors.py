"""Detectors of ONNX models: tiny ones, which find cells of a grid that are red or blue."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import scenes
from onnx import TensorProto, helper, numpy_helper

from annohooks.core.errors import SettingsError, Unavailable
from annohooks.imaging.detections import overlaps
from annohooks.imaging.detectors import configured

CELL_PX = 16
WIDTH, HEIGHT = 128, 96
LABELS = ["red", "blue"]
FORMATS = ("yolov5", "yolov8", "ssd")


def grid(width=WIDTH, height=HEIGHT):
    """Each cell's centre and size, float32 [N, 4], in pixels."""
    y, x = np.mgrid[: height // CELL_PX, : width // CELL_PX].reshape(2, -1)
    sides = np.full(len(x), CELL_PX)
    return np.stack([(x + 0.5) * CELL_PX, (y + 0.5) * CELL_PX, sides, sides], axis=1).astype(np.float32)


def model(form, width=WIDTH, height=HEIGHT, classes=2, factor=1.0):
    """How red and how blue each cell is, as a detector of that format gives it; factor: on all confidences."""
    cells = grid(width, height)
    number = len(cells)
    kernel = np.full((2, 3, CELL_PX, CELL_PX), -1 / CELL_PX**2, np.float32)
    kernel[0, 0] = kernel[1, 2] = 1 / CELL_PX**2
    constants = {"kernel": np.concatenate([kernel] * 2)[:classes], "factor": np.full((1, 1, 1, 1), factor)}
    nodes = [
        helper.make_node("Conv", ["picture", "kernel"], ["cells"], kernel_shape=[CELL_PX] * 2, strides=[CELL_PX] * 2),
        helper.make_node("Relu", ["cells"], ["unscaled"]),
        helper.make_node("Mul", ["unscaled", "factor"], ["positive"]),
    ]
    if form == "ssd":
        corners = np.hstack([cells[:, :2] - cells[:, 2:] / 2, cells[:, :2] + cells[:, 2:] / 2])
        constants["places"] = np.tile(corners / [width, height, width, height], (classes, 1))[None, None]
        kinds = np.stack([np.zeros(classes * number), np.repeat(np.arange(classes), number)], axis=1)
        constants["kinds"] = kinds[None, None]
        constants["shape"] = np.array([1, 1, classes * number, 1])
        nodes += [
            helper.make_node("Reshape", ["positive", "shape"], ["scores"]),
            helper.make_node("Concat", ["kinds", "scores", "places"], ["found"], axis=3),
        ]
        shape = [1, 1, classes * number, 7]
    else:
        constants["shape"] = np.array([1, classes, number])
        rows = [cells.T] + ([np.ones((1, number))] if form == "yolov5" else [])
        constants["places"] = np.concatenate(rows)[None]
        together = "found" if form == "yolov8" else "columns"
        nodes += [
            helper.make_node("Reshape", ["positive", "shape"], ["scores"]),
            helper.make_node("Concat", ["places", "scores"], [together], axis=1),
        ]
        shape = [1, 4 + classes, number]
        if form == "yolov5":
            nodes.append(helper.make_node("Transpose", ["columns"], ["found"], perm=[0, 2, 1]))
            shape = [1, number, 5 + classes]
    return onnx(nodes, constants, shape, width, height)


def onnx(nodes, constants, shape, width=WIDTH, height=HEIGHT):
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, size)
        for name, size in (("picture", [1, 3, height, width]), ("found", shape))
    ]
    stored = [
        numpy_helper.from_array(value if name == "shape" else value.astype(np.float32), name)
        for name, value in constants.items()
    ]
    graph = helper.make_graph(nodes, "cells", ends[:1], ends[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


def text(form="yolov8", **changed):
    """A file of one detector."""
    fields = {
        "name": "cells",
        "model": "cells.onnx",
        "format": form,
        "width_px": WIDTH,
        "height_px": HEIGHT,
        "labels": LABELS,
    } | changed
    lines = [f"    {name}: {value}" for name, value in fields.items() if value is not None]
    return "detectors:\n  -" + "\n".join(lines)[3:] + "\n"


def detector(form="yolov8", content=None, **changed):
    content = model(form) if content is None else content
    return configured.load(text(form, **changed), lambda key, sha256: content)["cells"]


def detect(found, picture, **chosen):
    return found.detect(picture, found.parameters(**chosen))


def canvas(width, height):
    return np.full((height, width, 3), 90, np.uint8)


RED, BLUE = (0, 0, 255), (255, 0, 0)


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_gives_boxes_labels_and_scores_in_the_pictures_pixels(form):
    picture = canvas(WIDTH, HEIGHT)
    picture[16:32, 48:64] = RED
    picture[64:80, 0:16] = np.array(BLUE) * 0.8
    found = detect(detector(form), picture)
    assert found.labels == ("red", "blue")
    assert found.boxes() == pytest.approx(np.array([[48, 16, 64, 32], [0, 64, 16, 80.0]]), abs=1e-3)
    assert found.scores == pytest.approx([1, 0.8], abs=0.01)


@pytest.mark.parametrize("form", ["yolov5", "yolov8"])
@pytest.mark.parametrize(("width", "height"), [(256, 96), (128, 300), (64, 48), (640, 480), (100, 240)])
def test_picture_of_another_shape_is_fitted_in_and_boxes_come_back_to_its_pixels(form, width, height):
    """Something large enough to fill a cell wherever it comes to lie."""
    picture = canvas(width, height)
    scale = min(WIDTH / width, HEIGHT / height)
    side = round(2.2 * CELL_PX / scale)
    x0, y0 = (width - side) // 2, (height - side) // 2
    picture[max(0, y0) : y0 + side, max(0, x0) : x0 + side] = RED
    found = detect(detector(form), picture, least_confidence=0.9)
    assert set(found.labels) == {"red"}
    boxes = found.boxes()
    assert (boxes >= np.array([x0, y0, x0, y0]) - 1 / scale).all()
    assert (boxes <= np.array([x0, y0, x0, y0]) + side + 1 / scale).all()
    sides = boxes[:, 2:] - boxes[:, :2]
    assert sides[sides.min(axis=1) > 0.9 * CELL_PX / scale] == pytest.approx(CELL_PX / scale, rel=0.05)


def test_picture_of_another_shape_is_stretched_for_ssd():
    picture = canvas(2 * WIDTH, HEIGHT)
    picture[16:32, 96:128] = RED
    assert detect(detector("ssd"), picture).boxes() == pytest.approx(np.array([[96, 16, 128, 32.0]]), abs=0.01)


def test_padding_is_not_found():
    assert len(detect(detector(), canvas(WIDTH, 16), least_confidence=0.05)) == 0


@pytest.mark.parametrize("form", FORMATS)
def test_picture_without_objects_gives_nothing(form):
    assert len(detect(detector(form), scenes.picture("camera"))) == 0


def test_least_confidence_is_the_files_unless_a_request_says_another():
    picture = canvas(WIDTH, HEIGHT)
    picture[16:32, 48:64] = np.array(RED) * 0.5 + 20
    strict = detector(least_confidence=0.8)
    assert strict.parameters().least_confidence == 0.8
    assert len(detect(strict, picture)) == 0
    assert len(detect(strict, picture, least_confidence=0.2)) == 1
    assert detector().parameters().least_confidence == 0.25


def overlapping(labels):
    """A model that gives three boxes, the first two almost in one place, whatever the picture is."""
    rows = np.array([[40, 40, 20, 20], [42, 40, 20, 20], [90, 60, 20, 20]], np.float32)
    scores = np.zeros((3, 2), np.float32)
    scores[np.arange(3), labels] = [0.6, 0.9, 0.7]
    constants = {
        "rows": np.hstack([rows, scores]).T[None],
        "none": np.zeros((1, 3, 1, 1)),
        "shape": np.array([1, 1, 1]),
    }
    nodes = [
        helper.make_node("GlobalAveragePool", ["picture"], ["mean"]),
        helper.make_node("Conv", ["mean", "none"], ["nothing"], kernel_shape=[1, 1]),
        helper.make_node("Reshape", ["nothing", "shape"], ["zero"]),
        helper.make_node("Add", ["rows", "zero"], ["found"]),
    ]
    return onnx(nodes, constants, [1, 6, 3])


def test_of_boxes_in_one_place_the_surest_of_a_label_is_kept_and_the_surest_is_first():
    assert detect(detector(content=overlapping([0, 0, 1])), canvas(WIDTH, HEIGHT)).scores == pytest.approx([0.9, 0.7])
    other_labels = detect(detector(content=overlapping([0, 1, 1])), canvas(WIDTH, HEIGHT))
    assert other_labels.scores == pytest.approx([0.9, 0.7, 0.6])
    loose = detect(detector(content=overlapping([0, 0, 1]), most_overlap=0.95), canvas(WIDTH, HEIGHT))
    assert len(loose) == 3


def test_grey_values_are_given_as_the_model_wants_them():
    picture = canvas(WIDTH, HEIGHT)
    picture[16:32, 48:64] = RED
    assert detect(detector(is_rgb="false"), picture).labels == ("blue",)
    assert detect(detector(scale=0.5 / 255), picture).scores == pytest.approx([0.5], abs=0.01)
    less_red = detect(detector(mean=[100, 0, 0]), picture, least_confidence=0.5)
    assert less_red.labels == ("red",)
    assert less_red.scores == pytest.approx([155 / 255], abs=0.01)


# ---- models that are not what they should be


def test_model_is_read_when_it_is_first_needed_and_then_kept():
    asked = []

    def read(key, sha256):
        asked.append((key, sha256))
        return model("yolov8")

    found = configured.load(text(sha256="a" * 64), read)["cells"]
    assert asked == []
    for _ in range(2):
        detect(found, canvas(WIDTH, HEIGHT))
    assert asked == [("cells.onnx", "a" * 64)]


def test_model_that_could_not_be_read_is_asked_for_again():
    answers = iter([Unavailable("S3 failed."), model("yolov8")])

    def read(key, sha256):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    found = configured.load(text(), read)["cells"]
    with pytest.raises(Unavailable, match=r"S3 failed\."):
        detect(found, canvas(WIDTH, HEIGHT))
    assert len(detect(found, canvas(WIDTH, HEIGHT))) == 0


@pytest.mark.parametrize("content", [b"", b"no model at all", model("yolov8")[:100]])
def test_what_is_no_model_is_named_and_said(content):
    message = r'The model "cells.onnx" of the detector "cells" cannot be run on pictures of 128 x 96 pixels'
    with pytest.raises(Unavailable, match=message):
        detect(detector(content=content), canvas(WIDTH, HEIGHT))


def test_model_of_another_size_cannot_be_run():
    with pytest.raises(Unavailable, match="cannot be run on pictures of 64 x 64 pixels"):
        detect(detector(width_px=64, height_px=64), canvas(WIDTH, HEIGHT))


@pytest.mark.parametrize(
    ("form", "content", "message"),
    [
        (
            "yolov8",
            model("yolov8", classes=3),
            r"returns \(1, 7, 48\), but \(1, 6, N\) is expected from yolov8 with 2 labels",
        ),
        (
            "yolov5",
            model("yolov5", classes=1),
            r"returns \(1, 48, 6\), but \(1, N, 7\) is expected from yolov5 with 2 labels",
        ),
        ("yolov5", model("yolov8"), r"returns \(1, 6, 48\), but \(1, N, 7\) is expected"),
        ("ssd", model("yolov8"), r"returns \(1, 6, 48\), but \(1, 1, N, 7\) is expected from ssd"),
    ],
    ids=["more classes", "fewer classes", "another format", "ssd that is none"],
)
def test_model_of_other_classes_or_another_format_is_told_from_what_was_expected(form, content, message):
    with pytest.raises(Unavailable, match=message):
        detect(detector(form, content), canvas(WIDTH, HEIGHT))


def test_class_that_no_label_is_for_is_told():
    picture = canvas(WIDTH, HEIGHT)
    picture[16:32, 48:64] = BLUE
    with pytest.raises(Unavailable, match="returns classes beyond its 1 labels"):
        detect(detector("ssd", labels=["red"]), picture)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("factor", [float("nan"), float("inf"), 40.0])
def test_confidences_that_are_none_are_told_and_not_passed_on(form, factor):
    picture = canvas(WIDTH, HEIGHT)
    picture[16:32, 48:64] = RED
    found = detector(form, model(form, factor=factor))
    with pytest.raises(Unavailable, match="returns boxes or confidences that are not valid"):
        detect(found, picture)


def test_boxes_that_are_none_are_told(monkeypatch):
    places = grid()
    places[:, 2] = np.inf
    monkeypatch.setattr(f"{__name__}.grid", lambda width, height: places)
    picture = canvas(WIDTH, HEIGHT)
    picture[16:32, 48:64] = RED
    with pytest.raises(Unavailable, match="returns boxes or confidences that are not valid"):
        detect(detector(), picture)


def test_threads_that_share_a_detector_do_not_get_each_others_boxes():
    shared, start = detector(), threading.Barrier(8)

    def place(cell):
        picture = canvas(WIDTH, HEIGHT)
        picture[:16, 16 * cell : 16 * cell + 16] = RED
        start.wait(30)
        return [detect(shared, picture).boxes().round().tolist() for _ in range(20)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(place, range(8)))
    assert found == [[[[16 * cell, 0, 16 * cell + 16, 16]]] * 20 for cell in range(8)]


# ---- the file


def test_file_of_several_detectors_gives_each_by_its_name():
    two = text() + text("ssd", name="others", title="Other cells").removeprefix("detectors:\n")
    found = configured.load(two, lambda key, sha256: b"")
    assert [(name, each.name, each.title, each.kind) for name, each in found.items()] == [
        ("cells", "cells", "cells", "object"),
        ("others", "others", "Other cells", "object"),
    ]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", "line 1: expected `detectors:` and a list"),
        ("- name: x", "line 1: expected `detectors:` and a list"),
        ("detectors: 3", "line 1: expected `detectors:` and a list"),
        ("detectors:\n  - cells", "line 2: a detector has to be a mapping"),
        ("detectors:\n  - name: [", "line 3: not YAML"),
        ("detectors:\n  - name: \x07", "line 2: this character is not allowed in YAML"),
        ("detectors: !!python/object:os.system x", "line 1: tags (!) are not accepted"),
        (text(colour="red"), "line 8: colour: Object contains unknown field `colour`"),
        (text(format="yolov4"), "line 4: format: Invalid enum value 'yolov4'"),
        (text(width_px="wide"), "line 5: width_px: Expected `int`, got `str`"),
        (text(width_px=0), "line 5: width_px: Expected `int` >= 16"),
        (text(labels=[]), "line 7: labels: Expected `array` of length >= 1"),
        (text(labels="[red, no]"), "line 7: labels: Expected `str`, got `bool`"),
        (text(least_confidence=2), "line 8: least_confidence: Expected `float` <= 1"),
        (text(scale=".nan"), "line 8: scale"),
        (text(name="Cells"), "line 2: name: Expected `str` matching regex"),
        (text(name="faces"), "line 2: name: there is another 'faces'"),
        (text(name="nuclei"), "line 2: name: there is another 'nuclei'"),
        (text() + text().removeprefix("detectors:\n"), "line 8: name: there is another 'cells'"),
        (text(model=None), "line 2: Object missing required field `model`"),
        (text(sha256="abc"), "line 8: sha256: Expected `str` matching regex"),
        (text() + "    model: other.onnx\n", "line 8: model: it occurs twice"),
        (text(model="!!python/name:os.system x"), "line 3: tags (!) are not accepted"),
        ("detectors: [" + " " * 300_000, "more than 256000 characters"),
        (text(mean="[.nan, 0, 0]"), "line 8: mean: not a finite number"),
        (text(mean="[0, -.inf, 0]"), "line 8: mean: not a finite number"),
        (text(least_confidence=".inf"), "line 8: least_confidence: not a finite number"),
        ("detectors:\n  " + "[" * 100_000, "line 2: nested too deeply"),
        (text(labels="[" * 900 + "]" * 900), "line 7: nested too deeply"),
        (text(labels="&x [*x]"), "line 7: anchors and aliases (&, *) are not accepted"),
        (text(labels="2026-99-99"), "line 7: labels: it cannot be read"),
        (text(labels="{[a]: b}"), "line 7: labels: it cannot be read"),
        ("detectors:\n  - {[a]: b}\n", "line 2: a name has to be a text"),
    ],
)
def test_mistake_is_told_with_its_line_and_field(written, message):
    with pytest.raises(SettingsError) as told:
        configured.load(written, lambda key, sha256: b"")
    assert message in str(told.value)
    assert str(told.value).startswith("detectors: ")


def test_real_picture_of_any_size_is_looked_at_in_one_piece():
    picture = cv2.resize(scenes.picture("coffee"), (1920, 1080))
    cv2.rectangle(picture, (800, 300), (1200, 700), RED, -1)
    found = detect(detector(), picture, least_confidence=0.8)
    assert set(found.labels) == {"red"}
    assert (overlaps(np.array([800.0, 300, 1200, 700]), found.boxes()) > 0).all()
