"""Which categories may stand together, and which have to."""

from __future__ import annotations

import pytest
from cases import found, frames, objects, told, unchecked
from labels import OUTER, classified, drawn_on_page, rectangle

EXCLUSIVE = "check: exclusive\nparameters: {categories: [CAR, TREE]"


def test_one_of_the_categories_any_number_of_times_is_accepted():
    assert told(EXCLUSIVE + "}", objects(rectangle("a"), rectangle("b"), rectangle("c", "DOG"))) == []


def test_categories_together_in_an_asset_are_told_on_the_label():
    assert told(EXCLUSIVE + "}", objects(rectangle("a"), rectangle("b", "TREE"))) == [
        (None, "CAR, TREE: only one of these is accepted")
    ]


def test_classifications_count_as_objects_do():
    rule = "check: exclusive\nparameters: {categories: [EMPTY, CAR]}"
    assert told(rule, objects(rectangle(), SCENE=classified("EMPTY"))) == [
        (None, "EMPTY, CAR: only one of these is accepted")
    ]
    assert (
        told(
            rule.replace("parameters", "scope: {job: JOB_0}\nparameters"),
            objects(rectangle(), SCENE=classified("EMPTY")),
        )
        == []
    )


def test_categories_on_one_object_are_told_on_it():
    clean, dented = (
        rectangle(mid, children={"STATE": classified(*said)})
        for mid, said in (("a", ["NEW"]), ("b", ["NEW", "DENTED"]))
    )
    rule = "check: exclusive\nparameters: {categories: [NEW, DENTED], per: object}"
    assert told(rule, objects(clean, dented)) == [("b", "NEW, DENTED: only one of these is accepted")]
    assert told(rule, objects(clean, rectangle("c", children={"STATE": classified("DENTED")}))) == []


def test_frames_are_looked_at_each():
    label = frames(f1=[rectangle("a")], f2=[rectangle("b", "TREE")], f3=[rectangle("a"), rectangle("b", "TREE")])
    assert told(EXCLUSIVE + ", per: frame}", label) == [(None, "CAR, TREE: only one of these is accepted in frame 3")]
    assert told(EXCLUSIVE + "}", label) == [(None, "CAR, TREE: only one of these is accepted")]


def test_pages_are_looked_at_each():
    apart = objects(drawn_on_page("a", "CAR", 1, OUTER), drawn_on_page("b", "TREE", 2, OUTER))
    assert told(EXCLUSIVE + ", per: page}", apart) == []
    together = objects(drawn_on_page("a", "CAR", 2, OUTER), drawn_on_page("b", "TREE", 2, OUTER))
    assert told(EXCLUSIVE + ", per: page}", together) == [(None, "CAR, TREE: only one of these is accepted on page 2")]


def test_classification_of_many_frames_is_one():
    rule = "check: exclusive\nparameters: {categories: [DAY, NIGHT], per: object}"
    video = {str(frame): {"SCENE": classified(*said)} for frame, said in enumerate((["DAY"], ["NIGHT"]))}
    assert told(rule, video) == []
    video |= {str(frame): {"SCENE": classified("DAY", "NIGHT")} for frame in range(5, 1205)}
    (finding,) = found(rule, video)
    assert (finding.subject, finding.mid) == ("SCENE", None)
    assert finding.text == "DAY, NIGHT: only one of these is accepted in frame 5, wrong in 1199 more"
    whole = {**video, "assetLevel": {"SCENE": classified("DAY", "NIGHT")}}
    assert [one.subject for one in found(rule, whole)] == ["SCENE"]


def test_classification_of_a_page_is_known_again_wherever_it_stands():
    def page(number, *names):
        return {**classified(*names), "pageNumberArray": [number], "mid": f"page-{number}"}

    rule = "check: exclusive\nparameters: {categories: [DAY, NIGHT], per: object}"
    alone, later = (
        objects(*pages, job="KIND") for pages in ([page(2, "DAY", "NIGHT")], [page(1, "DAY"), page(2, "DAY", "NIGHT")])
    )
    assert found(rule, alone) == found(rule, later) != []


NEEDS = "check: co_required\nparameters: {when: CAR, requires: [WHEEL, DOOR]"


def test_categories_with_those_they_need_are_accepted():
    assert told(NEEDS + "}", objects(rectangle("a"), rectangle("b", "WHEEL"), rectangle("c", "DOOR"))) == []
    assert told(NEEDS + "}", objects(rectangle("b", "WHEEL"))) == []


def test_categories_without_those_they_need_are_told():
    assert told(NEEDS + "}", objects(rectangle("a"), rectangle("b", "WHEEL"))) == [(None, "CAR without DOOR")]


def test_what_an_object_needs_can_be_asked_of_each():
    rule = "check: co_required\nparameters: {when: CAR, requires: PARKED, per: object}"
    label = objects(rectangle("a", children={"STATE": classified("PARKED")}), rectangle("b"))
    assert told(rule, label) == [("b", "CAR without PARKED")]


def test_what_a_frame_needs_can_be_asked_of_each():
    whole = [rectangle("a"), rectangle("b", "WHEEL"), rectangle("c", "DOOR")]
    label = frames(f1=whole, f2=whole[:1], f3=whole[:2])
    assert told(NEEDS + ", per: frame}", label) == [(None, "CAR without WHEEL, DOOR in frame 2, wrong in 1 more")]


def test_what_could_not_be_read_may_be_what_is_needed():
    assert "could not be read" in unchecked(NEEDS + "}", objects(rectangle("a"), {"type": "marker"}))


@pytest.mark.parametrize("categories", [None, "CAR", [None], [{"name": 3}], [{}], {"name": "CAR"}])
def test_malformed_categories_are_none(categories):
    label = objects({**rectangle("a"), "categories": categories}, rectangle("b", "TREE"))
    assert told(EXCLUSIVE + "}", label) == []
    assert told(NEEDS + "}", label) == []
