"""A small engine: it answers as a test says, and posts valid heartbeats and results."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import urllib3

from local.listener import Dropped, Listener, Reply, Request
from local.simulators.aiware import Task

CORNERS = [{"x": x, "y": y} for x, y in ((0.1, 0.1), (0.5, 0.1), (0.5, 0.9), (0.1, 0.9))]
FACE = {"type": "face", "confidence": 0.9, "boundingPoly": CORNERS}
AION = {
    "generatedDateUTC": "2025-01-01T00:00:00Z",
    "series": [{"startTimeMs": 0, "stopTimeMs": 1000, "object": FACE}],
}
ACK = Reply(body=b'{"estimatedProcessingTimeInSeconds": 600}', headers={"X-Annohooks-Job": "job-1"})
DONE = Reply(body=json.dumps(AION).encode())
FORBIDDEN = Reply(403, b"no such user\n", "text/plain")


class Engine(Listener):
    """replies: to the requests in order, then the last one again; bytes go as they are, None closes the connection.

    received, bodies: the requests. meanwhile: runs before each answer.
    """

    def __init__(self, *replies: Reply | bytes | None) -> None:
        super().__init__("127.0.0.1", 0, self._answer)
        self.replies = replies or (ACK,)
        self.received: list[Request] = []
        self.bodies: list[bytes] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self.url = f"{self.origin}/aiware/process"

    def _answer(self, request: Request) -> Reply:
        self.received.append(request)
        self.bodies.append(request.read(request.unread))
        reply = self.replies[min(len(self.received), len(self.replies)) - 1]
        self.meanwhile()
        if isinstance(reply, Reply):
            return reply
        request.connection.sendall(reply or b"")
        raise Dropped


def heartbeat(task: Task, status: str = "running", **changes: Any) -> int:
    """Posts a valid heartbeat with changes (None removes a key); returns the status of the answer."""
    written, info = task.accepted + task.accepted_before, f"{task.accepted} results"
    body = {"status": status, "bytesRead": 10, "bytesWritten": 10, "messagesWritten": written}
    return post(task.fields["heartbeatWebhook"], {**body, "infoMs": info, "infoMsg": info, **changes})


def failed(task: Task, reason: str = "invalid_data", **changes: Any) -> int:
    return heartbeat(task, "failed", **{"failureReason": reason, "failureMsg": "no frames", **changes})


def metadata(task: Task) -> dict[str, str]:
    """The fields of a work item that each result has to carry."""
    return {name: value for name, value in task.fields.items() if name.startswith("chunk-metadata-")}


def result(task: Task, index: int = 1, **changes: Any) -> int:
    """Posts a valid result with changes; returns the status of the answer."""
    body = {"chunkContext": task.fields["chunkContext"], "startOffsetMs": 0, "endOffsetMs": 1000, "index": index}
    return post(task.fields["resultWebhook"], {**body, "output": AION, **metadata(task), **changes})


def post(url: str, body: dict[str, Any]) -> int:
    return post_text(url, json.dumps({key: value for key, value in body.items() if value is not None}))


def post_text(url: str, text: str | bytes, content_type: str = "application/json", method: str = "POST") -> int:
    """The status of the answer, 0 if the connection was closed without one."""
    try:
        with posted(url, text, content_type, method) as reply:
            return reply.status
    except urllib3.exceptions.ProtocolError:
        return 0


def posted(
    url: str, text: str | bytes, content_type: str = "application/json", method: str = "POST"
) -> urllib3.BaseHTTPResponse:
    """The answer, of which the body is not yet read."""
    options = {"timeout": 10, "retries": False, "redirect": False, "preload_content": False}
    return urllib3.request(method, url, body=text, headers={"Content-Type": content_type}, **options)
