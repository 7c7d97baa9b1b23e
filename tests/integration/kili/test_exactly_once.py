"""However often an event arrives, and whatever fails meanwhile: one set of issues, and the asset is sent back once."""

from __future__ import annotations

import random
from itertools import cycle, product

import boto3
import pytest

from annohooks.core.lock import Lease
from annohooks.kili.api.client import Client
from annohooks.kili.writes import Writes
from local.simulators.kili import samples
from local.stack import RESOURCES

HASTE = {"KILI_READ_TIMEOUT_S": "0.3"}
"""For faults that hold a request until the client gives up."""

FAULTS = (
    "slow",
    "drops",
    "unknown_outcome",
    "truncated_json",
    "http_500",
    "http_502",
    "http_429",
    "refused_503",
    "rejects_key",
    "refuses",
    "send_back_fails",
    "label_lags",
)
CALLS = ("labels", "storage", "issues", "createIssues", "labels", "sendAssetsBackToQueue")
"""The requests to Kili for a label with mistakes, in this order."""


def some_quick(cases, quick):
    """All the cases, of which only some run without --thorough."""
    return [pytest.param(*case, marks=() if case in quick else pytest.mark.thorough) for case in cases]


@pytest.fixture(autouse=True)
def no_time_to_retry_after(kili):
    kili.retry_after = "0"


@pytest.fixture
def assert_one_set_and_sent_back_once(kili, raised):
    def check(asset_id):
        issues = raised(asset_id)
        assert [issue["mid"] for issue in issues if issue["mid"]] == [samples.TOO_LARGE[0]]
        assert [issue["status"] for issue in issues] == ["OPEN", "OPEN"]
        assert kili.sent_back.count(asset_id) == 1
        assert asset_id not in kili.declined
        assert kili.assets[asset_id]["status"] == "ONGOING"

    return check


def items():
    return boto3.client("dynamodb").scan(TableName=RESOURCES["IdempotencyTable"])["Items"]


def test_a_label_with_mistakes_costs_these_requests(function, kili, submitted, assert_one_set_and_sent_back_once):
    function.check(submitted(samples.CORRECTED)[1])  # from now on the project is in the cache
    kili.calls.clear()
    asset_id, label_id = submitted()
    function.check(label_id)
    assert tuple(kili.operations()) == CALLS
    assert_one_set_and_sent_back_once(asset_id)


def test_the_same_event_again_changes_nothing(function, submitted, assert_one_set_and_sent_back_once):
    asset_id, label_id = submitted()
    first, second = function.check(label_id), function.check(label_id)
    assert (first["done"]["created"], second["done"]["created"], second["done"]["kept"]) == (2, 0, 2)
    assert (first["done"]["sent_back"], second["done"]["sent_back"]) == (True, False)
    assert first["findings"] == second["findings"]
    assert_one_set_and_sent_back_once(asset_id)


def test_the_same_event_again_changes_nothing_without_the_memory(
    function, submitted, assert_one_set_and_sent_back_once
):
    """As after a week, or when somebody empties the table: what Kili itself says is enough."""
    asset_id, label_id = submitted()
    function.check(label_id)
    for item in items():
        boto3.client("dynamodb").delete_item(TableName=RESOURCES["IdempotencyTable"], Key={"id": item["id"]})
    function.check(label_id)
    assert_one_set_and_sent_back_once(asset_id)


@pytest.mark.parametrize("generation", some_quick([("legacy",), ("flat",), ("whole",)], [("flat",)]))
def test_many_deliveries_at_once_have_the_effect_of_one(
    function, submitted, assert_one_set_and_sent_back_once, generation
):
    asset_id, label_id = submitted()
    deliveries = function.deliver(
        label_id, times=10, concurrent=5, generation=generation, enveloped=generation == "flat"
    )
    assert {delivery.status for delivery in deliveries} == {200}
    assert sum(delivery.json()["done"]["created"] for delivery in deliveries) == 2
    assert_one_set_and_sent_back_once(asset_id)


@pytest.mark.parametrize("seed", some_quick([(seed,) for seed in range(8)], [(0,)]))
def test_many_deliveries_with_every_fault_in_between_have_the_effect_of_one(
    webhook, kili, submitted, assert_one_set_and_sent_back_once, seed
):
    asset_id, label_id = submitted()
    function = webhook(**HASTE)
    chosen = random.Random(seed)
    for fault in FAULTS:
        kili.faults.plan(fault, skip=chosen.randrange(60))
        kili.faults.plan(fault, on=chosen.choice(CALLS), skip=chosen.randrange(4))
    deliveries = function.deliver(label_id, times=20, concurrent=8)
    assert {delivery.status for delivery in deliveries} <= {200, 404, 502, 503, 504}
    kili.faults.clear()
    function.check(label_id)
    assert_one_set_and_sent_back_once(asset_id)


EACH_FAULT = list(zip(FAULTS, cycle(dict.fromkeys(CALLS)), strict=False))
"""Each fault at one call, and each call with two or three faults."""


