"""The lock on an asset and the memory of what was done, in an embedded DynamoDB."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest

from annohooks.core.deadline import Deadline
from annohooks.core.errors import Unavailable
from annohooks.kili.once import Once

TABLE = "idempotency"


@pytest.fixture
def table(embedded_aws: None) -> str:
    boto3.client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    return TABLE


def after(table: str, seconds: float = 60) -> Once:
    return Once(table, Deadline.after(seconds))


def ids(table: str) -> set[str]:
    return {item["id"]["S"] for item in boto3.client("dynamodb").scan(TableName=table)["Items"]}


class TestHolding:
    def test_many_at_once_are_inside_one_after_another(self, table: str) -> None:
        inside, most, entered = 0, 0, 0
        guard = threading.Lock()

        def deliver(_: int) -> None:
            nonlocal inside, most, entered
            with after(table).held("asset"):
                with guard:
                    inside, entered = inside + 1, entered + 1
                    most = max(most, inside)
                threading.Event().wait(0.02)
                with guard:
                    inside -= 1

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(deliver, range(8)))
        assert (most, entered) == (1, 8)

    def test_two_assets_are_worked_on_at_once(self, table: str) -> None:
        with after(table).held("one"), after(table).held("other"):
            assert len(ids(table)) == 2

    def test_nothing_is_left_behind_however_it_ends(self, table: str) -> None:
        with pytest.raises(KeyError), after(table).held("asset"):
            raise KeyError
        assert ids(table) == set()

    def test_who_waits_too_long_is_told_so_and_nothing_was_entered(self, table: str) -> None:
        with after(table).held("asset"):
            with pytest.raises(Unavailable, match="still working on this asset"), after(table, 12.2).held("asset"):
                pytest.fail("entered")
            assert len(ids(table)) == 1

    def test_the_lock_of_a_delivery_that_died_ends_a_moment_after_its_deadline(self, table: str) -> None:
        dead = after(table, 0).held("asset")
        dead.__enter__()
        dynamodb = boto3.client("dynamodb")
        (item,) = dynamodb.scan(TableName=table)["Items"]
        item["in_progress_expiration"] = {"N": str(int(item["in_progress_expiration"]["N"]) - 5000)}
        dynamodb.put_item(TableName=table, Item=item)
        with after(table).held("asset"):
            assert len(ids(table)) == 1

    def test_a_delivery_that_overran_its_time_leaves_the_lock_of_the_next_alone(self, table: str) -> None:
        overrun = Once(table, Deadline.after(-5)).held("asset")
        overrun.__enter__()
        with after(table).held("asset"):
            overrun.__exit__(None, None, None)
            assert len(ids(table)) == 1

    def test_a_table_that_is_not_there_is_unavailable(self, table: str) -> None:
        with pytest.raises(Unavailable, match="table"), after("nobody-made-this").held("asset"):
            pytest.fail("entered")


class TestDoing:
    def test_what_was_done_is_not_done_again_and_has_the_same_result(self, table: str) -> None:
        calls: list[int] = []

        def act() -> list[str]:
            calls.append(1)
            return ["l1", "l2"]

        assert [after(table).do({"send_back": "a", "label": "l"}, act) for _ in range(3)] == [["l1", "l2"]] * 3
        assert len(calls) == 1

    def test_what_was_declined_is_tried_again(self, table: str) -> None:
        assert after(table).do({"send_back": "a"}, lambda: False) is False
        assert after(table).do({"send_back": "a"}, lambda: True) is True
        assert after(table).do({"send_back": "a"}, lambda: False) is True

    def test_what_is_empty_is_kept_as_it_is(self, table: str) -> None:
        assert after(table).do({"append_labels": "1"}, lambda: []) == []
        assert after(table).do({"append_labels": "1"}, lambda: ["l1"]) == []

    def test_something_else_is_done(self, table: str) -> None:
        assert after(table).do({"send_back": "a", "issues": ["1"]}, lambda: 1) == 1
        assert after(table).do({"send_back": "a", "issues": ["2"]}, lambda: 2) == 2

    def test_what_failed_is_done_again(self, table: str) -> None:
        def fail() -> bool:
            raise KeyError

        with pytest.raises(KeyError):
            after(table).do({"send_back": "a"}, fail)
        assert after(table).do({"send_back": "a"}, lambda: True) is True

    def test_a_table_that_is_not_there_is_unavailable_and_nothing_is_done(self, table: str) -> None:
        with pytest.raises(Unavailable, match="table"):
            after("nobody-made-this").do({"send_back": "a"}, lambda: pytest.fail("done"))


class TestNotes:
    def test_what_is_noted_last_is_known(self, table: str) -> None:
        about = {"checked": "l1"}
        assert after(table).noted(about) is None
        for what in ({"content": "a"}, {"content": "b"}):
            after(table).note(about, what)
            assert after(table).noted(about) == what
        assert after(table).noted({"checked": "l2"}) is None

    def test_a_table_that_is_not_there_is_unavailable(self, table: str) -> None:
        with pytest.raises(Unavailable, match="table"):
            after("nobody-made-this").noted({"checked": "l1"})
        with pytest.raises(Unavailable, match="table"):
            after("nobody-made-this").note({"checked": "l1"}, True)
