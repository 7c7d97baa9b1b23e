"""Slide Score in the demo: posts the sample events, and prints and draws the results that the viewer gets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

import cv2
import numpy as np
import urllib3
from numpy.typing import NDArray

from local import anno2, demo, stack
from local.demo import EVENTS, say
from local.simulators.slidescore import SlideScore, Viewed

_ROW = "{:<32} {:>6}  {:<9} {:<40} {:>7} {:>12} {:>9} {:>7}"


def run(running: stack.Stack) -> list[str]:
    """Posts every event. Returns what is not as expected."""
    replies = json.loads((EVENTS / "replies.json").read_text())
    say(_ROW.format("event", "status", "type", "name", "count", "area px2", "bytes", "s"))
    problems = []
    for path in sorted((EVENTS / "slidescore").glob("*.json")):
        event = json.loads(path.read_text())
        viewed = post(running, event)
        deviations = list(differences(viewed, replies[f"slidescore/{path.stem}"]))
        show(path.stem, viewed, running.slidescore.annos)
        problems += [f"{path.stem}: {problem}" for problem in deviations]
        if viewed.results:
            draw(path.stem, event, viewed, running.slidescore)
    return problems + [f"protocol violation: {violation}" for violation in running.slidescore.violations]


def post(running: stack.Stack, event: dict[str, Any]) -> Viewed:
    """Posts an event over a socket as Slide Score does. A GET is sent as from an administrator's browser."""
    query = urlencode(event["queryStringParameters"] or {})
    url = f"{running.origin}{event['path']}{'?' if query else ''}{query}"
    if event["httpMethod"] == "POST":
        return running.slidescore.trigger(url, json.loads(event["body"]))
    reply = urllib3.request(event["httpMethod"], url, timeout=30, retries=False)
    return Viewed(reply.status, [], reply.data.decode(), 0.0, len(reply.data), "")


def differences(viewed: Viewed, expected: dict[str, Any]) -> Iterator[str]:
    """The differences from events/replies.json (status, types and names of the results, text), and the viewer's
    complaints."""
    if viewed.status != expected["status"]:
        yield f"status {viewed.status}, not {expected['status']}: {viewed.text[:200]}"
    results = [[result["type"], result["name"]] for result in viewed.results]
    if results != expected.get("results", []):
        yield f"results {results}, not {expected.get('results', [])}"
    if expected.get("says", "") not in viewed.text:
        yield f"the text does not say {expected['says']!r}: {viewed.text[:200]}"
    if viewed.status == 200:
        yield from viewed.problems


def show(name: str, viewed: Viewed, annos: dict[str, bytes]) -> None:
    """Prints the lines of one event."""
    head, seconds = (name, viewed.status), f"{viewed.seconds:.2f}"
    if not viewed.results:
        say(_ROW.format(*head, "-", "", "", "", viewed.bytes, seconds), f"\n    {viewed.text.partition(chr(10))[0]}")
    for result in viewed.results:
        drawing = drawn(result, annos)
        cells = 0 if drawing.heatmap is None else drawing.heatmap.levels.size
        count = len(drawing.rings) - len(drawing.holes) or len(drawing.points) or cells or ""
        size = len(annos[str(result["value"])]) if result["type"] == "anno2" else len(json.dumps(result["value"]))
        area = f"{drawing.area():.0f}" if drawing.rings else ""
        say(_ROW.format(*head, str(result["type"]), str(result["name"]), count, area, size, seconds))
        if result["type"] == "text":
            say(f"    {result['value']}")


class Drawing(NamedTuple):
    """What a result shows on the slide: rings [k, 2] and points [K, 2] in slide pixels, a heatmap. holes: indices of
    the rings that are holes."""

    rings: list[NDArray[Any]]
    points: NDArray[Any]
    holes: frozenset[int] = frozenset()
    heatmap: anno2.Heatmap | None = None

    def area(self) -> float:
        """The area without the holes, in px2."""
        areas = [cv2.contourArea(ring.astype(np.float32)) for ring in self.rings]
        return sum(-area if index in self.holes else area for index, area in enumerate(areas))


