"""Kili's own SDK works against the simulated Kili as against a real one."""

from __future__ import annotations

import json
import warnings
from datetime import datetime

import kili_events
import pytest
from inbox import LARGE, SMALL, Inbox, objects
from kili.client import Kili as Sdk
from kili.domain_api import PluginsNamespace
from kili.exceptions import AuthenticationFailed, GraphQLError, MutationOutcomeUnknownError
from kili_events import EventName
from kili_requests import sdk_of
from requests import HTTPError

from local.simulators.kili.events import matches

PROJECT, ASSET, OTHER_ASSET = "p1", "a1", "a2"
SUBJECTS = EventName.__args__


class TestConstructor:
    def test_every_check_passes_without_a_warning(self, kili, tmp_path):
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            Sdk(
                api_key=kili.api_key,
                api_endpoint=kili.endpoint,
                graphql_client_params={"graphql_schema_cache_dir": tmp_path},
            )
        assert kili.operations() == ["viewer", "version", "__schema", "apiKeys"]
        (schema,) = tmp_path.glob("*.graphql")
        assert "sendAssetsBackToQueue" in schema.read_text()

    def test_a_wrong_key_is_told(self, kili, tmp_path):
        with pytest.raises(AuthenticationFailed, match="does not seem to be valid"):
            Sdk(api_key="wrong", api_endpoint=kili.endpoint)
        assert kili.operations() == ["viewer"]

    def test_without_its_checks_nothing_is_asked(self, kili, monkeypatch):
        sdk = sdk_of(kili, monkeypatch)
        assert kili.calls == []
        assert sdk.count_issues(PROJECT) == 0


class TestProjectsAndAssets:
    def test_projects(self, sdk):
        (project,) = sdk.projects(project_id=PROJECT)
        assert (project["id"], project["inputType"]) == (PROJECT, "IMAGE")
        assert project["jsonInterface"]["jobs"]["JOB_0"]["mlTask"] == "OBJECT_DETECTION"
        assert sdk.count_projects() == 1

    def test_assets_with_their_labels(self, kili, sdk):
        kili.submit(ASSET, objects(SMALL), author="ada")
        first, second = sdk.assets(project_id=PROJECT)
        assert (first["id"], first["status"], first["resolution"]) == (ASSET, "LABELED", {"width": 640, "height": 480})
        assert first["labels"][0]["jsonResponse"] == objects(SMALL)
        assert first["labels"][0]["author"]["id"] == "ada"
        assert (second["status"], second["labels"], second["jsonMetadata"]) == ("TODO", [], {})
        (latest,) = sdk.assets(PROJECT, asset_id=ASSET, fields=["latestLabel.jsonResponse", "latestLabels.id"])
        assert latest["latestLabel"]["jsonResponse"] == objects(SMALL)
        assert sdk.count_assets(PROJECT, status_in=["LABELED"]) == 1
        assert sdk.count_assets(PROJECT, external_id_strictly_in=["picture-2"]) == 1


class TestLabels:
    def test_a_label_comes_with_the_json_response_from_the_bucket(self, kili, sdk):
        label = kili.submit(ASSET, objects(LARGE), author="ada")
        kili.submit(ASSET, objects(SMALL), author="bert")
        (found,) = sdk.labels(project_id=PROJECT, label_id=label)
        assert found["jsonResponse"] == objects(LARGE)
        assert (found["author"]["id"], found["assetId"], found["isLatestLabelForUser"]) == ("ada", ASSET, True)
        assert kili.operations() == ["projects", "countLabels", "labels", "storage"]

    def test_parsed_labels(self, kili, sdk):
        kili.submit(ASSET, objects(LARGE))
        (label,) = sdk.labels(PROJECT, output_format="parsed_label")
        (annotation,) = label.jobs["JOB_0"].annotations
        assert (annotation.category.name, annotation.mid) == ("OBJECT_A", LARGE["mid"])

    def test_labels_can_be_appended_by_external_id_and_in_large_numbers(self, kili, sdk):
        many = {"asset_external_id_array": ["picture-1"] * 150, "json_response_array": [objects(SMALL)] * 150}
        sdk.append_labels(**many, project_id=PROJECT, seconds_to_label_array=[4] * 150)
        assert sdk.count_labels(PROJECT) == 150
        assert {label["author"] for label in kili.labels.values()} == {kili.bot_id}
        assert kili.operations().count("appendManyLabels") == 2

    def test_a_body_over_a_megabyte_comes_packed(self, kili, sdk):
        sdk.append_labels(asset_id_array=[ASSET], json_response_array=[{"JOB": {"text": "word " * 300_000}}])
        (call,) = kili.calls
        assert call.headers["Content-Encoding"] == "gzip"
        (label,) = kili.labels.values()
        assert len(label["json_response"]["JOB"]["text"]) == 1_500_000

    def test_predictions_are_overwritten(self, kili, sdk):
        for overwrite in (False, True):
            label = {"asset_id_array": [ASSET], "json_response_array": [{}], "model_name": "m"}
            sdk.append_labels(**label, label_type="PREDICTION", overwrite=overwrite)
        assert len(kili.labels) == 1


