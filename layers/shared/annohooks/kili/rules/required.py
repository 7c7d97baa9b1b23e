"""Checks of what a label must contain: answers to jobs and child jobs, and the points of poses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from annohooks.kili.label.model import Answer, Object
from annohooks.kili.rules.base import Case, NotApplicable, Parameters, Scope, Violation, check
from annohooks.kili.rules.location import locations_text
from annohooks.kili.rules.messages import COMMON_VALUES, common_values

Interface = dict[str, dict[str, Any]]
"""The jobs of a project's interface, by name."""

Unit = tuple[str | None, int | None]
"""What an answer is about: the key of an object, or the page of a document; both None for the whole asset."""


class RequiredJobs(Parameters, frozen=True):
    """Which jobs have to be answered. Child jobs are not checked.

    jobs: their names; if none are named, the jobs that the project's interface requires.
    """

    jobs: tuple[str, ...] = ()


@check("required_jobs", RequiredJobs, message="{job} is not answered", values={"job": "JOB_0"}, scope="")
def required_jobs(case: Case, scope: Scope, parameters: RequiredJobs) -> Iterator[Violation]:
    """Jobs without an answer: one violation per job. In a video, an answer in any frame is one."""
    reading = case.reading
    blank = {answer.job for answer in reading.answers if not answer.within and not _is_answered(answer)}
    blank -= {answer.job for answer in reading.answers if _is_answered(answer)}
    blank -= {obj.job for obj in reading.objects} | {relation.job for relation in reading.relations}
    for job in parameters.jobs or _required_at_the_top(_interface(case)):
        if job not in reading.jobs or job in blank:
            yield Violation(job, {"job": job}, missing=True)


class RequiredChildren(Parameters, frozen=True):
    """Which child jobs have to be answered on each category of the objects and classifications in the scope.

    jobs: their names; if none are named, the child jobs that the project's interface requires on each category.
    """

    jobs: tuple[str, ...] = ()


@check(
    "required_children",
    RequiredChildren,
    message="{category}: {child} is not answered",
    values={**COMMON_VALUES, "child": "TRANSCRIPTION_JOB"},
)
def required_children(case: Case, scope: Scope, parameters: RequiredChildren) -> Iterator[Violation]:
    """Child jobs without an answer: one violation per category of an object, or a classification, and child job.

    In a video, an answer in any frame is one.
    """
    reading = case.reading
    drawn = {obj.job for obj in reading.objects}
    below: dict[tuple[str, Unit, str], set[str | None]] = {}
    for answer in filter(_is_answered, reading.answers):
        for above, category in zip(answer.within, (*answer.within[1:], None), strict=False):
            below.setdefault((answer.job, _unit(answer), above), set()).add(category)
    mids = {obj.key: obj.mid for obj in reading.objects}
    interface = {} if parameters.jobs else _interface(case)
    parents: list[Object | Answer] = [*reading.objects, *reading.answers]
    for parent in parents:
        if not scope.covers(parent) or parent.job in parameters.jobs:
            continue
        of, page = _unit(parent)
        for category in _categories(parent, scope):
            for child in parameters.jobs or _required_on(interface, parent.job, category):
                # A child of the job itself, and not of one category, answers for each category.
                on = below.get((child, (of, page), parent.job), set())
                if child not in drawn and category not in on and on.issubset(parent.categories):
                    subject = "/".join(map(str, filter(None, (of or parent.job, category, child, page))))
                    values = {**common_values(parent), "category": category or parent.job, "child": child}
                    yield Violation(subject, values, mids.get(of or ""), missing=True)


def _is_answered(answer: Answer) -> bool:
    """Whether the answer has a category, or a text that is not blank."""
    return bool(answer.categories or (answer.text or "").strip())


def _unit(obj: Object | Answer) -> Unit:
    if isinstance(obj, Object):
        return obj.key, None
    return obj.of, None if obj.of else obj.page


def _categories(parent: Object | Answer, scope: Scope) -> Sequence[str | None]:
    """The categories that are in the scope; one None for an object without categories."""
    if isinstance(parent, Object) and not parent.categories:
        return (None,)
    return [name for name in parent.categories if not scope.category or name in scope.category]


class Pose(Parameters, frozen=True):
    """The points that every pose needs, in each of its frames.

    points: their codes; if none are named, all that the project's interface has for the pose's category.
    """

    points: tuple[str, ...] = ()


@check(
    "pose",
    Pose,
    message="{category} without {missing} {where}",
    values={**COMMON_VALUES, "missing": "LEFT_EYE, NOSE", "where": "in frame 12"},
    scope="job category",
)
def pose(case: Case, scope: Scope, parameters: Pose) -> Iterator[Violation]:
    """Poses that lack points: one violation per pose, with the points that the first such frame lacks."""
    interface: Interface | None = None
    for obj in case.reading.objects:
        if obj.tool != "pose" or not scope.covers(obj):
            continue
        if interface is None:
            interface = {} if parameters.points else _interface(case)
        needed = parameters.points or _points(interface, obj)
        placed: dict[int | None, set[str]] = {shape.frame: set() for shape in obj.shapes}
        for keypoint in obj.keypoints:
            placed.setdefault(keypoint.frame, set()).add(keypoint.code)
        wrong = {frame: codes for frame, codes in placed.items() if not codes.issuperset(needed)}
        if wrong:
            locations = [(frame, None) for frame in wrong]
            missing = [code for code in needed if code not in wrong[locations[0][0]]]
            values = {**common_values(obj), "missing": ", ".join(missing), "where": locations_text(locations)}
            yield Violation(obj.key, values, obj.mid, missing=True)


def _interface(case: Case) -> Interface:
    """Raises NotApplicable when Kili returns no interface."""
    jobs = case.project().interface.get("jobs")
    if not isinstance(jobs, dict) or not jobs:
        raise NotApplicable("Kili returned no interface of the project; name the jobs or points in the rule")
    return {name: job for name, job in jobs.items() if isinstance(job, dict)}


def _required_at_the_top(interface: Interface) -> list[str]:
    """The required jobs that annotators see; the markers of interactive segmentation, for instance, are hidden."""
    return [
        name
        for name, job in interface.items()
        if job.get("required") and not job.get("isChild") and job.get("isVisible") is not False
    ]


def _required_on(interface: Interface, job: str, category: str | None) -> list[str]:
    children = _listed(interface, job, [category] if category else [], "children")
    return [child for child in children if isinstance(child, str) and interface.get(child, {}).get("required")]


def _points(interface: Interface, obj: Object) -> list[str]:
    points = [point for point in _listed(interface, obj.job, obj.categories, "points") if isinstance(point, dict)]
    return [point["code"] for point in points if isinstance(point.get("code"), str) and point.get("mandatory", True)]


def _listed(interface: Interface, job: str, names: Sequence[str], key: str) -> list[Any]:
    """The items under this key ("children", "points") of the named categories of a job, each item once."""
    content = interface.get(job, {}).get("content")
    categories = content.get("categories") if isinstance(content, dict) else None
    items: list[Any] = []
    for name in names:
        category = categories.get(name) if isinstance(categories, dict) else None
        listed = category.get(key) if isinstance(category, dict) else None
        items += [item for item in listed if item not in items] if isinstance(listed, list) else []
    return items
