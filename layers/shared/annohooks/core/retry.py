"""Repeats what may succeed later: back-off with jitter, a number of attempts, a deadline."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from itertools import count
from typing import TypeVar

import msgspec

from annohooks.core.deadline import Deadline

T = TypeVar("T")

sleep: Callable[[float], object] = time.sleep
"""Pauses for a number of seconds. The local stack puts a shorter pause here."""


class Backoff(msgspec.Struct, frozen=True):
    """How often to try, and how long to pause in between.

    first_s: the pause after the first attempt. factor: each further pause is so many times as long, but longest_s at
    most. jitter: the part of a pause that is left to chance, so that clients that fail together do not come back
    together; 1 is full jitter. attempts: how often to try in all.
    Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    first_s: float
    longest_s: float = math.inf
    factor: float = 2.0
    jitter: float = 0.5
    attempts: float = math.inf

    def pause_s(self, attempt: int) -> float:
        """Seconds to pause after an attempt. The first attempt is number 1."""
        # The exponent is bounded: a float overflows at 1024.
        pause_s = min(self.longest_s, self.first_s * self.factor ** min(attempt - 1, 64))
        return pause_s * random.uniform(1 - self.jitter, 1)


def pause(seconds: float, deadline: Deadline | None = None, spare_s: float = 0.0) -> bool:
    """Pauses. Returns False at once when less than spare_s seconds would be left before the deadline afterwards."""
    if deadline is not None and deadline.remaining_s() <= seconds + spare_s:
        return False
    sleep(seconds)
    return True


def call(
    act: Callable[[], T],
    backoff: Backoff,
    may_repeat: Callable[[Exception], bool],
    deadline: Deadline | None = None,
    spare_s: float = 0.0,
) -> T:
    """Returns what `act` returns, and calls it again after an error for which `may_repeat` is true.

    Raises the error of the last attempt: when `may_repeat` is false, the attempts are used up, or less than spare_s
    seconds would be left before the deadline.
    """
    for attempt in count(1):
        try:
            return act()
        except Exception as error:
            is_last = attempt >= backoff.attempts or not may_repeat(error)
            if is_last or not pause(backoff.pause_s(attempt), deadline, spare_s):
                raise
    raise AssertionError("the last attempt returns or raises")


def poll(read: Callable[[], T], is_done: Callable[[T], bool], interval_s: float, deadline: Deadline) -> T:
    """Reads again and again until `is_done`, or until the deadline. Returns what was read last."""
    state = read()
    while not is_done(state) and deadline.remaining_s() > 0:
        sleep(min(interval_s, deadline.remaining_s()))
        state = read()
    return state
