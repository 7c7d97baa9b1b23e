"""Checks of how a label was made: how long it took, and how objects were tracked through a video."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated

from msgspec import Meta

from annohooks.kili.rules.base import Case, NotApplicable, Parameters, Scope, Violation, check
from annohooks.kili.rules.bounds import counted, out_of_bounds, refuse_min_above_max, require_one_of
from annohooks.kili.rules.messages import COMMON_VALUES, common_values

Seconds = Annotated[float, Meta(ge=0)]
Number = Annotated[int, Meta(ge=0)]

_DECIMALS = 3


class TooFast(Parameters, frozen=True):
    """The shortest accepted labelling time, as Kili measured it. If both are set, the longer time applies.

    min_seconds: for the whole label. min_seconds_per_object: for each object in the scope.
    """

    min_seconds: Seconds | None = None
    min_seconds_per_object: Seconds | None = None

    def __post_init__(self) -> None:
        require_one_of(self, "min_seconds", "min_seconds_per_object")


@check(
    "too_fast",
    TooFast,
    message="labelled in {seconds:.10g} s, at least {least:.10g} s expected",
    values={"seconds": 4.0, "least": 10.0, "objects": 3},
)
def too_fast(case: Case, scope: Scope, parameters: TooFast) -> Iterator[Violation]:
    """A label that was made faster than accepted: one violation."""
    objects = sum(map(scope.covers, case.reading.objects))
    least = max(parameters.min_seconds or 0.0, (parameters.min_seconds_per_object or 0.0) * objects)
    if case.label.seconds_to_label is None:
        raise NotApplicable("Kili did not report the labelling time")
    seconds, least = (round(float(time), _DECIMALS) for time in (case.label.seconds_to_label, least))
    if seconds < least:
        yield Violation("label", {"seconds": seconds, "least": least, "objects": objects})


class Track(Parameters, frozen=True):
    """How an object has to be tracked through a video. All limits are accepted themselves.

    min_frames, max_frames: the number of frames with the object. max_gap: consecutive frames without the object between
    two frames with it. min_key_frame_share: the share of its frames that a person drew, 0 to 1; the others are
    interpolated.
    """

    min_frames: Number | None = None
    max_frames: Number | None = None
    max_gap: Number | None = None
    min_key_frame_share: Annotated[float, Meta(ge=0, le=1)] | None = None

    def __post_init__(self) -> None:
        require_one_of(self, *self.__struct_fields__)
        refuse_min_above_max(self, "frames")


@check(
    "track",
    Track,
    message="{category}: {problem}",
    values={**COMMON_VALUES, "problem": "gap of 12 frames is more than 5, after frame 30", "frames": 40, "gap": 12}
    | {"key_frame_share": 0.1},
)
def track(case: Case, scope: Scope, parameters: Track) -> Iterator[Violation]:
    """Objects of a video with too few or too many frames, gaps, or too few key frames: one violation per object."""
    for obj in filter(scope.covers, case.reading.objects):
        frames = sorted({shape.frame for shape in obj.shapes if shape.frame is not None})
        if not frames:
            continue
        keys = {shape.frame for shape in obj.shapes if shape.frame is not None and shape.key_frame}
        share = len(keys) / len(frames)
        gap, after = max(((later - earlier - 1, -earlier) for earlier, later in pairwise(frames)), default=(0, 0))
        problems = [
            out_of_bounds(
                f"track of {counted(len(frames), 'frame')}", len(frames), parameters.min_frames, parameters.max_frames
            ),
            out_of_bounds(f"gap of {counted(gap, 'frame')}", gap, None, parameters.max_gap),
            out_of_bounds("share of {} key frames", share, parameters.min_key_frame_share, None, "%"),
        ]
        if problems[1]:
            problems[1] += f", after frame {-after}"
        if any(problems):
            problem = ", ".join(filter(None, problems))
            values = {"problem": problem, "frames": len(frames), "gap": gap, "key_frame_share": share}
            yield Violation(obj.key, {**common_values(obj), **values}, obj.mid)
