"""The server that cacheURI points at: files, whole or in part, and its faults."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from local.listener import Dropped, Reply, Request
from local.simulators import simulator
from local.simulators.aiware import answer_faults
from local.simulators.aiware.faults import MEDIA, MEDIA_FAULTS
from local.simulators.simulator import Simulator

FILES = "/edge/v1/chunk/"
METADATA_ADDRESS = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
LOGIN_PAGE = b"<!DOCTYPE html><title>Sign in</title><form method=post><input name=password type=password></form>"


@dataclass(frozen=True)
class Call(simulator.Call):
    """at_other_origin: whether it came to the origin that the fault `redirect` points at."""

    at_other_origin: bool


class MediaServer(Simulator):
    """Files on their own socket.

    origin: of the files. other_origin: another server with the same files.
    """

    def __init__(self, *, bind: str = "127.0.0.1", port: int = 0, faults: Iterable[str] = ()) -> None:
        super().__init__(MEDIA_FAULTS, faults)
        self._files: dict[str, tuple[bytes, str]] = {}
        self._stopped = threading.Event()
        self.origin = self._listen(bind, port, self._answer)
        self.other_origin = self._listen(bind, 0, self._answer_of_other_origin)

    def stop(self) -> None:
        self._stopped.set()
        super().stop()

    def add(self, name: str, content: bytes, content_type: str = "application/octet-stream") -> str:
        """Stores a file, or replaces it; returns its URL."""
        self._files[name] = (content, content_type)
        return self.url(name)

    def url(self, name: str) -> str:
        """The URL of a file, which need not exist."""
        return f"{self.origin}{FILES}{quote(name)}"

    def _answer(self, request: Request) -> Reply:
        self.calls.append(Call(request.method, request.target, request.headers, at_other_origin=False))
        fault = next(iter(self._faults.striking(MEDIA)), "")
        if fault.startswith("status_"):
            retry = {"Retry-After": "1"} if fault == "status_429" else {}
            return Reply(int(fault.removeprefix("status_")), b"no", "text/plain", retry)
        if fault == "redirect":
            return Reply(302, headers={"Location": f"{self.other_origin}{request.target}"})
        if fault == "redirect_to_metadata":
            return Reply(302, headers={"Location": METADATA_ADDRESS})
        if fault == "html":
            return Reply(200, LOGIN_PAGE, "text/html")
        if fault == "drops":
            raise Dropped
        return self._faulty(self._file(request), fault, request)

    def _answer_of_other_origin(self, request: Request) -> Reply:
        self.calls.append(Call(request.method, request.target, request.headers, at_other_origin=True))
        return self._file(request)

    def _faulty(self, reply: Reply, fault: str, request: Request) -> Reply:
        body = reply.body
        if fault == "slow":
            return replace(reply, hold=True)
        if fault == "drip":
            head = f"HTTP/1.1 200 OK\r\nContent-Type: {reply.content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
            answer_faults.drip(request, head.encode(), body, self._stopped)
        if fault == "truncated":
            return replace(reply, body=body[: len(body) // 2], announced_bytes=len(body))
        if fault == "oversized":
            return replace(reply, announced_bytes=answer_faults.ENORMOUS_BYTES)
        return replace(reply, body=b"") if fault == "empty" else reply

    def _file(self, request: Request) -> Reply:
        """A file, or the requested range of it. Source: RFC 9110, section 14."""
        if request.method not in ("GET", "HEAD"):
            return Reply(405, b"Method Not Allowed", "text/plain")
        file = self._files.get(unquote(request.path.removeprefix(FILES)))
        if file is None:
            return Reply(404, b"404 page not found", "text/plain")
        content, content_type = file
        accepts = {"Accept-Ranges": "bytes"}
        requested = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range", ""))
        if requested is None or requested.groups() == ("", ""):
            return Reply(200, content, content_type, accepts)
        first, last = requested.groups()
        start = int(first) if first else max(len(content) - int(last), 0)
        stop = min(int(last) + 1, len(content)) if first and last else len(content)
        if start >= stop:
            return Reply(416, headers={**accepts, "Content-Range": f"bytes */{len(content)}"})
        part = {**accepts, "Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"}
        return Reply(206, content[start:stop], content_type, part)
