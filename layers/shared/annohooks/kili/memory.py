"""What the webhook remembers of assets and labels, in one DynamoDB table: who works on an asset, and what was done.

A lock keeps the deliveries of one asset apart. Every action that must happen once belongs to a label, and runs while
the asset of that label is held. So nobody else can act between the read and the write of an entry.

The table has the key `id` and the time to live `expiration`. An id is a prefix and a digest.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from annohooks.core import lock
from annohooks.core.deadline import Deadline
from annohooks.core.dynamodb import Change, Table

T = TypeVar("T")

_REMEMBERED_S = 7 * 86_400
_LOCK_KEPT_S = 900
_WORK_S = 12.0
"""Seconds that must be left for the work after waiting for another delivery."""


class Memory:
    """The table, as one delivery uses it.

    deadline: of this delivery. Every method raises Unavailable when DynamoDB does not answer or refuses access.
    """

    def __init__(self, table: str, deadline: Deadline) -> None:
        self._table = Table(table)
        self._deadline = deadline

    def held(self, asset_id: str) -> AbstractContextManager[None]:
        """Keeps other deliveries from working on the asset, and waits for one that does.

        Raises Unavailable when that takes too long. See `lock.held` for an owner that dies.
        """
        return lock.held(
            self._table,
            _key("lock", {"asset": asset_id}),
            self._deadline,
            what="this asset",
            spare_s=_WORK_S,
            attributes=_expiring(_LOCK_KEPT_S),
        )

    def once(self, action: Mapping[str, object], act: Callable[[], T]) -> T:
        """Returns what `act` returns, or returned when it ran for the same action within the last week.

        Call it while the asset is held. The result must be JSON. An act that raises, returns False, or whose process
        dies is not remembered and runs again.
        """
        key = _key("done", action)
        done = self._read(key)
        if done is not None:
            result: T = done["result"]
            return result
        result = act()
        if result is not False:
            self._write(key, {"result": result})
        return result

    def note(self, subject: Mapping[str, str], fact: object) -> None:
        """Remembers a fact (JSON) about a subject for a week, in place of an earlier one."""
        self._write(_key("note", subject), {"fact": fact})

    def noted(self, subject: Mapping[str, str]) -> Any:
        """The fact noted about a subject. None if there is none."""
        return (self._read(_key("note", subject)) or {}).get("fact")

    def _read(self, key: Mapping[str, str]) -> dict[str, Any] | None:
        entry = self._table.get(key)
        # DynamoDB removes an expired item days later.
        if entry is None or entry["expiration"] <= time.time():
            return None
        content: dict[str, Any] = json.loads(entry["content"])
        return content

    def _write(self, key: Mapping[str, str], content: Mapping[str, object]) -> None:
        self._table.apply(key, Change({"content": json.dumps(content), **_expiring(_REMEMBERED_S)}))


def _key(prefix: str, subject: Mapping[str, object]) -> dict[str, str]:
    digest = hashlib.sha256(json.dumps(subject, sort_keys=True).encode()).hexdigest()
    return {"id": f"{prefix}#{digest}"}


def _expiring(seconds: int) -> dict[str, int]:
    return {"expiration": int(time.time()) + seconds}
