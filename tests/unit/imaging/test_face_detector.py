"""Faces in real pictures, and none in others."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import scenes
import skimage.data

from annohooks.imaging.detections import overlaps
from annohooks.imaging.detectors import DETECTORS, faces

FACES = DETECTORS["faces"]
PICTURES = {path.stem for path in scenes.FOLDER.iterdir() if path.suffix in (".png", ".jpg")}
WITHOUT_FACES = sorted(PICTURES - {"astronaut", "camera", "coins"})  # the coins show portraits


def detect(picture, **chosen):
    return FACES.detect(picture, FACES.parameters(**chosen))


@pytest.fixture
def astronaut():
    return scenes.picture("astronaut")


def portraits(which):
    """Of LFW, 100 faces and then 100 pieces of pictures without a face, each uint8 BGR with a border."""
    for grey in skimage.data.lfw_subset()[which]:
        face = cv2.resize((grey * 255).astype(np.uint8), (100, 100), interpolation=cv2.INTER_CUBIC)
        bordered = cv2.copyMakeBorder(face, 40, 40, 40, 40, cv2.BORDER_REPLICATE)
        yield cv2.cvtColor(bordered, cv2.COLOR_GRAY2BGR)


@pytest.mark.parametrize("name", WITHOUT_FACES)
def test_pictures_without_faces_give_none(name):
    assert detect(scenes.picture(name)).labels == ()


@pytest.mark.parametrize(("every", "least"), [(5, 19), pytest.param(1, 96, marks=pytest.mark.thorough)])
def test_ninety_six_percent_of_small_portraits_are_found_and_nothing_in_pieces_of_background(every, least):
    assert sum(len(detect(portrait)) > 0 for portrait in portraits(slice(0, 100, every))) >= least
    assert not any(len(detect(piece)) for piece in portraits(slice(100, 200, every)))


@pytest.mark.parametrize("factor", [0.5, 1, 1.7, 4])
def test_face_is_found_whatever_the_size_of_the_picture(astronaut, factor):
    detections = detect(cv2.resize(astronaut, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))
    assert detections.labels == ("",)
    assert detections.scores[0] > 0.9
    assert overlaps(scenes.FACE * factor, detections.boxes()).tolist() == pytest.approx([0.85], abs=0.15)


def turned(picture, degrees):
    turn = cv2.getRotationMatrix2D((222, 115), degrees, 1)
    return cv2.warpAffine(picture, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize(
    "changed",
    [
        lambda picture: picture[:, ::-1].copy(),
        lambda picture: picture // 2,
        lambda picture: 90 + (picture * 0.6).astype(np.uint8),
        lambda picture: cv2.GaussianBlur(picture, (0, 0), 2),
        lambda picture: cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR),
        lambda picture: turned(picture, -8),
    ],
    ids=["mirrored", "dark", "pale", "blurred", "grey", "tilted"],
)
def test_face_is_found_however_the_picture_was_taken(astronaut, changed):
    assert len(detect(changed(astronaut))) == 1


def test_each_of_several_faces_is_found_once_and_the_highest_score_is_first():
    rows = np.split(np.array(list(portraits(slice(12)))), 3)
    detections = detect(np.vstack([np.hstack(list(row)) for row in rows]))
    assert 11 <= len(detections) <= 12
    cells = (detections.boxes()[:, :2] + detections.boxes()[:, 2:]) // 2 // 180
    assert len({tuple(cell) for cell in cells.tolist()}) == len(detections)
    assert detections.scores.tolist() == sorted(detections.scores, reverse=True)


def test_faces_below_the_smallest_are_left_out(astronaut):
    picture = cv2.resize(astronaut, (160, 160), interpolation=cv2.INTER_AREA)
    large = cv2.copyMakeBorder(picture, 400, 400, 700, 700, cv2.BORDER_CONSTANT, value=(120, 120, 120))
    assert len(detect(large, smallest_face=0.06)) == 0
    (box,) = detect(large, smallest_face=0.02).boxes()
    assert overlaps(scenes.FACE * 160 / 512 + np.array([700, 400, 700, 400]), box[None])[0] > 0.7


def test_worn_portraits_on_coins_have_low_scores_and_the_least_confidence_selects(astronaut):
    coins = scenes.picture("coins")
    scores = detect(coins, least_confidence=0).scores
    assert len(scores) > 3
    assert 0 < scores.min() < 0.3 < scores.max() < detect(astronaut).scores[0] < 1
    assert detect(coins).scores.tolist() == scores[scores >= 0.5].tolist()
    assert detect(coins, least_confidence=0.2).scores.tolist() == scores[scores >= 0.2].tolist()


def test_picture_of_any_shape_may_be_without_a_face_and_boxes_lie_in_the_picture(astronaut):
    for size in ((1, 1), (1, 4000), (4000, 3), (19, 19), (60, 61)):
        assert len(detect(np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8))) == 0
    (box,) = detect(cv2.resize(astronaut[70:160, 178:270], None, fx=3, fy=3), least_confidence=0).boxes()[:1]
    assert (box[:2] >= 0).all()
    assert (box[2:] <= (276, 270)).all()


def test_several_threads_detect_at_once_and_each_gets_its_own(astronaut):
    pictures = [np.roll(astronaut, 20 * number, axis=1) for number in range(4)] * 2
    alone = [detect(picture).boxes().tolist() for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert [detections.boxes().tolist() for detections in pool.map(detect, pictures)] == alone


def test_weights_count_from_the_thresholds_of_the_last_stages():
    for name, threshold in zip(faces._CASCADES, faces._MIN_WEIGHTS, strict=True):
        stages = ElementTree.parse(Path(cv2.data.haarcascades, name)).getroot().find("cascade/stages")
        assert float(stages[-1].findtext("stageThreshold")) == pytest.approx(threshold, abs=1e-5)
