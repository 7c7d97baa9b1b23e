"""A picture with what an AION document says of it."""

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
_MOST_CAPTIONS = 50  # of more objects, nobody could tell whose they are
_QUALITY = 90


def drawing(picture: Picture, document: Mapping[str, Any], at_ms: int | None = None) -> bytes:
    """A JPEG of a picture with the objects of its AION document: outlines, and labels and confidences of a few.

    at_ms: of a series only what is there at that time, from the start of the asset.
    """
    items = [each for each in document.get("series", ()) if at_ms is None or _is_there(each, at_ms)]
    objects = [*document.get("object", ()), *(each["object"] for each in items)]
    colors = dict(zip(sorted({_name(each) for each in objects}), cycle(_COLORS), strict=False))
    canvas = picture.copy()
    height, width = canvas.shape[:2]
    thickness = max(1, max(width, height) // 600)
    for each in objects:
        points = np.array([(point["x"] * width, point["y"] * height) for point in each["boundingPoly"]])
        outline = np.rint(points).astype(np.int32)
        cv2.polylines(canvas, [outline], True, colors[_name(each)], thickness, cv2.LINE_AA)
        if len(objects) <= _MOST_CAPTIONS:
            _write(canvas, _caption(each), outline, colors[_name(each)], thickness)
    _, encoded = cv2.imencode(".jpg", canvas, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    return encoded.tobytes()


def _is_there(item: Mapping[str, Any], at_ms: int) -> bool:
    return bool(item["startTimeMs"] <= at_ms < item["stopTimeMs"])


def _name(each: Mapping[str, Any]) -> str:
    return str(each.get("label") or each["type"])


def _caption(each: Mapping[str, Any]) -> str:
    return f"{_name(each)} {each['confidence']:.2f}" if "confidence" in each else _name(each)


def _write(canvas: Picture, text: str, outline: IntArray, color: tuple[int, int, int], thickness: int) -> None:
    """In a filled box above an outline, within the picture."""
    scale = 0.5 * thickness**0.5
    (width, height), below = cv2.getTextSize(text, _FONT, scale, thickness)
    x = int(np.clip(outline[:, 0].min(), 0, max(0, canvas.shape[1] - width)))
    y = max(int(outline[:, 1].min()) - below, height)
    cv2.rectangle(canvas, (x, y - height - thickness), (x + width, y + below), color, cv2.FILLED)
    cv2.putText(canvas, text, (x, y), _FONT, scale, (255, 255, 255), thickness, cv2.LINE_AA)
