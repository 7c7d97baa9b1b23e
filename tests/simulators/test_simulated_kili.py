"""The simulated Kili behaves as the protocol reference says, and notes what is done against it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import urllib3
from kili_client import (
    ACTIVATE,
    ADD_TO_REVIEW,
    APPEND,
    ASSET,
    CREATE_ISSUES,
    CREATE_WEBHOOK,
    DEACTIVATE,
    DELETE_PLUGIN,
    OLD_SEND_BACK,
    PROJECT,
    SEND_BACK,
    SET_ASSETS,
    SET_ISSUE,
    UPDATE_WEBHOOK,
    VIEWER,
    Client,
    Receiver,
    boxes,
)

from local.simulators.kili import Kili, asking
from local.simulators.kili.api import MAX_DEPTH, MAX_QUERY, MAX_TOKENS
from local.simulators.kili.events import matches, names

pytestmark = pytest.mark.thorough

JSON = {"Content-Type": "application/json"}


def furnished(kili: Kili) -> Kili:
    kili.add_project(PROJECT, json_interface={"jobs": {"JOB_0": {"mlTask": "OBJECT_DETECTION"}}})
    kili.add_asset(PROJECT, ASSET, external_id="picture-1", width=640, height=480)
    kili.add_asset(PROJECT, "a2", external_id="picture-2")
    return kili


@pytest.fixture
def kili() -> Iterator[Kili]:
    with Kili() as simulated:
        yield furnished(simulated)


@pytest.fixture
def client(kili: Kili) -> Client:
    return Client(kili)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


class TestRequests:
    def test_the_viewer_is_the_user_whose_key_it_is(self, kili: Kili, client: Client) -> None:
        assert client.data(VIEWER) == {"id": kili.bot_id, "email": "bot@example.org"}
        kili.add_user("ada", api_key="key-of-ada")
        client.headers["Authorization"] = "X-API-Key: key-of-ada"
        assert client.data(VIEWER)["id"] == "ada"
        assert kili.violations == []

    def test_a_key_can_be_chosen(self) -> None:
        with Kili(api_key="chosen") as kili:
            client = Client(kili)
            assert client.headers["Authorization"] == "X-API-Key: chosen"
            assert client.data(VIEWER)["id"] == kili.bot_id

    def test_a_wrong_key_is_401_and_no_key_is_a_violation_as_well(self, kili: Kili, client: Client) -> None:
        body = json.dumps({"query": VIEWER}).encode()
        assert client.post(body, JSON | {"Authorization": "X-API-Key: wrong"}).status == 401
        assert kili.violations == []
        for headers in (JSON, JSON | {"Authorization": kili.api_key}, JSON | {"Authorization": "X-API-Key: "}):
            assert client.post(body, headers).status == 401
        assert kili.violations == ["a request without an API key: /api/label/v2/graphql"] * 3

    def test_a_user_without_a_key_cannot_be_guessed(self, kili: Kili, client: Client) -> None:
        kili.add_user("browser-only")
        client.headers["Authorization"] = "X-API-Key: None"
        assert client.send(VIEWER).status == 401

    def test_every_request_is_noted_with_operation_variables_and_headers(self, kili: Kili, client: Client) -> None:
        label = kili.submit(ASSET, {})
        (found,) = client.labels(id=label)
        client.http.request("GET", found["jsonResponseUrl"])
        client.http.request("GET", f"{kili.origin}/api/label/v2/version")
        client.post(b"?")
        assert kili.operations() == ["labels", "storage", "version", ""]
        assert kili.calls[0].variables == {"where": {"id": label}, "first": 100, "skip": 0}
        assert kili.calls[0].headers["Content-Type"] == "application/json"
        assert "jsonResponseUrl" in kili.calls[0].query
        assert kili.api_key not in repr(kili.calls[0].query)

    def test_waiting_for_calls_ends_when_they_do_not_come(self, kili: Kili, client: Client) -> None:
        client.data(VIEWER)
        kili.wait_for_calls(1)
        with pytest.raises(TimeoutError, match="1 of 2 requests"):
            kili.wait_for_calls(2, timeout_s=0.01)

    @pytest.mark.parametrize(
        ("body", "violation"),
        [
            (b"not json", "a body that is not JSON"),
            (b"[" * 100_000, "a body that is not JSON"),
            (b"[]", "a body without a query"),
            (b'{"query": 3}', "a body without a query"),
            (b'{"query": "{ viewer { id } }", "variables": []}', "variables that are no object"),
            (b'{"query": "{ viewer { "}', "Syntax Error"),
            (b'{"query": "query a { viewer { id } } query b { viewer { id } }"}', "a document of 2 operations"),
            (b'{"query": "%s"}' % (b"{a" * (MAX_DEPTH + 1)), f"a document {MAX_DEPTH + 1} levels deep"),
            (b'{"query": "{ %s }"}' % (b"a " * (MAX_TOKENS + 1)), "Document contains more than"),
            (b'{"query": "%s"}' % (b" " * (MAX_QUERY + 1)), "characters"),
        ],
    )
    def test_what_is_no_operation_is_400_and_a_violation(
        self, kili: Kili, client: Client, body: bytes, violation: str
    ) -> None:
        reply = client.post(body)
        assert reply.status == 400
        assert violation in reply.json()["errors"][0]["message"]
        (noted,) = kili.violations
        assert violation in noted

    @pytest.mark.parametrize(
        ("query", "violation"),
        [
            ("{ viewer { password } }", 'viewer: Cannot query field "password" on type "User".'),
            ("mutation { destroy }", 'destroy: Cannot query field "destroy" on type "Mutation".'),
            ("{ labels(where: {colour: 1}, first: 1, skip: 0) { id } }", 'labels: Field "colour" is not defined'),
        ],
    )
    def test_what_the_schema_does_not_have_is_400_and_a_violation(
        self, kili: Kili, client: Client, query: str, violation: str
    ) -> None:
        reply = client.send(query)
        (error,) = reply.json()["errors"]
        assert (reply.status, error["extensions"]["code"]) == (400, "GRAPHQL_VALIDATION_FAILED")
        (noted,) = kili.violations
        assert noted.startswith(violation)
        assert noted.endswith(error["message"])

    @pytest.mark.parametrize(
        "variables",
        [
            {"where": {}, "first": 101, "skip": 0},
            {"where": {}, "first": True, "skip": 0},
            {"where": {}, "skip": 0},
            {"where": {"typeIn": ["DRAFT"]}, "first": 1, "skip": 0},
            {"where": {"assetId": ASSET}, "first": 1, "skip": 0},
        ],
    )
    def test_variables_that_do_not_fit_are_400_and_a_violation(
        self, kili: Kili, client: Client, variables: dict[str, Any]
    ) -> None:
        reply = client.send(
            "query ($where: LabelWhere!, $first: PageSize!, $skip: Int!) "
            "{ data: labels(where: $where, first: $first, skip: $skip) { id } }",
            **variables,
        )
        assert (reply.status, reply.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_USER_INPUT")
        assert len(kili.violations) == 1

    def test_an_error_has_kilis_shape(self, kili: Kili, client: Client) -> None:
        reply = client.send(SEND_BACK, where={"idIn": ["nobody"]})
        assert reply.status == 200
        answer = reply.json()
        assert answer["data"] is None
        (error,) = answer["errors"]
        assert error["message"] == "[assetNotFound] there is no asset nobody"
        assert error["extensions"] == {"code": "OPERATION_RESOLUTION_FAILURE", "context": {}}
        assert error["path"] == ["data"]
        assert kili.violations == []

    def test_other_methods_types_and_paths_are_refused(self, kili: Kili, client: Client) -> None:
        body = json.dumps({"query": VIEWER}).encode()
        assert client.http.request("GET", kili.endpoint).status == 405
        assert client.post(body, client.headers | {"Content-Type": "text/plain"}).status == 415
        assert client.http.request("GET", f"{kili.origin}/nowhere").status == 404
        assert client.http.request("POST", f"{kili.origin}/api/label/v2/version").status == 404
        assert len(kili.violations) == 4

    def test_a_body_of_unknown_length_is_refused(self, kili: Kili, client: Client) -> None:
        chunks = iter([json.dumps({"query": VIEWER}).encode()])
        assert client.http.request("POST", kili.endpoint, body=chunks, headers=client.headers).status == 400
        assert kili.violations == ["a body of unknown length"]

    def test_a_packed_body_is_unpacked_but_not_beyond_what_is_taken(
        self, kili: Kili, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        packed = client.headers | {"Content-Encoding": "gzip"}
        assert client.post(gzip.compress(json.dumps({"query": VIEWER}).encode()), packed).status == 200
        assert kili.violations == []
        monkeypatch.setattr(asking, "MAX_BODY_BYTES", 1000)
        assert client.post(gzip.compress(b" " * 1001), packed).status == 400
        assert client.post(b" " * 1001).status == 400
        assert client.post(b"no gzip", packed).status == 400
        assert client.post(b"{}", client.headers | {"Content-Encoding": "br"}).status == 400
        assert kili.violations == [
            "a body of more than 1000 bytes, unpacked",
            "a body of 1001 bytes, 1000 are taken",
            "a body that is not gzip",
            "a body in br",
        ]

    def test_a_filter_that_is_not_simulated_is_an_error_unless_it_is_empty(self, kili: Kili, client: Client) -> None:
        kili.submit(ASSET, {})
        assert client.error('{ countLabels(where: {search: "JOB_0.A.count > 0"}) }').startswith("[notSimulated]")
        assert client.data("{ countLabels(where: {search: null, asset: {label: {search: null}, issue: {}}}) }") == 1

    def test_many_clients_at_once_lose_nothing(self, kili: Kili, client: Client) -> None:
        label = kili.submit(ASSET, {})
        with ThreadPoolExecutor(16) as pool:
            made = list(pool.map(lambda number: client.raise_issues(label, f"{number}a", f"{number}b"), range(40)))
        assert len({issue for ids in made for issue in ids}) == 80
        assert sorted(issue["text"] for issue in kili.issues) == sorted(
            f"{number}{letter}" for number in range(40) for letter in "ab"
        )
        assert kili.violations == []


class TestProjectsAndAssets:
    def test_a_project_has_its_type_and_its_interface_as_text(self, client: Client) -> None:
        (project,) = client.data('{ projects(where: {id: "p1"}, first: 1, skip: 0) { id inputType jsonInterface } }')
        assert project["inputType"] == "IMAGE"
        assert json.loads(project["jsonInterface"]) == {"jobs": {"JOB_0": {"mlTask": "OBJECT_DETECTION"}}}
        assert client.data('{ projects(where: {id: "other"}, first: 1, skip: 0) { id } }') == []

    def test_a_project_can_be_created(self, kili: Kili, client: Client) -> None:
        create = "mutation ($data: CreateProjectData!) { data: createProject(data: $data) { id } }"
        wanted = {"title": "New", "inputType": "TEXT", "jsonInterface": '{"jobs": {}}'}
        made = client.data(create, data=wanted)
        kili.add_asset(made["id"], "text-1")
        assert kili.assets["text-1"]["project"] == made["id"]
        assert client.error(create, data=wanted | {"jsonInterface": "{"}).startswith("[invalidJsonInterface]")

    def test_an_asset_has_its_resolution_where_it_is_known(self, client: Client) -> None:
        assets = client.data(
            '{ assets(where: {project: {id: "p1"}}, first: 9, skip: 0) {'
            " externalId status resolution { width height } } }"
        )
        assert assets == [
            {"externalId": "picture-1", "status": "TODO", "resolution": {"width": 640, "height": 480}},
            {"externalId": "picture-2", "status": "TODO", "resolution": None},
        ]

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

    def test_an_asset_knows_its_labels_and_issues(self, kili: Kili, client: Client) -> None:
        first, second = kili.submit(ASSET, {}, author="ada"), kili.submit(ASSET, {}, author="bert")
        kili.submit(ASSET, {}, label_type="PREDICTION", author="model")
        (issue,) = client.raise_issues(first, "wrong")
        (asset,) = client.data(
            '{ assets(where: {id: "a1"}, first: 1, skip: 0) '
            "{ labels { id } latestLabel { id } latestLabels { id } issues { id } project { id } } }"
        )
        assert len(asset["labels"]) == 3
        assert asset["latestLabel"] == {"id": second}
        assert asset["latestLabels"] == [{"id": first}, {"id": second}]
        assert asset["issues"] == [{"id": issue}]
        assert asset["project"] == {"id": PROJECT}

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
    def test_a_label_is_found_by_its_id_in_its_project_only(self, kili: Kili, client: Client) -> None:
        label = kili.submit(ASSET, {}, author="ada")
        (found,) = client.labels(id=label, project={"id": PROJECT})
        assert found["id"] == label
        assert (found["labelType"], found["author"], found["isSentBackToQueue"]) == ("DEFAULT", {"id": "ada"}, False)
        assert client.labels(id=label, project={"id": "other"}) == []
        assert client.labels(id="other") == []

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

    def test_a_text_is_stored_as_it_is(self, kili: Kili, client: Client) -> None:
        (found,) = client.labels(id=kili.submit(ASSET, '{"JOB_0": '))
        assert client.http.request("GET", found["jsonResponseUrl"]).data == b'{"JOB_0": '

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

    def test_labels_of_llm_projects_are_annotations(self, kili: Kili, client: Client) -> None:
        kili.add_project("llm", input_type="LLM_STATIC")
        kili.add_asset("llm", "chat")
        label = kili.submit(
            "chat",
            {},
            annotations=[
                {
                    "__typename": "ComparisonAnnotation",
                    "id": "1",
                    "job": "BETTER",
                    "annotationValue": {"choice": {"code": "A_1", "firstId": "x", "secondId": "y"}},
                },
                {
                    "__typename": "ClassificationAnnotation",
                    "id": "2",
                    "job": "WHY",
                    "path": [["1", "A_1"]],
                    "annotationValue": {"categories": ["SHORTER"]},
                },
                {
                    "__typename": "TranscriptionAnnotation",
                    "id": "3",
                    "job": "NOTE",
                    "chatItemId": "z",
                    "annotationValue": {"text": "fine"},
                },
            ],
        )
        (found,) = client.data(
            "query ($id: ID!) { labels(where: {id: $id}, first: 1, skip: 0) { jsonResponse jsonResponseUrl"
            " annotations { __typename id job path labelId"
            " ... on ClassificationAnnotation { annotationValue { categories } chatItemId }"
            " ... on ComparisonAnnotation { annotationValue { choice { code firstId secondId } } chatItemId }"
            " ... on TranscriptionAnnotation { annotationValue { text } chatItemId } } } }",
            id=label,
        )
        assert (found["jsonResponse"], found["jsonResponseUrl"]) == ("{}", None)
        better, why, note = found["annotations"]
        assert better["annotationValue"] == {"choice": {"code": "A_1", "firstId": "x", "secondId": "y"}}
        assert (why["path"], why["annotationValue"], why["labelId"]) == (
            [["1", "A_1"]],
            {"categories": ["SHORTER"]},
            label,
        )
        assert (note["path"], note["annotationValue"], note["chatItemId"]) == ([], {"text": "fine"}, "z")

    def test_labels_can_be_appended_for_oneself_or_for_others(self, kili: Kili, client: Client) -> None:
        made = client.data(
            APPEND,
            data={
                "labelType": "DEFAULT",
                "labelsData": [
                    {"assetID": ASSET, "jsonResponse": json.dumps(boxes("A")), "secondsToLabel": 3},
                    {"assetID": "a2", "jsonResponse": "{}", "authorID": "ada"},
                ],
            },
            where={"idIn": [ASSET, "a2"]},
        )
        assert [label["author"]["id"] for label in made] == [kili.bot_id, "ada"]
        stored = kili.labels[made[0]["id"]]
        assert (stored["json_response"], stored["seconds"], stored["latest"]) == (boxes("A"), 3, True)
        assert kili.assets[ASSET]["status"] == "LABELED"
        assert kili.violations == []

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
            "101 labels in one call, 100 are taken",
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

    def test_an_asset_that_was_sent_back_can_be_submitted_again(self, kili: Kili, client: Client) -> None:
        kili.submit(ASSET, {})
        client.data(SEND_BACK, where={"idIn": [ASSET]})
        again = kili.submit(ASSET, {})
        assert kili.assets[ASSET]["status"] == "LABELED"
        assert not kili.labels[again]["sent_back"]
        assert client.data(SEND_BACK, where={"idIn": [ASSET]})["succeeded"]
        assert kili.sent_back == [ASSET, ASSET]

    def test_the_old_mutation_does_the_same_and_tells_the_project_only(self, kili: Kili, client: Client) -> None:
        label = kili.submit(ASSET, {})
        assert client.data(OLD_SEND_BACK, where={"idIn": [ASSET]}) == {"id": PROJECT}
        assert client.data(OLD_SEND_BACK, where={"id": ASSET}) == {"id": PROJECT}
        assert kili.labels[label]["sent_back"]
        assert (kili.sent_back, kili.declined) == ([ASSET], [ASSET])

    def test_somebody_in_the_browser_can_send_back_too(self, kili: Kili) -> None:
        kili.submit(ASSET, {})
        kili.send_back(ASSET)
        assert kili.assets[ASSET]["status"] == "ONGOING"

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

    def test_the_same_issue_twice_is_two_issues(self, kili: Kili, client: Client) -> None:
        label = kili.submit(ASSET, {})
        client.raise_issues(label, "same")
        client.raise_issues(label, "same")
        assert [issue["text"] for issue in kili.issues] == ["same", "same"]

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
        assert kili.violations == ["101 issues in one call, 100 are taken"]

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

    def test_the_newer_names_are_there_on_demand(self) -> None:
        with Kili(audit="whole") as kili:
            label = furnished(kili).submit(ASSET, {}, label_type="REVIEW")
            row = Client(kili).events()[-1]
        assert row["event"] == "label.workflow.created.review"
        assert row["payload"] == {"assetId": ASSET, "labelId": label, "externalId": "picture-1"}

    def test_what_happens_is_there_and_an_autosave_is_not(self, kili: Kili, client: Client) -> None:
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
        assert kili.violations == ["a page of 250 events, 100 are served"]

    def test_rows_are_filtered_by_time_user_and_id(self) -> None:
        moments = (datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=minute) for minute in range(1000))
        with Kili(clock=lambda: next(moments)) as kili:
            client = Client(furnished(kili))
            for author in ("ada", "bert", "ada", "bert"):
                kili.submit(ASSET, {}, author=author)
            rows = kili.audit
            ids = [row["id"] for row in rows]
            since = {"createdAtGte": rows[4]["createdAt"]}
            assert [row["id"] for row in client.events(since)] == ids[4:]
            assert [row["id"] for row in client.events(since | {"createdAtLte": rows[5]["createdAt"]})] == ids[4:6]
            assert [row["id"] for row in client.events({"userId": "ada"})] == ids[3::2]
            assert [row["id"] for row in client.events(fromEventId=ids[4])] == ids[4:]
            assert [row["id"] for row in client.events(untilEventId=ids[4])] == ids[:5]
            assert client.events({"projectId": "other"}) == []
            assert client.events({"organizationId": "other"}) == []


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
        told = body["payload"]["label"]
        assert (told["id"], told["labelType"], told["authorId"], told["secondsToLabel"]) == (label, "DEFAULT", "ada", 7)
        assert told["jsonResponse"] == boxes("A")
        assert told["search"]["numberOfAnnotationsByObject"] == {"JOB_0.A": 1}
        assert told["isLatestLabelForUser"] is True

    def test_without_a_header_there_is_no_authorization(self, kili: Kili, receiver: Receiver) -> None:
        kili.create_webhook("w", receiver.url, PROJECT)
        kili.submit(ASSET, {})
        kili.settle()
        assert receiver.authorizations == [None]

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
            furnished(kili).create_webhook("w", receiver.url, PROJECT, event_matcher=["labels.created.*"])
            label = kili.submit(ASSET, {})
            kili.settle()
        (body,) = receiver.bodies
        assert (body["eventType"], body["logPayload"]["projectId"]) == ("labels.created.submit", PROJECT)
        assert body["payload"]["event"] == "labels.created.submit"
        assert body["payload"]["label"]["id"] == label
        assert "jsonResponse" not in body["payload"]["label"]

    def test_a_correction_is_told_to_those_who_ask_for_it(self, kili: Kili, receiver: Receiver) -> None:
        label = kili.submit(ASSET, {})
        kili.create_webhook("old", receiver.url, PROJECT)
        kili.create_webhook("new", receiver.url, PROJECT, event_matcher=["label.workflow.edited"])
        kili.edit(label, boxes("A"))
        kili.settle()
        assert [body["event"] for body in receiver.bodies] == ["label.workflow.edited"]

    def test_only_active_webhooks_of_the_project_are_told(self, kili: Kili, client: Client, receiver: Receiver) -> None:
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

    def test_what_is_there_already_or_not_there_is_an_error(self, kili: Kili, client: Client) -> None:
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

    def test_a_handler_that_appends_labels_calls_itself(self, kili: Kili, client: Client, receiver: Receiver) -> None:
        kili.create_webhook("w", receiver.url, PROJECT)
        label = {"assetID": ASSET, "jsonResponse": "{}"}
        client.data(APPEND, data={"labelsData": [label]}, where={"idIn": [ASSET]})
        kili.settle()
        assert receiver.bodies[0]["payload"]["label"]["authorId"] == kili.bot_id

    def test_twenty_deliveries_arrive_eight_at_once_with_the_same_body(self, kili: Kili) -> None:
        label = kili.submit(ASSET, {})
        with Receiver(together=4) as receiver:
            deliveries = kili.redeliver(label, url=receiver.url, header="secret", times=20, at_once=8)
        assert [delivery.status for delivery in deliveries] == [200] * 20
        assert receiver.bodies == [receiver.bodies[0]] * 20
        assert set(receiver.authorizations) == {"secret"}
        assert 4 <= receiver.crowd <= 8

    def test_no_more_than_eight_webhooks_are_posted_at_once(self, kili: Kili) -> None:
        with Receiver(together=8) as receiver:
            kili.create_webhook("w", receiver.url, PROJECT)
            for _ in range(16):
                kili.submit(ASSET, {})
            assert len(kili.settle()) == 16
        assert receiver.crowd == 8

    def test_waiting_for_answers_ends_when_they_do_not_come(self, kili: Kili) -> None:
        with Receiver(together=2) as receiver:
            kili.create_webhook("w", receiver.url, PROJECT)
            kili.submit(ASSET, {})
            with pytest.raises(TimeoutError, match="1 webhooks have no answer"):
                kili.settle(timeout_s=0.01)
            kili.submit(ASSET, {})
            assert len(kili.settle()) == 2

    def test_events_of_every_generation_can_be_had(self, kili: Kili) -> None:
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

    def test_redelivering_posts_the_event_of_that_label(self, kili: Kili, receiver: Receiver) -> None:
        label = kili.submit(ASSET, {})
        kili.submit(ASSET, {})
        (delivery,) = kili.redeliver(label, "whole", url=receiver.url)
        assert receiver.bodies[0]["payload"]["labelId"] == label
        assert kili.deliveries == [delivery]


def test_a_stopped_server_answers_nobody(kili: Kili) -> None:
    client = Client(kili)
    client.data(VIEWER)
    kili.stop()
    with pytest.raises(urllib3.exceptions.HTTPError):
        Client(kili).send(VIEWER)
