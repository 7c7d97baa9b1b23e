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

    def test_a_date_that_is_none_is_an_error(self, client: Client) -> None:
        assert client.error('{ countAssets(where: {createdAtGte: "yesterday"}) }').startswith("[invalidDate]")

    def test_metadata_are_the_text_of_an_object(self, kili: Kili, client: Client) -> None:
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
    def test_labels_are_filtered_and_come_in_pages(self, kili: Kili, client: Client) -> None:
        ids = [kili.submit(asset, {}, label_type=kind) for asset in (ASSET, "a2") for kind in ("DEFAULT", "REVIEW")]
        where = {"project": {"id": PROJECT}}
        assert [label["id"] for label in client.labels(**where)] == ids
        assert [label["id"] for label in client.labels(first=2, skip=1, **where)] == ids[1:3]
        assert [label["id"] for label in client.labels(asset={"id": "a2"})] == ids[2:]
        assert [label["id"] for label in client.labels(typeIn=["REVIEW"])] == ids[1::2]
        assert [label["id"] for label in client.labels(idIn=ids[:2], user={"id": "labeller"})] == ids[:2]

    def test_the_json_response_lies_in_the_bucket_behind_a_signed_url(self, kili: Kili, client: Client) -> None:
        label = kili.submit(ASSET, boxes("A"))
        (found,) = client.labels(id=label)
        assert found["jsonResponse"] is None
        assert found["jsonResponseUrl"].startswith(f"{kili.storage}/")
        assert client.http.request("GET", found["jsonResponseUrl"]).json() == boxes("A")
        assert client.http.request("GET", found["jsonResponseUrl"].partition("?")[0]).status == 403
        assert client.http.request("GET", found["jsonResponseUrl"] + "0").status == 403
        assert client.http.request("GET", f"{kili.storage}/").status == 403
        assert kili.violations == []
        assert client.http.request("POST", found["jsonResponseUrl"]).status == 405
        assert len(kili.violations) == 1

    def test_the_key_has_no_business_in_the_bucket(self, kili: Kili, client: Client) -> None:
        (found,) = client.labels(id=kili.submit(ASSET, {}))
        url = found["jsonResponseUrl"]
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

    def test_predictions_replace_older_ones_of_the_model_when_told_to(self, kili: Kili, client: Client) -> None:
        def predict(model: str, overwrite: bool) -> None:
            label = {"assetID": ASSET, "jsonResponse": "{}", "modelName": model}
            data = {"labelType": "PREDICTION", "overwrite": overwrite, "labelsData": [label]}
            client.data(APPEND, data=data, where={"idIn": [ASSET]})

        predict("first", overwrite=False)
        predict("other", overwrite=False)
        predict("first", overwrite=True)
        assert [label["model_name"] for label in kili.labels.values()] == ["other", "first"]
        assert kili.assets[ASSET]["status"] == "TODO"

    def test_labels_that_cannot_be_stored_are_refused_all_together(self, kili: Kili, client: Client) -> None:
        def refused(*labels: dict[str, Any]) -> str:
            return client.error(APPEND, data={"labelsData": list(labels)}, where={"idIn": [ASSET]})

        good = {"assetID": ASSET, "jsonResponse": "{}"}
        assert refused(good, {"assetID": "a2", "jsonResponse": "{}"}).startswith("[assetNotFound]")
        assert refused(good, {"assetID": ASSET, "jsonResponse": "{"}).startswith("[invalidJsonResponse]")
        assert refused(*[good] * 101).startswith("[tooMany]")
        assert kili.labels == {}
        assert kili.violations == [
            "appendManyLabels: a jsonResponse that is not JSON",
            "101 labels in one call, 100 are allowed",
        ]


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

    def test_the_old_mutation_does_the_same_and_tells_the_project_only(self, kili: Kili, client: Client) -> None:
        label = kili.submit(ASSET, {})
        assert client.data(OLD_SEND_BACK, where={"idIn": [ASSET]}) == {"id": PROJECT}
        assert client.data(OLD_SEND_BACK, where={"id": ASSET}) == {"id": PROJECT}
        assert kili.labels[label]["sent_back"]
        assert (kili.sent_back, kili.declined) == ([ASSET], [ASSET])

    @pytest.mark.parametrize(
        ("where", "token"),
        [
            ({"idIn": [ASSET, "nobody"]}, "[assetNotFound]"),
            ({}, "[missingArgument]"),
            ({"idIn": ["a"] * 101}, "[tooMany]"),
        ],
    )
    def test_assets_must_be_named_must_be_there_and_not_be_too_many(
        self, kili: Kili, client: Client, where: dict[str, Any], token: str
    ) -> None:
        kili.submit(ASSET, {})
        assert client.error(SEND_BACK, where=where).startswith(token)
        assert kili.sent_back == []

    def test_only_a_labelled_asset_goes_to_review(self, kili: Kili, client: Client) -> None:
        assert client.data(ADD_TO_REVIEW, where={"idIn": [ASSET]})["declined"]
        kili.submit(ASSET, {})
        assert client.data(ADD_TO_REVIEW, where={"idIn": [ASSET]})["succeeded"]
        assert kili.assets[ASSET]["status"] == "TO_REVIEW"
        assert client.data(ADD_TO_REVIEW, where={"idIn": [ASSET]})["succeeded"]
        kili.submit(ASSET, {}, label_type="REVIEW")
        assert client.data(ADD_TO_REVIEW, where={"idIn": [ASSET]})["declined"]


