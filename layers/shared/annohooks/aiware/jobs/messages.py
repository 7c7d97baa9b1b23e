"""The bodies of heartbeats and results.

Source: Veritone, "Webhooks", knowledge base article 000004096.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from annohooks.aiware.failures import Failure, one_line
from annohooks.aiware.jobs.record import JSON, Job
from annohooks.aiware.request import ProcessRequest


class Body(msgspec.Struct, frozen=True):
    """The body of a request to a webhook."""

    content: bytes
    content_type: str = JSON


class Segment(msgspec.Struct, frozen=True):
    """A segment of a job. number: from 0. start_ms, stop_ms: milliseconds from the start of the asset."""

    number: int
    start_ms: int
    stop_ms: int


def running(job: Job) -> Body:
    """The heartbeat of a job that is under way."""
    progress = f"{job.results_posted} of {job.segments} results" if job.segments else "reading the media"
    return _heartbeat("running", job, progress)


def complete(job: Job) -> Body:
    """The final heartbeat of a job whose results are posted."""
    return _heartbeat("complete", job, f"{job.results_posted} of {job.segments} results")


def failed(job: Job, why: Failure) -> Body:
    """The final heartbeat of a job that failed."""
    return _heartbeat("failed", job, "failed", failureReason=why.reason, failureMsg=one_line(why.message))


def _heartbeat(status: str, job: Job, info: str, **more: str) -> Body:
    # The documents say infoMs, the vendor's own code infoMsg.
    return Body(
        msgspec.json.encode(
            {
                "status": status,
                "bytesRead": job.bytes_read,
                "bytesWritten": job.bytes_written,
                "messagesWritten": job.results_posted,
                "infoMs": info,
                "infoMsg": info,
                **more,
            }
        )
    )


def result(request: ProcessRequest, segment: Segment, document: Mapping[str, Any]) -> Body:
    """The result of a segment, with its AION document."""
    return Body(msgspec.json.encode({**_result_fields(request, segment), "output": document}))


def drawing(request: ProcessRequest, segment: Segment, jpeg: bytes) -> Body:
    """The result of a segment as a file, in place of AION.

    Veritone's documents ask for `multipart: true` and name no parts. The names here are a guess: each key of a JSON
    result is a field, and the file is called `chunk`, as in the toolkit's own requests.
    """
    boundary = uuid.uuid4().hex
    fields = {**_result_fields(request, segment), "multipart": "true"}
    parts = [f'Content-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{text}' for name, text in fields.items()]
    head = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts)
    head += f'--{boundary}\r\nContent-Disposition: form-data; name="chunk"; filename="objects.jpg"\r\n'
    head += "Content-Type: image/jpeg\r\n\r\n"
    content = head.encode(errors="replace") + jpeg + f"\r\n--{boundary}--\r\n".encode()
    return Body(content, f"multipart/form-data; boundary={boundary}")


def _result_fields(request: ProcessRequest, segment: Segment) -> dict[str, Any]:
    fields: dict[str, Any] = dict(request.chunk_metadata)
    fields |= {"startOffsetMs": segment.start_ms, "endOffsetMs": segment.stop_ms, "index": segment.number + 1}
    if request.chunk_context:
        fields["chunkContext"] = request.chunk_context
    if folder := request.output_folder():
        fields["outputFolderID"] = folder
    return fields


def _quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "").replace("\n", "")
