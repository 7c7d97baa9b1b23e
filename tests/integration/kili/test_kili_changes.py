"""The client against the simulated Kili: what it changes, and how it reports failures."""

from __future__ import annotations

import json
import traceback
from itertools import cycle

import pytest

from annohooks.core.errors import AnnohooksError, Upstream
from annohooks.kili.api.graphql import OutcomeUnknown, Refused
from annohooks.kili.api.records import NewIssue, NewLabel
from annohooks.kili.settings import Endpoint
from local.listener import Listener, Reply
from local.simulators.kili import samples

PROJECT = "project"
SUBMITTED = "labels.created.submit"
BOX = samples.label(samples.TANK)


def test_an_asset_is_sent_back_once_and_then_declined(server, connect):
    server.submit("asset", BOX)
    client = connect()
    assert [client.send_back("asset"), client.send_back("asset")] == [True, False]
    assert (server.sent_back, server.declined) == (["asset"], ["asset"])


def test_an_older_kili_is_sent_the_older_mutation_and_remembered(server, connect):
    server.faults.add("no_new_mutation")
    server.submit("asset", BOX)
    assert connect().send_back("asset")
    assert connect().send_back("asset")
    assert server.operations() == ["sendAssetsBackToQueue", "sendBackAssetsToQueue", "sendBackAssetsToQueue"]
    assert server.sent_back == ["asset"]


def test_another_refusal_is_not_answered_with_the_older_mutation(server, connect):
    server.faults.add("refuses")
    with pytest.raises(Refused):
        connect().send_back("asset")
    assert server.operations() == ["sendAssetsBackToQueue"]


def test_an_asset_that_kili_fails_to_send_back_is_an_error(server, connect):
    server.submit("asset", BOX)
    server.faults.add("send_back_fails")
    with pytest.raises(Upstream, match=r"^Kili did not succeed in sending the asset back\.$"):
        connect().send_back("asset")


def test_an_asset_is_added_to_review_or_declined(server, connect):
    client = connect()
    assert not client.add_to_review("asset")
    server.submit("asset", BOX)
    assert client.add_to_review("asset")
    assert server.assets["asset"]["status"] == "TO_REVIEW"


def test_metadata_is_replaced(server, connect):
    client = connect()
    client.set_metadata("asset", {"accuracy": 1, "note": "ä"})
    client.set_metadata("asset", {"accuracy": 0.5})
    assert server.assets["asset"]["metadata"] == {"accuracy": 0.5}


def test_labels_are_added_a_hundred_at_a_time(server, connect):
    labels = [NewLabel(asset_id="asset", json_response=BOX, seconds_to_label=3, model_name="m")] * 130
    ids = connect().append_labels(labels, "PREDICTION", project_id=PROJECT, overwrite=False)
    assert list(server.labels) == ids
    assert {label["label_type"] for label in server.labels.values()} == {"PREDICTION"}
    assert server.labels[ids[-1]]["json_response"] == BOX
    assert server.operations() == ["appendManyLabels"] * 2


CHANGES = {
    "create_issues": lambda c, label_id: c.create_issues(PROJECT, [NewIssue(label_id=label_id, text="x")]),
    "send_back": lambda c, _: c.send_back("asset"),
    "add_to_review": lambda c, _: c.add_to_review("asset"),
    "set_metadata": lambda c, _: c.set_metadata("asset", {"x": 1}),
    "append_labels": lambda c, _: c.append_labels([NewLabel(asset_id="asset", json_response={})], "PREDICTION"),
}


@pytest.mark.parametrize(
    ("change", "fault"), list(zip(CHANGES.values(), cycle(["unknown_outcome", "drops"]))), ids=CHANGES
)
def test_a_change_that_may_have_been_made_is_not_made_twice(server, connect, change, fault):
    label_id = server.submit("asset", BOX)
    server.faults.add(fault)
    with pytest.raises(OutcomeUnknown):
        change(connect(), label_id)
    assert len(server.calls) == 1


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_that_kili_has_not_looked_at_is_made_in_the_end(server, connect, change):
    label_id = server.submit("asset", BOX)
    server.faults.add("http_429")
    change(connect(), label_id)
    assert len(server.calls) == 3


OPERATIONS = [
    lambda c, label_id: c.label(PROJECT, label_id),
    lambda c, _: c.issues(PROJECT, "asset"),
    lambda c, _: list(c.events(PROJECT, SUBMITTED, "2020-01-01T00:00:00Z")),
    lambda c, _: c.viewer_id(),
    *CHANGES.values(),
]
FAILURES = ["http_500", "http_502", "rejects_key", "refuses", "truncated_json", "drops"]


@pytest.mark.parametrize(("operate", "fault"), list(zip(OPERATIONS, cycle(FAILURES))))
def test_no_failure_tells_the_key_or_a_signed_url(server, connect, caplog, operate, fault):
    label_id = server.submit("asset", BOX)
    server.faults.add(fault)
    with caplog.at_level(0), pytest.raises(AnnohooksError) as raised:
        operate(connect(), label_id)
    text = "".join(traceback.format_exception(raised.value)) + caplog.text
    assert server.api_key not in text
    assert "X-Goog-Signature" not in text


@pytest.mark.parametrize(
    "ask",
    [
        lambda c: c.label("p", "l"),
        lambda c: c.issues("p", "a"),
        lambda c: list(c.events("p", SUBMITTED, "2020")),
        lambda c: c.viewer_id(),
        lambda c: c.create_issues("p", [NewIssue(label_id="l", text="x")]),
        lambda c: c.send_back("a"),
        lambda c: c.project("p"),
        lambda c: c.size_px("p", "a"),
    ],
)
def test_an_answer_of_another_shape_is_an_error(connect, ask):
    answers = [7, [7], "text", [[{}]], {"id": 7}, {"data": [7], "projects": 7}]
    replies = [Reply(body=json.dumps({"data": {"data": answer}}).encode()) for answer in answers]
    with Listener("127.0.0.1", 0, lambda _: replies.pop()) as own:
        client = connect(kili_endpoint=Endpoint.parse(f"{own.origin}/graphql"))
        while replies:
            with pytest.raises(Upstream, match=r"^Kili answered something unexpected while "):
                ask(client)
