"""The jsonResponse of a label in an LLM project, which Kili keeps as annotations only.

Source: protocol reference, section 2.1. The result is what the vendor's SDK makes of the same annotations, but that
what was answered about several chat items is told apart, a category that was given twice stands once, and a child job
of two categories has under each what was answered there.
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
"""What has to be asked for of a label."""


class _Value(msgspec.Struct):
    categories: list[str] = []
    choice: dict[str, Any] | None = None
    text: str | None = None


class _Annotation(msgspec.Struct, rename={"kind": "__typename", "value": "annotationValue", "chat_item": "chatItemId"}):
    """path: the annotations and categories it is a child of, outermost first; empty at the top."""

    kind: str
    id: str
    job: str
    path: list[tuple[str, str]]
    value: _Value = msgspec.field(default_factory=_Value)
    chat_item: str | None = None


_Path = tuple[tuple[str, str], ...]
_Jobs = dict[str, dict[str, Any]]


def json_response(annotations: Any) -> _Jobs:
    """Job name to answer, with the child jobs within the categories they belong to.

    annotations: as Kili answers FIELDS. A job that was answered about several chat items (a turn, a completion) has
    its answers together, and under chatItems each with its chatItemId. One that was answered in a way that is not
    known has its __typename only. Raises msgspec.ValidationError when they are something else.
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
            within = _jobs(children, (*path, (annotation.id, name)))
            categories.append({"name": name, "children": within} if within else {"name": name})
        return {"categories": categories}
    if annotation.kind == "ComparisonAnnotation":
        return {"choice": value.choice}
    if annotation.kind == "TranscriptionAnnotation":
        return {"text": value.text}
    return {"__typename": annotation.kind}


def _add(job: dict[str, Any], answer: dict[str, Any]) -> None:
    """Categories come after those that are there already; of anything else the first stands."""
    for key, said in answer.items():
        if key == "categories":
            job.setdefault(key, []).extend(said)
        else:
            job.setdefault(key, said)
