"""The simulated Kili keeps assets, labels and issues, and filters them."""

from __future__ import annotations

from typing import Any

import pytest
from kili_client import (
    ADD_TO_REVIEW,
    APPEND,
    ASSET,
    CREATE_ISSUES,
    OLD_SEND_BACK,
    PROJECT,
    SEND_BACK,
    SET_ASSETS,
    SET_ISSUE,
    Client,
    boxes,
)

from local.simulators.kili import Kili

pytestmark = pytest.mark.thorough


class TestProjectsAndAssets:
    @pytest.mark.parametrize(
        ("where", "count"),
        [
            ('project: {id: "p1"}', 2),
            ('project: {id: "other"}', 0),
            ('id: "a1"', 1),
            ('idIn: ["a1", "a2", "a3"]', 2),
            ('idNotIn: ["a1"]', 1),
            ('externalIdIn: ["picture"]', 2),
            ('externalIdStrictlyIn: ["picture", "picture-2"]', 1),
            ("statusIn: [LABELED, REVIEWED]", 1),
            ("skipped: true", 0),
            ("label: {typeIn: [DEFAULT]}", 1),
            ("label: {typeIn: [REVIEW]}", 0),
            ("issue: {status: OPEN}", 1),
            ("issue: {status: SOLVED}", 0),
            ('createdAtGte: "2100-01-01"', 0),
            ('createdAtLte: "2100-01-01T00:00:00.000Z"', 2),
        ],
    )
    def test_assets_are_found_by(self, kili: Kili, client: Client, where: str, count: int) -> None:
        client.raise_issues(kili.submit(ASSET, {}), "wrong")
        assert client.data(f"{{ countAssets(where: {{{where}}}) }}") == count

    def test_metadata_must_be_an_object_as_text(self, kili: Kili, client: Client) -> None:
        assert client.data(SET_ASSETS, where=[{"id": ASSET}], data=[{"jsonMetadata": '{"accuracy": 1}'}]) == [
            {"id": ASSET}
        ]
        assert kili.assets[ASSET]["metadata"] == {"accuracy": 1}
        for wrong in ("{", "[]"):
            refused = client.error(SET_ASSETS, where=[{"id": ASSET}], data=[{"jsonMetadata": wrong}])
            assert refused.startswith("[invalidMetadata]")
        assert client.error(SET_ASSETS, where=[{"id": ASSET}], data=[]).startswith("[invalidArguments]")
        assert kili.assets[ASSET]["metadata"] == {"accuracy": 1}


