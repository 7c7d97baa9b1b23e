"""The moment by which a request must be answered."""

import time
from typing import Any

import msgspec

from annohooks.core.errors import DeadlineExceeded


class Deadline(msgspec.Struct, frozen=True):
    """A moment on the monotonic clock, in seconds."""

    moment_s: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """The moment that is so many seconds from now."""
        return cls(time.monotonic() + seconds)

    @classmethod
    def of_invocation(cls, context: Any, spare_s: float = 0.0) -> "Deadline":
        """The moment at which Lambda ends an invocation, less spare_s seconds. context: Lambda's context object."""
        return cls.after(context.get_remaining_time_in_millis() / 1000 - spare_s)

    @classmethod
    def behind_api(cls, left_s: float, api_timeout_s: float, arrived_epoch_s: float) -> "Deadline":
        """The end of the invocation, left_s from now, or the end of the API's patience if that is sooner.

        arrived_epoch_s: when the API accepted the request, in seconds since the epoch. It then waits api_timeout_s.
        """
        waited_s = time.time() - arrived_epoch_s
        # A sample event carries a time of long ago. No API waits that long.
        waited_s = waited_s if 0 <= waited_s < api_timeout_s else 0.0
        return cls.after(min(left_s, api_timeout_s - waited_s))

    def earlier(self, seconds: float) -> "Deadline":
        """A deadline that is so many seconds earlier, to leave time for what must happen afterwards."""
        return Deadline(self.moment_s - seconds)

    def remaining_s(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.moment_s - time.monotonic())

    def check(self, doing: str) -> None:
        """Raises DeadlineExceeded when no time is left. doing: the work, for the message, as in "fetching pixels"."""
        if self.remaining_s() <= 0:
            raise DeadlineExceeded(f"The time for this request ran out while {doing}.")

    def timeout_s(self, limit: float, doing: str) -> float:
        """A time-out in seconds for one step: the limit, or the time left if that is less.

        Raises DeadlineExceeded when no time is left.
        """
        self.check(doing)
        # Never 0, which means "do not block" to a socket. The clock has moved on since the check.
        return max(0.001, min(limit, self.remaining_s()))


def now_ms() -> int:
    """Milliseconds since the epoch: a moment that several functions agree on."""
    return time.time_ns() // 1_000_000