def drawn(result: dict[str, Any], annos: dict[str, bytes]) -> Drawing:
    """The drawing in a result, or in the anno2 that it names."""
    nothing = np.empty((0, 2), int)
    if result["type"] == "polygons":
        return Drawing([_xy(polygon["points"]) for polygon in result["value"]], nothing)
    if result["type"] == "points":
        return Drawing([], _xy(result["value"]))
    if result["type"] == "anno2":
        decoded = anno2.decode(annos[result["value"]])
        holes = frozenset(hole for linked in decoded.negatives.values() for hole in linked)
        return Drawing(list(decoded.outlines), decoded.points, holes, decoded.heatmap)
    return Drawing([], nothing)


def _xy(points: list[dict[str, int]]) -> NDArray[Any]:
    return np.array([(point["x"], point["y"]) for point in points])


def draw(name: str, event: dict[str, Any], viewed: Viewed, slidescore: SlideScore) -> None:
    """Draws the results on the slide, in out/<event>.png: outlines and points in their colours, heatmaps half
    transparent in Turbo's colours, and the user's region in black."""
    body = json.loads(event["body"])
    slide = slidescore.slides[body["imageid"]]
    zoom = min(2000 / slide.width, 3.0)
    radius = 3 if zoom > 1 else 1
    smooth = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    canvas = cv2.resize(slide.pixels[:, :, ::-1], None, fx=zoom, fy=zoom, interpolation=smooth)
    drawings = [(drawn(result, slidescore.annos), str(result.get("color", "#000000"))) for result in viewed.results]
    for drawing, color in [*drawings, (Drawing(region(body), np.empty((0, 2), int)), "#000000")]:
        if drawing.heatmap is not None:
            canvas = overlaid(canvas, drawing.heatmap, zoom)
            continue
        red, green, blue = bytes.fromhex(color[1:])
        rings = [np.rint(ring * zoom).astype(np.int32) for ring in drawing.rings]
        cv2.polylines(canvas, rings, isClosed=True, color=(blue, green, red), thickness=1, lineType=cv2.LINE_AA)
        for x, y in np.rint(drawing.points * zoom).astype(int).tolist():
            cv2.circle(canvas, (x, y), radius + 1, (255, 255, 255), -1, cv2.LINE_AA)
            cv2.circle(canvas, (x, y), radius, (blue, green, red), -1, cv2.LINE_AA)
    cv2.imwrite(str(demo.OUT / f"{name}.png"), canvas)


def overlaid(canvas: NDArray[Any], heatmap: anno2.Heatmap, zoom: float) -> NDArray[Any]:
    """A picture of a slide at this zoom, uint8 BGR [h, w, 3], with a heatmap over it. Cells of level 0 are clear."""
    height, width = canvas.shape[:2]
    rows = np.floor(((np.arange(height) + 0.5) / zoom - heatmap.y) / heatmap.cell_px).astype(int)
    columns = np.floor(((np.arange(width) + 0.5) / zoom - heatmap.x) / heatmap.cell_px).astype(int)
    down = (rows >= 0) & (rows < heatmap.levels.shape[0])
    across = (columns >= 0) & (columns < heatmap.levels.shape[1])
    levels = np.zeros((height, width), np.uint8)
    levels[np.ix_(down, across)] = heatmap.levels[np.ix_(rows[down], columns[across])]
    turbo = cv2.applyColorMap(levels, cv2.COLORMAP_TURBO)
    return np.where(levels[:, :, None] > 0, canvas // 2 + turbo // 2, canvas)


def region(body: dict[str, Any]) -> list[NDArray[Any]]:
    """The rings [k, 2] of the finished shapes in a body's answer to "ROI"."""
    rings: list[NDArray[Any]] = []
    for shape in json.loads(next(answer["value"] for answer in body["answers"] if answer["name"] == "ROI")):
        if shape["type"] == "rect" and shape["corner"]["x"] is not None:
            corner, size = _xy([shape["corner"], shape["size"]])
            rings.append(corner + np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * size)
        elif shape["type"] == "ellipse":
            centre, axes = _xy([shape["center"], shape["size"]])
            rings.append(cv2.ellipse2Poly(tuple(centre.tolist()), tuple(axes.tolist()), 0, 0, 360, 4))
        else:
            several = [shape.get("points", []), *shape.get("positivePolygons", []), *shape.get("negativePolygons", [])]
            rings += [_xy(points) for points in several if points]
    return rings
