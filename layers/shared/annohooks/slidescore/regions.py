"""What the user drew, as shapes on the slide."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from annohooks.core.errors import BadRequest
from annohooks.imaging.outlines import FloatArray
from annohooks.imaging.region import Region, Shape, regions_of

QUESTION = "ROI"
_ELLIPSE_VERTICES = 90
_MOST_SHAPES = 200
_MOST_VERTICES = 50_000
_AGAIN = "Please draw the region of interest again, press Done, and send."
NO_AREA = f"The region of interest has no area: it is a point, a line, or too narrow for this analysis. {_AGAIN}"


class _XY(msgspec.Struct):
    x: float | None = None
    y: float | None = None


class _Drawn(msgspec.Struct, rename={"positive": "positivePolygons", "negative": "negativePolygons"}):
    """One shape as the viewer stores it (anno1); which keys it has depends on its type."""

    type: str
    corner: _XY | None = None
    center: _XY | None = None
    size: _XY | None = None
    points: list[_XY] = []
    positive: list[list[_XY]] = []
    negative: list[list[_XY]] = []


def regions(answer: Any, width: int, height: int) -> list[Region]:
    """The regions of an AnnoShapes answer on a slide of width x height pixels, overlapping ones joined.

    answer: JSON text, or already a list, of rect, ellipse, polygon or brush shapes. Shapes the user began and did not
    finish (null corners) are left out as long as one is whole.
    Raises BadRequest, in words for the person who drew, when nothing is left to look at.
    """
    shapes = [shape for drawn in _drawn(answer) if (shape := _shape(drawn)) is not None]
    if not shapes:
        raise BadRequest(f"The region of interest was not finished. {_AGAIN}")
    solid = [shape for shape in shapes if min(shape.box.width, shape.box.height) > 0]
    if not solid:
        raise BadRequest(NO_AREA)
    found = regions_of(solid, width, height)
    if not found:
        raise BadRequest(f"The region of interest lies outside the slide. {_AGAIN}")
    return found


def _drawn(answer: Any) -> list[_Drawn]:
    if answer is None or answer == "" or answer == []:
        raise BadRequest(f'No region of interest was drawn (question "{QUESTION}"). {_AGAIN}')
    try:
        if isinstance(answer, str):
            drawn = msgspec.json.decode(answer, type=list[_Drawn])
        else:
            drawn = msgspec.convert(answer, list[_Drawn])
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        raise BadRequest(
            f'The answer to "{QUESTION}" is not a list of shapes; the question has to be of type AnnoShapes.'
        ) from None
    if not drawn:
        raise BadRequest(f'No region of interest was drawn (question "{QUESTION}"). {_AGAIN}')
    vertices = sum(len(d.points) + sum(map(len, d.positive)) + sum(map(len, d.negative)) for d in drawn)
    if len(drawn) > _MOST_SHAPES or vertices > _MOST_VERTICES:
        raise BadRequest(
            f"The region of interest has {len(drawn)} shapes with {vertices} vertices; at most {_MOST_SHAPES} shapes "
            f"with {_MOST_VERTICES} vertices can be analysed at once."
        )
    return drawn


def _shape(drawn: _Drawn) -> Shape | None:
    """None for a shape that was begun and not finished."""
    kind = drawn.type.lower()
    if kind in ("rect", "ellipse"):
        origin, size = _pair(drawn.corner if kind == "rect" else drawn.center), _pair(drawn.size)
        if origin is None or size is None:
            return None
        return Shape((_rectangle(origin, size) if kind == "rect" else _ellipse(origin, size),))
    if kind == "polygon":
        ring = _ring(drawn.points)
        return None if ring is None else Shape((ring,))
    if kind == "brush":
        rings = [ring for points in drawn.positive if (ring := _ring(points)) is not None]
        holes = [ring for points in drawn.negative if (ring := _ring(points)) is not None]
        return Shape(tuple(rings), tuple(holes)) if rings else None
    raise BadRequest(
        f"The region of interest has a shape of a type that encloses nothing. Please draw a rectangle, an ellipse, "
        f'a polygon, or use the brush for the question "{QUESTION}".'
    )


def _pair(point: _XY | None) -> FloatArray | None:
    if point is None or point.x is None or point.y is None:
        return None
    pair: FloatArray = np.clip(np.array([point.x, point.y]), -1e9, 1e9)
    return pair


def _ring(points: list[_XY]) -> FloatArray | None:
    """float64 [k, 2]; None with fewer than three vertices, or a vertex without its coordinates."""
    pairs = [_pair(point) for point in points]
    ring: FloatArray = np.array([pair for pair in pairs if pair is not None])
    return ring if len(ring) == len(pairs) >= 3 else None


def _rectangle(corner: FloatArray, size: FloatArray) -> FloatArray:
    return corner + np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * size


def _ellipse(centre: FloatArray, semi_axes: FloatArray) -> FloatArray:
    angle = np.linspace(0, 2 * np.pi, _ELLIPSE_VERTICES, endpoint=False)
    return centre + np.stack([np.cos(angle), np.sin(angle)], axis=1) * semi_axes
