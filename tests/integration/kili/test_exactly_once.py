"""However often an event comes, and whatever goes wrong meanwhile: one set of issues, sent back once."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer

from annohooks.kili import writes
from annohooks.kili.api.client import Client
from local.simulators.kili import Kili, samples
from local.stack import RESOURCES

Start = Callable[..., Any]
Submit = Callable[..., tuple[str, str]]
Raised = Callable[..., list[dict[str, Any]]]

HASTE = {"KILI_READ_TIMEOUT_S": "0.5"}
"""For faults that hold a request until the client has waited enough."""

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
"""What a webhook asks of Kili for a label with mistakes, in this order."""


@pytest.fixture(autouse=True)
def prompt(kili: Kili) -> None:
    kili.retry_after = "0"


def assert_one_set_and_sent_back_once(kili: Kili, asset_id: str, issues: list[dict[str, Any]]) -> None:
    assert sorted((issue["status"], issue["mid"]) for issue in issues if issue["mid"]) == [
        ("OPEN", samples.TOO_LARGE[0])
    ]
    assert [issue["status"] for issue in issues] == ["OPEN", "OPEN"]
    assert kili.sent_back.count(asset_id) == 1
    assert asset_id not in kili.declined
    assert kili.assets[asset_id]["status"] == "ONGOING"


def test_a_label_with_mistakes_costs_these_requests(
    webhook: Start, kili: Kili, submitted: Submit, raised: Raised
) -> None:
    start = webhook()
    start.check(submitted(samples.CORRECTED)[1])  # from now on the project is known
    kili.calls.clear()
    asset_id, label_id = submitted()
    start.check(label_id)
    assert tuple(kili.operations()) == CALLS
    assert_one_set_and_sent_back_once(kili, asset_id, raised(asset_id))


def test_the_same_event_again_changes_nothing(webhook: Start, kili: Kili, submitted: Submit, raised: Raised) -> None:
    asset_id, label_id = submitted()
    start = webhook()
    first, second = start.check(label_id), start.check(label_id)
    assert (first["done"]["created"], second["done"]["created"], second["done"]["kept"]) == (2, 0, 2)
    assert (first["done"]["sent_back"], second["done"]["sent_back"]) == (True, False)
    assert first["findings"] == second["findings"]
    assert_one_set_and_sent_back_once(kili, asset_id, raised(asset_id))


@pytest.mark.parametrize("generation", ["legacy", "flat", "whole"])
def test_twenty_deliveries_eight_at_once_are_one(
    webhook: Start, kili: Kili, submitted: Submit, raised: Raised, generation: str
) -> None:
    asset_id, label_id = submitted()
    deliveries = webhook().deliver(
        label_id, times=20, concurrent=8, generation=generation, enveloped=generation == "flat"
    )
    assert {delivery.status for delivery in deliveries} == {200}
    assert sum(delivery.json()["done"]["created"] for delivery in deliveries) == 2
    assert_one_set_and_sent_back_once(kili, asset_id, raised(asset_id))


@pytest.mark.parametrize("seed", range(4))
def test_twenty_deliveries_with_every_fault_in_between_are_one(
    webhook: Start, kili: Kili, submitted: Submit, raised: Raised, seed: int
) -> None:
    asset_id, label_id = submitted()
    start = webhook(**HASTE)
    chosen = random.Random(seed)
    for fault in FAULTS:
        kili.faults.plan(fault, skip=chosen.randrange(60))
        kili.faults.plan(fault, on=chosen.choice(CALLS), skip=chosen.randrange(4))
    deliveries = start.deliver(label_id, times=20, concurrent=8)
    assert {delivery.status for delivery in deliveries} <= {200, 404, 502, 503, 504}
    kili.faults.clear()
    start.check(label_id)
    assert_one_set_and_sent_back_once(kili, asset_id, raised(asset_id))


@pytest.mark.parametrize("call", sorted(set(CALLS)))
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_any_call_is_healed_by_the_next_delivery(
    webhook: Start, kili: Kili, submitted: Submit, raised: Raised, fault: str, call: str
) -> None:
    asset_id, label_id = submitted()
    start = webhook(**HASTE)
    kili.faults.plan(fault, on=call, times=6)
    start.deliver(label_id)
    kili.faults.clear()
    start.check(label_id)
    assert_one_set_and_sent_back_once(kili, asset_id, raised(asset_id))


@pytest.mark.parametrize("call", ["createIssues", "sendAssetsBackToQueue"])
@pytest.mark.parametrize("fault", ["slow", "drops", "unknown_outcome"])
def test_a_change_whose_outcome_is_unknown_is_looked_up_and_not_made_twice(
    webhook: Start, kili: Kili, submitted: Submit, raised: Raised, fault: str, call: str
) -> None:
    asset_id, label_id = submitted()
    kili.faults.plan(fault, on=call)
    start = webhook(**HASTE)
    assert start.check(label_id)["done"]["sent_back"] is True
    assert kili.operations().count(call) == 1
    assert_one_set_and_sent_back_once(kili, asset_id, raised(asset_id))


@pytest.mark.parametrize("call", ["createIssues", "sendAssetsBackToQueue"])
def test_a_change_that_certainly_was_not_made_is_made_when_it_is_looked_up(
    webhook: Start, kili: Kili, submitted: Submit, raised: Raised, call: str
) -> None:
    asset_id, label_id = submitted()
    kili.faults.plan("http_502", on=call)
    webhook().check(label_id)
    assert kili.operations().count(call) == 2
    assert_one_set_and_sent_back_once(kili, asset_id, raised(asset_id))


@pytest.mark.parametrize("number", range(len(CALLS)))
@pytest.mark.parametrize("carried_out", [True, False])
def test_a_process_that_dies_between_any_two_calls_is_healed_by_the_next_delivery(
    webhook: Start,
    kili: Kili,
    submitted: Submit,
    raised: Raised,
    number: int,
    carried_out: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asset_id, label_id = submitted()
    start = webhook(**HASTE)
    kili.faults.plan("drops" if carried_out else "refuses", on=CALLS[number], skip=CALLS[:number].count(CALLS[number]))
    with monkeypatch.context() as dying:
        dying.setattr(writes.Writes, "_until_known", lambda self, change: change(True))
        dying.setattr(DynamoDBPersistenceLayer, "delete_record", lambda *_, **__: None)
        start.deliver(label_id)
    expire_locks()
    kili.faults.clear()
    start.check(label_id)
    assert_one_set_and_sent_back_once(kili, asset_id, raised(asset_id))


def expire_locks() -> None:
    """As if the time of the processes that hold them, and a moment more, had passed."""
    dynamodb = boto3.client("dynamodb")
    table = RESOURCES["IdempotencyTable"]
    for item in dynamodb.scan(TableName=table)["Items"]:
        if "in_progress_expiration" in item:
            dynamodb.put_item(TableName=table, Item=item | {"in_progress_expiration": {"N": "0"}})


@pytest.mark.parametrize("content", [{"JOB_1": {"text": "half an emoji \ud83d"}}, {"\ud83d": None}])
def test_half_a_surrogate_pair_in_a_label_or_its_event_holds_nothing_up(
    webhook: Start, kili: Kili, submitted: Submit, raised: Raised, content: dict[str, Any]
) -> None:
    asset_id, label_id = submitted(samples.WITH_TWO_MISTAKES | content)
    start = webhook()
    start.check(label_id)
    assert start.check(label_id)["done"]["kept"] == 2
    assert_one_set_and_sent_back_once(kili, asset_id, raised(asset_id))


def test_a_send_back_that_was_declined_is_tried_again(
    webhook: Start, kili: Kili, submitted: Submit, raised: Raised, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset_id, label_id = submitted()
    start = webhook()
    with monkeypatch.context() as declining:
        declining.setattr(Client, "send_back", lambda *_: False)
        assert start.check(label_id)["done"]["sent_back"] is False
    assert start.check(label_id)["done"]["sent_back"] is True
    assert_one_set_and_sent_back_once(kili, asset_id, raised(asset_id))


def test_an_issue_that_cannot_be_resolved_does_not_hold_up_the_send_back(
    webhook: Start, kili: Kili, submitted: Submit, raised: Raised
) -> None:
    asset_id, label_id = submitted(samples.label(samples.TOO_LARGE))
    start = webhook()
    start.check(label_id)
    again = kili.submit(asset_id, samples.label(samples.TANK, samples.FENDER))
    kili.faults.plan("refuses", on="updatePropertiesInIssue")
    (delivery,) = start.deliver(again)
    assert delivery.status == 502
    assert kili.sent_back.count(asset_id) == 2
    start.check(again)
    assert [issue["status"] for issue in raised(asset_id)] == ["SOLVED", "OPEN"]


def test_a_label_that_was_corrected_while_it_was_checked_is_not_sent_back(
    webhook: Start, kili: Kili, submitted: Submit, raised: Raised, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset_id, label_id = submitted()
    start = webhook()
    create = Client.create_issues

    def corrected_meanwhile(*arguments: Any) -> list[str]:
        kili.submit(asset_id, samples.CORRECTED, label_id="label-corrected-meanwhile")
        return create(*arguments)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Client, "create_issues", corrected_meanwhile)
        assert start.check(label_id)["done"]["sent_back"] is False
    start.check("label-corrected-meanwhile")
    assert raised(asset_id, "OPEN") == []
    assert (kili.assets[asset_id]["status"], kili.sent_back.count(asset_id)) == ("LABELED", 0)


class TestKilisOwnMemoryIsEnough:
    """Without what is remembered in DynamoDB, as after a week, or when somebody empties the table."""

    def test_the_same_event_changes_nothing(
        self, webhook: Start, kili: Kili, submitted: Submit, raised: Raised
    ) -> None:
        asset_id, label_id = submitted()
        start = webhook()
        start.check(label_id)
        dynamodb = boto3.client("dynamodb")
        table = RESOURCES["IdempotencyTable"]
        for item in dynamodb.scan(TableName=table)["Items"]:
            dynamodb.delete_item(TableName=table, Key={"id": item["id"]})
        start.check(label_id)
        assert_one_set_and_sent_back_once(kili, asset_id, raised(asset_id))


class TestAcrossLabels:
    def test_the_page_s_story(self, webhook: Start, kili: Kili, submitted: Submit, raised: Raised) -> None:
        asset_id, label_id = submitted()
        start = webhook()
        start.check(label_id)
        corrected = kili.submit(asset_id, samples.CORRECTED)
        assert start.check(corrected)["done"]["resolved"] == 2
        assert [issue["status"] for issue in raised(asset_id)] == ["SOLVED", "SOLVED"]
        assert kili.assets[asset_id]["status"] == "LABELED"
        assert kili.sent_back.count(asset_id) == 1

    def test_an_old_event_that_comes_late_does_not_bring_the_issues_back(
        self, webhook: Start, kili: Kili, submitted: Submit, raised: Raised
    ) -> None:
        asset_id, label_id = submitted()
        start = webhook()
        start.check(label_id)
        start.check(kili.submit(asset_id, samples.CORRECTED))
        assert "newer label" in start.check(label_id)["ignored"]
        assert raised(asset_id, "OPEN") == []
        assert kili.sent_back.count(asset_id) == 1

    def test_a_mistake_made_again_in_a_newer_label_sends_back_again_and_keeps_its_issue(
        self, webhook: Start, kili: Kili, submitted: Submit, raised: Raised
    ) -> None:
        asset_id, label_id = submitted()
        start = webhook()
        start.check(label_id)
        again = kili.submit(asset_id, samples.WITH_TWO_MISTAKES)
        done = [start.check(again)["done"] for _ in range(2)]
        assert [(one["created"], one["kept"], one["sent_back"]) for one in done] == [(0, 2, True), (0, 2, False)]
        assert len(raised(asset_id)) == 2
        assert kili.sent_back.count(asset_id) == 2

    def test_a_label_that_is_corrected_in_place_and_spoilt_again_is_followed(
        self, webhook: Start, kili: Kili, submitted: Submit, raised: Raised
    ) -> None:
        asset_id, label_id = submitted()
        start = webhook()
        start.check(label_id)
        kili.edit(label_id, samples.CORRECTED)
        start.check(label_id, generation="whole", subject="label.workflow.edited")
        assert raised(asset_id, "OPEN") == []
        kili.edit(label_id, samples.WITH_TWO_MISTAKES)
        start.check(label_id, generation="whole", subject="label.workflow.edited")
        assert len(raised(asset_id, "OPEN")) == 2

    def test_two_labellers_of_one_asset_have_issues_of_their_own(
        self, webhook: Start, kili: Kili, submitted: Submit, raised: Raised
    ) -> None:
        asset_id, of_ada = submitted(author="ada")
        of_bob = kili.submit(asset_id, samples.WITH_TWO_MISTAKES, author="bob")
        start = webhook()
        start.check(of_ada)
        start.check(of_bob)
        assert len(raised(asset_id, "OPEN")) == 4
        start.check(kili.submit(asset_id, samples.CORRECTED, author="bob"))
        assert {issue["label"] for issue in raised(asset_id, "OPEN")} == {of_ada}

    def test_old_events_on_either_side_of_a_review_change_nothing(
        self, webhook: Start, kili: Kili, submitted: Submit, raised: Raised
    ) -> None:
        asset_id, label_id = submitted()
        start = webhook()
        start.check(label_id)
        review = kili.submit(asset_id, samples.CORRECTED, label_type="REVIEW", author="reviewer")
        start.check(review)
        assert "newer label" in start.check(label_id)["ignored"]
        again = kili.submit(asset_id, samples.WITH_TWO_MISTAKES)
        start.check(again)
        assert "newer label" in start.check(review)["ignored"]
        assert {issue["label"] for issue in raised(asset_id, "OPEN")} == {again}
        assert len(raised(asset_id, "OPEN")) == 2

    def test_the_mark_of_an_earlier_send_back_does_not_spare_another_labeller(
        self, webhook: Start, kili: Kili, submitted: Submit, raised: Raised
    ) -> None:
        asset_id, of_ada = submitted(author="ada")
        of_bob = kili.submit(asset_id, samples.WITH_TWO_MISTAKES, author="bob")
        start = webhook()
        start.check(of_ada)
        start.check(kili.submit(asset_id, samples.CORRECTED, author="ada"))
        assert kili.assets[asset_id]["status"] == "LABELED"
        assert start.check(of_bob)["done"]["sent_back"] is True

    def test_a_label_from_before_a_review_stays_superseded_whoever_labels_next(
        self, webhook: Start, kili: Kili, submitted: Submit, raised: Raised
    ) -> None:
        asset_id, of_ada = submitted(author="ada")
        start = webhook()
        start.check(of_ada)
        start.check(kili.submit(asset_id, samples.CORRECTED, label_type="REVIEW", author="reviewer"))
        start.check(kili.submit(asset_id, samples.CORRECTED, author="bob"))
        assert "newer label" in start.check(of_ada)["ignored"]
        assert raised(asset_id, "OPEN") == []

    @pytest.mark.parametrize("label_type", ["AUTOSAVE", "PREDICTION"])
    def test_drafts_and_predictions_take_nobodys_place(
        self, webhook: Start, kili: Kili, submitted: Submit, raised: Raised, label_type: str
    ) -> None:
        asset_id, label_id = submitted()
        kili.submit(asset_id, samples.CORRECTED, label_type=label_type)
        assert "ignored" not in webhook().check(label_id)
        assert len(raised(asset_id, "OPEN")) == 2

    def test_what_cannot_be_read_of_a_label_leaves_its_issues_open(
        self, webhook: Start, kili: Kili, submitted: Submit, raised: Raised
    ) -> None:
        asset_id, label_id = submitted()
        start = webhook()
        start.check(label_id)
        for content in ({"JOB_0": "?"}, None, [], "x"):
            start.check(kili.submit(asset_id, content if content != "x" else '"x"'))
        assert len(raised(asset_id, "OPEN")) == 2
        broken = samples.label(samples.TOO_LARGE, samples.TANK)
        broken["JOB_0"]["annotations"][0]["boundingPoly"][0]["normalizedVertices"][0]["x"] = "?"
        start.check(kili.submit(asset_id, broken))
        assert [issue["status"] for issue in raised(asset_id) if issue["mid"]] == ["OPEN"]

    def test_a_review_that_is_right_resolves_what_its_labeller_left(
        self, webhook: Start, kili: Kili, submitted: Submit, raised: Raised
    ) -> None:
        asset_id, label_id = submitted()
        start = webhook()
        start.check(label_id)
        review = kili.submit(asset_id, samples.CORRECTED, label_type="REVIEW", author="reviewer")
        assert start.check(review)["handler"] == "review"
        assert raised(asset_id, "OPEN") == []
