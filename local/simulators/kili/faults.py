"""What can go wrong at the simulated Kili, by name, for every request or for chosen ones."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

FAULTS = (
    "slow",  # every request is carried out and never answered
    "drops",  # every request is carried out, then the connection is closed without an answer
    "unknown_outcome",  # every mutation is carried out and answered 502
    "truncated_json",  # every answer is carried out and cut in half, the bucket's too
    "http_500",  # every request, nothing is carried out
    "http_502",  # every request, nothing is carried out
    "http_429",  # the first two requests: not carried out, with Retry-After
    "refused_503",  # every request: not carried out, in the words of a proxy that found no server
    "rejects_key",  # 401 for every request
    "refuses",  # every operation: a GraphQL error, nothing is carried out
    "no_new_mutation",  # there is no sendAssetsBackToQueue, as in releases before 26.2.1
    "label_lags",  # the first query for a label by its id finds nothing
    "json_inline",  # labels have a jsonResponse and no jsonResponseUrl
    "send_back_fails",  # sendAssetsBackToQueue reports every asset as failed
    "storage_fails",  # the bucket answers 500
    "storage_slow",  # the bucket never answers
    "duplicate_delivery",  # every event is posted three times at once
)
FIRST_REFUSED = 2  # requests that the fault http_429 meets


@dataclass
class Planned:
    """A fault for `times` of the requests to come that are `on`, after `skip` of them."""

    name: str
    on: str | None
    skip: int
    times: int

    def meets(self, operation: str) -> bool:
        """Whether the fault strikes this request, which then counts."""
        if self.on not in (None, operation) or not self.times:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class Faults(set[str]):
    """The faults in force. An unknown name raises ValueError, so that a misspelt fault cannot make a test pass."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._planned: list[Planned] = []
        self._refusals = 0
        self.update(names)

    def plan(self, name: str, *, on: str | None = None, skip: int = 0, times: int = 1) -> None:
        """Puts a fault in force for some requests only: `times` of those to come, after `skip` of them.

        on: count only these: a root field such as createIssues, "storage" for the bucket, "version"; None counts all.
        """
        _check(name)
        if name == "duplicate_delivery":
            raise ValueError("duplicate_delivery strikes events, not requests: it cannot be planned")
        with self._lock:
            self._planned.append(Planned(name, on, skip, times))

    @property
    def planned(self) -> list[str]:
        """What was planned and has not struck as often as it was to."""
        with self._lock:
            return [planned.name for planned in self._planned if planned.times]

    def meeting(self, operation: str) -> frozenset[str]:
        """The faults that strike this request. Ask once for each."""
        with self._lock:
            met = {planned.name for planned in self._planned if planned.meets(operation)}
            for name in tuple(self):
                if name != "http_429":
                    met.add(name)
                elif self._refusals:
                    self._refusals -= 1
                    met.add(name)
        return frozenset(met)

    def add(self, name: str, /) -> None:
        _check(name)
        if name == "http_429":
            self._refusals = FIRST_REFUSED
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


def _check(name: str) -> None:
    if name not in FAULTS:
        raise ValueError(f"unknown fault {name!r}; known: {', '.join(FAULTS)}")
