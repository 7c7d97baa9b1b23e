"""The viewer of the simulated Slide Score: posts the webhook, and judges whether it could show the answer."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import urllib3

from local.simulators.slidescore.uploads import system_metadata
from local.slides import Slide

TIMEOUT_S = 600.0  # of a webhook; source: Slide Score's manual, External Analyses
COLOR = re.compile(r"#[0-9A-Fa-f]{6}")
COLORMAP = re.compile(r"[A-Za-z]+")
HEATMAPS = ("heatmap", "binary-heatmap")


@dataclass
class Viewed:
    """The answer of a webhook.

    status: 0 without an answer. results: the items, [] if the body is no JSON array of objects. bytes: size of the
    body. problems: what a strict viewer objects to.
    """

    status: int
    results: list[dict[str, object]]
    text: str
    seconds: float
    bytes: int
    token: str
    problems: list[str] = field(default_factory=list)


class Objection(Exception):
    """The reason why the viewer cannot show a result."""


@dataclass(frozen=True)
class Screen:
    """The slide that shows the results, None if unknown, and the anno2 zips that were finished before the answer."""

    slide: Slide | None
    annos: Mapping[str, bytes]


def view(url: str, body: Mapping[str, object], token: str, slide: Slide | None, annos: Mapping[str, bytes]) -> Viewed:
    """Posts a webhook and judges the answer. annos: finished anno2 zips of the platform; it grows during the call."""
    started = time.perf_counter()
    try:
        with (
            urllib3.PoolManager(retries=False, timeout=TIMEOUT_S) as http,
            http.request("POST", url, json=body, redirect=False, preload_content=False) as reply,
        ):
            screen = Screen(slide, dict(annos))
            content = reply.read()
    except urllib3.exceptions.HTTPError as error:
        return Viewed(0, [], "", time.perf_counter() - started, 0, token, [f"no answer: {type(error).__name__}"])
    text = content.decode(errors="replace")
    viewed = Viewed(reply.status, [], text, time.perf_counter() - started, len(content), token)
    if reply.status != 200:
        viewed.problems.append(f"status {reply.status}: {text[:200]}")
        return viewed
    try:
        viewed.results = _items(text)
    except ValueError as error:
        viewed.problems.append(str(error))
    for position, item in enumerate(viewed.results):
        try:
            _show(item, screen)
        except Objection as objection:
            viewed.problems.append(f"result {position}: {objection}")
    return viewed


def _items(text: str) -> list[dict[str, object]]:
    try:
        items = json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        raise ValueError("the answer is not JSON") from None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("the answer is not a JSON array of objects")
    return items


def _refuse_constant(name: str) -> float:
    raise ValueError(f"JSON has no {name}")


def _show(item: dict[str, object], screen: Screen) -> None:
    for key in ("type", "name", "value"):
        if key not in item:
            raise Objection(f"no {key}")
    if not isinstance(item["name"], str) or not item["name"]:
        raise Objection("the name is no text")
    show = SHOWN.get(str(item["type"]))
    if show is None:
        raise Objection(f"unknown type {item['type']!r}")
    colormaps = show(item["value"], screen)
    if "color" in item and not _is_color(item["color"], colormaps):
        raise Objection(f"color {item['color']!r}")


def _polygons(value: object, screen: Screen) -> bool:
    if not isinstance(value, list) or not value:
        raise Objection("polygons is not a list with something in it")
    for polygon in value:
        if not isinstance(polygon, dict) or polygon.get("type") != "polygon":
            raise Objection("an entry of polygons is not of type polygon")
        points = polygon.get("points")
        if not isinstance(points, list) or len(points) < 3:
            raise Objection("a polygon has fewer than three points")
        _check_points(points, screen)
    return False


def _points(value: object, screen: Screen) -> bool:
    if not isinstance(value, list) or not value:
        raise Objection("points is not a list with something in it")
    _check_points(value, screen)
    return False


def _anno2(value: object, screen: Screen) -> bool:
    if not isinstance(value, str) or value not in screen.annos:
        raise Objection(f"anno2 {value!r} was not finished before the answer")
    metadata = system_metadata(screen.annos[value]) or {}
    if not metadata.get("numItems"):
        raise Objection("the anno2 is empty")
    return metadata.get("type") in HEATMAPS


def _text(value: object, screen: Screen) -> bool:
    if not isinstance(value, str) or not value.strip():
        raise Objection("text is not a text with something in it")
    return False


SHOWN: dict[str, Callable[[object, Screen], bool]] = {  # returns whether `color` may name a colormap
    "polygons": _polygons,
    "points": _points,
    "anno2": _anno2,
    "text": _text,
}


def _check_points(points: list[object], screen: Screen) -> None:
    for point in points:
        if not isinstance(point, dict) or point.keys() != {"x", "y"}:
            raise Objection(f"{point!r} is no point")
        x, y = point["x"], point["y"]
        if type(x) is not int or type(y) is not int:
            raise Objection(f"point {point!r} is not in whole pixels")
        if screen.slide and not (0 <= x <= screen.slide.width and 0 <= y <= screen.slide.height):
            raise Objection(f"point {point!r} lies off the slide")


def _is_color(color: object, colormaps: bool) -> bool:
    if not isinstance(color, str):
        return False
    return bool(COLOR.fullmatch(color)) or (colormaps and bool(COLORMAP.fullmatch(color)))
