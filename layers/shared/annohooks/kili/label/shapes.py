"""Reads the parts of one annotation: areas, lines, points, texts, pages and choices, in old formats and new ones.

Source: PyPI package kili 26.2.4, kili.utils.labels.parsing and its tests.
"""

from __future__ import annotations

from itertools import chain
from math import isfinite
from operator import itemgetter
from typing import Any, Final, NamedTuple

from annohooks.kili.label.model import Keypoint, Point, Ring, Shape, Span, Tool

LARGEST: Final = 1e9
"""The largest coordinate, in fractions, degrees or pixels. Areas and lengths of such coordinates are finite."""

AREA_TOOLS: Final[dict[str, Tool]] = {"rectangle": "rectangle", "polygon": "polygon", "semantic": "semantic"}
LINE_TOOLS: Final[dict[str, Tool]] = {"polyline": "polyline", "vector": "vector"}
TOOLS_DRAWN_WITH: Final = (*AREA_TOOLS, *LINE_TOOLS, "marker", "pose", "range")

_xy = itemgetter("x", "y")
_FLOATS: Final = frozenset({float})


class Malformed(Exception):
    """A part of an annotation does not have Kili's format. path: of the part, after that of the annotation."""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason


class Drawn(NamedTuple):
    """The shapes that one annotation adds to its object."""

    tool: Tool
    shapes: list[Shape]
    keypoints: tuple[Keypoint, ...] = ()
    span: Span | None = None


def drawn_of(annotation: dict[str, Any], frame: int | None) -> Drawn | None:
    """The shapes of an annotation that is not a pose, or its part of a text; None for an annotation without any.

    Raises Malformed.
    """
    kind = annotation.get("type")
    if kind is not None and kind not in TOOLS_DRAWN_WITH:
        raise Malformed(".type", "not one of Kili's tools")
    key_frame = annotation.get("isKeyFrame") is not False
    if "boundingPoly" in annotation and (kind is None or kind in AREA_TOOLS):
        areas = _areas(annotation["boundingPoly"], ".boundingPoly", kind)
        tool = AREA_TOOLS[kind] if kind else _area_tool(areas)
        if tool == "rectangle":
            areas = _rectangles(areas, ".boundingPoly")
        return Drawn(tool, [Shape(rings=rings, frame=frame, key_frame=key_frame) for rings in areas])
    if kind is None or kind in AREA_TOOLS:
        if isinstance(annotation.get("annotations"), list) and _has_outlines(annotation["annotations"]):
            return _on_pages(annotation, kind)
        if kind is not None:
            raise Malformed("", f"a {kind} that is not drawn")
    if "point" in annotation and kind in (None, "marker"):
        return Drawn(
            "marker", [Shape(points=(_point(annotation["point"], ".point"),), frame=frame, key_frame=key_frame)]
        )
    if "polyline" in annotation and (kind is None or kind in LINE_TOOLS):
        line = _points(annotation["polyline"], ".polyline")
        return Drawn(LINE_TOOLS[kind] if kind else "polyline", [Shape(points=line, frame=frame, key_frame=key_frame)])
    if kind == "range":
        return Drawn("range", [Shape(frame=frame, key_frame=key_frame)])
    if kind is not None:
        raise Malformed("", f"a {kind} that is not drawn")
    if annotation.get("content") or annotation.get("beginOffset") is not None or annotation.get("beginId"):
        return Drawn("entity", [], span=_span(annotation))
    return None


def _areas(value: Any, path: str, kind: str | None) -> list[tuple[Ring, ...]]:
    """The areas of a boundingPoly: a list of rings, or (geospatial) a list of lists of rings. Raises Malformed."""
    areas = _not_empty(value, path, "outlines")
    if isinstance(areas[0], list):
        return [_rings(group, f"{path}[{index}]", kind) for index, group in enumerate(areas)]
    return [_rings(areas, path, kind)]


def _rings(value: Any, path: str, kind: str | None) -> tuple[Ring, ...]:
    """The outlines in a list of normalizedVertices, which hold one ring or a list of rings. Raises Malformed."""
    rings = []
    for index, outline in enumerate(_not_empty(value, path, "outlines")):
        ring_path = f"{path}[{index}].normalizedVertices"
        vertices = outline.get("normalizedVertices") if isinstance(outline, dict) else None
        if isinstance(vertices, list) and vertices and isinstance(vertices[0], list):
            rings += [_ring(ring, f"{ring_path}[{inner}]", kind) for inner, ring in enumerate(vertices)]
        else:
            rings.append(_ring(vertices, ring_path, kind))
    return tuple(rings)


def _ring(vertices: Any, path: str, kind: str | None) -> Ring:
    """One outline. Raises Malformed. The last corner of a rectangle without a width is kept: it equals the first."""
    ring = _points(vertices, path)
    if len(ring) > (3 if kind in ("polygon", "semantic") else 4) and ring[0] == ring[-1]:
        ring = ring[:-1]
    if len(ring) < 3:
        raise Malformed(path, f"{len(ring)} vertices, too few for an outline")
    return ring


