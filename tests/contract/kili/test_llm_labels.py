"""Labels of LLM projects are rebuilt from annotations as Kili's SDK rebuilds them."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from kili_formats.tool.annotations_to_json_response import AnnotationsToJsonResponseConverter

from annohooks.kili.api import llm_labels


@st.composite
def llm_annotations(draw: st.DrawFn, chat_items: Sequence[str | None] = (None,)) -> list[dict[str, Any]]:
    """Classifications with child jobs in their categories. Below one category, a job has one answer.

    When a job has several categories, the SDK lists its last child answer under all of them. chat_items: what the
    answers of a job are about, at most one answer for each.
    """
    annotations: list[dict[str, Any]] = []

    def add(path: list[list[str]], jobs: list[str], depth: int, chat_item: str | None) -> None:
        for job in jobs:
            kinds = ["ClassificationAnnotation", "TranscriptionAnnotation"]
            kind = draw(st.sampled_from(kinds if path else [*kinds, "ComparisonAnnotation"]))
            annotation = {"__typename": kind, "id": f"id{len(annotations)}", "job": job, "labelId": "l", "path": path}
            annotation["chatItemId"] = chat_item
            annotations.append(annotation)
            if kind == "TranscriptionAnnotation":
                annotation["annotationValue"] = {"text": draw(st.text(max_size=5))}
            elif kind == "ComparisonAnnotation":
                annotation["annotationValue"] = {"choice": {"code": "A", "firstId": "x", "secondId": "y"}}
            else:
                categories = draw(st.lists(st.sampled_from("ABC"), unique=True, max_size=3))
                annotation["annotationValue"] = {"categories": categories}
                for category in categories if depth else ():
                    children = draw(st.lists(st.sampled_from(["X", "Y"]), unique=True, max_size=2))
                    below = [f"{job}{category}{c}" for c in children]
                    add([*path, [annotation["id"], category]], below, depth - 1, chat_item)

    for chat_item in chat_items:
        add([], draw(st.lists(st.sampled_from("KLM"), max_size=4, unique=len(chat_items) > 1)), 2, chat_item)
    return draw(st.permutations(annotations))


def have_one_kind_of_answer(annotations: list[dict[str, Any]]) -> bool:
    kinds: dict[str, set[str]] = {}
    for annotation in annotations:
        kinds.setdefault(annotation["job"], set()).add(annotation["__typename"])
    return all(len(of_job) == 1 for of_job in kinds.values())


def rebuilt_by_the_sdk(annotations: list[dict[str, Any]]) -> dict[str, Any]:
    label = {"jsonResponse": {}}
    converter = AnnotationsToJsonResponseConverter("LLM_STATIC", {"jobs": {}})
    converter.patch_label_json_response(None, label, annotations)
    return label["jsonResponse"]


@given(llm_annotations().filter(have_one_kind_of_answer))
def test_an_llm_label_is_rebuilt_as_the_sdk_rebuilds_it(annotations):
    assert llm_labels.json_response(annotations) == rebuilt_by_the_sdk(annotations)


@given(llm_annotations(["turn-1", "turn-2", "turn-3"]).filter(have_one_kind_of_answer))
def test_difference_answers_about_several_chat_items_are_told_apart_too_the_sdk_only_puts_them_together(annotations):
    ours, theirs = llm_labels.json_response(annotations), rebuilt_by_the_sdk(annotations)
    told_apart: dict[str, list[Any]] = {job: said.pop("chatItems") for job, said in ours.items() if "chatItems" in said}
    assert ours == theirs
    by_turn = {
        turn: rebuilt_by_the_sdk([annotation for annotation in annotations if annotation["chatItemId"] == turn])
        for turn in ("turn-1", "turn-2", "turn-3")
    }
    for job in theirs:
        answers = [{"chatItemId": turn, **said[job]} for turn, said in by_turn.items() if job in said]
        assert sorted(told_apart.get(job, []), key=itemgetter("chatItemId")) == (answers if len(answers) > 1 else [])


def test_an_llm_label_is_read_as_the_sdk_reads_it(kili, sdk, client):
    kili.add_project("llm", input_type="LLM_STATIC")
    kili.add_asset("llm", "chat")
    annotation = {"id": "1", "job": "JOB", "annotationValue": {"categories": ["A"]}}
    label_id = kili.submit("chat", {}, annotations=[{"__typename": "ClassificationAnnotation", **annotation}])
    (theirs,) = sdk.labels(project_id="llm", label_id=label_id, fields=["id", "jsonResponse"])
    assert (
        client.label("llm", label_id).json_response
        == theirs["jsonResponse"]
        == {"JOB": {"categories": [{"name": "A"}]}}
    )