class TestIssues:
    def test_issues_come_and_go(self, kili, sdk):
        label = kili.submit(ASSET, objects(LARGE))
        created = sdk.create_issues(PROJECT, [label] * 2, [LARGE["mid"], None], ["too large", "something else"])
        fields = ["id", "status", "objectMid", "comments.text", "author.id", "assetId"]
        first, second = sdk.issues(PROJECT, asset_id=ASSET, status="OPEN", issue_type="ISSUE", fields=fields)
        assert (first["id"], first["status"], first["objectMid"]) == (created[0]["id"], "OPEN", LARGE["mid"])
        assert (first["comments"], first["author"]) == ([{"text": "too large"}], {"id": kili.bot_id})
        assert (first["assetId"], second["id"], second["objectMid"]) == (ASSET, created[1]["id"], None)
        assert sdk.update_issue_status(first["id"], "SOLVED") == {"updatePropertiesInIssue": {"id": first["id"]}}
        assert sdk.count_issues(PROJECT, asset_id=ASSET, status="OPEN") == 1
        assert sdk.count_issues(PROJECT, asset_id_in=[OTHER_ASSET]) == 0

    def test_a_hundred_fit_one_call(self, kili, sdk):
        label = kili.submit(ASSET, {})
        sdk.create_issues(PROJECT, [label] * 250, text_array=[str(number) for number in range(250)])
        assert [issue["text"] for issue in kili.issues] == [str(number) for number in range(250)]
        assert kili.operations() == ["createIssues"] * 3
        assert len(sdk.issues(PROJECT)) == 250


class TestQueue:
    def test_sending_back_succeeds_once_and_is_declined_then(self, kili, sdk):
        kili.submit(ASSET, {})
        reference = {"assetId": ASSET, "externalId": "picture-1"}
        assert sdk.send_back_to_queue([ASSET]) == {"succeeded": [reference], "declined": [], "failed": []}
        assert sdk.send_back_to_queue([ASSET]) == {"succeeded": [], "declined": [reference], "failed": []}
        assert kili.operations() == ["sendAssetsBackToQueue"] * 2
        assert sdk.assets(PROJECT, asset_id=ASSET, fields=["status"])[0]["status"] == "ONGOING"
        assert sdk.labels(PROJECT, fields=["isSentBackToQueue"]) == [{"isSentBackToQueue": True}]

    def test_assets_are_found_by_their_external_ids(self, kili, sdk):
        kili.submit(OTHER_ASSET, {})
        assert sdk.send_back_to_queue(external_ids=["picture-2"], project_id=PROJECT)["succeeded"]
        assert kili.sent_back == [OTHER_ASSET]

    def test_adding_to_review(self, kili, sdk):
        kili.submit(ASSET, {})
        outcome = sdk.add_to_review([ASSET, OTHER_ASSET])
        assert [asset["assetId"] for asset in outcome["succeeded"]] == [ASSET]
        assert [asset["assetId"] for asset in outcome["declined"]] == [OTHER_ASSET]
        assert kili.assets[ASSET]["status"] == "TO_REVIEW"


