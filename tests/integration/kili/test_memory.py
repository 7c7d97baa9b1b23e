"""The lock on an asset and the memory of what was done. tests/integration/core tests the lock itself."""

from __future__ import annotations

import boto3
import pytest

from annohooks.core.deadline import Deadline
from annohooks.core.errors import Unavailable
from annohooks.kili.memory import Memory

TABLE = "table"
SENT_BACK = {"send_back": "a", "label": "l"}


@pytest.fixture
def memory(embedded_aws):
    boto3.client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    return Memory(TABLE, Deadline.after(60))


def items():
    return boto3.client("dynamodb").scan(TableName=TABLE)["Items"]


class TestHeld:
    def test_another_delivery_of_the_asset_waits_only_while_time_is_left_for_its_work(self, memory):
        late = Memory(TABLE, Deadline.after(12.2))
        with memory.held("asset"):
            with pytest.raises(Unavailable, match="still working on this asset"), late.held("asset"):
                pytest.fail("entered")
            with late.held("another asset"):
                assert len(items()) == 2
        with late.held("asset"):
            pass

    def test_a_lock_expires_so_that_the_table_does_not_grow(self, memory):
        with memory.held("asset"):
            (item,) = items()
        assert item["id"]["S"].startswith("lock#")
        assert int(item["expiration"]["N"]) > 0


class TestOnce:
    @pytest.mark.parametrize("result", [["l1", "l2"], [], True])
    def test_an_action_runs_once_and_its_result_is_remembered(self, memory, result):
        assert memory.once(SENT_BACK, lambda: result) == result
        assert memory.once(dict(reversed(SENT_BACK.items())), lambda: pytest.fail("ran again")) == result

    def test_another_action_runs(self, memory):
        assert memory.once({**SENT_BACK, "issues": ["1"]}, lambda: 1) == 1
        assert memory.once({**SENT_BACK, "issues": ["2"]}, lambda: 2) == 2

    def test_an_action_that_was_declined_or_that_failed_runs_again(self, memory):
        assert memory.once(SENT_BACK, lambda: False) is False
        with pytest.raises(ZeroDivisionError):
            memory.once(SENT_BACK, lambda: 1 / 0)
        assert memory.once(SENT_BACK, lambda: True) is True

    def test_an_action_runs_again_after_a_week_even_if_dynamodb_has_not_removed_the_item(self, memory, monkeypatch):
        monkeypatch.setattr("annohooks.kili.memory._REMEMBERED_S", 0)
        assert memory.once(SENT_BACK, lambda: 1) == 1
        assert memory.once(SENT_BACK, lambda: 2) == 2
        assert len(items()) == 1


class TestNotes:
    def test_the_last_note_counts(self, memory):
        assert memory.noted({"checked": "l1"}) is None
        for fact in ({"content": "a"}, {"content": "b"}):
            memory.note({"checked": "l1"}, fact)
            assert memory.noted({"checked": "l1"}) == fact
        assert memory.noted({"checked": "l2"}) is None


def test_without_its_table_the_memory_is_unavailable_and_nothing_runs(embedded_aws):
    memory = Memory("there-is-no-such-table", Deadline.after(60))
    for use in (
        lambda: memory.held("asset").__enter__(),
        lambda: memory.once(SENT_BACK, lambda: pytest.fail("ran")),
        lambda: memory.noted({"checked": "l1"}),
        lambda: memory.note({"checked": "l1"}, True),
    ):
        with pytest.raises(Unavailable, match="table"):
            use()
