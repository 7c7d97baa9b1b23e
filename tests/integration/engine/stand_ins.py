"""An API and a toolkit that answer as a test says, and the relay between them."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from local.listener import Dropped, Listener, Reply, Request

SECRET = "a-secret-that-no-log-may-hold"
BOUNDARY = "7cbcabd31ba037353ff74cca1caaf1fdef1fb028c58668c97d12c43fc229"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
JOB = "0123456789abcdef"
ESTIMATE_S = 120
WAIT_S = 30

Message = tuple[str, dict[str, Any]]


def form(chunk: bytes | None = None, **fields: str) -> bytes:
    """A multipart form as Go writes it."""
    parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{text}'.encode() for name, text in fields.items()]
    if chunk is not None:
        head = b'Content-Disposition: form-data; name="chunk"; filename="chunk.data"\r\n'
        parts.append(head + b"Content-Type: application/octet-stream\r\n\r\n" + chunk)
    lines = [f"--{BOUNDARY}\r\n".encode() + part + b"\r\n" for part in parts]
    return b"".join(lines) + f"--{BOUNDARY}--\r\n".encode()


def acknowledged(job: str = JOB, estimate_s: int = ESTIMATE_S) -> Reply:
    body = json.dumps({"estimatedProcessingTimeInSeconds": estimate_s}).encode()
    return Reply(200, body, headers={"X-Annohooks-Job": job})


def running(count: int = 0) -> Message:
    return "heartbeat", {"status": "running", "messagesWritten": count, "infoMs": "at work", "infoMsg": "at work"}


def result(index: int) -> Message:
    return "result", {"index": index, "output": {"series": [], "vendor": {"text": "é\ud83d", "value": 0.1}}}


def complete(count: int) -> Message:
    return "heartbeat", {"status": "complete", "messagesWritten": count}


@dataclass
class Call:
    """A request as the relay sent it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}


class Api(Listener):
    """The API of annohooks. planned: by the last part of a path, the next answers in place of the usual ones."""

    def __init__(self, port: int = 0) -> None:
        super().__init__("127.0.0.1", port, self._serve)
        self.changed = threading.Condition()
        self.calls: list[Call] = []
        self.planned: dict[str, list[Reply | None]] = {}
        self.process = acknowledged()
        self.ready = Reply(200, b"ready")
        self.jobs: dict[str, list[dict[str, Any]]] = {JOB: []}
        self.acknowledged: dict[str, int] = {}

    def publish(self, *messages: Message, job: str = JOB) -> None:
        """Adds messages to the outbox of a job."""
        with self.changed:
            outbox = self.jobs.setdefault(job, [])
            for webhook, body in messages:
                outbox.append({"sequence": len(outbox) + 1, "webhook": webhook, "body": body})
            self.changed.notify_all()

    def wait(self, until: Callable[[], object]) -> None:
        with self.changed:
            assert self.changed.wait_for(until, WAIT_S)

    def wait_for_polls(self, count: int) -> None:
        self.wait(lambda: len(self.called("/messages")) >= count)

    def called(self, path: str) -> list[Call]:
        return [call for call in self.calls if urlsplit(call.target).path.endswith(path)]

    def _serve(self, request: Request) -> Reply:
        body = request.read(request.unread)
        call = Call(request.method, request.target, dict(request.headers), body)
        with self.changed:
            self.calls.append(call)
            self.changed.notify_all()
            name = request.path.rpartition("/")[2]
            if self.planned.get(name):
                reply = self.planned[name].pop(0)
                if reply is None:
                    raise Dropped
                return reply
        if request.path == "/stage/aiware/process":
            return self.process
        if request.path == "/stage/aiware/ready":
            return self.ready
        return self._messages(request.path.split("/")[-2], call.query)

    def _messages(self, job: str, query: dict[str, str]) -> Reply:
        with self.changed:
            if job not in self.jobs:
                return Reply(404, b"No such job.", "text/plain")
            after = int(query.get("after", self.acknowledged.get(job, 0)))
            self.acknowledged[job] = max(after, self.acknowledged.get(job, 0))
            self.changed.notify_all()
            self.changed.wait_for(lambda: len(self.jobs[job]) > after, int(query["wait"]))
            messages = self.jobs[job][after:]
            done = any(message["body"].get("status") in ("complete", "failed") for message in self.jobs[job])
        return Reply(200, json.dumps({"messages": messages, "done": done}).encode())