class TestAuditLog:
    def test_events_are_listed_page_by_page(self, kili, sdk):
        for _ in range(120):
            kili.submit(ASSET, objects(SMALL))
        rows = sdk.events.list(PROJECT, event="labels.created.submit")
        assert rows == kili.audit[-120:]
        assert all("jsonResponse" not in json.dumps(row) for row in rows)
        assert sdk.events.list(PROJECT, created_at_gte="2100-01-01T00:00:00.000Z") == []
        assert sdk.events.list(PROJECT, order="desc", skip=1, event="labels.created.submit")[0] == rows[-2]
        assert sdk.events.list(PROJECT, from_event_id=rows[3]["id"], until_event_id=rows[5]["id"]) == rows[3:6]
        assert datetime.fromisoformat(rows[0]["createdAt"]).tzinfo is not None


class TestWebhooks:
    def test_a_webhook_is_created_changed_activated_and_deleted(self, kili, sdk):
        sdk.create_webhook("http://127.0.0.1:1/", "w", header="secret")
        sdk.activate_plugin_on_project("w", PROJECT)
        subscribed = {"handler_types": ["onSubmit", "onReview"], "event_matcher": [], "projects": [PROJECT]}
        assert kili.webhooks["w"] == {"url": "http://127.0.0.1:1/", "header": "secret", **subscribed}
        (listed,) = sdk.list_plugins()
        assert (listed["name"], listed["projectIds"]) == ("w", [PROJECT])
        sdk.update_webhook("http://127.0.0.1:1/new", "w", new_header="other", event_matcher=["label.workflow.*"])
        assert (kili.webhooks["w"]["url"], kili.webhooks["w"]["header"]) == ("http://127.0.0.1:1/new", "other")
        assert kili.webhooks["w"]["event_matcher"] == ["label.workflow.*"]
        sdk.deactivate_plugin_on_project("w", PROJECT)
        assert kili.webhooks["w"]["projects"] == []
        sdk.delete_plugin("w")
        assert sdk.list_plugins() == []

    def test_what_is_there_already_is_told_in_the_words_the_sdk_looks_for(self, kili, sdk):
        kili.create_webhook("w", "http://127.0.0.1:1/", PROJECT)
        with pytest.raises(GraphQLError, match="an entity Plugin already exists with value"):
            sdk.create_webhook("http://127.0.0.1:1/", "w")
        with pytest.raises(GraphQLError, match="an entity Project already exists with value"):
            sdk.activate_plugin_on_project("w", PROJECT)


class TestDomainInterface:
    def test_the_newer_interface_works_as_well(self, kili, domain_sdk):
        domain_sdk.labels.create_default(asset_id=ASSET, json_response=objects(LARGE), project_id=PROJECT)
        (label,) = domain_sdk.labels.list(PROJECT)
        assert label["jsonResponse"] == objects(LARGE)
        domain_sdk.issues.create(project_id=PROJECT, label_id=label["id"], text="too large")
        (issue,) = domain_sdk.issues.list(PROJECT)
        assert issue["comments"][0]["text"] == "too large"
        assert issue["comments"][0]["authorIdUser"] == kili.bot_id
        domain_sdk.issues.solve(issue_id=issue["id"])
        assert domain_sdk.issues.count(PROJECT, filter={"status": "SOLVED"}) == 1
        assert domain_sdk.assets.invalidate(asset_id=ASSET)["succeeded"]
        domain_sdk.labels.create_review(
            asset_id=ASSET, json_response={}, project_id=PROJECT, reviewed_label_id=label["id"]
        )
        assert domain_sdk.labels.count(PROJECT) == 2
        assert [asset["status"] for asset in domain_sdk.assets.list(PROJECT)] == ["REVIEWED", "TODO"]
        assert [project["id"] for project in domain_sdk.projects.list()] == [PROJECT]

    def test_webhooks_of_the_newer_interface(self, kili, domain_sdk):
        plugins = PluginsNamespace(domain_sdk.legacy_client, domain_sdk.legacy_client.kili_api_gateway)
        webhooks = plugins.webhooks
        webhooks.create("http://127.0.0.1:1/", "w", header="Bearer token123", event_pattern="label.workflow.*")
        plugins.activate("w", PROJECT)
        assert kili.webhooks["w"]["event_matcher"] == ["label.workflow.*"]
        webhooks.update("http://127.0.0.1:1/", "w", handler_type="onSubmit")
        assert kili.webhooks["w"]["handler_types"] == ["onSubmit"]
        assert [plugin["name"] for plugin in plugins.list()] == ["w"]
        plugins.deactivate("w", PROJECT)
        plugins.delete("w")
        assert kili.webhooks == {}


