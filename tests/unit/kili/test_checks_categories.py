"""exclusive and co_required: the categories that are used together."""

from __future__ import annotations

from cases import findings, frames, objects, reported, unchecked
from labels import OUTER, classified, drawn_on_page, rectangle

CAR, TREE, WHEEL, DOOR = rectangle("a"), rectangle("b", "TREE"), rectangle("b", "WHEEL"), rectangle("c", "DOOR")
ONLY_ONE = "CAR, TREE: only one of these is accepted"


def exclusive(categories: str = "CAR, TREE", per: str = "asset", scope: str = "{}") -> str:
    return f"check: exclusive\nscope: {scope}\nparameters: {{categories: [{categories}], per: {per}}}"


def test_one_of_the_categories_is_accepted_any_number_of_times():
    assert reported(exclusive(), objects(CAR, rectangle("b"), rectangle("c", "DOG"))) == []


def test_categories_used_together_in_an_asset_are_reported_on_the_label():
    assert reported(exclusive(), objects(CAR, TREE)) == [(None, ONLY_ONE)]


def test_classifications_count_like_objects_unless_the_scope_excludes_them():
    label = objects(CAR, SCENE=classified("EMPTY"))
    assert reported(exclusive("EMPTY, CAR"), label) == [(None, "EMPTY, CAR: only one of these is accepted")]
    assert reported(exclusive("EMPTY, CAR", scope="{job: JOB_0}"), label) == []


def test_categories_used_together_on_an_object_are_reported_on_it():
    new, new_and_dented, dented = (
        rectangle(mid, children={"STATE": classified(*states)})
        for mid, states in (("a", ["NEW"]), ("b", ["NEW", "DENTED"]), ("c", ["DENTED"]))
    )
    rule = exclusive("NEW, DENTED", per="object")
    assert reported(rule, objects(new, new_and_dented)) == [("b", "NEW, DENTED: only one of these is accepted")]
    assert reported(rule, objects(new, dented)) == []


def test_each_frame_is_checked_by_itself():
    label = frames(f1=[CAR], f2=[TREE], f3=[CAR, TREE])
    assert reported(exclusive(per="frame"), label) == [(None, f"{ONLY_ONE} in frame 3")]
    assert reported(exclusive(), label) == [(None, ONLY_ONE)]


def test_each_page_is_checked_by_itself():
    def pages(car, tree):
        return objects(drawn_on_page("a", "CAR", car, OUTER), drawn_on_page("b", "TREE", tree, OUTER))

    assert reported(exclusive(per="page"), pages(1, 2)) == []
    assert reported(exclusive(per="page"), pages(2, 2)) == [(None, f"{ONLY_ONE} on page 2")]


def test_classification_on_many_frames_is_reported_once():
    rule = exclusive("DAY, NIGHT", per="object")
    video = {"0": {"SCENE": classified("DAY")}, "1": {"SCENE": classified("NIGHT")}}
    assert reported(rule, video) == []
    video |= {str(frame): {"SCENE": classified("DAY", "NIGHT")} for frame in range(5, 1205)}
    (finding,) = findings(rule, video)
    assert (finding.subject, finding.mid) == ("SCENE", None)
    assert finding.text == "DAY, NIGHT: only one of these is accepted in frame 5 and 1199 more frames"
    video["assetLevel"] = {"SCENE": classified("DAY", "NIGHT")}
    assert [finding.subject for finding in findings(rule, video)] == ["SCENE"]


def test_classification_of_a_page_has_the_same_subject_at_any_index():
    def page(number, *names):
        return {**classified(*names), "pageNumberArray": [number], "mid": f"page-{number}"}

    rule = exclusive("DAY, NIGHT", per="object")
    first = findings(rule, objects(page(2, "DAY", "NIGHT"), job="KIND"))
    second = findings(rule, objects(page(1, "DAY"), page(2, "DAY", "NIGHT"), job="KIND"))
    assert first == second != []


def needs(when: str = "CAR", requires: str = "WHEEL, DOOR", per: str = "asset") -> str:
    return f"check: co_required\nparameters: {{when: {when}, requires: [{requires}], per: {per}}}"


def test_categories_with_those_they_need_are_accepted():
    assert reported(needs(), objects(CAR, WHEEL, DOOR)) == []
    assert reported(needs(), objects(WHEEL)) == []


def test_categories_without_those_they_need_are_reported():
    assert reported(needs(), objects(CAR, WHEEL)) == [(None, "CAR without DOOR")]


def test_each_object_may_need_a_category():
    label = objects(rectangle("a", children={"STATE": classified("PARKED")}), rectangle("b"))
    assert reported(needs(requires="PARKED", per="object"), label) == [("b", "CAR without PARKED")]


def test_each_frame_may_need_a_category():
    label = frames(f1=[CAR, WHEEL, DOOR], f2=[CAR], f3=[CAR, WHEEL])
    assert reported(needs(per="frame"), label) == [(None, "CAR without WHEEL, DOOR in frame 2 and 1 more frame")]


def test_needed_category_may_be_in_a_part_that_could_not_be_read():
    assert "could not be read" in unchecked(needs(), objects(CAR, {"type": "marker"}))
