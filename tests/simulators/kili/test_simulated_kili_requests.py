"""The simulated Kili answers a wrong request as a server does, and notes the violation."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from kili_client import (
    ACTIVATE,
    ASSET,
    CREATE_ISSUES,
    CREATE_WEBHOOK,
    DEACTIVATE,
    DELETE_PLUGIN,
    LABELS,
    PROJECT,
    SEND_BACK,
    SET_ASSETS,
    SET_ISSUE,
    UPDATE_WEBHOOK,
    VIEWER,
    issues,
)

from local.simulators.kili import requests
from local.simulators.kili.api import MAX_DEPTH, MAX_QUERY, MAX_TOKENS

pytestmark = pytest.mark.thorough

JSON = {"Content-Type": "application/json"}
BODY = json.dumps({"query": VIEWER}).encode()


class TestTheProtocol:
    def test_a_wrong_key_is_401_and_no_key_is_a_violation_as_well(self, kili, client):
        assert client.post(BODY, JSON | {"Authorization": "X-API-Key: wrong"}).status == 401
        assert kili.violations == []
        for headers in (JSON, JSON | {"Authorization": kili.api_key}, JSON | {"Authorization": "X-API-Key: "}):
            assert client.post(BODY, headers).status == 401
        assert kili.violations == ["a request without an API key: /api/label/v2/graphql"] * 3

    @pytest.mark.parametrize(
        ("body", "violation"),
        [
            (b"[" * 100_000, "a body that is not JSON"),
            (b"[]", "a body without a query"),
            (b'{"query": 3}', "a body without a query"),
            (b'{"query": "{ viewer { id } }", "variables": []}', "variables that are not an object"),
            (b'{"query": "{ viewer { "}', "Syntax Error"),
            (b'{"query": "query a { viewer { id } } query b { viewer { id } }"}', "a document of 2 operations"),
            (b'{"query": "%s"}' % (b"{a" * (MAX_DEPTH + 1)), f"a document {MAX_DEPTH + 1} levels deep"),
            (b'{"query": "{ %s }"}' % (b"a " * (MAX_TOKENS + 1)), "Document contains more than"),
            (b'{"query": "%s"}' % (b" " * (MAX_QUERY + 1)), "characters"),
        ],
    )
    def test_a_request_without_one_operation_is_400_and_a_violation(self, kili, client, body, violation):
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
    def test_a_name_that_the_schema_does_not_have_is_400_and_a_violation(self, kili, client, query, violation):
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
    def test_variables_that_do_not_fit_are_400_and_a_violation(self, kili, client, variables):
        reply = client.send(LABELS, **variables)
        assert (reply.status, reply.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_USER_INPUT")
        assert len(kili.violations) == 1

    def test_other_methods_types_and_paths_are_refused(self, kili, client):
        assert client.http.request("GET", kili.endpoint).status == 405
        assert client.post(BODY, client.headers | {"Content-Type": "text/plain"}).status == 415
        assert client.http.request("GET", f"{kili.origin}/nowhere").status == 404
        assert client.http.request("POST", f"{kili.origin}/api/label/v2/version").status == 404
        assert len(kili.violations) == 4

    def test_a_packed_body_is_unpacked_but_not_beyond_what_is_taken(self, kili, client, monkeypatch):
        packed = client.headers | {"Content-Encoding": "gzip"}
        assert client.post(gzip.compress(BODY), packed).status == 200
        monkeypatch.setattr(requests, "MAX_BODY_BYTES", 1000)
        assert client.post(gzip.compress(b" " * 1001), packed).status == 400
        assert client.post(b" " * 1001).status == 400
        assert client.post(b"no gzip", packed).status == 400
        assert client.post(b"{}", client.headers | {"Content-Encoding": "br"}).status == 400
        assert client.http.request("POST", kili.endpoint, body=iter([BODY]), headers=client.headers).status == 400
        assert kili.violations == [
            "a body of more than 1000 bytes, unpacked",
            "a body of 1001 bytes, 1000 are allowed",
            "a body that is not gzip",
            "a body in br",
            "a body of unknown length",
        ]

    def test_many_clients_at_once_lose_nothing(self, kili, client, label):
        with ThreadPoolExecutor(16) as pool:
            sent = [pool.submit(client.data, CREATE_ISSUES, **issues(label, f"{n}a", f"{n}b")) for n in range(40)]
            assert len({issue["id"] for created in sent for issue in created.result()}) == 80
        assert {issue["text"] for issue in kili.issues} == {f"{n}{letter}" for n in range(40) for letter in "ab"}


class TestTheBucket:
    def test_a_json_response_is_there_for_those_with_its_signed_url(self, kili, client, label):
        (answer,) = client.labels(id=label)
        url = answer["jsonResponseUrl"]
        assert (answer["jsonResponse"], url.startswith(f"{kili.storage}/")) == (None, True)
        assert client.http.request("GET", url).json() == {"JOB": {"text": "some words"}}
        for wrong in (url.partition("?")[0], url + "0", f"{kili.storage}/"):
            assert client.http.request("GET", wrong).status == 403
        assert kili.violations == []
        assert client.http.request("POST", url).status == 405
        assert kili.violations == ["POST of an object in the bucket"]

    def test_requests_with_the_key_are_refused(self, kili, client, label):
        url = client.labels(id=label)[0]["jsonResponseUrl"]
        for headers in (client.headers, {"Authorization": "Bearer other"}, {"X-Key": kili.api_key}):
            assert client.http.request("GET", url, headers=headers).status == 400
        assert client.http.request("GET", f"{url}&key={kili.api_key}").status == 400
        assert kili.violations == ["the API key was sent to the bucket"] * 4


W = {"pluginName": "w", "webhookUrl": "http://127.0.0.1:1/"}
NEW, OTHER = W | {"pluginName": "new"}, {"pluginName": "other", "projectId": PROJECT}
FINE = {"labelID": "label", "type": "ISSUE", "text": "fine"}
IN_PROJECT = {"project": {"id": PROJECT}}


class TestErrors:
    @pytest.mark.parametrize(
        ("query", "variables", "error"),
        [
            (SEND_BACK, {"where": {"idIn": [ASSET, "nobody"]}}, "[assetNotFound] there is no asset nobody"),
            (SEND_BACK, {"where": {}}, "[missingArgument]"),
            (CREATE_ISSUES, {"issues": [FINE, FINE | {"labelID": "no"}], "where": IN_PROJECT}, "[labelNotFound]"),
            (CREATE_ISSUES, {"issues": [FINE, {"type": "ISSUE"}], "where": IN_PROJECT}, "[assetNotFound]"),
            (CREATE_ISSUES, {"issues": [FINE], "where": {"project": {"id": "nowhere"}}}, "[projectNotFound]"),
            (CREATE_ISSUES, {"issues": [FINE], "where": {"project": {"id": "empty"}}}, "[assetNotFound]"),
            (SET_ISSUE, {"data": {"status": "OPEN"}, "where": {"id": "?"}}, "[issueNotFound]"),
            (SET_ISSUE, {"data": {}, "where": {"id": "?"}}, "[missingArgument]"),
            (SET_ASSETS, {"where": [{"id": ASSET}], "data": [{"jsonMetadata": "{"}]}, "[invalidMetadata]"),
            (SET_ASSETS, {"where": [{"id": ASSET}], "data": [{"jsonMetadata": "[]"}]}, "[invalidMetadata]"),
            (SET_ASSETS, {"where": [{"id": ASSET}], "data": []}, "[invalidArguments]"),
            (CREATE_WEBHOOK, {"data": NEW | {"handlerTypes": ["onSubmit"], "eventMatcher": ["a.*"]}}, "[invalidArg"),
            *(
                (CREATE_WEBHOOK, {"data": NEW | {"eventMatcher": [pattern]}}, "[invalidEventMatcher]")
                for pattern in ("", "*.created", "label.**", "label..created", "label.work*")
            ),
            (UPDATE_WEBHOOK, {"data": NEW}, "[pluginNotFound]"),
            (ACTIVATE, {"where": OTHER}, "[pluginNotFound]"),
            (ACTIVATE, {"where": {"pluginName": "w", "projectId": "nowhere"}}, "[projectNotFound]"),
            (DEACTIVATE, {"where": {"pluginName": "w", "projectId": "empty"}}, "[pluginNotActivated]"),
            (DELETE_PLUGIN, {"where": {"pluginName": "other"}}, "[pluginNotFound]"),
            ('{ countLabels(where: {search: "JOB_0.A.count > 0"}) }', {}, "[notSimulated]"),
        ],
    )
    def test_an_error_has_kilis_shape_and_nothing_is_changed(self, kili, client, query, variables, error):
        kili.submit(ASSET, {}, label_id="label")
        kili.add_project("empty")
        kili.create_webhook("w", W["webhookUrl"], PROJECT)
        before = (kili.assets, kili.issues, kili.labels, kili.webhooks)
        reply = client.send(query, **variables)
        (told,) = reply.json()["errors"]
        assert (reply.status, reply.json()["data"], told["message"][: len(error)]) == (200, None, error)
        assert told["extensions"] == {"code": "OPERATION_RESOLUTION_FAILURE", "context": {}}
        assert (kili.assets, kili.issues, kili.labels, kili.webhooks) == before
        assert kili.violations == []

    def test_a_call_has_at_most_a_hundred_items(self, kili, client, label):
        many = issues(label, *["one of many"] * 101)
        for query, variables in ((SEND_BACK, {"where": {"idIn": ["a"] * 101}}), (CREATE_ISSUES, many)):
            (error,) = client.send(query, **variables).json()["errors"]
            assert error["message"].startswith("[tooMany]")
        many["issues"].pop()
        assert len(client.data(CREATE_ISSUES, **many)) == len(kili.issues) == 100
        assert kili.violations == [f"101 {what} in one call, 100 are allowed" for what in ("assets", "issues")]

    def test_a_filter_that_is_not_simulated_may_be_empty(self, kili, client, label):
        assert client.data("{ countLabels(where: {search: null, asset: {label: {search: null}, issue: {}}}) }") == 1
