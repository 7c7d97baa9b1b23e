"""required_jobs, required_children and pose: what a label must contain."""

from __future__ import annotations

import pytest
from cases import InMemory, findings, frames, objects, reported, ruleset, unchecked, verdict
from labels import FACE, SAMPLES, classified, drawing, job, pose, rectangle, transcription

INTERFACE = {
    "JOB_0": drawing("rectangle") | {"required": 1},
    "VERDICT": job("CLASSIFICATION", {"YES": {}, "NO": {}}, required=1),
    "COMMENT": transcription(),
    "WHY": job("CLASSIFICATION", {"A": {}}, child=True, required=1),
    "HIDDEN": drawing("marker") | {"required": 1, "isVisible": False},
}


def jobs(*names: str) -> str:
    return f"check: required_jobs\nparameters: {{jobs: [{', '.join(names)}]}}"


def children(names: str, scope: str = "") -> str:
    return f"check: required_children\nscope: {{{scope}}}\nparameters: {{jobs: [{names}]}}"


# Jobs


@pytest.mark.parametrize(
    ("response", "missing"),
    [
        (objects(rectangle(), VERDICT=classified("YES")), []),
        (objects(rectangle()), ["VERDICT"]),
        ({}, ["JOB_0", "VERDICT"]),
    ],
)
def test_visible_jobs_that_the_interface_requires_have_to_be_answered(response, missing):
    expected = [(None, f"{name} is not answered") for name in missing]
    assert reported("check: required_jobs", response, jobs=INTERFACE) == expected


def test_jobs_that_the_rule_names_are_required_and_kili_is_not_asked():
    case = InMemory({"COMMENT": {"text": ""}}, jobs=INTERFACE)
    assert [finding.text for finding in ruleset(jobs("COMMENT")).find(case).findings] == ["COMMENT is not answered"]
    assert case.requests == []


def test_one_frame_of_a_video_is_enough():
    assert reported(jobs("JOB_0"), frames(f1=[], f9=[rectangle()])) == []


@pytest.mark.parametrize(
    ("blank", "answered"),
    [
        ({"COMMENT": {"text": "  "}}, {"COMMENT": {"text": "x"}}),
        (
            {"0": {"COMMENT": {"text": " "}}, "1": {}},
            {"0": {"COMMENT": {"text": " "}}, "1": {"COMMENT": {"text": "x"}}},
        ),
    ],
)
def test_blank_text_is_no_answer(blank, answered):
    assert reported(jobs("COMMENT"), blank) == [(None, "COMMENT is not answered")]
    assert reported(jobs("COMMENT"), answered) == []


@pytest.mark.parametrize("check", ["required_jobs", "required_children", "pose"])
def test_rule_without_names_is_unchecked_without_an_interface_and_survives_a_malformed_one(check):
    label = objects(rectangle(), pose("p", "FACE", {"NOSE": (0.5, 0.5)}))
    assert "no interface" in unchecked(f"check: {check}", label)
    for malformed in ([], "x", {"JOB_0": None}, {"JOB_0": {"content": 1}}, {"JOB_0": {"content": {"categories": []}}}):
        found, reasons, _ = verdict(f"check: {check}", label, jobs=malformed)
        assert found == []
        assert "failed" not in reasons.values()


@pytest.mark.parametrize("rule", [jobs("JOB_0"), children("PLATE")])
def test_missing_answer_may_be_in_a_part_that_could_not_be_read(rule):
    unreadable = {"type": "rectangle", "boundingPoly": 3}
    assert "could not be read" in unchecked(rule, objects(unreadable, JOB_1={"annotations": [rectangle()]}))


# Child jobs


CHILDREN = {
    "JOB_0": drawing("rectangle", CAR={"children": ["PLATE", "COLOUR"]}, TREE={}),
    "PLATE": transcription(child=True) | {"required": 1},
    "COLOUR": job("CLASSIFICATION", {"RED": {"children": ["SHADE"]}}, child=True),
    "SHADE": job("CLASSIFICATION", {"DARK": {}}, child=True, required=1),
}
PLATE = {"PLATE": {"text": "FR 76"}}
WHY = {"WHY": {"text": "x"}}


def test_child_jobs_that_the_interface_requires_have_to_be_answered_on_each_object():
    read, blank, bare = (
        rectangle("a", children=PLATE),
        rectangle("b", children={"PLATE": {"text": " "}}),
        rectangle("c"),
    )
    rule = "check: required_children"
    assert reported(rule, objects(read, rectangle("t", "TREE")), jobs=CHILDREN) == []
    expected = [(mid, "CAR: PLATE is not answered") for mid in "bc"]
    assert reported(rule, objects(read, blank, bare), jobs=CHILDREN) == expected


