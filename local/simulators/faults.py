"""Faults by name: what can go wrong at a simulated platform, for every request or for chosen ones."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing that can go wrong.

    description: what happens. strikes: the kinds of request it can strike, () for all. times: how many requests it
    strikes once it is in force, None for all.
    """

    description: str
    strikes: tuple[str, ...] = ()
    times: int | None = None


@dataclass
class _Plan:
    name: str
    kinds: tuple[str, ...]
    skip: int
    times: int

    def strikes(self, kind: str) -> bool:
        """Whether the fault strikes this request, which then counts."""
        if (self.kinds and kind not in self.kinds) or not self.times:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class Faults(set[str]):
    """The names of the faults in force, and those planned for later requests.

    known: every fault of the platform by name. An unknown name raises ValueError, so that a misspelt fault cannot make
    a test pass.
    """

    def __init__(self, known: Mapping[str, Fault], names: Iterable[str] = ()) -> None:
        super().__init__()
        self.known = known
        self._lock = threading.Lock()
        self._plans: list[_Plan] = []
        self._left: dict[str, int] = {}
        self.update(names)

    def plan(self, name: str, *, on: str | None = None, skip: int = 0, times: int = 1) -> None:
        """Plans a fault for the next `times` requests after the next `skip` ones.

        on: count only requests of this kind; without it, all that the fault can strike.
        """
        strikes = self._fault(name).strikes
        if on is not None and strikes and on not in strikes:
            raise ValueError(f"{name} strikes {' and '.join(strikes)}, not {on}")
        with self._lock:
            self._plans.append(_Plan(name, strikes if on is None else (on,), skip, times))

    @property
    def planned(self) -> list[str]:
        """The planned faults that have not yet struck as often as planned."""
        with self._lock:
            return [plan.name for plan in self._plans if plan.times]

    def striking(self, kind: str) -> tuple[str, ...]:
        """The faults that strike this request, planned ones first. Call it once for each request: it counts."""
        with self._lock:
            planned = [plan.name for plan in self._plans if plan.strikes(kind)]
            return (*planned, *(name for name in self.known if name in self and self._strikes(name, kind)))

    def replace(self, names: Iterable[str]) -> None:
        """Puts these faults in force and no others; forgets the plans."""
        chosen = list(names)
        for name in chosen:
            self._fault(name)
        self.clear()
        self.update(chosen)

    def add(self, name: str, /) -> None:
        times = self._fault(name).times
        if times is not None:
            self._left[name] = times
        super().add(name)

    def update(self, *names: Iterable[str]) -> None:
        for several in names:
            for name in several:
                self.add(name)

    def __ior__(self, names: Iterable[str]) -> Faults:  # type: ignore[override, misc]
        self.update(names)
        return self

    def clear(self) -> None:
        """Ends all faults and forgets the plans."""
        with self._lock:
            self._plans.clear()
        super().clear()

    def _strikes(self, name: str, kind: str) -> bool:
        fault = self.known[name]
        if fault.strikes and kind not in fault.strikes:
            return False
        if fault.times is None:
            return True
        self._left[name] -= 1
        return self._left[name] >= 0

    def _fault(self, name: str) -> Fault:
        if name not in self.known:
            raise ValueError(f"unknown fault {name!r}; known: {', '.join(self.known)}")
        return self.known[name]
