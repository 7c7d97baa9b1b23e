"""One reader for every job type and tool; what is malformed is said to be, and never in the way of the rest."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annohooks.kili.api import llm_labels
from annohooks.kili.label.model import Answer, Fault, Keypoint, Reading, Relation, Shape, Span
from annohooks.kili.label.reader import (
    DEEPEST,
    LONGEST_NAME,
    LONGEST_PATH,
    MOST_FAULTS,
    PSEUDO_JOBS,
    read,
)
from annohooks.kili.label.shapes import LARGEST
from tests.unit.kili.labels import (
    BEYOND_THE_SDK,
    HOLE,
    OUTER,
    RESPONSES,
    SAMPLES,
    TRIANGLE,
    annotation,
    box,
    classified,
    drawn_on_page,
    entity,
    line,
    marker,
    on_pages,
    outlines,
    polygon,
    pose,
    rectangle,
    relation,
    semantic,
    tracked,
    vertices,
)


def said(*annotations: Any) -> Reading:
    return read({"JOB_0": {"annotations": list(annotations)}})


def only(*annotations: Any) -> Any:
    reading = said(*annotations)
    assert reading.faults == ()
    (thing,) = reading.objects
    return thing


def fault(*annotations: Any) -> Fault:
    reading = said(*annotations)
    assert reading.objects == ()
    (fault,) = reading.faults
    return fault


@pytest.mark.parametrize("name", RESPONSES)
def test_everything_kili_makes_is_read_without_a_fault(name):
    reading = read(RESPONSES[name])
    assert reading.faults == ()
    assert bool(reading.objects or reading.answers) == (name != "nothing")


# Tools


def test_rectangle_is_an_area_of_four_corners():
    thing = only(rectangle("m", "CAR", (0.25, 0.25, 0.5, 0.5)))
    assert (thing.job, thing.tool, thing.mid, thing.categories) == ("JOB_0", "rectangle", "m", ("CAR",))
    assert thing.path == "JOB_0.annotations[0]"
    assert thing.shapes == (Shape(rings=(((0.25, 0.75), (0.25, 0.25), (0.75, 0.25), (0.75, 0.75)),)),)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 1, 3), (0, 1, 3, 2), (3, 1, 2, 0), (2, 0, 1, 3)])
@pytest.mark.parametrize("corners", [box(0.1, 0.2, 0.3, 0.4), [(0.5, 0.1), (0.8, 0.4), (0.7, 0.5), (0.4, 0.2)]])
def test_corners_of_a_rectangle_are_put_in_order_around_it(order, corners):
    thing = only(annotation("m", "CAR", boundingPoly=outlines([corners[i] for i in order]), type="rectangle"))
    (ring,) = thing.shapes[0].rings
    assert sorted(ring) == sorted(corners)
    assert {frozenset(side) for side in zip(ring, ring[1:] + ring[:1], strict=True)} == {
        frozenset(side) for side in zip(corners, corners[1:] + corners[:1], strict=True)
    }


def test_polygon_keeps_its_vertices_in_their_order():
    assert only(polygon(ring=TRIANGLE)).shapes == (Shape(rings=(tuple(TRIANGLE),)),)


def test_outline_that_repeats_its_first_vertex_at_the_end_loses_it():
    assert only(polygon(ring=[*TRIANGLE, TRIANGLE[0]])).shapes == (Shape(rings=(tuple(TRIANGLE),)),)
    corners = box(0, 0, 1, 1)
    closed = annotation("m", "CAR", boundingPoly=outlines([*corners, corners[0]]), type="rectangle")
    assert only(closed).shapes == (Shape(rings=(tuple(corners),)),)


@pytest.mark.parametrize(
    "drawn", [rectangle("m", at=(0.1, 0.2, 0, 0.5)), drawn_on_page("m", "CAR", 1, box(0, 0, 0, 0))]
)
def test_rectangle_without_a_width_or_height_keeps_its_four_corners(drawn):
    assert len(only(drawn).shapes[0].rings[0]) == 4


def test_semantic_area_has_its_holes_after_its_outer_outline():
    assert only(semantic("m", "CAR", OUTER, HOLE)).shapes == (Shape(rings=(tuple(OUTER), tuple(HOLE))),)


def test_object_split_over_annotations_of_the_same_mid_is_one():
    split, whole = read(RESPONSES["semantic"]).objects
    assert (split.mid, whole.mid) == ("split", "whole")
    assert split.shapes == (Shape(rings=(tuple(OUTER), tuple(HOLE))), Shape(rings=(tuple(TRIANGLE),)))
    assert split.path == "JOB_0.annotations[0]"


def test_same_mid_in_two_jobs_is_two_objects():
    reading = read({"A": {"annotations": [polygon("m")]}, "B": {"annotations": [polygon("m")]}})
    assert [thing.job for thing in reading.objects] == ["A", "B"]


def test_annotations_without_a_mid_are_objects_of_their_own():
    nameless = [{key: value for key, value in polygon().items() if key != "mid"} for _ in range(2)]
    reading = said(*nameless)
    assert [thing.key for thing in reading.objects] == ["JOB_0.annotations[0]", "JOB_0.annotations[1]"]


def test_pieces_of_one_object_have_all_categories_of_it():
    assert only(polygon("m", "CAR"), polygon("m", "TREE"), polygon("m", "CAR")).categories == ("CAR", "TREE")


def test_lists_of_outlines_in_lists_are_areas_of_one_object():
    (field,) = read(BEYOND_THE_SDK["areas in lists"]).objects
    assert field.shapes == (Shape(rings=(tuple(OUTER), tuple(HOLE))), Shape(rings=(tuple(TRIANGLE),)))


def test_geospatial_coordinates_are_kept_in_degrees():
    field, road = read(RESPONSES["geospatial"]).objects
    assert field.shapes[0].rings[0][0] == (-79.1, -3.2)
    assert road.shapes[0].points == ((2.35, 48.85), (4.83, 45.76))


@pytest.mark.parametrize("tool", ["polyline", "vector"])
def test_line_has_points_and_no_area(tool):
    thing = only(line("m", "CAR", TRIANGLE, tool))
    assert (thing.tool, thing.shapes) == (tool, (Shape(points=tuple(TRIANGLE)),))


def test_marker_is_one_point():
    thing = only(marker("m", "CAR", (0, 1)))
    assert (thing.tool, thing.shapes) == ("marker", (Shape(points=((0.0, 1.0),)),))
    assert all(type(number) is float for number in thing.shapes[0].points[0])


@pytest.mark.parametrize("tool", ["pose", "marker"])
def test_pose_has_a_keypoint_for_every_point_that_was_placed(tool):
    said_of_it = pose("m", "FACE", {"NOSE": (0.5, 0.5), "LEFT_EYE": (0.4, 0.3)}) | {"type": tool}
    said_of_it["points"].append({"code": "RIGHT_EYE"})
    thing = only(said_of_it)
    assert thing.tool == "pose"
    assert thing.keypoints == (Keypoint("NOSE", (0.5, 0.5)), Keypoint("LEFT_EYE", (0.4, 0.3)))
    assert thing.shapes == (Shape(points=((0.5, 0.5), (0.4, 0.3))),)


def test_range_is_an_object_of_its_own_without_a_place_in_an_image():
    reading = read(BEYOND_THE_SDK["range"])
    (thing,) = reading.objects
    assert (thing.tool, thing.categories, thing.shapes) == ("range", ("SPEAKER",), (Shape(),))
    assert [(answer.text, answer.of) for answer in reading.answers] == [("hello", "range-1")]


@pytest.mark.parametrize(
    ("drawn", "tool"),
    [
        (rectangle(), "rectangle"),
        (polygon(), "polygon"),
        (semantic("m", "CAR", OUTER, HOLE), "semantic"),
        (line("m", "CAR", TRIANGLE), "polyline"),
        (marker(), "marker"),
        (pose("m", "FACE", {"NOSE": (0, 0)}), "pose"),
    ],
)
def test_annotation_from_before_tools_were_named_has_the_tool_it_was_drawn_with(drawn, tool):
    del drawn["type"]
    assert only(drawn).tool == tool


@pytest.mark.parametrize("rings", [[OUTER], [OUTER, HOLE]])
def test_vertices_may_lie_one_list_deeper(rings):
    nested = annotation(
        "m", "CAR", boundingPoly=[{"normalizedVertices": [vertices(ring) for ring in rings]}], type="polygon"
    )
    assert only(nested).shapes == (Shape(rings=tuple(map(tuple, rings))),)


# Texts


def test_entity_has_a_span():
    thing = only(entity("m", "NOUN", "Cow", 4))
    assert (thing.tool, thing.shapes) == ("entity", ())
    assert thing.span == Span("Cow", "main/[0]", 4, "main/[0]", 7)


def test_entity_need_not_have_an_end():
    thing = only({"beginOffset": 21, "content": "Kili", "categories": [{"name": "ORG"}], "mid": "a"})
    assert thing.span == Span("Kili", None, 21, None, None)


def test_entity_in_a_pdf_has_an_area_for_each_line_on_the_page_it_stands_on():
    lines = [(1, box(0.5, 0.9, 0.4, 0.02)), (2, box(0, 0, 0.5, 0.02)), (2, box(0, 0.02, 0.1, 0.02))]
    thing = only(on_pages("m", "NOUN", "three lines long", lines))
    assert thing.tool == "entity"
    assert thing.span == Span("three lines long")
    assert thing.shapes == tuple(Shape(rings=(tuple(ring),), page=page) for page, ring in lines)


def test_area_in_a_pdf_is_a_rectangle_unless_it_says_otherwise():
    boxed, area = read(RESPONSES["drawn in a PDF"]).objects
    assert (boxed.tool, boxed.shapes) == ("rectangle", (Shape(rings=(tuple(box(0.1, 0.1, 0.2, 0.2)),), page=2),))
    assert (area.tool, area.shapes) == ("polygon", (Shape(rings=(tuple(OUTER), tuple(HOLE)), page=1),))


def test_page_number_that_stands_once_is_that_of_every_outline():
    thing = only(on_pages("m", "NOUN", "text", [(3, box(0, 0, 1, 0.1)), (3, box(0, 0.1, 1, 0.1))]))
    thing_said_once = on_pages("m", "NOUN", "text", [(3, box(0, 0, 1, 0.1)), (3, box(0, 0.1, 1, 0.1))])
    thing_said_once["annotations"][0]["pageNumberArray"] = [3]
    assert only(thing_said_once).shapes == thing.shapes


def test_answers_of_pages_know_their_page():
    reading = read(BEYOND_THE_SDK["pages"])
    assert [(answer.job, answer.categories, answer.text, answer.page) for answer in reading.answers] == [
        ("PAGE_KIND", ("COVER",), None, 1),
        ("PAGE_TEXT", (), "Contents", 2),
    ]
    assert reading.jobs == {"PAGE_KIND", "PAGE_TEXT"}


# Answers


def test_children_are_on_the_category_they_were_asked_for():
    assert read(RESPONSES["classification"]).answers == (
        Answer(job="VERDICT", path="VERDICT", categories=("YES",)),
        Answer(
            job="WHY",
            path="VERDICT.categories[0].children.WHY",
            categories=("OTHER", "NEWS"),
            within=("VERDICT", "YES"),
        ),
        Answer(
            job="NOTE",
            path="VERDICT.categories[0].children.WHY.categories[1].children.NOTE",
            text="read it",
            within=("VERDICT", "YES", "WHY", "NEWS"),
        ),
    )


def test_children_on_the_job_mean_the_same_as_on_its_category():
    old, new = (read({"V": response}).answers for response in (
        {**classified("YES"), "children": {"WHY": classified("NEWS")}},
        classified("YES", WHY=classified("NEWS")),
    ))  # fmt: skip
    assert [(a.job, a.categories, a.within) for a in old] == [(a.job, a.categories, a.within) for a in new]


def test_children_on_a_job_with_several_categories_are_within_the_job_alone():
    answers = read({"V": {**classified("YES", "NO"), "children": {"WHY": classified("NEWS")}}}).answers
    assert answers[1].within == ("V",)


def test_children_of_an_object_name_it_and_its_category():
    colour, shade, plate = read(RESPONSES["rectangles"]).answers
    assert (colour.of, colour.within, colour.categories) == ("box-1", ("JOB_0", "CAR"), ("RED", "BLUE"))
    assert (shade.of, shade.within) == ("box-1", ("JOB_0", "CAR", "COLOUR", "BLUE"))
    assert (plate.of, plate.within, plate.text) == ("box-1", ("JOB_0", "CAR"), "FR 76")


def test_children_of_an_object_without_a_mid_name_where_it_stands():
    nameless = rectangle(children={"PLATE": {"text": "FR"}})
    del nameless["mid"]
    (answer,) = said(nameless).answers
    assert answer.of == "JOB_0.annotations[0]"


def test_children_of_an_entity_are_read():
    (answer,) = read(RESPONSES["entities"]).answers
    assert (answer.job, answer.categories, answer.of, answer.within) == (
        "GENDER",
        ("F",),
        "noun-1",
        ("ENTITIES", "NOUN"),
    )


def test_children_of_a_point_of_a_pose_are_within_its_code():
    open_eye = {"OPEN": classified("YES")}
    (answer,) = said(pose("m", "FACE", {"LEFT_EYE": (0, 0)}, {"LEFT_EYE": open_eye})).answers
    assert (answer.of, answer.within, answer.categories) == ("m", ("JOB_0", "FACE", "LEFT_EYE"), ("YES",))


def test_what_every_piece_of_an_object_repeats_is_said_once():
    pieces = [semantic("m", "CAR", ring) | {"children": {"PLATE": {"text": "FR"}}} for ring in (OUTER, TRIANGLE)]
    pieces.append(semantic("m", "CAR", HOLE) | {"children": {"PLATE": {"text": "DE"}}})
    assert [answer.text for answer in said(*pieces).answers] == ["FR", "DE"]


def test_transcription_is_a_text_and_an_empty_one_leaves_its_job_empty():
    reading = read(RESPONSES["transcription"])
    assert {answer.job: answer.text for answer in reading.answers} == {
        "TEXT": "a\nb",
        "DATE": "2026-11-21",
        "NUMBER": "",
    }
    assert reading.jobs == {"TEXT", "DATE"}


def test_comparison_is_answered_with_the_code_of_the_choice():
    (answer,) = read(BEYOND_THE_SDK["comparison"]).answers
    assert (answer.job, answer.categories) == ("BETTER", ("MUCH_BETTER",))


def test_ranking_is_answered_with_what_was_ranked_the_best_first():
    (answer,) = read(BEYOND_THE_SDK["ranking"]).answers
    assert answer.categories == ("a", "c", "b")


def test_file_is_answered_with_its_name_or_else_its_id():
    assert read(RESPONSES["file"]).answers[0].text == "report.pdf"
    assert read({"REPORT": {"fileId": "f-1"}}).answers[0].text == "f-1"


def test_annotation_of_the_asset_is_an_answer():
    (answer,) = read(BEYOND_THE_SDK["asset annotation"]).answers
    assert (answer.job, answer.categories, answer.of, answer.page) == ("ASSET", ("GOOD",), None, None)


# Chats


def annotated_chat(*said: tuple[str, str, str | None, list[list[str]]]) -> Any:
    """The jsonResponse of a chat. said: of each annotation the job, what was answered, the chat item and the path."""
    return llm_labels.json_response(
        [
            {"id": str(number), "job": job, "chatItemId": chat_item, "path": path, "labelId": "l"}
            | (
                {"__typename": "ClassificationAnnotation", "annotationValue": {"categories": [answer]}}
                if answer.isupper()
                else {"__typename": "TranscriptionAnnotation", "annotationValue": {"text": answer}}
            )
            for number, (job, answer, chat_item, path) in enumerate(said)
        ]
    )


def test_answers_about_several_items_of_a_chat_are_told_apart():
    response = annotated_chat(
        ("RATING", "GOOD", "turn-1", []),
        ("RATING", "BAD", "turn-2", []),
        ("WHY", "too long", "turn-2", [["1", "BAD"]]),
        ("NOTE", "fine", "turn-1", []),
        ("NOTE", "curt", "turn-2", []),
        ("VERDICT", "SAFE", None, []),
    )
    reading = read(response)
    assert [(answer.job, answer.of, answer.categories or answer.text, answer.within) for answer in reading.answers] == [
        ("RATING", "turn-1", ("GOOD",), ()),
        ("RATING", "turn-2", ("BAD",), ()),
        ("WHY", "turn-2", "too long", ("RATING", "BAD")),
        ("NOTE", "turn-1", "fine", ()),
        ("NOTE", "turn-2", "curt", ()),
        ("VERDICT", None, ("SAFE",), ()),
    ]
    assert (reading.jobs, reading.faults) == ({"RATING", "NOTE", "VERDICT"}, ())


def test_an_answer_about_the_whole_chat_stands_beside_those_about_its_items():
    reading = read(annotated_chat(("RATING", "GOOD", None, []), ("RATING", "BAD", "turn-2", [])))
    assert [(answer.of, answer.categories) for answer in reading.answers] == [(None, ("GOOD",)), ("turn-2", ("BAD",))]


def test_an_answer_of_an_unknown_kind_is_a_fault_and_leaves_the_others():
    ranked = {"__typename": "RankingAnnotation", "id": "1", "job": "RANKS", "path": [], "labelId": "l"}
    said = {"__typename": "TranscriptionAnnotation", "id": "2", "job": "NOTE", "path": [], "labelId": "l"}
    reading = read(llm_labels.json_response([ranked, said | {"annotationValue": {"text": "x"}}]))
    assert reading.jobs == {"NOTE"}
    assert reading.faults == (Fault("RANKS", "without an answer to a job"),)


def test_answers_given_twice_are_not_read_twice_as_often_with_every_level():
    path: list[list[str]] = []
    annotations = []
    for level in range(40):
        for _ in range(2):
            annotations.append(
                {"__typename": "ClassificationAnnotation", "id": str(level), "job": "J", "path": list(path)}
                | {"annotationValue": {"categories": ["A", "A"]}}
            )
        path.append([str(level), "A"])
    levels, response = 0, llm_labels.json_response(annotations)
    while response:
        first, second = response["J"]["categories"]
        assert "children" not in second
        levels, response = levels + 1, first.get("children")
    assert levels == 40


@pytest.mark.parametrize("said", [7, None, ["x"]])
def test_what_is_said_of_no_item_of_a_chat_is_a_fault(said):
    reading = read({"J": {**classified("A"), "chatItems": [said, {"chatItemId": "i", **classified("B")}]}})
    assert [(answer.of, answer.categories) for answer in reading.answers] == [("i", ("B",))]
    assert [fault.path for fault in reading.faults] == ["J.chatItems[0]"]


# Relations


@pytest.mark.parametrize(
    ("name", "tie"),
    [("entities", ("noun-1", "verb-1", "SUBJECT_OF")), ("relations of objects", ("box-1", "box-2", "BESIDE"))],
)
def test_relation_ties_mids_together(name, tie):
    start, end, category = tie
    (found,) = read(RESPONSES[name]).relations
    assert found == Relation(
        job="TIES",
        path="TIES.annotations[0]",
        mid="tie-1",
        categories=(category,),
        starts=(start,),
        ends=(end,),
    )


def test_relation_may_lack_an_end():
    found = said({"startEntities": [{"mid": "a"}, {"mid": "b"}], "categories": [{"name": "T"}], "mid": "m"})
    assert (found.relations[0].starts, found.relations[0].ends, found.faults) == (("a", "b"), (), ())


def test_relation_on_several_frames_is_one():
    frames = {str(frame): {"TIES": {"annotations": [relation("m", "T", ["a"], ["b"])]}} for frame in range(3)}
    frames["3"] = {"TIES": {"annotations": [relation("m", "T", ["a"], ["c"])]}}
    (found,) = read(frames).relations
    assert (found.starts, found.ends, found.path) == (("a",), ("b", "c"), "0.TIES.annotations[0]")


# Videos


def test_object_on_several_frames_is_one_track():
    car_a, car_b = read(RESPONSES["video"]).objects
    assert [(shape.frame, shape.key_frame) for shape in car_a.shapes] == [(1, True), (2, False)]
    assert [shape.frame for shape in car_b.shapes] == [1]
    assert car_a.path == "1.JOB_0.annotations[0]"


def test_answers_in_a_video_know_their_frame():
    reading = read(RESPONSES["video"])
    assert [(answer.job, answer.frame, answer.of) for answer in reading.answers] == [
        ("PLATE", 1, "car-a"),
        ("PLATE", 1, "car-b"),
        ("SCENE", 1, None),
        ("SCENE", 2, None),
    ]
    assert reading.jobs == {"JOB_0", "SCENE"}


def test_frames_are_read_in_their_order_whatever_that_of_the_keys():
    frames = {key: tracked(int(key), True, ("m", 0.1)) for key in ("10", "9", "100", "0")}
    (track,) = read(frames).objects
    assert [shape.frame for shape in track.shapes] == [0, 9, 10, 100]
    assert track.path == "0.JOB_0.annotations[0]"


def test_jobs_of_a_whole_video_have_no_frame():
    reading = read(BEYOND_THE_SDK["video with answers on the whole"])
    assert {(answer.path, answer.frame) for answer in reading.answers} == {
        ("assetLevel.VERDICT", None),
        ("assetLevel.REPORT", None),
    }
    assert [thing.shapes[0].frame for thing in reading.objects] == [1]


def test_keypoints_of_a_pose_in_a_video_know_their_frame():
    frames = {str(frame): {"P": {"annotations": [pose("m", "FACE", {"NOSE": (0, 0)})]}} for frame in (4, 5)}
    (track,) = read(frames).objects
    assert [point.frame for point in track.keypoints] == [4, 5]


def test_jobs_named_by_numbers_are_not_frames():
    reading = read({"1": {"annotations": [polygon()]}, "2": classified("YES"), "3": {"text": "x"}})
    assert reading.faults == ()
    assert reading.jobs == {"1", "2", "3"}
    assert reading.objects[0].shapes[0].frame is None


def test_a_job_beside_the_frames_of_a_video_is_about_all_of_it():
    frames = {"0": {}, "1": tracked(1, True, ("a", 0.1))}
    reading = read({**frames, "SCENE": classified("DAY")})
    assert reading.objects == read(frames).objects
    assert reading.answers == (Answer(job="SCENE", path="SCENE", categories=("DAY",)),)
    assert (reading.jobs, reading.faults) == ({"JOB_0", "SCENE"}, ())


def test_a_frame_that_is_none_is_a_fault_and_leaves_the_others():
    reading = read({"0": tracked(0, True, ("a", 0.1)), "1": [], "2": tracked(2, True, ("a", 0.2))})
    assert [shape.frame for shape in reading.objects[0].shapes] == [0, 2]
    assert reading.faults == (Fault("1", "expected jobs, not a list"),)


def test_a_frame_of_jobs_named_as_parts_of_a_response_is_a_frame():
    reading = read({"7": {"annotations": {"annotations": [polygon()]}, "text": classified("YES")}})
    assert (reading.jobs, reading.objects[0].shapes[0].frame) == ({"annotations", "text"}, 7)


# The label as a whole


def test_label_may_be_json_text():
    for response in RESPONSES.values():
        assert read(json.dumps(response)) == read(json.dumps(response).encode()) == read(response)


def test_pseudo_jobs_are_ignored_wherever_they_stand():
    reading = read(RESPONSES["pseudo-jobs"])
    assert (reading.jobs, reading.answers, len(reading.objects)) == ({"JOB_0"}, (), 1)
    video = {**RESPONSES["video"], "ANNOTATION_JOB_COUNTER": {"JOB_0": {"CAR": 2}}}
    assert read(video) == read(RESPONSES["video"])


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("name", ["rectangles", "video"])
def test_rotation_of_the_image_is_kept_beside_what_was_drawn(name, rotation):
    reading = read({**RESPONSES[name], "ROTATION_JOB": {"rotation": rotation}})
    assert reading == msgspec.structs.replace(read(RESPONSES[name]), rotation=rotation)


@pytest.mark.parametrize("said", [{"rotation": 45}, {"rotation": "90"}, {"rotation": None}, {}, 90, None])
def test_rotation_that_is_none_is_a_fault(said):
    fault = Fault("ROTATION_JOB", "not a rotation of 0, 90, 180 or 270 degrees")
    assert read({"ROTATION_JOB": said}) == Reading(faults=(fault,))


def test_jobs_without_an_answer_are_not_among_the_jobs():
    empty: dict[str, Any] = {"A": {}, "B": {"annotations": []}, "C": {"categories": []}, "D": {"text": ""}, "E": None}
    empty |= {"F": {"annotations": None, "categories": None, "text": None, "children": None}, "G": {"text": " \n"}}
    reading = read(empty)
    assert (reading.jobs, reading.objects, reading.faults) == (frozenset(), (), ())


def test_child_jobs_are_not_among_the_jobs():
    assert read(RESPONSES["rectangles"]).jobs == {"JOB_0"}


def test_empty_annotation_is_skipped():
    assert said({}) == Reading()


# Malformed


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        (None, "the label is null, not an object"),
        ([], "the label is a list, not an object"),
        (3.5, "the label is a number, not an object"),
        (True, "the label is true or false, not an object"),
        ("", "the label is not JSON"),
        ("{", "the label is not JSON"),
        ('{"JOB": NaN}', "the label is not JSON"),
        ("\ud800", "the label is not JSON"),
        (b"\xff\xfe", "the label is not JSON"),
        ("[" * 100_000, "the label is not JSON"),
        ("[]", "the label is a list, not an object"),
    ],
)
def test_label_that_is_none_is_said_to_be(label, reason):
    assert read(label) == Reading(faults=(Fault("", reason),))


@pytest.mark.parametrize(
    ("response", "path", "reason"),
    [
        ([], "JOB_0", "expected a job's response, not a list"),
        ("path/to/a/file.pdf", "JOB_0", "expected a job's response, not a string"),
        ({"annotations": {}}, "JOB_0.annotations", "expected annotations, not an object"),
        ({"annotations": [7]}, "JOB_0.annotations[0]", "expected an annotation, not a number"),
        ({"categories": "A"}, "JOB_0.categories", "expected categories, not a string"),
        ({"categories": ["A"]}, "JOB_0.categories[0]", "a category without a name"),
        ({"categories": [{"name": None}]}, "JOB_0.categories[0]", "a category without a name"),
        ({"text": 12}, "JOB_0.text", "expected a string, not a number"),
        ({"choice": "A"}, "JOB_0.choice", "not a choice with a code"),
        ({"orders": {}}, "JOB_0.orders", "expected ranks, not an object"),
        ({"orders": [{"rank": 1}]}, "JOB_0.orders[0]", "not a rank with its elements"),
        ({"fileId": 5}, "JOB_0.fileId", "expected a string, not a number"),
        ({"children": [1]}, "JOB_0.children", "expected jobs, not a list"),
        ({"children": {"": {}}}, "JOB_0.children", "a job without a name"),
        ({"rotation": 90}, "JOB_0", "without an answer to a job"),
    ],
)
def test_malformed_answer_is_left_out_and_named(response, path, reason):
    reading = read({"JOB_0": response, "OTHER": classified("A")})
    assert reading.faults == (Fault(path, reason),)
    assert [answer.job for answer in reading.answers] == ["OTHER"]


def replaced(drawn: Any, value: Any, *where: Any) -> Any:
    """A copy with something else at that place."""
    changed = copy.deepcopy(drawn)
    inner = changed
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    return changed


ONE_VERTEX = ("boundingPoly", 0, "normalizedVertices", 1)


@pytest.mark.parametrize(
    ("drawn", "where", "reason"),
    [
        (
            replaced(polygon(), math.nan, *ONE_VERTEX, "x"),
            ".boundingPoly[0].normalizedVertices[1].x",
            "not a possible coordinate",
        ),
        (
            replaced(polygon(), math.inf, *ONE_VERTEX, "y"),
            ".boundingPoly[0].normalizedVertices[1].y",
            "not a possible coordinate",
        ),
        (
            replaced(polygon(), 10**400, *ONE_VERTEX, "x"),
            ".boundingPoly[0].normalizedVertices[1].x",
            "not a possible coordinate",
        ),
        (
            replaced(polygon(), "0.5", *ONE_VERTEX, "x"),
            ".boundingPoly[0].normalizedVertices[1].x",
            "expected a coordinate, not a string",
        ),
        (
            replaced(polygon(), True, *ONE_VERTEX, "x"),
            ".boundingPoly[0].normalizedVertices[1].x",
            "expected a coordinate, not true or false",
        ),
        (
            replaced(polygon(), None, *ONE_VERTEX, "x"),
            ".boundingPoly[0].normalizedVertices[1].x",
            "expected a coordinate, not null",
        ),
        (
            replaced(polygon(), [0.5, 0.5], *ONE_VERTEX),
            ".boundingPoly[0].normalizedVertices[1]",
            "expected a point, not a list",
        ),
        (replaced(polygon(), [], *ONE_VERTEX[:-1]), ".boundingPoly[0].normalizedVertices", "empty"),
        (replaced(polygon(), [[]], *ONE_VERTEX[:-1]), ".boundingPoly[0].normalizedVertices[0]", "empty"),
        (
            replaced(polygon(), None, *ONE_VERTEX[:-1]),
            ".boundingPoly[0].normalizedVertices",
            "expected vertices, not null",
        ),
        (
            replaced(polygon(), 7, "boundingPoly", 0),
            ".boundingPoly[0].normalizedVertices",
            "expected vertices, not null",
        ),
        (replaced(polygon(), [], "boundingPoly"), ".boundingPoly", "empty"),
        (replaced(polygon(), [[]], "boundingPoly"), ".boundingPoly[0]", "empty"),
        (replaced(polygon(), None, "boundingPoly"), ".boundingPoly", "expected outlines, not null"),
        (polygon("m", ring=TRIANGLE[:2]), ".boundingPoly[0].normalizedVertices", "2 vertices, too few for an outline"),
        (replaced(rectangle(), vertices(TRIANGLE), *ONE_VERTEX[:-1]), ".boundingPoly", "a rectangle of 3 vertices"),
        (
            replaced(rectangle(), vertices([*OUTER, (0.3, 0.6)]), *ONE_VERTEX[:-1]),
            ".boundingPoly",
            "a rectangle of 5 vertices",
        ),
        (replaced(polygon(), "circle", "type"), ".type", "not one of Kili's tools"),
        (replaced(polygon(), ["polygon"], "type"), ".type", "not one of Kili's tools"),
        (replaced(polygon(), "marker", "type"), "", "a marker that is not drawn"),
        (annotation("m", "CAR", type="rectangle"), "", "a rectangle that is not drawn"),
        (annotation("m", "CAR", type="polyline"), "", "a polyline that is not drawn"),
        (replaced(marker(), {"x": 1}, "point"), ".point.y", "expected a coordinate, not null"),
        (replaced(marker(), 4, "point"), ".point", "expected a point, not a number"),
        (line("m", "CAR", []), ".polyline", "empty"),
        (replaced(pose("m", "FACE", {}), 1, "points"), ".points", "expected points, not a number"),
        (replaced(entity("m", "NOUN", "Cow", 4), 7, "content"), ".content", "expected a string, not a number"),
        (replaced(entity("m", "NOUN", "Cow", 4), -1, "beginOffset"), ".beginOffset", "not an offset in a text"),
        (replaced(entity("m", "NOUN", "Cow", 4), "7", "endOffset"), ".endOffset", "not an offset in a text"),
        (
            replaced(
                on_pages("m", "NOUN", "x", [(1, OUTER), (2, OUTER)]), [1, 2, 3], "annotations", 0, "pageNumberArray"
            ),
            ".annotations[0].pageNumberArray",
            "3 page numbers for 2 outlines",
        ),
        (
            replaced(drawn_on_page("m", "CAR", 1, OUTER), ["1"], "annotations", 0, "pageNumberArray"),
            ".annotations[0].pageNumberArray",
            "not a list of page numbers",
        ),
        (drawn_on_page("m", "CAR", 1, TRIANGLE), ".annotations[0]", "a rectangle of 3 vertices"),
        (
            replaced(drawn_on_page("m", "CAR", 1, OUTER), [], "annotations", 0, "polys")
            | {"annotations": [{"polys": [], "boundingPoly": []}]},
            ".annotations[0].boundingPoly",
            "empty",
        ),
        ({"mid": "m", "score": 3}, "", "neither drawn nor answered"),
        ({"mid": "m", "categories": None}, "", "neither drawn nor answered"),
    ],
)
def test_malformed_annotation_is_left_out_and_named_with_its_mid(drawn, where, reason):
    drawn["mid"] = "m"
    found = fault(drawn)
    assert (found.path, found.mid) == (f"JOB_0.annotations[0]{where}", "m")
    assert found.reason.startswith(reason)


def test_vertices_outside_the_image_are_no_fault():
    assert only(polygon(ring=[(-5, 2), (1.5, -0.1), (LARGEST, 3)])).shapes[0].rings[0][0] == (-5.0, 2.0)


def test_mid_that_is_no_text_is_left_out_alone():
    reading = said(polygon() | {"mid": 12})
    assert reading.objects[0].mid is None
    assert reading.faults == (Fault("JOB_0.annotations[0].mid", "a mid that is not a string"),)


def test_one_bad_point_of_a_pose_is_left_out_alone():
    bad = replaced(pose("m", "FACE", {"NOSE": (0, 0), "LEFT_EYE": (1, 1)}), "left", "points", 1, "point", "x")
    bad["points"] += [7, {"point": {"x": 0, "y": 0}}]
    reading = said(bad)
    assert [point.code for point in reading.objects[0].keypoints] == ["NOSE"]
    assert [(found.path, found.mid) for found in reading.faults] == [
        ("JOB_0.annotations[0].points[1].point.x", "m"),
        ("JOB_0.annotations[0].points[2]", "m"),
        ("JOB_0.annotations[0].points[3].code", "m"),
    ]


def test_one_bad_end_of_a_relation_is_left_out_alone():
    reading = said({"startObjects": [{"mid": "a"}, {"mid": 3}, "b"], "endObjects": "c", "mid": "m"})
    assert (reading.relations[0].starts, reading.relations[0].ends) == (("a",), ())
    assert [found.path for found in reading.faults] == [
        "JOB_0.annotations[0].startObjects[1]",
        "JOB_0.annotations[0].startObjects[2]",
        "JOB_0.annotations[0].endObjects",
    ]


def test_bad_frame_of_a_track_is_left_out_alone():
    frames = {str(frame): tracked(frame, True, ("m", 0.1)) for frame in range(3)}
    frames["1"]["JOB_0"]["annotations"][0]["boundingPoly"] = None
    reading = read(frames)
    assert [shape.frame for shape in reading.objects[0].shapes] == [0, 2]
    assert reading.faults == (Fault("1.JOB_0.annotations[0].boundingPoly", "expected outlines, not null", "m"),)


def test_mid_drawn_with_two_tools_is_a_fault():
    reading = said(polygon("m"), marker("m"))
    assert [thing.tool for thing in reading.objects] == ["polygon"]
    assert reading.faults == (Fault("JOB_0.annotations[1]", "a marker with the mid of a polygon", "m"),)


def test_fault_in_the_children_of_an_object_names_its_mid():
    reading = said(rectangle("m", children={"PLATE": {"text": 7}}))
    assert len(reading.objects) == 1
    assert reading.faults == (
        Fault("JOB_0.annotations[0].children.PLATE.text", "expected a string, not a number", "m"),
    )


@pytest.mark.parametrize(
    "nest",
    [
        lambda inner: classified("A") | {"children": {"J": inner}},
        lambda inner: classified("A", "B") | {"children": {"J": inner}},
        lambda inner: classified("A", J=inner),
    ],
)
def test_children_are_read_to_a_depth_and_no_deeper(nest):
    deep: Any = classified("A")
    for _ in range(5_000):
        deep = nest(deep)
    reading = read({"J": deep})
    assert len(reading.answers) == DEEPEST + 1
    assert [found.reason for found in reading.faults] == [f"more than {DEEPEST} levels of child jobs"]


def test_faults_beyond_a_number_are_counted():
    reading = said(*[7] * (MOST_FAULTS + 23), polygon())
    assert len(reading.faults) == MOST_FAULTS + 1
    assert reading.faults[-1] == Fault("", "and 23 more")
    assert len(reading.objects) == 1


def test_path_of_a_fault_is_cut_short():
    long = "J" * LONGEST_NAME
    assert len(read({long: {"children": {long: []}}}).faults[0].path) == LONGEST_PATH


def test_job_whose_name_is_too_long_to_stand_in_paths_is_a_fault():
    reading = read({"J" * (LONGEST_NAME + 1): {"text": "x"}, "JOB_0": {"text": "y"}})
    assert reading.faults == (Fault("", "a job with a name of more than 200 characters"),)
    assert reading.jobs == {"JOB_0"}


def test_a_hundred_thousand_annotations_are_read():
    reading = said(*(marker(f"m{index}") for index in range(100_000)))
    assert len(reading.objects) == 100_000


def test_a_hundred_thousand_pieces_of_one_object_are_read():
    pieces = [marker("m", f"C{index}") for index in range(100_000)]
    ties = [relation("t", f"C{index}", [f"s{index}"], [f"e{index}"]) for index in range(100_000)]
    (thing,) = said(*pieces).objects
    (tie,) = said(*ties).relations
    assert len(thing.categories) == len(thing.shapes) == len(tie.categories) == len(tie.starts) == 100_000


# Whatever comes

VOCABULARY = [
    "annotations", "boundingPoly", "normalizedVertices", "polyline", "points", "point", "x", "y", "type", "mid",
    "categories", "name", "children", "text", "content", "beginOffset", "beginId", "polys", "pageNumberArray",
    "startEntities", "endObjects", "choice", "code", "orders", "rank", "elements", "fileId", "isKeyFrame", "assetLevel",
    "0", "17", "JOB_0", "ROTATION_JOB", "rotation", "pageNumber", "chatItems", "chatItemId",
]  # fmt: skip
WORDS = ["rectangle", "polygon", "semantic", "polyline", "marker", "pose", "range", "", "m", "CAR", "0.5"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(max_size=5)
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(VOCABULARY) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=40,
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with a key or an index of it."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A label that Kili could have made, but for a few places in it."""
    label = copy.deepcopy(RESPONSES[draw(st.sampled_from(sorted(RESPONSES.keys() - {"nothing"})))])
    for _ in range(draw(st.integers(1, 4))):
        found = list(places(label))
        if not found:
            break
        container, key = draw(st.sampled_from(found))
        if draw(st.booleans()):
            container[key] = draw(ANYTHING)
        elif isinstance(container, dict):
            del container[key]
        else:
            container.append(draw(st.sampled_from(container) | SCALARS))
    return label


