"""The state machine's tasks that touch pixels: plan the segments of a job, analyse a segment."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from annohooks.aiware import media
from annohooks.aiware.analysis import Analysis, objects_in
from annohooks.aiware.failures import failure
from annohooks.aiware.jobs import messages
from annohooks.aiware.jobs.files import JobFiles
from annohooks.aiware.jobs.record import Jobs
from annohooks.aiware.settings import Settings
from annohooks.core.deadline import Deadline
from annohooks.core.errors import BadRequest
from annohooks.core.observability import logger
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
        logger.info("a segment is analysed", extra={"job": job_id, "segment": number, "objects": objects_in(document)})
        if jpeg is None:
            result = messages.result(request, segment, document)
        else:
            result = messages.drawing(request, segment, jpeg)
        self._files.keep_result(job_id, number, result)


class MediaFolders:
    """A folder for each job, with its media: the next segment that this instance analyses need not fetch them again.

    The folder of a job is locked (flock) while it is in use. Such a lock holds between processes, too, and ends with
    its process, however that ends.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def media(self, job_id: str, fetch: Callable[[Path], None]) -> Iterator[Path]:
        """The media of a job, which stay until another job comes. fetch: writes them into a new file."""
        folder = self._root / job_id
        path = folder / "media"
        self._root.mkdir(parents=True, exist_ok=True)
        with ExitStack() as use:
            with _locked(self._root, fcntl.LOCK_EX):
                self._remove_unused(folder)
                folder.mkdir(exist_ok=True)
                use.enter_context(_locked(folder, fcntl.LOCK_SH))
            if not path.exists():
                _write_whole(path, fetch)
            yield path

    def _remove_unused(self, folder: Path) -> None:
        """Removes the folders of other jobs, and this one if a function died before its media were complete."""
        for unused in self._root.iterdir():
            if unused == folder and (folder / "media").exists():
                continue
            with suppress(BlockingIOError), _locked(unused, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(unused, ignore_errors=True)


@contextmanager
def _locked(path: Path, operation: int) -> Iterator[None]:
    """Locks a folder while the block runs. Raises BlockingIOError if the operation asks not to wait for others."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)


def _write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Writes a file, which is at its place only when it is complete."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        part = Path(file.name)
    try:
        write(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
