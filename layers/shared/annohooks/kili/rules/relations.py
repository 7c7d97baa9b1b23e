"""Checks of the relations between objects, or between entities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from annohooks.kili.label.geometry import Work
from annohooks.kili.rules.base import Case, Inconsistent, Parameters, Scope, Violation, check
from annohooks.kili.rules.bounds import accepted_text, refuse_min_above_max
from annohooks.kili.rules.messages import COMMON_VALUES, category_names, common_values

Number = Annotated[int, Meta(ge=0)]


class Relations(Parameters, frozen=True):
    """The number of other objects that each object or entity in the scope has to be linked to.

    to: the categories of the others. relation: the categories, or the jobs, of the relations that count. Both are any
    when left out. direction: count relations that start from the object, that end at it, or either. min_links,
    max_links: accepted themselves; if both are left out, at least one link is needed.
    """

    to: tuple[str, ...] = ()
    relation: tuple[str, ...] = ()
    direction: Literal["either", "start", "end"] = "either"
    min_links: Number | None = None
    max_links: Number | None = None

    def __post_init__(self) -> None:
        refuse_min_above_max(self, "links")
        if self.min_links == 0 and self.max_links is None:
            raise Inconsistent("min_links", "of 0 accepts everything")


@check(
    "relations",
    Relations,
    message="{category} is linked to {links} {to} instead of {accepted}",
    values={**COMMON_VALUES, "links": 0, "to": "OBJECT_B", "accepted": "at least 1"},
)
def relations(case: Case, scope: Scope, parameters: Relations) -> Iterator[Violation]:
    """Objects and entities with too few or too many links: one violation each.

    A link to an object that is not in the label does not count. Raises TooComplex.
    """
    categories: dict[str, set[str]] = {}
    for obj in case.reading.objects:
        if obj.mid:
            categories.setdefault(obj.mid, set()).update(obj.categories)
    others = {mid for mid, names in categories.items() if not parameters.to or names & set(parameters.to)}
    linked: dict[str, set[str]] = {}
    work = Work(deadline=case.deadline)
    for relation in case.reading.relations:
        if parameters.relation and not {relation.job, *relation.categories} & set(parameters.relation):
            continue
        directions = {"start": (relation.starts, relation.ends), "end": (relation.ends, relation.starts)}
        for direction, (near, far) in directions.items():
            if parameters.direction in ("either", direction):
                work.spend(len(near) * len(far))
                for mid in near:
                    linked.setdefault(mid, set()).update(others.intersection(far) - {mid})
    low, high = parameters.min_links, parameters.max_links
    if low is None and high is None:
        low = 1
    for obj in filter(scope.covers, case.reading.objects):
        links = len(linked.get(obj.mid or "", ()))
        too_few = links < (low or 0)
        if too_few or (high is not None and links > high):
            values = {
                "links": links,
                "to": " or ".join(parameters.to) or "others",
                "accepted": accepted_text(low, high),
            }
            yield Violation(obj.key, {**common_values(obj), **values}, obj.mid, too_few)


class DanglingRelations(Parameters, frozen=True):
    """No parameters."""


@check(
    "dangling_relations",
    DanglingRelations,
    message="{category}: {problem}",
    values={"job": "RELATION_JOB", "category": "IS_PART_OF", "problem": "ends at an object that is not in the label"},
    scope="job category",
)
def dangling_relations(case: Case, scope: Scope, parameters: DanglingRelations) -> Iterator[Violation]:
    """Relations without a start or an end in the label: one violation per relation, on an object at the other end."""
    mids_of_label = {obj.mid for obj in case.reading.objects if obj.mid}
    for relation in filter(scope.covers, case.reading.relations):
        problems = []
        for verb, mids in (("starts from", relation.starts), ("ends at", relation.ends)):
            if not mids_of_label.issuperset(mids):
                problems.append(f"{verb} an object that is not in the label")
            elif not mids:
                problems.append(f"{verb} nothing")
        if problems:
            values = {"job": relation.job, "category": category_names(relation), "problem": ", ".join(problems)}
            mid = next((mid for mid in (*relation.starts, *relation.ends) if mid in mids_of_label), None)
            yield Violation(relation.mid or relation.path, values, mid, missing=True)
