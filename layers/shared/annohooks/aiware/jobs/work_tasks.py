"""The state machine's tasks that touch pixels: plan the segments of a job, analyse a segment."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from annohooks.aiware import media
from annohooks.aiware.analysis import Analysis
from annohooks.aiware.failures import failure
from annohooks.aiware.jobs import messages
from annohooks.aiware.jobs.files import JobFiles
from annohooks.aiware.jobs.record import Jobs
from annohooks.aiware.settings import Settings
from annohooks.core.deadline import Deadline
from annohooks.core.errors import BadRequest
from annohooks.core.staging import Staging


class Worker:
    """The tasks. Step Functions may call any of them again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._jobs = Jobs(settings.aiware_table)
        self._files = JobFiles(Staging(settings.staging_bucket))
        self._folders = MediaFolders(Path(tempfile.gettempdir()) / "annohooks-media")

    def handle(self, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """Does the task that a payload of the state machine names. Raises BadRequest for an unknown one."""
        match payload:
            case {"task": "plan", "job": job_id}:
                return self.plan(job_id, deadline)
            case {"task": "analyse", "job": job_id, "segment": number}:
                self.analyse(job_id, number, deadline)
                return {}
        raise BadRequest("The payload names no task of this function.")

    def plan(self, job_id: str, deadline: Deadline) -> dict[str, Any]:
        """Brings the media into the staging bucket. Returns the numbers of their segments."""
        request = self._files.request(job_id)
        analysis = Analysis.of(request, self._settings)

        def fetch(path: Path) -> None:
            if request.chunk is not None:
                self._files.fetch_media(job_id, path)
                return
            with path.open("wb") as file:
                max_bytes = self._settings.aiware_max_media_mb * 1_000_000
                media.fetch(request.cache_uri, file, max_bytes, self._settings, deadline)
            self._files.keep_media(job_id, path)

        with self._folders.media(job_id, fetch) as path:
            size = path.stat().st_size
            if not size:
                raise failure("invalid_data", "The media are empty.")
            segments = analysis.segments(path)
        self._jobs.plan(job_id, segments, size)
        return {"job": job_id, "segments": list(range(segments)), "at_once": self._settings.aiware_segments_at_once}

    def analyse(self, job_id: str, number: int, deadline: Deadline) -> None:
        """Analyses a segment, and stages its result: AION, or a drawing where the deployment allows it."""
        request = self._files.request(job_id)
        analysis = Analysis.of(request, self._settings)
        is_drawn = self._settings.aiware_multipart_results == "Enabled" and request.parameter("output") == "drawing"
        with self._folders.media(job_id, lambda path: self._files.fetch_media(job_id, path)) as path:
            segment, document, jpeg = analysis.segment(path, number, deadline, with_drawing=is_drawn)
        if jpeg is None:
            result = messages.result(request, segment, document)
        else:
            result = messages.drawing(request, segment, jpeg)
        self._files.keep_result(job_id, number, result)


class MediaFolders:
    """A folder for each job, with its media: the next segment that this instance analyses need not fetch them again.

    root: the folder of the folders, which no other process uses.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._users: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def media(self, job_id: str, fetch: Callable[[Path], None]) -> Iterator[Path]:
        """The media of a job, which stay until another job comes. fetch: writes them into a new file."""
        folder = self._root / job_id
        path = folder / "media"
        with self._lock:
            for other in self._root.glob("*"):
                is_of_use = other == folder and path.exists()
                if not self._users[other.name] and not is_of_use:  # of another job, or of a function that died
                    shutil.rmtree(other, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
            self._users[job_id] += 1
        try:
            if not path.exists():
                _write_whole(path, fetch)
            yield path
        finally:
            with self._lock:
                self._users[job_id] -= 1


def _write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Writes a file, which is at its place only when it is complete."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        part = Path(file.name)
    try:
        write(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
