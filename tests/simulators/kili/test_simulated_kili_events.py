"""The simulated Kili keeps labels, writes an audit log, and posts events to the webhooks that subscribe to them."""

from __future__ import annotations

import pytest
from kili_client import (
    ACTIVATE,
    ASSET,
    CREATE_ISSUES,
    DEACTIVATE,
    DELETE_PLUGIN,
    PROJECT,
    SEND_BACK,
    SET_ASSETS,
    SET_ISSUE,
    UPDATE_WEBHOOK,
    Receiver,
    issues,
    with_assets,
)

from local.simulators.kili import Kili

pytestmark = pytest.mark.thorough


class TestRecords:
    @pytest.mark.parametrize(
        ("label_type", "status"), [("AUTOSAVE", "ONGOING"), ("PREDICTION", "TODO"), ("REVIEW", "REVIEWED")]
    )
    def test_a_label_moves_its_asset_on(self, kili, label_type, status):
        kili.submit(ASSET, {}, label_type=label_type)
        assert kili.assets[ASSET]["status"] == status

    def test_sending_back_marks_the_latest_labels_only(self, kili, client):
        old, new = kili.submit(ASSET, {}), kili.submit(ASSET, {})
        client.data(SEND_BACK, where={"idIn": [ASSET, "a2"]})
        assert (kili.labels[old]["sent_back"], kili.labels[new]["sent_back"]) == (False, True)
        assert (kili.sent_back, kili.declined) == ([ASSET], ["a2"])

    def test_every_event_but_an_autosave_is_in_the_audit_log(self, kili, client):
        kili.submit(ASSET, {}, label_type="AUTOSAVE")
        label = kili.submit(ASSET, {})
        (issue,) = client.data(CREATE_ISSUES, **issues(label, "wrong"))
        for _ in range(2):
            client.data(SET_ISSUE, data={"status": "SOLVED"}, where=issue)
        client.data(SEND_BACK, where={"idIn": [ASSET]})
        client.data(SET_ASSETS, where=[{"id": ASSET}], data=[{"jsonMetadata": "{}"}])
        kili.edit(label, {"JOB": {}})
        created = ["projects.created", "asset.created", "asset.created", "labels.created.submit"]
        issued = ["asset.issue.created", "asset.issue.resolved", "asset.workflow.currentStep.statusChanged"]
        assert [row["event"] for row in kili.audit] == [*created, *issued, "asset.updated", "label.workflow.edited"]
        assert kili.labels[label]["json_response"] == {"JOB": {}}

    def test_a_page_of_the_audit_log_has_at_most_a_hundred_rows(self, kili, client):
        for _ in range(100):
            kili.submit(ASSET, {})
        assert len(client.data('{ events(where: {projectId: "p1"}, pagination: {first: 250}) { id } }')) == 100
        assert kili.violations == ["a page of 250 events, 100 are allowed"]


class TestWebhooks:
    def test_handler_types_choose_the_legacy_events(self, kili, client, receiver):
        handlers = ["onReview", "onSendBackToQueue"]
        kili.create_webhook("w", receiver.url, PROJECT, header="the secret, as it is", handler_types=handlers)
        for kind in ("DEFAULT", "REVIEW", "PREDICTION"):
            kili.submit(ASSET, {}, label_type=kind)
        kili.settle()
        client.data(SEND_BACK, where={"idIn": [ASSET]})
        kili.settle()
        assert [body["eventType"] for body in receiver.bodies] == handlers
        assert receiver.bodies[1]["payload"] == {"asset_id": ASSET}
        assert receiver.authorizations == ["the secret, as it is"] * 2

    def test_an_event_matcher_gets_flat_events_from_an_older_kili(self, receiver):
        with Kili(generation="flat") as kili:
            with_assets(kili).create_webhook("w", receiver.url, PROJECT, event_matcher=["labels.created.*"])
            label = kili.submit(ASSET, {})
            kili.settle()
        (body,) = receiver.bodies
        assert (body["eventType"], body["logPayload"]["projectId"]) == ("labels.created.submit", PROJECT)
        assert body["payload"]["event"] == "labels.created.submit"
        assert body["payload"]["label"]["id"] == label
        assert "jsonResponse" not in body["payload"]["label"]

    def test_only_active_webhooks_get_events(self, kili, client, receiver):
        def posted() -> int:
            kili.submit(ASSET, {})
            return len(kili.settle())

        kili.add_project("other")
        kili.add_asset("other", "b1")
        kili.create_webhook("w", receiver.url, "other")
        where = {"pluginName": "w", "projectId": PROJECT}
        assert posted() == 0
        client.data(ACTIVATE, where=where)
        assert posted() == 1
        client.data(DEACTIVATE, where=where)
        assert posted() == 1
        client.data(ACTIVATE, where=where)
        client.data(DELETE_PLUGIN, where={"pluginName": "w"})
        assert (posted(), kili.webhooks) == (1, {})

    def test_a_webhook_can_be_changed_and_keeps_its_header(self, kili, client):
        kili.create_webhook("w", "http://127.0.0.1:1/old", PROJECT, header="secret")
        before = kili.webhooks["w"]
        assert before["handler_types"] == ["onSubmit", "onReview"]
        changed = {"pluginName": "w", "webhookUrl": "http://127.0.0.1:1/new", "eventMatcher": ["label.*"]}
        client.data(UPDATE_WEBHOOK, data=changed)
        now = {"url": "http://127.0.0.1:1/new", "handler_types": [], "event_matcher": ["label.*"]}
        assert kili.webhooks["w"] == before | now
        client.data(UPDATE_WEBHOOK, data=changed | {"header": "other", "eventMatcher": None})
        assert (kili.webhooks["w"]["header"], kili.webhooks["w"]["event_matcher"]) == ("other", [])

    def test_a_webhook_that_cannot_be_reached_is_a_delivery_without_an_answer(self, kili):
        with Receiver() as gone:
            pass
        kili.create_webhook("w", gone.url, PROJECT)
        kili.submit(ASSET, {})
        (delivery,) = kili.settle()
        assert (delivery.status, delivery.error) == (0, "NewConnectionError")

    def test_no_more_than_eight_webhooks_are_posted_at_once(self, kili):
        with Receiver(together=8) as receiver:
            kili.create_webhook("w", receiver.url, PROJECT)
            for _ in range(16):
                kili.submit(ASSET, {})
            assert len(kili.settle()) == 16
        assert receiver.concurrent == 8

    def test_a_prediction_has_no_event_of_the_first_generation(self, kili):
        with pytest.raises(ValueError, match="no legacy event"):
            kili.event(kili.submit(ASSET, {}, label_type="PREDICTION"))
