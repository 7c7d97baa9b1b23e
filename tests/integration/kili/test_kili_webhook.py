"""What the function makes of an event, from the request to what has changed in Kili."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
import urllib3

from annohooks.core import auth
from annohooks.core.errors import SettingsError, Unavailable
from local.lambdas import Context
from local.simulators.kili import Kili, samples
from local.stack import BUCKET, KILI_SECRET, RESOURCES

Start = Callable[..., Any]
Submit = Callable[..., tuple[str, str]]
Raised = Callable[..., list[dict[str, Any]]]
Secrets = Callable[[str], str]

MUTATIONS = {"createIssues", "updatePropertiesInIssue", "sendAssetsBackToQueue", "addAssetsToReview"}
NO_BOX_LARGER_THAN = """
version: 1
rules:
  - id: box-size
    check: size
    parameters: {{max_area: {max}}}
    message: A box is too large
    action: {action}
"""


def rules(text: str) -> str:
    """Where rules are that were put into SSM under a new name."""
    name = f"/annohooks/tests/{uuid.uuid4()}"
    boto3.client("ssm").put_parameter(Name=name, Value=text, Type="String")
    return f"ssm:{name}"


def replace_rules(source: str, text: str) -> None:
    boto3.client("ssm").put_parameter(Name=source.removeprefix("ssm:"), Value=text, Type="String", Overwrite=True)


def doing(action: str, at_most: float = 0.3) -> str:
    return rules(NO_BOX_LARGER_THAN.format(max=at_most, action=action))


def stored() -> list[dict[str, Any]]:
    return list(boto3.client("dynamodb").scan(TableName=RESOURCES["IdempotencyTable"])["Items"])


def set_status(kili: Kili, issue_id: str, status: str) -> None:
    """As a person does in the browser."""
    document = (
        "mutation ($data: IssueData!, $where: IssueWhere!)"
        " { updatePropertiesInIssue(data: $data, where: $where) { id } }"
    )
    reply = urllib3.request(
        "POST",
        kili.endpoint,
        json={"query": document, "variables": {"data": {"status": status}, "where": {"id": issue_id}}},
        headers={"Authorization": f"X-API-Key: {kili.api_key}"},
        retries=False,
    )
    assert "errors" not in reply.json(), reply.data


class TestWhoMayCall:
    def test_a_get_says_that_the_address_is_right(self, webhook):
        reply = urllib3.request("GET", webhook().url, retries=False)
        assert (reply.status, b"annohooks is here" in reply.data) == (200, True)

    @pytest.mark.parametrize("secret", [None, "", "wrong", "Bearer ", f"Basic {KILI_SECRET}", KILI_SECRET[:-1]])
    def test_without_the_secret_nothing_is_done(self, webhook, kili, submitted, secret):
        _, label_id = submitted()
        answer = webhook().post(kili.event(label_id), secret)
        assert (answer.status, answer.json) == (401, {"error": "The secret is missing or wrong."})
        assert kili.calls == []

    @pytest.mark.parametrize("prefix", ["", "Bearer "])
    def test_the_secret_is_the_authorization_header_with_or_without_bearer(self, webhook, submitted, kili, prefix):
        _, label_id = submitted()
        assert webhook().post(kili.event(label_id), prefix + KILI_SECRET).status == 200

    def test_two_secrets_are_good_while_one_replaces_the_other(self, webhook, kili, submitted, secrets):
        start = webhook(KILI_SECRET_PARAMETER=secrets("the-old-secret-4711 the-new-secret-4711"))
        body = kili.event(submitted()[1])
        statuses = [start.post(body, secret).status for secret in ("the-old-secret-4711", "the-new-secret-4711", "x")]
        assert statuses == [200, 200, 401]

    def test_a_secret_that_is_not_configured_lets_nobody_in(self, webhook, kili):
        answer = webhook(KILI_SECRET_PARAMETER="/annohooks/tests/none").post({}, "")
        assert answer.status == 401

    def test_without_an_api_key_the_webhook_is_unavailable_and_says_why(self, webhook, kili, submitted):
        answer = webhook(KILI_API_KEY_PARAMETER="/annohooks/tests/none").post(kili.event(submitted()[1]))
        assert (answer.status, answer.json) == (503, {"error": "The Kili API key of this webhook is not configured."})


class TestWhatIsNotChecked:
    @pytest.mark.parametrize(
        ("body", "status", "says"),
        [
            (b"", 400, "not JSON"),
            (b"\xff", 400, "not JSON"),
            (b"[]", 400, "not a JSON object"),
            (b"{}", 400, "neither `event` nor `eventType`"),
            ({"eventType": "onSubmit"}, 400, "projectId"),
            ({"eventType": "onSubmit", "logPayload": {"projectId": "p"}}, 400, "label"),
        ],
    )
    def test_what_is_no_event_is_refused_by_name(self, webhook, kili, body, status, says):
        answer = webhook().post(body)
        assert (answer.status, says in answer.json["error"]) == (status, True)
        assert kili.calls == []

    def test_a_body_over_the_limit_is_refused(self, webhook):
        assert webhook(MAX_BODY_BYTES="1000").post({"eventType": "x" * 1000}).status == 413

    @pytest.mark.parametrize(
        "event",
        [
            {"event": "asset.issue.created", "projectId": "p", "payload": {"assetId": "a", "issueId": "i"}},
            {"event": "label.workflow.praised", "projectId": "p", "payload": {"assetId": "a", "labelId": "l"}},
            {"event": "project.interface.updated", "projectId": "p", "organizationId": "o", "userId": "u"},
            {"eventType": "onSendBackToQueue", "logPayload": {"projectId": "p"}, "payload": {"asset_id": "a"}},
        ],
    )
    def test_an_event_that_nobody_handles_is_ignored_with_a_reason_and_costs_no_request(self, webhook, kili, event):
        answer = webhook().post(event)
        assert answer.status == 200
        assert answer.json.keys() == {"ignored"}
        assert len(answer.json["ignored"]) > 10
        assert kili.calls == []

    @pytest.mark.parametrize("label_type", ["PREDICTION", "AUTOSAVE", "INFERENCE"])
    def test_labels_that_nobody_submitted_are_ignored(self, webhook, submitted, raised, label_type):
        asset_id, label_id = submitted(label_type=label_type)
        assert label_type in webhook().check(label_id, subject="label.workflow.edited", generation="whole")["ignored"]
        assert raised(asset_id) == []

    def test_other_projects_are_ignored_when_some_are_named(self, webhook, kili, submitted):
        _, label_id = submitted()
        assert "other projects" in webhook(KILI_PROJECTS="another, more").check(label_id)["ignored"]
        assert kili.calls == []
        assert "ignored" not in webhook(KILI_PROJECTS=f"another {samples.PROJECT}").check(label_id)

    def test_a_label_that_is_not_there_is_not_found(self, webhook, kili, submitted):
        body = kili.event(submitted()[1])
        body["payload"]["label"]["id"] = "nobody-made-this"
        answer = webhook().post(body)
        assert (answer.status, "no such label" in answer.json["error"]) == (404, True)

    def test_a_label_of_another_asset_than_the_event_says_is_refused(self, webhook, kili, submitted, raised):
        (one, _), (_, label_id) = submitted(), submitted()
        body = kili.event(label_id)
        body["payload"]["asset_id"] = one
        body["payload"]["label"].pop("assetId", None)
        assert webhook().post(body).status == 400
        assert raised(one) == []


class TestWhatIsDone:
    def test_mistakes_are_issues_on_their_objects_and_the_asset_goes_back(self, webhook, kili, submitted, raised):
        asset_id, label_id = submitted()
        answer = webhook().check(label_id)
        many, large = raised(asset_id)
        assert (many["mid"], many["label"], many["status"]) == (None, label_id, "OPEN")
        assert many["text"].endswith("There are too many BBox (3) - Only 1 BBox of Object A accepted")
        assert (large["mid"], large["text"].partition("] ")[2]) == (samples.TOO_LARGE[0], "BBox too large")
        assert kili.assets[asset_id]["status"] == "ONGOING"
        assert {finding["text"] for finding in answer["findings"]} == {
            issue["text"].partition("] ")[2] for issue in (many, large)
        }

    def test_a_label_without_mistakes_costs_no_change(self, webhook, kili, submitted):
        _, label_id = submitted(samples.CORRECTED)
        answer = webhook().check(label_id)
        assert answer["done"] == dict.fromkeys(("created", "kept", "resolved", "dismissed"), 0) | {
            "sent_back": False,
            "added_to_review": False,
        }
        assert not MUTATIONS & set(kili.operations())

    def test_what_is_malformed_is_told_and_the_rest_is_checked(self, webhook, submitted, raised):
        content = samples.label(samples.TOO_LARGE, samples.TANK)
        content["JOB_0"]["annotations"][1]["boundingPoly"] = "none"
        asset_id, label_id = submitted(content)
        (left_out,) = webhook().check(label_id)["left_out"]
        assert left_out["path"].startswith("JOB_0.annotations[1]")
        assert [issue["mid"] for issue in raised(asset_id)] == [samples.TOO_LARGE[0]]

    def test_a_kili_of_before_october_2026_is_sent_back_to_by_the_old_name(self, webhook, kili, submitted):
        asset_id, label_id = submitted()
        kili.faults.add("no_new_mutation")
        webhook().check(label_id)
        assert kili.sent_back.count(asset_id) == 1
        assert kili.operations().count("sendBackAssetsToQueue") == 1

    def test_an_issue_that_a_person_cancelled_is_respected(self, webhook, kili, submitted, raised):
        asset_id, label_id = submitted(samples.label(samples.TOO_LARGE))
        start = webhook()
        start.check(label_id)
        (issue,) = raised(asset_id)
        set_status(kili, issue["id"], "CANCELLED")
        again = kili.submit(asset_id, samples.label(samples.TOO_LARGE))
        answer = start.check(again)
        assert (answer["done"]["dismissed"], answer["done"]["created"]) == (1, 0)
        assert kili.sent_back.count(asset_id) == 1
        assert kili.assets[asset_id]["status"] == "LABELED"

    def test_more_mistakes_than_issues_may_be_are_counted(self, webhook, submitted, raised):
        boxes = [(f"box-{n}", "OBJECT_B", 0.0, 0.0, 0.9, 0.9) for n in range(7)]
        asset_id, label_id = submitted(samples.label(*boxes))
        start = webhook(KILI_MAX_ISSUES="5")
        assert start.check(label_id)["over"] == 2
        start.check(label_id)
        assert len(raised(asset_id)) == 5

    def test_more_than_a_hundred_issues_are_raised_a_hundred_at_a_time(self, webhook, kili, submitted, raised):
        boxes = [(f"box-{n}", "OBJECT_B", 0.0, 0.0, 0.9, 0.9) for n in range(130)]
        asset_id, label_id = submitted(samples.label(*boxes))
        webhook().check(label_id)
        assert len(raised(asset_id)) == 130
        assert kili.operations().count("createIssues") == 2


class TestActions:
    def test_log_changes_nothing_in_kili(self, webhook, kili, submitted, caplog):
        _, label_id = submitted()
        answer = webhook(KILI_RULES=doing("log")).check(label_id)
        assert [finding["rule"] for finding in answer["findings"]] == ["box-size"]
        assert not MUTATIONS & set(kili.operations())
        logged = [vars(record) for record in caplog.records if record.message == "finding"]
        assert [(line["rule"], line["text"]) for line in logged] == [("box-size", "A box is too large")]

    def test_issue_leaves_the_asset_where_it_is(self, webhook, kili, submitted, raised):
        asset_id, label_id = submitted()
        webhook(KILI_RULES=doing("issue")).check(label_id)
        assert len(raised(asset_id)) == 1
        assert kili.assets[asset_id]["status"] == "LABELED"

    def test_add_to_review_raises_no_issue_and_comes_once(self, webhook, kili, submitted, raised):
        asset_id, label_id = submitted()
        start = webhook(KILI_RULES=doing("add_to_review"))
        assert [start.check(label_id)["done"]["added_to_review"] for _ in range(2)] == [True, False]
        assert raised(asset_id) == []
        assert kili.assets[asset_id]["status"] == "TO_REVIEW"
        assert kili.operations().count("addAssetsToReview") == 1


class TestDryRun:
    def test_says_what_it_would_do_and_writes_nothing(self, webhook, kili, submitted, raised):
        asset_id, label_id = submitted()
        before = stored()
        answer = webhook(KILI_DRY_RUN="true").check(label_id)
        assert answer["dry_run"] is True
        assert (answer["done"]["created"], answer["done"]["sent_back"]) == (2, True)
        assert len(answer["findings"]) == 2
        assert raised(asset_id) == []
        assert not MUTATIONS & set(kili.operations())
        assert stored() == before


class TestWhereTheRulesAre:
    def test_in_ssm_they_are_read_again_after_a_while(self, webhook, kili, submitted):
        source = doing("log")
        start = webhook(KILI_RULES=source, KILI_RULES_MAX_AGE_S="0")
        assert start.check(submitted()[1])["findings"]
        replace_rules(source, NO_BOX_LARGER_THAN.format(max=0.99, action="log"))
        assert "findings" not in start.check(submitted()[1])

    def test_in_s3(self, webhook, submitted):
        boto3.client("s3").put_object(
            Bucket=BUCKET, Key="team/rules.yaml", Body=NO_BOX_LARGER_THAN.format(max=0.3, action="log").encode()
        )
        assert webhook(KILI_RULES=f"s3://{BUCKET}/team/rules.yaml").check(submitted()[1])["findings"]

    def test_rules_that_become_wrong_leave_those_before_in_force(self, webhook, submitted):
        source = doing("log")
        start = webhook(KILI_RULES=source, KILI_RULES_MAX_AGE_S="0")
        start.check(submitted()[1])
        replace_rules(source, "rules: [")
        assert start.check(submitted()[1])["findings"]

    @pytest.mark.parametrize("source", ["ssm:/annohooks/tests/none", f"s3://{BUCKET}/none", "s3://no-such-bucket/x"])
    def test_rules_that_are_not_there_make_the_webhook_unavailable_until_they_are(
        self, webhook, kili, submitted, source
    ):
        answer = webhook(KILI_RULES=source).post(kili.event(submitted()[1]))
        assert (answer.status, source in answer.json["error"]) == (503, True)

    def test_wrong_rules_outside_the_package_are_an_error_whose_lines_are_in_the_log(
        self, webhook, kili, submitted, caplog
    ):
        answer = webhook(KILI_RULES=rules("version: 1\nrules:\n  - id: Bad Id\n")).post(kili.event(submitted()[1]))
        assert (answer.status, "log" in answer.json["error"]) == (503, True)
        (reason,) = [
            vars(record)["reason"] for record in caplog.records if record.message == "the rules cannot be used"
        ]
        assert ":3:" in reason

    def test_wrong_rules_in_the_package_end_the_function_when_it_starts(self, webhook, tmp_path):
        (tmp_path / "rules.yaml").write_text("version: 1\nrules:\n  - id: Bad Id\n")
        with pytest.raises(SettingsError, match=r"rules\.yaml:3"):
            webhook(KILI_RULES=str(tmp_path / "rules.yaml"))


class TestKeys:
    @pytest.fixture
    def unreachable(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        auth.ssm.cache_clear()
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:9")
        yield
        auth.ssm.cache_clear()

    @pytest.mark.usefixtures("unreachable")
    def test_an_ssm_that_does_not_answer_is_unavailable(self, webhook, kili, submitted):
        assert webhook().post(kili.event(submitted()[1])).status == 503

    def test_a_table_that_is_not_there_is_unavailable_and_nothing_is_written(self, webhook, kili, submitted, raised):
        asset_id, label_id = submitted()
        answer = webhook(KILI_TABLE="nobody-made-this").post(kili.event(label_id))
        assert (answer.status, "table" in answer.json["error"]) == (503, True)
        assert raised(asset_id) == []

    def test_labels_kept_where_it_is_not_allowed_are_refused(self, webhook, kili, submitted):
        start = webhook(KILI_STORAGE_ORIGINS="https://storage.example.org")
        assert start.post(kili.event(submitted()[1])).status == 403
        assert "storage" not in kili.operations()


class TestReconcile:
    @pytest.fixture
    def reconcile(self, webhook: Start) -> Callable[..., dict[str, int]]:
        def run(**environment: str) -> dict[str, int]:
            start = webhook(**({"KILI_PROJECTS": samples.PROJECT} | environment))
            tally: dict[str, int] = start.handler("KiliReconcileFunction")({}, Context("reconcile", 600))
            return tally

        return run

    def test_an_event_that_never_came_is_made_up_for(self, reconcile, kili, submitted, raised):
        asset_id, _ = submitted()
        assert reconcile()["missed"] >= 1
        assert len(raised(asset_id, "OPEN")) == 2
        assert kili.sent_back.count(asset_id) == 1

    def test_what_was_checked_is_left_as_people_have_it_now(self, reconcile, webhook, kili, submitted, raised):
        asset_id, label_id = submitted()
        reconcile()
        for issue in raised(asset_id):
            set_status(kili, issue["id"], "SOLVED")
        kili.calls.clear()
        assert reconcile()["missed"] == 0
        assert not MUTATIONS & set(kili.operations())
        assert raised(asset_id, "OPEN") == []
        webhook().check(label_id)  # an event itself is another matter
        assert len(raised(asset_id, "OPEN")) == 2

    def test_a_label_that_was_edited_since_is_looked_at_again(self, reconcile, webhook, kili, submitted, raised):
        asset_id, label_id = submitted()
        webhook().check(label_id)
        kili.edit(label_id, samples.CORRECTED)
        reconcile()
        assert raised(asset_id, "OPEN") == []

    def test_one_label_that_fails_holds_nothing_up_and_is_told(self, webhook, kili, submitted, raised, caplog):
        (first, _), (second, _) = submitted(), submitted()
        kili.faults.plan("refuses", on="createIssues")
        handler = webhook(KILI_PROJECTS=samples.PROJECT).handler("KiliReconcileFunction")
        with pytest.raises(Unavailable):
            handler({}, Context("reconcile", 600))
        (tally,) = [vars(record) for record in caplog.records if record.message == "reconciled"]
        assert (tally["failed"], tally["left"]) == (1, 0)
        assert len(raised(first)) + len(raised(second)) == 2
        handler({}, Context("reconcile", 600))
        assert len(raised(first)) + len(raised(second)) == 4

    def test_a_project_that_cannot_be_read_does_not_hold_up_the_others(self, webhook, kili, submitted, raised):
        asset_id, _ = submitted()
        kili.faults.plan("refuses", on="events")
        handler = webhook(KILI_PROJECTS=f"another {samples.PROJECT}").handler("KiliReconcileFunction")
        with pytest.raises(Unavailable):
            handler({}, Context("reconcile", 600))
        assert len(raised(asset_id, "OPEN")) == 2

    def test_without_time_it_fails_and_says_what_is_left(self, webhook, kili, submitted, caplog):
        submitted()
        with pytest.raises(Unavailable):
            webhook(KILI_PROJECTS=samples.PROJECT).handler("KiliReconcileFunction")({}, Context("reconcile", 20))
        (tally,) = [vars(record) for record in caplog.records if record.message == "reconciled"]
        assert tally["left"] == tally["found"] > 0

    def test_without_projects_it_fails_and_says_so(self, reconcile, kili):
        with pytest.raises(RuntimeError, match="SettingsError"):
            reconcile(KILI_PROJECTS="")
        assert kili.calls == []