class TestLabels:
    def test_the_json_response_lies_in_the_bucket_behind_a_signed_url(self, kili: Kili, client: Client) -> None:
        label = kili.submit(ASSET, boxes("A"))
        (answer,) = client.labels(id=label)
        assert answer["jsonResponse"] is None
        assert answer["jsonResponseUrl"].startswith(f"{kili.storage}/")
        assert client.http.request("GET", answer["jsonResponseUrl"]).json() == boxes("A")
        assert client.http.request("GET", answer["jsonResponseUrl"].partition("?")[0]).status == 403
        assert client.http.request("GET", answer["jsonResponseUrl"] + "0").status == 403
        assert client.http.request("GET", f"{kili.storage}/").status == 403
        assert kili.violations == []
        assert client.http.request("POST", answer["jsonResponseUrl"]).status == 405
        assert len(kili.violations) == 1

    def test_the_bucket_refuses_requests_with_the_key(self, kili: Kili, client: Client) -> None:
        (answer,) = client.labels(id=kili.submit(ASSET, {}))
        url = answer["jsonResponseUrl"]
        for headers in (client.headers, {"Authorization": "Bearer other"}, {"X-Key": kili.api_key}):
            assert client.http.request("GET", url, headers=headers).status == 400
        assert client.http.request("GET", f"{url}&key={kili.api_key}").status == 400
        assert kili.violations == ["the API key was sent to the bucket"] * 4

    def test_the_latest_label_of_each_author_is_marked(self, kili: Kili, client: Client) -> None:
        def marked() -> list[tuple[bool, bool, bool]]:
            return [
                (
                    label["isLatestLabelForUser"],
                    label["isLatestDefaultLabelForUser"],
                    label["isLatestReviewLabelForUser"],
                )
                for label in client.labels(asset={"id": ASSET})
            ]

        kili.submit(ASSET, {}, author="ada")
        kili.submit(ASSET, {}, author="bert")
        kili.submit(ASSET, {}, author="model", label_type="PREDICTION")
        assert marked() == [(True, True, False), (True, True, False), (False, False, False)]
        kili.submit(ASSET, {}, author="ada")
        assert marked()[0] == (False, False, False)
        kili.submit(ASSET, {}, author="ada", label_type="REVIEW")
        assert marked()[3:] == [(False, True, False), (True, False, True)]
        assert marked()[1] == (True, True, False)

    def test_overwrite_replaces_older_predictions_of_the_model(self, kili: Kili, client: Client) -> None:
        def predict(model: str, overwrite: bool) -> None:
            label = {"assetID": ASSET, "jsonResponse": "{}", "modelName": model}
            data = {"labelType": "PREDICTION", "overwrite": overwrite, "labelsData": [label]}
            client.data(APPEND, data=data, where={"idIn": [ASSET]})

        predict("first", overwrite=False)
        predict("other", overwrite=False)
        predict("first", overwrite=True)
        assert [label["model_name"] for label in kili.labels.values()] == ["other", "first"]
        assert kili.assets[ASSET]["status"] == "TODO"


class TestQueue:
    @pytest.mark.parametrize(
        ("label_type", "status"),
        [
            ("DEFAULT", "LABELED"),
            ("REVIEW", "REVIEWED"),
            ("AUTOSAVE", "ONGOING"),
            ("PREDICTION", "TODO"),
            ("INFERENCE", "TODO"),
        ],
    )
    def test_a_label_moves_its_asset_on(self, kili: Kili, label_type: str, status: str) -> None:
        kili.submit(ASSET, {}, label_type=label_type)
        assert kili.assets[ASSET]["status"] == status

    def test_sending_back_marks_the_latest_labels_and_is_declined_the_second_time(
        self, kili: Kili, client: Client
    ) -> None:
        old, new = kili.submit(ASSET, {}), kili.submit(ASSET, {})
        reference = {"assetId": ASSET, "externalId": "picture-1"}
        assert client.data(SEND_BACK, where={"idIn": [ASSET]}) == {
            "succeeded": [reference],
            "declined": [],
            "failed": [],
        }
        assert kili.assets[ASSET]["status"] == "ONGOING"
        assert (kili.labels[old]["sent_back"], kili.labels[new]["sent_back"]) == (False, True)
        assert client.data(SEND_BACK, where={"idIn": [ASSET, "a2"]}) == {
            "succeeded": [],
            "declined": [reference, {"assetId": "a2", "externalId": "picture-2"}],
            "failed": [],
        }
        assert kili.sent_back == [ASSET]
        assert kili.declined == [ASSET, "a2"]
        assert kili.violations == []

    def test_the_old_mutation_does_the_same_and_returns_the_project_only(self, kili: Kili, client: Client) -> None:
        label = kili.submit(ASSET, {})
        assert client.data(OLD_SEND_BACK, where={"idIn": [ASSET]}) == {"id": PROJECT}
        assert client.data(OLD_SEND_BACK, where={"id": ASSET}) == {"id": PROJECT}
        assert kili.labels[label]["sent_back"]
        assert (kili.sent_back, kili.declined) == ([ASSET], [ASSET])

    def test_only_a_labelled_asset_goes_to_review(self, kili: Kili, client: Client) -> None:
        assert client.data(ADD_TO_REVIEW, where={"idIn": [ASSET]})["declined"]
        kili.submit(ASSET, {})
        assert client.data(ADD_TO_REVIEW, where={"idIn": [ASSET]})["succeeded"]
        assert kili.assets[ASSET]["status"] == "TO_REVIEW"
        assert client.data(ADD_TO_REVIEW, where={"idIn": [ASSET]})["succeeded"]
        kili.submit(ASSET, {}, label_type="REVIEW")
        assert client.data(ADD_TO_REVIEW, where={"idIn": [ASSET]})["declined"]


