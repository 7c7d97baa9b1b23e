"""Where objects are drawn: frames of a video, pages of a PDF, the whole of an image; and what messages say of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from annohooks.kili.annotations.geometry import bounds
from annohooks.kili.annotations.model import Answer, Object, Shape
from annohooks.kili.rules.base import Case, NotApplicable

Place = tuple[int | None, int | None]
"""A frame, from 0, and a page, from 1; None for what has neither."""

ABOUT = {"job": "JOB_0", "category": "OBJECT_A", "object": "20240613093117843-1"}
"""What the messages of checks of single objects may name, with examples; see `about`."""

_BEYOND_THE_IMAGE = 0.5


def about(thing: Object | Answer) -> dict[str, Any]:
    """job, category (all of them) and object, by its mid or where it stands in the label; "" for none."""
    name = thing.key if isinstance(thing, Object) else thing.of or ""
    return {"job": thing.job, "category": ", ".join(thing.categories), "object": name}


def by_place(shapes: Iterable[Shape]) -> dict[Place, list[Shape]]:
    """The pieces of an object on each frame or page, in the order in which it is drawn there."""
    places: dict[Place, list[Shape]] = {}
    for shape in shapes:
        places.setdefault((shape.frame, shape.page), []).append(shape)
    return places


def in_words(place: Place, more: int = 0) -> str:
    """in frame 12, on page 3, or nothing. more: of how many further places the same is to be said."""
    frame, page = place
    words = [f"in frame {frame}"] if frame is not None else []
    words += [f"on page {page}"] if page is not None else []
    words += [f"and {more} more"] if more else []
    return " ".join(words)


def places_in_words(places: Collection[Place]) -> str:
    """The first of them, and how many more."""
    return in_words(next(iter(places)), len(places) - 1) if places else ""


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
