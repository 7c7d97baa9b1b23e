"""How large objects are, and whether they touch the border of the image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from annohooks.kili.label.geometry import area, bounds
from annohooks.kili.label.model import Object, Shape
from annohooks.kili.rules.base import Case, Inconsistent, Parameters, Scope, Violation, check
from annohooks.kili.rules.bounds import beyond, must_be_in_order, must_say_something
from annohooks.kili.rules.location import ABOUT, WITH_AREA, Place, about, by_place, in_words, refuse_degrees

Measure = Annotated[float, Meta(ge=0)]
Side = Literal["left", "top", "right", "bottom"]
_SIDES: tuple[Side, ...] = ("left", "top", "right", "bottom")


class Size(Parameters, frozen=True):
    """How large an object may be in any one frame or page: all its pieces together, holes off.

    min_area, max_area, min_width, max_width, min_height, max_height: accepted themselves; width and height are those of
    the upright box around it. unit: `fraction` of the image's area, width or height, or `px`, pixels, which needs an
    asset whose resolution Kili knows. What has no area (markers, lines, poses) is not looked at.
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
        must_say_something(self, *names)
        must_be_in_order(self, "area", "width", "height")
        for name in names:
            if self.unit == "fraction" and (getattr(self, name) or 0) > 1:
                raise Inconsistent(name, "is a fraction of the image, so at most 1; for pixels there is 'unit: px'")


@check(
    "size",
    Size,
    message="{category}: {problem} {where}",
    values={**ABOUT, "problem": "area 42% of the image is more than 33%", "area": 0.42, "width": 0.7, "height": 0.6}
    | {"where": "in frame 12"},
    tools=WITH_AREA,
)
def size(case: Case, scope: Scope, parameters: Size) -> Iterator[Violation]:
    """Objects that are too small or too large: one violation per object, of the first frame or page where it is."""
    for thing, places in _areas(case, scope):
        width_px, height_px = _size_px(case) if parameters.unit == "px" else (1, 1)
        said, unit = ("{}", " px") if parameters.unit == "px" else ("{} of the image", "%")
        for place, pieces in places.items():
            box = bounds(pieces)
            width, height = box.width * width_px, box.height * height_px
            measured = {"area": area(pieces) * width_px * height_px, "width": width, "height": height}
            problems = [
                beyond(f"{name} {said}", value, low, high, unit)
                for name, value in measured.items()
                for low, high in [(getattr(parameters, f"min_{name}"), getattr(parameters, f"max_{name}"))]
            ]
            if any(problems):
                problem = ", ".join(filter(None, problems))
                values = {**about(thing), **measured, "problem": problem, "where": in_words(place)}
                yield Violation(thing.key, values, thing.mid)
                break


class AspectRatio(Parameters, frozen=True):
    """How wide an object may be for its height, in pixels, in any one frame or page; needs the asset's resolution.

    min_ratio, max_ratio: width by height of the upright box around it, both accepted; 1 is a square.
    """

    min_ratio: Measure | None = None
    max_ratio: Measure | None = None

    def __post_init__(self) -> None:
        must_say_something(self, "min_ratio", "max_ratio")
        must_be_in_order(self, "ratio")


@check(
    "aspect_ratio",
    AspectRatio,
    message="{category}: {problem} {where}",
    values={**ABOUT, "problem": "width 12 times the height is more than 10", "ratio": 12.0, "where": "in frame 12"},
    tools=WITH_AREA,
)
def aspect_ratio(case: Case, scope: Scope, parameters: AspectRatio) -> Iterator[Violation]:
    """Objects that are too long or too high: one violation per object, of the first frame or page where it is."""
    for thing, places in _areas(case, scope):
        width_px, height_px = _size_px(case)
        for place, pieces in places.items():
            box = bounds(pieces)
            ratio = box.width * width_px / (box.height * height_px) if box.height else math.inf
            problem = beyond("width {} times the height", ratio, parameters.min_ratio, parameters.max_ratio)
            if problem:
                problem = problem if box.height else "no height"
                values = {**about(thing), "problem": problem, "ratio": ratio, "where": in_words(place)}
                yield Violation(thing.key, values, thing.mid)
                break


class Border(Parameters, frozen=True):
    """Which sides of the image an object may not touch.

    sides: left, top, right, bottom. margin: so near is touching, as a fraction of the image's width or height.
    """

    sides: Annotated[tuple[Side, ...], Meta(min_length=1)] = _SIDES
    margin: Annotated[float, Meta(ge=0, lt=0.5)] = 0.001


@check(
    "border",
    Border,
    message="{category} touches the border of the image ({sides}) {where}",
    values={**ABOUT, "sides": "left, top", "where": "in frame 12"},
)
def border(case: Case, scope: Scope, parameters: Border) -> Iterator[Violation]:
    """Objects at the border of the image: one violation per object, of the first frame or page where it is."""
    for thing in filter(scope.covers, case.reading.objects):
        shapes = [shape for shape in thing.shapes if shape.rings or shape.points]
        refuse_degrees(case, shapes)
        for place, pieces in by_place(shapes).items():
            left, top, right, bottom = bounds(pieces)
            near = dict(zip(_SIDES, (left, top, 1 - right, 1 - bottom), strict=True))
            touched = [side for side in _SIDES if side in parameters.sides and near[side] <= parameters.margin]
            if touched:
                values = {**about(thing), "sides": ", ".join(touched), "where": in_words(place)}
                yield Violation(thing.key, values, thing.mid)
                break


def _size_px(case: Case) -> tuple[int, int]:
    """Of the image as the labeller saw it, which is what coordinates are of. Raises NotApplicable."""
    width, height = case.size_px()
    return (height, width) if case.reading.rotation in (90, 270) else (width, height)


def _areas(case: Case, scope: Scope) -> Iterator[tuple[Object, dict[Place, list[Shape]]]]:
    for thing in filter(scope.covers, case.reading.objects):
        shapes = [shape for shape in thing.shapes if shape.rings]
        refuse_degrees(case, shapes)
        if shapes:
            yield thing, by_place(shapes)
