"""The files of a job in the staging bucket: the request, the media, and the result of each segment."""

from __future__ import annotations

from pathlib import Path

import msgspec

from annohooks.aiware.jobs.messages import Body
from annohooks.aiware.request import ProcessRequest, without_credentials
from annohooks.core.staging import Staging

_NUL = b"\0"


class JobFiles:
    """The folder of each job, aiware/<job>/. Every method raises Unavailable if S3 does not do it."""

    def __init__(self, staging: Staging) -> None:
        self._staging = staging

    def keep_request(self, job_id: str, request: ProcessRequest) -> None:
        """Keeps what the tasks read of the request, without its credentials. Its chunk, if any, becomes the media.

        The chunk of the request that is kept is b"" then, and None if there was none. The cacheURI may be signed. It
        stays as it is, because the media are fetched from there.
        """
        if request.chunk:
            self._staging.put(f"aiware/{job_id}/media", request.chunk)
        needed = ProcessRequest(
            chunk_context=request.chunk_context,
            mime_type=request.mime_type,
            start_ms=request.start_ms,
            end_ms=request.end_ms,
            cache_uri=request.cache_uri,
            payload=without_credentials(request.payload),
            chunk_metadata=request.chunk_metadata,
            chunk=b"" if request.chunk else None,
        )
        self._staging.put(f"aiware/{job_id}/request.json", msgspec.json.encode(needed))

    def request(self, job_id: str) -> ProcessRequest:
        """The request that was kept."""
        return msgspec.json.decode(self._staging.content(f"aiware/{job_id}/request.json"), type=ProcessRequest)

    def keep_media(self, job_id: str, path: Path) -> None:
        """Keeps the media of a job."""
        self._staging.put_file(f"aiware/{job_id}/media", path)

    def fetch_media(self, job_id: str, path: Path) -> None:
        """Writes the media of a job into a file."""
        self._staging.fetch(f"aiware/{job_id}/media", path)

    def keep_result(self, job_id: str, segment: int, result: Body) -> None:
        """Keeps a segment's result as one object: its content type, a zero byte, and its content.

        One object, because a segment that is analysed twice would otherwise leave halves of two results.
        """
        self._staging.put(self._result(job_id, segment), result.content_type.encode() + _NUL + result.content)

    def result(self, job_id: str, segment: int) -> Body:
        """The result that was kept of a segment."""
        content_type, _, content = self._staging.content(self._result(job_id, segment)).partition(_NUL)
        return Body(content, content_type.decode())

    def _result(self, job_id: str, segment: int) -> str:
        return f"aiware/{job_id}/results/{segment:05}"
