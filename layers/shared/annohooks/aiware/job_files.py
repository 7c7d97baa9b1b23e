"""What a job keeps in the staging bucket: the request, the media, and each segment's result."""

from __future__ import annotations

from pathlib import Path

import msgspec

from annohooks.aiware.messages import JSON
from annohooks.aiware.request import Process, without_credentials
from annohooks.core.staging import Staging

_NUL = b"\0"


class Result(msgspec.Struct, frozen=True):
    """What the result webhook is to get."""

    body: bytes
    content_type: str = JSON


class Staged:
    """The folder of each job, aiware/<job>/. Every method raises Unavailable if S3 does not do it."""

    def __init__(self, staging: Staging) -> None:
        self._staging = staging

    def keep_request(self, job: str, process: Process) -> None:
        """What the tasks read of the request, credentials not among it, and its chunk as the media if there is one.

        The chunk of the request that is kept is empty then, and None if there was none. Its cacheURI may be signed, and
        is kept as it is: who fetches the media needs it.
        """
        if process.chunk:
            self._staging.put(f"aiware/{job}/media", process.chunk)
        needed = Process(
            chunk_context=process.chunk_context,
            mime_type=process.mime_type,
            start_ms=process.start_ms,
            end_ms=process.end_ms,
            cache_uri=process.cache_uri,
            payload=without_credentials(process.payload),
            chunk_metadata=process.chunk_metadata,
            chunk=b"" if process.chunk else None,
        )
        self._staging.put(f"aiware/{job}/request.json", msgspec.json.encode(needed))

    def request(self, job: str) -> Process:
        """The request that was kept."""
        return msgspec.json.decode(self._staging.content(f"aiware/{job}/request.json"), type=Process)

    def keep_media(self, job: str, path: Path) -> None:
        self._staging.put_file(f"aiware/{job}/media", path)

    def fetch_media(self, job: str, path: Path) -> None:
        self._staging.fetch(f"aiware/{job}/media", path)

    def keep_result(self, job: str, segment: int, result: Result) -> None:
        """Its content type, then its body: one object, so that a segment done twice never leaves two halves."""
        self._staging.put(self._result(job, segment), result.content_type.encode() + _NUL + result.body)

    def result(self, job: str, segment: int) -> Result:
        """The result that was kept of a segment."""
        content_type, _, body = self._staging.content(self._result(job, segment)).partition(_NUL)
        return Result(body, content_type.decode())

    def _result(self, job: str, segment: int) -> str:
        return f"aiware/{job}/results/{segment:05}"
