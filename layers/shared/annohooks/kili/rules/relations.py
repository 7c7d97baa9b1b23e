"""Objects and entities tied to one another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from annohooks.kili.label.geometry import Work
from annohooks.kili.rules.base import Case, Inconsistent, Parameters, Scope, Violation, check
from annohooks.kili.rules.bounds import accepted, must_be_in_order
from annohooks.kili.rules.location import ABOUT, about, categories_in_words

Number = Annotated[int, Meta(ge=0)]


class Relations(Parameters, frozen=True):
    """How many others each object or entity in the scope has to be linked to.

    to: categories of those others. relation: categories, or jobs, of the relations that count. Without them, any.
    direction: the relation starts from the object, ends at it, or either. min_links, max_links: accepted themselves;
    without either, one link is needed.
    """

    to: tuple[str, ...] = ()
    relation: tuple[str, ...] = ()
    direction: Literal["either", "start", "end"] = "either"
    min_links: Number | None = None
    max_links: Number | None = None

    def __post_init__(self) -> None:
        must_be_in_order(self, "links")
        if self.min_links == 0 and self.max_links is None:
            raise Inconsistent("min_links", "of 0 accepts all")


@check(
    "relations",
    Relations,
    message="{category} is linked to {links} {to} instead of {accepted}",
    values={**ABOUT, "links": 0, "to": "OBJECT_B", "accepted": "at least 1"},
)
def relations(case: Case, scope: Scope, parameters: Relations) -> Iterator[Violation]:
    """Objects and entities with too few or too many links: one violation each. Links to what is not there do not count.

    Raises TooComplex.
    """
    categories: dict[str, set[str]] = {}
    for thing in case.reading.objects:
        if thing.mid:
            categories.setdefault(thing.mid, set()).update(thing.categories)
    others = {mid for mid, found in categories.items() if not parameters.to or found & set(parameters.to)}
    linked: dict[str, set[str]] = {}
    work = Work(deadline=case.deadline)
    for relation in case.reading.relations:
        if parameters.relation and not {relation.job, *relation.categories} & set(parameters.relation):
            continue
        ways = {"start": (relation.starts, relation.ends), "end": (relation.ends, relation.starts)}
        for direction, (near, far) in ways.items():
            if parameters.direction in ("either", direction):
                work.spend(len(near) * len(far))
                for mid in near:
                    linked.setdefault(mid, set()).update(others.intersection(far) - {mid})
    low, high = parameters.min_links, parameters.max_links
    if low is None and high is None:
        low = 1
    for thing in filter(scope.covers, case.reading.objects):
        links = len(linked.get(thing.mid or "", ()))
        too_few = links < (low or 0)
        if too_few or (high is not None and links > high):
            values = {"links": links, "to": " or ".join(parameters.to) or "others", "accepted": accepted(low, high)}
            yield Violation(thing.key, {**about(thing), **values}, thing.mid, too_few)


class DanglingRelations(Parameters, frozen=True):
    """Nothing to say."""


@check(
    "dangling_relations",
    DanglingRelations,
    message="{category}: {problem}",
    values={"job": "RELATION_JOB", "category": "IS_PART_OF", "problem": "ends at what is not in the label"},
    scope="job category",
)
def dangling_relations(case: Case, scope: Scope, parameters: DanglingRelations) -> Iterator[Violation]:
    """Relations without a start or an end in the label: one violation per relation, on what it still ties."""
    there = {thing.mid for thing in case.reading.objects if thing.mid}
    for relation in filter(scope.covers, case.reading.relations):
        problems = []
        for verb, mids in (("starts from", relation.starts), ("ends at", relation.ends)):
            if not there.issuperset(mids):
                problems.append(f"{verb} what is not in the label")
            elif not mids:
                problems.append(f"{verb} nothing")
        if problems:
            values = {"job": relation.job, "category": categories_in_words(relation), "problem": ", ".join(problems)}
            on = next((mid for mid in (*relation.starts, *relation.ends) if mid in there), None)
            yield Violation(relation.mid or relation.path, values, on, missing=True)
