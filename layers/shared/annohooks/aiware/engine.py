"""The engine that a payload asks for, and the AION documents that it makes of pictures and videos."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

import msgspec

from annohooks.aiware import aion, picture_slide
from annohooks.aiware.parameters import chosen
from annohooks.aiware.picture_slide import PictureFindings
from annohooks.core.deadline import Deadline
from annohooks.core.errors import BadRequest
from annohooks.imaging import decode, video
from annohooks.imaging.analyzers import ANALYZERS, Analyzer
from annohooks.imaging.decode import NotAPicture, Picture
from annohooks.imaging.detectors.base import Detector, Kind
from annohooks.imaging.tracking import Tracker
from annohooks.imaging.video import Video

MAX_PIXELS = 64_000_000
"""Of a picture."""

E = TypeVar("E", Analyzer[Any, Any], Detector[Any])
Look = Callable[[Picture, Deadline], PictureFindings]


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

    name: as in settings and payloads. kind: AION's type of its objects. sample_ms: the time between two samples of a
    video. segment_ms: the length of a segment. look: finds the objects of a picture.
    """

    name: str
    kind: Kind
    sample_ms: int
    segment_ms: int
    look: Look

    def of_picture(self, content: bytes, times_ms: tuple[int, int], deadline: Deadline) -> dict[str, Any]:
        """The AION document of a picture file: a series if the chunk's end in the asset is after its start.

        times_ms: start and end of the chunk in the asset. Raises BadRequest for a file that is no picture, that has too
        many pixels, or that is too coarse for the analyzer; TooLarge for a result that is too large; DeadlineExceeded.
        """
        try:
            picture = decode.picture(content, MAX_PIXELS)
        except NotAPicture as error:
            raise BadRequest(f"The media cannot be used: {error}.") from None
        findings = self.look(picture, deadline)
        height, width = picture.shape[:2]
        is_timed = times_ms[1] > times_ms[0]
        return aion.of_picture(
            findings.objects, self.kind, (width, height), times_ms if is_timed else None, findings.document_keys
        )

    def of_video(
        self, source: Video, start_ms: int, stop_ms: int, offset_ms: int, deadline: Deadline
    ) -> dict[str, Any]:
        """The AION document of a video's samples from start_ms until before stop_ms.

        start_ms, stop_ms: from the start of the file. offset_ms: where the file starts in the asset; the document has
        times of the asset. An object lasts from its sample to the next one, or to the end of the file. A picture that
        is shown at several samples is analysed once. Raises TooLarge, DeadlineExceeded between samples, and what
        `imaging.video.frames` does.
        """
        tracker = Tracker(self.sample_ms)
        last: Picture | None = None
        for at_ms, picture in video.frames(source, start_ms, stop_ms, self.sample_ms):
            deadline.check("reading the video")
            if picture is not last:
                last, objects = picture, self.look(picture, deadline).objects
            tracker.add(at_ms, objects)
        appearances = [
            replace(appearance, stop_ms=max(appearance.start_ms, min(appearance.stop_ms, source.duration_ms)))
            for appearance in tracker.finish()
        ]
        return aion.of_appearances(appearances, self.kind, (source.width, source.height), offset_ms)


def choose(
    parameters: Callable[[str], Any] | Mapping[str, Any], default: str, detectors: Mapping[str, Detector[Any]]
) -> Engine:
    """The engine that a payload's `analyzer` names, or else `default`, with the parameters that the payload chooses.

    parameters: the payload's values by name. detectors: the engines beside the analyzers of `imaging`. Raises
    BadRequest naming the payload's field that cannot be used.
    """
    parameter = parameters.get if isinstance(parameters, Mapping) else parameters
    sampling = chosen(_Sampling, parameter)
    name = parameter("analyzer") or default
    if detector := _named(name, detectors):
        return _engine(detector, detector.kind, sampling, _detector_look(detector, parameter))
    if analyzer := _named(name, ANALYZERS):
        return _engine(analyzer, "object", sampling, _analyzer_look(analyzer, parameter))
    raise BadRequest(f"The payload's `analyzer` has to be one of {', '.join([*detectors, *ANALYZERS])}.")


def _engine(engine: Analyzer[Any, Any] | Detector[Any], kind: Kind, sampling: _Sampling, look: Look) -> Engine:
    return Engine(engine.name, kind, sampling.sample_ms, sampling.segment_ms, look)


def _named(name: Any, engines: Mapping[str, E]) -> E | None:
    """The engine of a name or a title, in any case."""
    text = str(name).strip().casefold()
    return next((engine for engine in engines.values() if text in (engine.name, engine.title.casefold())), None)


def _detector_look(detector: Detector[Any], parameter: Callable[[str], Any]) -> Look:
    parameters = chosen(detector.parameters, parameter)

    def look(picture: Picture, deadline: Deadline) -> PictureFindings:
        deadline.check(f"looking for {detector.title.lower()}")
        return PictureFindings(detector.detect(picture, parameters), {})

    return look


def _analyzer_look(analyzer: Analyzer[Any, Any], parameter: Callable[[str], Any]) -> Look:
    parameters, mpp = chosen(analyzer.parameters, parameter), chosen(_Resolution, parameter).mpp
    if parameters.no_area_fits:
        raise BadRequest("The payload's `largest_um2` is less than its `smallest_um2`.")
    return lambda picture, deadline: picture_slide.analyse(picture, mpp, analyzer, parameters, deadline)
