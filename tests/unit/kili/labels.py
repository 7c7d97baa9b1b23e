"""Labels of every job type and tool, as Kili stores them, each with the interface of its project."""

from __future__ import annotations

from typing import Any, NamedTuple

Json = dict[str, Any]

OUTER = [(0.1, 0.1), (0.5, 0.1), (0.5, 0.5), (0.1, 0.5)]
HOLE = [(0.2, 0.2), (0.2, 0.3), (0.3, 0.3), (0.3, 0.2)]
TRIANGLE = [(0.6, 0.6), (0.9, 0.6), (0.6, 0.9)]


class Sample(NamedTuple):
    """A jsonResponse, and of its project the input type and the jobs of the interface."""

    input_type: str
    jobs: Json
    response: Json

    @property
    def interface(self) -> Json:
        return {"jobs": self.jobs}


# What a jsonResponse is made of


def drawn(*annotations: Json) -> Json:
    """The response of a job."""
    return {"annotations": list(annotations)}


def vertices(points: list[tuple[float, float]]) -> list[Json]:
    return [{"x": x, "y": y} for x, y in points]


def box(left: float, top: float, width: float, height: float) -> list[tuple[float, float]]:
    right, bottom = left + width, top + height
    return [(left, bottom), (left, top), (right, top), (right, bottom)]


def outlines(*rings: list[tuple[float, float]]) -> list[Json]:
    return [{"normalizedVertices": vertices(ring)} for ring in rings]


def annotation(mid: str, category: str, children: Json | None = None, **drawn: Any) -> Json:
    return {"categories": [{"name": category}], "children": children or {}, "mid": mid, **drawn}


def rectangle(
    mid: str = "box-1",
    category: str = "CAR",
    at: tuple[float, float, float, float] = (0.1, 0.2, 0.3, 0.4),
    children: Json | None = None,
    **more: Any,
) -> Json:
    """at: left, top, width, height."""
    return annotation(mid, category, children, boundingPoly=outlines(box(*at)), type="rectangle", **more)


def polygon(mid: str = "polygon-1", category: str = "CAR", ring: list[tuple[float, float]] = TRIANGLE) -> Json:
    return annotation(mid, category, boundingPoly=outlines(ring), type="polygon")


def semantic(mid: str, category: str, *rings: list[tuple[float, float]]) -> Json:
    return annotation(mid, category, boundingPoly=outlines(*rings), type="semantic")


def marker(mid: str = "marker-1", category: str = "CAR", at: tuple[float, float] = (0.4, 0.6)) -> Json:
    return annotation(mid, category, point={"x": at[0], "y": at[1]}, type="marker")


def line(mid: str, category: str, points: list[tuple[float, float]], tool: str = "polyline") -> Json:
    return annotation(mid, category, polyline=vertices(points), type=tool)


def pose(mid: str, category: str, points: dict[str, tuple[float, float]], children: Json | None = None) -> Json:
    """children: of its points, by their codes."""
    said = [
        {
            "code": code,
            "mid": f"{mid}-{code}",
            "type": "marker",
            "children": (children or {}).get(code, {}),
            "point": {"x": x, "y": y},
        }
        for code, (x, y) in points.items()
    ]
    return annotation(mid, category, points=said, type="pose")


def entity(mid: str, category: str, content: str, begin: int, children: Json | None = None) -> Json:
    return annotation(
        mid,
        category,
        children,
        beginId="main/[0]",
        beginOffset=begin,
        content=content,
        endId="main/[0]",
        endOffset=begin + len(content),
    )


def on_pages(mid: str, category: str, content: str, lines: list[tuple[int, list[tuple[float, float]]]]) -> Json:
    """An entity in a PDF. lines: page and outline of each."""
    part = {
        "boundingPoly": [{"normalizedVertices": [vertices(lines[0][1])]}],
        "polys": [{"normalizedVertices": [vertices(ring) for _, ring in lines]}],
        "pageNumberArray": [page for page, _ in lines],
    }
    return annotation(mid, category, annotations=[part], content=content)


