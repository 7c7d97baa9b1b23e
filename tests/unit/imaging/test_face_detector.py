"""Faces in real pictures, and none in others."""

from __future__ import annotations

import itertools
import threading
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
# But for the coins, which bear portraits.
WITHOUT_FACES = sorted(
    path.stem
    for path in scenes.FOLDER.iterdir()
    if path.suffix in (".png", ".jpg") and path.stem not in ("astronaut", "camera", "coins")
)


def detect(picture, **chosen):
    return FACES.detect(picture, FACES.parameters(**chosen))


def portraits():
    """The hundred faces, and the hundred pieces of pictures without one, of LFW, each uint8 BGR with a border."""
    for grey in skimage.data.lfw_subset():
        face = cv2.resize((grey * 255).astype(np.uint8), (100, 100), interpolation=cv2.INTER_CUBIC)
        bordered = cv2.copyMakeBorder(face, 40, 40, 40, 40, cv2.BORDER_REPLICATE)
        yield cv2.cvtColor(bordered, cv2.COLOR_GRAY2BGR)


def test_face_is_found_where_it_is():
    found = detect(scenes.picture("astronaut"))
    assert len(found) == 1
    assert found.labels == ("",)
    assert overlaps(scenes.FACE, found.boxes())[0] > 0.8
    assert found.scores[0] > 0.95


@pytest.mark.parametrize("name", WITHOUT_FACES)
def test_pictures_without_faces_give_none(name):
    picture = scenes.picture(name)
    for each in (picture, picture[:, ::-1].copy()):
        for smallest_face in (0.06, 0.03):
            assert detect(each, smallest_face=smallest_face).labels == ()


def test_ninety_six_of_a_hundred_small_portraits_are_found_and_nothing_in_a_hundred_pieces_of_background():
    found = [len(detect(each)) for each in portraits()]
    assert sum(number > 0 for number in found[:100]) >= 96
    assert found[100:] == [0] * 100


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.7, 4])
def test_face_is_found_whatever_the_size_of_the_picture(factor):
    picture = cv2.resize(scenes.picture("astronaut"), None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    found = detect(picture)
    assert overlaps(scenes.FACE * factor, found.boxes()).tolist() == pytest.approx([0.85], abs=0.15)


@pytest.mark.parametrize(
    "changed",
    [
        lambda picture: picture[:, ::-1].copy(),
        lambda picture: picture // 2,
        lambda picture: 90 + (picture * 0.6).astype(np.uint8),
        lambda picture: cv2.GaussianBlur(picture, (0, 0), 2),
        lambda picture: cv2.imdecode(
            cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 20])[1], cv2.IMREAD_COLOR
        ),
        lambda picture: cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR),
    ],
    ids=["mirrored", "dark", "pale", "blurred", "compressed", "grey"],
)
def test_face_is_found_however_the_picture_was_taken(changed):
    assert len(detect(changed(scenes.picture("astronaut")))) == 1


@pytest.mark.parametrize("degrees", [-8, 8])
def test_head_may_be_tilted_a_little(degrees):
    turn = cv2.getRotationMatrix2D((222, 115), degrees, 1)
    picture = cv2.warpAffine(scenes.picture("astronaut"), turn, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    assert len(detect(picture)) == 1


def test_each_of_several_faces_is_found_once_and_the_surest_is_first():
    rows = np.split(np.array(list(itertools.islice(portraits(), 12))), 3)
    crowd = np.vstack([np.hstack(list(row)) for row in rows])
    found = detect(crowd)
    assert 11 <= len(found) <= 12
    cells = (found.boxes()[:, :2] + found.boxes()[:, 2:]) // 2 // 180
    assert len({tuple(cell) for cell in cells.tolist()}) == len(found)
    assert found.scores.tolist() == sorted(found.scores, reverse=True)


def test_faces_below_the_smallest_are_left_out():
    picture = cv2.resize(scenes.picture("astronaut"), (160, 160), interpolation=cv2.INTER_AREA)
    large = cv2.copyMakeBorder(picture, 400, 400, 700, 700, cv2.BORDER_CONSTANT, value=(120, 120, 120))
    assert len(detect(large, smallest_face=0.06)) == 0
    (box,) = detect(large, smallest_face=0.02).boxes()
    assert overlaps(scenes.FACE * 160 / 512 + np.array([700, 400, 700, 400]), box[None])[0] > 0.7


def test_only_what_is_sure_enough_is_given():
    picture = scenes.picture("coins")
    every = detect(picture, least_confidence=0).scores
    assert len(every) > 3
    assert 0 < every.min() < 0.3 < every.max() < 1
    for least in (0.2, 0.5, 0.9):
        assert detect(picture, least_confidence=least).scores.tolist() == every[every >= least].tolist()


def test_worn_portrait_on_a_coin_is_less_sure_than_a_face():
    assert detect(scenes.picture("coins"), least_confidence=0).scores[0] < detect(scenes.picture("astronaut")).scores[0]


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 3), (19, 19), (20, 20), (60, 61)])
def test_picture_of_any_shape_may_be_without_a_face(size):
    assert len(detect(np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8))) == 0


def test_boxes_lie_in_the_picture():
    picture = scenes.picture("astronaut")[70:160, 178:270].copy()
    (box,) = detect(cv2.resize(picture, None, fx=3, fy=3), least_confidence=0).boxes()[:1]
    assert (box[:2] >= 0).all()
    assert (box[2:] <= (276, 270)).all()


def test_several_threads_detect_at_once_and_each_gets_its_own():
    pictures = [np.roll(scenes.picture("astronaut"), 20 * number, axis=1) for number in range(6)]
    alone = [detect(each).boxes().tolist() for each in pictures]
    start = threading.Barrier(6)

    def at_once(picture):
        start.wait(30)
        return [detect(picture).boxes().tolist() for _ in range(3)]

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(at_once, pictures)) == [[each] * 3 for each in alone]


def test_weights_count_from_what_the_last_stages_of_the_cascades_ask_for():
    for name, least in zip(faces._CASCADES, faces._MIN_WEIGHTS, strict=True):
        stages = ElementTree.parse(Path(cv2.data.haarcascades, name)).getroot().find("cascade/stages")
        assert float(stages[-1].findtext("stageThreshold")) == pytest.approx(least, abs=1e-5)