def annotated(label: Any) -> Iterator[tuple[str, str, Any]]:
    """Path, job and annotation of all that a label has."""
    for key, value in label.items():
        if not isinstance(value, dict) or key in PSEUDO_JOBS:
            continue
        in_frame = key.isdigit() or key == "assetLevel"
        jobs = {key: value}
        prefix = ""
        if in_frame and not isinstance(value.get("annotations"), list):
            jobs, prefix = value, f"{key}."
        for job, response in jobs.items():
            found = response.get("annotations") if isinstance(response, dict) and job not in PSEUDO_JOBS else None
            for index, one in enumerate(found if isinstance(found, list) else ()):
                yield f"{prefix}{job}.annotations[{index}]", job, one


def accounted(reading: Reading, path: str, job: str, one: Any) -> bool:
    mid = one.get("mid") if isinstance(one, dict) else None
    return (
        one == {}
        or any(thing.path == path or (mid and (thing.job, thing.mid) == (job, mid)) for thing in reading.objects)
        or any(tie.path == path or (mid and (tie.job, tie.mid) == (job, mid)) for tie in reading.relations)
        or any(answer.path == path for answer in reading.answers)
        or any(path.startswith(found.path) or found.path.startswith(path) for found in reading.faults)
    )


@given(ANYTHING)
def test_nothing_that_json_can_say_raises(anything):
    assert isinstance(read(anything), Reading)


