"""Where objects are drawn: frames of a video, pages of a PDF, the whole of an image; and what messages say of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from annohooks.kili.label.geometry import bounds
from annohooks.kili.label.model import Answer, Object, Relation, Shape, Tool
from annohooks.kili.rules.base import Case, NotApplicable

Place = tuple[int | None, int | None]
"""A frame, from 0, and a page, from 1; None for what has neither."""

ABOUT = {"job": "JOB_0", "category": "OBJECT_A", "object": "20240613093117843-1"}
"""What the messages of checks of single objects may name, with examples; see `about`."""

WITH_AREA: tuple[Tool, ...] = ("rectangle", "polygon", "semantic", "entity")
"""What has an area; entities do in PDFs."""

_BEYOND_THE_IMAGE = 0.5


def about(thing: Object | Answer) -> dict[str, Any]:
    """job, category (all of them) and object, by its mid or where it stands in the label; "" for none."""
    name = thing.key if isinstance(thing, Object) else thing.of or ""
    return {"job": thing.job, "category": categories_in_words(thing), "object": name}


def categories_in_words(thing: Object | Answer | Relation) -> str:
    """All of them; of what has none, its job."""
    return ", ".join(thing.categories) or thing.job


def by_place(shapes: Iterable[Shape]) -> dict[Place, list[Shape]]:
    """The pieces of an object on each frame or page, in the order in which it is drawn there."""
    places: dict[Place, list[Shape]] = {}
    for shape in shapes:
        places.setdefault((shape.frame, shape.page), []).append(shape)
    return places


def in_order(places: Iterable[Place]) -> list[Place]:
    """What has no frame or page comes first."""
    return sorted(places, key=lambda place: [-1 if number is None else number for number in place])


def in_words(place: Place) -> str:
    """in frame 12, on page 3, or nothing."""
    frame, page = place
    words = [f"in frame {frame}"] if frame is not None else []
    words += [f"on page {page}"] if page is not None else []
    return " ".join(words)


def places_in_words(wrong: Sequence[Place]) -> str:
    """The first of them, and how many more there are; of those something else may be wrong than of the first."""
    if len(wrong) < 2:
        return in_words(wrong[0]) if wrong else ""
    more = len(wrong) - 1
    return f"{in_words(wrong[0])}, wrong {'in' if wrong[-1][1] is None else 'on'} {more} more"


def refuse_degrees(case: Case, shapes: Sequence[Shape]) -> None:
    """Raises NotApplicable when coordinates are degrees of longitude and latitude, not fractions of an image.

    shapes: with outlines or points. Kili is asked only about coordinates far outside an image: those of a geospatial
    project that is labelled in pixels are fractions too, and around 0 degrees by 0 degrees there is only sea.
    """
    if shapes:
        left, top, right, bottom = bounds(shapes)
        farthest = max(-left, -top, right - 1, bottom - 1)
        if farthest > _BEYOND_THE_IMAGE and case.project().input_type == "GEOSPATIAL":
            raise NotApplicable("coordinates are degrees, not fractions of an image")