def drawn_on_page(mid: str, category: str, page: int, *rings: list[tuple[float, float]], **more: Any) -> Json:
    """A rectangle (without a type, as Kili has it), or what more says, in a PDF."""
    nested = [{"normalizedVertices": [vertices(ring) for ring in rings]}]
    part = {"boundingPoly": nested, "polys": nested, "pageNumberArray": [page]}
    return annotation(mid, category, annotations=[part], content="", **more)


def relation(mid: str, category: str, start: list[str], end: list[str], of: str = "Entities") -> Json:
    tied = {f"start{of}": [{"mid": one} for one in start], f"end{of}": [{"mid": one} for one in end]}
    return annotation(mid, category, **tied)


def classified(*names: str, **children: Json) -> Json:
    """children: of the last category, by their jobs."""
    categories: list[Json] = [{"name": name, "confidence": 100} for name in names]
    if children:
        categories[-1]["children"] = children
    return {"categories": categories}


# Of what an interface is made


def job(
    task: str,
    categories: Json | None = None,
    *,
    input: str = "radio",
    tools: list[str] | None = None,
    child: bool = False,
    **more: Any,
) -> Json:
    """categories: by their names what they have beside it, such as their children."""
    said = {name: {"name": name.title(), "children": [], **has} for name, has in (categories or {}).items()}
    return {
        "mlTask": task,
        "instruction": task.lower(),
        "isChild": child,
        "isVisible": True,
        "required": 0,
        "tools": tools or [],
        "content": {"categories": said, "input": input},
        **more,
    }


def drawing(tool: str, **categories: Json) -> Json:
    return job("OBJECT_DETECTION", categories or {"CAR": {}, "TREE": {}}, tools=[tool])


def transcription(*, input: str = "textField", child: bool = False) -> Json:
    return job("TRANSCRIPTION", input=input, child=child)


COLOUR = job("CLASSIFICATION", {"RED": {}, "BLUE": {"children": ["SHADE"]}}, input="checkbox", child=True)
SHADE = job("CLASSIFICATION", {"DARK": {}, "LIGHT": {}}, child=True)
CHILDREN = {"COLOUR": COLOUR, "SHADE": SHADE, "PLATE": transcription(child=True)}
ASKED = {"children": ["COLOUR", "PLATE"]}
"""Of a category whose objects have a colour, which may have a shade, and a plate."""
FACE = {
    "points": [
        {"code": "NOSE", "name": "Nose"},
        {"code": "LEFT_EYE", "name": "Left eye", "children": ["OPEN"]},
        {"code": "RIGHT_EYE", "name": "Right eye", "children": ["OPEN"]},
    ]
}
VERDICT = job("CLASSIFICATION", {"YES": {"children": ["WHY"]}, "NO": {}})
WHY = job("CLASSIFICATION", {"NEWS": {"children": ["NOTE"]}, "OTHER": {}}, input="checkbox", child=True)
ANSWERED_CAR = {"COLOUR": classified("RED", "BLUE", SHADE=classified("DARK")), "PLATE": {"text": "FR 76"}}
TEXT_JOBS = {
    "ENTITIES": job("NAMED_ENTITIES_RECOGNITION", {"NOUN": {"children": ["GENDER"]}, "VERB": {}}),
    "GENDER": job("CLASSIFICATION", {"F": {}, "M": {}}, child=True),
    "TIES": job("NAMED_ENTITIES_RELATION", {"SUBJECT_OF": {}}),
}


def tracked(frame: int, key_frame: bool, *boxes: tuple[str, float], **children: Json) -> Json:
    """A frame's jobs. boxes: mid and left edge of each."""
    return {
        "JOB_0": drawn(
            *(
                rectangle(mid, at=(left, 0.01 * frame, 0.1, 0.1), children=children, isKeyFrame=key_frame)
                for mid, left in boxes
            )
        )
    }


