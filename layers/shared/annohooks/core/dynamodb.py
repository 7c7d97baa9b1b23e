"""DynamoDB: its client, and a table whose items have plain Python values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from annohooks.core import retry
from annohooks.core.errors import Unavailable

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

Item = Mapping[str, Any]
"""The attributes of an item by name: strings, ints, bools and sets of ints."""

_NAME = re.compile(r"#(\w+)")
_CONFLICTS = retry.Backoff(first_s=0.04, jitter=1, attempts=8)


@cache
def client() -> DynamoDBClient:
    """The client of this process, made at the first call."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "dynamodb",
        config=Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2, "mode": "standard"}),
    )


class Change(msgspec.Struct, frozen=True):
    """A change of an item, and the condition under which it is made. Two of them are joined by `&`.

    assigned: new values by attribute. when: a condition in DynamoDB's language, with names written #name and values
    :name; empty for none. values: those that the condition names. added: sets of ints to add to an attribute's set.
    """

    assigned: Mapping[str, Any]
    when: str = ""
    values: Mapping[str, Any] = {}
    added: Mapping[str, Any] = {}

    def __and__(self, other: Change) -> Change:
        """Both changes at once, under both conditions. ValueError when they name different values alike."""
        clashes = {name for name in self.values.keys() & other.values.keys() if self.values[name] != other.values[name]}
        if clashes:
            raise ValueError(f"two conditions name different values {sorted(clashes)}")
        return Change(
            {**self.assigned, **other.assigned},
            " AND ".join(filter(None, (self.when, other.when))),
            {**self.values, **other.values},
            {**self.added, **other.added},
        )

    def expressions(self) -> Any:
        """The arguments of UpdateItem that say so."""
        clauses = []
        if self.assigned:
            clauses.append("SET " + ", ".join(f"#{name} = :set_{name}" for name in self.assigned))
        if self.added:
            clauses.append("ADD " + ", ".join(f"#{name} :add_{name}" for name in self.added))
        update = " ".join(clauses)
        values = {
            **self.values,
            **{f"set_{name}": value for name, value in self.assigned.items()},
            **{f"add_{name}": value for name, value in self.added.items()},
        }
        names, attributes = _filled(f"{update} {self.when}", values)
        condition = {"ConditionExpression": self.when} if self.when else {}
        return {
            "UpdateExpression": update,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": attributes,
            **condition,
        }


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
            item = client().get_item(TableName=self._name, Key=_written(key), ConsistentRead=True).get("Item")
        return _read(item) if item else None

    def put_new(self, item: Item, key: str) -> bool:
        """Puts an item. Returns False and changes nothing if its key exists already. key: a key attribute's name."""
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

    def apply(self, key: Item, change: Change) -> dict[str, Any] | None:
        """Changes an item and returns it. Returns None and changes nothing if the condition does not hold.

        Creates a missing item if the condition holds for it.
        """
        with _errors():
            try:
                changed = _uncontended(
                    lambda: client().update_item(
                        TableName=self._name, Key=_written(key), **change.expressions(), ReturnValues="ALL_NEW"
                    )
                )
            except client().exceptions.ConditionalCheckFailedException:
                return None
        return _read(changed["Attributes"])

    def put_and_apply(self, item: Item, key: Item, change: Change) -> bool:
        """Puts an item and changes another one. Returns False and does neither if the condition does not hold."""
        put: Any = {"TableName": self._name, "Item": _written(item)}
        update: Any = {"TableName": self._name, "Key": _written(key), **change.expressions()}
        with _errors():
            try:
                _uncontended(lambda: client().transact_write_items(TransactItems=[{"Put": put}, {"Update": update}]))
            except client().exceptions.TransactionCanceledException as error:
                if "ConditionalCheckFailed" in _reasons(error):
                    return False
                raise
        return True

    def query(self, condition: str, limit: int, **values: Any) -> list[dict[str, Any]]:
        """The items for which a key condition holds, in the order of the range key: `limit` of them at most."""
        names, given = _filled(condition, values)
        with _errors():
            reply = client().query(
                TableName=self._name,
                KeyConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=given,
                ConsistentRead=True,
                Limit=limit,
            )
        return [_read(item) for item in reply["Items"]]


def _uncontended(act: Callable[[], Any]) -> Any:
    """Returns what a write returns. Repeats a write that meets another transaction on the same item."""
    return retry.call(act, _CONFLICTS, lambda error: "TransactionConflict" in _reasons(error))


def _reasons(error: Any) -> set[str]:
    """The reasons why DynamoDB refused a write: its error code, and those of a transaction's parts."""
    if not hasattr(error, "response"):
        return set()
    parts = {str(reason.get("Code")) for reason in error.response.get("CancellationReasons", ())}
    return parts | {error.response["Error"]["Code"].removesuffix("Exception")}


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
            return {"NS": [str(number) for number in value]}
    raise TypeError(f"{type(value).__name__} cannot be written into a table")


def _read(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(*next(iter(attribute.items()))) for name, attribute in item.items()}


def _value(kind: str, value: Any) -> Any:
    if kind == "N":
        return int(value)
    return {int(number) for number in value} if kind == "NS" else value


@contextmanager
def _errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise Unavailable("The table of this webhook cannot be used at the moment.") from error
