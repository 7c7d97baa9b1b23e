"""The server that cacheURI points at: files, whole or in part, and what can go wrong with them."""

from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from email.message import Message
from functools import cache
from urllib.parse import quote, unquote

from local.listener import Dropped, Listener, Reply, Request, Running
from local.simulators.aiware import spoiling
from local.simulators.aiware.faults import MEDIA, MEDIA_SERVER, Faults

FILES = "/edge/v1/chunk/"
METADATA_ADDRESS = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
LOGIN_PAGE = b"<!DOCTYPE html><title>Sign in</title><form method=post><input name=password type=password></form>"


@dataclass(frozen=True)
class Call:
    """One request as it arrived. elsewhere: at the other origin, which the fault redirect points at."""

    method: str
    path: str
    headers: Message
    elsewhere: bool = False


class MediaServer(Running):
    """Files on a socket of their own, in a `with` block.

    faults: names from MEDIA_SERVER; they can be changed at any time, and `faults.plan` puts one on chosen requests.
    origin: of the files; elsewhere: another origin with the same files. calls: every request.
    """

    def __init__(self, *, bind: str = "127.0.0.1", port: int = 0, faults: Iterable[str] = ()) -> None:
        self.calls: list[Call] = []
        self._files: dict[str, tuple[bytes, str]] = {}
        self._faults = Faults(MEDIA_SERVER, faults)
        self._stopped = threading.Event()
        self._listener = Listener(bind, port, self._answer)
        self._elsewhere = Listener(bind, 0, lambda request: self._file(self._noted(request, elsewhere=True)))
        self.origin = self._listener.origin
        self.elsewhere = self._elsewhere.origin

    def start(self) -> None:
        self._listener.start()
        self._elsewhere.start()

    def stop(self) -> None:
        """Ends the server; answers that never end do so, too."""
        self._stopped.set()
        self._listener.stop()
        self._elsewhere.stop()

    @property
    def faults(self) -> Faults:
        return self._faults

    @faults.setter
    def faults(self, names: Iterable[str]) -> None:
        self._faults.replace(names)

    def add(self, name: str, content: bytes, content_type: str = "application/octet-stream") -> str:
        """Stores a file, or replaces it; returns its URL."""
        self._files[name] = (content, content_type)
        return self.url(name)

    def url(self, name: str) -> str:
        """Of a file that is there or not."""
        return f"{self.origin}{FILES}{quote(name)}"

    def _noted(self, request: Request, *, elsewhere: bool = False) -> Request:
        self.calls.append(Call(request.method, request.target, request.headers, elsewhere))
        return request

    def _answer(self, request: Request) -> Reply:
        self._noted(request)
        fault = self._faults.meeting(MEDIA)
        if fault.startswith("status_"):
            retry = {"Retry-After": "1"} if fault == "status_429" else {}
            return Reply(int(fault.removeprefix("status_")), b"no", "text/plain", retry)
        if fault == "redirect":
            return Reply(302, headers={"Location": f"{self.elsewhere}{request.target}"})
        if fault == "redirect_to_metadata":
            return Reply(302, headers={"Location": METADATA_ADDRESS})
        if fault == "html":
            return Reply(200, LOGIN_PAGE, "text/html")
        if fault == "drops":
            raise Dropped
        if fault == "endless":
            spoiling.pour(request, _head("video/mp4"), self._stopped)
        return self._spoilt(self._file(request), fault, request)

    def _spoilt(self, reply: Reply, fault: str, request: Request) -> Reply:
        body = reply.body
        match fault:
            case "slow":
                return replace(reply, hold=True)
            case "drip":
                head = _head(reply.content_type, f"Content-Length: {len(body)}")
                spoiling.drip(request, head, body, self._stopped)
            case "truncated":
                return replace(reply, body=body[: len(body) // 2], announced_bytes=len(body))
            case "wrong_length":
                return replace(reply, announced_bytes=len(body) // 2)
            case "oversized":
                return replace(reply, announced_bytes=spoiling.ENORMOUS)
            case "no_length":
                chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
                request.connection.sendall(_head(reply.content_type, "Transfer-Encoding: chunked") + chunks)
                raise Dropped
            case "empty":
                return replace(reply, body=b"")
            case "gzip":
                return replace(reply, body=gzip.compress(body), headers={"Content-Encoding": "gzip"})
            case "gzip_bomb":
                return replace(reply, body=_bomb(), headers={"Content-Encoding": "gzip"})
        return reply

    def _file(self, request: Request) -> Reply:
        """A file or the range of it that was asked for. Source of the ranges: RFC 9110, section 14."""
        if request.method not in ("GET", "HEAD"):
            return Reply(405, b"Method Not Allowed", "text/plain")
        found = self._files.get(unquote(request.path.removeprefix(FILES)))
        if found is None:
            return Reply(404, b"404 page not found", "text/plain")
        content, content_type = found
        accepts = {"Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range", ""))
        if asked is None or asked.groups() == ("", ""):
            return Reply(200, content, content_type, accepts)
        first, last = asked.groups()
        start = int(first) if first else max(len(content) - int(last), 0)
        stop = min(int(last) + 1, len(content)) if first and last else len(content)
        if start >= stop:
            return Reply(416, headers={**accepts, "Content-Range": f"bytes */{len(content)}"})
        part = {**accepts, "Content-Range": f"bytes {start}-{stop - 1}/{len(content)}"}
        return Reply(206, content[start:stop], content_type, part)


def _head(content_type: str, *headers: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", f"Content-Type: {content_type}", *headers, "", ""]).encode()


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(256 << 20), compresslevel=9)
