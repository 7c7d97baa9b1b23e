"""Detectors of dark boxes, and pictures with such boxes."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import cv2
import msgspec
import numpy as np

from annohooks.aiware.engine import choose
from annohooks.core.deadline import Deadline
from annohooks.imaging.detections import Detections
from annohooks.imaging.detectors.base import Detector, Parameters
from local.simulators.aiware.aion import problems

WHITE, WIDTH, HEIGHT = 255, 200, 100


class SpotParameters(Parameters, frozen=True, kw_only=True):
    brightest: Annotated[int, msgspec.Meta(title="brightest", ge=0, le=254)] = 100
    least_score: Annotated[float, msgspec.Meta(title="least score", ge=0, le=1)] = 0.0
    naming: Annotated[Literal["Plain", "by size"], msgspec.Meta(title="naming")] = "Plain"
    upper: Annotated[bool, msgspec.Meta(title="upper case")] = False


class Spots(Detector[SpotParameters]):
    """Dark boxes."""

    name, title, kind, parameters = "spots", "Dark spots", "object", SpotParameters

    def detect(self, picture, parameters):
        dark = (picture.max(axis=2) <= parameters.brightest).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(dark)
        found = [(x, y, x + width, y + height) for x, y, width, height, _ in stats[1:].tolist()]
        label = "spot" if parameters.naming == "Plain" else "large"
        return Detections.from_boxes(found, [label.upper() if parameters.upper else label] * len(found))


class Portraits(Spots):
    name, title, kind = "portraits", "Portraits", "face"


DETECTORS = {"spots": Spots(), "portraits": Portraits()}


def picture(*boxes):
    pixels = np.full((HEIGHT, WIDTH, 3), WHITE, np.uint8)
    for x, y, width, height in boxes:
        pixels[y : y + height, x : x + width] = 0
    return pixels


def png(pixels):
    return cv2.imencode(".png", pixels)[1].tobytes()


def engine(default="spots", **payload):
    return choose(payload, default, DETECTORS)


def later():
    return Deadline.after(60)


def sent(document):
    """As the toolkit reads it; it must be AION."""
    read = json.loads(msgspec.json.encode(document))
    assert problems(read) == []
    return read


def of_picture(content, times_ms=(0, 0), deadline=None, **payload):
    return sent(engine(**payload).of_picture(content, times_ms, deadline or later()))
