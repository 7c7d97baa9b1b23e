"""Random labels, each with the interface that asks for it."""

from __future__ import annotations

from itertools import count
from typing import Any

from hypothesis import strategies as st
from kili.services.label_data_parsing.json_response import IGNORED_JOBS

from tests.unit.kili.labels import (
    Json,
    Sample,
    annotation,
    box,
    classified,
    drawing,
    drawn_on_page,
    entity,
    job,
    line,
    marker,
    on_pages,
    outlines,
    polygon,
    pose,
    relation,
    semantic,
    transcription,
)

POINTS_OF_A_FACE = ["NOSE", "LEFT_EYE", "RIGHT_EYE"]
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: name not in IGNORED_JOBS
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.floats(-0.5, 1.5) | st.sampled_from([0.0, 1.0, 0.25])
POINTS = st.tuples(NUMBERS, NUMBERS)
RINGS = st.lists(POINTS, min_size=3, max_size=6, unique=True)
BOXES = st.tuples(NUMBERS, NUMBERS, NUMBERS.map(abs), NUMBERS.map(abs)).map(lambda at: box(*at))
CATEGORIES = ["A", "B", "C"]


class Maker:
    """Draws a label and its interface side by side."""

    def __init__(self, draw: st.DrawFn, input_type: str) -> None:
        self.draw, self.input_type = draw, input_type
        self.jobs: Json = {}
        self.response: Json = {}
        self.mids = (f"2026{number}-{number}" for number in count())
        self.drawn: list[str] = []

    def name(self) -> str:
        return self.draw(NAMES.filter(lambda name: name not in self.jobs))

    def answered(self, depth: int, *, child: bool = True) -> tuple[str, Json]:
        """A new classification or transcription, child jobs and all, with its answer."""
        name = self.name()
        if self.draw(st.booleans()):
            self.jobs[name] = transcription(child=child)
            return name, {"text": self.draw(TEXTS)}
        several = self.draw(st.booleans())
        self.jobs[name] = {}
        categories: Json = {category: {"children": []} for category in CATEGORIES}
        chosen = self.draw(st.lists(st.sampled_from(CATEGORIES), min_size=1, max_size=3 if several else 1, unique=True))
        answer = classified(*chosen)
        for category in answer["categories"]:
            if depth and self.draw(st.booleans()):
                children = dict(self.answered(depth - 1) for _ in range(self.draw(st.integers(1, 2))))
                categories[category["name"]]["children"] = list(children)
                category["children"] = children
        if depth and not several and "children" not in answer["categories"][0] and self.draw(st.booleans()):
            inner, below = self.answered(depth - 1)  # as the documentation of old has it
            categories[chosen[0]]["children"] = [inner]
            answer["children"] = {inner: below}
        self.jobs[name] = job("CLASSIFICATION", categories, input="checkbox" if several else "radio", child=child)
        return name, answer

    def children(self) -> Json:
        return dict([self.answered(1)] if self.draw(st.integers(0, 3)) == 0 else [])

    def annotations(self, make: Any) -> tuple[Json, list[Json]]:
        """The categories of a new job, and some annotations of them."""
        categories: Json = {category: {"children": []} for category in CATEGORIES}
        annotations = []
        for _ in range(self.draw(st.integers(0, 3))):
            category = self.draw(st.sampled_from(CATEGORIES))
            children = self.children()
            categories[category]["children"] += list(children)
            annotations.append(make(next(self.mids), category) | {"children": children})
            self.drawn.append(annotations[-1]["mid"])
        return categories, annotations

    def add_answered(self) -> None:
        name, answer = self.answered(2, child=False)
        self.response[name] = answer

    def add_drawing(self) -> None:
        tool = self.draw(st.sampled_from(["rectangle", "polygon", "semantic", "polyline", "vector", "marker", "pose"]))
        draw = self.draw

        def make(mid: str, category: str) -> Json:
            if tool == "rectangle":
                return annotation(mid, category, boundingPoly=outlines(draw(BOXES)), type=tool)
            if tool == "polygon":
                return polygon(mid, category, draw(RINGS))
            if tool == "semantic":
                if self.drawn and draw(st.integers(0, 3)) == 0:
                    mid = self.drawn[-1]
                return semantic(mid, category, *draw(st.lists(RINGS, min_size=1, max_size=3)))
            if tool == "marker":
                return marker(mid, category, draw(POINTS))
            if tool == "pose":
                codes = draw(st.lists(st.sampled_from(POINTS_OF_A_FACE), unique=True))
                return pose(mid, category, {code: draw(POINTS) for code in codes})
            return line(mid, category, draw(st.lists(POINTS, min_size=1, max_size=5)), tool)

        name = self.name()
        self.jobs[name] = {}
        categories, annotations = self.annotations(make)
        of_object: Json = {}
        for piece in annotations:  # pieces of one object are of one category
            piece["categories"] = of_object.setdefault(piece["mid"], piece["categories"])
        self.jobs[name] = drawing(tool, **categories)
        self.response[name] = {"annotations": annotations}

    def add_entities(self) -> None:
        draw = self.draw

        def make(mid: str, category: str) -> Json:
            if self.input_type == "TEXT":
                return entity(mid, category, draw(TEXTS), draw(st.integers(0, 10_000)))
            lines = draw(st.lists(st.tuples(st.integers(1, 9), BOXES), min_size=1, max_size=3))
            return on_pages(mid, category, draw(TEXTS.filter(len)), lines)

        name = self.name()
        self.jobs[name] = {}
        categories, annotations = self.annotations(make)
        self.jobs[name] = job("NAMED_ENTITIES_RECOGNITION", categories)
        self.response[name] = {"annotations": annotations}

    def add_areas_on_pages(self) -> None:
        tool = self.draw(st.sampled_from(["rectangle", "polygon"]))

        def make(mid: str, category: str) -> Json:
            page = self.draw(st.integers(1, 9))
            if tool == "rectangle":
                return drawn_on_page(mid, category, page, self.draw(BOXES))
            return drawn_on_page(mid, category, page, *self.draw(st.lists(RINGS, min_size=1, max_size=2)), type=tool)

        name = self.name()
        self.jobs[name] = {}
        categories, annotations = self.annotations(make)
        self.jobs[name] = drawing(tool, **categories)
        self.response[name] = {"annotations": annotations}

    def add_relations(self) -> None:
        of = "Objects" if self.input_type == "IMAGE" else "Entities"
        ends = st.lists(st.sampled_from(self.drawn or ["gone"]), max_size=2, unique=True)
        name = self.name()
        self.jobs[name] = {}
        categories, annotations = self.annotations(
            lambda mid, kind: relation(mid, kind, self.draw(ends), self.draw(ends), of)
        )
        self.jobs[name] = job("OBJECT_RELATION" if of == "Objects" else "NAMED_ENTITIES_RELATION", categories)
        self.response[name] = {"annotations": annotations}

    def film(self) -> None:
        """Frames from 0 on, on which objects come and go, keep their category and are asked anew each time."""
        categories: Json = {category: {"children": []} for category in CATEGORIES}
        self.jobs |= {"TRACKS": {}, "SCENE": job("CLASSIFICATION", {category: {} for category in CATEGORIES})}
        tracks = {next(self.mids): self.draw(st.sampled_from(CATEGORIES)) for _ in range(self.draw(st.integers(1, 3)))}
        for frame in range(self.draw(st.integers(1, 5))):
            jobs: Json = {}
            annotations = []
            for mid in self.draw(st.lists(st.sampled_from(sorted(tracks)), unique=True)):
                children = self.children()
                categories[tracks[mid]]["children"] += list(children)
                drawn = annotation(
                    mid, tracks[mid], children, boundingPoly=outlines(self.draw(BOXES)), type="rectangle"
                )
                annotations.append(drawn | {"isKeyFrame": self.draw(st.booleans())})
            if annotations:
                jobs["TRACKS"] = {"annotations": annotations}
            if self.draw(st.booleans()):
                jobs["SCENE"] = classified(self.draw(st.sampled_from(CATEGORIES))) | {"isKeyFrame": True}
            self.response[str(frame)] = jobs
        self.jobs["TRACKS"] = drawing("rectangle", **categories)


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    input_type = draw(st.sampled_from(["IMAGE", "TEXT", "PDF", "VIDEO"]))
    maker = Maker(draw, input_type)
    if input_type == "VIDEO":
        maker.film()
    else:
        kinds = {
            "IMAGE": [maker.add_drawing, maker.add_relations, maker.add_answered],
            "TEXT": [maker.add_entities, maker.add_relations, maker.add_answered],
            "PDF": [maker.add_entities, maker.add_areas_on_pages, maker.add_answered],
        }[input_type]
        for add in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4)):
            add()
    for said in maker.jobs.values():
        if said.get("tools") == ["pose"]:
            for category in said["content"]["categories"].values():
                category["points"] = [{"code": code, "name": code} for code in POINTS_OF_A_FACE]
    return Sample(input_type, maker.jobs, maker.response)
