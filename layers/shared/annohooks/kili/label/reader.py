"""Reads Kili's jsonResponse: every type of job, every tool, old formats and new ones, and malformed labels.

Nothing here raises: a part that does not have Kili's format is left out and becomes a Fault.
Source: PyPI package kili 26.2.4, kili.utils.labels.parsing and its tests.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from annohooks.kili.label.model import Answer, Fault, Object, Reading, Relation, Shape
from annohooks.kili.label.shapes import (
    Drawn,
    Malformed,
    choice_of,
    drawn_of,
    is_number,
    is_pose,
    keypoint_of,
    kind_of,
    pages_of,
    ranking_of,
    text_of,
)

MOST_FAULTS: Final = 100
"""One more fault then has the number of the others."""
DEEPEST: Final = 16
"""Levels of child jobs; Kili's interfaces have two or three."""
LONGEST_NAME: Final = 200
"""Characters of a job's name, which is part of every path in the job. Kili's own names have about ten."""
LONGEST_PATH: Final = 200
"""Characters of the path of a fault, which is cut after them."""

ROTATION_JOB: Final = "ROTATION_JOB"
ROTATIONS: Final = (0, 90, 180, 270)
PSEUDO_JOBS: Final = frozenset({"ANNOTATION_JOB_COUNTER", "ANNOTATION_NAMES_JOB", ROTATION_JOB})
ASSET_LEVEL: Final = "assetLevel"
CHAT_ITEMS: Final = "chatItems"
RELATIONS: Final = (("startEntities", "endEntities"), ("startObjects", "endObjects"))
ANSWER_KEYS: Final = frozenset({"categories", "text", "choice", "orders", "fileId"})
RESPONSE_KEYS: Final = ANSWER_KEYS | {"annotations"}
OTHER_KEYS: Final = frozenset({"children", "isKeyFrame", "jobName", "mlTask", "labelVersion"})
"""Keys of a job's response that are no answer."""


class _Context(NamedTuple):
    """What the response of a job is about.

    mid: of the object, if it has one. level: 0 at the top, 1 for child jobs, and so on. The other fields are those of
    Answer.
    """

    frame: int | None = None
    page: int | None = None
    of: str | None = None
    mid: str | None = None
    within: tuple[str, ...] = ()
    level: int = 0

    def of_child_jobs(self, *parents: str) -> _Context:
        """The context of child jobs. parents: the job they belong to, and its category if they belong to one."""
        return self._replace(within=self.within + parents, level=self.level + 1)


class _ObjectBuilder:
    """Collects the annotations of one Object."""

    __slots__ = ("categories", "job", "keypoints", "mid", "path", "shapes", "span", "tool")

    def __init__(self, job: str, path: str, mid: str | None, drawn: Drawn, categories: tuple[str, ...]) -> None:
        self.job, self.path, self.mid = job, path, mid
        self.categories = dict.fromkeys(categories)
        self.tool, self.span = drawn.tool, drawn.span
        self.shapes, self.keypoints = drawn.shapes, list(drawn.keypoints)

    def add(self, drawn: Drawn, categories: tuple[str, ...]) -> None:
        self.shapes += drawn.shapes
        self.keypoints += drawn.keypoints
        self.categories.update(dict.fromkeys(categories))

    def object(self) -> Object:
        return Object(
            job=self.job,
            tool=self.tool,
            path=self.path,
            mid=self.mid,
            categories=tuple(self.categories),
            shapes=tuple(self.shapes),
            keypoints=tuple(self.keypoints),
            span=self.span,
        )


class _RelationBuilder:
    """Collects the annotations of one Relation, which a video repeats on each frame."""

    __slots__ = ("categories", "ends", "job", "mid", "path", "starts")

    def __init__(self, job: str, path: str, mid: str | None) -> None:
        self.job, self.path, self.mid = job, path, mid
        self.categories: dict[str, None] = {}
        self.starts: dict[str, None] = {}
        self.ends: dict[str, None] = {}

    def relation(self) -> Relation:
        return Relation(
            job=self.job,
            path=self.path,
            mid=self.mid,
            categories=tuple(self.categories),
            starts=tuple(self.starts),
            ends=tuple(self.ends),
        )