class Toolkit(Listener):
    """The webhooks of a toolkit. accepted, refused: bodies of the messages.

    planned: by webhook, the statuses of the next answers; always: of all later ones. 0 closes the connection instead.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__("127.0.0.1", port, self._serve)
        self.changed = threading.Condition()
        self.accepted: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        self.planned: dict[str, list[int]] = {}
        self.always: dict[str, int] = {}

    @property
    def webhooks(self) -> dict[str, str]:
        return {
            "heartbeatWebhook": f"{self.origin}/heartbeat/task1?key=canary-in-a-query",
            "resultWebhook": f"{self.origin}/result/task1?key=canary-in-a-query",
        }

    def wait(self, until: Callable[[], object]) -> None:
        with self.changed:
            assert self.changed.wait_for(until, WAIT_S), (self.accepted, self.refused)

    def wait_for(self, end: str) -> None:
        """Returns once a heartbeat with this status is accepted."""
        self.wait(lambda: end in self.summary)

    @property
    def summary(self) -> list[int | str]:
        """The index of each accepted result and the status of each accepted heartbeat, in order."""
        return [body.get("index", body.get("status")) for body in self.accepted]

    @property
    def summary_without_running(self) -> list[int | str]:
        return [word for word in self.summary if word != "running"]

    def _serve(self, request: Request) -> Reply:
        body = json.loads(request.read(request.unread))
        webhook = request.path.split("/")[1]
        with self.changed:
            planned = self.planned.get(webhook)
            status = planned.pop(0) if planned else self.always.get(webhook, 204)
            (self.accepted if 200 <= status < 300 else self.refused).append(body)
            self.changed.notify_all()
        if not status:
            raise Dropped
        return Reply(status)


@dataclass
class Relay:
    """A relay that listens."""

    port: int

    def send(self, method: str, path: str, body: bytes = b"", host: str = "127.0.0.1") -> tuple[int, str, bytes]:
        """Status, content type and body of the answer."""
        connection = http.client.HTTPConnection(host, self.port, timeout=WAIT_S)
        connection.request(method, path, body, {"Content-Type": CONTENT_TYPE})
        reply = connection.getresponse()
        answer = reply.status, reply.getheader("Content-Type", ""), reply.read()
        connection.close()
        return answer

    def process(self, *, chunk: bytes | None = None, **fields: str) -> tuple[int, str, bytes]:
        return self.send("POST", "/process", form(chunk, **fields))

    def begin(self, toolkit: Toolkit) -> Self:
        """Forwards a chunk that names the toolkit's webhooks."""
        assert self.process(**toolkit.webhooks)[0] == 200
        return self


@dataclass
class RelayInProcess(Relay):
    """A relay in a thread of this process."""

    server: Any
    thread: threading.Thread
    state: Path

    def stop(self) -> None:
        self.server.stop()
        self.thread.join()

    def collector(self, job: str = JOB) -> Any:
        return self.server.relay._collectors[job]

    def state_files(self) -> list[str]:
        return sorted(path.name for path in self.state.glob("*"))

    def wait_until_forgotten(self) -> None:
        """Returns once every job is over and its state removed."""
        with self.server.relay._lock:  # the relay forgets a job and removes its file under this lock
            collectors = list(self.server.relay._collectors.values())
        for collector in collectors:
            collector.join(time.monotonic() + WAIT_S)
        assert self.state_files() == []

    def finish(self, toolkit: Toolkit, end: str = "complete") -> None:
        """Returns once the toolkit has accepted the end of the job and the relay has forgotten it."""
        toolkit.wait_for(end)
        self.wait_until_forgotten()
