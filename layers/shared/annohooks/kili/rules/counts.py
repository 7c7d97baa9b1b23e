"""The check of the number of objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from annohooks.kili.label.model import Object
from annohooks.kili.rules.base import Case, Inconsistent, Parameters, Scope, Violation, check
from annohooks.kili.rules.bounds import accepted_text, refuse_min_above_max, require_one_of
from annohooks.kili.rules.location import Location, by_location, in_order, locations_text

Number = Annotated[int, Meta(ge=0)]


class Count(Parameters, frozen=True):
    """The accepted number of objects. An object in several pieces, or on many frames, is one object.

    min, max: accepted themselves. exactly: instead of both. per: objects are counted in the asset, or on each frame or
    page that an object in the scope is drawn on. each_category: count each category of the scope by itself; if the
    scope names none, each category of the label.
    """

    min: Number | None = None
    max: Number | None = None
    exactly: Number | None = None
    per: Literal["asset", "frame", "page"] = "asset"
    each_category: bool = False

    def __post_init__(self) -> None:
        require_one_of(self, "min", "max", "exactly")
        if self.exactly is not None and (self.min is not None or self.max is not None):
            raise Inconsistent("exactly", "cannot be combined with 'min' and 'max'")
        refuse_min_above_max(self, "")  # the parameters are called min and max, without a measure


@check(
    "count",
    Count,
    message="{category}: {count} instead of {accepted} {where}",
    values={"count": 3, "category": "OBJECT_A", "job": "JOB_0", "accepted": "at most 1", "where": "in frame 12"},
)
def count(case: Case, scope: Scope, parameters: Count) -> Iterator[Violation]:
    """Too many or too few objects: one violation per scope, or per category of it."""
    low = parameters.min if parameters.exactly is None else parameters.exactly
    high = parameters.max if parameters.exactly is None else parameters.exactly
    objects = [obj for obj in case.reading.objects if scope.covers(obj)]
    for category, counted in _groups(objects, scope, parameters.each_category):
        counts = _counts(counted, parameters.per)
        too_few = {location for location, n in counts.items() if n < (low or 0)}
        too_many = {location for location, n in counts.items() if high is not None and n > high}
        # Only the first violation of a subject is reported. When parts of the label could not be read, "too few" is not
        # certain and is dropped, and the second violation is reported.
        for wrong in (in_order(too_few | too_many) if too_few else [], in_order(too_many)):
            if wrong:
                values = {
                    "count": counts[wrong[0]],
                    "category": category or "annotations",
                    "job": ", ".join(scope.job),
                    "accepted": accepted_text(low, high),
                    "where": locations_text(wrong),
                }
                subject = "/".join(filter(None, (", ".join(scope.job), category))) or "asset"
                yield Violation(subject, values, missing=not too_few.isdisjoint(wrong))


def _groups(objects: list[Object], scope: Scope, each_category: bool) -> Iterator[tuple[str, list[Object]]]:
    if not each_category:
        yield ", ".join(scope.category), objects
        return
    for category in scope.category or sorted({name for obj in objects for name in obj.categories}):
        yield category, [obj for obj in objects if category in obj.categories]


def _counts(objects: list[Object], per: str) -> Counter[Location]:
    if per == "asset":
        return Counter({(None, None): len(objects)})
    counts: Counter[Location] = Counter()
    for obj in objects:
        locations = {(frame, None) if per == "frame" else (None, page) for frame, page in by_location(obj.shapes)}
        counts.update(locations - {(None, None)})
    return counts
