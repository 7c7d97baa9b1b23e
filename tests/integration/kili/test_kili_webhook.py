"""What the function does about an event, from the request to the changes in Kili."""

from __future__ import annotations

import boto3
import pytest
import urllib3
from rule_sources import box_rules, set_issue_status

from local.simulators.kili import samples
from local.stack import KILI_SECRET, RESOURCES

MUTATIONS = {"createIssues", "updatePropertiesInIssue", "sendAssetsBackToQueue", "addAssetsToReview"}


class TestWhoMayCall:
    def test_a_get_says_that_the_address_is_right(self, function):
        reply = urllib3.request("GET", function.url, retries=False)
        assert (reply.status, b"annohooks is here" in reply.data) == (200, True)

    @pytest.mark.parametrize("secret", [None, "", "wrong", "Bearer ", f"Basic {KILI_SECRET}", KILI_SECRET[:-1]])
    def test_without_the_secret_nothing_is_done(self, function, kili, submitted, secret):
        answer = function.post(kili.event(submitted()[1]), secret)
        assert (answer.status, answer.json) == (401, {"error": "The secret is missing or wrong."})
        assert kili.calls == []

    @pytest.mark.parametrize("prefix", ["", "Bearer "])
    def test_the_secret_is_the_authorization_header_with_or_without_bearer(self, function, submitted, kili, prefix):
        assert function.post(kili.event(submitted()[1]), prefix + KILI_SECRET).status == 200

    def test_two_secrets_are_valid_while_one_replaces_the_other(self, webhook, kili, submitted, secrets):
        function = webhook(KILI_SECRET_PARAMETER=secrets("the-old-secret-4711 the-new-secret-4711"))
        body = kili.event(submitted()[1])
        passwords = ("the-old-secret-4711", "the-new-secret-4711", "x")
        assert [function.post(body, secret).status for secret in passwords] == [200, 200, 401]

    def test_without_a_configured_secret_nobody_may_call(self, webhook):
        assert webhook(KILI_SECRET_PARAMETER="/annohooks/tests/none").post({}, "").status == 401


class TestWhatIsNotChecked:
    @pytest.mark.parametrize(
        ("body", "says"),
        [
            (b"", "not JSON"),
            (b"\xff", "not JSON"),
            (b"[]", "not a JSON object"),
            (b"{}", "neither `event` nor `eventType`"),
            ({"eventType": "onSubmit"}, "projectId"),
            ({"eventType": "onSubmit", "logPayload": {"projectId": "p"}}, "label"),
        ],
    )
    def test_a_body_without_an_event_is_refused_with_the_name_of_the_field(self, function, kili, body, says):
        answer = function.post(body)
        assert (answer.status, says in answer.json["error"]) == (400, True)
        assert kili.calls == []

    def test_a_body_over_the_limit_is_refused(self, webhook):
        assert webhook(MAX_BODY_BYTES="1000").post({"eventType": "x" * 1000}).status == 413

    @pytest.mark.parametrize(
        "event",
        [
            {"event": "asset.issue.created", "projectId": "p", "payload": {"assetId": "a", "issueId": "i"}},
            {"event": "project.interface.updated", "projectId": "p", "organizationId": "o", "userId": "u"},
            {"eventType": "onSendBackToQueue", "logPayload": {"projectId": "p"}, "payload": {"asset_id": "a"}},
        ],
    )
    def test_other_events_are_ignored_with_a_reason_and_cost_no_request(self, function, kili, event):
        answer = function.post(event)
        assert answer.status == 200
        assert answer.json.keys() == {"ignored"}
        assert len(answer.json["ignored"]) > 10
        assert kili.calls == []

    @pytest.mark.parametrize("label_type", ["PREDICTION", "AUTOSAVE", "INFERENCE"])
    def test_labels_that_nobody_submitted_are_ignored(self, function, submitted, raised, label_type):
        asset_id, label_id = submitted(label_type=label_type)
        assert label_type in function.check(label_id, subject="label.workflow.edited", generation="whole")["ignored"]
        assert raised(asset_id) == []

    def test_other_projects_are_ignored_when_some_are_named(self, webhook, kili, submitted):
        _, label_id = submitted()
        assert "other projects" in webhook(KILI_PROJECTS="another, more").check(label_id)["ignored"]
        assert kili.calls == []
        assert "ignored" not in webhook(KILI_PROJECTS=f"another {samples.PROJECT}").check(label_id)

    def test_a_label_that_does_not_exist_is_not_found(self, function, kili, submitted):
        body = kili.event(submitted()[1])
        body["payload"]["label"]["id"] = "there-is-no-such-label"
        answer = function.post(body)
        assert (answer.status, "no such label" in answer.json["error"]) == (404, True)

    def test_a_label_of_another_asset_than_the_event_names_is_refused(self, function, kili, submitted, raised):
        (asset_id, _), (_, label_id) = submitted(), submitted()
        body = kili.event(label_id)
        body["payload"]["asset_id"] = asset_id
        body["payload"]["label"].pop("assetId", None)
        assert function.post(body).status == 400
        assert raised(asset_id) == []


