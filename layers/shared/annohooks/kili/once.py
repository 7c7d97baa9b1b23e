"""One delivery at a time for each asset, and what must happen once is remembered, by Powertools Idempotency."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from annohooks.core.deadline import Deadline
from annohooks.core.errors import Unavailable
from annohooks.core.observability import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig
    from types_boto3_dynamodb import DynamoDBClient

T = TypeVar("T")

_REMEMBERED_S = 7 * 86_400
_WORK_S = 8.0
"""Kept free after waiting for another delivery, to do the work."""
_GRACE_S = 2.0
"""A delivery that has not let go this long after its deadline is dead: Lambda has ended it."""
_UNAVAILABLE = "The table of this webhook cannot be used at the moment."


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
            self._take(locks, asset)
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(_UNAVAILABLE) from error
        try:
            yield
        finally:
            try:
                locks.delete_record(asset, RuntimeError())
            except (BotoCoreError, ClientError) as error:
                logger.warning("the lock could not be let go", extra={"cause": type(error).__name__})

    def _take(self, locks: DynamoDBPersistenceLayer, asset: dict[str, str]) -> None:
        from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyItemAlreadyExistsError

        while True:
            try:
                locks.save_inprogress(asset, self._lease_ms())
                return
            except IdempotencyItemAlreadyExistsError:
                pause_s = random.uniform(0.1, 0.3)
                if self._deadline.remaining_s() < pause_s + _WORK_S:
                    raise Unavailable("Another delivery is still working on this asset.") from None
                time.sleep(pause_s)

    def do(self, what: Mapping[str, object], act: Callable[[], T]) -> T:
        """What `act` returns, now or when it was first called for the same `what`, within a week. It must be JSON.

        An act that raises is forgotten, and one whose process died is too, a moment after its deadline.
        """
        from aws_lambda_powertools.utilities.idempotency import idempotent_function
        from aws_lambda_powertools.utilities.idempotency.exceptions import (
            IdempotencyAlreadyInProgressError,
            IdempotencyPersistenceLayerError,
        )

        def once(what: Mapping[str, object]) -> dict[str, T]:
            return {"result": act()}  # in a dict, because Powertools takes whatever is empty or false for None

        config = self._config(_REMEMBERED_S)
        done = idempotent_function(
            once, data_keyword_argument="what", persistence_store=_layer(self._table), config=config, key_prefix="done"
        )
        try:
            result: T = done(what=dict(what))["result"]
        except (IdempotencyPersistenceLayerError, IdempotencyAlreadyInProgressError) as error:
            raise Unavailable(_UNAVAILABLE) from error
        return result

    def remember_label(self, label_id: str) -> None:
        """That a label is this webhook's own, so that its event is not acted on."""
        self.do({"own_label": label_id}, lambda: True)

    def is_own_label(self, label_id: str) -> bool:
        """Whether `remember_label` was called for it."""
        from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyItemNotFoundError
        from botocore.exceptions import BotoCoreError, ClientError

        records = self._records("done", _REMEMBERED_S)
        try:
            records.get_record({"own_label": label_id})
        except IdempotencyItemNotFoundError:
            return False
        except (BotoCoreError, ClientError) as error:
            raise Unavailable(_UNAVAILABLE) from error
        return True

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

    return DynamoDBPersistenceLayer(table, boto3_client=client())


@cache
def client() -> DynamoDBClient:
    """One client of DynamoDB per process, made when first needed."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "dynamodb",
        config=Config(connect_timeout=2, read_timeout=4, retries={"total_max_attempts": 3, "mode": "standard"}),
    )
