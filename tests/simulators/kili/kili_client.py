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
  data: labels(where: $where, first: $first, skip: $skip) {
    id labelType author { id } isLatestLabelForUser isLatestDefaultLabelForUser isLatestReviewLabelForUser
    isSentBackToQueue jsonResponse jsonResponseUrl } }"""
ISSUES = """query ($where: IssueWhere!, $first: PageSize!, $skip: Int!) {
  data: issues(where: $where, first: $first, skip: $skip) {
    id status type objectMid assetId labelId author { id } comments { text } } }"""
EVENTS = """query ($where: EventsWhere!, $pagination: EventPagination!, $order: Order) {
  data: events(where: $where, pagination: $pagination, order: $order) {
    id createdAt event organizationId projectId userId payload } }"""
CREATE_ISSUES = """mutation ($issues: [IssueToCreate!]!, $where: AssetWhere!) {
  data: createIssues(issues: $issues, where: $where) { id } }"""
SET_ISSUE = """mutation ($data: IssueData!, $where: IssueWhere!) {
  updatePropertiesInIssue(data: $data, where: $where) { id status } }"""
SEND_BACK = f"mutation ($where: AssetWhere!) {{ data: sendAssetsBackToQueue(where: $where) {{ {OUTCOME} }} }}"
OLD_SEND_BACK = "mutation ($where: AssetWhere!) { data: sendBackAssetsToQueue(where: $where) { id } }"
ADD_TO_REVIEW = f"mutation ($where: AssetWhere!) {{ data: addAssetsToReview(where: $where) {{ {OUTCOME} }} }}"
SET_ASSETS = """mutation ($where: [AssetWhere!]!, $data: [AssetData!]!) {
  data: updatePropertiesInAssets(where: $where, data: $data) { id } }"""
APPEND = """mutation ($data: AppendManyLabelsData!, $where: AssetWhere!) {
  data: appendManyLabels(data: $data, where: $where) { id author { id } } }"""
CREATE_WEBHOOK = "mutation ($data: WebhookData!) { data: createWebhook(data: $data) }"
UPDATE_WEBHOOK = "mutation ($data: WebhookData!) { data: updateWebhook(data: $data) }"
ACTIVATE = "mutation ($where: PluginOnProjectWhere!) { data: activatePluginOnProject(where: $where) }"
DEACTIVATE = "mutation ($where: PluginOnProjectWhere!) { data: deactivatePluginOnProject(where: $where) }"
DELETE_PLUGIN = "mutation ($where: PluginWhere!) { data: deletePlugin(where: $where) }"
VIEWER = "{ viewer { id email } }"


def with_assets(kili: Kili) -> Kili:
    """Adds PROJECT with two assets, ASSET and a2."""
    kili.add_project(PROJECT, json_interface={"jobs": {"JOB_0": {"mlTask": "OBJECT_DETECTION"}}})
    kili.add_asset(PROJECT, ASSET, external_id="picture-1", width=640, height=480)
    kili.add_asset(PROJECT, "a2", external_id="picture-2")
    return kili


def boxes(*categories: str, mid: str = "mid") -> dict[str, Any]:
    """A jsonResponse with one object for each category."""
    return {
        "JOB_0": {
            "annotations": [
                {"categories": [{"name": name}], "mid": f"{mid}-{number}", "type": "rectangle"}
                for number, name in enumerate(categories)
            ]
        }
    }


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
        assert reply.status == 200, answer
        assert "errors" not in answer, answer
        (value,) = answer["data"].values()
        return value

    def error(self, query: str, **variables: Any) -> str:
        """The message of the only error."""
        (error,) = self.send(query, **variables).json()["errors"]
        return str(error["message"])

    def labels(self, first: int = 100, skip: int = 0, **where: Any) -> list[dict[str, Any]]:
        records = self.data(LABELS, where=where, first=first, skip=skip)
        assert isinstance(records, list)
        return records

    def issues(self, first: int = 100, skip: int = 0, **where: Any) -> list[dict[str, Any]]:
        records = self.data(ISSUES, where=where, first=first, skip=skip)
        assert isinstance(records, list)
        return records

    def events(
        self, where: Mapping[str, Any] | None = None, order: str = "asc", **pagination: Any
    ) -> list[dict[str, Any]]:
        filters = {"projectId": PROJECT} | dict(where or {})
        records = self.data(EVENTS, where=filters, pagination=pagination, order=order)
        assert isinstance(records, list)
        return records

    def raise_issues(self, label: str, *texts: str) -> list[str]:
        issues = [{"labelID": label, "objectMid": None, "type": "ISSUE", "text": text} for text in texts]
        return [issue["id"] for issue in self.data(CREATE_ISSUES, issues=issues, where={"project": {"id": PROJECT}})]


class Receiver:
    """Receives webhooks. bodies, authorizations: of each request. concurrent: the most requests at once.

    together: the number of requests that must have arrived before any is answered.
    """

    def __init__(self, together: int = 1) -> None:
        self.bodies: list[Any] = []
        self.authorizations: list[str | None] = []
        self.content_types: list[str] = []
        self.concurrent = 0
        self._waiting = 0
        self._lock = threading.Lock()
        self._barrier = threading.Barrier(together)
        self._listener = Listener("127.0.0.1", 0, self._answer)
        self.url = f"{self._listener.origin}/kili"

    def __enter__(self) -> Receiver:
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.stop()

    def _answer(self, request: Request) -> Reply:
        body = json.loads(request.read(request.unread))
        with self._lock:
            self.bodies.append(body)
            self.authorizations.append(request.headers.get("Authorization"))
            self.content_types.append(request.headers.get_content_type())
            self._waiting += 1
            self.concurrent = max(self.concurrent, self._waiting)
        self._barrier.wait(10)
        with self._lock:
            self._waiting -= 1
        return Reply(body=json.dumps({"number": len(self.bodies)}).encode())
