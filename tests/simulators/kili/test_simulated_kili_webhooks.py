"""The simulated Kili writes an audit log, and posts events to the webhooks that subscribe to them."""

from __future__ import annotations

import json

import pytest
from kili_client import (
    ACTIVATE,
    ASSET,
    CREATE_WEBHOOK,
    DEACTIVATE,
    DELETE_PLUGIN,
    PROJECT,
    SEND_BACK,
    SET_ASSETS,
    SET_ISSUE,
    UPDATE_WEBHOOK,
    Client,
    Receiver,
    boxes,
    with_assets,
)

from local.simulators.kili import Kili
from local.simulators.kili.events import matches, names

pytestmark = pytest.mark.thorough


class TestAuditLog:
    def test_a_submitted_label_is_a_row_without_its_json_response(self, kili: Kili, client: Client) -> None:
        label = kili.submit(ASSET, boxes("CAR", "CAR", "BIKE"), author="ada", seconds=10)
        row = client.events()[-1]
        assert row == kili.audit[-1]
        assert row.keys() == {"id", "createdAt", "event", "organizationId", "projectId", "userId", "payload"}
        assert (row["event"], row["projectId"], row["userId"]) == ("labels.created.submit", PROJECT, "ada")
        assert row["payload"]["assetId"] == ASSET
        assert row["payload"]["label"]["id"] == label
        assert row["payload"]["label"]["search"]["numberOfAnnotationsByObject"] == {"JOB_0.CAR": 2, "JOB_0.BIKE": 1}
        assert row["payload"]["label"]["numberOfAnnotations"] == 3
        assert "jsonResponse" not in json.dumps(row)

    def test_every_event_but_an_autosave_is_a_row(self, kili: Kili, client: Client) -> None:
        kili.submit(ASSET, {}, label_type="AUTOSAVE")
        label = kili.submit(ASSET, {})
        (issue,) = client.raise_issues(label, "wrong")
        client.data(SET_ISSUE, data={"status": "SOLVED"}, where={"id": issue})
        client.data(SET_ISSUE, data={"status": "SOLVED"}, where={"id": issue})
        client.data(SEND_BACK, where={"idIn": [ASSET]})
        client.data(SET_ASSETS, where=[{"id": ASSET}], data=[{"jsonMetadata": "{}"}])
        kili.edit(label, boxes("A"))
        assert [row["event"] for row in kili.audit] == [
            "projects.created",
            "asset.created",
            "asset.created",
            "labels.created.submit",
            "asset.issue.created",
            "asset.issue.resolved",
            "asset.workflow.currentStep.statusChanged",
            "asset.updated",
            "label.workflow.edited",
        ]
        assert kili.labels[label]["json_response"] == boxes("A")

    def test_rows_come_in_pages_in_either_order(self, kili: Kili, client: Client) -> None:
        for _ in range(250):
            kili.submit(ASSET, {})
        where = {"event": "labels.created.submit"}
        pages = [client.events(where, skip=skip, first=100) for skip in (0, 100, 200)]
        assert [len(page) for page in pages] == [100, 100, 50]
        rows = [row["id"] for page in pages for row in page]
        assert rows == [row["id"] for row in kili.audit[3:]]
        assert [row["id"] for row in client.events(where, "desc", first=2)] == rows[:-3:-1]
        assert kili.violations == []
        assert len(client.events(where, first=250)) == 100
        assert kili.violations == ["a page of 250 events, 100 are allowed"]


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "subject", "matched"),
        [
            ("label.workflow.*", "label.workflow.created.default", True),
            ("label.workflow.created.default", "label.workflow.created.default", True),
            ("label.workflow.created", "label.workflow.created.default", False),
            ("label.*.default", "label.workflow.created.default", True),
            ("label.workflow.created.default.*", "label.workflow.created.default", False),
            ("asset.*", "asset.workflow.assigned", True),
            ("asset.*", "asset", False),
            ("asset.*", "assetStorage.connection.created", False),
        ],
    )
    def test_a_star_is_one_or_more_names(self, pattern: str, subject: str, matched: bool) -> None:
        assert matches(pattern, subject) is matched

    @pytest.mark.parametrize("pattern", ["", "*", "*.created", "label.**", "label.>", "label..created", "label.work*"])
    def test_a_malformed_pattern_is_an_error(self, pattern: str) -> None:
        with pytest.raises(ValueError, match="invalid event pattern"):
            names(pattern)


