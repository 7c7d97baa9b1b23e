"""Reads Kili's jsonResponse: every job type and tool, old shapes and new ones, and whatever else comes.

Nothing here raises: a part that is not as Kili writes it becomes a Fault and is left out, the rest is kept.
Source: protocol reference, section 4.
"""

from __future__ import annotations

from itertools import chain
from math import isfinite
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from annohooks.kili.annotations.model import (
    Answer,
    Fault,
    Keypoint,
    Object,
    Point,
    Reading,
    Relation,
    Ring,
    Shape,
    Span,
    Tool,
)

MOST_FAULTS: Final = 100
"""So many are named; a last one says how many more there are."""
DEEPEST: Final = 16
"""Levels of child jobs; Kili's interfaces have two or three."""
LARGEST: Final = 1e9
"""No coordinate is larger, be it a fraction, in degrees or in pixels: what is measured of them stays finite."""
LONGEST_NAME: Final = 200
"""Of a job, which stands in the path of everything in it; Kili makes names of some ten letters."""
LONGEST_PATH: Final = 200
"""Of a fault; what is left is cut off."""

PSEUDO_JOBS: Final = frozenset({"ANNOTATION_JOB_COUNTER", "ANNOTATION_NAMES_JOB", "ROTATION_JOB"})
ASSET_LEVEL: Final = "assetLevel"
AREA_TOOLS: Final[dict[str, Tool]] = {"rectangle": "rectangle", "polygon": "polygon", "semantic": "semantic"}
LINE_TOOLS: Final[dict[str, Tool]] = {"polyline": "polyline", "vector": "vector"}
TOOLS_DRAWN_WITH: Final = (*AREA_TOOLS, *LINE_TOOLS, "marker", "pose", "range")
RELATIONS: Final = (("startEntities", "endEntities"), ("startObjects", "endObjects"))
SAID_BY_ANSWERS: Final = frozenset({"categories", "text", "choice", "orders", "fileId"})
SAID_BY_JOBS: Final = SAID_BY_ANSWERS | {"annotations"}
SAID_BESIDE: Final = frozenset({"children", "isKeyFrame", "jobName", "mlTask", "labelVersion"})
"""Keys of a job's response that answer nothing by themselves."""

_xy = itemgetter("x", "y")
_FLOATS: Final = frozenset({float})


class _Malformed(Exception):
    """where: continues the annotation's path."""

    def __init__(self, where: str, reason: str) -> None:
        self.where, self.reason = where, reason


class _About(NamedTuple):
    """What a job's response is about. mid: of the object, if it has one. level: 0 at the top, 1 for child jobs, and so
    on. The others are as in Answer."""

    frame: int | None = None
    page: int | None = None
    of: str | None = None
    mid: str | None = None
    within: tuple[str, ...] = ()
    level: int = 0

    def below(self, *above: str) -> _About:
        """above: the job, and the category if there is one, whose child jobs it is about."""
        return self._replace(within=self.within + above, level=self.level + 1)


class _Drawn(NamedTuple):
    """What one annotation adds to its object."""

    tool: Tool
    shapes: list[Shape]
    keypoints: tuple[Keypoint, ...] = ()
    span: Span | None = None


class _Track:
    """An Object in the making."""

    __slots__ = ("categories", "job", "keypoints", "mid", "path", "shapes", "span", "tool")

    def __init__(self, job: str, path: str, mid: str | None, drawn: _Drawn, categories: tuple[str, ...]) -> None:
        self.job, self.path, self.mid = job, path, mid
        self.categories = dict.fromkeys(categories)
        self.tool, self.span = drawn.tool, drawn.span
        self.shapes, self.keypoints = drawn.shapes, list(drawn.keypoints)

    def add(self, drawn: _Drawn, categories: tuple[str, ...]) -> None:
        self.shapes += drawn.shapes
        self.keypoints += drawn.keypoints
        self.categories.update(dict.fromkeys(categories))

    def object(self) -> Object:
        return Object(
            job=self.job,
            tool=self.tool,
            path=self.path,
            mid=self.mid,
            categories=tuple(self.categories),
            shapes=tuple(self.shapes),
            keypoints=tuple(self.keypoints),
            span=self.span,
        )


