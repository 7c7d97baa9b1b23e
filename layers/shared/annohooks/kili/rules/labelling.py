"""How a label was made: how long it took, and how objects were followed through a video."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated

from msgspec import Meta

from annohooks.kili.rules.base import Case, NotApplicable, Parameters, Scope, Violation, check
from annohooks.kili.rules.bounds import beyond, many, must_be_in_order, must_say_something
from annohooks.kili.rules.location import ABOUT, about

Seconds = Annotated[float, Meta(ge=0)]
Number = Annotated[int, Meta(ge=0)]

_DIGITS = 3  # of seconds


class TooFast(Parameters, frozen=True):
    """How long labelling has to take, by Kili's own clock.

    min_seconds: in all; min_seconds_per_object: for each object in the scope. The larger of both counts.
    """

    min_seconds: Seconds | None = None
    min_seconds_per_object: Seconds | None = None

    def __post_init__(self) -> None:
        must_say_something(self, "min_seconds", "min_seconds_per_object")


@check(
    "too_fast",
    TooFast,
    message="labelled in {seconds:.10g} s, at least {least:.10g} s expected",
    values={"seconds": 4.0, "least": 10.0, "objects": 3},
)
def too_fast(case: Case, scope: Scope, parameters: TooFast) -> Iterator[Violation]:
    """A label that was made too fast: one violation."""
    objects = sum(map(scope.covers, case.reading.objects))
    least = max(parameters.min_seconds or 0.0, (parameters.min_seconds_per_object or 0.0) * objects)
    if case.label.seconds_to_label is None:
        raise NotApplicable("Kili does not say how long the label took")
    seconds, least = (round(float(time), _DIGITS) for time in (case.label.seconds_to_label, least))
    if seconds < least:
        yield Violation("label", {"seconds": seconds, "least": least, "objects": objects})


class Track(Parameters, frozen=True):
    """How an object has to be followed through a video.

    min_frames, max_frames: on how many frames it is. max_gap: frames in a row that it may be away. min_key_frame_share:
    of its frames, those drawn by a person and not interpolated, 0 to 1. All accepted themselves.
    """

    min_frames: Number | None = None
    max_frames: Number | None = None
    max_gap: Number | None = None
    min_key_frame_share: Annotated[float, Meta(ge=0, le=1)] | None = None

    def __post_init__(self) -> None:
        must_say_something(self, *self.__struct_fields__)
        must_be_in_order(self, "frames")


@check(
    "track",
    Track,
    message="{category}: {problem}",
    values={**ABOUT, "problem": "gap of 12 frames is more than 5, after frame 30", "frames": 40, "gap": 12}
    | {"key_frame_share": 0.1},
)
def track(case: Case, scope: Scope, parameters: Track) -> Iterator[Violation]:
    """Objects of a video that are there too shortly, too long, with gaps, or drawn too seldom: one violation each."""
    for thing in filter(scope.covers, case.reading.objects):
        frames = sorted({shape.frame for shape in thing.shapes if shape.frame is not None})
        if not frames:
            continue
        keys = {shape.frame for shape in thing.shapes if shape.frame is not None and shape.key_frame}
        share = len(keys) / len(frames)
        gap, after = max(((later - earlier - 1, -earlier) for earlier, later in pairwise(frames)), default=(0, 0))
        problems = [
            beyond(f"track of {many(len(frames), 'frame')}", len(frames), parameters.min_frames, parameters.max_frames),
            beyond(f"gap of {many(gap, 'frame')}", gap, None, parameters.max_gap),
            beyond("share of {} key frames", share, parameters.min_key_frame_share, None, "%"),
        ]
        if problems[1]:
            problems[1] += f", after frame {-after}"
        if any(problems):
            problem = ", ".join(filter(None, problems))
            values = {"problem": problem, "frames": len(frames), "gap": gap, "key_frame_share": share}
            yield Violation(thing.key, {**about(thing), **values}, thing.mid)