class TestWhatIsDone:
    def test_mistakes_become_issues_on_their_objects_and_the_asset_goes_back(self, function, kili, submitted, raised):
        asset_id, label_id = submitted()
        answer = function.check(label_id)
        many, large = raised(asset_id)
        assert (many["mid"], many["label"], many["status"]) == (None, label_id, "OPEN")
        assert many["text"].endswith("There are too many BBox (3) - Only 1 BBox of Object A accepted")
        assert (large["mid"], large["text"].partition("] ")[2]) == (samples.TOO_LARGE[0], "BBox too large")
        assert kili.assets[asset_id]["status"] == "ONGOING"
        assert {finding["text"] for finding in answer["findings"]} == {
            issue["text"].partition("] ")[2] for issue in (many, large)
        }

    def test_a_label_without_mistakes_changes_nothing(self, function, kili, submitted):
        done = function.check(submitted(samples.CORRECTED)[1])["done"]
        counts = dict.fromkeys(("created", "kept", "resolved", "dismissed"), 0)
        assert done == counts | {"sent_back": False, "added_to_review": False}
        assert not MUTATIONS & set(kili.operations())

    def test_malformed_parts_are_named_and_the_rest_is_checked(self, function, submitted, raised):
        content = samples.label(samples.TOO_LARGE, samples.TANK)
        content["JOB_0"]["annotations"][1]["boundingPoly"] = "none"
        asset_id, label_id = submitted(content)
        (left_out,) = function.check(label_id)["left_out"]
        assert left_out["path"].startswith("JOB_0.annotations[1]")
        assert [issue["mid"] for issue in raised(asset_id)] == [samples.TOO_LARGE[0]]

    def test_an_issue_that_a_person_cancelled_stays_cancelled(self, function, kili, submitted, raised):
        asset_id, label_id = submitted(samples.label(samples.TOO_LARGE))
        function.check(label_id)
        (issue,) = raised(asset_id)
        set_issue_status(kili, issue["id"], "CANCELLED")
        answer = function.check(kili.submit(asset_id, samples.label(samples.TOO_LARGE)))
        assert (answer["done"]["dismissed"], answer["done"]["created"]) == (1, 0)
        assert kili.sent_back.count(asset_id) == 1
        assert kili.assets[asset_id]["status"] == "LABELED"

    def test_findings_over_the_limit_are_counted_and_raise_no_issue(self, webhook, submitted, raised):
        boxes = [(f"box-{n}", "OBJECT_B", 0.0, 0.0, 0.9, 0.9) for n in range(7)]
        asset_id, label_id = submitted(samples.label(*boxes))
        function = webhook(KILI_MAX_ISSUES="5")
        assert function.check(label_id)["over"] == 2
        function.check(label_id)
        assert len(raised(asset_id)) == 5


class TestActions:
    def test_log_changes_nothing_in_kili(self, webhook, kili, submitted, caplog):
        answer = webhook(KILI_RULES=box_rules("log")).check(submitted()[1])
        assert [finding["rule"] for finding in answer["findings"]] == ["box-size"]
        assert not MUTATIONS & set(kili.operations())
        logged = [vars(record) for record in caplog.records if record.message == "finding"]
        assert [(line["rule"], line["text"]) for line in logged] == [("box-size", "A box is too large")]

    def test_issue_does_not_send_the_asset_back(self, webhook, kili, submitted, raised):
        asset_id, label_id = submitted()
        webhook(KILI_RULES=box_rules("issue")).check(label_id)
        assert len(raised(asset_id)) == 1
        assert kili.assets[asset_id]["status"] == "LABELED"

    def test_add_to_review_raises_no_issue_and_is_done_once(self, webhook, kili, submitted, raised):
        asset_id, label_id = submitted()
        function = webhook(KILI_RULES=box_rules("add_to_review"))
        assert [function.check(label_id)["done"]["added_to_review"] for _ in range(2)] == [True, False]
        assert raised(asset_id) == []
        assert kili.assets[asset_id]["status"] == "TO_REVIEW"
        assert kili.operations().count("addAssetsToReview") == 1

    def test_a_dry_run_says_what_it_would_do_and_writes_nothing(self, webhook, kili, submitted, raised):
        def items():
            return boto3.client("dynamodb").scan(TableName=RESOURCES["IdempotencyTable"])["Items"]

        asset_id, label_id = submitted()
        before = items()
        answer = webhook(KILI_DRY_RUN="true").check(label_id)
        assert answer["dry_run"] is True
        assert (answer["done"]["created"], answer["done"]["sent_back"]) == (2, True)
        assert len(answer["findings"]) == 2
        assert raised(asset_id) == []
        assert not MUTATIONS & set(kili.operations())
        assert items() == before