class TestTryingAgain:
    """What the SDK does when things go wrong, which is the yardstick for our own client."""

    @pytest.mark.parametrize("fault", ["unknown_outcome", "http_500", "http_502", "drops", "truncated_json"])
    def test_a_mutation_of_unknown_outcome_is_sent_once(self, kili, sdk, fault):
        label = kili.submit(ASSET, {})
        kili.faults.add(fault)
        with pytest.raises(MutationOutcomeUnknownError):
            sdk.create_issues(PROJECT, [label], text_array=["wrong"])
        assert kili.operations() == ["createIssues"]
        assert len(kili.issues) == (0 if fault.startswith("http_") else 1)

    @pytest.mark.parametrize(("fault", "attempts"), [("http_502", 5), ("drops", 5), ("http_500", 1)])
    def test_a_query_is_sent_a_bounded_number_of_times(self, kili, sdk, fault, attempts):
        kili.faults.add(fault)
        with pytest.raises(Exception, match=r"502|500|closed connection"):
            sdk.count_issues(PROJECT)
        assert kili.operations() == ["countIssues"] * attempts

    @pytest.mark.parametrize("fault", ["http_429", "refused_503", "rejects_key"])
    def test_what_was_not_carried_out_is_sent_again_mutations_too(self, kili, sdk, fault):
        kili.retry_after = "0"
        label = kili.submit(ASSET, {})
        kili.faults.plan(fault, on="createIssues", times=2)
        sdk.create_issues(PROJECT, [label], text_array=["wrong"])
        assert kili.operations() == ["createIssues"] * 3
        assert len(kili.issues) == 1

    def test_a_refusal_is_final(self, kili, sdk):
        kili.faults.add("refuses")
        with pytest.raises(GraphQLError, match=r"\[serviceUnavailable\]"):
            sdk.count_issues(PROJECT)
        assert kili.operations() == ["countIssues"]

    def test_a_bucket_that_fails_is_not_asked_again(self, kili, sdk):
        kili.submit(ASSET, {})
        kili.faults.add("storage_fails")
        with pytest.raises(HTTPError, match="500"):
            sdk.labels(PROJECT)
        assert kili.operations().count("storage") == 1


class TestEventModels:
    def test_whole_events_are_those_of_the_vendors_models(self, kili, sdk):
        with Inbox() as inbox:
            kili.create_webhook("w", inbox.url, PROJECT, event_matcher=["label.*", "asset.*"])
            label = kili.submit(ASSET, objects(LARGE))
            for kind in ("REVIEW", "PREDICTION", "INFERENCE"):
                kili.submit(ASSET, {}, label_type=kind)
            (issue,) = sdk.create_issues(PROJECT, [label], [LARGE["mid"]], ["too large"])
            sdk.update_issue_status(issue["id"], "SOLVED")
            sdk.update_issue_status(issue["id"], "CANCELLED")
            sdk.send_back_to_queue([ASSET])
            sdk.update_properties_in_assets(asset_ids=[ASSET], json_metadatas=[{"checked": 1}])
            kili.edit(label, {})
            kili.settle()
        told = {body["event"]: kili_events.parse_event(body) for body in inbox.bodies}
        assert told.keys() == {
            *(f"label.workflow.created.{name}" for name in ("default", "review", "prediction", "inference")),
            *("label.workflow.edited", "asset.issue.created", "asset.issue.resolved", "asset.issue.cancelled"),
            *("asset.workflow.currentStep.statusChanged", "asset.updated"),
        }
        assert told["label.workflow.edited"].payload.label_id == label
        assert told["asset.issue.created"].payload.object_mid == LARGE["mid"]

    @pytest.mark.parametrize(
        "pattern", ["label.workflow.*", "asset.*", "asset.*.created", "label.*.default", "project.created", "label"]
    )
    def test_patterns_match_as_the_vendors_do(self, pattern):
        assert [subject for subject in SUBJECTS if matches(pattern, subject)] == sorted(
            kili_events.events_matching(pattern)
        )
