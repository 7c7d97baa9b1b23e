"""Which engine a payload asks for, and what it finds in a picture or in a segment of a video, as AION."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

import msgspec

from annohooks.aiware import aion, photo
from annohooks.aiware.parameters import chosen
from annohooks.aiware.photo import Seen
from annohooks.core.deadline import Deadline
from annohooks.core.errors import BadRequest
from annohooks.imaging import decode, video
from annohooks.imaging.analyzers import ANALYZERS, Analyzer
from annohooks.imaging.decode import NotAPicture, Picture
from annohooks.imaging.detectors.base import Detector, Kind
from annohooks.imaging.tracking import Tracker
from annohooks.imaging.video import Video

MOST_PIXELS = 64_000_000
"""Of a picture."""

E = TypeVar("E", Analyzer[Any, Any], Detector[Any])


class _Sampling(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    sample_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] = 1_000
    segment_ms: Annotated[int, msgspec.Meta(ge=1_000, le=3_600_000)] = 60_000

    def __post_init__(self) -> None:
        if self.segment_ms < self.sample_ms:
            raise BadRequest("The payload's `segmentMs` is less than its `sampleMs`.")


class _Resolution(msgspec.Struct, frozen=True, kw_only=True):
    mpp: Annotated[float, msgspec.Meta(ge=0.001, le=10_000)] = 0.5


@dataclass(frozen=True, slots=True)
class Engine:
    """An analyzer or a detector with its parameters.

    name: as settings and payloads have it. kind: AION's type of what it finds. step_ms: between samples of a video.
    segment_ms: of a video, what is worked on in one piece. look: finds the objects of a picture.
    """

    name: str
    kind: Kind
    step_ms: int
    segment_ms: int
    look: Callable[[Picture, Deadline], Seen]

    def of_picture(self, content: bytes, times_ms: tuple[int, int], deadline: Deadline) -> dict[str, Any]:
        """The AION document of a picture file: a series if it is of a time, that is, if its end is after its start.

        times_ms: where the chunk lies in the asset. Raises BadRequest for what is no picture, one of too many pixels,
        or one too coarse for the analyzer; TooLarge for a result that would be; DeadlineExceeded.
        """
        try:
            picture = decode.picture(content, MOST_PIXELS)
        except NotAPicture as error:
            raise BadRequest(f"The media cannot be used: {error}.") from None
        seen = self.look(picture, deadline)
        height, width = picture.shape[:2]
        is_timed = times_ms[1] > times_ms[0]
        return aion.of_picture(seen.found, self.kind, (width, height), times_ms if is_timed else None, seen.about)

    def of_segment(
        self, source: Video, start_ms: int, stop_ms: int, offset_ms: int, deadline: Deadline
    ) -> dict[str, Any]:
        """The AION document of a video's samples from start_ms until before stop_ms.

        start_ms, stop_ms: from the start of the file, which lies offset_ms after that of the asset; the document has
        times of the asset. What is in a sample is told until the next, or until the file ends. Raises TooLarge,
        DeadlineExceeded between samples, and what `imaging.video.frames` does. A picture that is shown at several
        samples is looked at once.
        """
        tracker = Tracker(self.step_ms)
        last: Picture | None = None
        for at_ms, picture in video.frames(source, start_ms, stop_ms, self.step_ms):
            deadline.check("looking at the video")
            if picture is not last:
                last, found = picture, self.look(picture, deadline).found
            tracker.add(at_ms, found)
        appearances = [
            replace(each, stop_ms=max(each.start_ms, min(each.stop_ms, source.duration_ms)))
            for each in tracker.finish()
        ]
        return aion.of_appearances(appearances, self.kind, (source.width, source.height), offset_ms)


def choose(
    parameters: Callable[[str], Any] | Mapping[str, Any], default: str, detectors: Mapping[str, Detector[Any]]
) -> Engine:
    """The engine that a payload's `analyzer` names, `default` if it names none, with the parameters it chooses.

    parameters: the payload's values by name. detectors: those there are, beside the analyzers of `imaging`. Raises
    BadRequest naming the payload's field that cannot be used.
    """
    parameter = parameters.get if isinstance(parameters, Mapping) else parameters
    sampling = chosen(_Sampling, parameter)
    wanted = parameter("analyzer") or default
    if detector := _named(wanted, detectors):
        name, kind, look = detector.name, detector.kind, _detecting(detector, parameter)
    elif analyzer := _named(wanted, ANALYZERS):
        name, kind, look = analyzer.name, "object", _analysing(analyzer, parameter)
    else:
        raise BadRequest(f"The payload's `analyzer` has to be one of {', '.join([*detectors, *ANALYZERS])}.")
    return Engine(name, kind, sampling.sample_ms, sampling.segment_ms, look)


def _named(wanted: Any, engines: Mapping[str, E]) -> E | None:
    """By name or title, in any case."""
    text = str(wanted).strip().casefold()
    return next((each for each in engines.values() if text in (each.name, each.title.casefold())), None)


def _detecting(detector: Detector[Any], parameter: Callable[[str], Any]) -> Callable[[Picture, Deadline], Seen]:
    parameters = chosen(detector.parameters, parameter)

    def look(picture: Picture, deadline: Deadline) -> Seen:
        deadline.check(f"looking for {detector.title.lower()}")
        return Seen(detector.detect(picture, parameters), {})

    return look


def _analysing(analyzer: Analyzer[Any, Any], parameter: Callable[[str], Any]) -> Callable[[Picture, Deadline], Seen]:
    parameters, mpp = chosen(analyzer.parameters, parameter), chosen(_Resolution, parameter).mpp
    if 0 < parameters.largest_um2 < parameters.smallest_um2:
        raise BadRequest("The payload's `largest_um2` is less than its `smallest_um2`.")
    return lambda picture, deadline: photo.analysed(picture, mpp, analyzer, parameters, deadline)