class TestWebhooks:
    def test_a_submitted_label_is_posted_as_the_legacy_event(self, kili: Kili, receiver: Receiver) -> None:
        kili.create_webhook("w", receiver.url, PROJECT, header="the secret, as it is")
        label = kili.submit(ASSET, boxes("A"), author="ada", seconds=7)
        (delivery,) = kili.settle()
        assert (delivery.status, delivery.json(), delivery.webhook) == (200, {"number": 1}, "w")
        (body,) = receiver.bodies
        assert body == delivery.body
        assert (receiver.authorizations, receiver.content_types) == (["the secret, as it is"], ["application/json"])
        assert body["eventType"] == "onSubmit"
        assert body["logPayload"]["projectId"] == PROJECT
        assert body["logPayload"]["runId"]
        assert body["payload"]["asset_id"] == ASSET
        posted = body["payload"]["label"]
        values = [posted[key] for key in ("id", "labelType", "authorId", "secondsToLabel")]
        assert values == [label, "DEFAULT", "ada", 7]
        assert posted["jsonResponse"] == boxes("A")
        assert posted["search"]["numberOfAnnotationsByObject"] == {"JOB_0.A": 1}
        assert posted["isLatestLabelForUser"] is True

    def test_handler_types_choose_the_legacy_events(self, kili: Kili, client: Client, receiver: Receiver) -> None:
        kili.create_webhook("w", receiver.url, PROJECT, handler_types=["onReview", "onSendBackToQueue"])
        kili.submit(ASSET, {})
        kili.submit(ASSET, {}, label_type="REVIEW")
        kili.submit(ASSET, {}, label_type="PREDICTION")
        kili.settle()
        client.data(SEND_BACK, where={"idIn": [ASSET]})
        kili.settle()
        assert [body["eventType"] for body in receiver.bodies] == ["onReview", "onSendBackToQueue"]
        assert receiver.bodies[1]["payload"] == {"asset_id": ASSET}

    def test_an_event_matcher_gets_whole_events(self, kili: Kili, client: Client, receiver: Receiver) -> None:
        kili.create_webhook("w", receiver.url, PROJECT, event_matcher=["label.workflow.*", "asset.issue.created"])
        label = kili.submit(ASSET, {}, author="ada")
        kili.settle()
        (issue,) = client.raise_issues(label, "wrong")
        kili.settle()
        assert receiver.bodies == [
            {
                "event": "label.workflow.created.default",
                "organizationId": "organization",
                "projectId": PROJECT,
                "userId": "ada",
                "payload": {"assetId": ASSET, "labelId": label, "externalId": "picture-1"},
            },
            {
                "event": "asset.issue.created",
                "organizationId": "organization",
                "projectId": PROJECT,
                "userId": kili.bot_id,
                "payload": {"assetId": ASSET, "issueId": issue, "objectMid": None, "externalId": "picture-1"},
            },
        ]

    def test_an_event_matcher_gets_flat_events_from_an_older_kili(self, receiver: Receiver) -> None:
        with Kili(generation="flat") as kili:
            with_assets(kili).create_webhook("w", receiver.url, PROJECT, event_matcher=["labels.created.*"])
            label = kili.submit(ASSET, {})
            kili.settle()
        (body,) = receiver.bodies
        assert (body["eventType"], body["logPayload"]["projectId"]) == ("labels.created.submit", PROJECT)
        assert body["payload"]["event"] == "labels.created.submit"
        assert body["payload"]["label"]["id"] == label
        assert "jsonResponse" not in body["payload"]["label"]

    def test_only_active_webhooks_get_events(self, kili: Kili, client: Client, receiver: Receiver) -> None:
        kili.add_project("other")
        kili.add_asset("other", "b1")
        data = {"pluginName": "w", "webhookUrl": receiver.url, "header": "secret"}
        where = {"pluginName": "w", "projectId": PROJECT}
        client.data(CREATE_WEBHOOK, data=data)
        kili.submit(ASSET, {})
        client.data(ACTIVATE, where=where)
        kili.submit("b1", {})
        assert kili.settle() == []
        kili.submit(ASSET, {})
        assert len(kili.settle()) == 1
        client.data(DEACTIVATE, where=where)
        kili.submit(ASSET, {})
        assert len(kili.settle()) == 1
        client.data(ACTIVATE, where=where)
        client.data(DELETE_PLUGIN, where={"pluginName": "w"})
        kili.submit(ASSET, {})
        assert len(kili.settle()) == 1
        assert kili.webhooks == {}

    def test_a_webhook_can_be_changed_and_keeps_its_header(self, kili: Kili, client: Client) -> None:
        kili.create_webhook("w", "http://127.0.0.1:1/old", PROJECT, header="secret")
        assert kili.webhooks["w"]["handler_types"] == ["onSubmit", "onReview"]
        changed = {"pluginName": "w", "webhookUrl": "http://127.0.0.1:1/new", "eventMatcher": ["label.workflow.*"]}
        client.data(UPDATE_WEBHOOK, data=changed)
        assert kili.webhooks["w"] == {
            "url": "http://127.0.0.1:1/new",
            "header": "secret",
            "handler_types": [],
            "event_matcher": ["label.workflow.*"],
            "projects": [PROJECT],
        }
        client.data(UPDATE_WEBHOOK, data=changed | {"header": "other", "eventMatcher": None})
        assert (kili.webhooks["w"]["header"], kili.webhooks["w"]["event_matcher"]) == ("other", [])

    def test_a_name_that_exists_or_does_not_exist_is_an_error(self, kili: Kili, client: Client) -> None:
        data = {"pluginName": "w", "webhookUrl": "http://127.0.0.1:1/"}
        where = {"pluginName": "w", "projectId": PROJECT}
        assert client.error(UPDATE_WEBHOOK, data=data).startswith("[pluginNotFound]")
        assert client.error(ACTIVATE, where=where).startswith("[pluginNotFound]")
        client.data(CREATE_WEBHOOK, data=data)
        assert 'an entity Plugin already exists with value "w"' in client.error(CREATE_WEBHOOK, data=data)
        assert client.error(DEACTIVATE, where=where).startswith("[pluginNotActivated]")
        assert client.error(ACTIVATE, where=where | {"projectId": "nowhere"}).startswith("[projectNotFound]")
        client.data(ACTIVATE, where=where)
        assert 'an entity Project already exists with value "p1"' in client.error(ACTIVATE, where=where)
        assert client.error(DELETE_PLUGIN, where={"pluginName": "other"}).startswith("[pluginNotFound]")
        assert kili.webhooks["w"]["projects"] == [PROJECT]

    def test_handlers_and_matcher_exclude_each_other(self, kili: Kili, client: Client) -> None:
        data = {"pluginName": "w", "webhookUrl": "http://127.0.0.1:1/", "eventMatcher": ["label.*"]}
        both = client.error(CREATE_WEBHOOK, data=data | {"handlerTypes": ["onSubmit"]})
        assert "Cannot have both handler types and event matcher." in both
        wrong = client.error(CREATE_WEBHOOK, data=data | {"eventMatcher": ["*.created"]})
        assert wrong.startswith("[invalidEventMatcher]")
        assert kili.webhooks == {}

    def test_a_webhook_that_cannot_be_reached_is_a_delivery_without_an_answer(self, kili: Kili) -> None:
        with Receiver() as gone:
            pass
        kili.create_webhook("w", gone.url, PROJECT)
        kili.submit(ASSET, {})
        (delivery,) = kili.settle()
        assert (delivery.status, delivery.error) == (0, "NewConnectionError")

    def test_no_more_than_eight_webhooks_are_posted_at_once(self, kili: Kili) -> None:
        with Receiver(together=8) as receiver:
            kili.create_webhook("w", receiver.url, PROJECT)
            for _ in range(16):
                kili.submit(ASSET, {})
            assert len(kili.settle()) == 16
        assert receiver.concurrent == 8

    def test_a_label_has_events_of_every_generation(self, kili: Kili) -> None:
        label = kili.submit(ASSET, {}, label_type="REVIEW")
        assert kili.event(label)["eventType"] == "onReview"
        assert kili.event(label, "flat")["event"] == "labels.created.review"
        assert kili.event(label, "whole")["event"] == "label.workflow.created.review"
        edited = kili.event(label, "whole", subject="label.workflow.edited", enveloped=True)
        assert edited["logPayload"]["projectId"] == PROJECT
        assert edited["payload"] == kili.event(label, "whole", subject="label.workflow.edited")
        prediction = kili.submit(ASSET, {}, label_type="PREDICTION")
        with pytest.raises(ValueError, match="no legacy event"):
            kili.event(prediction)
