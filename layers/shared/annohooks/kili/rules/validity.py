"""Checks of whether a label has Kili's format, and of whether its objects are drawn soundly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from annohooks.kili.label.geometry import Work, area, bounds, self_crossing
from annohooks.kili.label.model import Object, Shape
from annohooks.kili.rules.base import Case, Parameters, Scope, Violation, check
from annohooks.kili.rules.location import location_text
from annohooks.kili.rules.messages import COMMON_VALUES, common_values


class WellFormed(Parameters, frozen=True):
    """No parameters."""


@check(
    "well_formed",
    WellFormed,
    message="{part} does not have Kili's format: {problem}",
    values={"part": "JOB_0.annotations[2].boundingPoly", "problem": "empty"},
    scope="",
)
def well_formed(case: Case, scope: Scope, parameters: WellFormed) -> Iterator[Violation]:
    """Parts of the label that could not be read, and that no other rule checks: one violation per part."""
    for fault in case.reading.faults:
        subject = f"{fault.mid}: {fault.reason}" if fault.mid else fault.path or "label"
        yield Violation(subject, {"part": fault.path or "label", "problem": fault.reason}, fault.mid)


class Geometry(Parameters, frozen=True):
    """What a sound object needs. It also needs an area, if its tool has one, and a line needs two different points.

    within_image: no vertex lies outside the image by more than tolerance, a fraction of the image's width or height; in
    degrees, no vertex lies beyond 180 and 90. simple: no outline crosses itself; an outline may touch itself.
    """

    within_image: bool = True
    tolerance: Annotated[float, Meta(ge=0, le=1)] = 0.001
    simple: bool = True


@check(
    "geometry",
    Geometry,
    message="{category}: {problem} {where}",
    values={**COMMON_VALUES, "problem": "an outline crosses itself", "where": "in frame 12"},
)
def geometry(case: Case, scope: Scope, parameters: Geometry) -> Iterator[Violation]:
    """Objects that are not drawn soundly: one violation per object, with its first problem. Raises TooComplex."""
    work = Work(deadline=case.deadline)
    for obj in filter(scope.covers, case.reading.objects):
        for shape in obj.shapes:
            problem = _problem(case, obj, shape, parameters, work)
            if problem:
                where = location_text((shape.frame, shape.page))
                yield Violation(obj.key, {**common_values(obj), "problem": problem, "where": where}, obj.mid)
                break


def _problem(case: Case, obj: Object, shape: Shape, parameters: Geometry, work: Work) -> str:
    if any(len(set(ring)) < 3 for ring in shape.rings):
        return "an outline has fewer than three different vertices"
    if obj.tool in ("polyline", "vector") and len(set(shape.points)) < 2:
        return "a line has fewer than two different points"
    if parameters.within_image and (shape.rings or shape.points) and _is_outside(case, shape, parameters.tolerance):
        return "a vertex lies outside the image"
    if parameters.simple and any(self_crossing(ring, work) for ring in shape.rings):
        return "an outline crosses itself"
    return "no area" if shape.rings and area(shape) <= 0 else ""


def _is_outside(case: Case, shape: Shape, tolerance: float) -> bool:
    """Asks Kili for the type of the project only when a vertex lies outside the image."""
    left, top, right, bottom = bounds(shape)
    if max(-left, -top, right - 1, bottom - 1) <= tolerance:
        return False
    if case.project().input_type != "GEOSPATIAL":
        return True
    return max(-left, right) > 180 or max(-top, bottom) > 90
