"""What every simulated platform has: faults by name, the requests it got, and the protocol violations it saw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

from local.listener import Dropped, Listener, Refused, Reply, Request, Running
from local.simulators.faults import Fault, Faults


@dataclass(frozen=True)
class Call:
    """One request as it arrived."""

    method: str
    path: str
    headers: Message


class Simulator(Running):
    """A simulated platform, in a `with` block.

    calls: every request, first to last. violations: what a client did against the protocol. A client that breaks the
    protocol gets the answer of a real server.
    """

    def __init__(self, known_faults: Mapping[str, Fault], faults: Iterable[str]) -> None:
        self.calls: list[Any] = []
        self.violations: list[str] = []
        self._faults = Faults(known_faults, faults)
        self._listeners: list[Listener] = []

    @property
    def faults(self) -> Faults:
        """The faults in force. Assigning names replaces them."""
        return self._faults

    @faults.setter
    def faults(self, names: Iterable[str]) -> None:
        self._faults.replace(names)

    def start(self) -> None:
        for listener in self._listeners:
            listener.start()

    def stop(self) -> None:
        """Ends the simulator, and with it requests that a fault holds."""
        for listener in self._listeners:
            listener.stop()

    def _listen(self, bind: str, port: int, answer: Callable[[Request], Reply]) -> str:
        """Adds a socket that `answer` serves; returns its origin."""
        listener = Listener(bind, port, answer)
        self._listeners.append(listener)
        return listener.origin

    def _judged(self, answer: Callable[[], Reply]) -> Reply:
        """The answer; a request that is refused, and an error of the simulator itself, are noted as violations."""
        try:
            return answer()
        except Refused as refused:
            self.violations.append(refused.violation)
            return refused.reply
        except (Dropped, ConnectionError):
            raise
        except Exception as error:
            self.violations.append(f"the simulated server itself failed: {error!r}")
            raise
