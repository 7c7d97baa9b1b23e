"""Whether a label is what Kili's tools can draw."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from annohooks.kili.label.geometry import Work, area, bounds, self_crossing
from annohooks.kili.label.model import Object, Shape
from annohooks.kili.rules.base import Case, Parameters, Scope, Violation, check
from annohooks.kili.rules.location import ABOUT, about, in_words


class WellFormed(Parameters, frozen=True):
    """Nothing to say."""


@check(
    "well_formed",
    WellFormed,
    message="{part} is not as Kili writes it: {problem}",
    values={"part": "JOB_0.annotations[2].boundingPoly", "problem": "empty"},
    scope="",
)
def well_formed(case: Case, scope: Scope, parameters: WellFormed) -> Iterator[Violation]:
    """Parts of the label that could not be read, which no other rule sees: one violation per part."""
    for fault in case.reading.faults:
        subject = f"{fault.mid}: {fault.reason}" if fault.mid else fault.path or "label"
        yield Violation(subject, {"part": fault.path or "label", "problem": fault.reason}, fault.mid)


class Geometry(Parameters, frozen=True):
    """What is asked of the drawn: an area where the tool has one, and lines of more than one point.

    within_image: no vertex outside the image by more than tolerance, a fraction of its width or height (geospatial: not
    beyond 180 and 90 degrees). simple: no outline crosses itself; touching itself is accepted.
    """

    within_image: bool = True
    tolerance: Annotated[float, Meta(ge=0, le=1)] = 0.001
    simple: bool = True


@check(
    "geometry",
    Geometry,
    message="{category}: {problem} {where}",
    values={**ABOUT, "problem": "an outline crosses itself", "where": "in frame 12"},
)
def geometry(case: Case, scope: Scope, parameters: Geometry) -> Iterator[Violation]:
    """Objects that are not drawn soundly: one violation per object, with the first thing that is wrong.

    Raises TooComplex.
    """
    work = Work(deadline=case.deadline)
    for thing in filter(scope.covers, case.reading.objects):
        for shape in thing.shapes:
            problem = _problem(case, thing, shape, parameters, work)
            if problem:
                where = in_words((shape.frame, shape.page))
                yield Violation(thing.key, {**about(thing), "problem": problem, "where": where}, thing.mid)
                break


def _problem(case: Case, thing: Object, shape: Shape, parameters: Geometry, work: Work) -> str:
    if any(len(set(ring)) < 3 for ring in shape.rings):
        return "an outline has fewer than three different vertices"
    if thing.tool in ("polyline", "vector") and len(set(shape.points)) < 2:
        return "a line has fewer than two different points"
    if parameters.within_image and (shape.rings or shape.points) and _is_outside(case, shape, parameters.tolerance):
        return "a vertex lies outside the image"
    if parameters.simple and any(self_crossing(ring, work) for ring in shape.rings):
        return "an outline crosses itself"
    return "no area" if shape.rings and area(shape) <= 0 else ""


def _is_outside(case: Case, shape: Shape, tolerance: float) -> bool:
    """Kili is asked for the kind of project only when it could matter."""
    left, top, right, bottom = bounds(shape)
    if max(-left, -top, right - 1, bottom - 1) <= tolerance:
        return False
    if case.project().input_type != "GEOSPATIAL":
        return True
    return max(-left, right) > 180 or max(-top, bottom) > 90
