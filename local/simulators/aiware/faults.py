"""What can go wrong at the simulated Engine Toolkit and at the media server, by name, always or for chosen requests."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

HEARTBEAT, RESULT, PROCESS, MEDIA = "heartbeat", "result", "process", "media"

WEBHOOK_FAULTS = {
    "400": "refused",
    "404": "refused",
    "410": "refused",
    "413": "refused",
    "429": "refused, with Retry-After",
    "500": "refused",
    "503": "refused",
    "redirect": "refused with 301, to an address of the toolkit that nobody may call",
    "drops": "refused: the connection is closed without an answer",
    "reset": "accepted, then the connection is closed without an answer",
    "slow": "accepted and never answered",
    "drip": "accepted, the answer comes byte by byte and never ends",
    "huge": "accepted, the answer announces 8 GiB and breaks off after one MiB",
}
"""Each is a fault of both webhooks: heartbeat_400, result_400, and so on."""

TOOLKIT = {
    **{f"{webhook}_{name}": (webhook,) for webhook in (HEARTBEAT, RESULT) for name in WEBHOOK_FAULTS},
    "gone": (HEARTBEAT, RESULT),  # the message is not accepted, and from then on nobody listens any more
    "api_cut": (PROCESS,),  # what is between toolkit and engine answers 504 after `api_cut_s`; the engine works on
    "answer_lost": (PROCESS,),  # the engine's answer is complete and never reaches the toolkit
    "overlapping": (PROCESS,),  # all three calls at once
}
"""By name, the requests it can strike."""

MEDIA_SERVER = dict.fromkeys(
    (
        *("status_400", "status_401", "status_403", "status_404", "status_429", "status_500", "status_503"),
        "drops",  # the connection is closed without an answer
        "slow",  # never answers
        "drip",  # a byte at a time
        "endless",  # no Content-Length and no end
        "truncated",  # half of the file, then the connection is closed
        "wrong_length",  # Content-Length is half of what is there
        "oversized",  # announces 8 GiB and sends the file
        "no_length",  # chunked, as servers do that do not know the length (harmless)
        "empty",  # 200 and not a byte
        "html",  # a login page with status 200
        "gzip",  # Content-Encoding: gzip, whether asked for or not
        "gzip_bomb",  # the same with 256 MiB of zeros
        "redirect",  # 302 to the same file on another origin
        "redirect_to_metadata",  # 302 to the address that gives a machine its credentials
    ),
    (MEDIA,),
)


@dataclass
class Planned:
    """A fault for `times` of the requests to come that are `on`, after `skip` of them."""

    name: str
    on: tuple[str, ...]
    skip: int
    times: int

    def meets(self, request: str) -> bool:
        """Whether the fault strikes this request, which then counts."""
        if request not in self.on or not self.times:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class Faults(set[str]):
    """The faults in force. An unknown name raises ValueError, so that a misspelt fault cannot make a test pass.

    known: TOOLKIT or MEDIA_SERVER.
    """

    def __init__(self, known: Mapping[str, tuple[str, ...]], names: Iterable[str] = ()) -> None:
        super().__init__()
        self._known = known
        self._lock = threading.Lock()
        self._planned: list[Planned] = []
        self.update(names)

    def plan(self, name: str, *, on: str | None = None, skip: int = 0, times: int = 1) -> None:
        """Puts a fault in force for some requests only: `times` of those to come, after `skip` of them.

        on: of the requests it can strike, count only these: "heartbeat", "result", "process" or "media".
        """
        strikes = self._strikes(name)
        if on is not None and on not in strikes:
            raise ValueError(f"{name} strikes {' and '.join(strikes)}, not {on}")
        with self._lock:
            self._planned.append(Planned(name, strikes if on is None else (on,), skip, times))

    @property
    def planned(self) -> list[str]:
        """What was planned and has not struck as often as it was to."""
        with self._lock:
            return [planned.name for planned in self._planned if planned.times]

    def meeting(self, request: str) -> str:
        """The fault that strikes this request, or "": a planned one before those in force. Ask once for each."""
        with self._lock:
            met = [planned.name for planned in self._planned if planned.meets(request)]
            met += [name for name in self._known if name in self and request in self._known[name]]
        return met[0] if met else ""

    def replace(self, names: Iterable[str]) -> None:
        """These and no others, planned ones neither."""
        wanted = list(names)
        for name in wanted:
            self._strikes(name)
        self.clear()
        self.update(wanted)

    def add(self, name: str, /) -> None:
        self._strikes(name)
        super().add(name)

    def update(self, *names: Iterable[str]) -> None:
        for several in names:
            for name in several:
                self.add(name)

    def clear(self) -> None:
        """No faults any more, planned ones neither."""
        with self._lock:
            self._planned.clear()
        super().clear()

    def _strikes(self, name: str) -> tuple[str, ...]:
        if name not in self._known:
            raise ValueError(f"unknown fault {name!r}; known: {', '.join(self._known)}")
        return self._known[name]
