"""A small engine: it answers as a test says, and posts valid heartbeats and results."""

from __future__ import annotations

import email
import json
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, Self

import urllib3

from local.listener import Dropped, Listener, Reply, Request
from local.simulators.aiware import Task

AION = {
    "generatedDateUTC": "2025-01-01T00:00:00Z",
    "series": [
        {
            "startTimeMs": 0,
            "stopTimeMs": 1000,
            "object": {
                "type": "face",
                "confidence": 0.9,
                "boundingPoly": [{"x": x, "y": y} for x, y in ((0.1, 0.1), (0.5, 0.1), (0.5, 0.9), (0.1, 0.9))],
            },
        }
    ],
}
ACK = Reply(body=b'{"estimatedProcessingTimeInSeconds": 600}', headers={"X-Annohooks-Job": "job-1"})
DONE = Reply(body=json.dumps(AION).encode())
FORBIDDEN = Reply(403, b"no such user\n", "text/plain")


@dataclass(frozen=True)
class Received:
    """A request that the engine got."""

    method: str
    target: str
    headers: Message
    body: bytes = field(repr=False)


class Engine:
    """replies: to the requests in order, then the last one again; None closes the connection. received: the requests.

    meanwhile: runs before each answer.
    """

    def __init__(self, *replies: Reply | None) -> None:
        self.replies: list[Reply | None] = list(replies or (ACK,))
        self.received: list[Received] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self._listener = Listener("127.0.0.1", 0, self._answer)
        self.origin = self._listener.origin
        self.url = f"{self.origin}/aiware/process"

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.stop()

    def _answer(self, request: Request) -> Reply:
        self.received.append(Received(request.method, request.target, request.headers, request.read(request.unread)))
        reply = self.replies[min(len(self.received), len(self.replies)) - 1]
        self.meanwhile()
        if reply is None:
            raise Dropped
        return reply


def heartbeat(task: Task, status: str = "running", **changes: Any) -> int:
    """Posts a valid heartbeat with changes (None removes a key); returns the status of the answer."""
    written, info = task.accepted + task.accepted_before, f"{task.accepted} results"
    body = {"status": status, "bytesRead": 10, "bytesWritten": 10, "messagesWritten": written}
    return post(task.fields["heartbeatWebhook"], {**body, "infoMs": info, "infoMsg": info}, changes)


def failed(task: Task, reason: str = "invalid_data", **changes: Any) -> int:
    return heartbeat(task, "failed", **{"failureReason": reason, "failureMsg": "no frames", **changes})


def result(task: Task, index: int = 1, **changes: Any) -> int:
    """Posts a valid result with changes; returns the status of the answer."""
    metadata = {name: value for name, value in task.fields.items() if name.startswith("chunk-metadata-")}
    body = {"chunkContext": task.fields["chunkContext"], "startOffsetMs": 0, "endOffsetMs": 1000, "index": index}
    return post(task.fields["resultWebhook"], {**body, "output": AION, **metadata}, changes)


def post(url: str, body: dict[str, Any], changes: dict[str, Any] | None = None) -> int:
    content = {key: value for key, value in {**body, **(changes or {})}.items() if value is not None}
    return post_text(url, json.dumps(content))


def post_text(url: str, text: str | bytes, content_type: str = "application/json", method: str = "POST") -> int:
    """The status of the answer, 0 if the connection was closed without one."""
    headers = {"Content-Type": content_type}
    try:
        reply = urllib3.request(
            method, url, body=text, headers=headers, timeout=10, retries=False, redirect=False, preload_content=False
        )
    except urllib3.exceptions.ProtocolError:
        return 0
    reply.close()
    return reply.status


class Wire:
    """A server of bytes. received: each request, header and body. answers: to the requests in order."""

    def __init__(self, *answers: bytes) -> None:
        wire = self
        self.received: list[bytes] = []

        class Connection(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += self.rfile.readline()
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
                )
                wire.received.append(head + self.rfile.read(length))
                self.wfile.write(answers[min(len(wire.received), len(answers)) - 1])

        self._server = socketserver.TCPServer(("127.0.0.1", 0), Connection)
        self.port = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def parts(content_type: str, body: bytes) -> dict[str, bytes]:
    """The parts of a form by name, as the email parser of Python reads them."""
    message = email.message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    return {
        str(part.get_param("name", header="Content-Disposition")): part.get_payload(decode=True)
        for part in message.get_payload()
    }
