"""What has to be there."""

from __future__ import annotations

import pytest
from cases import InMemory, found, frames, objects, ruleset, told, unchecked, verdict
from labels import FACE, SAMPLES, classified, drawing, job, pose, rectangle, transcription

# Jobs


REQUIRED = {
    "JOB_0": drawing("rectangle") | {"required": 1},
    "VERDICT": job("CLASSIFICATION", {"YES": {}, "NO": {}}, required=1),
    "COMMENT": transcription(),
    "WHY": job("CLASSIFICATION", {"A": {}}, child=True, required=1),
    "HIDDEN": drawing("marker") | {"required": 1, "isVisible": False},
}


def test_jobs_that_the_interface_requires_have_to_be_answered():
    assert told("check: required_jobs", objects(rectangle(), VERDICT=classified("YES")), jobs=REQUIRED) == []
    assert told("check: required_jobs", objects(rectangle()), jobs=REQUIRED) == [(None, "VERDICT is not answered")]
    assert told("check: required_jobs", {}, jobs=REQUIRED) == [
        (None, "JOB_0 is not answered"),
        (None, "VERDICT is not answered"),
    ]


def test_jobs_that_the_rule_names_are_required_whatever_the_interface_says():
    rule = "check: required_jobs\nparameters: {jobs: COMMENT}"
    case = InMemory({"COMMENT": {"text": ""}}, jobs=REQUIRED)
    assert [finding.text for finding in ruleset(rule).find(case).findings] == ["COMMENT is not answered"]
    assert case.asked == []
    assert told(rule, {"COMMENT": {"text": "fine"}}) == []


def test_answer_in_one_frame_of_a_video_is_one():
    assert told("check: required_jobs\nparameters: {jobs: JOB_0}", frames(f1=[], f9=[rectangle()])) == []


@pytest.mark.parametrize("label", [{"COMMENT": {"text": "  "}}, {"0": {"COMMENT": {"text": " "}}, "1": {}}])
def test_blank_text_is_no_answer(label):
    rule = "check: required_jobs\nparameters: {jobs: COMMENT}"
    assert told(rule, label) == [(None, "COMMENT is not answered")]
    assert told(rule, {**label, "2": {"COMMENT": {"text": "x"}}} if "0" in label else {"COMMENT": {"text": "x"}}) == []


@pytest.mark.parametrize("check", ["required_jobs", "required_children", "pose"])
def test_interface_that_kili_does_not_give_is_told(check):
    label = objects(rectangle(), pose("p", "FACE", {"NOSE": (0.5, 0.5)}))
    assert "no interface" in unchecked(f"check: {check}", label)


@pytest.mark.parametrize("check", ["required_jobs", "required_children", "pose"])
@pytest.mark.parametrize(
    "jobs", [[], "x", {"JOB_0": None}, {"JOB_0": {"content": 1}}, {"JOB_0": {"content": {"categories": []}}}]
)
def test_interface_that_is_malformed_requires_nothing(check, jobs):
    case = InMemory(objects(rectangle(), pose("p", "FACE", {"NOSE": (0.5, 0.5)})))
    case._project = type(case._project)(id="project-1", input_type="IMAGE", interface={"jobs": jobs})
    findings, why, _ = ruleset(f"check: {check}").find(case)
    assert findings == []
    assert "failed" not in why.values()


@pytest.mark.parametrize(
    "rule", ["check: required_jobs\nparameters: {jobs: JOB_0}", "check: required_children\nparameters: {jobs: PLATE}"]
)
def test_nothing_is_missing_for_certain_in_a_label_that_could_not_all_be_read(rule):
    label = {
        "JOB_0": {"annotations": [{"type": "rectangle", "boundingPoly": 3}]},
        "JOB_1": {"annotations": [rectangle()]},
    }
    assert "could not be read" in unchecked(rule, label)


# Child jobs


CHILDREN = {
    "JOB_0": drawing("rectangle", CAR={"children": ["PLATE", "COLOUR"]}, TREE={}),
    "PLATE": transcription(child=True) | {"required": 1},
    "COLOUR": job("CLASSIFICATION", {"RED": {"children": ["SHADE"]}}, child=True),
    "SHADE": job("CLASSIFICATION", {"DARK": {}}, child=True, required=1),
}


def test_child_jobs_that_the_interface_requires_have_to_be_answered_on_each_object():
    read = rectangle("a", children={"PLATE": {"text": "FR 76"}})
    assert told("check: required_children", objects(read, rectangle("t", "TREE")), jobs=CHILDREN) == []
    blank = rectangle("b", children={"PLATE": {"text": " "}})
    assert told("check: required_children", objects(read, blank, rectangle("c")), jobs=CHILDREN) == [
        ("b", "CAR: PLATE is not answered"),
        ("c", "CAR: PLATE is not answered"),
    ]


def test_child_job_of_a_classification_on_an_object_is_told_on_the_object():
    plate = {"PLATE": {"text": "FR 76"}}
    shaded = rectangle("a", children={**plate, "COLOUR": classified("RED", SHADE=classified("DARK"))})
    bare = rectangle("b", children={**plate, "COLOUR": classified("RED")})
    assert told("check: required_children", objects(shaded, bare), jobs=CHILDREN) == [
        ("b", "RED: SHADE is not answered")
    ]


def test_child_job_of_a_classification_of_the_asset():
    rule = "check: required_children\nscope: {job: VERDICT, category: YES}\nparameters: {jobs: WHY}"
    assert told(rule, SAMPLES["classification"].response) == []
    assert told(rule, SAMPLES["classification of old"].response) == []
    assert told(rule, {"VERDICT": classified("NO")}) == []
    assert told(rule, {"VERDICT": classified("YES")}) == [(None, "YES: WHY is not answered")]