SAMPLES: dict[str, Sample] = {
    "nothing": Sample("IMAGE", {"JOB_0": drawing("rectangle")}, {}),
    "rectangles": Sample(
        "IMAGE",
        {"JOB_0": drawing("rectangle", CAR=ASKED, TREE={}), **CHILDREN},
        {"JOB_0": drawn(rectangle(children=ANSWERED_CAR), rectangle("box-2", "TREE", (0.5, 0.5, 0.1, 0.2)))},
    ),
    "polygon": Sample("IMAGE", {"roads and rivers": drawing("polygon")}, {"roads and rivers": drawn(polygon())}),
    "semantic": Sample(
        "IMAGE",
        {"JOB_0": drawing("semantic")},
        {
            "JOB_0": drawn(
                semantic("split", "CAR", OUTER, HOLE),
                semantic("whole", "TREE", box(0.0, 0.8, 0.1, 0.1)),
                semantic("split", "CAR", TRIANGLE),
            )
        },
    ),
    "lines": Sample(
        "IMAGE",
        {"LINES": drawing("polyline"), "VECTORS": drawing("vector")},
        {
            "LINES": drawn(line("line-1", "CAR", [(0.1, 0.1), (0.2, 0.4), (0.3, 0.1)])),
            "VECTORS": drawn(line("vector-1", "TREE", [(0.9, 0.1), (0.2, 0.4)], "vector")),
        },
    ),
    "markers": Sample(
        "IMAGE", {"DOTS": drawing("marker")}, {"DOTS": drawn(marker(), marker("marker-2", "TREE", (0, 1)))}
    ),
    "poses": Sample(
        "IMAGE",
        {"POSES": drawing("pose", FACE=FACE), "OPEN": job("CLASSIFICATION", {"YES": {}, "NO": {}}, child=True)},
        {
            "POSES": drawn(
                pose(
                    "pose-1",
                    "FACE",
                    {"NOSE": (0.5, 0.5), "LEFT_EYE": (0.4, 0.4)},
                    {"LEFT_EYE": {"OPEN": classified("YES")}},
                )
            )
        },
    ),
    "classification": Sample(
        "IMAGE",
        {"VERDICT": VERDICT, "WHY": WHY, "NOTE": transcription(child=True)},
        {"VERDICT": classified("YES", WHY=classified("OTHER", "NEWS", NOTE={"text": "read it"}))},
    ),
    "classification of old": Sample(
        "TEXT",
        {"VERDICT": VERDICT, "WHY": WHY, "NOTE": transcription(child=True)},
        {"VERDICT": {**classified("YES"), "children": {"WHY": classified("NEWS")}}},
    ),
    "transcription": Sample(
        "IMAGE",
        {"TEXT": transcription(), "DATE": transcription(input="date"), "NUMBER": transcription(input="number")},
        {"TEXT": {"text": "a\nb"}, "DATE": {"text": "2026-11-21"}, "NUMBER": {"text": ""}},
    ),
    "entities": Sample(
        "TEXT",
        TEXT_JOBS,
        {
            "ENTITIES": drawn(
                entity("noun-1", "NOUN", "Cow", 4, {"GENDER": classified("F")}), entity("verb-1", "VERB", "eats", 8)
            ),
            "TIES": drawn(relation("tie-1", "SUBJECT_OF", ["noun-1"], ["verb-1"])),
        },
    ),
    "entities in a PDF": Sample(
        "PDF",
        TEXT_JOBS,
        {
            "ENTITIES": drawn(
                on_pages("noun-1", "NOUN", "Cow", [(1, box(0.1, 0.1, 0.2, 0.02))]),
                on_pages("verb-1", "VERB", "is eating", [(1, box(0.8, 0.9, 0.1, 0.02)), (2, box(0, 0, 0.1, 0.02))]),
            )
        },
    ),
    "drawn in a PDF": Sample(
        "PDF",
        {"BOXES": drawing("rectangle"), "AREAS": drawing("polygon")},
        {
            "BOXES": drawn(drawn_on_page("box-1", "CAR", 2, box(0.1, 0.1, 0.2, 0.2))),
            "AREAS": drawn(drawn_on_page("area-1", "TREE", 1, OUTER, HOLE, type="polygon")),
        },
    ),
    "relations of objects": Sample(
        "IMAGE",
        {"JOB_0": drawing("rectangle"), "TIES": job("OBJECT_RELATION", {"BESIDE": {}})},
        {
            "JOB_0": drawn(rectangle(), rectangle("box-2", "TREE", (0.6, 0.6, 0.1, 0.1))),
            "TIES": drawn(relation("tie-1", "BESIDE", ["box-1"], ["box-2"], "Objects")),
        },
    ),
    "video": Sample(
        "VIDEO",
        {
            "JOB_0": drawing("rectangle", CAR=ASKED, TREE={}),
            "SCENE": job("CLASSIFICATION", {"DAY": {}, "NIGHT": {}}),
            **CHILDREN,
        },
        {
            "0": {"ANNOTATION_JOB_COUNTER": {"JOB_0": {"CAR": 2}}, "ANNOTATION_NAMES_JOB": {"car-a": "Car 1"}},
            "1": {
                **tracked(1, True, ("car-a", 0.1), ("car-b", 0.5), PLATE={"text": "AB"}),
                "SCENE": {**classified("DAY"), "isKeyFrame": True, "annotations": []},
            },
            "2": {**tracked(2, False, ("car-a", 0.2)), "SCENE": {**classified("DAY"), "isKeyFrame": False}},
            "3": {},
        },
    ),
    "geospatial": Sample(
        "GEOSPATIAL",
        {"FIELDS": drawing("semantic"), "ROADS": drawing("polyline")},
        {
            "FIELDS": drawn(semantic("field-1", "TREE", [(-79.1, -3.2), (-79.0, -3.2), (-79.0, -3.1)])),
            "ROADS": drawn(line("road-1", "CAR", [(2.35, 48.85), (4.83, 45.76)])),
        },
    ),
    "pseudo-jobs": Sample(
        "IMAGE",
        {"JOB_0": drawing("rectangle")},
        {
            "JOB_0": drawn(rectangle()),
            "ANNOTATION_JOB_COUNTER": {"JOB_0": {"CAR": 1}},
            "ANNOTATION_NAMES_JOB": {"box-1": "Car 1"},
            "ROTATION_JOB": {"rotation": 90},
        },
    ),
    "legacy rectangle": Sample(
        "IMAGE",
        {"JOB_0": drawing("rectangle")},
        {"JOB_0": drawn(rectangle(jobName="JOB_0", mlTask="OBJECT_DETECTION", score=99, labelVersion="1"))},
    ),
    "file": Sample(
        "IMAGE",
        {"REPORT": job("FILE")},
        {"REPORT": {"fileId": "f-1", "fileName": "report.pdf", "fileMimeType": "application/pdf"}},
    ),
}
"""What Kili's own SDK parses. Everything in them is well-formed."""

