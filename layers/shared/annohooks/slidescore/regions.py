"""The regions of interest that the user drew, as shapes on the slide."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from annohooks.core.errors import BadRequest
from annohooks.imaging.outlines import FloatArray
from annohooks.imaging.region import Region, Shape, regions_of

QUESTION = "ROI"
_ELLIPSE_VERTICES = 90
_MAX_SHAPES = 200
_MAX_VERTICES = 50_000
_DRAW_AGAIN = "Please draw the region of interest again, press Done, and send."
NO_AREA = f"The region of interest has no area: it is a point, a line, or too narrow for this analysis. {_DRAW_AGAIN}"


class _XY(msgspec.Struct):
    x: float | None = None
    y: float | None = None


class _Anno1(msgspec.Struct, rename={"positive": "positivePolygons", "negative": "negativePolygons"}):
    """One shape as the viewer stores it (anno1). Its type decides which keys it has."""

    type: str
    corner: _XY | None = None
    center: _XY | None = None
    size: _XY | None = None
    points: list[_XY] = []
    positive: list[list[_XY]] = []
    negative: list[list[_XY]] = []


def regions(answer: Any, width: int, height: int) -> list[Region]:
    """The regions of an AnnoShapes answer on a slide of width x height pixels. Overlapping regions are joined.

    answer: a list of rect, ellipse, polygon or brush shapes, or its JSON text. Unfinished shapes (null corners) are
    left out if at least one shape is finished.
    Raises BadRequest, in words for the user who drew, when no region is left to analyse.
    """
    shapes = [shape for anno1 in _anno1_shapes(answer) if (shape := _shape(anno1)) is not None]
    if not shapes:
        raise BadRequest(f"The region of interest was not finished. {_DRAW_AGAIN}")
    with_area = [shape for shape in shapes if min(shape.box.width, shape.box.height) > 0]
    if not with_area:
        raise BadRequest(NO_AREA)
    on_slide = regions_of(with_area, width, height)
    if not on_slide:
        raise BadRequest(f"The region of interest lies outside the slide. {_DRAW_AGAIN}")
    return on_slide


def _anno1_shapes(answer: Any) -> list[_Anno1]:
    if answer is None or answer == "" or answer == []:
        raise BadRequest(f'No region of interest was drawn (question "{QUESTION}"). {_DRAW_AGAIN}')
    try:
        if isinstance(answer, str):
            shapes = msgspec.json.decode(answer, type=list[_Anno1])
        else:
            shapes = msgspec.convert(answer, list[_Anno1])
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        raise BadRequest(
            f'The answer to "{QUESTION}" is not a list of shapes; the question has to be of type AnnoShapes.'
        ) from None
    if not shapes:
        raise BadRequest(f'No region of interest was drawn (question "{QUESTION}"). {_DRAW_AGAIN}')
    vertices = sum(len(s.points) + sum(map(len, s.positive)) + sum(map(len, s.negative)) for s in shapes)
    if len(shapes) > _MAX_SHAPES or vertices > _MAX_VERTICES:
        raise BadRequest(
            f"The region of interest has {len(shapes)} shapes with {vertices} vertices; at most {_MAX_SHAPES} shapes "
            f"with {_MAX_VERTICES} vertices can be analysed at once."
        )
    return shapes


def _shape(anno1: _Anno1) -> Shape | None:
    """The shape in slide pixels, None if it is unfinished."""
    kind = anno1.type.lower()
    if kind in ("rect", "ellipse"):
        origin, size = _pair(anno1.corner if kind == "rect" else anno1.center), _pair(anno1.size)
        if origin is None or size is None:
            return None
        return Shape((_rectangle(origin, size) if kind == "rect" else _ellipse(origin, size),))
    if kind == "polygon":
        ring = _ring(anno1.points)
        return None if ring is None else Shape((ring,))
    if kind == "brush":
        rings = [ring for points in anno1.positive if (ring := _ring(points)) is not None]
        holes = [ring for points in anno1.negative if (ring := _ring(points)) is not None]
        return Shape(tuple(rings), tuple(holes)) if rings else None
    raise BadRequest(
        f"The region of interest has a shape that encloses no area. Please draw a rectangle, an ellipse, "
        f'a polygon, or use the brush for the question "{QUESTION}".'
    )


def _pair(point: _XY | None) -> FloatArray | None:
    if point is None or point.x is None or point.y is None:
        return None
    pair: FloatArray = np.clip(np.array([point.x, point.y]), -1e9, 1e9)
    return pair


def _ring(points: list[_XY]) -> FloatArray | None:
    """float64 [k, 2]. None if there are fewer than three vertices, or a vertex lacks a coordinate."""
    pairs = [_pair(point) for point in points]
    ring: FloatArray = np.array([pair for pair in pairs if pair is not None])
    return ring if len(ring) == len(pairs) >= 3 else None


def _rectangle(corner: FloatArray, size: FloatArray) -> FloatArray:
    return corner + np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * size


def _ellipse(centre: FloatArray, semi_axes: FloatArray) -> FloatArray:
    angle = np.linspace(0, 2 * np.pi, _ELLIPSE_VERTICES, endpoint=False)
    return centre + np.stack([np.cos(angle), np.sin(angle)], axis=1) * semi_axes
