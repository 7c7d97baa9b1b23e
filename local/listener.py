"""A small HTTP/1.1 listener. It can hold, cut short and count connections, as a simulated platform needs."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

FORM = "application/x-www-form-urlencoded"


@dataclass
class Request:
    """One request. unread: bytes of the body that are not read yet."""

    method: str
    target: str
    headers: Message
    connection: socket.socket = field(repr=False)
    stream: BufferedIOBase = field(repr=False)
    unread: int = 0

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    def read(self, size: int) -> bytes:
        """At most `size` of the unread bytes of the body. Raises ConnectionError if the client stops in the middle."""
        length = min(size, self.unread)
        body = self.stream.read(length)
        if len(body) < length:
            raise ConnectionError("the client went away in the middle of the body")
        self.unread -= length
        return body

    def drain(self) -> None:
        while self.unread:
            self.read(1 << 20)

    @cached_property
    def params(self) -> dict[str, str]:
        """Query string and form body together, keys in lower case. Does not read a body of another type."""
        text = urlsplit(self.target).query
        if self.headers.get_content_type() == FORM:
            text += "&" + self.read(self.unread).decode(errors="replace")
        return {key.lower(): value for key, value in parse_qsl(text, keep_blank_values=True)}


@dataclass(frozen=True)
class Reply:
    """An answer. hold: send nothing, and wait until the client hangs up. announced_bytes: a false Content-Length."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    hold: bool = False
    announced_bytes: int | None = None


class Refused(Exception):
    """A request that breaks the platform's protocol: the violation, and the answer of a real server."""

    def __init__(self, violation: str, reply: Reply) -> None:
        super().__init__(violation)
        self.violation = violation
        self.reply = reply


class Dropped(Exception):
    """The connection is to be closed without an answer."""


class Running:
    """Something that a `with` block starts, and stops at its end."""

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Listener(Running, ThreadingHTTPServer):
    """Answers every request on one socket with `answer(request)`."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, bind: str, port: int, answer: Callable[[Request], Reply]) -> None:
        super().__init__((bind, port), _Handler)
        self.answer = answer
        self._open: set[socket.socket] = set()
        self._busy: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._serving: threading.Thread | None = None

    @property
    def origin(self) -> str:
        bind, port = self.server_address[:2]
        return f"http://{'127.0.0.1' if bind == '0.0.0.0' else str(bind)}:{port}"

    def start(self) -> None:
        self._serving = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._serving.start()

    def stop(self) -> None:
        """Ends the listener and every connection, held ones included."""
        if self._serving is not None:
            self.shutdown()
            self._serving.join()
            self._serving = None
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def waiting_clients(self) -> int:
        """The number of clients that wait for an answer now. Those that hung up do not count."""
        with self._lock:
            return sum(_is_connected(connection) for connection in self._busy)

    @contextlib.contextmanager
    def busy(self, connection: socket.socket) -> Iterator[None]:
        with self._lock:
            self._busy.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a client hung up
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Listener

    def _serve(self) -> None:
        request = Request(self.command, self.path, self.headers, self.connection, self.rfile)
        request.unread = int(self.headers.get("Content-Length", 0))
        try:
            with self.server.busy(self.connection):
                reply = self.server.answer(request)
                request.drain()
                if reply.hold:
                    _wait_until_closed(self.connection)
                    raise Dropped
        except Dropped:
            self.close_connection = True
        else:
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        length = len(reply.body) if reply.announced_bytes is None else reply.announced_bytes
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(length))
        if reply.announced_bytes is not None:
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    do_GET = do_POST = do_HEAD = do_PATCH = do_PUT = do_DELETE = do_OPTIONS = _serve

    def log_message(self, format: str, *args: Any) -> None:
        """Prints nothing: a simulated platform keeps its own list of calls."""


def _wait_until_closed(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.recv(1, socket.MSG_PEEK)


def _is_connected(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
