"""The answers, relations and jobs of a label."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from cases import reading_of
from labels import (
    BEYOND_THE_SDK,
    HOLE,
    OUTER,
    RESPONSES,
    TRIANGLE,
    classified,
    polygon,
    pose,
    rectangle,
    relation,
    semantic,
    tracked,
)

from annohooks.kili.api import llm_labels
from annohooks.kili.label.model import Answer, Fault, Reading, Relation
from annohooks.kili.label.reader import read

# Answers


def test_child_jobs_are_within_the_category_they_belong_to():
    why, note = "VERDICT.categories[0].children.WHY", "categories[1].children.NOTE"
    assert read(RESPONSES["classification"]).answers == (
        Answer(job="VERDICT", path="VERDICT", categories=("YES",)),
        Answer(job="WHY", path=why, categories=("OTHER", "NEWS"), within=("VERDICT", "YES")),
        Answer(job="NOTE", path=f"{why}.{note}", text="read it", within=("VERDICT", "YES", "WHY", "NEWS")),
    )


@pytest.mark.parametrize(("names", "within"), [(["YES"], ("V", "YES")), (["YES", "NO"], ("V",))])
def test_child_jobs_of_a_whole_response_are_within_its_only_category(names, within):
    _, answer = read({"V": {**classified(*names), "children": {"WHY": classified("NEWS")}}}).answers
    assert (answer.job, answer.categories, answer.within) == ("WHY", ("NEWS",), within)


def test_child_jobs_of_an_object_are_about_it():
    colour, shade, plate = read(RESPONSES["rectangles"]).answers
    assert (colour.of, colour.within, colour.categories) == ("box-1", ("JOB_0", "CAR"), ("RED", "BLUE"))
    assert (shade.of, shade.within) == ("box-1", ("JOB_0", "CAR", "COLOUR", "BLUE"))
    assert (plate.of, plate.within, plate.text) == ("box-1", ("JOB_0", "CAR"), "FR 76")
    (gender,) = read(RESPONSES["entities"]).answers
    assert (gender.of, gender.within, gender.categories) == ("noun-1", ("ENTITIES", "NOUN"), ("F",))
    (words,) = read(BEYOND_THE_SDK["range"]).answers
    assert (words.of, words.text) == ("range-1", "hello")


def test_child_jobs_of_an_object_without_a_mid_are_about_its_path():
    (answer,) = reading_of({**rectangle(children={"PLATE": {"text": "FR"}}), "mid": None}).answers
    assert answer.of == "JOB_0.annotations[0]"


def test_child_jobs_of_a_point_of_a_pose_are_within_its_code():
    children = {"LEFT_EYE": {"OPEN": classified("YES")}}
    (answer,) = reading_of(pose("m", "FACE", {"LEFT_EYE": (0, 0)}, children)).answers
    assert (answer.of, answer.within, answer.categories) == ("m", ("JOB_0", "FACE", "LEFT_EYE"), ("YES",))


def test_answer_that_every_piece_of_an_object_repeats_is_read_once():
    pieces = [
        semantic("m", "CAR", ring) | {"children": {"PLATE": {"text": plate}}}
        for ring, plate in ((OUTER, "FR"), (TRIANGLE, "FR"), (HOLE, "DE"))
    ]
    assert [answer.text for answer in reading_of(*pieces).answers] == ["FR", "DE"]


@pytest.mark.parametrize(
    ("response", "categories", "text"),
    [
        (BEYOND_THE_SDK["comparison"], ("MUCH_BETTER",), None),
        (BEYOND_THE_SDK["ranking"], ("a", "c", "b"), None),
        ({"RANKS": {"orders": [{"rank": "2", "elements": ["b"]}, {"rank": "1", "elements": ["a"]}]}}, ("a", "b"), None),
        (RESPONSES["file"], (), "report.pdf"),
        ({"REPORT": {"fileId": "f-1"}}, (), "f-1"),
        (BEYOND_THE_SDK["asset annotation"], ("GOOD",), None),
    ],
)
def test_other_kinds_of_jobs_are_answered_with_categories_or_a_text(response, categories, text):
    (answer,) = read(response).answers
    assert (answer.categories, answer.text, answer.of, answer.page) == (categories, text, None, None)


def test_transcription_is_a_text_and_a_job_with_an_empty_text_is_empty():
    reading = read(RESPONSES["transcription"])
    texts = {answer.job: answer.text for answer in reading.answers}
    assert texts == {"TEXT": "a\nb", "DATE": "2026-11-21", "NUMBER": ""}
    assert reading.jobs == {"TEXT", "DATE"}


def test_answers_on_pages_have_a_page():
    reading = read(BEYOND_THE_SDK["pages"])
    assert [(answer.job, answer.categories, answer.text, answer.page) for answer in reading.answers] == [
        ("PAGE_KIND", ("COVER",), None, 1),
        ("PAGE_TEXT", (), "Contents", 2),
    ]
    assert reading.jobs == {"PAGE_KIND", "PAGE_TEXT"}


# Chats


def chat(*answers: tuple[str, str, str | None, list[list[str]]]) -> Any:
    """The jsonResponse of a chat. answers: job, category (in capitals) or text, id of the chat item, and path."""
    return llm_labels.json_response(
        [
            {"id": str(number), "job": job, "chatItemId": chat_item, "path": path, "labelId": "l"}
            | (
                {"__typename": "ClassificationAnnotation", "annotationValue": {"categories": [value]}}
                if value.isupper()
                else {"__typename": "TranscriptionAnnotation", "annotationValue": {"text": value}}
            )
            for number, (job, value, chat_item, path) in enumerate(answers)
        ]
    )


def test_answers_about_chat_items_name_the_item():
    reading = read(
        chat(
            ("RATING", "GOOD", "turn-1", []),
            ("RATING", "BAD", "turn-2", []),
            ("WHY", "too long", "turn-2", [["1", "BAD"]]),
            ("NOTE", "fine", "turn-1", []),
            ("NOTE", "curt", "turn-2", []),
            ("VERDICT", "SAFE", None, []),
        )
    )
    assert [(answer.job, answer.of, answer.categories or answer.text, answer.within) for answer in reading.answers] == [
        ("RATING", "turn-1", ("GOOD",), ()),
        ("RATING", "turn-2", ("BAD",), ()),
        ("WHY", "turn-2", "too long", ("RATING", "BAD")),
        ("NOTE", "turn-1", "fine", ()),
        ("NOTE", "turn-2", "curt", ()),
        ("VERDICT", None, ("SAFE",), ()),
    ]
    assert (reading.jobs, reading.faults) == ({"RATING", "NOTE", "VERDICT"}, ())


def test_answer_about_the_whole_chat_is_beside_those_about_its_items():
    reading = read(chat(("RATING", "GOOD", None, []), ("RATING", "BAD", "turn-2", [])))
    assert [(answer.of, answer.categories) for answer in reading.answers] == [(None, ("GOOD",)), ("turn-2", ("BAD",))]


def test_answer_of_an_unknown_kind_is_a_fault_and_the_others_are_read():
    ranking = {"__typename": "RankingAnnotation", "id": "1", "job": "RANKS", "path": [], "labelId": "l"}
    note = ranking | {"__typename": "TranscriptionAnnotation", "job": "NOTE", "annotationValue": {"text": "x"}}
    reading = read(llm_labels.json_response([ranking, note]))
    assert reading.jobs == {"NOTE"}
    assert reading.faults == (Fault("RANKS", "without an answer to a job"),)


def test_repeated_answers_of_a_chat_do_not_multiply_with_every_level():
    path: list[list[str]] = []
    annotations = []
    for level in range(40):
        annotations += 2 * [
            {"__typename": "ClassificationAnnotation", "id": str(level), "job": "J", "path": list(path)}
            | {"annotationValue": {"categories": ["A", "A"]}}
        ]
        path.append([str(level), "A"])
    levels, response = 0, llm_labels.json_response(annotations)
    while response:
        first, second = response["J"]["categories"]
        assert "children" not in second
        levels, response = levels + 1, first.get("children")
    assert levels == 40


@pytest.mark.parametrize("malformed", [7, None, ["x"]])
def test_malformed_answer_about_a_chat_item_is_a_fault(malformed):
    reading = read({"J": {**classified("A"), "chatItems": [malformed, {"chatItemId": "i", **classified("B")}]}})
    assert [(answer.of, answer.categories) for answer in reading.answers] == [("i", ("B",))]
    assert [fault.path for fault in reading.faults] == ["J.chatItems[0]"]


# Relations


@pytest.mark.parametrize(
    ("name", "start", "end", "category"),
    [("entities", "noun-1", "verb-1", "SUBJECT_OF"), ("relations of objects", "box-1", "box-2", "BESIDE")],
)
def test_relation_has_the_mids_of_its_ends(name, start, end, category):
    (found,) = read(RESPONSES[name]).relations
    path, mid = "TIES.annotations[0]", "tie-1"
    assert found == Relation(job="TIES", path=path, mid=mid, categories=(category,), starts=(start,), ends=(end,))


def test_relation_may_lack_an_end():
    reading = reading_of({"startEntities": [{"mid": "a"}, {"mid": "b"}], "categories": [{"name": "T"}], "mid": "m"})
    assert (reading.relations[0].starts, reading.relations[0].ends, reading.faults) == (("a", "b"), (), ())


def test_relation_on_several_frames_is_one():
    ends = ["b", "b", "c"]
    frames = {str(n): {"TIES": {"annotations": [relation("m", "T", ["a"], [end])]}} for n, end in enumerate(ends)}
    (found,) = read(frames).relations
    assert (found.starts, found.ends, found.path) == (("a",), ("b", "c"), "0.TIES.annotations[0]")


def test_relation_with_many_ends_is_read():
    (found,) = reading_of(*(relation("t", f"C{n}", [f"s{n}"], [f"e{n}"]) for n in range(20_000))).relations
    assert len(found.categories) == len(found.starts) == len(found.ends) == 20_000


# Videos


def test_answers_in_a_video_have_a_frame():
    reading = read(RESPONSES["video"])
    assert [(answer.job, answer.frame, answer.of) for answer in reading.answers] == [
        ("PLATE", 1, "car-a"),
        ("PLATE", 1, "car-b"),
        ("SCENE", 1, None),
        ("SCENE", 2, None),
    ]
    assert reading.jobs == {"JOB_0", "SCENE"}


def test_answers_about_a_whole_video_have_no_frame():
    reading = read(BEYOND_THE_SDK["video with answers on the whole"])
    expected = {("assetLevel.VERDICT", None), ("assetLevel.REPORT", None)}
    assert {(answer.path, answer.frame) for answer in reading.answers} == expected
    assert [obj.shapes[0].frame for obj in reading.objects] == [1]


def test_job_beside_the_frames_is_about_the_whole_video():
    frames = {"0": {}, "1": tracked(1, True, ("a", 0.1))}
    reading = read({**frames, "SCENE": classified("DAY")})
    assert reading.objects == read(frames).objects
    assert reading.answers == (Answer(job="SCENE", path="SCENE", categories=("DAY",)),)
    assert (reading.jobs, reading.faults) == ({"JOB_0", "SCENE"}, ())


def test_frames_and_jobs_named_by_numbers_are_told_apart():
    jobs = read({"1": {"annotations": [polygon()]}, "2": classified("YES"), "3": {"text": "x"}})
    assert (jobs.jobs, jobs.faults, jobs.objects[0].shapes[0].frame) == ({"1", "2", "3"}, (), None)
    frame = read({"7": {"annotations": {"annotations": [polygon()]}, "text": classified("YES")}})
    assert (frame.jobs, frame.objects[0].shapes[0].frame) == ({"annotations", "text"}, 7)


# The whole label


def test_label_may_be_json_text():
    for response in RESPONSES.values():
        assert read(json.dumps(response)) == read(json.dumps(response).encode()) == read(response)


def test_pseudo_jobs_are_ignored():
    reading = read(RESPONSES["pseudo-jobs"])
    assert (reading.jobs, reading.answers, len(reading.objects)) == ({"JOB_0"}, (), 1)
    video = {**RESPONSES["video"], "ANNOTATION_JOB_COUNTER": {"JOB_0": {"CAR": 2}}}
    assert read(video) == read(RESPONSES["video"])


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("name", ["rectangles", "video"])
def test_rotation_does_not_change_the_coordinates(name, rotation):
    reading = read({**RESPONSES[name], "ROTATION_JOB": {"rotation": rotation}})
    assert reading == msgspec.structs.replace(read(RESPONSES[name]), rotation=rotation)


def test_jobs_without_an_answer_and_child_jobs_are_not_among_the_jobs():
    empty: dict[str, Any] = {"A": {}, "B": {"annotations": []}, "C": {"categories": []}, "D": {"text": ""}, "E": None}
    empty |= {"F": {"annotations": None, "categories": None, "text": None, "children": None}, "G": {"text": " \n"}}
    reading = read(empty)
    assert (reading.jobs, reading.objects, reading.faults) == (frozenset(), (), ())
    assert read(RESPONSES["rectangles"]).jobs == {"JOB_0"}


def test_objects_and_relations_of_a_child_job_do_not_add_it_to_the_jobs():
    child = {"CHILD": {"annotations": [polygon("p"), relation("r", "T", ["a"], ["b"])]}}
    reading = reading_of(rectangle(children=child))
    assert [obj.job for obj in reading.objects] == ["JOB_0", "CHILD"]
    assert [found.job for found in reading.relations] == ["CHILD"]
    assert reading.jobs == {"JOB_0"}


def test_empty_annotation_is_skipped():
    assert reading_of({}) == Reading()
