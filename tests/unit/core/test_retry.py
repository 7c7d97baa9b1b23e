"""What may succeed later is repeated, within its attempts and its deadline."""

from __future__ import annotations

import random

import pytest

from annohooks.core import retry
from annohooks.core.deadline import Deadline
from annohooks.core.retry import Backoff


class Flaky:
    """Fails a number of times, then returns "done"."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise OSError(f"failure {self.calls}")
        return "done"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses made, which take no time; chance always chooses the longest."""
    pauses: list[float] = []
    monkeypatch.setattr(retry, "sleep", pauses.append)
    monkeypatch.setattr(random, "uniform", lambda shortest, longest: longest)
    return pauses


def always(error: Exception) -> bool:
    return True


def test_pauses_grow_up_to_the_longest(pauses: list[float]) -> None:
    assert retry.call(Flaky(4), Backoff(first_s=1, longest_s=5), always) == "done"
    assert pauses == [1, 2, 4, 5]


def test_the_last_error_is_raised_when_the_attempts_are_used_up(pauses: list[float]) -> None:
    act = Flaky(9)
    with pytest.raises(OSError, match="failure 3"):
        retry.call(act, Backoff(first_s=1, attempts=3), always)
    assert (act.calls, len(pauses)) == (3, 2)


def test_an_error_that_may_not_be_repeated_is_raised_at_once(pauses: list[float]) -> None:
    with pytest.raises(OSError, match="failure 1"):
        retry.call(Flaky(1), Backoff(first_s=1), lambda error: not isinstance(error, OSError))
    assert pauses == []


def test_no_pause_takes_what_must_be_spared_before_the_deadline(pauses: list[float]) -> None:
    with pytest.raises(OSError, match="failure 2"):
        retry.call(Flaky(9), Backoff(first_s=4), always, Deadline.after(10), spare_s=5)
    assert pauses == [4]


def test_jitter_leaves_a_part_of_the_pause_to_chance() -> None:
    backoff = Backoff(first_s=8, jitter=0.25)
    drawn = [backoff.pause_s(1) for _ in range(200)]
    assert 6 <= min(drawn) < 6.5
    assert 7.5 < max(drawn) <= 8


def test_pauses_of_any_attempt_are_finite() -> None:
    assert Backoff(first_s=1, longest_s=60, jitter=0).pause_s(100_000) == 60


def test_poll_reads_until_the_state_is_the_one_waited_for(pauses: list[float]) -> None:
    states = iter(["new", "new", "over", "never read"])
    assert retry.poll(lambda: next(states), lambda state: state == "over", 0.5, Deadline.after(9)) == "over"
    assert pauses == [0.5, 0.5]


def test_poll_returns_the_last_state_at_the_deadline() -> None:
    assert retry.poll(lambda: "new", lambda state: state == "over", 0.001, Deadline.after(0.01)) == "new"
