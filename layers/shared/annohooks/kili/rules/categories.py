"""Which categories may stand together, and which have to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from annohooks.kili.label.model import Object
from annohooks.kili.rules.base import Case, Inconsistent, Parameters, Scope, Violation, check
from annohooks.kili.rules.location import ABOUT, Place, by_place, in_order, places_in_words

Names = Annotated[tuple[str, ...], Meta(min_length=1)]
Unit = Literal["asset", "frame", "page", "object"]
_NOWHERE: Place = (None, None)


class Exclusive(Parameters, frozen=True):
    """Categories of which at most one may be used.

    categories: two or more, of objects or of classifications. per: in the whole asset, in each frame or on each page,
    or on each object with what is answered about it, and in each other classification.
    """

    categories: Annotated[tuple[str, ...], Meta(min_length=2)]
    per: Unit = "asset"

    def __post_init__(self) -> None:
        if len(set(self.categories)) < len(self.categories):
            raise Inconsistent("categories", "names one of them twice")


@check(
    "exclusive",
    Exclusive,
    message="{categories}: only one of these is accepted {where}",
    values={"categories": "OBJECT_A, OBJECT_B", "object": ABOUT["object"], "where": "in frame 12"},
    scope="job tool",
)
def exclusive(case: Case, scope: Scope, parameters: Exclusive) -> Iterator[Violation]:
    """Categories used together: one violation per object or classification, or one for the asset."""
    for key, thing, used in _used(case, scope, parameters.per):
        wrong = in_order(place for place, found in used.items() if len(found & set(parameters.categories)) > 1)
        if wrong:
            together = [category for category in parameters.categories if category in used[wrong[0]]]
            values = {"categories": ", ".join(together), "where": places_in_words(wrong)}
            yield _violation(key, thing, values)


class CoRequired(Parameters, frozen=True):
    """Categories that have to be used wherever others are.

    when: if one of these is used, requires: all of these have to be. per: as for `exclusive`.
    """

    when: Names
    requires: Names
    per: Unit = "asset"

    def __post_init__(self) -> None:
        if set(self.when) & set(self.requires):
            raise Inconsistent("requires", "names a category that 'when' names too")


@check(
    "co_required",
    CoRequired,
    message="{category} without {missing} {where}",
    values={"category": "OBJECT_A", "missing": "OBJECT_B", "object": ABOUT["object"], "where": "in frame 12"},
    scope="job tool",
)
def co_required(case: Case, scope: Scope, parameters: CoRequired) -> Iterator[Violation]:
    """Categories without those they need: one violation per object or classification, or one for the asset."""
    when, requires = set(parameters.when), set(parameters.requires)
    for key, thing, used in _used(case, scope, parameters.per):
        wrong = in_order(place for place, found in used.items() if found & when and not found >= requires)
        if wrong:
            found = used[wrong[0]]
            values = {
                "category": ", ".join(category for category in parameters.when if category in found),
                "missing": ", ".join(category for category in parameters.requires if category not in found),
                "where": places_in_words(wrong),
            }
            yield _violation(key, thing, values)._replace(missing=True)


def _violation(key: str, thing: Object | None, values: dict[str, str]) -> Violation:
    return Violation(key or "asset", {**values, "object": thing.key if thing else ""}, thing.mid if thing else None)


def _used(case: Case, scope: Scope, per: Unit) -> Iterator[tuple[str, Object | None, dict[Place, set[str]]]]:
    """The categories in the scope by frame or page; of each object or classification by its key, or of all ("")."""
    units: dict[str, dict[Place, set[str]]] = {}

    def use(key: str, place: Place, categories: tuple[str, ...]) -> None:
        frame, page = place
        at = {"asset": _NOWHERE, "frame": (frame, None), "page": (None, page), "object": place}[per]
        if at != _NOWHERE or per in ("asset", "object"):
            units.setdefault(key if per == "object" else "", {}).setdefault(at, set()).update(categories)

    for thing in filter(scope.covers, case.reading.objects):
        drawn = () if per == "object" else by_place(thing.shapes)
        for place in drawn or (_NOWHERE,):
            use(thing.key, place, thing.categories)
    for answer in filter(scope.reaches, case.reading.answers):
        place = _NOWHERE if per == "object" and answer.of else (answer.frame, answer.page)
        use(answer.of or "/".join((*answer.within, answer.job)), place, answer.categories)
    objects = {thing.key: thing for thing in case.reading.objects}
    for key, used in units.items():
        yield key, objects.get(key), used
