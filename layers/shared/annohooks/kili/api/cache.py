"""Answers of Kili that seldom change, which a process keeps for some minutes."""

from __future__ import annotations

import time
from typing import Generic, TypeVar

from annohooks.kili.api.records import Project

T = TypeVar("T")

_MAX_AGE_S = 300.0
_MOST_ENTRIES = 200


class Cache(Generic[T]):
    """Values by key, for five minutes. When it is full, it starts again empty."""

    def __init__(self) -> None:
        self._values: dict[object, tuple[float, T]] = {}

    def get(self, key: object) -> T | None:
        """The value. None if there is none, or it is too old."""
        expires_s, value = self._values.get(key, (0.0, None))
        return value if time.monotonic() < expires_s else None

    def put(self, key: object, value: T) -> T:
        """Keeps the value, and returns it."""
        if len(self._values) >= _MOST_ENTRIES:
            self._values.clear()
        self._values[key] = (time.monotonic() + _MAX_AGE_S, value)
        return value

    def clear(self) -> None:
        """Forgets every value."""
        self._values.clear()


projects: Cache[Project] = Cache()
"""By endpoint and project id."""

viewers: Cache[str] = Cache()
"""Ids of the users whose API keys these are, by endpoint and a hash of the key."""

without_new_send_back: Cache[bool] = Cache()
"""Endpoints of a Kili older than 26.2.1, which lacks the mutation sendAssetsBackToQueue."""
