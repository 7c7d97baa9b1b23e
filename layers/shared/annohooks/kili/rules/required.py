"""What has to be there: answers to jobs and child jobs, the points of poses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from annohooks.kili.annotations.model import Answer, Object
from annohooks.kili.rules.base import Case, NotApplicable, Parameters, Scope, Violation, check, refuse_unread
from annohooks.kili.rules.places import ABOUT, about, places_in_words

Interface = dict[str, dict[str, Any]]
"""The jobs of a project's interface by name."""


class RequiredJobs(Parameters, frozen=True):
    """Which jobs have to be answered.

    jobs: their names; without any, those that the project's interface requires. Child jobs are not looked at.
    """

    jobs: tuple[str, ...] = ()


@check("required_jobs", RequiredJobs, message="{job} is not answered", values={"job": "JOB_0"}, scope="")
def required_jobs(case: Case, scope: Scope, parameters: RequiredJobs) -> Iterator[Violation]:
    """Jobs without an answer: one violation per job. In a video, an answer in any frame is one."""
    for job in parameters.jobs or _required_at_the_top(_interface(case)):
        if job not in case.reading.jobs:
            refuse_unread(case)
            yield Violation(job, {"job": job})


class RequiredChildren(Parameters, frozen=True):
    """Which child jobs have to be answered on each object and classification in the scope.

    jobs: their names; without any, those that the project's interface requires on its categories.
    """

    jobs: tuple[str, ...] = ()


@check(
    "required_children",
    RequiredChildren,
    message="{category}: {child} is not answered",
    values={**ABOUT, "child": "TRANSCRIPTION_JOB"},
)
def required_children(case: Case, scope: Scope, parameters: RequiredChildren) -> Iterator[Violation]:
    """Child jobs without an answer: one violation per object, or classification, and child job.

    In a video, an answer in any frame is one.
    """
    reading = case.reading
    answered: set[tuple[str, str | None, str | None]] = {(thing.job, None, None) for thing in reading.objects}
    for answer in reading.answers:
        if answer.categories or (answer.text or "").strip():
            answered |= {(answer.job, answer.of, above) for above in answer.within}
    mids = {thing.key: thing.mid for thing in reading.objects}
    interface = {} if parameters.jobs else _interface(case)
    parents: list[Object | Answer] = [*reading.objects, *reading.answers]
    for parent in parents:
        if not scope.covers(parent) or parent.job in parameters.jobs:
            continue
        of = parent.key if isinstance(parent, Object) else parent.of
        for child in parameters.jobs or _required_on(interface, parent):
            if (child, of, parent.job) not in answered and (child, None, None) not in answered:
                refuse_unread(case)
                yield Violation(
                    f"{of or parent.job}/{child}", {**about(parent), "child": child}, mids.get(of) if of else None
                )


class Pose(Parameters, frozen=True):
    """Which points every pose needs, in each frame that it is in.

    points: their codes; without any, all that the project's interface has for the pose's category.
    """

    points: tuple[str, ...] = ()


@check(
    "pose",
    Pose,
    message="{category}: without {missing} {where}",
    values={**ABOUT, "missing": "LEFT_EYE, NOSE", "where": "in frame 12"},
    scope="job category",
)
def pose(case: Case, scope: Scope, parameters: Pose) -> Iterator[Violation]:
    """Poses without some of their points: one violation per pose, with what is missing in the first such frame."""
    interface: Interface | None = None
    for thing in case.reading.objects:
        if thing.tool != "pose" or not scope.covers(thing):
            continue
        if interface is None:
            interface = {} if parameters.points else _interface(case)
        needed = parameters.points or _points(interface, thing)
        placed: dict[int | None, set[str]] = {shape.frame: set() for shape in thing.shapes}
        for keypoint in thing.keypoints:
            placed.setdefault(keypoint.frame, set()).add(keypoint.code)
        wrong = {frame: codes for frame, codes in placed.items() if not codes.issuperset(needed)}
        if wrong:
            refuse_unread(case)
            places = [(frame, None) for frame in wrong]
            missing = [code for code in needed if code not in wrong[places[0][0]]]
            values = {**about(thing), "missing": ", ".join(missing), "where": places_in_words(places)}
            yield Violation(thing.key, values, thing.mid)


def _interface(case: Case) -> Interface:
    """Raises NotApplicable when Kili gives none."""
    jobs = case.project().interface.get("jobs")
    if not isinstance(jobs, dict) or not jobs:
        raise NotApplicable("Kili gave no interface of the project, so the rule has to name what it needs")
    return {name: job for name, job in jobs.items() if isinstance(job, dict)}


def _required_at_the_top(interface: Interface) -> list[str]:
    """Jobs that no annotator sees, such as the markers of interactive segmentation, are not among them."""
    return [
        name
        for name, job in interface.items()
        if job.get("required") and not job.get("isChild") and job.get("isVisible") is not False
    ]


def _required_on(interface: Interface, parent: Object | Answer) -> list[str]:
    children = [job for job in _listed(interface, parent, "children") if isinstance(job, str)]
    return [job for job in children if interface.get(job, {}).get("required")]


def _points(interface: Interface, thing: Object) -> list[str]:
    points = [point for point in _listed(interface, thing, "points") if isinstance(point, dict)]
    return [point["code"] for point in points if isinstance(point.get("code"), str) and point.get("mandatory", True)]


def _listed(interface: Interface, thing: Object | Answer, key: str) -> list[Any]:
    """What the interface lists under this key for the categories of an object or answer, all of them together."""
    content = interface.get(thing.job, {}).get("content")
    categories = content.get("categories") if isinstance(content, dict) else None
    found: list[Any] = []
    for name in thing.categories:
        category = categories.get(name) if isinstance(categories, dict) else None
        listed = category.get(key) if isinstance(category, dict) else None
        found += [item for item in listed if item not in found] if isinstance(listed, list) else []
    return found
