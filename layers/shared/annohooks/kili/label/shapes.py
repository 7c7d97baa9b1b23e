"""What one annotation says: areas, lines, points, texts, pages and choices, in old shapes and new ones.

Source: protocol reference, section 4.
"""

from __future__ import annotations

from itertools import chain
from math import isfinite
from operator import itemgetter
from typing import Any, Final, NamedTuple

from annohooks.kili.label.model import Keypoint, Point, Ring, Shape, Span, Tool

LARGEST: Final = 1e9
"""No coordinate is larger, be it a fraction, in degrees or in pixels: what is measured of them stays finite."""

AREA_TOOLS: Final[dict[str, Tool]] = {"rectangle": "rectangle", "polygon": "polygon", "semantic": "semantic"}
LINE_TOOLS: Final[dict[str, Tool]] = {"polyline": "polyline", "vector": "vector"}
TOOLS_DRAWN_WITH: Final = (*AREA_TOOLS, *LINE_TOOLS, "marker", "pose", "range")

_xy = itemgetter("x", "y")
_FLOATS: Final = frozenset({float})


class Malformed(Exception):
    """What is not as Kili writes it. where: continues the annotation's path."""

    def __init__(self, where: str, reason: str) -> None:
        self.where, self.reason = where, reason


class Drawn(NamedTuple):
    """What one annotation adds to its object."""

    tool: Tool
    shapes: list[Shape]
    keypoints: tuple[Keypoint, ...] = ()
    span: Span | None = None


def drawn_of(annotation: dict[str, Any], frame: int | None) -> Drawn | None:
    """What was drawn, but for poses, or marked in a text; None when nothing was. Raises Malformed."""
    kind = annotation.get("type")
    if kind is not None and kind not in TOOLS_DRAWN_WITH:
        raise Malformed(".type", "no tool of Kili's")
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


def _areas(found: Any, where: str, kind: str | None) -> list[tuple[Ring, ...]]:
    """The areas of a boundingPoly: a list of rings, or (geospatial) a list of lists of rings. Raises Malformed."""
    areas = _filled(found, where, "outlines")
    if isinstance(areas[0], list):
        return [_rings(group, f"{where}[{index}]", kind) for index, group in enumerate(areas)]
    return [_rings(areas, where, kind)]


def _rings(found: Any, where: str, kind: str | None) -> tuple[Ring, ...]:
    """The outlines in a list of normalizedVertices, each of them one ring or a list of rings. Raises Malformed."""
    rings = []
    for index, outline in enumerate(_filled(found, where, "outlines")):
        place = f"{where}[{index}].normalizedVertices"
        vertices = outline.get("normalizedVertices") if isinstance(outline, dict) else None
        if isinstance(vertices, list) and vertices and isinstance(vertices[0], list):
            rings += [_ring(ring, f"{place}[{inner}]", kind) for inner, ring in enumerate(vertices)]
        else:
            rings.append(_ring(vertices, place, kind))
    return tuple(rings)


def _ring(vertices: Any, where: str, kind: str | None) -> Ring:
    """Raises Malformed. A rectangle may have no width, so that its last corner is where its first one is."""
    ring = _points(vertices, where)
    if len(ring) > (3 if kind in ("polygon", "semantic") else 4) and ring[0] == ring[-1]:
        ring = ring[:-1]
    if len(ring) < 3:
        raise Malformed(where, f"{len(ring)} vertices, too few for an outline")
    return ring


def _filled(found: Any, where: str, of: str) -> list[Any]:
    """A list with something in it. Raises Malformed when it is none."""
    if not isinstance(found, list) or not found:
        raise Malformed(where, "empty" if found == [] else f"{kind_of(found)} where {of} should be")
    return found


def _points(found: Any, where: str) -> tuple[Point, ...]:
    """Raises Malformed."""
    vertices = _filled(found, where, "vertices")
    try:
        points: tuple[Point, ...] = tuple(map(_xy, vertices))
        numbers = tuple(chain.from_iterable(points))
        if (
            _FLOATS.issuperset(map(type, numbers))
            and isfinite(sum(numbers))  # which no NaN and no infinity survives
            and min(numbers) >= -LARGEST
            and max(numbers) <= LARGEST
        ):
            return points
    except (TypeError, KeyError):
        pass  # below, one by one, to say which it was
    return tuple(_point(vertex, f"{where}[{index}]") for index, vertex in enumerate(vertices))


