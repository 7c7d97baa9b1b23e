"""One container with a toolkit: the socket of its webhooks, which can close for good."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from local.listener import Listener, Reply, Request, Running


class Instance(Running):
    """origin: of its webhooks. answer: gets this instance and the request."""

    def __init__(self, bind: str, port: int, answer: Callable[[Instance, Request], Reply]) -> None:
        self._listener = Listener(bind, port, lambda request: answer(self, request))
        self._address = self._listener.server_address[:2]
        self._vanishing = threading.Lock()
        self._reserved: socket.socket | None = None
        self.origin = self._listener.origin

    @property
    def gone(self) -> bool:
        return self._reserved is not None

    def start(self) -> None:
        self._listener.start()

    def vanish(self) -> None:
        """Ends every connection and refuses new ones. Keeps the port, so that no other server gets it."""
        with self._vanishing:
            if self.gone:
                return
            self._listener.shutdown()
            self._listener.server_close()  # before the connections end, so that a client that reconnects is refused
            self._reserved = socket.socket()
            self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._reserved.bind(self._address)
            self._listener.stop()

    def stop(self) -> None:
        if self._reserved is None:
            self._listener.stop()
        else:
            self._reserved.close()
