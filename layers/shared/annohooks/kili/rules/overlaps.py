"""Objects on top of each other, and objects drawn twice."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Annotated, Any, Literal

from msgspec import Meta

from annohooks.kili.label.geometry import Work, overlapping
from annohooks.kili.label.model import Object, Shape
from annohooks.kili.rules.base import Case, Parameters, Scope, Violation, check
from annohooks.kili.rules.bounds import beyond
from annohooks.kili.rules.location import (
    ABOUT,
    WITH_AREA,
    Place,
    about,
    by_place,
    categories_in_words,
    in_order,
    in_words,
)

Share = Annotated[float, Meta(ge=0, le=1)]
_DIGITS = 6


class Overlap(Parameters, frozen=True):
    """How much two objects in the scope may overlap on any one frame or page.

    max_iou: intersection over union of their areas, 0 to 1, accepted itself; all pieces together, holes off. between:
    any two, those that share a category, or those that do not. What has no area is not looked at.
    """

    max_iou: Share
    between: Literal["any", "same_category", "different_categories"] = "any"


@check(
    "overlap",
    Overlap,
    message="{category} and {other_category}: {problem} {where}",
    values={**ABOUT, "other": "20240613093119204-2", "other_category": "OBJECT_B", "iou": 0.6}
    | {"problem": "overlap of 60% is more than 50%", "where": "in frame 12"},
    tools=WITH_AREA,
)
def overlap(case: Case, scope: Scope, parameters: Overlap) -> Iterator[Violation]:
    """Pairs that overlap more than accepted: one violation per pair, on the object with the larger key."""
    objects = sorted(filter(scope.covers, case.reading.objects), key=attrgetter("key"))
    for first, second, place, iou in _pairs(objects, parameters.max_iou, Work(deadline=case.deadline)):
        shares_category = not set(first.categories).isdisjoint(second.categories)
        if iou > parameters.max_iou and parameters.between in (
            "any",
            "same_category" if shares_category else "different_categories",
        ):
            other = {"other_category": categories_in_words(first), "iou": iou}
            problem = beyond("overlap of {}", iou, None, parameters.max_iou, "%")
            yield _violation(first, second, **other, problem=problem, where=in_words(place))


class Duplicates(Parameters, frozen=True):
    """When two objects of one job with the same categories and tool are one drawn twice.

    min_iou: areas are duplicates from this intersection over union on, on any one frame or page. Lines, markers and
    poses are when their points are the same, entities when they are the same piece of the text.
    """

    min_iou: Annotated[float, Meta(gt=0, le=1)] = 0.95


@check(
    "duplicates",
    Duplicates,
    message="{category} is annotated twice {where}",
    values={**ABOUT, "other": "20240613093119204-2", "where": "in frame 12"},
)
def duplicates(case: Case, scope: Scope, parameters: Duplicates) -> Iterator[Violation]:
    """Objects that are another one drawn again: one violation per pair, on the one with the larger key."""
    work = Work(deadline=case.deadline)
    alike: dict[Any, list[Object]] = {}
    for thing in sorted(filter(scope.covers, case.reading.objects), key=attrgetter("key")):
        alike.setdefault((thing.job, thing.tool, frozenset(thing.categories)), []).append(thing)
    for objects in alike.values():
        for first, second, place, _ in _pairs(objects, parameters.min_iou, work):
            yield _violation(first, second, where=in_words(place))
        drawn: dict[Any, Object] = {}
        for thing in objects:
            for place, points in _without_area(thing):
                first = drawn.setdefault((place, points), thing)
                if first is not thing:
                    yield _violation(first, thing, where=in_words(place))
                    break


def _pairs(objects: list[Object], at_least: float, work: Work) -> Iterator[tuple[Object, Object, Place, float]]:
    """Pairs with this IoU or more, by frame or page and in the order of the objects; each where it first is so.

    Raises TooComplex.
    """
    places: dict[Place, list[tuple[Object, list[Shape]]]] = {}
    for thing in objects:
        for place, pieces in by_place(shape for shape in thing.shapes if shape.rings).items():
            places.setdefault(place, []).append((thing, pieces))
    seen = set()
    for place in in_order(places):
        drawn = places[place]
        for i, j, iou in sorted(overlapping([pieces for _, pieces in drawn], at_least, work)):
            first, second = drawn[i][0], drawn[j][0]
            if (first.path, second.path) not in seen:
                seen.add((first.path, second.path))
                yield first, second, place, iou


def _without_area(thing: Object) -> Iterator[tuple[Place, Any]]:
    """What was drawn without an area, or marked in a text, so that it can be compared."""
    for shape in thing.shapes:
        if shape.points:
            points = tuple((round(x, _DIGITS), round(y, _DIGITS)) for x, y in shape.points)
            yield (shape.frame, shape.page), points
    if thing.span and not thing.shapes and thing.span.begin_offset is not None:
        yield (None, None), thing.span


def _violation(first: Object, second: Object, **values: Any) -> Violation:
    both = {**about(second), "other": first.key, **values}
    return Violation(" ".join(sorted((first.key, second.key))), both, second.mid)