def _point(said: Any, where: str) -> Point:
    """Raises Malformed."""
    if not isinstance(said, dict):
        raise Malformed(where, f"{kind_of(said)} where a point should be")
    x, y = said.get("x"), said.get("y")
    for name, value in (("x", x), ("y", y)):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Malformed(f"{where}.{name}", f"{kind_of(value)} where a coordinate should be")
        if not -LARGEST <= value <= LARGEST:
            raise Malformed(f"{where}.{name}", "no number a coordinate can be")
    return float(x), float(y)  # type: ignore[arg-type]


def _area_tool(areas: list[tuple[Ring, ...]]) -> Tool:
    """The tool of an annotation from before Kili named it."""
    if len(areas) > 1 or len(areas[0]) > 1:
        return "semantic"
    return "rectangle" if len(areas[0][0]) == 4 else "polygon"


def _rectangles(areas: list[tuple[Ring, ...]], where: str) -> list[tuple[Ring, ...]]:
    """Raises Malformed."""
    for rings in areas:
        for ring in rings:
            if len(ring) != 4:
                raise Malformed(where, f"a rectangle of {len(ring)} vertices")
    return [tuple(map(_around, rings)) for rings in areas]


def _around(ring: Ring) -> Ring:
    """The corners of a rectangle in order around it: each diagonal has the same middle."""
    if len(ring) != 4:
        return ring
    a, b, c, d = ring
    return min(ring, (a, c, b, d), (a, b, d, c), key=_askew) if _askew(ring) else ring


def _askew(ring: Ring) -> float:
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = ring
    return abs(ax + cx - bx - dx) + abs(ay + cy - by - dy)


# In a PDF


class _Part(NamedTuple):
    """Outlines of an annotation, and the page numbers beside them. where: continues the annotation's path."""

    outlines: list[tuple[Ring, ...]]
    pages: list[int]
    where: str


def _has_outlines(parts: list[Any]) -> bool:
    return any(isinstance(part, dict) and ("boundingPoly" in part or "polys" in part) for part in parts)


def _on_pages(annotation: dict[str, Any], kind: str | None) -> Drawn:
    """An entity or an area on the pages of a PDF. Raises Malformed.

    One without a tool is a rectangle when it has neither a text nor an outline of several rings, else an entity, whose
    rings are the lines it stands on, one for each of its page numbers.
    """
    parts = []
    for index, part in enumerate(annotation["annotations"]):
        where = f".annotations[{index}]"
        if not isinstance(part, dict):
            raise Malformed(where, f"{kind_of(part)} where outlines should be")
        key = "polys" if part.get("polys") else "boundingPoly"
        found = _filled(part.get(key), f"{where}.{key}", "outlines")
        outlines = [_rings([outline], f"{where}.{key}", kind) for outline in found]
        parts.append(_Part(outlines, pages_of(part, where), where))
    every = [rings for part in parts for rings in part.outlines]
    if kind is None and (annotation.get("content") or any(len(rings) > 1 for rings in every)):
        lines = [
            part._replace(outlines=[(_around(ring),) for rings in part.outlines for ring in rings]) for part in parts
        ]
        return Drawn("entity", _shapes_on_pages(lines), span=_span(annotation))
    tool = AREA_TOOLS[kind or "rectangle"]
    if tool == "rectangle":
        parts = [part._replace(outlines=_rectangles(part.outlines, part.where)) for part in parts]
    return Drawn(tool, _shapes_on_pages(parts))


def _shapes_on_pages(parts: list[_Part]) -> list[Shape]:
    """Raises Malformed."""
    return [
        Shape(rings=rings, page=page)
        for part in parts
        for rings, page in zip(part.outlines, _page_of_each(part), strict=True)
    ]


def pages_of(said: dict[str, Any], where: str) -> list[int]:
    """The page numbers that stand in an annotation. Raises Malformed."""
    pages = said.get("pageNumberArray")
    if pages is None:
        page = said.get("pageNumber")
        pages = [] if page is None else [page]
    if not isinstance(pages, list) or any(type(page) is not int or page < 0 for page in pages):
        raise Malformed(f"{where}.pageNumberArray", "no list of page numbers")
    return pages


