"""Where objects are drawn: frames of a video, pages of a PDF, or the whole of an image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from annohooks.kili.label.geometry import bounds
from annohooks.kili.label.model import Shape, Tool
from annohooks.kili.rules.base import Case, NotApplicable
from annohooks.kili.rules.bounds import counted

Location = tuple[int | None, int | None]
"""A frame, from 0, and a page, from 1; None where there is none."""

WHOLE_ASSET: Location = (None, None)

TOOLS_WITH_AREA: tuple[Tool, ...] = ("rectangle", "polygon", "semantic", "entity")
"""Entities have an area in PDFs."""

_FAR_OUTSIDE = 0.5


def by_location(shapes: Iterable[Shape]) -> dict[Location, list[Shape]]:
    """The shapes of an object on each frame or page, in their order."""
    locations: dict[Location, list[Shape]] = {}
    for shape in shapes:
        locations.setdefault((shape.frame, shape.page), []).append(shape)
    return locations


def in_order(locations: Iterable[Location]) -> list[Location]:
    """Sorted, the whole asset first."""
    return sorted(locations, key=lambda location: [-1 if number is None else number for number in location])


def location_text(location: Location) -> str:
    """ "in frame 12", "on page 3", or "" for the whole asset."""
    frame, page = location
    texts = [f"in frame {frame}"] if frame is not None else []
    texts += [f"on page {page}"] if page is not None else []
    return " ".join(texts)


def locations_text(locations: Sequence[Location]) -> str:
    """The first location and the number of the others: "in frame 12 and 4 more frames"."""
    if len(locations) < 2:
        return location_text(locations[0]) if locations else ""
    others = counted(len(locations) - 1, "more frame" if locations[-1][1] is None else "more page")
    return f"{location_text(locations[0])} and {others}"


def refuse_degrees(case: Case, shapes: Sequence[Shape]) -> None:
    """Raises NotApplicable when coordinates are degrees of longitude and latitude, not fractions of an image.

    shapes: with outlines or points. Kili is asked only about coordinates far outside an image: a geospatial project
    that is labelled in pixels has fractions too, and nobody labels the sea around 0 degrees north, 0 degrees east.
    """
    if shapes:
        left, top, right, bottom = bounds(shapes)
        farthest = max(-left, -top, right - 1, bottom - 1)
        if farthest > _FAR_OUTSIDE and case.project().input_type == "GEOSPATIAL":
            raise NotApplicable("coordinates are degrees, not fractions of an image")