class _Tie:
    """A Relation in the making, from as many frames as it stands on."""

    __slots__ = ("categories", "ends", "job", "mid", "path", "starts")

    def __init__(self, job: str, path: str, mid: str | None) -> None:
        self.job, self.path, self.mid = job, path, mid
        self.categories: dict[str, None] = {}
        self.starts: dict[str, None] = {}
        self.ends: dict[str, None] = {}

    def relation(self) -> Relation:
        return Relation(
            job=self.job,
            path=self.path,
            mid=self.mid,
            categories=tuple(self.categories),
            starts=tuple(self.starts),
            ends=tuple(self.ends),
        )


def read(json_response: Any) -> Reading:
    """All that a label says.

    json_response: decoded, or JSON text. Whether it is of a video shows in its keys, all of them frame numbers or
    "assetLevel". A job counts among `jobs` when it has an object, a relation, a category or a text that is not empty.
    An outline that repeats its first point at the end loses it, and the four corners of a rectangle, which Kili keeps
    in any order, are put in order around it. A comparison is an Answer whose category is the choice's code; a ranking
    one whose categories are what was ranked, the best first; a file one whose text is its name.
    Time is linear in the label. Never raises.
    """
    reader = _Reader()
    reader.label(json_response)
    return reader.reading()


class _Reader:
    """Gathers what a label says, part by part."""

    def __init__(self) -> None:
        self.tracks: list[_Track] = []
        self.track_of: dict[tuple[str, str], _Track] = {}
        self.answers: list[Answer] = []
        self.answered: set[tuple[object, ...]] = set()
        self.ties: list[_Tie] = []
        self.tie_of: dict[tuple[str, str], _Tie] = {}
        self.faults: list[Fault] = []
        self.more_faults = 0
        self.jobs: set[str] = set()

    def reading(self) -> Reading:
        if self.more_faults:
            self.faults.append(Fault("", f"and {self.more_faults} more"))
        return Reading(
            objects=tuple(track.object() for track in self.tracks),
            answers=tuple(self.answers),
            relations=tuple(tie.relation() for tie in self.ties),
            faults=tuple(self.faults),
            jobs=frozenset(self.jobs),
        )

    def fault(self, path: str, reason: str, mid: str | None = None) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(path[:LONGEST_PATH], reason, mid))
        else:
            self.more_faults += 1

    # A label and its jobs

    def label(self, response: Any) -> None:
        if isinstance(response, str | bytes):
            try:
                response = msgspec.json.decode(response)
            except (msgspec.DecodeError, ValueError, RecursionError):
                self.fault("", "the label is not JSON")
                return
        if not isinstance(response, dict):
            self.fault("", f"the label is {_kind(response)}, not an object")
        elif _is_video(response):
            for frame, key in sorted((int(key), key) for key in response if key.isdigit()):
                self.children(response[key], key, _About(frame=frame))
            self.children(response.get(ASSET_LEVEL), ASSET_LEVEL, _About())
        else:
            self.children(response, "", _About())

    def children(self, jobs: Any, path: str, about: _About) -> None:
        """Jobs with their responses: of an asset, a frame, an object or a category."""
        if not isinstance(jobs, dict):
            if jobs is not None:
                self.fault(path, f"{_kind(jobs)} where jobs should be", about.mid)
        elif jobs and about.level > DEEPEST:
            self.fault(path, f"more than {DEEPEST} levels of child jobs", about.mid)
        else:
            for job, response in jobs.items():
                if job in PSEUDO_JOBS:
                    continue
                if not isinstance(job, str) or not job:
                    self.fault(path, "a job without a name", about.mid)
                elif len(job) > LONGEST_NAME:
                    self.fault(path, f"a job with a name of more than {LONGEST_NAME} characters", about.mid)
                else:
                    self.job(job, response, f"{path}.{job}" if path else job, about)

    def job(self, job: str, response: Any, path: str, about: _About) -> None:
        if not isinstance(response, dict):
            if response is not None:
                self.fault(path, f"{_kind(response)} where a job's response should be", about.mid)
            return
        annotations = response.get("annotations")
        if isinstance(annotations, list):
            for index, annotation in enumerate(annotations):
                self.annotation(job, annotation, f"{path}.annotations[{index}]", about)
        elif annotations is not None:
            self.fault(f"{path}.annotations", f"{_kind(annotations)} where annotations should be", about.mid)
        self.answer(job, response, path, about)
        if SAID_BY_JOBS.isdisjoint(response) and not SAID_BESIDE.issuperset(response):
            self.fault(path, "nothing in it that answers a job", about.mid)

    # Answers

    def answer(self, job: str, said: dict[str, Any], path: str, about: _About) -> None:
        """A classification, a transcription or what an LLM job was answered with, and its child jobs."""
        categories = self.categories(said, path, about.mid)
        text = None
        if not SAID_BY_ANSWERS.isdisjoint(said):
            try:
                text = _text(said)
                categories += _choice(said) + _ranked(said)
            except _Malformed as wrong:
                self.fault(path + wrong.where, wrong.reason, about.mid)
        if categories or text is not None:
            self.add_answer(
                Answer(
                    job=job,
                    path=path,
                    categories=categories,
                    text=text,
                    of=about.of,
                    within=about.within,
                    frame=about.frame,
                    page=about.page,
                ),
                about.level,
            )
        self.child_jobs(job, said, categories, path, about)

    def add_answer(self, answer: Answer, level: int) -> None:
        if not level and (answer.categories or answer.text):
            self.jobs.add(answer.job)
        if answer.of is not None:  # each piece of a split object repeats what is said about it
            same = (answer.job, answer.of, answer.within, answer.frame, answer.page, answer.categories, answer.text)
            if same in self.answered:
                return
            self.answered.add(same)
        self.answers.append(answer)

    def categories(self, said: dict[str, Any], path: str, mid: str | None) -> tuple[str, ...]:
        found = said.get("categories")
        if not isinstance(found, list):
            if found is not None:
                self.fault(f"{path}.categories", f"{_kind(found)} where categories should be", mid)
            return ()
        names = []
        for index, category in enumerate(found):
            name = category.get("name") if isinstance(category, dict) else None
            if isinstance(name, str) and name:
                names.append(name)
            else:
                self.fault(f"{path}.categories[{index}]", "a category without a name", mid)
        return tuple(names)

    def child_jobs(self, job: str, said: dict[str, Any], categories: tuple[str, ...], path: str, about: _About) -> None:
        """Child jobs on what was said (objects; classifications of old) and on each of its categories."""
        children = said.get("children")
        if children:
            self.children(children, f"{path}.children", about.below(job, *(categories if len(categories) == 1 else ())))
        found = said.get("categories") if categories else None
        for index, category in enumerate(found if isinstance(found, list) else ()):
            children = category.get("children") if isinstance(category, dict) else None
            if children:
                named = [category["name"]] if isinstance(category.get("name"), str) else []
                self.children(children, f"{path}.categories[{index}].children", about.below(job, *named))

    # Annotations

    def annotation(self, job: str, annotation: Any, path: str, about: _About) -> None:
        if not isinstance(annotation, dict):
            self.fault(path, f"{_kind(annotation)} where an annotation should be")
            return
        if not annotation:  # Kili leaves such behind, and its own exports skip them
            return
        mid = annotation.get("mid")
        if mid is not None and not (isinstance(mid, str) and mid):
            self.fault(f"{path}.mid", "a mid that is not a text")
            mid = None
        for starts, ends in RELATIONS:
            if starts in annotation or ends in annotation:
                self.relation(job, annotation, path, mid, about, starts, ends)
                return
        try:
            drawn = _drawn(annotation, about.frame)
        except _Malformed as wrong:
            self.fault(path + wrong.where, wrong.reason, mid)
            return
        if drawn is None:
            self.undrawn(job, annotation, path, mid, about)
            return
        if drawn.tool == "pose":
            drawn = self.posed(annotation, path, mid, about.frame)
        categories = self.categories(annotation, path, mid)
        track = self.track_of.get((job, mid)) if mid else None
        if track is None:
            track = _Track(job, path, mid, drawn, categories)
            self.tracks.append(track)
            if mid:
                self.track_of[job, mid] = track
            if not about.level:
                self.jobs.add(job)
        elif track.tool == drawn.tool:
            track.add(drawn, categories)
        else:
            self.fault(path, f"a {drawn.tool} with the mid of a {track.tool}", mid)
            return
        of_it = _About(about.frame, about.page, mid or path, mid, about.within, about.level)
        self.child_jobs(job, annotation, categories, path, of_it)
        if drawn.tool == "pose":
            self.children_of_points(job, annotation["points"], categories, path, of_it)

    def undrawn(self, job: str, annotation: dict[str, Any], path: str, mid: str | None, about: _About) -> None:
        """An annotation of a page or of the asset as a whole: an answer in all but its place."""
        if all(annotation.get(key) in (None, []) for key in SAID_BY_ANSWERS):
            self.fault(path, "neither drawn nor answered", mid)
            return
        parts = annotation.get("annotations")
        parts = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
        try:
            pages = [page for part in (annotation, *parts) for page in _pages(part, "")]
        except _Malformed as wrong:
            self.fault(path + wrong.where, wrong.reason, mid)
            return
        for page in dict.fromkeys(pages) or (None,):
            self.answer(job, annotation, path, about._replace(page=page, mid=mid))

    def relation(
        self, job: str, said: dict[str, Any], path: str, mid: str | None, about: _About, starts: str, ends: str
    ) -> None:
        tie = self.tie_of.get((job, mid)) if mid else None
        if tie is None:
            tie = _Tie(job, path, mid)
            self.ties.append(tie)
            if mid:
                self.tie_of[job, mid] = tie
            if not about.level:
                self.jobs.add(job)
        categories = self.categories(said, path, mid)
        tie.categories.update(dict.fromkeys(categories))
        tie.starts.update(dict.fromkeys(self.tied(said, starts, path, mid)))
        tie.ends.update(dict.fromkeys(self.tied(said, ends, path, mid)))
        self.child_jobs(job, said, categories, path, about._replace(of=mid or path, mid=mid))

    def tied(self, said: dict[str, Any], end: str, path: str, mid: str | None) -> tuple[str, ...]:
        """The mids at one end of a relation."""
        found = said.get(end)
        if not isinstance(found, list):
            if found is not None:
                self.fault(f"{path}.{end}", f"{_kind(found)} where mids should be", mid)
            return ()
        mids = []
        for index, tied in enumerate(found):
            other = tied.get("mid") if isinstance(tied, dict) else None
            if isinstance(other, str) and other:
                mids.append(other)
            else:
                self.fault(f"{path}.{end}[{index}]", "no mid in it", mid)
        return tuple(mids)

    def posed(self, annotation: dict[str, Any], path: str, mid: str | None, frame: int | None) -> _Drawn:
        """The points of a pose that were placed; one that is malformed is left out alone."""
        keypoints = []
        for index, said in enumerate(annotation["points"]):
            try:
                keypoint = _keypoint(said, frame)
            except _Malformed as wrong:
                self.fault(f"{path}.points[{index}]{wrong.where}", wrong.reason, mid)
            else:
                if keypoint is not None:
                    keypoints.append(keypoint)
        points = tuple(keypoint.point for keypoint in keypoints)
        key_frame = annotation.get("isKeyFrame") is not False
        return _Drawn("pose", [Shape(points=points, frame=frame, key_frame=key_frame)], tuple(keypoints))

    def children_of_points(
        self, job: str, points: list[Any], categories: tuple[str, ...], path: str, about: _About
    ) -> None:
        for index, said in enumerate(points):
            if isinstance(said, dict) and said.get("children"):
                code = [said["code"]] if isinstance(said.get("code"), str) else []
                below = about.below(job, *categories[:1], *code)
                self.children(said["children"], f"{path}.points[{index}].children", below)


