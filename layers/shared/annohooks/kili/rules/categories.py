"""Checks of the categories that are used together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from annohooks.kili.label.model import Object
from annohooks.kili.rules.base import Case, Inconsistent, Parameters, Scope, Violation, check
from annohooks.kili.rules.location import WHOLE_ASSET, Location, by_location, in_order, locations_text
from annohooks.kili.rules.messages import COMMON_VALUES

Names = Annotated[tuple[str, ...], Meta(min_length=1)]
Unit = Literal["asset", "frame", "page", "object"]


class Exclusive(Parameters, frozen=True):
    """Categories of which at most one may be used.

    categories: two or more, of objects or of classifications. per: the unit in which one may be used: the asset, each
    frame, each page, or each object with the answers about it and each other classification.
    """

    categories: Annotated[tuple[str, ...], Meta(min_length=2)]
    per: Unit = "asset"

    def __post_init__(self) -> None:
        if len(set(self.categories)) < len(self.categories):
            raise Inconsistent("categories", "names a category twice")


@check(
    "exclusive",
    Exclusive,
    message="{categories}: only one of these is accepted {where}",
    values={"categories": "OBJECT_A, OBJECT_B", "object": COMMON_VALUES["object"], "where": "in frame 12"},
    scope="job tool",
)
def exclusive(case: Case, scope: Scope, parameters: Exclusive) -> Iterator[Violation]:
    """Categories used together: one violation per object or classification, or one for the asset."""
    for key, obj, used in _used(case, scope, parameters.per):
        wrong = in_order(location for location, names in used.items() if len(names & set(parameters.categories)) > 1)
        if wrong:
            together = [category for category in parameters.categories if category in used[wrong[0]]]
            values = {"categories": ", ".join(together), "where": locations_text(wrong)}
            yield _violation(key, obj, values)


class CoRequired(Parameters, frozen=True):
    """Categories that need other categories.

    when: where one of these is used, all categories of requires have to be used. per: as for `exclusive`.
    """

    when: Names
    requires: Names
    per: Unit = "asset"

    def __post_init__(self) -> None:
        if set(self.when) & set(self.requires):
            raise Inconsistent("requires", "names a category that 'when' also names")


@check(
    "co_required",
    CoRequired,
    message="{category} without {missing} {where}",
    values={"category": "OBJECT_A", "missing": "OBJECT_B", "object": COMMON_VALUES["object"], "where": "in frame 12"},
    scope="job tool",
)
def co_required(case: Case, scope: Scope, parameters: CoRequired) -> Iterator[Violation]:
    """Categories without the categories they need: one violation per object or classification, or one for the asset."""
    when, requires = set(parameters.when), set(parameters.requires)
    for key, obj, used in _used(case, scope, parameters.per):
        wrong = in_order(location for location, names in used.items() if names & when and not names >= requires)
        if wrong:
            names = used[wrong[0]]
            values = {
                "category": ", ".join(category for category in parameters.when if category in names),
                "missing": ", ".join(category for category in parameters.requires if category not in names),
                "where": locations_text(wrong),
            }
            yield _violation(key, obj, values)._replace(missing=True)


def _violation(key: str, obj: Object | None, values: dict[str, str]) -> Violation:
    return Violation(key or "asset", {**values, "object": obj.key if obj else ""}, obj.mid if obj else None)


def _used(case: Case, scope: Scope, per: Unit) -> Iterator[tuple[str, Object | None, dict[Location, set[str]]]]:
    """The categories in the scope by location: of each object or classification, or of the whole label under key ""."""
    units: dict[str, dict[Location, set[str]]] = {}

    def add(key: str, location: Location, categories: tuple[str, ...]) -> None:
        frame, page = location
        unit = {"asset": WHOLE_ASSET, "frame": (frame, None), "page": (None, page), "object": location}[per]
        if unit != WHOLE_ASSET or per in ("asset", "object"):
            units.setdefault(key if per == "object" else "", {}).setdefault(unit, set()).update(categories)

    for obj in filter(scope.covers, case.reading.objects):
        locations = () if per == "object" else by_location(obj.shapes)
        for location in locations or (WHOLE_ASSET,):
            add(obj.key, location, obj.categories)
    for answer in filter(scope.covers_nested, case.reading.answers):
        location = WHOLE_ASSET if per == "object" and answer.of else (answer.frame, answer.page)
        add(answer.of or "/".join((*answer.within, answer.job)), location, answer.categories)
    objects = {obj.key: obj for obj in case.reading.objects}
    for key, used in units.items():
        yield key, objects.get(key), used
