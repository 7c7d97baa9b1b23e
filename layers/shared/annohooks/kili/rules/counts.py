"""How many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from annohooks.kili.label.model import Object
from annohooks.kili.rules.base import Case, Inconsistent, Parameters, Scope, Violation, check
from annohooks.kili.rules.bounds import accepted, must_be_in_order, must_say_something
from annohooks.kili.rules.location import Place, by_place, in_order, places_in_words

Number = Annotated[int, Meta(ge=0)]


class Count(Parameters, frozen=True):
    """How many objects are accepted. An object in several pieces, or on many frames, is one.

    min, max: both accepted. exactly: instead of both. per: what is counted in: the asset, or each frame or page that
    something in the scope is drawn on. each_category: the scope's categories are counted apart, not together; without
    categories in the scope, those that the label has.
    """

    min: Number | None = None
    max: Number | None = None
    exactly: Number | None = None
    per: Literal["asset", "frame", "page"] = "asset"
    each_category: bool = False

    def __post_init__(self) -> None:
        must_say_something(self, "min", "max", "exactly")
        if self.exactly is not None and (self.min is not None or self.max is not None):
            raise Inconsistent("exactly", "leaves nothing for 'min' and 'max' to say")
        must_be_in_order(self, "")  # of min and max themselves


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
    objects = [thing for thing in case.reading.objects if scope.covers(thing)]
    for category, counted in _groups(objects, scope, parameters.each_category):
        counts = _counts(counted, parameters.per)
        too_few = {place for place, n in counts.items() if n < (low or 0)}
        too_many = {place for place, n in counts.items() if high is not None and n > high}
        # The first of one subject is told; where parts could not be read that is the second, of what is certain.
        for wrong in (in_order(too_few | too_many) if too_few else [], in_order(too_many)):
            if wrong:
                values = {
                    "count": counts[wrong[0]],
                    "category": category or "annotations",
                    "job": ", ".join(scope.job),
                    "accepted": accepted(low, high),
                    "where": places_in_words(wrong),
                }
                subject = "/".join(filter(None, (", ".join(scope.job), category))) or "asset"
                yield Violation(subject, values, missing=not too_few.isdisjoint(wrong))


def _groups(objects: list[Object], scope: Scope, each_category: bool) -> Iterator[tuple[str, list[Object]]]:
    if not each_category:
        yield ", ".join(scope.category), objects
        return
    for category in scope.category or sorted({name for thing in objects for name in thing.categories}):
        yield category, [thing for thing in objects if category in thing.categories]


def _counts(objects: list[Object], per: str) -> Counter[Place]:
    if per == "asset":
        return Counter({(None, None): len(objects)})
    counts: Counter[Place] = Counter()
    for thing in objects:
        places = {(frame, None) if per == "frame" else (None, page) for frame, page in by_place(thing.shapes)}
        counts.update(places - {(None, None)})
    return counts