def _not_empty(value: Any, path: str, of: str) -> list[Any]:
    """A list that is not empty. Raises Malformed for anything else."""
    if not isinstance(value, list) or not value:
        raise Malformed(path, "empty" if value == [] else f"expected {of}, not {kind_of(value)}")
    return value


def _points(value: Any, path: str) -> tuple[Point, ...]:
    """Raises Malformed."""
    vertices = _not_empty(value, path, "vertices")
    try:
        points: tuple[Point, ...] = tuple(map(_xy, vertices))
        numbers = tuple(chain.from_iterable(points))
        if (
            _FLOATS.issuperset(map(type, numbers))
            and isfinite(sum(numbers))  # false if a number is NaN or infinite
            and min(numbers) >= -LARGEST
            and max(numbers) <= LARGEST
        ):
            return points
    except (TypeError, KeyError):
        pass  # read one by one below, to name the wrong one
    return tuple(_point(vertex, f"{path}[{index}]") for index, vertex in enumerate(vertices))


def _point(value: Any, path: str) -> Point:
    """Raises Malformed."""
    if not isinstance(value, dict):
        raise Malformed(path, f"expected a point, not {kind_of(value)}")
    x, y = value.get("x"), value.get("y")
    for name, coordinate in (("x", x), ("y", y)):
        if isinstance(coordinate, bool) or not isinstance(coordinate, int | float):
            raise Malformed(f"{path}.{name}", f"expected a coordinate, not {kind_of(coordinate)}")
        if not -LARGEST <= coordinate <= LARGEST:
            raise Malformed(f"{path}.{name}", "not a possible coordinate")
    return float(x), float(y)  # type: ignore[arg-type]


def _area_tool(areas: list[tuple[Ring, ...]]) -> Tool:
    """The tool of an old annotation without a type."""
    if len(areas) > 1 or len(areas[0]) > 1:
        return "semantic"
    return "rectangle" if len(areas[0][0]) == 4 else "polygon"


def _rectangles(areas: list[tuple[Ring, ...]], path: str) -> list[tuple[Ring, ...]]:
    """Raises Malformed."""
    for rings in areas:
        for ring in rings:
            if len(ring) != 4:
                raise Malformed(path, f"a rectangle of {len(ring)} vertices")
    return [tuple(map(_around, rings)) for rings in areas]


def _around(ring: Ring) -> Ring:
    """The corners of a rectangle in order around it, so that both diagonals have the same middle."""
    if len(ring) != 4:
        return ring
    a, b, c, d = ring
    return min(ring, (a, c, b, d), (a, b, d, c), key=_offset_of_diagonals) if _offset_of_diagonals(ring) else ring


def _offset_of_diagonals(ring: Ring) -> float:
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = ring
    return abs(ax + cx - bx - dx) + abs(ay + cy - by - dy)


# PDFs


class _Part(NamedTuple):
    """Outlines of an annotation, and the page numbers beside them. path: theirs, after that of the annotation."""

    outlines: list[tuple[Ring, ...]]
    pages: list[int]
    path: str


def _has_outlines(parts: list[Any]) -> bool:
    return any(isinstance(part, dict) and ("boundingPoly" in part or "polys" in part) for part in parts)


def _on_pages(annotation: dict[str, Any], kind: str | None) -> Drawn:
    """An entity or an area on the pages of a PDF. Raises Malformed.

    Without a tool it is a rectangle if it has neither a text nor an outline of several rings. Otherwise it is an
    entity: each ring is one line of its text, and has a page number.
    """
    parts = []
    for index, part in enumerate(annotation["annotations"]):
        path = f".annotations[{index}]"
        if not isinstance(part, dict):
            raise Malformed(path, f"expected outlines, not {kind_of(part)}")
        key = "polys" if part.get("polys") else "boundingPoly"
        value = _not_empty(part.get(key), f"{path}.{key}", "outlines")
        outlines = [_rings([outline], f"{path}.{key}", kind) for outline in value]
        parts.append(_Part(outlines, pages_of(part, path), path))
    has_several_rings = any(len(rings) > 1 for part in parts for rings in part.outlines)
    if kind is None and (annotation.get("content") or has_several_rings):
        lines = [
            part._replace(outlines=[(_around(ring),) for rings in part.outlines for ring in rings]) for part in parts
        ]
        return Drawn("entity", _shapes_on_pages(lines), span=_span(annotation))
    tool = AREA_TOOLS[kind or "rectangle"]
    if tool == "rectangle":
        parts = [part._replace(outlines=_rectangles(part.outlines, part.path)) for part in parts]
    return Drawn(tool, _shapes_on_pages(parts))


def _shapes_on_pages(parts: list[_Part]) -> list[Shape]:
    """Raises Malformed."""
    return [
        Shape(rings=rings, page=page)
        for part in parts
        for rings, page in zip(part.outlines, _page_of_each(part), strict=True)
    ]