def _is_video(response: dict[Any, Any]) -> bool:
    """Whether the keys are frames, and not jobs that happen to be named by numbers."""
    keys = [key for key in response if key not in PSEUDO_JOBS]
    return bool(keys) and all(
        isinstance(key, str) and (key == ASSET_LEVEL or _is_number(key)) and not _is_job_response(response[key])
        for key in keys
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _is_job_response(value: Any) -> bool:
    """A frame holds jobs, so only objects; a job's response holds lists and texts."""
    return isinstance(value, dict) and any(isinstance(value.get(key), list | str) for key in SAID_BY_JOBS)


# What one annotation says


def _drawn(annotation: dict[str, Any], frame: int | None) -> _Drawn | None:
    """What was drawn, or marked in a text; None when nothing was. Of a pose only the tool: its points come later.

    Raises _Malformed.
    """
    kind = annotation.get("type")
    if kind is not None and kind not in TOOLS_DRAWN_WITH:
        raise _Malformed(".type", "no tool of Kili's")
    key_frame = annotation.get("isKeyFrame") is not False
    if "boundingPoly" in annotation and (kind is None or kind in AREA_TOOLS):
        areas = _areas(annotation["boundingPoly"], ".boundingPoly", kind)
        tool = AREA_TOOLS[kind] if kind else _area_tool(areas)
        if tool == "rectangle":
            areas = _rectangles(areas, ".boundingPoly")
        return _Drawn(tool, [Shape(rings=rings, frame=frame, key_frame=key_frame) for rings in areas])
    if kind is None or kind in AREA_TOOLS:
        if isinstance(annotation.get("annotations"), list) and _has_outlines(annotation["annotations"]):
            return _on_pages(annotation, kind)
        if kind is not None:
            raise _Malformed("", f"a {kind} that is not drawn")
    if "points" in annotation and kind in (None, "pose", "marker"):
        if not isinstance(annotation["points"], list):
            raise _Malformed(".points", f"{_kind(annotation['points'])} where points should be")
        return _Drawn("pose", [])
    if "point" in annotation and kind in (None, "marker"):
        return _Drawn(
            "marker", [Shape(points=(_point(annotation["point"], ".point"),), frame=frame, key_frame=key_frame)]
        )
    if "polyline" in annotation and (kind is None or kind in LINE_TOOLS):
        line = _points(annotation["polyline"], ".polyline")
        return _Drawn(LINE_TOOLS[kind] if kind else "polyline", [Shape(points=line, frame=frame, key_frame=key_frame)])
    if kind == "range":
        return _Drawn("range", [Shape(frame=frame, key_frame=key_frame)])
    if kind is not None:
        raise _Malformed("", f"a {kind} that is not drawn")
    if annotation.get("content") or annotation.get("beginOffset") is not None or annotation.get("beginId"):
        return _Drawn("entity", [], span=_span(annotation))
    return None


def _areas(found: Any, where: str, kind: str | None) -> list[tuple[Ring, ...]]:
    """The areas of a boundingPoly: a list of rings, or (geospatial) a list of lists of rings. Raises _Malformed."""
    if not isinstance(found, list) or not found:
        raise _Malformed(where, "empty" if found == [] else f"{_kind(found)} where outlines should be")
    if isinstance(found[0], list):
        return [_rings(group, f"{where}[{index}]", kind) for index, group in enumerate(found)]
    return [_rings(found, where, kind)]


def _rings(found: Any, where: str, kind: str | None) -> tuple[Ring, ...]:
    """The outlines in a list of normalizedVertices, each of them one ring or a list of rings. Raises _Malformed."""
    if not isinstance(found, list) or not found:
        raise _Malformed(where, "empty" if found == [] else f"{_kind(found)} where outlines should be")
    rings = []
    for index, outline in enumerate(found):
        place = f"{where}[{index}].normalizedVertices"
        vertices = outline.get("normalizedVertices") if isinstance(outline, dict) else None
        if isinstance(vertices, list) and vertices and isinstance(vertices[0], list):
            rings += [_ring(ring, f"{place}[{inner}]", kind) for inner, ring in enumerate(vertices)]
        else:
            rings.append(_ring(vertices, place, kind))
    return tuple(rings)


def _ring(vertices: Any, where: str, kind: str | None) -> Ring:
    """Raises _Malformed. A rectangle may have no width, so that its last corner is where its first one is."""
    ring = _points(vertices, where)
    if len(ring) > (3 if kind in ("polygon", "semantic") else 4) and ring[0] == ring[-1]:
        ring = ring[:-1]
    if len(ring) < 3:
        raise _Malformed(where, f"{len(ring)} vertices, too few for an outline")
    return ring


def _points(vertices: Any, where: str) -> tuple[Point, ...]:
    """Raises _Malformed."""
    if not isinstance(vertices, list) or not vertices:
        raise _Malformed(where, "empty" if vertices == [] else f"{_kind(vertices)} where vertices should be")
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
    """Raises _Malformed."""
    if not isinstance(said, dict):
        raise _Malformed(where, f"{_kind(said)} where a point should be")
    x, y = said.get("x"), said.get("y")
    for name, value in (("x", x), ("y", y)):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _Malformed(f"{where}.{name}", f"{_kind(value)} where a coordinate should be")
        if not -LARGEST <= value <= LARGEST:
            raise _Malformed(f"{where}.{name}", "no number a coordinate can be")
    return float(x), float(y)  # type: ignore[arg-type]


def _area_tool(areas: list[tuple[Ring, ...]]) -> Tool:
    """The tool of an annotation from before Kili named it."""
    if len(areas) > 1 or len(areas[0]) > 1:
        return "semantic"
    return "rectangle" if len(areas[0][0]) == 4 else "polygon"


def _rectangles(areas: list[tuple[Ring, ...]], where: str) -> list[tuple[Ring, ...]]:
    """Raises _Malformed."""
    for rings in areas:
        for ring in rings:
            if len(ring) != 4:
                raise _Malformed(where, f"a rectangle of {len(ring)} vertices")
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


def _on_pages(annotation: dict[str, Any], kind: str | None) -> _Drawn:
    """An entity or an area on the pages of a PDF. Raises _Malformed.

    One without a tool is a rectangle when it has neither a text nor an outline of several rings, else an entity, whose
    rings are the lines it stands on, one for each of its page numbers.
    """
    parts = []
    for index, part in enumerate(annotation["annotations"]):
        where = f".annotations[{index}]"
        if not isinstance(part, dict):
            raise _Malformed(where, f"{_kind(part)} where outlines should be")
        key = "polys" if part.get("polys") else "boundingPoly"
        outlines = [_rings([outline], f"{where}.{key}", kind) for outline in _outlines(part, key, where)]
        parts.append(_Part(outlines, _pages(part, where), where))
    every = [rings for part in parts for rings in part.outlines]
    if kind is None and (annotation.get("content") or any(len(rings) > 1 for rings in every)):
        lines = [
            part._replace(outlines=[(_around(ring),) for rings in part.outlines for ring in rings]) for part in parts
        ]
        return _Drawn("entity", _shapes_on_pages(lines), span=_span(annotation))
    tool = AREA_TOOLS[kind or "rectangle"]
    if tool == "rectangle":
        parts = [part._replace(outlines=_rectangles(part.outlines, part.where)) for part in parts]
    return _Drawn(tool, _shapes_on_pages(parts))


def _shapes_on_pages(parts: list[_Part]) -> list[Shape]:
    """Raises _Malformed."""
    return [
        Shape(rings=rings, page=page)
        for part in parts
        for rings, page in zip(part.outlines, _page_of_each(part), strict=True)
    ]


def _outlines(part: dict[str, Any], key: str, where: str) -> list[Any]:
    found = part.get(key)
    if not isinstance(found, list) or not found:
        raise _Malformed(f"{where}.{key}", "empty" if found == [] else f"{_kind(found)} where outlines should be")
    return found


def _pages(said: dict[str, Any], where: str) -> list[int]:
    """The page numbers that stand in an annotation. Raises _Malformed."""
    pages = said.get("pageNumberArray")
    if pages is None:
        page = said.get("pageNumber")
        pages = [] if page is None else [page]
    if not isinstance(pages, list) or any(type(page) is not int or page < 0 for page in pages):
        raise _Malformed(f"{where}.pageNumberArray", "no list of page numbers")
    return pages


def _page_of_each(part: _Part) -> list[int | None]:
    """Of each outline. Raises _Malformed when the numbers do not say."""
    if len(part.pages) == len(part.outlines):
        return list(part.pages)
    if len(set(part.pages)) > 1:
        reason = f"{len(part.pages)} page numbers for {len(part.outlines)} outlines"
        raise _Malformed(f"{part.where}.pageNumberArray", reason)
    return [part.pages[0] if part.pages else None] * len(part.outlines)


# Texts, poses and choices


def _span(said: dict[str, Any]) -> Span:
    """Raises _Malformed."""
    texts = {}
    for key in ("content", "beginId", "endId"):
        text = said.get(key)
        if text is not None and not isinstance(text, str):
            raise _Malformed(f".{key}", f"{_kind(text)} where a text should be")
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
        raise _Malformed(f".{key}", "no offset in a text")
    return offset


def _keypoint(said: Any, frame: int | None) -> Keypoint | None:
    """None when the point was not placed. Raises _Malformed."""
    if not isinstance(said, dict):
        raise _Malformed("", f"{_kind(said)} where a point of a pose should be")
    code, mid = said.get("code"), said.get("mid")
    if not isinstance(code, str) or not code:
        raise _Malformed(".code", "missing, or no text")
    if said.get("point") is None:
        return None
    return Keypoint(code, _point(said["point"], ".point"), mid if isinstance(mid, str) else None, frame)


def _text(said: dict[str, Any]) -> str | None:
    """Of a transcription; of a file its name. Raises _Malformed."""
    key = "text" if said.get("text") is not None else "fileName" if said.get("fileName") is not None else "fileId"
    text = said.get(key)
    if text is not None and not isinstance(text, str):
        raise _Malformed(f".{key}", f"{_kind(text)} where a text should be")
    return text


def _choice(said: dict[str, Any]) -> tuple[str, ...]:
    """What a comparison was answered with. Raises _Malformed."""
    choice = said.get("choice")
    if choice is None:
        return ()
    code = choice.get("code") if isinstance(choice, dict) else None
    if not isinstance(code, str) or not code:
        raise _Malformed(".choice", "no choice with a code")
    return (code,)


def _ranked(said: dict[str, Any]) -> tuple[str, ...]:
    """What was ranked, from the first rank on. Raises _Malformed."""
    orders = said.get("orders")
    if orders is None:
        return ()
    if not isinstance(orders, list):
        raise _Malformed(".orders", f"{_kind(orders)} where ranks should be")
    ranked = sorted((_rank(order, index) for index, order in enumerate(orders)), key=itemgetter(0))
    return tuple(chain.from_iterable(elements for _, elements in ranked))


def _rank(order: Any, index: int) -> tuple[int, list[str]]:
    rank, elements = (order.get("rank"), order.get("elements")) if isinstance(order, dict) else (None, None)
    if isinstance(rank, str) and _is_number(rank):
        rank = int(rank)
    if type(rank) is not int or not isinstance(elements, list) or not all(isinstance(one, str) for one in elements):
        raise _Malformed(f".orders[{index}]", "no rank with its elements")
    return rank, elements


def _kind(value: Any) -> str:
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