@pytest.mark.parametrize(("fault", "call"), some_quick(product(FAULTS, dict.fromkeys(CALLS)), EACH_FAULT))
def test_the_next_delivery_completes_what_a_fault_interrupted(
    webhook, kili, submitted, assert_one_set_and_sent_back_once, fault, call
):
    asset_id, label_id = submitted()
    function = webhook(**HASTE)
    kili.faults.plan(fault, on=call, times=6)
    function.deliver(label_id)
    kili.faults.clear()
    function.check(label_id)
    assert_one_set_and_sent_back_once(asset_id)


@pytest.mark.parametrize("call", ["createIssues", "sendAssetsBackToQueue"])
@pytest.mark.parametrize(
    ("fault", "requests"),
    [("slow", 1), ("drops", 1), ("unknown_outcome", 1), ("http_502", 2)],
)
def test_a_change_whose_answer_is_lost_is_looked_up_and_sent_again_only_if_kili_has_not_made_it(
    webhook, kili, submitted, assert_one_set_and_sent_back_once, fault, requests, call
):
    asset_id, label_id = submitted()
    kili.faults.plan(fault, on=call)
    assert webhook(**HASTE).check(label_id)["done"]["sent_back"] is True
    assert kili.operations().count(call) == requests
    assert_one_set_and_sent_back_once(asset_id)


@pytest.mark.parametrize(
    ("number", "fault"),
    some_quick(
        product(range(len(CALLS)), ["drops", "refuses"]), [(3, "drops"), (3, "refuses"), (5, "drops"), (1, "refuses")]
    ),
)
def test_the_next_delivery_completes_the_work_of_a_process_that_died(
    webhook, kili, submitted, assert_one_set_and_sent_back_once, number, fault, monkeypatch
):
    """The request at which it dies is carried out with `drops`, and is not with `refuses`."""
    asset_id, label_id = submitted()
    function = webhook(**HASTE)
    kili.faults.plan(fault, on=CALLS[number], skip=CALLS[:number].count(CALLS[number]))
    with monkeypatch.context() as dying:
        dying.setattr(Writes, "_until_known", lambda self, change: change(True))
        dying.setattr(Lease, "released", lambda lease, owner: lease.held_by("nobody, so that the lock stays"))
        function.deliver(label_id)
    expire_locks()
    kili.faults.clear()
    function.check(label_id)
    assert_one_set_and_sent_back_once(asset_id)


def expire_locks():
    """As if the deadlines of their owners had passed."""
    locks = [item for item in items() if int(item.get("lock_until_ms", {"N": "0"})["N"])]
    assert locks
    for lock in locks:
        boto3.client("dynamodb").put_item(
            TableName=RESOURCES["IdempotencyTable"], Item=lock | {"lock_until_ms": {"N": "0"}}
        )


@pytest.mark.parametrize("content", [{"JOB_1": {"text": "half an emoji \ud83d"}}, {"\ud83d": None}])
def test_half_a_surrogate_pair_in_a_label_does_no_harm(function, submitted, assert_one_set_and_sent_back_once, content):
    asset_id, label_id = submitted(samples.WITH_TWO_MISTAKES | content)
    function.check(label_id)
    assert function.check(label_id)["done"]["kept"] == 2
    assert_one_set_and_sent_back_once(asset_id)


def test_an_asset_is_sent_back_by_the_next_delivery_when_kili_declined(
    function, submitted, assert_one_set_and_sent_back_once, monkeypatch
):
    asset_id, label_id = submitted()
    with monkeypatch.context() as declining:
        declining.setattr(Client, "send_back", lambda *_: False)
        assert function.check(label_id)["done"]["sent_back"] is False
    assert function.check(label_id)["done"]["sent_back"] is True
    assert_one_set_and_sent_back_once(asset_id)


def test_an_asset_is_sent_back_even_if_an_issue_cannot_be_resolved(function, kili, submitted, raised):
    asset_id, label_id = submitted(samples.label(samples.TOO_LARGE))
    function.check(label_id)
    again = kili.submit(asset_id, samples.label(samples.TANK, samples.FENDER))
    kili.faults.plan("refuses", on="updatePropertiesInIssue")
    (delivery,) = function.deliver(again)
    assert delivery.status == 502
    assert kili.sent_back.count(asset_id) == 2
    function.check(again)
    assert [issue["status"] for issue in raised(asset_id)] == ["SOLVED", "OPEN"]


def test_a_label_that_was_corrected_while_it_was_checked_is_not_sent_back(
    function, kili, submitted, raised, monkeypatch
):
    asset_id, label_id = submitted()
    create = Client.create_issues

    def corrected_meanwhile(*arguments):
        kili.submit(asset_id, samples.CORRECTED, label_id="label-corrected-meanwhile")
        return create(*arguments)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Client, "create_issues", corrected_meanwhile)
        assert function.check(label_id)["done"]["sent_back"] is False
    function.check("label-corrected-meanwhile")
    assert raised(asset_id, "OPEN") == []
    assert (kili.assets[asset_id]["status"], kili.sent_back.count(asset_id)) == ("LABELED", 0)
