"""The simulated Kili answers a wrong request as a server does, and notes the violation."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kili_client import (
    ASSET,
    SEND_BACK,
    VIEWER,
    Client,
)

from local.simulators.kili import Kili, requests
from local.simulators.kili.api import MAX_DEPTH, MAX_QUERY, MAX_TOKENS

pytestmark = pytest.mark.thorough


JSON = {"Content-Type": "application/json"}


class TestRequests:
    def test_the_viewer_is_the_user_whose_key_it_is(self, kili: Kili, client: Client) -> None:
        assert client.data(VIEWER) == {"id": kili.bot_id, "email": "bot@example.org"}
        kili.add_user("ada", api_key="key-of-ada")
        client.headers["Authorization"] = "X-API-Key: key-of-ada"
        assert client.data(VIEWER)["id"] == "ada"
        assert kili.violations == []

    def test_a_wrong_key_is_401_and_no_key_is_a_violation_as_well(self, kili: Kili, client: Client) -> None:
        body = json.dumps({"query": VIEWER}).encode()
        assert client.post(body, JSON | {"Authorization": "X-API-Key: wrong"}).status == 401
        assert kili.violations == []
        for headers in (JSON, JSON | {"Authorization": kili.api_key}, JSON | {"Authorization": "X-API-Key: "}):
            assert client.post(body, headers).status == 401
        assert kili.violations == ["a request without an API key: /api/label/v2/graphql"] * 3

    def test_every_request_is_noted_with_operation_variables_and_headers(self, kili: Kili, client: Client) -> None:
        label = kili.submit(ASSET, {})
        (answer,) = client.labels(id=label)
        client.http.request("GET", answer["jsonResponseUrl"])
        client.http.request("GET", f"{kili.origin}/api/label/v2/version")
        client.post(b"?")
        assert kili.operations() == ["labels", "storage", "version", ""]
        assert kili.calls[0].variables == {"where": {"id": label}, "first": 100, "skip": 0}
        assert kili.calls[0].headers["Content-Type"] == "application/json"
        assert "jsonResponseUrl" in kili.calls[0].query
        assert kili.api_key not in repr(kili.calls[0].query)

    @pytest.mark.parametrize(
        ("body", "violation"),
        [
            (b"not json", "a body that is not JSON"),
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
    def test_a_request_without_one_operation_is_400_and_a_violation(
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
    def test_a_name_that_the_schema_does_not_have_is_400_and_a_violation(
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
        monkeypatch.setattr(requests, "MAX_BODY_BYTES", 1000)
        assert client.post(gzip.compress(b" " * 1001), packed).status == 400
        assert client.post(b" " * 1001).status == 400
        assert client.post(b"no gzip", packed).status == 400
        assert client.post(b"{}", client.headers | {"Content-Encoding": "br"}).status == 400
        assert kili.violations == [
            "a body of more than 1000 bytes, unpacked",
            "a body of 1001 bytes, 1000 are allowed",
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
            created = list(pool.map(lambda number: client.raise_issues(label, f"{number}a", f"{number}b"), range(40)))
        assert len({issue for ids in created for issue in ids}) == 80
        assert sorted(issue["text"] for issue in kili.issues) == sorted(
            f"{number}{letter}" for number in range(40) for letter in "ab"
        )
        assert kili.violations == []
