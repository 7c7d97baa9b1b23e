"""What we ask of Kili is what its own SDK asks for the same work, and leaves it as the SDK leaves it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import graphql
import pytest
import requests
from gql.transport.exceptions import TransportQueryError, TransportServerError
from kili.client import Kili as Sdk
from kili.core.graphql import retry
from kili_requests import ASSET, CONTENT, ENDPOINT, PROJECT, client_of, sdk_of, sent, state

from annohooks.core.deadline import Deadline
from annohooks.core.http import Reply
from annohooks.kili.api import documents
from annohooks.kili.api.client import Client
from annohooks.kili.api.graphql import Refused, Session, _Failure
from annohooks.kili.api.records import NewIssue, NewLabel
from local.template import ROOT

# The same requests


def test_a_label_is_asked_for_as_the_sdk_asks_for_it(kili, sdk, client):
    label_id = kili.submit(ASSET, CONTENT)
    fields = [
        *("id", "labelType", "assetId", "author.id", "isLatestLabelForUser", "isSentBackToQueue", "secondsToLabel"),
        *("modelName", "createdAt", "labelOf.status", "labelOf.labels.id", "labelOf.labels.labelType"),
        *("labelOf.labels.author.id", "labelOf.labels.createdAt", "jsonResponse"),
    ]
    theirs = sent(kili, lambda: sdk.labels(project_id=PROJECT, label_id=label_id, fields=fields))
    ours = sent(kili, lambda: client.label(PROJECT, label_id))
    # The SDK counts first, for a progress bar, and asks for the project in a request of its own.
    assert [request.operation for request in theirs] == ["projects", "countLabels", "labels"]
    assert [request.operation for request in ours] == ["labels", "projects"]
    assert ours[0].fields == theirs[2].fields
    assert ours[1].fields - theirs[0].fields == {"id"}
    asked, its = ours[0].variables["where"], theirs[2].variables["where"]
    # The project is named twice by the SDK, for the label and for its asset.
    assert its == {**asked, "asset": {"project": {"id": PROJECT}}}
    assert ours[0].variables["project"] == theirs[0].variables["where"]
    assert [(request.variables["first"], request.variables["skip"]) for request in (ours[0], theirs[2])] == [(1, 0)] * 2


def test_issues_are_asked_for_as_the_sdk_asks_for_them(kili, sdk, client):
    client.create_issues(PROJECT, [NewIssue(label_id=kili.submit(ASSET, CONTENT), text="x")])
    fields = ["id", "status", "objectMid", "comments.text"]
    theirs = sent(kili, lambda: sdk.issues(PROJECT, fields, asset_id=ASSET, issue_type="ISSUE"))
    ours = sent(kili, lambda: client.issues(PROJECT, ASSET))
    assert [request.operation for request in theirs] == ["countIssues", "issues"]
    assert [request.operation for request in ours] == ["issues"]
    assert ours[0].fields == theirs[1].fields
    # Having counted, the SDK asks for no more than there are; the page is 100 for both.
    assert {**theirs[1].variables, "first": 100} == ours[0].variables


def new_label(asset_id: str) -> NewLabel:
    return NewLabel(asset_id=asset_id, json_response=CONTENT, author_id="jane", seconds_to_label=3, model_name="m")


LABELS = {
    **{"asset_id_array": [ASSET], "json_response_array": [CONTENT], "author_id_array": ["jane"], "model_name": "m"},
    "seconds_to_label_array": [3],
}
WEBHOOK = {"webhook_url": "https://example.org/kili", "plugin_name": "w", "header": "secret"}
OUR_WEBHOOK = {"webhookUrl": "https://example.org/kili", "pluginName": "w", "header": "secret"}
WORK: dict[str, tuple[Callable[[Sdk, str], object], Callable[[Client, str], object]]] = {
    "createIssues": (
        lambda sdk, label: sdk.create_issues(PROJECT, [label, label], [None, "mid"], ["one", "two"]),
        lambda client, label: client.create_issues(
            PROJECT, [NewIssue(label_id=label, text="one"), NewIssue(label_id=label, text="two", mid="mid")]
        ),
    ),
    "sendAssetsBackToQueue": (
        lambda sdk, _: sdk.send_back_to_queue(asset_ids=[ASSET]),
        lambda client, _: client.send_back(ASSET),
    ),
    "addAssetsToReview": (
        lambda sdk, _: sdk.add_to_review(asset_ids=[ASSET]),
        lambda client, _: client.add_to_review(ASSET),
    ),
    "updatePropertiesInAssets": (
        lambda sdk, _: sdk.update_properties_in_assets(asset_ids=[ASSET], json_metadatas=[{"x": 1}]),
        lambda client, _: client.set_metadata(ASSET, {"x": 1}),
    ),
    "appendManyLabels": (
        lambda sdk, _: sdk.append_labels(**LABELS, label_type="PREDICTION", project_id=PROJECT, disable_tqdm=True),
        lambda client, _: client.append_labels([new_label(ASSET)], "PREDICTION", project_id=PROJECT),
    ),
    "createWebhook": (
        lambda sdk, _: sdk.create_webhook(**WEBHOOK, handler_types=["onSubmit", "onReview"]),
        lambda client, _: client.create_webhook({**OUR_WEBHOOK, "handlerTypes": ["onSubmit", "onReview"]}),
    ),
    "updateWebhook": (
        lambda sdk, _: sdk.update_webhook(WEBHOOK["webhook_url"], "was", "secret", event_matcher=["label.*"]),
        lambda client, _: client.update_webhook({**OUR_WEBHOOK, "pluginName": "was", "eventMatcher": ["label.*"]}),
    ),
    "activatePluginOnProject": (
        lambda sdk, _: sdk.activate_plugin_on_project("was", PROJECT),
        lambda client, _: client.activate({"pluginName": "was", "projectId": PROJECT}),
    ),
}


@pytest.mark.parametrize("operation", WORK)
def test_a_change_is_asked_for_as_the_sdk_asks_for_it_and_leaves_the_same(worlds, monkeypatch, operation):
    theirs, ours = worlds
    for kili in worlds:
        kili.submit(ASSET, CONTENT, label_id="label")
    work, our_work = WORK[operation]
    sdk = sdk_of(theirs, monkeypatch)
    its = sent(theirs, lambda: work(sdk, "label"))
    with client_of(ours) as client:
        mine = sent(ours, lambda: our_work(client, "label"))
    # update_properties_in_assets and append_labels of the SDK may ask something first; what is changed is in the last.
    assert [request.operation for request in mine] == [operation]
    assert mine[0].variables == its[-1].variables
    assert (mine[0].operation, mine[0].fields) == (its[-1].operation, its[-1].fields)
    assert state(ours) == state(theirs)


def test_an_issue_is_solved_as_the_sdk_solves_it(kili, sdk, client):
    first, second = client.create_issues(PROJECT, [NewIssue(label_id=kili.submit(ASSET, CONTENT), text="x")] * 2)
    (theirs,) = sent(kili, lambda: sdk.update_issue_status(first, "SOLVED"))
    (ours,) = sent(kili, lambda: client.set_issue_status(second, "SOLVED"))
    assert (ours.operation, ours.fields) == (theirs.operation, theirs.fields)
    assert ours.variables == {**theirs.variables, "where": {"id": second}}
    assert [issue["status"] for issue in kili.issues] == ["SOLVED", "SOLVED"]


def test_the_older_mutation_is_one_that_the_schema_of_older_releases_has():
    schema = graphql.build_schema((ROOT / "local" / "simulators" / "kili" / "schema.graphql").read_text())
    assert graphql.validate(schema, graphql.parse(documents.SEND_BACK_BEFORE_26_2_1)) == []


# The same decisions


def failures() -> Iterator[tuple[int, str]]:
    for status in range(400, 600):
        yield status, "<html>"
    connecting = "upstream connect error or disconnect/reset before headers. reset reason: "
    reasons = ("overflow", "connection failure", "remote connection failure", "connection termination")
    retried = (
        "no healthy upstream",
        "retried and the latest reset reason: connection failure",
        "reset reason: local reset",
    )
    for body in (*retried, *(connecting + reason for reason in reasons)):
        yield 503, body


@pytest.mark.parametrize("mutation", [False, True])
def test_what_is_sent_again_and_how_often_is_what_the_sdk_decides(mutation):
    session = Session(ENDPOINT, "key", Deadline.after(10), 1)
    for status, body in failures():
        response = requests.Response()
        response.status_code, response._content = status, body.encode()
        error = TransportServerError("failed", status)
        error.__cause__ = requests.HTTPError(response=response)
        allowed = retry.attempts_allowed(error, mutation)
        answer = session._result(Reply(status, {}, body.encode()), "asking", mutation)
        assert isinstance(answer, _Failure)
        attempts = 1 if mutation and answer.uncertain else answer.attempts
        if status == 401:  # the SDK tries for two minutes; a wrong key would cost every event all its time
            assert (allowed, attempts) == (None, 3)
        elif allowed is None:  # until there is no time left
            assert attempts == 20
        else:
            assert attempts == allowed, status
        assert (mutation and answer.uncertain) == (mutation and retry.classify(error) is retry.Outcome.UNKNOWN), status


@pytest.mark.parametrize("status", [200, 400, 500, 502])
@pytest.mark.parametrize("message", ["[accessDenied] no", "Failed to fetch data connection", "x Flagsmith API"])
@pytest.mark.parametrize("mutation", [False, True])
def test_graphql_errors_are_definite_as_for_the_sdk(status, message, mutation):
    errors = [{"message": message}]
    allowed = retry.attempts_allowed(TransportQueryError(str(errors[0]), errors=errors), mutation)
    session = Session(ENDPOINT, "key", Deadline.after(10), 1)
    reply = Reply(status, {}, json.dumps({"errors": errors}).encode())
    try:
        attempts = session._result(reply, "asking", mutation).attempts
    except Refused:
        attempts = 1
    assert attempts == allowed
