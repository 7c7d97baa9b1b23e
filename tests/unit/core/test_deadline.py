import pytest

from annohooks.core.deadline import Deadline
from annohooks.core.errors import DeadlineExceeded


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now_s = 1000.0

    monkeypatch.setattr("time.monotonic", lambda: Clock.now_s)
    return Clock


def test_remaining_time_runs_down_to_zero_and_not_below(clock):
    deadline = Deadline.after(10)
    assert deadline.remaining_s() == 10
    clock.now_s += 4
    assert deadline.remaining_s() == 6
    clock.now_s += 100
    assert deadline.remaining_s() == 0


def test_check_raises_at_the_very_moment_and_says_what_was_under_way(clock):
    deadline = Deadline.after(10)
    clock.now_s += 9.999
    deadline.check("fetching pixels")
    clock.now_s += 0.001
    with pytest.raises(DeadlineExceeded) as raised:
        deadline.check("fetching pixels")
    assert raised.value.message == "The time for this request ran out while fetching pixels."
    assert raised.value.status == 504


def test_a_timeout_is_its_limit_or_what_is_left(clock):
    deadline = Deadline.after(10)
    assert deadline.timeout_s(3, "x") == 3
    clock.now_s += 8
    assert deadline.timeout_s(3, "x") == 2
    clock.now_s += 2
    with pytest.raises(DeadlineExceeded):
        deadline.timeout_s(3, "x")


def test_a_timeout_is_never_zero_which_sockets_take_for_do_not_block(monkeypatch):
    moments = iter([0.0, 0.9, 1.1])  # the deadline passes between its check and the sum
    monkeypatch.setattr("time.monotonic", lambda: next(moments))
    assert Deadline.after(1).timeout_s(3, "x") > 0


def test_an_earlier_deadline_keeps_time_back_and_leaves_the_first_as_it_was(clock):
    deadline = Deadline.after(10)
    assert deadline.earlier(4).remaining_s() == 6
    assert deadline.remaining_s() == 10
