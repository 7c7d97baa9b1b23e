"""Checks of the size and shape of objects, and of objects at the border of the image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from annohooks.kili.label.geometry import area, bounds
from annohooks.kili.label.model import Object, Shape
from annohooks.kili.rules.base import Case, Inconsistent, Parameters, Scope, Violation, check
from annohooks.kili.rules.bounds import out_of_bounds, refuse_min_above_max, require_one_of
from annohooks.kili.rules.location import TOOLS_WITH_AREA, Location, by_location, location_text, refuse_degrees
from annohooks.kili.rules.messages import COMMON_VALUES, common_values

Measure = Annotated[float, Meta(ge=0)]
Side = Literal["left", "top", "right", "bottom"]
_SIDES: tuple[Side, ...] = ("left", "top", "right", "bottom")


class Size(Parameters, frozen=True):
    """The accepted size of an object on any frame or page: pieces added, holes subtracted.

    min_area, max_area, min_width, max_width, min_height, max_height: accepted themselves; width and height are those of
    the upright box around the object. unit: `fraction` of the image's area, width or height, or `px`, pixels, which
    needs an asset whose resolution Kili knows. Objects without an area (markers, lines, poses) are skipped.
    """

    min_area: Measure | None = None
    max_area: Measure | None = None
    min_width: Measure | None = None
    max_width: Measure | None = None
    min_height: Measure | None = None
    max_height: Measure | None = None
    unit: Literal["fraction", "px"] = "fraction"

    def __post_init__(self) -> None:
        names = [name for name in self.__struct_fields__ if name != "unit"]
        require_one_of(self, *names)
        refuse_min_above_max(self, "area", "width", "height")
        for name in names:
            if self.unit == "fraction" and (getattr(self, name) or 0) > 1:
                raise Inconsistent(name, "is a fraction of the image, so at most 1; for pixels add 'unit: px'")


@check(
    "size",
    Size,
    message="{category}: {problem} {where}",
    values={
        **COMMON_VALUES,
        "problem": "area 42% of the image is more than 33%",
        "area": 0.42,
        "width": 0.7,
        "height": 0.6,
    }
    | {"where": "in frame 12"},
    tools=TOOLS_WITH_AREA,
)
def size(case: Case, scope: Scope, parameters: Size) -> Iterator[Violation]:
    """Objects that are too small or too large: one violation per object, on the first such frame or page."""
    for obj, locations in _areas(case, scope):
        width_px, height_px = _size_px(case) if parameters.unit == "px" else (1, 1)
        measure, unit = ("{}", " px") if parameters.unit == "px" else ("{} of the image", "%")
        for location, pieces in locations.items():
            box = bounds(pieces)
            width, height = box.width * width_px, box.height * height_px
            measured = {"area": area(pieces) * width_px * height_px, "width": width, "height": height}
            problems = [
                out_of_bounds(f"{name} {measure}", value, low, high, unit)
                for name, value in measured.items()
                for low, high in [(getattr(parameters, f"min_{name}"), getattr(parameters, f"max_{name}"))]
            ]
            if any(problems):
                problem = ", ".join(filter(None, problems))
                values = {**common_values(obj), **measured, "problem": problem, "where": location_text(location)}
                yield Violation(obj.key, values, obj.mid)
                break


class AspectRatio(Parameters, frozen=True):
    """The accepted ratio of an object's width to its height, in pixels, on any frame or page. Needs the resolution.

    min_ratio, max_ratio: width by height of the upright box around it, accepted themselves; 1 is a square.
    """

    min_ratio: Measure | None = None
    max_ratio: Measure | None = None

    def __post_init__(self) -> None:
        require_one_of(self, "min_ratio", "max_ratio")
        refuse_min_above_max(self, "ratio")


@check(
    "aspect_ratio",
    AspectRatio,
    message="{category}: {problem} {where}",
    values={
        **COMMON_VALUES,
        "problem": "width 12 times the height is more than 10",
        "ratio": 12.0,
        "where": "in frame 12",
    },
    tools=TOOLS_WITH_AREA,
)
def aspect_ratio(case: Case, scope: Scope, parameters: AspectRatio) -> Iterator[Violation]:
    """Objects that are too wide or too high: one violation per object, on the first such frame or page."""
    for obj, locations in _areas(case, scope):
        width_px, height_px = _size_px(case)
        for location, pieces in locations.items():
            box = bounds(pieces)
            ratio = box.width * width_px / (box.height * height_px) if box.height else math.inf
            problem = out_of_bounds("width {} times the height", ratio, parameters.min_ratio, parameters.max_ratio)
            if problem:
                problem = problem if box.height else "no height"
                values = {**common_values(obj), "problem": problem, "ratio": ratio, "where": location_text(location)}
                yield Violation(obj.key, values, obj.mid)
                break


class Border(Parameters, frozen=True):
    """The sides of the image that an object may not touch.

    sides: left, top, right, bottom. margin: an object this near to a side touches it; a fraction of the image's width
    or height.
    """

    sides: Annotated[tuple[Side, ...], Meta(min_length=1)] = _SIDES
    margin: Annotated[float, Meta(ge=0, lt=0.5)] = 0.001


@check(
    "border",
    Border,
    message="{category} touches the border of the image ({sides}) {where}",
    values={**COMMON_VALUES, "sides": "left, top", "where": "in frame 12"},
)
def border(case: Case, scope: Scope, parameters: Border) -> Iterator[Violation]:
    """Objects at the border of the image: one violation per object, on the first such frame or page."""
    for obj in filter(scope.covers, case.reading.objects):
        shapes = [shape for shape in obj.shapes if shape.rings or shape.points]
        refuse_degrees(case, shapes)
        for location, pieces in by_location(shapes).items():
            left, top, right, bottom = bounds(pieces)
            near = dict(zip(_SIDES, (left, top, 1 - right, 1 - bottom), strict=True))
            touched = [side for side in _SIDES if side in parameters.sides and near[side] <= parameters.margin]
            if touched:
                values = {**common_values(obj), "sides": ", ".join(touched), "where": location_text(location)}
                yield Violation(obj.key, values, obj.mid)
                break


def _size_px(case: Case) -> tuple[int, int]:
    """Width and height of the image as the labeller saw it, which coordinates refer to. Raises NotApplicable."""
    width, height = case.size_px()
    return (height, width) if case.reading.rotation in (90, 270) else (width, height)


def _areas(case: Case, scope: Scope) -> Iterator[tuple[Object, dict[Location, list[Shape]]]]:
    for obj in filter(scope.covers, case.reading.objects):
        shapes = [shape for shape in obj.shapes if shape.rings]
        refuse_degrees(case, shapes)
        if shapes:
            yield obj, by_location(shapes)
