"""The vendor's own reader of labels, kili.utils.labels.parsing, finds in a label what our reader finds in it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from kili.domain.ontology import JobMLTask
from kili.services.label_data_parsing.exceptions import InvalidMutationError, JobNotExistingError
from kili.services.label_data_parsing.json_response import IGNORED_JOBS, ParsedJobs
from kili.utils.labels.parsing import ParsedLabel
from kili_formats.types import JobTool
from random_labels import samples
from typeguard import TypeCheckError

from annohooks.kili.label import reader, shapes
from annohooks.kili.label.model import Object, Shape
from annohooks.kili.label.reader import read
from tests.unit.kili import labels
from tests.unit.kili.labels import (
    BEYOND_THE_SDK,
    HOLE,
    OUTER,
    SAMPLES,
    TRIANGLE,
    Json,
    Sample,
    annotation,
    box,
    drawing,
    drawn_on_page,
    entity,
    job,
    outlines,
    polygon,
    rectangle,
    tracked,
    vertices,
)

# What the SDK finds, in the words of our model


def parsed(sample: Sample) -> ParsedLabel:
    return ParsedLabel({"jsonResponse": sample.response}, sample.interface, sample.input_type)


class Found:
    """Objects and relations by job and mid, with their parts in order; answers without where they stand."""

    def __init__(self, sample: Sample) -> None:
        self.jobs = sample.jobs
        self.input_type = sample.input_type
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.relations: dict[tuple[str, str], Any] = {}
        self.answers: set[tuple[Any, ...]] = set()
        label = parsed(sample)
        for name in label.jobs:
            if sample.input_type == "VIDEO":
                for frame, payload in enumerate(label.jobs[name].frames):
                    self.payload(name, payload, frame, None, ())
            else:
                self.payload(name, label.jobs[name], None, None, ())

    def payload(self, name: str, payload: Any, frame: int | None, of: str | None, within: tuple[str, ...]) -> None:
        said = payload.to_dict()
        task = self.jobs[name]["mlTask"]
        categories: list[Any] = []
        if task == "CLASSIFICATION" and said.get("categories"):
            categories = list(payload.categories)
            self.answers.add((name, tuple(category.name for category in categories), None, of, within, frame))
        elif task == "TRANSCRIPTION" and "text" in said:
            self.answers.add((name, (), payload.text, of, within, frame))
        elif task == "FILE" and said:
            self.answers.add((name, (), payload.file_name, of, within, frame))
        elif "annotations" in said:
            for one in payload.annotations:
                self.annotation(name, one, frame, within)
        self.children(name, categories, payload if said.get("children") else None, frame, of, within)

    def children(
        self, name: str, categories: list[Any], holder: Any, frame: int | None, of: str | None, within: tuple[str, ...]
    ) -> None:
        """On what was said, of old (and on objects, to this day), and on each of its categories."""
        if holder is not None:
            sole = (categories[0].name,) if len(categories) == 1 else ()
            self.jobs_within(holder.children, frame, of, (*within, name, *sole))
        for category in categories:
            if category.as_dict().get("children"):
                self.jobs_within(category.children, frame, of, (*within, name, category.name))

    def jobs_within(self, jobs: ParsedJobs, frame: int | None, of: str | None, within: tuple[str, ...]) -> None:
        for name in jobs:
            self.payload(name, jobs[name], frame, of, within)

    def annotation(self, name: str, one: Any, frame: int | None, within: tuple[str, ...]) -> None:
        said = one.as_dict()
        task = self.jobs[name]["mlTask"]
        categories = list(one.categories)
        names = tuple(category.name for category in categories)
        if task.endswith("_RELATION"):
            of = "entities" if task == "NAMED_ENTITIES_RELATION" else "objects"
            starts, ends = getattr(one, f"start_{of}"), getattr(one, f"end_{of}")
            self.relations[name, one.mid] = (names, [tied["mid"] for tied in starts], [tied["mid"] for tied in ends])
        else:
            new = {"categories": names, "shapes": [], "keypoints": [], "span": None, "tool": None}
            object_ = self.objects.setdefault((name, one.mid), new)
            object_["tool"] = "entity" if task == "NAMED_ENTITIES_RECOGNITION" else one.type
            object_["shapes"] += self.shapes(one, object_["tool"], said, frame)
            if object_["tool"] == "pose":
                object_["keypoints"] += [(point.code, xy(point.point), frame) for point in one.points]
                for point in one.points:
                    if point.as_dict().get("children"):
                        self.jobs_within(point.children, frame, one.mid, (*within, name, names[0], point.code))
            if object_["tool"] == "entity":
                ends = (one.begin_offset, one.end_offset) if "beginOffset" in said else (None, None)
                object_["span"] = (one.content, *ends)
        self.children(name, categories, one if said.get("children") else None, frame, one.mid, within)

    def shapes(self, one: Any, tool: str, said: Json, frame: int | None) -> Iterator[Any]:
        if self.input_type == "PDF":
            for part in one.annotations:
                for poly in part.polys:
                    rings = tuple(map(ring, poly["normalizedVertices"]))
                    if tool == "entity":
                        yield from zip(((one,) for one in rings), part.page_number_array, strict=True)
                    else:
                        yield rings, part.page_number_array[0]
        elif tool == "pose":
            yield tuple(xy(point.point) for point in one.points), frame
        elif tool == "marker":
            yield (xy(one.point),), frame
        elif tool in ("polyline", "vector"):
            yield ring(one.polyline), frame
        elif tool != "entity":
            key_frame = one.is_key_frame if self.input_type == "VIDEO" else True
            yield tuple(ring(outline.normalized_vertices) for outline in one.bounding_poly), frame, key_frame


def xy(point: Json) -> tuple[float, float]:
    return point["x"], point["y"]


def ring(points: list[Json]) -> tuple[tuple[float, float], ...]:
    return tuple(map(xy, points))


# What our reader finds, in the same form


def shape_of(shape: Shape, input_type: str) -> Any:
    if input_type == "PDF":
        return shape.rings, shape.page
    return (shape.rings, shape.frame, shape.key_frame) if shape.rings else (shape.points, shape.frame)


def object_of(object_: Object, input_type: str) -> dict[str, Any]:
    return {
        "categories": object_.categories,
        "shapes": [shape_of(shape, input_type) for shape in object_.shapes],
        "keypoints": [(point.code, point.point, point.frame) for point in object_.keypoints],
        "span": object_.span and (object_.span.content, object_.span.begin_offset, object_.span.end_offset),
        "tool": object_.tool,
    }


def agree(sample: Sample) -> None:
    before = copy.deepcopy(sample.response)
    theirs = Found(sample)
    ours = read(sample.response)
    assert sample.response == before
    assert ours.faults == ()
    assert {
        (object_.job, object_.mid): object_of(object_, sample.input_type) for object_ in ours.objects
    } == theirs.objects
    ties = {(tie.job, tie.mid): (tie.categories, list(tie.starts), list(tie.ends)) for tie in ours.relations}
    assert ties == theirs.relations
    answers = {(said.job, said.categories, said.text, said.of, said.within, said.frame) for said in ours.answers}
    assert answers == theirs.answers


# Where both agree


@pytest.mark.parametrize("name", SAMPLES)
def test_the_sdk_finds_in_our_labels_what_we_find(name):
    agree(SAMPLES[name])


@given(samples())
def test_the_sdk_finds_in_any_label_what_we_find(sample):
    agree(sample)


def test_the_sdk_ignores_the_same_jobs_and_draws_with_the_same_tools():
    assert set(IGNORED_JOBS) == reader.PSEUDO_JOBS
    assert {tool.value for tool in JobTool} == set(shapes.TOOLS_DRAWN_WITH)


def test_every_task_of_the_sdk_has_a_label_that_we_read():
    """SPEECH_TO_TEXT has ranges, POSE_ESTIMATION what an OBJECT_DETECTION has with that tool, RANKING its orders."""
    of_samples = {said["mlTask"] for sample in SAMPLES.values() for said in sample.jobs.values()}
    beyond = {
        "POSE_ESTIMATION": SAMPLES["poses"].response,
        "RANKING": BEYOND_THE_SDK["ranking"],
        "SPEECH_TO_TEXT": BEYOND_THE_SDK["range"],
        "ASSET_ANNOTATION": BEYOND_THE_SDK["asset annotation"],
        "PAGE_LEVEL_CLASSIFICATION": BEYOND_THE_SDK["pages"],
        "PAGE_LEVEL_TRANSCRIPTION": BEYOND_THE_SDK["pages"],
    }
    assert {task.value for task in JobMLTask} == of_samples | beyond.keys()
    for response in beyond.values():
        assert read(response).faults == ()
        assert read(response).jobs


# Where they differ, and why ours is right to


def image(tool: str, *annotations: Json) -> Sample:
    return Sample("IMAGE", {"JOB_0": drawing(tool)}, {"JOB_0": {"annotations": list(annotations)}})


def test_difference_pieces_of_a_split_object_are_one_object_and_several_annotations_to_the_sdk():
    sample = SAMPLES["semantic"]
    assert [one.mid for one in parsed(sample).jobs["JOB_0"].annotations] == ["split", "whole", "split"]
    assert [object_.mid for object_ in read(sample.response).objects] == ["split", "whole"]


def test_difference_corners_of_a_rectangle_are_put_in_order_the_sdk_keeps_any():
    """Kili stores them in any order, and in a wrong one they enclose nothing."""
    a, b, c, d = OUTER
    sample = image("rectangle", annotation("m", "CAR", boundingPoly=outlines([a, c, b, d]), type="rectangle"))
    kept = ring(parsed(sample).jobs["JOB_0"].annotations[0].bounding_poly[0].normalized_vertices)
    ours = read(sample.response).objects[0].shapes[0].rings[0]
    assert kept == (a, c, b, d)
    assert ours == (a, b, c, d)


def test_difference_first_vertex_repeated_at_the_end_is_dropped_the_sdk_keeps_or_refuses_it():
    """Imports from GeoJSON close their rings, as GeoJSON must; what was drawn is the same."""
    closed = image("polygon", polygon("m", "CAR", [*TRIANGLE, TRIANGLE[0]]))
    assert len(parsed(closed).jobs["JOB_0"].annotations[0].bounding_poly[0].normalized_vertices) == 4
    assert read(closed.response).objects[0].shapes == (Shape(rings=(tuple(TRIANGLE),)),)
    corners = box(0.1, 0.1, 0.2, 0.2)
    boxed = image("rectangle", annotation("m", "CAR", boundingPoly=outlines([*corners, corners[0]]), type="rectangle"))
    with pytest.raises(InvalidMutationError, match="5 vertices is not a rectangle"):
        parsed(boxed)
    assert read(boxed.response).objects[0].shapes == (Shape(rings=(tuple(corners),)),)


def test_difference_outline_of_two_vertices_is_a_fault_where_the_sdk_refuses_the_label():
    sample = image("polygon", polygon("short", "CAR", TRIANGLE[:2]), polygon("good"))
    with pytest.raises(InvalidMutationError, match="2 vertices is not a polygon"):
        parsed(sample)
    reading = read(sample.response)
    assert [object_.mid for object_ in reading.objects] == ["good"]
    assert [fault.mid for fault in reading.faults] == ["short"]


def test_difference_areas_in_lists_are_read_where_the_sdk_refuses_the_label():
    """Its own GeoJSON converters write and read them: a boundingPoly for each part of a multipolygon."""
    sample = Sample("GEOSPATIAL", {"FIELDS": drawing("semantic")}, BEYOND_THE_SDK["areas in lists"])
    with pytest.raises(TypeCheckError):
        parsed(sample)
    areas = Shape(rings=(tuple(OUTER), tuple(HOLE))), Shape(rings=(tuple(TRIANGLE),))
    assert read(sample.response).objects[0].shapes == areas


def test_difference_frames_keep_their_numbers_where_the_sdk_counts_them():
    """A label need not have every frame; the SDK's index is then not the frame's number."""
    frames = {"5": tracked(5, True, ("m", 0.1)), "90": tracked(90, True, ("m", 0.2))}
    sample = Sample("VIDEO", {"JOB_0": drawing("rectangle")}, frames)
    assert len(parsed(sample).jobs["JOB_0"].frames) == 2
    assert [shape.frame for shape in read(sample.response).objects[0].shapes] == [5, 90]


def test_difference_answers_on_a_whole_video_are_read_where_the_sdk_refuses_the_label():
    """The SDK says of itself that it does not reach them yet (JobPayload.file_id)."""
    jobs = {"JOB_0": drawing("rectangle"), "VERDICT": labels.VERDICT, "WHY": labels.WHY, "REPORT": job("FILE")}
    sample = Sample("VIDEO", jobs, BEYOND_THE_SDK["video with answers on the whole"])
    with pytest.raises(JobNotExistingError):
        parsed(sample)
    assert read(sample.response).jobs == {"JOB_0", "VERDICT", "REPORT"}


def test_difference_jobs_and_categories_that_the_interface_lost_are_read_where_the_sdk_refuses_the_label():
    """Interfaces change after labels were made, and we read without one."""
    gone = image("rectangle", rectangle("m", "BICYCLE"))
    with pytest.raises(InvalidMutationError, match="not in the job interface"):
        parsed(gone)
    assert read(gone.response).objects[0].categories == ("BICYCLE",)
    with pytest.raises(JobNotExistingError):
        parsed(Sample("IMAGE", {}, gone.response))


def test_difference_entity_without_an_end_has_none_where_the_sdk_raises():
    left_open = entity("m", "NOUN", "Cow", 4)
    del left_open["endOffset"]
    sample = Sample("TEXT", labels.TEXT_JOBS, {"ENTITIES": {"annotations": [left_open]}})
    with pytest.raises(KeyError):
        _ = parsed(sample).jobs["ENTITIES"].annotations[0].end_offset
    assert read(sample.response).objects[0].span.end_offset is None


def test_difference_tool_that_a_label_of_old_does_not_name_is_found_where_the_sdk_raises():
    nameless = rectangle("m")
    del nameless["type"]
    with pytest.raises(KeyError):
        _ = parsed(image("rectangle", nameless)).jobs["JOB_0"].annotations[0].type
    assert read(image("rectangle", nameless).response).objects[0].tool == "rectangle"


def test_difference_rectangle_in_a_pdf_that_holds_a_text_is_an_entity_without_the_interface():
    """Nothing in such an annotation tells them apart; Kili leaves the content of rectangles empty."""
    boxed = drawn_on_page("m", "CAR", 1, box(0.1, 0.1, 0.2, 0.2)) | {"content": "a text"}
    sample = Sample("PDF", {"JOB_0": drawing("rectangle")}, {"JOB_0": {"annotations": [boxed]}})
    assert parsed(sample).jobs["JOB_0"].annotations[0].type == "rectangle"
    object_ = read(sample.response).objects[0]
    assert object_.tool == "entity"
    assert [shape.rings for shape in object_.shapes] == [(tuple(box(0.1, 0.1, 0.2, 0.2)),)]


@pytest.mark.parametrize("nested", [True, False])
def test_vertices_in_a_pdf_are_the_same_one_list_deeper_or_not(nested):
    corners = vertices(box(0.1, 0.1, 0.2, 0.2))
    shape: Json = {"normalizedVertices": [corners] if nested else corners}
    part = {"boundingPoly": [shape], "polys": [shape], "pageNumberArray": [1]}
    drawn = annotation("m", "CAR", annotations=[part], content="", type="rectangle")
    sample = Sample("PDF", {"JOB_0": drawing("rectangle")}, {"JOB_0": {"annotations": [drawn]}})
    kept = parsed(sample).jobs["JOB_0"].annotations[0].annotations[0].polys[0]["normalizedVertices"]
    assert (kept[0] if nested else kept) == corners
    assert read(sample.response).objects[0].shapes == (Shape(rings=(ring(corners),), page=1),)
