"""What the toolkit's heartbeat and result webhooks are told, to the byte.

Source: the protocol reference, sections 1.6 and 1.7.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from annohooks.aiware.failures import Failure, cleaned
from annohooks.aiware.jobs import Job
from annohooks.aiware.request import Process

JSON = "application/json"


def running(job: Job) -> bytes:
    """A heartbeat of work that goes on."""
    done = f"{job.messages} of {job.segments} results" if job.segments else "looking at the media"
    return _heartbeat("running", job, done)


def complete(job: Job) -> bytes:
    """The last heartbeat of a job whose results are posted."""
    return _heartbeat("complete", job, f"{job.messages} of {job.segments} results")


def failed(job: Job, why: Failure) -> bytes:
    """The last heartbeat of a job that failed."""
    return _heartbeat("failed", job, "failed", failureReason=why.reason, failureMsg=cleaned(why.message))


def _heartbeat(status: str, job: Job, info: str, **more: str) -> bytes:
    # The documents say infoMs, the vendor's own code infoMsg.
    return msgspec.json.encode(
        {
            "status": status,
            "bytesRead": job.bytes_read,
            "bytesWritten": job.bytes_written,
            "messagesWritten": job.messages,
            "infoMs": info,
            "infoMsg": info,
            **more,
        }
    )


class Span(msgspec.Struct, frozen=True):
    """A segment of a job: its number from 0, and from when to when, in milliseconds from the start of the asset."""

    segment: int
    start_ms: int
    stop_ms: int


def result(process: Process, span: Span, output: Mapping[str, Any]) -> bytes:
    """The result of a segment, AION within."""
    return msgspec.json.encode({**_about(process, span), "output": output})


def drawing(process: Process, span: Span, picture: bytes) -> tuple[bytes, str]:
    """A result that is no AION, the picture of a segment as a file, and its content type. The part names are a guess.

    The protocol asks for `multipart: true` and documents no name of a part: here each key of a JSON result is a field,
    and the file is called `chunk`, as in the toolkit's own requests.
    """
    boundary = uuid.uuid4().hex
    fields = {**_about(process, span), "multipart": "true"}
    parts = [f'Content-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{text}' for name, text in fields.items()]
    head = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts)
    head += f'--{boundary}\r\nContent-Disposition: form-data; name="chunk"; filename="objects.jpg"\r\n'
    head += "Content-Type: image/jpeg\r\n\r\n"
    body = head.encode(errors="replace") + picture + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def _about(process: Process, span: Span) -> dict[str, Any]:
    about: dict[str, Any] = dict(process.chunk_metadata)
    about |= {"startOffsetMs": span.start_ms, "endOffsetMs": span.stop_ms, "index": span.segment + 1}
    if process.chunk_context:
        about["chunkContext"] = process.chunk_context
    if folder := process.output_folder():
        about["outputFolderID"] = folder
    return about


def _quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "").replace("\n", "")
