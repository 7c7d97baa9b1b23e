"""DynamoDB: its client, and a table whose items are read and changed in plain Python values."""

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from annohooks.core.errors import Unavailable

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

Item = Mapping[str, Any]
"""Strings, ints, bools and sets of ints by attribute."""

_NAME = re.compile(r"#(\w+)")
_TRIES = 8


@cache
def client() -> "DynamoDBClient":
    """One client of DynamoDB per process, made when first needed."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "dynamodb",
        config=Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2, "mode": "standard"}),
    )


class Table:
    """One table. Reads are consistent. Every method raises Unavailable if DynamoDB does not do it.

    Expressions are DynamoDB's, names written #name and values :name; the names are filled in, the values given.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def is_there(self) -> bool:
        """Whether the table can be used."""
        with _errors():
            return client().describe_table(TableName=self._name)["Table"]["TableStatus"] in ("ACTIVE", "UPDATING")

    def get(self, key: Item) -> dict[str, Any] | None:
        """The item of that key, None if there is none."""
        with _errors():
            found = client().get_item(TableName=self._name, Key=_written(key), ConsistentRead=True).get("Item")
        return _read(found) if found else None

    def put_new(self, item: Item, key: str) -> bool:
        """Puts an item whose key attributes include `key`; False, and nothing happens, if there is one already."""
        with _errors():
            try:
                client().put_item(
                    TableName=self._name,
                    Item=_written(item),
                    ConditionExpression="attribute_not_exists(#k)",
                    ExpressionAttributeNames={"#k": key},
                )
            except client().exceptions.ConditionalCheckFailedException:
                return False
        return True

    def update(self, key: Item, change: str, when: str, **values: Any) -> dict[str, Any] | None:
        """Changes an item, and returns it as it is then; None, and nothing happens, if the condition does not hold."""
        expressions = _expressions(change, when, values)
        with _errors():
            try:
                changed = _uncontended(
                    lambda: client().update_item(
                        TableName=self._name, Key=_written(key), **expressions, ReturnValues="ALL_NEW"
                    )
                )
            except client().exceptions.ConditionalCheckFailedException:
                return None
        return _read(changed["Attributes"])

    def put_and_update(self, item: Item, key: Item, change: str, when: str, **values: Any) -> bool:
        """Puts a new item and changes another; False, and nothing happens, if the condition does not hold."""
        put: Any = {"TableName": self._name, "Item": _written(item)}
        update: Any = {"TableName": self._name, "Key": _written(key), **_expressions(change, when, values)}
        with _errors():
            try:
                _uncontended(lambda: client().transact_write_items(TransactItems=[{"Put": put}, {"Update": update}]))
            except client().exceptions.TransactionCanceledException as error:
                if "ConditionalCheckFailed" in _reasons(error):
                    return False
                raise
        return True

    def query(self, condition: str, limit: int, **values: Any) -> list[dict[str, Any]]:
        """The items of a key condition in the order of the range key, `limit` of them at most."""
        names, given = _filled(condition, values)
        with _errors():
            found = client().query(
                TableName=self._name,
                KeyConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=given,
                ConsistentRead=True,
                Limit=limit,
            )
        return [_read(item) for item in found["Items"]]


def _uncontended(act: Callable[[], Any]) -> Any:
    """What a write returns. One that meets another's transaction on the same item is tried again, a moment later."""
    from botocore.exceptions import ClientError

    for attempt in range(1, _TRIES + 1):
        try:
            return act()
        except ClientError as error:
            if attempt == _TRIES or "TransactionConflict" not in _reasons(error):
                raise
            time.sleep(random.uniform(0.01, 0.02 * 2**attempt))
    return None


def _reasons(error: Any) -> set[str]:
    """Why a write was not done: the error itself, and what a transaction says of its parts."""
    parts = {str(reason.get("Code")) for reason in error.response.get("CancellationReasons", ())}
    return parts | {error.response["Error"]["Code"].removesuffix("Exception")}


def _expressions(change: str, when: str, values: Mapping[str, Any]) -> Any:
    names, given = _filled(f"{change} {when}", values)
    return {
        "UpdateExpression": change,
        "ConditionExpression": when,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": given,
    }


def _filled(text: str, values: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    names = {f"#{name}": name for name in _NAME.findall(text)}
    return names, _written({f":{name}": value for name, value in values.items()})


def _written(item: Item) -> dict[str, Any]:
    return {name: _attribute(value) for name, value in item.items()}


def _attribute(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case set() | frozenset():
            return {"NS": [str(each) for each in value]}
    raise TypeError(f"{type(value).__name__} is not kept in a table")


def _read(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(*next(iter(attribute.items()))) for name, attribute in item.items()}


def _value(kind: str, value: Any) -> Any:
    if kind == "N":
        return int(value)
    return {int(each) for each in value} if kind == "NS" else value


@contextmanager
def _errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise Unavailable("The table of this webhook cannot be used at the moment.") from error