@given(st.text() | st.binary())
def test_no_text_raises(text):
    assert isinstance(read(text), Reading)


@given(mutated())
def test_every_annotation_of_a_label_is_read_or_named_as_a_fault(label):
    reading = read(label)
    for path, job, one in annotated(label) if isinstance(label, dict) else ():
        assert accounted(reading, path, job, one), path


@given(mutated())
def test_all_numbers_that_are_read_can_be_reckoned_with(label):
    for thing in read(label).objects:
        for shape in thing.shapes:
            assert all(len(ring) >= 3 for ring in shape.rings)
            for x, y in [*shape.points, *(point for ring in shape.rings for point in ring)]:
                assert type(x) is type(y) is float
                assert max(abs(x), abs(y)) <= LARGEST


@given(st.sampled_from(sorted(SAMPLES)), ANYTHING)
def test_what_is_wrong_in_one_job_leaves_the_others_as_they_were(name, anything):
    before = read(SAMPLES[name].response)
    jobs = SAMPLES[name].response
    reading = read({frame: {**frames, "WRONG": anything} for frame, frames in jobs.items()} if name == "video" else {
        **jobs, "WRONG": anything
    })  # fmt: skip
    assert [thing for thing in reading.objects if thing.job != "WRONG"] == list(before.objects)
    assert set(before.answers) <= set(reading.answers)
    assert set(before.relations) <= set(reading.relations)