class TestIssues:
    def test_an_issue_is_open_and_on_its_label_and_object(self, kili: Kili, client: Client) -> None:
        label = kili.submit(ASSET, boxes("A"))
        wanted = {"labelID": label, "objectMid": "mid-0", "type": "ISSUE", "assetId": None, "text": "too large"}
        (made,) = client.data(CREATE_ISSUES, issues=[wanted], where={"project": {"id": PROJECT}})
        assert kili.issues == [
            {
                "id": made["id"],
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
                "id": made["id"],
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

    def test_more_than_a_hundred_in_a_call_are_refused_and_a_violation(self, kili: Kili, client: Client) -> None:
        label = kili.submit(ASSET, {})
        assert len(client.raise_issues(label, *map(str, range(100)))) == 100
        issues = [{"labelID": label, "type": "ISSUE", "text": "one of many"}] * 101
        assert client.error(CREATE_ISSUES, issues=issues, where={"project": {"id": PROJECT}}).startswith("[tooMany]")
        assert len(kili.issues) == 100
        assert kili.violations == ["101 issues in one call, 100 are allowed"]

    def test_issues_are_filtered_and_come_in_pages(self, kili: Kili, client: Client) -> None:
        first, second = kili.submit(ASSET, {}), kili.submit("a2", {})
        client.raise_issues(first, "0", "1", "2")
        (other,) = client.raise_issues(second, "3")
        question = {"assetId": ASSET, "type": "QUESTION", "text": "4"}
        client.data(CREATE_ISSUES, issues=[question], where={"project": {"id": PROJECT}})
        client.data(SET_ISSUE, data={"status": "CANCELLED"}, where={"id": other})

        def texts(first: int = 100, skip: int = 0, **where: Any) -> str:
            return "".join(issue["comments"][0]["text"] for issue in client.issues(first, skip, **where))

        assert texts(project={"id": PROJECT}) == "01234"
        assert texts(2, 1, project={"id": PROJECT}) == "12"
        assert texts(project={"id": PROJECT}, asset={"id": ASSET}, type="ISSUE") == "012"
        assert texts(assetIn=["a2"]) == "3"
        assert texts(status="OPEN") == "0124"
        assert texts(id=other) == "3"
        assert client.data('{ countIssues(where: {project: {id: "p1"}, type: QUESTION}) }') == 1

    def test_an_issue_changes_status_when_it_is_there(self, kili: Kili, client: Client) -> None:
        (issue,) = client.raise_issues(kili.submit(ASSET, {}), "wrong")
        for status in ("SOLVED", "CANCELLED", "OPEN"):
            assert client.data(SET_ISSUE, data={"status": status}, where={"id": issue}) == {
                "id": issue,
                "status": status,
            }
            assert kili.issues[0]["status"] == status
        assert client.error(SET_ISSUE, data={"status": "OPEN"}, where={"id": "?"}).startswith("[issueNotFound]")
        assert client.error(SET_ISSUE, data={}, where={"id": issue}).startswith("[missingArgument]")
