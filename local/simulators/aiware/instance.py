"""One container with a toolkit in it: the socket its webhooks are on, which can go away for good."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from local.listener import Listener, Reply, Request, Running


class Instance(Running):
    """origin: of its webhooks."""

    def __init__(self, bind: str, port: int, answer: Callable[[Instance, Request], Reply]) -> None:
        self._listener = Listener(bind, port, lambda request: answer(self, request))
        self._address = self._listener.server_address[:2]
        self._vanishing = threading.Lock()
        self._deserted: socket.socket | None = None
        self.origin = self._listener.origin

    @property
    def gone(self) -> bool:
        return self._deserted is not None

    def start(self) -> None:
        self._listener.start()

    def vanish(self) -> None:
        """Ends every connection; new ones are refused. The port is kept, so that nobody else answers there."""
        with self._vanishing:
            if self.gone:
                return
            self._listener.shutdown()
            self._listener.server_close()  # before the connections end: who sees that and comes back is refused
            self._deserted = socket.socket()
            self._deserted.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._deserted.bind(self._address)
            self._listener.stop()

    def stop(self) -> None:
        if self._deserted is None:
            self._listener.stop()
        else:
            self._deserted.close()
