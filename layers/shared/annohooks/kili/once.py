"""One delivery at a time for each asset, and what must happen once is remembered, by Powertools Idempotency."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from annohooks.core import dynamodb
from annohooks.core.deadline import Deadline
from annohooks.core.errors import Unavailable
from annohooks.core.observability import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig

T = TypeVar("T")

_REMEMBERED_S = 7 * 86_400
_WORK_S = 12.0
"""Kept free after waiting for another delivery, to do the work."""
_GRACE_S = 2.0
"""A delivery that has not let go this long after its deadline is dead: Lambda has ended it."""
_UNAVAILABLE = "The table of this webhook cannot be used at the moment."


class _Undone(Exception):
    """What was to be done was declined."""


class Once:
    """Locks and memory in one DynamoDB table (key `id`, time to live `expiration`).

    deadline: of this delivery. Every method raises Unavailable when DynamoDB does not answer or may not be used.
    """

    def __init__(self, table: str, deadline: Deadline) -> None:
        self._table = table
        self._deadline = deadline

    @contextmanager
    def held(self, asset_id: str) -> Iterator[None]:
        """No other delivery works on the asset meanwhile. Waits for one that does; raises Unavailable if that is long.

        The lock of a delivery that died ends by itself, a moment after that delivery's deadline.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        locks = self._records("asset", expires_after_s=900)
        asset = {"asset": asset_id}
        try:
            until_s = self._take(locks, asset)
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(_UNAVAILABLE) from error
        try:
            yield
        finally:
            try:
                if time.monotonic() < until_s:  # or it may be another delivery's by now
                    locks.delete_record(asset, RuntimeError())
            except (BotoCoreError, ClientError) as error:
                logger.warning("the lock could not be let go", extra={"cause": type(error).__name__})

    def _take(self, locks: DynamoDBPersistenceLayer, asset: dict[str, str]) -> float:
        """Until when the lock is ours, by the monotonic clock."""
        from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyItemAlreadyExistsError

        while True:
            until_s = time.monotonic() + self._lease_ms() / 1000
            try:
                locks.save_inprogress(asset, self._lease_ms())
                return until_s
            except IdempotencyItemAlreadyExistsError:
                pause_s = random.uniform(0.1, 0.3)
                if self._deadline.remaining_s() < pause_s + _WORK_S:
                    raise Unavailable("Another delivery is still working on this asset.") from None
                time.sleep(pause_s)

    def do(self, what: Mapping[str, object], act: Callable[[], T]) -> T:
        """What `act` returns, now or when it was first called for the same `what`, within a week. It must be JSON.

        An act that raises or returns False is forgotten; one whose process died, too, a moment after its deadline.
        """
        from aws_lambda_powertools.utilities.idempotency import idempotent_function
        from aws_lambda_powertools.utilities.idempotency.exceptions import (
            IdempotencyAlreadyInProgressError,
            IdempotencyPersistenceLayerError,
        )

        def once(what: Mapping[str, object]) -> dict[str, T]:
            result = act()
            if result is False:
                raise _Undone
            return {"result": result}  # in a dict, because Powertools takes whatever is empty for None

        config = self._config(_REMEMBERED_S)
        done = idempotent_function(
            once, data_keyword_argument="what", persistence_store=_layer(self._table), config=config, key_prefix="done"
        )
        try:
            result: T = done(what=dict(what))["result"]
        except _Undone:
            return False  # type: ignore[return-value]
        except (IdempotencyPersistenceLayerError, IdempotencyAlreadyInProgressError) as error:
            raise Unavailable(_UNAVAILABLE) from error
        return result

    def note(self, about: Mapping[str, str], what: object) -> None:
        """Keeps what is known about something (JSON) for a week, in place of what was known before."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._records("noted", _REMEMBERED_S).save_success(dict(about), {"noted": what})
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(_UNAVAILABLE) from error

    def noted(self, about: Mapping[str, str]) -> Any:
        """What was noted about something; None if nothing was."""
        from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyItemNotFoundError
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            record = self._records("noted", _REMEMBERED_S).get_record(dict(about))
        except IdempotencyItemNotFoundError:
            return None
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(_UNAVAILABLE) from error
        return (record.response_json_as_dict() or {}).get("noted") if record else None

    def _records(self, prefix: str, expires_after_s: int) -> DynamoDBPersistenceLayer:
        layer = _layer(self._table)
        layer.configure(self._config(expires_after_s), key_prefix=prefix)
        return layer

    def _config(self, expires_after_s: int) -> IdempotencyConfig:
        from aws_lambda_powertools.utilities.idempotency import IdempotencyConfig

        config = IdempotencyConfig(expires_after_seconds=expires_after_s)
        config.lambda_context = self  # type: ignore[assignment]
        return config

    def _lease_ms(self) -> int:
        return int((self._deadline.remaining_s() + _GRACE_S) * 1000)

    get_remaining_time_in_millis = _lease_ms
    """Powertools asks a Lambda context for the time that is left; here the delivery's deadline is what counts."""


def _layer(table: str) -> DynamoDBPersistenceLayer:
    from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer

    return DynamoDBPersistenceLayer(table, boto3_client=dynamodb.client())
