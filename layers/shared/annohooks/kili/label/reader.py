"""Reads Kili's jsonResponse: every job type and tool, old shapes and new ones, and whatever else comes.

Nothing here raises: a part that is not as Kili writes it becomes a Fault and is left out, the rest is kept.
Source: protocol reference, section 4.
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
"""So many are named; a last one says how many more there are."""
DEEPEST: Final = 16
"""Levels of child jobs; Kili's interfaces have two or three."""
LONGEST_NAME: Final = 200
"""Of a job, which stands in the path of everything in it; Kili makes names of some ten letters."""
LONGEST_PATH: Final = 200
"""Of a fault; what is left is cut off."""

ROTATION_JOB: Final = "ROTATION_JOB"
ROTATIONS: Final = (0, 90, 180, 270)
PSEUDO_JOBS: Final = frozenset({"ANNOTATION_JOB_COUNTER", "ANNOTATION_NAMES_JOB", ROTATION_JOB})
ASSET_LEVEL: Final = "assetLevel"
CHAT_ITEMS: Final = "chatItems"
RELATIONS: Final = (("startEntities", "endEntities"), ("startObjects", "endObjects"))
SAID_BY_ANSWERS: Final = frozenset({"categories", "text", "choice", "orders", "fileId"})
SAID_BY_JOBS: Final = SAID_BY_ANSWERS | {"annotations"}
SAID_BESIDE: Final = frozenset({"children", "isKeyFrame", "jobName", "mlTask", "labelVersion"})
"""Keys of a job's response that answer nothing by themselves."""


class _About(NamedTuple):
    """What a job's response is about. mid: of the object, if it has one. level: 0 at the top, 1 for child jobs, and so
    on. The others are as in Answer."""

    frame: int | None = None
    page: int | None = None
    of: str | None = None
    mid: str | None = None
    within: tuple[str, ...] = ()
    level: int = 0

    def below(self, *above: str) -> _About:
        """above: the job, and the category if there is one, whose child jobs it is about."""
        return self._replace(within=self.within + above, level=self.level + 1)


class _Track:
    """An Object in the making."""

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


class _Tie:
    """A Relation in the making, from as many frames as it stands on."""

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
    """All that a label says.

    json_response: decoded, or JSON text. It is of a video when one of its keys is a frame number, or "assetLevel", and
    has jobs in it; jobs beside the frames are about all of it. A job counts among `jobs` when it has an object, a
    relation, a category or a text that is not blank.
    An outline that repeats its first point at the end loses it, and the four corners of a rectangle, which Kili keeps
    in any order, are put in order around it. A comparison is an Answer whose category is the choice's code; a ranking
    one whose categories are what was ranked, the best first; a file one whose text is its name.
    Time is linear in the label. Never raises.
    """
    reader = _Reader()
    reader.label(json_response)
    return reader.reading()


