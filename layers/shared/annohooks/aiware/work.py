"""The state machine's tasks that touch pixels: look at the media, cut them into segments, analyse a segment."""

from __future__ import annotations

import math
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from annohooks.aiware import engine, media, messages
from annohooks.aiware.drawing import drawing
from annohooks.aiware.engine import Engine
from annohooks.aiware.failures import failure
from annohooks.aiware.job_files import Result, Staged
from annohooks.aiware.jobs import Jobs
from annohooks.aiware.messages import Span
from annohooks.aiware.request import Process
from annohooks.aiware.settings import Settings
from annohooks.core import onnx_files
from annohooks.core.deadline import Deadline
from annohooks.core.errors import BadRequest, SettingsError, Unavailable
from annohooks.core.observability import logger
from annohooks.core.staging import Staging
from annohooks.imaging import decode, video
from annohooks.imaging.detectors import DETECTORS, Detector
from annohooks.imaging.video import NotAVideo, StreamBroken, Video

MOST_SEGMENTS = 1000

_FOLDER = Path(tempfile.gettempdir()) / "annohooks-media"


class Worker:
    """The tasks by name; each takes the state machine's payload and a deadline. Any of them may be called again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._jobs = Jobs(settings.aiware_table)
        self._staged = Staged(Staging(settings.staging_bucket))
        self.tasks: dict[str, Callable[[Mapping[str, Any], Deadline], dict[str, Any]]] = {
            "plan": self.plan,
            "analyse": self.analyse,
        }

    def handle(self, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """Does the task that the payload names. Raises BadRequest for one that is none."""
        task = self.tasks.get(str(payload.get("task")))
        if task is None:
            raise BadRequest("There is no such task.")
        return task(payload, deadline)

    def plan(self, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """Brings the media into the staging bucket, looks at them, and says how many segments they are."""
        job = payload["job"]
        process = self._staged.request(job)
        chosen = self._engine(process)
        with _kept(job) as path:
            if not path.exists():
                with _whole(path) as part:
                    if process.chunk is None:
                        self._fetch(process, part, deadline)
                        self._staged.keep_media(job, part)
                    else:
                        self._staged.fetch_media(job, part)
            size = path.stat().st_size
            if not size:
                raise failure("invalid_data", "The media are empty.")
            segments = 1 if _is_picture(path) else _segments(_probed(path), chosen)
        self._jobs.planned(job, segments, size)
        return {"job": job, "segments": list(range(segments)), "at_once": self._settings.aiware_segments_at_once}

    def _fetch(self, process: Process, path: Path, deadline: Deadline) -> None:
        most_bytes = self._settings.aiware_max_media_mb * 1_000_000
        with path.open("wb") as file:
            media.fetch(process.cache_uri, file, most_bytes, self._settings, deadline)

    def analyse(self, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """Makes the result of a segment and stages it."""
        job, segment = payload["job"], payload["segment"]
        process = self._staged.request(job)
        chosen = self._engine(process)
        with _kept(job) as path:
            if not path.exists():
                with _whole(path) as part:
                    self._staged.fetch_media(job, part)
            result = self._result(process, chosen, path, segment, deadline)
        self._staged.keep_result(job, segment, result)
        return {}

    def _result(self, process: Process, chosen: Engine, path: Path, segment: int, deadline: Deadline) -> Result:
        if _is_picture(path):
            content = path.read_bytes()
            span = Span(segment, process.start_ms, process.end_ms)
            document = chosen.of_picture(content, (process.start_ms, process.end_ms), deadline)
            return self._told(
                process, span, document, lambda: drawing(decode.picture(content, engine.MOST_PIXELS), document)
            )
        source = _probed(path)
        length_ms = _segment_ms(source, chosen)
        start_ms, stop_ms = segment * length_ms, min((segment + 1) * length_ms, source.duration_ms)
        span = Span(segment, process.start_ms + start_ms, process.start_ms + stop_ms)
        with _unbroken():
            document = chosen.of_segment(source, start_ms, stop_ms, process.start_ms, deadline)

        def drawn() -> bytes | None:
            with _unbroken():
                for at_ms, picture in video.frames(source, start_ms, stop_ms, chosen.step_ms):
                    return drawing(picture, document, process.start_ms + at_ms)
            return None

        return self._told(process, span, document, drawn)

    def _told(
        self, process: Process, span: Span, document: dict[str, Any], drawn: Callable[[], bytes | None]
    ) -> Result:
        """The result as AION, or as the drawing that the payload asks for, where the deployment allows that.

        drawn: None for a segment that is too short to have a sample, which is told as AION.
        """
        is_wanted = self._settings.aiware_multipart_results == "Enabled" and process.parameter("output") == "drawing"
        if is_wanted and (picture := drawn()) is not None:
            return Result(*messages.drawing(process, span, picture))
        return Result(messages.result(process, span, document))

    # ---- without a job

    def is_large(self, content: bytes) -> bool:
        """Whether a picture is more than is analysed at once. Raises BadRequest for what is no picture."""
        try:
            width, height = decode.picture_size(content)
        except decode.NotAPicture as error:
            raise BadRequest(f"The chunk is {error}.") from None
        return width * height > self._settings.aiware_at_once_px

    def at_once(self, process: Process, content: bytes, deadline: Deadline) -> bytes:
        """The AION document of a chunk, as JSON. Raises BadRequest, TooLarge, DeadlineExceeded."""
        chosen = self._engine(process)
        if _picture_begins(content):
            document = chosen.of_picture(content, (process.start_ms, process.end_ms), deadline)
            return msgspec.json.encode(document)
        with tempfile.NamedTemporaryFile(prefix="annohooks-") as file:
            file.write(content)
            file.flush()
            source = _probed(Path(file.name))
            with _unbroken():
                document = chosen.of_segment(source, 0, source.duration_ms, process.start_ms, deadline)
        return msgspec.json.encode(document)

    def _engine(self, process: Process) -> Engine:
        return engine.choose(
            process.parameter, self._settings.aiware_analyzer, _detectors(self._settings.aiware_detectors)
        )


@cache
def _detectors(key: str) -> dict[str, Detector[Any]]:
    """Those that come with OpenCV, and those that a file in the bucket for models describes."""
    if not key:
        return DETECTORS
    from annohooks.imaging.detectors import configured

    try:
        return DETECTORS | configured.load(onnx_files.read(key).decode(), onnx_files.read)
    except (SettingsError, UnicodeDecodeError) as error:
        logger.error("the file of detectors cannot be used", extra={"reason": str(error)})
        raise Unavailable("The file of detectors of this engine has a mistake; the log says where.") from None


# ---- videos


def _probed(path: Path) -> Video:
    try:
        return video.probe(path)
    except NotAVideo as error:
        raise BadRequest(f"The media are neither a picture nor a video that can be read: {error}.") from None


def _segment_ms(source: Video, chosen: Engine) -> int:
    return max(chosen.segment_ms, math.ceil(source.duration_ms / MOST_SEGMENTS))


def _segments(source: Video, chosen: Engine) -> int:
    return max(1, math.ceil(source.duration_ms / _segment_ms(source, chosen)))


@contextmanager
def _unbroken() -> Iterator[None]:
    try:
        yield
    except StreamBroken as error:
        raise failure("stream_read_error", f"The video breaks off after {error.reached_ms / 1000:.1f} s.") from None
    except NotAVideo as error:
        raise BadRequest(f"The video cannot be read: {error}.") from None


# ---- files


def _is_picture(path: Path) -> bool:
    with path.open("rb") as file:
        return _picture_begins(file.read(64))


def _picture_begins(head: bytes) -> bool:
    return decode.is_picture(head)


_in_use: Counter[Path] = Counter()
_lock = threading.Lock()


@contextmanager
def _kept(job: str) -> Iterator[Path]:
    """Where a job's media are kept between the segments that one instance works on; those of other jobs go."""
    path = _FOLDER / job
    with _lock:
        _FOLDER.mkdir(exist_ok=True)
        _in_use[path] += 1
        for other in _FOLDER.iterdir():
            users = _in_use[other.with_suffix("")]
            if not users or (
                users == 1 and other.stem == path.name and other != path
            ):  # or what a crash left half done
                other.unlink(missing_ok=True)
    try:
        yield path
    finally:
        with _lock:
            _in_use[path] -= 1


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file to write, which is at its place only when it is complete."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.", delete=False) as part:
        made = Path(part.name)
    try:
        yield made
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)