def test_child_jobs_that_the_rule_names_are_required_of_the_scope_alone():
    rule = "check: required_children\nscope: {category: CAR}\nparameters: {jobs: [PLATE, COLOUR]}"
    label = objects(rectangle("a", children={"PLATE": {"text": "x"}}), rectangle("t", "TREE"))
    assert told(rule, label) == [("a", "CAR: COLOUR is not answered")]


WHY = "check: required_children\nparameters: {jobs: WHY}"


def test_child_job_of_one_category_is_none_of_another():
    answered, other = classified("A", WHY={"text": "x"})["categories"], classified("B")["categories"]
    assert told(WHY, {"KIND": {"categories": answered + other}}) == [(None, "B: WHY is not answered")]
    assert (
        told(WHY.replace("parameters", "scope: {category: A}\nparameters"), {"KIND": {"categories": answered + other}})
        == []
    )
    assert told(WHY, {"KIND": {"categories": answered + other, "children": {"WHY": {"text": "x"}}}}) == []


def test_child_job_on_one_page_is_none_on_another():
    def page(number, **children):
        return {**classified("A", **children), "pageNumberArray": [number], "mid": f"page-{number}"}

    (finding,) = found(WHY, objects(page(1, WHY={"text": "x"}), page(2), job="KIND"))
    assert (finding.text, finding.subject) == ("A: WHY is not answered", "KIND/A/WHY/2")


def test_child_job_of_several_categories_of_an_object_is_one():
    two = {**rectangle("a", children={"WHY": {"text": "x"}}), "categories": classified("A", "B")["categories"]}
    assert told(WHY, objects(two)) == []
    assert told(WHY, objects({**two, "children": {}})) == [
        ("a", "A: WHY is not answered"),
        ("a", "B: WHY is not answered"),
    ]


def test_child_job_may_be_nested_deeper():
    nested = rectangle("a", children={"STATE": classified("OLD", WHY={"text": "x"})})
    assert told(WHY.replace("parameters", "scope: {job: JOB_0}\nparameters"), objects(nested)) == []


def test_object_without_a_mid_is_told_on_the_label():
    rule = "check: required_children\nparameters: {jobs: PLATE}"
    assert told(rule, objects({**rectangle(), "mid": None})) == [(None, "CAR: PLATE is not answered")]


def test_answer_in_one_frame_counts_for_the_whole_track():
    rule = "check: required_children\nparameters: {jobs: PLATE}"
    label = frames(f1=[rectangle("a")], f2=[rectangle("a", children={"PLATE": {"text": "x"}})], f3=[rectangle("b")])
    assert told(rule, label) == [("b", "CAR: PLATE is not answered")]


@pytest.mark.parametrize("children", [None, [], "x", {"PLATE": None}, {"PLATE": {"text": 7}}, {"PLATE": []}])
def test_malformed_children_never_fail(children):
    findings, why, _ = verdict(
        "check: required_children\nparameters: {jobs: PLATE}",
        objects(rectangle("a", children=children) | {"children": children}),
    )
    assert len(findings) + len(why) == 1
    assert "failed" not in why.values()


# Poses


def test_pose_with_all_its_points_is_complete():
    rule = "check: pose\nscope: {category: FACE}\nparameters: {points: [NOSE, LEFT_EYE]}"
    assert told(rule, SAMPLES["poses"].response) == []
    assert told("check: pose\nparameters: {points: NOSE}", objects(rectangle())) == []


def test_points_that_are_missing_are_told_on_the_pose():
    label = SAMPLES["poses"].response
    rule = "check: pose\nparameters: {points: [NOSE, TAIL, LEFT_EYE, RIGHT_EYE]}"
    assert told(rule, label) == [("pose-1", "FACE without TAIL, RIGHT_EYE")]


def test_points_come_from_the_interface_when_the_rule_names_none():
    label = SAMPLES["poses"].response
    assert told("check: pose", label, jobs=SAMPLES["poses"].jobs) == [("pose-1", "FACE without RIGHT_EYE")]
    points = [{**point, "mandatory": point["code"] != "RIGHT_EYE"} for point in FACE["points"]]
    assert told("check: pose", label, jobs={"POSES": drawing("pose", FACE={"points": points})}) == []


def test_each_frame_needs_all_points():
    whole, half = (pose("p", "FACE", dict.fromkeys(codes, (0.5, 0.5))) for codes in (["A", "B"], ["B"]))
    rule = "check: pose\nparameters: {points: [A, B]}"
    assert told(rule, frames(f1=[whole], f2=[half], f3=[half])) == [("p", "FACE without A in frame 2, wrong in 1 more")]


def test_pose_without_any_point_is_without_all():
    unplaced = pose("p", "FACE", {"NOSE": (0.5, 0.5)})
    unplaced["points"][0]["point"] = None
    assert told("check: pose\nparameters: {points: NOSE}", objects(unplaced)) == [("p", "FACE without NOSE")]


@pytest.mark.parametrize("points", [None, 7, [None], [{"code": 3, "point": {}}], [{"point": {"x": 1, "y": 1}}]])
def test_malformed_pose_is_not_called_incomplete(points):
    label = objects({**pose("p", "FACE", {}), "points": points})
    findings, why, _ = verdict("check: pose\nparameters: {points: NOSE}", label)
    assert findings == []
    assert "failed" not in why.values()
