"""A lock in DynamoDB: an item names its owner, and until when the owner may act.

A lock is taken by a conditional write. A client repeats a write whose answer was lost: finding itself as the owner is
success. A lock whose owner died ends by itself.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from annohooks.core import retry
from annohooks.core.deadline import Deadline, now_ms
from annohooks.core.dynamodb import Change, Table
from annohooks.core.errors import Unavailable
from annohooks.core.observability import logger
from annohooks.core.retry import Backoff

_BACKOFF = Backoff(first_s=0.3, longest_s=0.3, jitter=0.66)
_GRACE_S = 2.0
"""An owner that still holds a lock this long after its deadline is dead: Lambda has ended it."""


class Lease(msgspec.Struct, frozen=True):
    """The right to do something, which one owner at a time has until a moment (milliseconds since the epoch).

    It is kept in two attributes of an item: `<name>_owner` and `<name>_until_ms`.
    """

    name: str

    def taken(self, owner: str, until_ms: int) -> Change:
        """Takes the right. Does not apply while another owner has it."""
        free, held = self.is_free(), self.held_by(owner)
        return Change(
            {f"{self.name}_owner": owner, f"{self.name}_until_ms": until_ms},
            f"({free.when} OR {held.when})",
            {**free.values, **held.values},
        )

    def released(self, owner: str) -> Change:
        """Gives the right back. Does not apply when it belongs to another owner by now."""
        return Change({f"{self.name}_until_ms": 0}) & self.held_by(owner)

    def held_by(self, owner: str) -> Change:
        """Changes nothing, on the condition that this owner was the last to take the right."""
        return Change({}, f"#{self.name}_owner = :{self.name}_owner", {f"{self.name}_owner": owner})

    def is_free(self) -> Change:
        """Changes nothing, on the condition that nobody has the right at the moment."""
        until = f"#{self.name}_until_ms"
        return Change(
            {}, f"(attribute_not_exists({until}) OR {until} < :{self.name}_now)", {f"{self.name}_now": now_ms()}
        )


_LOCK = Lease("lock")


@contextmanager
def held(
    table: Table,
    key: Mapping[str, Any],
    deadline: Deadline,
    *,
    what: str,
    spare_s: float,
    attributes: Mapping[str, Any] | None = None,
) -> Iterator[None]:
    """Holds the lock of an item while the block runs. Waits for its present owner.

    The lock ends two seconds after the deadline even if its owner dies. what: named in messages, as in "this asset".
    spare_s: seconds that must be left before the deadline once the lock is taken. attributes: written along with the
    lock, such as the item's time to live. Raises Unavailable when the present owner takes too long, or DynamoDB fails.
    """
    owner = uuid.uuid4().hex
    for attempt in range(1, 1_000_000):
        until_ms = now_ms() + int((deadline.remaining_s() + _GRACE_S) * 1000)
        if table.apply(key, _LOCK.taken(owner, until_ms) & Change(attributes or {})) is not None:
            break
        if not retry.pause(_BACKOFF.pause_s(attempt), deadline, spare_s):
            raise Unavailable(f"Another request is still working on {what}.")
    try:
        yield
    finally:
        try:
            table.apply(key, _LOCK.released(owner))
        except Unavailable as error:
            logger.warning("a lock could not be released", extra={"reason": error.message})
