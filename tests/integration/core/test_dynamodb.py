"""A table in an embedded DynamoDB."""

from __future__ import annotations

import boto3
import pytest

from annohooks.core.dynamodb import Change, Table
from annohooks.core.errors import Unavailable

KEY = {"job": "a", "sequence": 0}


@pytest.fixture
def table(embedded_aws: None) -> Table:
    boto3.client("dynamodb").create_table(
        TableName="jobs",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "job", "AttributeType": "S"},
            {"AttributeName": "sequence", "AttributeType": "N"},
        ],
        KeySchema=[{"AttributeName": "job", "KeyType": "HASH"}, {"AttributeName": "sequence", "KeyType": "RANGE"}],
    )
    return Table("jobs")


def test_an_item_is_read_as_it_was_put(table):
    item = {**KEY, "text": "x", "number": 7, "yes": True, "numbers": {1, 2}}
    assert table.put_new(item, "job")
    assert table.get(KEY) == item
    assert table.get({"job": "b", "sequence": 0}) is None


def test_an_item_that_is_there_is_not_put_again(table):
    assert table.put_new({**KEY, "text": "first"}, "job")
    assert not table.put_new({**KEY, "text": "second"}, "job")
    assert table.get(KEY)["text"] == "first"


RUNNING = Change({}, "#stage = :running", {"running": "running"})


def test_a_change_is_made_only_under_its_condition(table):
    table.put_new({**KEY, "stage": "running", "count": 1}, "job")
    assert table.apply(KEY, Change({"count": 2}) & RUNNING)["count"] == 2
    table.apply(KEY, Change({"stage": "over"}))
    assert table.apply(KEY, Change({"count": 3}) & RUNNING) is None
    assert table.get(KEY) == {**KEY, "stage": "over", "count": 2}


def test_an_item_that_is_not_there_is_not_made_by_a_change_with_a_condition_on_it(table):
    assert table.apply(KEY, Change({"count": 1}) & RUNNING) is None
    assert table.get(KEY) is None


def test_an_item_is_put_and_another_changed_together_or_not_at_all(table):
    table.put_new({**KEY, "last": 0}, "job")
    message = {"job": "a", "sequence": 1, "body": "{}"}
    change = Change({"last": 1}, "#last = :previous", {"previous": 0})
    assert table.put_and_apply(message, KEY, change)
    assert not table.put_and_apply({**message, "sequence": 2}, KEY, change)
    messages = table.query("#job = :job AND #sequence > :after", 10, job="a", after=0)
    assert [item["sequence"] for item in messages] == [1]


def test_a_table_that_is_not_there_is_told(table):
    with pytest.raises(Unavailable):
        Table("others").get(KEY)
    assert table.is_there()


def test_what_no_attribute_can_hold_is_refused(table):
    with pytest.raises(TypeError, match="float"):
        table.put_new({**KEY, "number": 0.5}, "job")