class _Reader:
    """Gathers what a label says, part by part."""

    def __init__(self) -> None:
        self.tracks: list[_Track] = []
        self.track_of: dict[tuple[str, str], _Track] = {}
        self.answers: list[Answer] = []
        self.answered: set[tuple[object, ...]] = set()
        self.ties: list[_Tie] = []
        self.tie_of: dict[tuple[str, str], _Tie] = {}
        self.faults: list[Fault] = []
        self.more_faults = 0
        self.jobs: set[str] = set()
        self.rotation = 0

    def reading(self) -> Reading:
        if self.more_faults:
            self.faults.append(Fault("", f"and {self.more_faults} more"))
        return Reading(
            objects=tuple(track.object() for track in self.tracks),
            answers=tuple(self.answers),
            relations=tuple(tie.relation() for tie in self.ties),
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
            self.rotated(response[ROTATION_JOB])
        if any(_is_frame(key) and _holds_jobs(jobs) for key, jobs in response.items()):
            frames = {key for key in response if _is_frame(key)}
            for frame, key in sorted((int(key), key) for key in frames - {ASSET_LEVEL}):
                self.children(response[key], key, _About(frame=frame))
            self.children(response.get(ASSET_LEVEL), ASSET_LEVEL, _About())
            response = {job: said for job, said in response.items() if job not in frames}
        self.children(response, "", _About())

    def rotated(self, said: Any) -> None:
        rotation = said.get("rotation") if isinstance(said, dict) else None
        if rotation in ROTATIONS:
            self.rotation = int(rotation)
        else:
            self.fault(ROTATION_JOB, "no rotation of 0, 90, 180 or 270 degrees")

    def children(self, jobs: Any, path: str, about: _About) -> None:
        """Jobs with their responses: of an asset, a frame, an object or a category."""
        if not isinstance(jobs, dict):
            if jobs is not None:
                self.fault(path, f"{kind_of(jobs)} where jobs should be", about.mid)
        elif jobs and about.level > DEEPEST:
            self.fault(path, f"more than {DEEPEST} levels of child jobs", about.mid)
        else:
            for job, response in jobs.items():
                if job in PSEUDO_JOBS:
                    continue
                if not isinstance(job, str) or not job:
                    self.fault(path, "a job without a name", about.mid)
                elif len(job) > LONGEST_NAME:
                    self.fault(path, f"a job with a name of more than {LONGEST_NAME} characters", about.mid)
                else:
                    self.job(job, response, f"{path}.{job}" if path else job, about)

    def job(self, job: str, response: Any, path: str, about: _About) -> None:
        if not isinstance(response, dict):
            if response is not None:
                self.fault(path, f"{kind_of(response)} where a job's response should be", about.mid)
            return
        annotations = response.get("annotations")
        if isinstance(annotations, list):
            for index, annotation in enumerate(annotations):
                self.annotation(job, annotation, f"{path}.annotations[{index}]", about)
        elif annotations is not None:
            self.fault(f"{path}.annotations", f"{kind_of(annotations)} where annotations should be", about.mid)
        chat_items = response.get(CHAT_ITEMS)
        if isinstance(chat_items, list) and chat_items:
            for index, said in enumerate(chat_items):
                self.chat_item(job, said, f"{path}.{CHAT_ITEMS}[{index}]", about)
        else:
            self.answer(job, response, path, about)
        if SAID_BY_JOBS.isdisjoint(response) and not SAID_BESIDE.issuperset(response):
            self.fault(path, "nothing in it that answers a job", about.mid)

    # Answers

    def answer(self, job: str, said: dict[str, Any], path: str, about: _About) -> None:
        """A classification, a transcription or what an LLM job was answered with, and its child jobs."""
        categories = self.categories(said, path, about.mid)
        text = None
        if not SAID_BY_ANSWERS.isdisjoint(said):
            try:
                text = text_of(said)
                categories += choice_of(said) + ranking_of(said)
            except Malformed as wrong:
                self.fault(path + wrong.where, wrong.reason, about.mid)
        if categories or text is not None:
            self.add_answer(
                Answer(
                    job=job,
                    path=path,
                    categories=categories,
                    text=text,
                    of=about.of,
                    within=about.within,
                    frame=about.frame,
                    page=about.page,
                ),
                about.level,
            )
        self.child_jobs(job, said, categories, path, about)

    def chat_item(self, job: str, said: Any, path: str, about: _About) -> None:
        """What was answered about one of several chat items; see `annohooks.kili.api.llm_labels`."""
        if isinstance(said, dict):
            of = said.get("chatItemId")
            self.answer(job, said, path, about._replace(of=of if isinstance(of, str) else None))
        else:
            self.fault(path, f"{kind_of(said)} where an answer should be", about.mid)

    def add_answer(self, answer: Answer, level: int) -> None:
        if not level and (answer.categories or (answer.text or "").strip()):
            self.jobs.add(answer.job)
        if answer.of is not None:  # each piece of a split object repeats what is said about it
            same = (answer.job, answer.of, answer.within, answer.frame, answer.page, answer.categories, answer.text)
            if same in self.answered:
                return
            self.answered.add(same)
        self.answers.append(answer)

    def categories(self, said: dict[str, Any], path: str, mid: str | None) -> tuple[str, ...]:
        found = said.get("categories")
        if not isinstance(found, list):
            if found is not None:
                self.fault(f"{path}.categories", f"{kind_of(found)} where categories should be", mid)
            return ()
        names = []
        for index, category in enumerate(found):
            name = category.get("name") if isinstance(category, dict) else None
            if isinstance(name, str) and name:
                names.append(name)
            else:
                self.fault(f"{path}.categories[{index}]", "a category without a name", mid)
        return tuple(names)

    def child_jobs(self, job: str, said: dict[str, Any], categories: tuple[str, ...], path: str, about: _About) -> None:
        """Child jobs on what was said (objects; classifications of old) and on each of its categories."""
        children = said.get("children")
        if children:
            self.children(children, f"{path}.children", about.below(job, *(categories if len(categories) == 1 else ())))
        found = said.get("categories") if categories else None
        for index, category in enumerate(found if isinstance(found, list) else ()):
            children = category.get("children") if isinstance(category, dict) else None
            if children:
                named = [category["name"]] if isinstance(category.get("name"), str) else []
                self.children(children, f"{path}.categories[{index}].children", about.below(job, *named))

    # Annotations

    def annotation(self, job: str, annotation: Any, path: str, about: _About) -> None:
        if not isinstance(annotation, dict):
            self.fault(path, f"{kind_of(annotation)} where an annotation should be")
            return
        if not annotation:  # Kili leaves such behind, and its own exports skip them
            return
        mid = annotation.get("mid")
        if mid is not None and not (isinstance(mid, str) and mid):
            self.fault(f"{path}.mid", "a mid that is not a text")
            mid = None
        for starts, ends in RELATIONS:
            if starts in annotation or ends in annotation:
                self.relation(job, annotation, path, mid, about, starts, ends)
                return
        try:
            pose = is_pose(annotation)
            drawn = self.posed(annotation, path, mid, about.frame) if pose else drawn_of(annotation, about.frame)
        except Malformed as wrong:
            self.fault(path + wrong.where, wrong.reason, mid)
            return
        if drawn is None:
            self.undrawn(job, annotation, path, mid, about)
            return
        categories = self.categories(annotation, path, mid)
        track = self.track_of.get((job, mid)) if mid else None
        if track is None:
            track = _Track(job, path, mid, drawn, categories)
            self.tracks.append(track)
            if mid:
                self.track_of[job, mid] = track
            if not about.level:
                self.jobs.add(job)
        elif track.tool == drawn.tool:
            track.add(drawn, categories)
        else:
            self.fault(path, f"a {drawn.tool} with the mid of a {track.tool}", mid)
            return
        of_it = _About(about.frame, about.page, mid or path, mid, about.within, about.level)
        self.child_jobs(job, annotation, categories, path, of_it)
        if pose:
            self.children_of_points(job, annotation["points"], categories, path, of_it)

    def undrawn(self, job: str, annotation: dict[str, Any], path: str, mid: str | None, about: _About) -> None:
        """An annotation of a page or of the asset as a whole: an answer in all but its place."""
        if all(annotation.get(key) in (None, []) for key in SAID_BY_ANSWERS):
            self.fault(path, "neither drawn nor answered", mid)
            return
        parts = annotation.get("annotations")
        parts = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
        try:
            pages = [page for part in (annotation, *parts) for page in pages_of(part, "")]
        except Malformed as wrong:
            self.fault(path + wrong.where, wrong.reason, mid)
            return
        for page in dict.fromkeys(pages) or (None,):
            self.answer(job, annotation, path, about._replace(page=page, mid=mid))

    def relation(
        self, job: str, said: dict[str, Any], path: str, mid: str | None, about: _About, starts: str, ends: str
    ) -> None:
        tie = self.tie_of.get((job, mid)) if mid else None
        if tie is None:
            tie = _Tie(job, path, mid)
            self.ties.append(tie)
            if mid:
                self.tie_of[job, mid] = tie
            if not about.level:
                self.jobs.add(job)
        categories = self.categories(said, path, mid)
        tie.categories.update(dict.fromkeys(categories))
        tie.starts.update(dict.fromkeys(self.tied(said, starts, path, mid)))
        tie.ends.update(dict.fromkeys(self.tied(said, ends, path, mid)))
        self.child_jobs(job, said, categories, path, about._replace(of=mid or path, mid=mid))

    def tied(self, said: dict[str, Any], end: str, path: str, mid: str | None) -> tuple[str, ...]:
        """The mids at one end of a relation."""
        found = said.get(end)
        if not isinstance(found, list):
            if found is not None:
                self.fault(f"{path}.{end}", f"{kind_of(found)} where mids should be", mid)
            return ()
        mids = []
        for index, tied in enumerate(found):
            other = tied.get("mid") if isinstance(tied, dict) else None
            if isinstance(other, str) and other:
                mids.append(other)
            else:
                self.fault(f"{path}.{end}[{index}]", "no mid in it", mid)
        return tuple(mids)

    def posed(self, annotation: dict[str, Any], path: str, mid: str | None, frame: int | None) -> Drawn:
        """The points of a pose that were placed; one that is malformed is left out alone. Raises Malformed."""
        if not isinstance(annotation["points"], list):
            raise Malformed(".points", f"{kind_of(annotation['points'])} where points should be")
        keypoints = []
        for index, said in enumerate(annotation["points"]):
            try:
                keypoint = keypoint_of(said, frame)
            except Malformed as wrong:
                self.fault(f"{path}.points[{index}]{wrong.where}", wrong.reason, mid)
            else:
                if keypoint is not None:
                    keypoints.append(keypoint)
        points = tuple(keypoint.point for keypoint in keypoints)
        key_frame = annotation.get("isKeyFrame") is not False
        return Drawn("pose", [Shape(points=points, frame=frame, key_frame=key_frame)], tuple(keypoints))

    def children_of_points(
        self, job: str, points: list[Any], categories: tuple[str, ...], path: str, about: _About
    ) -> None:
        for index, said in enumerate(points):
            if isinstance(said, dict) and said.get("children"):
                code = [said["code"]] if isinstance(said.get("code"), str) else []
                below = about.below(job, *categories[:1], *code)
                self.children(said["children"], f"{path}.points[{index}].children", below)


def _is_frame(key: object) -> bool:
    return isinstance(key, str) and (key == ASSET_LEVEL or is_number(key))


def _holds_jobs(value: Any) -> bool:
    """Whether it is a frame's, and not the response of a job that happens to be named by a number.

    A frame holds jobs, so only objects; a job's response holds lists and texts.
    """
    return (
        isinstance(value, dict)
        and any(isinstance(response, dict) for response in value.values())
        and not any(isinstance(value.get(key), list | str) for key in SAID_BY_JOBS)
    )