def read(json_response: Any) -> Reading:
    """The contents of a label. Never raises. The time is linear in the size of the label.

    json_response: decoded, or JSON text. A label is of a video when one of its keys is a frame number or "assetLevel"
    and holds jobs; jobs beside the frames are about the whole video. `jobs` of the result are those with an object, a
    relation, a category, or a text that is not blank.
    An outline loses its last point if that repeats the first. The four corners of a rectangle, which Kili stores in any
    order, are put in order around it. A comparison becomes an Answer whose category is the code of the choice; a
    ranking, one whose categories are the ranked elements, the best first; a file, one whose text is its name.
    """
    reader = _Reader()
    reader.label(json_response)
    return reader.reading()


class _Reader:
    """Collects the contents of one label. Its methods descend into the label and call each other.

    path: the place in the jsonResponse, for faults.
    """

    def __init__(self) -> None:
        self.object_builders: list[_ObjectBuilder] = []
        self.object_builder_of: dict[tuple[str, str], _ObjectBuilder] = {}
        self.answers: list[Answer] = []
        self.seen_answers: set[tuple[object, ...]] = set()
        self.relation_builders: list[_RelationBuilder] = []
        self.relation_builder_of: dict[tuple[str, str], _RelationBuilder] = {}
        self.faults: list[Fault] = []
        self.more_faults = 0
        self.jobs: set[str] = set()
        self.rotation = 0

    def reading(self) -> Reading:
        if self.more_faults:
            self.faults.append(Fault("", f"and {self.more_faults} more"))
        return Reading(
            objects=tuple(builder.object() for builder in self.object_builders),
            answers=tuple(self.answers),
            relations=tuple(builder.relation() for builder in self.relation_builders),
            faults=tuple(self.faults),
            jobs=frozenset(self.jobs),
            rotation=self.rotation,
        )

    def fault(self, path: str, reason: str, mid: str | None = None) -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(path[:LONGEST_PATH], reason, mid))
        else:
            self.more_faults += 1

    # A label and its jobs

    def label(self, response: Any) -> None:
        if isinstance(response, str | bytes):
            try:
                response = msgspec.json.decode(response)
            except (msgspec.DecodeError, ValueError, RecursionError):
                self.fault("", "the label is not JSON")
                return
        if not isinstance(response, dict):
            self.fault("", f"the label is {kind_of(response)}, not an object")
            return
        if ROTATION_JOB in response:
            self.read_rotation(response[ROTATION_JOB])
        if any(_is_frame(key) and _holds_jobs(jobs) for key, jobs in response.items()):
            frames = {key for key in response if _is_frame(key)}
            for frame, key in sorted((int(key), key) for key in frames - {ASSET_LEVEL}):
                self.children(response[key], key, _Context(frame=frame))
            self.children(response.get(ASSET_LEVEL), ASSET_LEVEL, _Context())
            response = {key: value for key, value in response.items() if key not in frames}
        self.children(response, "", _Context())

    def read_rotation(self, response: Any) -> None:
        rotation = response.get("rotation") if isinstance(response, dict) else None
        if rotation in ROTATIONS:
            self.rotation = int(rotation)
        else:
            self.fault(ROTATION_JOB, "not a rotation of 0, 90, 180 or 270 degrees")

    def children(self, jobs: Any, path: str, context: _Context) -> None:
        """The jobs of an asset, a frame, an object or a category, with their responses."""
        if not isinstance(jobs, dict):
            if jobs is not None:
                self.fault(path, f"expected jobs, not {kind_of(jobs)}", context.mid)
        elif jobs and context.level > DEEPEST:
            self.fault(path, f"more than {DEEPEST} levels of child jobs", context.mid)
        else:
            for job, response in jobs.items():
                if job in PSEUDO_JOBS:
                    continue
                if not isinstance(job, str) or not job:
                    self.fault(path, "a job without a name", context.mid)
                elif len(job) > LONGEST_NAME:
                    self.fault(path, f"a job with a name of more than {LONGEST_NAME} characters", context.mid)
                else:
                    self.job(job, response, f"{path}.{job}" if path else job, context)

    def job(self, job: str, response: Any, path: str, context: _Context) -> None:
        if not isinstance(response, dict):
            if response is not None:
                self.fault(path, f"expected a job's response, not {kind_of(response)}", context.mid)
            return
        annotations = response.get("annotations")
        if isinstance(annotations, list):
            for index, annotation in enumerate(annotations):
                self.annotation(job, annotation, f"{path}.annotations[{index}]", context)
        elif annotations is not None:
            self.fault(f"{path}.annotations", f"expected annotations, not {kind_of(annotations)}", context.mid)
        chat_items = response.get(CHAT_ITEMS)
        if isinstance(chat_items, list) and chat_items:
            for index, answer in enumerate(chat_items):
                self.chat_item(job, answer, f"{path}.{CHAT_ITEMS}[{index}]", context)
        else:
            self.answer(job, response, path, context)
        if RESPONSE_KEYS.isdisjoint(response) and not OTHER_KEYS.issuperset(response):
            self.fault(path, "without an answer to a job", context.mid)

    # Answers

    def answer(self, job: str, response: dict[str, Any], path: str, context: _Context) -> None:
        """A classification, a transcription or the answer to an LLM job, and its child jobs."""
        categories = self.categories(response, path, context.mid)
        text = None
        if not ANSWER_KEYS.isdisjoint(response):
            try:
                text = text_of(response)
                categories += choice_of(response) + ranking_of(response)
            except Malformed as error:
                self.fault(path + error.path, error.reason, context.mid)
        if categories or text is not None:
            self.add_answer(
                Answer(
                    job=job,
                    path=path,
                    categories=categories,
                    text=text,
                    of=context.of,
                    within=context.within,
                    frame=context.frame,
                    page=context.page,
                ),
                context.level,
            )
        self.child_jobs(job, response, categories, path, context)

    def chat_item(self, job: str, response: Any, path: str, context: _Context) -> None:
        """The answer about one of several chat items; see `annohooks.kili.api.llm_labels`."""
        if isinstance(response, dict):
            of = response.get("chatItemId")
            self.answer(job, response, path, context._replace(of=of if isinstance(of, str) else None))
        else:
            self.fault(path, f"expected an answer, not {kind_of(response)}", context.mid)

    def add_answer(self, answer: Answer, level: int) -> None:
        if not level and (answer.categories or (answer.text or "").strip()):
            self.jobs.add(answer.job)
        if answer.of is not None:  # each piece of a split object repeats the answers about the object
            same = (answer.job, answer.of, answer.within, answer.frame, answer.page, answer.categories, answer.text)
            if same in self.seen_answers:
                return
            self.seen_answers.add(same)
        self.answers.append(answer)

    def categories(self, response: dict[str, Any], path: str, mid: str | None) -> tuple[str, ...]:
        categories = response.get("categories")
        if not isinstance(categories, list):
            if categories is not None:
                self.fault(f"{path}.categories", f"expected categories, not {kind_of(categories)}", mid)
            return ()
        names = []
        for index, category in enumerate(categories):
            name = category.get("name") if isinstance(category, dict) else None
            if isinstance(name, str) and name:
                names.append(name)
            else:
                self.fault(f"{path}.categories[{index}]", "a category without a name", mid)
        return tuple(names)

    def child_jobs(
        self, job: str, response: dict[str, Any], categories: tuple[str, ...], path: str, context: _Context
    ) -> None:
        """Child jobs of the whole response (objects; classifications in old labels), and of each of its categories."""
        children = response.get("children")
        if children:
            only_category = categories if len(categories) == 1 else ()
            self.children(children, f"{path}.children", context.of_child_jobs(job, *only_category))
        listed = response.get("categories") if categories else None
        for index, category in enumerate(listed if isinstance(listed, list) else ()):
            children = category.get("children") if isinstance(category, dict) else None
            if children:
                name = [category["name"]] if isinstance(category.get("name"), str) else []
                self.children(children, f"{path}.categories[{index}].children", context.of_child_jobs(job, *name))

    # Annotations

    def annotation(self, job: str, annotation: Any, path: str, context: _Context) -> None:
        if not isinstance(annotation, dict):
            self.fault(path, f"expected an annotation, not {kind_of(annotation)}")
            return
        if not annotation:  # Kili sometimes stores empty annotations, and its own exports skip them
            return
        mid = annotation.get("mid")
        if mid is not None and not (isinstance(mid, str) and mid):
            self.fault(f"{path}.mid", "a mid that is not a string")
            mid = None
        for starts, ends in RELATIONS:
            if starts in annotation or ends in annotation:
                self.relation(job, annotation, path, mid, context, starts, ends)
                return
        try:
            pose = is_pose(annotation)
            drawn = self.pose(annotation, path, mid, context.frame) if pose else drawn_of(annotation, context.frame)
        except Malformed as error:
            self.fault(path + error.path, error.reason, mid)
            return
        if drawn is None:
            self.answer_annotation(job, annotation, path, mid, context)
            return
        categories = self.categories(annotation, path, mid)
        builder = self.object_builder_of.get((job, mid)) if mid else None
        if builder is None:
            builder = _ObjectBuilder(job, path, mid, drawn, categories)
            self.object_builders.append(builder)
            if mid:
                self.object_builder_of[job, mid] = builder
            if not context.level:
                self.jobs.add(job)
        elif builder.tool == drawn.tool:
            builder.add(drawn, categories)
        else:
            self.fault(path, f"a {drawn.tool} with the mid of a {builder.tool}", mid)
            return
        nested = _Context(context.frame, context.page, mid or path, mid, context.within, context.level)
        self.child_jobs(job, annotation, categories, path, nested)
        if pose:
            self.children_of_points(job, annotation["points"], categories, path, nested)

    def answer_annotation(
        self, job: str, annotation: dict[str, Any], path: str, mid: str | None, context: _Context
    ) -> None:
        """An annotation without shapes, of a page or of the whole asset: an answer that is stored as an annotation."""
        if all(annotation.get(key) in (None, []) for key in ANSWER_KEYS):
            self.fault(path, "neither drawn nor answered", mid)
            return
        parts = annotation.get("annotations")
        parts = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
        try:
            pages = [page for part in (annotation, *parts) for page in pages_of(part, "")]
        except Malformed as error:
            self.fault(path + error.path, error.reason, mid)
            return
        for page in dict.fromkeys(pages) or (None,):
            self.answer(job, annotation, path, context._replace(page=page, mid=mid))

    def relation(
        self,
        job: str,
        annotation: dict[str, Any],
        path: str,
        mid: str | None,
        context: _Context,
        starts: str,
        ends: str,
    ) -> None:
        builder = self.relation_builder_of.get((job, mid)) if mid else None
        if builder is None:
            builder = _RelationBuilder(job, path, mid)
            self.relation_builders.append(builder)
            if mid:
                self.relation_builder_of[job, mid] = builder
            if not context.level:
                self.jobs.add(job)
        categories = self.categories(annotation, path, mid)
        builder.categories.update(dict.fromkeys(categories))
        builder.starts.update(dict.fromkeys(self.relation_mids(annotation, starts, path, mid)))
        builder.ends.update(dict.fromkeys(self.relation_mids(annotation, ends, path, mid)))
        self.child_jobs(job, annotation, categories, path, context._replace(of=mid or path, mid=mid))

    def relation_mids(self, annotation: dict[str, Any], end: str, path: str, mid: str | None) -> tuple[str, ...]:
        """The mids at one end of a relation."""
        values = annotation.get(end)
        if not isinstance(values, list):
            if values is not None:
                self.fault(f"{path}.{end}", f"expected mids, not {kind_of(values)}", mid)
            return ()
        mids = []
        for index, value in enumerate(values):
            other = value.get("mid") if isinstance(value, dict) else None
            if isinstance(other, str) and other:
                mids.append(other)
            else:
                self.fault(f"{path}.{end}[{index}]", "without a mid", mid)
        return tuple(mids)

    def pose(self, annotation: dict[str, Any], path: str, mid: str | None, frame: int | None) -> Drawn:
        """The points of a pose that were placed, without those that are malformed. Raises Malformed."""
        if not isinstance(annotation["points"], list):
            raise Malformed(".points", f"expected points, not {kind_of(annotation['points'])}")
        keypoints = []
        for index, point in enumerate(annotation["points"]):
            try:
                keypoint = keypoint_of(point, frame)
            except Malformed as error:
                self.fault(f"{path}.points[{index}]{error.path}", error.reason, mid)
            else:
                if keypoint is not None:
                    keypoints.append(keypoint)
        points = tuple(keypoint.point for keypoint in keypoints)
        key_frame = annotation.get("isKeyFrame") is not False
        return Drawn("pose", [Shape(points=points, frame=frame, key_frame=key_frame)], tuple(keypoints))

    def children_of_points(
        self, job: str, points: list[Any], categories: tuple[str, ...], path: str, context: _Context
    ) -> None:
        for index, point in enumerate(points):
            if isinstance(point, dict) and point.get("children"):
                code = [point["code"]] if isinstance(point.get("code"), str) else []
                child_context = context.of_child_jobs(job, *categories[:1], *code)
                self.children(point["children"], f"{path}.points[{index}].children", child_context)


def _is_frame(key: object) -> bool:
    return isinstance(key, str) and (key == ASSET_LEVEL or is_number(key))


def _holds_jobs(value: Any) -> bool:
    """Whether a value holds the jobs of a frame, and is not the response of a job whose name is a number.

    The values of a frame are all JSON objects; a job's response has lists and strings.
    """
    return (
        isinstance(value, dict)
        and any(isinstance(response, dict) for response in value.values())
        and not any(isinstance(value.get(key), list | str) for key in RESPONSE_KEYS)
    )
