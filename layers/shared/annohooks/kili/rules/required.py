"""What has to be there: answers to jobs and child jobs, the points of poses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from annohooks.kili.label.model import Answer, Object
from annohooks.kili.rules.base import Case, NotApplicable, Parameters, Scope, Violation, check
from annohooks.kili.rules.location import ABOUT, about, places_in_words

Interface = dict[str, dict[str, Any]]
"""The jobs of a project's interface by name."""

Unit = tuple[str | None, int | None]
"""What an answer is about: the key of an object; or the page of a document, or nothing, for the asset."""


class RequiredJobs(Parameters, frozen=True):
    """Which jobs have to be answered.

    jobs: their names; without any, those that the project's interface requires. Child jobs are not looked at.
    """

    jobs: tuple[str, ...] = ()


@check("required_jobs", RequiredJobs, message="{job} is not answered", values={"job": "JOB_0"}, scope="")
def required_jobs(case: Case, scope: Scope, parameters: RequiredJobs) -> Iterator[Violation]:
    """Jobs without an answer: one violation per job. In a video, an answer in any frame is one."""
    reading = case.reading
    blank = {answer.job for answer in reading.answers if not answer.within and not _is_said(answer)}
    blank -= {answer.job for answer in reading.answers if _is_said(answer)}
    blank -= {thing.job for thing in reading.objects} | {relation.job for relation in reading.relations}
    for job in parameters.jobs or _required_at_the_top(_interface(case)):
        if job not in reading.jobs or job in blank:
            yield Violation(job, {"job": job}, missing=True)


class RequiredChildren(Parameters, frozen=True):
    """Which child jobs have to be answered on each category of the objects and classifications in the scope.

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
    """Child jobs without an answer: one violation per category of an object, or a classification, and child job.

    In a video, an answer in any frame is one.
    """
    reading = case.reading
    drawn = {thing.job for thing in reading.objects}
    below: dict[tuple[str, Unit, str], set[str | None]] = {}
    for answer in filter(_is_said, reading.answers):
        for above, category in zip(answer.within, (*answer.within[1:], None), strict=False):
            below.setdefault((answer.job, _unit(answer), above), set()).add(category)
    mids = {thing.key: thing.mid for thing in reading.objects}
    interface = {} if parameters.jobs else _interface(case)
    parents: list[Object | Answer] = [*reading.objects, *reading.answers]
    for parent in parents:
        if not scope.covers(parent) or parent.job in parameters.jobs:
            continue
        of, page = _unit(parent)
        for category in _categories(parent, scope):
            for child in parameters.jobs or _required_on(interface, parent.job, category):
                # What hangs on the job itself, and not on one of its categories, is said of each of them.
                on = below.get((child, (of, page), parent.job), set())
                if child not in drawn and category not in on and on.issubset(parent.categories):
                    subject = "/".join(map(str, filter(None, (of or parent.job, category, child, page))))
                    values = {**about(parent), "category": category or parent.job, "child": child}
                    yield Violation(subject, values, mids.get(of or ""), missing=True)


def _is_said(answer: Answer) -> bool:
    """Whether there is more to it than white space."""
    return bool(answer.categories or (answer.text or "").strip())


def _unit(thing: Object | Answer) -> Unit:
    if isinstance(thing, Object):
        return thing.key, None
    return thing.of, None if thing.of else thing.page


def _categories(parent: Object | Answer, scope: Scope) -> Sequence[str | None]:
    """Those in the scope; None for an object that has none."""
    if isinstance(parent, Object) and not parent.categories:
        return (None,)
    return [name for name in parent.categories if not scope.category or name in scope.category]


class Pose(Parameters, frozen=True):
    """Which points every pose needs, in each frame that it is in.

    points: their codes; without any, all that the project's interface has for the pose's category.
    """

    points: tuple[str, ...] = ()


@check(
    "pose",
    Pose,
    message="{category} without {missing} {where}",
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
            places = [(frame, None) for frame in wrong]
            missing = [code for code in needed if code not in wrong[places[0][0]]]
            values = {**about(thing), "missing": ", ".join(missing), "where": places_in_words(places)}
            yield Violation(thing.key, values, thing.mid, missing=True)


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


def _required_on(interface: Interface, job: str, category: str | None) -> list[str]:
    listed = _listed(interface, job, [category] if category else [], "children")
    children = [child for child in listed if isinstance(child, str)]
    return [child for child in children if interface.get(child, {}).get("required")]


def _points(interface: Interface, thing: Object) -> list[str]:
    points = [point for point in _listed(interface, thing.job, thing.categories, "points") if isinstance(point, dict)]
    return [point["code"] for point in points if isinstance(point.get("code"), str) and point.get("mandatory", True)]


def _listed(interface: Interface, job: str, used: Sequence[str], key: str) -> list[Any]:
    """What the interface lists under this key for these categories of a job, all of them together."""
    content = interface.get(job, {}).get("content")
    categories = content.get("categories") if isinstance(content, dict) else None
    found: list[Any] = []
    for name in used:
        category = categories.get(name) if isinstance(categories, dict) else None
        listed = category.get(key) if isinstance(category, dict) else None
        found += [item for item in listed if item not in found] if isinstance(listed, list) else []
    return found
