"""The jsonResponse of a label in an LLM project, which Kili stores as annotations only.

Source: AnnotationsToJsonResponseConverter of the package kili-formats, which Kili's SDK uses. The result differs from
it in three ways. Answers about several chat items are also listed for each item. A category that was chosen twice
appears once. A child job of two categories has, under each category, the answer that was given there.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec

PROJECTS = frozenset({"LLM_INSTR_FOLLOWING", "LLM_STATIC"})

FIELDS = """annotations {
    __typename id job path labelId
    ... on ClassificationAnnotation { annotationValue { categories } chatItemId }
    ... on ComparisonAnnotation { annotationValue { choice { code firstId secondId } } chatItemId }
    ... on TranscriptionAnnotation { annotationValue { text } chatItemId }
  }"""
"""The fields to ask for."""


class _Value(msgspec.Struct):
    categories: list[str] = []
    choice: dict[str, Any] | None = None
    text: str | None = None


class _Annotation(msgspec.Struct, rename={"kind": "__typename", "value": "annotationValue", "chat_item": "chatItemId"}):
    """path: the annotations and categories that contain it, outermost first; empty at the top."""

    kind: str
    id: str
    job: str
    path: list[tuple[str, str]]
    value: _Value = msgspec.field(default_factory=_Value)
    chat_item: str | None = None


_Path = tuple[tuple[str, str], ...]
_Jobs = dict[str, dict[str, Any]]


def json_response(annotations: Any) -> _Jobs:
    """Answers by job name. A category holds the answers of its child jobs.

    annotations: Kili's answer for FIELDS. When a job has answers about several chat items (a turn, a completion), its
    entry holds all of them, and `chatItems` lists them with their chatItemId. An answer of an unknown type keeps its
    __typename only. Raises msgspec.ValidationError for another shape.
    """
    children: defaultdict[_Path, list[_Annotation]] = defaultdict(list)
    for annotation in msgspec.convert(annotations or [], list[_Annotation]):
        children[tuple(annotation.path)].append(annotation)
    return _jobs(children, ())


def _jobs(children: dict[_Path, list[_Annotation]], path: _Path) -> _Jobs:
    jobs: _Jobs = {}
    by_chat_item: defaultdict[str, dict[str | None, dict[str, Any]]] = defaultdict(dict)
    for annotation in children.pop(path, ()):
        answer = _answer(children, path, annotation)
        _add(jobs.setdefault(annotation.job, {}), answer)
        _add(by_chat_item[annotation.job].setdefault(annotation.chat_item, {}), answer)
    for job, answers in by_chat_item.items():
        if len(answers) > 1:
            jobs[job]["chatItems"] = [{"chatItemId": chat_item, **answer} for chat_item, answer in answers.items()]
    return jobs


def _answer(children: dict[_Path, list[_Annotation]], path: _Path, annotation: _Annotation) -> dict[str, Any]:
    value = annotation.value
    if annotation.kind == "ClassificationAnnotation":
        categories = []
        for name in dict.fromkeys(value.categories):
            child_jobs = _jobs(children, (*path, (annotation.id, name)))
            categories.append({"name": name, "children": child_jobs} if child_jobs else {"name": name})
        return {"categories": categories}
    if annotation.kind == "ComparisonAnnotation":
        return {"choice": value.choice}
    if annotation.kind == "TranscriptionAnnotation":
        return {"text": value.text}
    return {"__typename": annotation.kind}


def _add(job: dict[str, Any], answer: dict[str, Any]) -> None:
    """Adds an answer to a job: categories are appended, and the first text or choice stays."""
    for key, value in answer.items():
        if key == "categories":
            job.setdefault(key, []).extend(value)
        else:
            job.setdefault(key, value)
