"""The analysis that a request asks for, applied to its media: at once, or segment by segment."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from annohooks.aiware import engine
from annohooks.aiware.drawing import drawing
from annohooks.aiware.engine import Engine
from annohooks.aiware.failures import failure
from annohooks.aiware.jobs.messages import Segment
from annohooks.aiware.request import ProcessRequest
from annohooks.aiware.settings import Settings
from annohooks.core import onnx_files
from annohooks.core.deadline import Deadline
from annohooks.core.errors import BadRequest, SettingsError, Unavailable
from annohooks.core.observability import logger
from annohooks.imaging import decode, video
from annohooks.imaging.detectors import DETECTORS, Detector
from annohooks.imaging.video import NotAVideo, StreamBroken, Video

MAX_SEGMENTS = 1000
_HEAD_BYTES = 64


class SegmentResult(NamedTuple):
    """A segment and its AION document. jpeg: its drawing; None for a segment that is too short to have a sample."""

    segment: Segment
    document: dict[str, Any]
    jpeg: bytes | None


@dataclass(frozen=True, slots=True)
class Analysis:
    """The engine that a request asks for, and the place of its chunk in the asset, in milliseconds."""

    engine: Engine
    start_ms: int
    end_ms: int

    @classmethod
    def of(cls, request: ProcessRequest, settings: Settings) -> Analysis:
        """Raises BadRequest naming the payload's field that cannot be used, Unavailable for a file of detectors."""
        detectors = _detectors(settings.aiware_detectors)
        chosen = engine.choose(request.parameter, settings.aiware_analyzer, detectors)
        logger.thread_safe_append_keys(engine=chosen.name)
        return cls(chosen, request.start_ms, request.end_ms)

    # ---- the whole chunk at once

    def document(self, content: bytes, deadline: Deadline) -> dict[str, Any]:
        """The AION document of a picture or a video. Raises BadRequest, TooLarge, DeadlineExceeded."""
        if decode.is_picture(content[:_HEAD_BYTES]):
            return self._of_picture(content, deadline)
        with tempfile.NamedTemporaryFile(prefix="annohooks-") as file:
            file.write(content)
            file.flush()
            source = _probe(Path(file.name))
            return self._of_video(source, 0, source.duration_ms, deadline)

    # ---- segment by segment

    def segments(self, path: Path) -> int:
        """The number of segments of a media file. Raises BadRequest for a file that cannot be read."""
        if _is_picture(path):
            return 1
        source = _probe(path)
        return max(1, math.ceil(source.duration_ms / self._segment_ms(source)))

    def segment(self, path: Path, number: int, deadline: Deadline, *, with_drawing: bool) -> SegmentResult:
        """What is in a segment of a media file. number: from 0. with_drawing: whether to draw it, too."""
        if _is_picture(path):
            content = path.read_bytes()
            document = self._of_picture(content, deadline)
            jpeg = drawing(decode.picture(content, engine.MAX_PIXELS), document) if with_drawing else None
            return SegmentResult(Segment(number, self.start_ms, self.end_ms), document, jpeg)
        source = _probe(path)
        start_ms = number * self._segment_ms(source)
        stop_ms = min(start_ms + self._segment_ms(source), source.duration_ms)
        document = self._of_video(source, start_ms, stop_ms, deadline)
        jpeg = self._video_drawing(source, start_ms, stop_ms, document) if with_drawing else None
        return SegmentResult(Segment(number, self.start_ms + start_ms, self.start_ms + stop_ms), document, jpeg)

    def _video_drawing(self, source: Video, start_ms: int, stop_ms: int, document: dict[str, Any]) -> bytes | None:
        """The first sample of a segment with its objects."""
        with _video_errors():
            for at_ms, picture in video.frames(source, start_ms, stop_ms, self.engine.sample_ms):
                return drawing(picture, document, self.start_ms + at_ms)
        return None

    def _of_picture(self, content: bytes, deadline: Deadline) -> dict[str, Any]:
        return self.engine.of_picture(content, (self.start_ms, self.end_ms), deadline)

    def _of_video(self, source: Video, start_ms: int, stop_ms: int, deadline: Deadline) -> dict[str, Any]:
        with _video_errors():
            return self.engine.of_video(source, start_ms, stop_ms, self.start_ms, deadline)

    def _segment_ms(self, source: Video) -> int:
        return max(self.engine.segment_ms, math.ceil(source.duration_ms / MAX_SEGMENTS))


def objects_in(document: dict[str, Any]) -> int:
    """The number of objects in an AION document."""
    return len(document.get("series") or document.get("object") or ())


def picture_px(content: bytes) -> int:
    """The number of pixels of a picture, from its header. Raises BadRequest for content that is no picture."""
    try:
        width, height = decode.picture_size(content)
    except decode.NotAPicture as error:
        raise BadRequest(f"The chunk is {error}.") from None
    return width * height


@cache
def _detectors(key: str) -> dict[str, Detector[Any]]:
    """The detectors that come with OpenCV, and those that a file in the bucket for models describes."""
    if not key:
        return DETECTORS
    from annohooks.imaging.detectors import configured

    try:
        return DETECTORS | configured.load(onnx_files.read(key).decode(), onnx_files.read)
    except (SettingsError, UnicodeDecodeError) as error:
        logger.error("the file of detectors cannot be used", extra={"reason": str(error)})
        raise Unavailable("The file of detectors of this engine has a mistake; the log says where.") from None


def _is_picture(path: Path) -> bool:
    with path.open("rb") as file:
        return decode.is_picture(file.read(_HEAD_BYTES))


def _probe(path: Path) -> Video:
    try:
        return video.probe(path)
    except NotAVideo as error:
        raise BadRequest(f"The media are neither a picture nor a video that can be read: {error}.") from None


@contextmanager
def _video_errors() -> Iterator[None]:
    try:
        yield
    except StreamBroken as error:
        raise failure("stream_read_error", f"The video breaks off after {error.reached_ms / 1000:.1f} s.") from None
    except NotAVideo as error:
        raise BadRequest(f"The video cannot be read: {error}.") from None
