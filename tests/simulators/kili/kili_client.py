"""A plain client of the simulated Kili, its GraphQL documents, and a receiver of webhooks."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

import urllib3

from local.listener import Listener, Reply, Request
from local.simulators.kili import Kili

PROJECT, ASSET = "p1", "a1"
OUTCOME = "succeeded { assetId externalId } declined { assetId externalId } failed { assetId externalId details }"
LABELS = """query ($where: LabelWhere!, $first: PageSize!, $skip: Int!) {
  data: labels(where: $where, first: $first, skip: $skip) { id jsonResponse jsonResponseUrl } }"""
CREATE_ISSUES = """mutation ($issues: [IssueToCreate!]!, $where: AssetWhere!) {
  data: createIssues(issues: $issues, where: $where) { id } }"""
SET_ISSUE = """mutation ($data: IssueData!, $where: IssueWhere!) {
  updatePropertiesInIssue(data: $data, where: $where) { id status } }"""
SEND_BACK = f"mutation ($where: AssetWhere!) {{ data: sendAssetsBackToQueue(where: $where) {{ {OUTCOME} }} }}"
OLD_SEND_BACK = "mutation ($where: AssetWhere!) { data: sendBackAssetsToQueue(where: $where) { id } }"
SET_ASSETS = """mutation ($where: [AssetWhere!]!, $data: [AssetData!]!) {
  data: updatePropertiesInAssets(where: $where, data: $data) { id } }"""
CREATE_WEBHOOK = "mutation ($data: WebhookData!) { data: createWebhook(data: $data) }"
UPDATE_WEBHOOK = "mutation ($data: WebhookData!) { data: updateWebhook(data: $data) }"
ACTIVATE = "mutation ($where: PluginOnProjectWhere!) { data: activatePluginOnProject(where: $where) }"
DEACTIVATE = "mutation ($where: PluginOnProjectWhere!) { data: deactivatePluginOnProject(where: $where) }"
DELETE_PLUGIN = "mutation ($where: PluginWhere!) { data: deletePlugin(where: $where) }"
VIEWER = "{ viewer { id email } }"


def with_assets(kili: Kili) -> Kili:
    """Adds PROJECT with two assets, ASSET and a2."""
    kili.add_project(PROJECT)
    kili.add_asset(PROJECT, ASSET, external_id="picture-1")
    kili.add_asset(PROJECT, "a2", external_id="picture-2")
    return kili


def issues(label: str, *texts: str) -> dict[str, Any]:
    """The variables of CREATE_ISSUES."""
    new = [{"labelID": label, "type": "ISSUE", "text": text} for text in texts]
    return {"issues": new, "where": {"project": {"id": PROJECT}}}


class Client:
    """Requests with the server's API key."""

    def __init__(self, kili: Kili, timeout_s: float = 10.0) -> None:
        self.kili = kili
        self.headers = {"Authorization": f"X-API-Key: {kili.api_key}", "Content-Type": "application/json"}
        self.http = urllib3.PoolManager(retries=False, timeout=timeout_s, maxsize=20)

    def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> urllib3.BaseHTTPResponse:
        sent = self.headers if headers is None else dict(headers)
        return self.http.request("POST", self.kili.endpoint, body=body, headers=sent)

    def send(self, query: str, **variables: Any) -> urllib3.BaseHTTPResponse:
        return self.post(json.dumps({"query": query, "variables": variables}).encode())

    def data(self, query: str, **variables: Any) -> Any:
        """The value of the only root field. Fails if there is an error."""
        reply = self.send(query, **variables)
        answer = reply.json()
        assert (reply.status, "errors" in answer) == (200, False), answer
        (value,) = answer["data"].values()
        return value

    def labels(self, **where: Any) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = self.data(LABELS, where=where, first=100, skip=0)
        return records


class Receiver(Listener):
    """Receives webhooks. bodies, authorizations: of each request. concurrent: the most requests at once.

    together: the number of requests that must have arrived before any is answered.
    """

    def __init__(self, together: int = 1) -> None:
        super().__init__("127.0.0.1", 0, self._answer)
        self.url = f"{self.origin}/kili"
        self.bodies: list[Any] = []
        self.authorizations: list[str | None] = []
        self.concurrent = 0
        self._waiting = 0
        self._counting = threading.Lock()
        self._barrier = threading.Barrier(together)

    def _answer(self, request: Request) -> Reply:
        body = json.loads(request.read(request.unread))
        with self._counting:
            self.bodies.append(body)
            self.authorizations.append(request.headers.get("Authorization"))
            self._waiting += 1
            self.concurrent = max(self.concurrent, self._waiting)
        self._barrier.wait(10)
        with self._counting:
            self._waiting -= 1
        return Reply(body=b"{}")