def _page_of_each(part: _Part) -> list[int | None]:
    """Of each outline. Raises Malformed when the numbers do not say."""
    if len(part.pages) == len(part.outlines):
        return list(part.pages)
    if len(set(part.pages)) > 1:
        reason = f"{len(part.pages)} page numbers for {len(part.outlines)} outlines"
        raise Malformed(f"{part.where}.pageNumberArray", reason)
    return [part.pages[0] if part.pages else None] * len(part.outlines)


# Poses, texts and choices


def is_pose(annotation: dict[str, Any]) -> bool:
    """Whether it has points, and a tool that has."""
    return annotation.get("points") is not None and annotation.get("type") in (None, "pose", "marker")


def _span(said: dict[str, Any]) -> Span:
    """Raises Malformed."""
    texts = {}
    for key in ("content", "beginId", "endId"):
        text = said.get(key)
        if text is not None and not isinstance(text, str):
            raise Malformed(f".{key}", f"{kind_of(text)} where a text should be")
        texts[key] = text
    return Span(
        content=texts["content"] or "",
        begin_id=texts["beginId"],
        begin_offset=_offset(said, "beginOffset"),
        end_id=texts["endId"],
        end_offset=_offset(said, "endOffset"),
    )


def _offset(said: dict[str, Any], key: str) -> int | None:
    offset = said.get(key)
    if offset is not None and (type(offset) is not int or offset < 0):
        raise Malformed(f".{key}", "no offset in a text")
    return offset


def keypoint_of(said: Any, frame: int | None) -> Keypoint | None:
    """None when the point was not placed. Raises Malformed."""
    if not isinstance(said, dict):
        raise Malformed("", f"{kind_of(said)} where a point of a pose should be")
    code = said.get("code")
    if not isinstance(code, str) or not code:
        raise Malformed(".code", "missing, or no text")
    if said.get("point") is None:
        return None
    return Keypoint(code, _point(said["point"], ".point"), frame)


def text_of(said: dict[str, Any]) -> str | None:
    """Of a transcription; of a file its name. Raises Malformed."""
    key = "text" if said.get("text") is not None else "fileName" if said.get("fileName") is not None else "fileId"
    text = said.get(key)
    if text is not None and not isinstance(text, str):
        raise Malformed(f".{key}", f"{kind_of(text)} where a text should be")
    return text


def choice_of(said: dict[str, Any]) -> tuple[str, ...]:
    """What a comparison was answered with. Raises Malformed."""
    choice = said.get("choice")
    if choice is None:
        return ()
    code = choice.get("code") if isinstance(choice, dict) else None
    if not isinstance(code, str) or not code:
        raise Malformed(".choice", "no choice with a code")
    return (code,)


def ranking_of(said: dict[str, Any]) -> tuple[str, ...]:
    """What was ranked, from the first rank on. Raises Malformed."""
    orders = said.get("orders")
    if orders is None:
        return ()
    if not isinstance(orders, list):
        raise Malformed(".orders", f"{kind_of(orders)} where ranks should be")
    ranked = sorted((_rank(order, index) for index, order in enumerate(orders)), key=itemgetter(0))
    return tuple(chain.from_iterable(elements for _, elements in ranked))


def _rank(order: Any, index: int) -> tuple[int, list[str]]:
    rank, elements = (order.get("rank"), order.get("elements")) if isinstance(order, dict) else (None, None)
    if isinstance(rank, str) and is_number(rank):
        rank = int(rank)
    if type(rank) is not int or not isinstance(elements, list) or not all(isinstance(one, str) for one in elements):
        raise Malformed(f".orders[{index}]", "no rank with its elements")
    return rank, elements


def is_number(text: str) -> bool:
    """Whether it is the number of a frame, or of a rank."""
    return text.isascii() and text.isdigit() and len(text) < 10


def kind_of(value: Any) -> str:
    """What JSON calls a value."""
    for kind, name in _KINDS:
        if isinstance(value, kind):
            return name
    return "nothing" if value is None else "something else"


_KINDS: Final[tuple[tuple[type | tuple[type, ...], str], ...]] = (
    (bool, "a truth value"),
    ((int, float), "a number"),
    (str, "a text"),
    (list, "a list"),
    (dict, "an object"),
)
