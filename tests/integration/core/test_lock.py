"""One owner at a time holds a lock in DynamoDB."""

from __future__ import annotations

import threading

import boto3
import pytest

from annohooks.core.deadline import Deadline, now_ms
from annohooks.core.dynamodb import Change, Table
from annohooks.core.errors import Unavailable
from annohooks.core.lock import Lease, held

KEY = {"id": "asset#1"}
RIGHT = Lease("posting")


@pytest.fixture
def table(embedded_aws: None) -> Table:
    boto3.client("dynamodb").create_table(
        TableName="locks",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return Table("locks")


def hold(table: Table, seconds: float = 5.0, spare_s: float = 0.0) -> None:
    with held(table, KEY, Deadline.after(seconds), what="this asset", spare_s=spare_s):
        pass


def test_a_second_owner_waits_for_the_first(table: Table) -> None:
    order = []

    def second() -> None:
        with held(table, KEY, Deadline.after(30), what="this asset", spare_s=0):
            order.append("second")

    with held(table, KEY, Deadline.after(30), what="this asset", spare_s=0):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.3)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def test_who_would_have_no_time_left_for_its_work_does_not_wait(table: Table) -> None:
    with (
        held(table, KEY, Deadline.after(30), what="this asset", spare_s=0),
        pytest.raises(Unavailable, match="Another request is still working on this asset"),
    ):
        hold(table, seconds=5, spare_s=5)


def test_the_lock_of_an_owner_that_died_ends_by_itself(table: Table) -> None:
    assert table.apply(KEY, Lease("lock").taken("dead", now_ms() - 1))
    hold(table)


def test_a_lock_is_released_when_the_work_fails(table: Table) -> None:
    with pytest.raises(ZeroDivisionError), held(table, KEY, Deadline.after(5), what="this asset", spare_s=0):
        raise ZeroDivisionError
    hold(table, spare_s=4)


def test_an_owner_whose_answer_was_lost_finds_itself(table: Table) -> None:
    until_ms = now_ms() + 60_000
    assert table.apply(KEY, RIGHT.taken("first", until_ms)) is not None
    assert table.apply(KEY, RIGHT.taken("first", until_ms)) is not None
    assert table.apply(KEY, RIGHT.taken("second", until_ms)) is None


def test_an_owner_does_not_release_what_belongs_to_another_by_now(table: Table) -> None:
    table.apply(KEY, RIGHT.taken("first", now_ms() - 1))
    table.apply(KEY, RIGHT.taken("second", now_ms() + 60_000))
    assert table.apply(KEY, RIGHT.released("first")) is None
    assert table.apply(KEY, RIGHT.is_free() & Change({"done": True})) is None
    assert table.apply(KEY, RIGHT.released("second")) is not None
    assert table.apply(KEY, RIGHT.is_free() & Change({"done": True})) is not None


def test_the_rights_to_two_acts_are_taken_together(table: Table) -> None:
    beating = Lease("beating")
    both = RIGHT.taken("first", now_ms() + 60_000) & beating.taken("second", now_ms() + 60_000)
    assert table.apply(KEY, both) is not None
    assert table.apply(KEY, RIGHT.taken("first", now_ms()) & beating.is_free()) is None
    assert table.apply(KEY, beating.released("second")) is not None
    assert table.apply(KEY, RIGHT.taken("first", now_ms()) & beating.is_free()) is not None


def test_changes_are_made_together_or_not_at_all(table: Table) -> None:
    table.apply(KEY, Change({"stage": "running"}, added={"ready": {1}}))
    both = Change({"stage": "over"}) & Change({}, "#stage = :stage", {"stage": "accepted"})
    assert table.apply(KEY, both) is None
    assert table.get(KEY) == {"id": "asset#1", "stage": "running", "ready": {1}}


def test_two_conditions_that_name_different_values_alike_are_an_error() -> None:
    with pytest.raises(ValueError, match="stage"):
        Change({}, "#stage = :stage", {"stage": "a"}) & Change({}, "#old = :stage", {"stage": "b"})
