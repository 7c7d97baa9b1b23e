"""Our AION judged by the vendor's schemas: of every analyzer and detector, on real pictures and on a video."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from schemas import flaws
from skimage import data

from annohooks.aiware import aion
from annohooks.aiware.engine import choose
from annohooks.core.deadline import Deadline
from annohooks.imaging import video
from annohooks.imaging.analyzers import ANALYZERS
from annohooks.imaging.detections import Detections
from annohooks.imaging.detectors import DETECTORS
from local import slides
from local.simulators.aiware.aion import problems

ENGINES = dict.fromkeys(ANALYZERS, "object") | {name: each.kind for name, each in DETECTORS.items()}
STEP_MS, FRAMES, FPS = 500, 20, 10.0


def png(rgb: np.ndarray) -> bytes:
    return cv2.imencode(".png", np.ascontiguousarray(rgb[..., ::-1]))[1].tobytes()


def barcode() -> np.ndarray:
    code = cv2.QRCodeEncoder.create().encode("annohooks")
    large = cv2.resize(code, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
    return cv2.cvtColor(cv2.copyMakeBorder(large, *[40] * 4, cv2.BORDER_CONSTANT, value=255), cv2.COLOR_GRAY2RGB)


PICTURES = {"face": data.astronaut(), "barcode": barcode(), "object": slides.immunohistochemistry().pixels}
"""RGB, for each kind of object one that has some."""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each picture for two seconds, moving a little."""
    paths = {}
    for kind, rgb in PICTURES.items():
        path = tmp_path_factory.mktemp("films") / f"{kind}.mp4"
        height, width = (side // 2 * 2 for side in rgb.shape[:2])
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), FPS, (width, height))
        for frame in range(FRAMES):
            writer.write(np.roll(rgb[:height, :width, ::-1], frame, axis=1))
        writer.release()
        paths[kind] = path
    return paths


def judged(document: dict[str, Any]) -> dict[str, Any]:
    """As the toolkit reads it; schemas and rules must have nothing against it."""
    read = json.loads(msgspec.json.encode(document))
    assert list(flaws(read)) == []
    assert problems(read) == []
    return read


def of_picture(name: str, rgb: np.ndarray, times_ms: tuple[int, int]) -> dict[str, Any]:
    engine = choose({"analyzer": name, "stain": "H-DAB"}, "", DETECTORS)
    return judged(engine.of_picture(png(rgb), times_ms, Deadline.after(60)))


@pytest.mark.parametrize("name", ENGINES)
def test_objects_in_a_real_picture_and_none_in_an_empty_one_are_valid_with_and_without_a_time(name):
    shown, blank = PICTURES[ENGINES[name]], slides.blank(300, 200).pixels
    assert {each["type"] for each in of_picture(name, shown, (0, 0))["object"]} == {ENGINES[name]}
    assert {each["object"]["type"] for each in of_picture(name, shown, (1000, 2000))["series"]} == {ENGINES[name]}
    assert of_picture(name, blank, (0, 0))["object"] == of_picture(name, blank, (1000, 2000))["series"] == []


@pytest.mark.parametrize("name", ENGINES)
def test_objects_in_a_video_are_valid(name, films):
    engine = choose({"analyzer": name, "stain": "H-DAB", "sampleMs": STEP_MS}, "", DETECTORS)
    film = video.probe(films[ENGINES[name]])
    series = judged(engine.of_video(film, 0, film.duration_ms, 60_000, Deadline.after(60)))["series"]
    assert {each["object"]["type"] for each in series} == {ENGINES[name]}
    assert min(each["startTimeMs"] for each in series) == 60_000
    assert 61_500 < max(each["stopTimeMs"] for each in series) <= 60_000 + film.duration_ms
    assert any(each["stopTimeMs"] - each["startTimeMs"] > STEP_MS for each in series)


@pytest.mark.parametrize(
    "box", [(-1e-9, -1e-9, 640.0000001, 480.0000001), (639.9, 479.9, 700, 700), (-5, -5, 0.5, 0.5), (7, 7, 7, 7)]
)
@pytest.mark.parametrize("kind", ["face", "barcode", "object"])
def test_objects_at_the_edges_are_valid(kind, box):
    found = Detections.from_boxes([box], ["label"], [1.0000001])
    document = judged(aion.of_picture(found, kind, (640, 480), (0, 1)))
    assert len(document["series"]) == 1


@pytest.mark.parametrize(
    ("path", "value"),
    [(("confidence",), 2), (("boundingPoly", 0, "x"), 1.0000001), (("type",), "dog"), (("found",), True)],
)
def test_the_schemas_would_tell_if_it_were_not(path, value):
    document = of_picture("nuclei", PICTURES["object"], (1000, 2000))
    place = document["series"][0]["object"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert any(flaws(document))