class TestLimits:
    def test_an_action_names_existing_assets_and_at_most_a_hundred_items(self, kili: Kili, client: Client) -> None:
        assert client.error(SEND_BACK, where={"idIn": [ASSET, "nobody"]}).startswith("[assetNotFound]")
        assert client.error(SEND_BACK, where={}).startswith("[missingArgument]")
        assert client.error(SEND_BACK, where={"idIn": ["a"] * 101}).startswith("[tooMany]")
        issues = [{"labelID": kili.submit(ASSET, {}), "type": "ISSUE", "text": "one of many"}] * 101
        where = {"project": {"id": PROJECT}}
        assert client.error(CREATE_ISSUES, issues=issues, where=where).startswith("[tooMany]")
        assert len(client.data(CREATE_ISSUES, issues=issues[1:], where=where)) == len(kili.issues) == 100
        assert kili.violations == [f"101 {what} in one call, 100 are allowed" for what in ("assets", "issues")]


class TestIssues:
    def test_an_issue_is_open_and_on_its_label_and_object(self, kili: Kili, client: Client) -> None:
        label = kili.submit(ASSET, boxes("A"))
        issue = {"labelID": label, "objectMid": "mid-0", "type": "ISSUE", "assetId": None, "text": "too large"}
        (created,) = client.data(CREATE_ISSUES, issues=[issue], where={"project": {"id": PROJECT}})
        assert kili.issues == [
            {
                "id": created["id"],
                "status": "OPEN",
                "type": "ISSUE",
                "text": "too large",
                "mid": "mid-0",
                "label": label,
                "asset": ASSET,
                "project": PROJECT,
                "author": kili.bot_id,
            }
        ]
        assert client.issues(project={"id": PROJECT}) == [
            {
                "id": created["id"],
                "status": "OPEN",
                "type": "ISSUE",
                "objectMid": "mid-0",
                "assetId": ASSET,
                "labelId": label,
                "author": {"id": kili.bot_id},
                "comments": [{"text": "too large"}],
            }
        ]

    def test_issues_are_raised_all_or_none(self, kili: Kili, client: Client) -> None:
        label = kili.submit(ASSET, {})

        def refused(project: str = PROJECT, **last: Any) -> str:
            issues = [{"labelID": label, "type": "ISSUE", "text": "fine"}, {"type": "ISSUE", "text": "not", **last}]
            return client.error(CREATE_ISSUES, issues=issues, where={"project": {"id": project}})

        assert refused(labelID="nobody").startswith("[labelNotFound]")
        assert refused(assetId="nobody").startswith("[assetNotFound]")
        assert refused().startswith("[assetNotFound]")
        assert refused("nowhere", labelID=label).startswith("[projectNotFound]")
        kili.add_project("other")
        assert refused("other", labelID=label).startswith("[assetNotFound]")
        assert kili.issues == []
        assert kili.violations == []

    def test_an_issue_changes_status_if_it_exists(self, kili: Kili, client: Client) -> None:
        (issue,) = client.raise_issues(kili.submit(ASSET, {}), "wrong")
        for status in ("SOLVED", "CANCELLED", "OPEN"):
            assert client.data(SET_ISSUE, data={"status": status}, where={"id": issue}) == {
                "id": issue,
                "status": status,
            }
            assert kili.issues[0]["status"] == status
        assert client.error(SET_ISSUE, data={"status": "OPEN"}, where={"id": "?"}).startswith("[issueNotFound]")
        assert client.error(SET_ISSUE, data={}, where={"id": issue}).startswith("[missingArgument]")
