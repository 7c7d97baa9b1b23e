"""Checks of objects that overlap, and of objects that are drawn twice."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Annotated, Any, Literal

from msgspec import Meta

from annohooks.kili.label.geometry import Work, overlapping
from annohooks.kili.label.model import Object, Shape
from annohooks.kili.rules.base import Case, Parameters, Scope, Violation, check
from annohooks.kili.rules.bounds import out_of_bounds
from annohooks.kili.rules.location import TOOLS_WITH_AREA, Location, by_location, in_order, location_text
from annohooks.kili.rules.messages import COMMON_VALUES, category_names, common_values

Share = Annotated[float, Meta(ge=0, le=1)]
_DECIMALS = 6


class Overlap(Parameters, frozen=True):
    """How much two objects in the scope may overlap on any frame or page. Objects without an area are skipped.

    max_iou: intersection over union of their areas, 0 to 1, accepted itself; pieces are added, holes subtracted.
    between: which pairs are compared: any, only those that share a category, or only those that do not.
    """

    max_iou: Share
    between: Literal["any", "same_category", "different_categories"] = "any"


@check(
    "overlap",
    Overlap,
    message="{category} and {other_category}: {problem} {where}",
    values={**COMMON_VALUES, "other": "20240613093119204-2", "other_category": "OBJECT_B", "iou": 0.6}
    | {"problem": "overlap of 60% is more than 50%", "where": "in frame 12"},
    tools=TOOLS_WITH_AREA,
)
def overlap(case: Case, scope: Scope, parameters: Overlap) -> Iterator[Violation]:
    """Pairs that overlap more than accepted: one violation per pair, on the object with the larger key."""
    objects = sorted(filter(scope.covers, case.reading.objects), key=attrgetter("key"))
    for first, second, location, iou in _pairs(objects, parameters.max_iou, Work(deadline=case.deadline)):
        shares_category = not set(first.categories).isdisjoint(second.categories)
        if iou > parameters.max_iou and parameters.between in (
            "any",
            "same_category" if shares_category else "different_categories",
        ):
            other = {"other_category": category_names(first), "iou": iou}
            problem = out_of_bounds("overlap of {}", iou, None, parameters.max_iou, "%")
            yield _violation(first, second, **other, problem=problem, where=location_text(location))


class Duplicates(Parameters, frozen=True):
    """When two objects of one job with the same categories and tool are duplicates.

    min_iou: areas are duplicates if their intersection over union on any frame or page is at least this. Lines, markers
    and poses are duplicates if their points are equal; entities, if they mark the same part of the text.
    """

    min_iou: Annotated[float, Meta(gt=0, le=1)] = 0.95


@check(
    "duplicates",
    Duplicates,
    message="{category} is annotated twice {where}",
    values={**COMMON_VALUES, "other": "20240613093119204-2", "where": "in frame 12"},
)
def duplicates(case: Case, scope: Scope, parameters: Duplicates) -> Iterator[Violation]:
    """Objects that were drawn twice: one violation per pair, on the object with the larger key."""
    work = Work(deadline=case.deadline)
    alike: dict[Any, list[Object]] = {}
    for obj in sorted(filter(scope.covers, case.reading.objects), key=attrgetter("key")):
        alike.setdefault((obj.job, obj.tool, frozenset(obj.categories)), []).append(obj)
    for objects in alike.values():
        for first, second, location, _ in _pairs(objects, parameters.min_iou, work):
            yield _violation(first, second, where=location_text(location))
        drawn: dict[Any, Object] = {}
        for obj in objects:
            for location, points in _without_area(obj):
                first = drawn.setdefault((location, points), obj)
                if first is not obj:
                    yield _violation(first, obj, where=location_text(location))
                    break


def _pairs(objects: list[Object], at_least: float, work: Work) -> Iterator[tuple[Object, Object, Location, float]]:
    """Pairs of objects with this IoU or more, in the order of their locations; each pair at its first location only.

    Raises TooComplex.
    """
    locations: dict[Location, list[tuple[Object, list[Shape]]]] = {}
    for obj in objects:
        for location, pieces in by_location(shape for shape in obj.shapes if shape.rings).items():
            locations.setdefault(location, []).append((obj, pieces))
    seen = set()
    for location in in_order(locations):
        drawn = locations[location]
        for i, j, iou in sorted(overlapping([pieces for _, pieces in drawn], at_least, work)):
            first, second = drawn[i][0], drawn[j][0]
            if (first.path, second.path) not in seen:
                seen.add((first.path, second.path))
                yield first, second, location, iou


def _without_area(obj: Object) -> Iterator[tuple[Location, Any]]:
    """The points of each shape without an area, or the marked part of a text, as values that compare equal."""
    for shape in obj.shapes:
        if shape.points:
            points = tuple((round(x, _DECIMALS), round(y, _DECIMALS)) for x, y in shape.points)
            yield (shape.frame, shape.page), points
    if obj.span and not obj.shapes and obj.span.begin_offset is not None:
        yield (None, None), obj.span


def _violation(first: Object, second: Object, **values: Any) -> Violation:
    both = {**common_values(second), "other": first.key, **values}
    return Violation(" ".join(sorted((first.key, second.key))), both, second.mid)
