"""What a label says, whatever job and tool it was said with.

Coordinates are Kili's: fractions of the width and height from the top left, x first, (0..1); degrees of longitude and
latitude in geospatial projects. Source: protocol reference, section 4.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Point = tuple[float, float]
Ring = tuple[Point, ...]
"""A closed outline; the first point is not repeated at the end."""

Tool = Literal["rectangle", "polygon", "semantic", "polyline", "vector", "marker", "pose", "entity", "range"]
"""Kili's tools; `entity` is a named entity, in text or PDF."""


class Shape(msgspec.Struct, frozen=True):
    """One drawn part of an object, on one frame or page.

    rings: of an area, the outer one first, then its holes. points: of what has no area: polyline, vector, marker, pose.
    frame: of a video, from 0. page: of a PDF, from 1. key_frame: drawn by a person, not interpolated.
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
    """Where a named entity stands in a text. end_offset: None when Kili left it out."""

    content: str
    begin_id: str | None = None
    begin_offset: int | None = None
    end_id: str | None = None
    end_offset: int | None = None


class Object(msgspec.Struct, frozen=True, kw_only=True):
    """One annotated thing: annotations with the same mid in the same job, on however many frames, pages or pieces.

    mid: Kili's id of it; None when the label has none. path: where it first stands in the jsonResponse, such as
    JOB_0.annotations[2] or 17.JOB_0.annotations[0] (frame 17). categories: in their order.
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
        """What names it within its label: its mid, or else where it stands."""
        return self.mid or self.path


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answered question: a classification, a transcription, or one of the LLM jobs.

    of: the key of the object it is about, or the id of the chat item when the job was answered about several of them;
    None when it is about the asset. within: the jobs and categories above a child job, from the top: ("JOB_0", "CAR")
    for a child of category CAR of JOB_0; () at the top. categories: of a comparison the code of the choice, of a
    ranking what was ranked, the best first. text: of a transcription; of a file its name. frame: of a video; None when
    about all of it. page: of a PDF.
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
    """Objects or entities tied together, by their mids."""

    job: str
    path: str
    mid: str | None = None
    categories: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()


class Fault(msgspec.Struct, frozen=True):
    """A part of the label that is not as Kili writes it, and was left out: where, and what is wrong with it."""

    path: str
    reason: str
    mid: str | None = None


class Reading(msgspec.Struct, frozen=True):
    """All a label says.

    jobs: the top-level jobs that have something in them; pseudo-jobs are not among them. rotation: by how many degrees,
    0, 90, 180 or 270, the image was turned when it was labelled; coordinates are of the turned one, whose width at 90
    and 270 is the height of the image.
    """

    objects: tuple[Object, ...] = ()
    answers: tuple[Answer, ...] = ()
    relations: tuple[Relation, ...] = ()
    faults: tuple[Fault, ...] = ()
    jobs: frozenset[str] = frozenset()
    rotation: int = 0
