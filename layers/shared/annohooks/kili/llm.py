"""The jsonResponse of a label in an LLM project, which Kili keeps as annotations only.

Source: protocol reference, section 2.1; the result is what the vendor's SDK makes of the same annotations.
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


class _Annotation(msgspec.Struct, rename={"kind": "__typename", "value": "annotationValue"}):
    """path: the annotations and categories it is a child of, outermost first; empty at the top."""

    kind: str
    id: str
    job: str
    path: list[tuple[str, str]]
    value: _Value = msgspec.field(default_factory=_Value)


_Path = tuple[tuple[str, str], ...]


def json_response(annotations: Any) -> dict[str, Any]:
    """Job name to answer, with the child jobs within the categories they belong to.

    annotations: as Kili answers FIELDS. Raises msgspec.ValidationError when they are something else, or of a kind that
    is not known.
    """
    children: defaultdict[_Path, list[_Annotation]] = defaultdict(list)
    for annotation in msgspec.convert(annotations or [], list[_Annotation]):
        children[tuple(annotation.path)].append(annotation)
    return _jobs(children, ())


def _jobs(children: dict[_Path, list[_Annotation]], path: _Path) -> dict[str, Any]:
    jobs: dict[str, Any] = {}
    for annotation in children.get(path, ()):
        job, value = jobs.setdefault(annotation.job, {}), annotation.value
        if annotation.kind == "ClassificationAnnotation":
            categories = job.setdefault("categories", [])
            for name in value.categories:
                within = _jobs(children, (*path, (annotation.id, name)))
                categories.append({"name": name, "children": within} if within else {"name": name})
        elif annotation.kind == "ComparisonAnnotation":
            job.setdefault("choice", value.choice)
        elif annotation.kind == "TranscriptionAnnotation":
            job.setdefault("text", value.text)
        else:
            raise msgspec.ValidationError("an annotation of an unknown kind")
    return jobs