BEYOND_THE_SDK: dict[str, Json] = {
    "comparison": {"BETTER": {"choice": {"code": "MUCH_BETTER", "firstId": "a", "secondId": "b"}}},
    "ranking": {"RANKS": {"orders": [{"rank": 2, "elements": ["b"]}, {"rank": 1, "elements": ["a", "c"]}]}},
    "range": {"SPEECH": drawn(annotation("range-1", "SPEAKER", {"WORDS": {"text": "hello"}}, type="range"))},
    "pages": {
        "PAGE_KIND": drawn({"categories": [{"name": "COVER"}], "pageNumberArray": [1], "mid": "page-1"}),
        "PAGE_TEXT": drawn({"text": "Contents", "pageNumberArray": [2], "mid": "page-2"}),
    },
    "asset annotation": {"ASSET": drawn(annotation("asset-1", "GOOD"))},
    "areas in lists": {
        "FIELDS": drawn(
            annotation("field-1", "TREE", boundingPoly=[outlines(OUTER, HOLE), outlines(TRIANGLE)], type="semantic")
        )
    },
    "video with answers on the whole": {
        "assetLevel": {"VERDICT": classified("YES"), "REPORT": {"fileId": "f-1"}},
        "0": {},
        "1": tracked(1, True, ("car-a", 0.1)),
    },
}
"""What Kili makes too, but its SDK does not parse."""

RESPONSES: dict[str, Json] = {name: sample.response for name, sample in SAMPLES.items()} | BEYOND_THE_SDK
"""All of the above."""
