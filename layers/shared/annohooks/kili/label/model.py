"""The contents of a label in one form for all jobs and tools.

Coordinates are Kili's: fractions of the width and height from the top left, x first, (0..1); degrees of longitude and
latitude in geospatial projects.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Point = tuple[float, float]
Ring = tuple[Point, ...]
"""A closed outline. The first point is not repeated at the end."""

Tool = Literal["rectangle", "polygon", "semantic", "polyline", "vector", "marker", "pose", "entity", "range"]
"""Kili's tools; `entity` is a named entity, in text or PDF."""


class Shape(msgspec.Struct, frozen=True):
    """One drawn part of an object, on one frame or page.

    rings: of an area, the outer ring first, then its holes. points: of a polyline, vector, marker or pose. frame: of a
    video, from 0. page: of a PDF, from 1. key_frame: whether a person drew it; otherwise it is interpolated.
    """

    rings: tuple[Ring, ...] = ()
    points: tuple[Point, ...] = ()
    frame: int | None = None
    page: int | None = None
    key_frame: bool = True


class Keypoint(msgspec.Struct, frozen=True):
    """One named point of a pose."""

    code: str
    point: Point
    frame: int | None = None


class Span(msgspec.Struct, frozen=True):
    """The part of a text that a named entity marks. end_offset: None when Kili left it out."""

    content: str
    begin_id: str | None = None
    begin_offset: int | None = None
    end_id: str | None = None
    end_offset: int | None = None


class Object(msgspec.Struct, frozen=True, kw_only=True):
    """One annotated object: all annotations of a job with the same mid, on any number of frames, pages and pieces.

    mid: Kili's id of the object; None when the label has none. path: its first place in the jsonResponse, such as
    JOB_0.annotations[2] or 17.JOB_0.annotations[0] (frame 17). categories: in the order of the label.
    """

    job: str
    tool: Tool
    path: str
    mid: str | None = None
    categories: tuple[str, ...] = ()
    shapes: tuple[Shape, ...] = ()
    keypoints: tuple[Keypoint, ...] = ()
    span: Span | None = None

    @property
    def key(self) -> str:
        """Identifies the object within its label: its mid, or its path when it has none."""
        return self.mid or self.path


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one job: a classification, a transcription, or one of the LLM jobs.

    of: the key of the object that the answer is about, or the id of the chat item when the job was answered for several
    chat items; None when the answer is about the asset. within: the jobs and categories above a child job, from the
    top: ("JOB_0", "CAR") for a child of category CAR of JOB_0; () at the top. categories: of a comparison the code of
    the choice, of a ranking the ranked elements, the best first. text: of a transcription; of a file its name. frame:
    of a video; None when the answer is about the whole video. page: of a PDF.
    """

    job: str
    path: str
    categories: tuple[str, ...] = ()
    text: str | None = None
    of: str | None = None
    within: tuple[str, ...] = ()
    frame: int | None = None
    page: int | None = None


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    """A relation between objects, or between entities. starts, ends: their mids."""

    job: str
    path: str
    mid: str | None = None
    categories: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()


class Fault(msgspec.Struct, frozen=True):
    """A part of the label that does not have Kili's format and was left out. path: its place in the jsonResponse."""

    path: str
    reason: str
    mid: str | None = None


class Reading(msgspec.Struct, frozen=True):
    """The whole contents of a label.

    jobs: the top-level jobs that are not empty, without pseudo-jobs. rotation: the degrees, 0, 90, 180 or 270, by which
    the image was turned when it was labelled. Coordinates refer to the turned image; at 90 and 270 degrees its width is
    the height of the image.
    """

    objects: tuple[Object, ...] = ()
    answers: tuple[Answer, ...] = ()
    relations: tuple[Relation, ...] = ()
    faults: tuple[Fault, ...] = ()
    jobs: frozenset[str] = frozenset()
    rotation: int = 0
