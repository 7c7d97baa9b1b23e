"""A server whose every byte a test decides, over real sockets."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest

from annohooks.core.deadline import Deadline
from annohooks.core.http import Outbound
from annohooks.core.origins import Origins


class Request(NamedTuple):
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class Server:
    """Hands each request to `answer(connection, request)`, which writes what it likes.

    Closes the connection when `answer` returns False.
    """

    answer: Callable[[socket.socket, Request], bool | None]
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=[connection, self.connections], daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                while start := stream.readline():
                    method, target, _ = start.decode("latin-1").split(" ", 2)
                    headers = {}
                    while (line := stream.readline().decode("latin-1").strip()) != "":
                        name, _, value = line.partition(":")
                        headers[name.lower()] = value.strip()
                    body = stream.read(int(headers.get("content-length", 0)))
                    request = Request(method, target, headers, body, number)
                    self.requests.append(request)
                    if self.answer(connection, request) is False:
                        return
        except OSError:
            connection.close()

    def stop(self) -> None:
        self.stopped.set()
        self._listener.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers = []

    def start(answer: Callable[[socket.socket, Request], bool | None], tls: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(answer, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def outbound() -> Iterator[Callable[..., Outbound]]:
    opened = []

    def start(url: str, deadline_s: float = 10, **options: float) -> Outbound:
        origin = Origins.parse(url).match(url)
        opened.append(Outbound(origin, Deadline.after(deadline_s), platform="Slide Score", **options))
        return opened[-1]

    yield start
    for client in opened:
        client.close()
