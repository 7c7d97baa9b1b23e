"""A picture with the objects of its AION document drawn on it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import cv2
import numpy as np

from annohooks.imaging.decode import Picture
from annohooks.imaging.outlines import IntArray

_COLORS = ((80, 220, 0), (0, 140, 255), (255, 130, 0), (210, 0, 210), (0, 210, 230), (70, 70, 240))  # BGR
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_MAX_CAPTIONS = 50  # more would cover each other
_QUALITY = 90


def drawing(picture: Picture, document: Mapping[str, Any], at_ms: int | None = None) -> bytes:
    """A JPEG of a picture with the outlines of its objects, and their labels and confidences if they are few.

    at_ms: draws only the objects of the series that are there at this time, from the start of the asset.
    """
    items = [item for item in document.get("series", ()) if at_ms is None or _is_shown(item, at_ms)]
    objects = [*document.get("object", ()), *(item["object"] for item in items)]
    colors = dict(zip(sorted({_label(aion_object) for aion_object in objects}), cycle(_COLORS), strict=False))
    canvas = picture.copy()
    height, width = canvas.shape[:2]
    thickness = max(1, max(width, height) // 600)
    for aion_object in objects:
        points = np.array([(point["x"] * width, point["y"] * height) for point in aion_object["boundingPoly"]])
        outline = np.rint(points).astype(np.int32)
        color = colors[_label(aion_object)]
        cv2.polylines(canvas, [outline], True, color, thickness, cv2.LINE_AA)
        if len(objects) <= _MAX_CAPTIONS:
            _write(canvas, _caption(aion_object), outline, color, thickness)
    _, encoded = cv2.imencode(".jpg", canvas, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    return encoded.tobytes()


def _is_shown(item: Mapping[str, Any], at_ms: int) -> bool:
    return bool(item["startTimeMs"] <= at_ms < item["stopTimeMs"])


def _label(aion_object: Mapping[str, Any]) -> str:
    return str(aion_object.get("label") or aion_object["type"])


def _caption(aion_object: Mapping[str, Any]) -> str:
    return (
        f"{_label(aion_object)} {aion_object['confidence']:.2f}" if "confidence" in aion_object else _label(aion_object)
    )


def _write(canvas: Picture, text: str, outline: IntArray, color: tuple[int, int, int], thickness: int) -> None:
    """Writes a text in a filled box above an outline, within the picture."""
    scale = 0.5 * thickness**0.5
    (width, height), below = cv2.getTextSize(text, _FONT, scale, thickness)
    x = int(np.clip(outline[:, 0].min(), 0, max(0, canvas.shape[1] - width)))
    y = max(int(outline[:, 1].min()) - below, height)
    cv2.rectangle(canvas, (x, y - height - thickness), (x + width, y + below), color, cv2.FILLED)
    cv2.putText(canvas, text, (x, y), _FONT, scale, (255, 255, 255), thickness, cv2.LINE_AA)