def pages_of(annotation: dict[str, Any], path: str) -> list[int]:
    """The page numbers in an annotation, or in a part of one. Raises Malformed."""
    pages = annotation.get("pageNumberArray")
    if pages is None:
        page = annotation.get("pageNumber")
        pages = [] if page is None else [page]
    if not isinstance(pages, list) or any(type(page) is not int or page < 0 for page in pages):
        raise Malformed(f"{path}.pageNumberArray", "not a list of page numbers")
    return pages


def _page_of_each(part: _Part) -> list[int | None]:
    """The page of each outline. Raises Malformed when the page numbers are ambiguous."""
    if len(part.pages) == len(part.outlines):
        return list(part.pages)
    if len(set(part.pages)) > 1:
        reason = f"{len(part.pages)} page numbers for {len(part.outlines)} outlines"
        raise Malformed(f"{part.path}.pageNumberArray", reason)
    return [part.pages[0] if part.pages else None] * len(part.outlines)


# Poses, texts and choices


def is_pose(annotation: dict[str, Any]) -> bool:
    """Whether an annotation has points, and a tool that may have points."""
    return annotation.get("points") is not None and annotation.get("type") in (None, "pose", "marker")


def _span(annotation: dict[str, Any]) -> Span:
    """The part of a text that an annotation marks. Raises Malformed."""
    texts = {}
    for key in ("content", "beginId", "endId"):
        text = annotation.get(key)
        if text is not None and not isinstance(text, str):
            raise Malformed(f".{key}", f"expected a string, not {kind_of(text)}")
        texts[key] = text
    return Span(
        content=texts["content"] or "",
        begin_id=texts["beginId"],
        begin_offset=_offset(annotation, "beginOffset"),
        end_id=texts["endId"],
        end_offset=_offset(annotation, "endOffset"),
    )


def _offset(annotation: dict[str, Any], key: str) -> int | None:
    offset = annotation.get(key)
    if offset is not None and (type(offset) is not int or offset < 0):
        raise Malformed(f".{key}", "not an offset in a text")
    return offset


def keypoint_of(value: Any, frame: int | None) -> Keypoint | None:
    """One point of a pose; None for a point that was not placed. Raises Malformed."""
    if not isinstance(value, dict):
        raise Malformed("", f"expected a point of a pose, not {kind_of(value)}")
    code = value.get("code")
    if not isinstance(code, str) or not code:
        raise Malformed(".code", "missing, or not a string")
    if value.get("point") is None:
        return None
    return Keypoint(code, _point(value["point"], ".point"), frame)


def text_of(response: dict[str, Any]) -> str | None:
    """The text of a transcription, or the name of a file. Raises Malformed."""
    key = next((key for key in ("text", "fileName") if response.get(key) is not None), "fileId")
    text = response.get(key)
    if text is not None and not isinstance(text, str):
        raise Malformed(f".{key}", f"expected a string, not {kind_of(text)}")
    return text


def choice_of(response: dict[str, Any]) -> tuple[str, ...]:
    """The code of the choice in a comparison; () without one. Raises Malformed."""
    choice = response.get("choice")
    if choice is None:
        return ()
    code = choice.get("code") if isinstance(choice, dict) else None
    if not isinstance(code, str) or not code:
        raise Malformed(".choice", "not a choice with a code")
    return (code,)


def ranking_of(response: dict[str, Any]) -> tuple[str, ...]:
    """The ranked elements, the first rank first; () without a ranking. Raises Malformed."""
    orders = response.get("orders")
    if orders is None:
        return ()
    if not isinstance(orders, list):
        raise Malformed(".orders", f"expected ranks, not {kind_of(orders)}")
    ranked = sorted((_rank(order, index) for index, order in enumerate(orders)), key=itemgetter(0))
    return tuple(chain.from_iterable(elements for _, elements in ranked))


def _rank(order: Any, index: int) -> tuple[int, list[str]]:
    rank, elements = (order.get("rank"), order.get("elements")) if isinstance(order, dict) else (None, None)
    if isinstance(rank, str) and is_number(rank):
        rank = int(rank)
    if type(rank) is not int or not isinstance(elements, list) or not all(isinstance(e, str) for e in elements):
        raise Malformed(f".orders[{index}]", "not a rank with its elements")
    return rank, elements


def is_number(text: str) -> bool:
    """Whether a text is the number of a frame or of a rank."""
    return text.isascii() and text.isdigit() and len(text) < 10


def kind_of(value: Any) -> str:
    """The JSON type of a value."""
    for kind, name in _KINDS:
        if isinstance(value, kind):
            return name
    return "null" if value is None else "another type"


_KINDS: Final[tuple[tuple[type | tuple[type, ...], str], ...]] = (
    (bool, "true or false"),
    ((int, float), "a number"),
    (str, "a string"),
    (list, "a list"),
    (dict, "an object"),
)