def test_child_job_of_a_classification_on_an_object_is_reported_on_the_object():
    shaded = rectangle("a", children={**PLATE, "COLOUR": classified("RED", SHADE=classified("DARK"))})
    bare = rectangle("b", children={**PLATE, "COLOUR": classified("RED")})
    expected = [("b", "RED: SHADE is not answered")]
    assert reported("check: required_children", objects(shaded, bare), jobs=CHILDREN) == expected


@pytest.mark.parametrize(
    ("response", "missing"),
    [
        (SAMPLES["classification"].response, []),
        (SAMPLES["classification of old"].response, []),
        ({"VERDICT": classified("NO")}, []),
        ({"VERDICT": classified("YES")}, [(None, "YES: WHY is not answered")]),
    ],
)
def test_child_job_of_a_classification_of_the_asset(response, missing):
    assert reported(children("WHY", "job: VERDICT, category: YES"), response) == missing


def test_child_jobs_that_the_rule_names_are_required_in_the_scope_only():
    label = objects(rectangle("a", children=PLATE), rectangle("t", "TREE"))
    assert reported(children("PLATE, COLOUR", "category: CAR"), label) == [("a", "CAR: COLOUR is not answered")]


def test_child_job_of_one_category_does_not_answer_for_another():
    categories = classified("A", **WHY)["categories"] + classified("B")["categories"]
    label = {"KIND": {"categories": categories}}
    assert reported(children("WHY"), label) == [(None, "B: WHY is not answered")]
    assert reported(children("WHY", "category: A"), label) == []
    assert reported(children("WHY"), {"KIND": {"categories": categories, "children": WHY}}) == []


def test_child_job_on_one_page_does_not_answer_for_another():
    pages = [
        {**classified("A", **answers), "pageNumberArray": [number], "mid": f"page-{number}"}
        for number, answers in ((1, WHY), (2, {}))
    ]
    (finding,) = findings(children("WHY"), objects(*pages, job="KIND"))
    assert (finding.text, finding.subject) == ("A: WHY is not answered", "KIND/A/WHY/2")


def test_child_job_of_an_object_answers_for_all_its_categories():
    two = {**rectangle("a", children=WHY), "categories": classified("A", "B")["categories"]}
    assert reported(children("WHY"), objects(two)) == []
    expected = [("a", f"{category}: WHY is not answered") for category in "AB"]
    assert reported(children("WHY"), objects({**two, "children": {}})) == expected


def test_child_job_may_be_nested_deeper():
    nested = rectangle("a", children={"STATE": classified("OLD", **WHY)})
    assert reported(children("WHY", "job: JOB_0"), objects(nested)) == []


def test_object_without_a_mid_is_reported_on_the_label_and_one_without_categories_by_its_job():
    label = objects({**rectangle(), "mid": None}, {**rectangle("b"), "categories": []})
    expected = [(None, "CAR: PLATE is not answered"), ("b", "JOB_0: PLATE is not answered")]
    assert reported(children("PLATE"), label) == expected


def test_answer_in_one_frame_is_enough_for_a_track():
    label = frames(f1=[rectangle("a")], f2=[rectangle("a", children=PLATE)], f3=[rectangle("b")])
    assert reported(children("PLATE"), label) == [("b", "CAR: PLATE is not answered")]


# Poses


def points(*codes: str) -> str:
    return f"check: pose\nparameters: {{points: [{', '.join(codes)}]}}"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (points("NOSE", "LEFT_EYE"), []),
        (points("NOSE", "TAIL", "LEFT_EYE", "RIGHT_EYE"), [("pose-1", "FACE without TAIL, RIGHT_EYE")]),
        ("check: pose", [("pose-1", "FACE without RIGHT_EYE")]),
    ],
)
def test_pose_needs_the_points_of_the_rule_or_else_of_the_interface(rule, expected):
    assert reported(rule, SAMPLES["poses"].response, jobs=SAMPLES["poses"].jobs) == expected


def test_points_that_are_not_mandatory_may_be_missing():
    optional = [{**point, "mandatory": point["code"] != "RIGHT_EYE"} for point in FACE["points"]]
    interface = {"POSES": drawing("pose", FACE={"points": optional})}
    assert reported("check: pose", SAMPLES["poses"].response, jobs=interface) == []


def test_each_frame_needs_all_points():
    whole, half = (pose("p", "FACE", dict.fromkeys(codes, (0.5, 0.5))) for codes in ("AB", "B"))
    expected = [("p", "FACE without A in frame 2 and 1 more frame")]
    assert reported(points("A", "B"), frames(f1=[whole], f2=[half], f3=[half])) == expected


def test_pose_without_any_point_lacks_all_and_other_tools_need_none():
    unplaced = pose("p", "FACE", {"NOSE": (0.5, 0.5)})
    unplaced["points"][0]["point"] = None
    placed = pose("q", "FACE", {"NOSE": (0.5, 0.5)})
    assert reported(points("NOSE"), objects(unplaced, placed, rectangle())) == [("p", "FACE without NOSE")]
