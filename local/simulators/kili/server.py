"""The simulated Kili: GraphQL, the bucket of the labels, webhooks, and the records that a test reads afterwards.

Sources: Kili's documentation of webhooks and plugins, the packages kili and kili-events, and docs/kili.md.
"""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.listener import Dropped, Refused, Reply, Request
from local.simulators import simulator
from local.simulators.kili import events, requests
from local.simulators.kili.api import Api
from local.simulators.kili.events import Generation
from local.simulators.kili.faults import FAULTS
from local.simulators.kili.organization import Organization, new_id
from local.simulators.kili.records import Asset, Event, Label, Project, User
from local.simulators.kili.requests import BASE, ParsedRequest
from local.simulators.kili.webhooks import MAX_CONCURRENT, Delivery, Webhooks
from local.simulators.simulator import Simulator

VERSION = "2.200.0"
BUCKET = "/labels/"
SIGNATURE = "X-Goog-Signature"
DUPLICATES = 3
NO_INTERFACE: Mapping[str, Any] = {"jobs": {}}


@dataclass(frozen=True)
class Call(simulator.Call):
    """operation: the root field, "storage" for the bucket, "version", or "" if unknown."""

    operation: str
    variables: Mapping[str, Any]
    query: str = field(default="", repr=False)


class Kili(Simulator):
    """A Kili on its own socket, with its bucket on another.

    generation: the shape of the events that a webhook with an event_matcher gets: "whole" or "flat". clock: returns the
    time of what happens.

    origin, endpoint: of the API. storage: origin of the bucket. api_key: the valid key, of the user bot_id. sent_back:
    the asset of each send-back that changed something. declined: the assets of the other ones. deliveries: the events
    that were posted to webhooks. retry_after: the Retry-After of 429.
    """

    def __init__(
        self,
        *,
        generation: Generation = "whole",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        faults: Iterable[str] = (),
        api_key: str | None = None,
        bind: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(FAULTS, faults)
        self.retry_after = "1"
        self.bot_id = "bot"
        self.api_key = api_key or f"kili-{new_id()}"
        self._lock = threading.RLock()
        self._webhooks = Webhooks(generation)
        self._organization = Organization(self._publish, clock)
        self._organization.users[self.bot_id] = User(self.bot_id, "bot@example.org", self.api_key)
        self._api = Api(self._organization, self._url_of, self.violations.append)
        self.origin = self._listen(bind, port, lambda request: self._answer(requests.parse(request)))
        self.storage = self._listen(bind, 0, lambda request: self._answer(ParsedRequest(request, "storage")))
        self.endpoint = f"{self.origin}{BASE}/graphql"

    def stop(self) -> None:
        self._webhooks.close()
        super().stop()

    # ---- actions of users

    def add_user(self, user_id: str, *, api_key: str | None = None) -> None:
        with self._lock:
            self._organization.user(user_id).api_key = api_key

    def add_project(
        self,
        project_id: str,
        *,
        input_type: str = "IMAGE",
        json_interface: Mapping[str, Any] = NO_INTERFACE,
        title: str = "",
    ) -> str:
        """Returns its id."""
        with self._lock:
            project = Project(project_id, title or project_id, input_type, json.dumps(json_interface))
            self._organization.add_project(project, self._organization.user("admin"))
        return project_id

    def add_asset(
        self,
        project_id: str,
        asset_id: str,
        *,
        external_id: str | None = None,
        width: int | None = None,
        height: int | None = None,
    ) -> str:
        """Returns its id. width, height: of the picture in pixels, None if Kili does not know them."""
        with self._lock:
            project = self._organization.project(project_id)
            asset = Asset(asset_id, project, external_id, width, height, self._organization.now())
            self._organization.add_asset(asset, self._organization.user("admin"))
        return asset_id

    def submit(
        self,
        asset_id: str,
        json_response: object,
        *,
        label_type: str = "DEFAULT",
        author: str = "labeller",
        seconds: float | None = 12.0,
        model_name: str | None = None,
        annotations: Iterable[Mapping[str, Any]] = (),
        label_id: str | None = None,
    ) -> str:
        """Stores a label as the Submit button does, and posts its event to the webhooks. Returns the label's id.

        json_response: JSON, or a str that is stored unchanged. annotations: of an LLM project, in the shape of
        schema.graphql, with __typename and without labelId.
        """
        with self._lock:
            organization = self._organization
            label = Label(
                label_id or new_id(),
                organization.assets[asset_id],
                label_type,
                organization.user(author),
                _text(json_response),
                organization.now(),
                seconds_to_label=seconds,
                model_name=model_name,
                signature=new_id(),
            )
            label.annotations = [{"path": [], **annotation, "labelId": label.id} for annotation in annotations]
            return organization.add_label(label).id

    def edit(self, label_id: str, json_response: object) -> None:
        """Changes a label in place, as a correction does, and posts label.workflow.edited to the webhooks."""
        with self._lock:
            self._organization.edit_label(self._organization.labels[label_id], _text(json_response))

    def send_back(self, asset_id: str, *, author: str = "reviewer") -> None:
        """Sends an asset back to the queue, as a user does in the browser."""
        with self._lock:
            self._organization.send_back([self._organization.assets[asset_id]], self._organization.user(author))

    def create_webhook(
        self,
        name: str,
        url: str,
        *projects: str,
        header: str | None = None,
        handler_types: Iterable[str] = (),
        event_matcher: Iterable[str] = (),
    ) -> None:
        """Creates a webhook without the API, and activates it on projects."""
        data = {"pluginName": name, "webhookUrl": url, "header": header}
        data |= {"handlerTypes": list(handler_types), "eventMatcher": list(event_matcher)}
        with self._lock:
            self._organization.create_webhook(data)
            for project in projects:
                self._organization.activate(name, project)

    # ---- webhooks

    def event(
        self,
        label_id: str,
        generation: Generation = "legacy",
        *,
        subject: str | None = None,
        enveloped: bool = False,
    ) -> dict[str, Any]:
        """The body of an event of this label, with the label as it is now.

        subject: the event's name in kili-events, for the generations "flat" and "whole"; None for the label's creation.
        """
        with self._lock:
            label = self._organization.labels[label_id]
            name = subject or f"label.workflow.created.{label.label_type.lower()}"
            return events.body(self._organization.label_event(label, name), generation, enveloped=enveloped)

    def redeliver(
        self,
        label_id: str,
        generation: Generation = "legacy",
        *,
        url: str,
        header: str | None = None,
        times: int = 1,
        concurrent: int = MAX_CONCURRENT,
        subject: str | None = None,
        enveloped: bool = False,
    ) -> list[Delivery]:
        """Posts an event of a label to a URL, the same body several times, and waits for the answers."""
        body = self.event(label_id, generation, subject=subject, enveloped=enveloped)
        with ThreadPoolExecutor(concurrent) as pool:
            posts = [pool.submit(self._webhooks.post, "", url, header, body) for _ in range(times)]
            return [post.result() for post in posts]

    def settle(self, timeout_s: float = 30.0) -> list[Delivery]:
        """Waits until no webhook is being posted, and returns the deliveries. Raises TimeoutError."""
        self._webhooks.settle(timeout_s)
        return self.deliveries

    @property
    def deliveries(self) -> list[Delivery]:
        return self._webhooks.deliveries

    # ---- records, as copies

    @property
    def sent_back(self) -> list[str]:
        return self._organization.sent_back

    @property
    def declined(self) -> list[str]:
        return self._organization.declined

    @property
    def issues(self) -> list[dict[str, Any]]:
        """In the order of their creation."""
        with self._lock:
            return [
                {
                    "id": issue.id,
                    "status": issue.status,
                    "type": issue.type,
                    "text": issue.comments[0].text,
                    "mid": issue.object_mid,
                    "label": issue.label_id,
                    "asset": issue.asset.id,
                    "project": issue.asset.project.id,
                    "author": issue.author.id,
                }
                for issue in self._organization.issues.values()
            ]

    @property
    def assets(self) -> dict[str, dict[str, Any]]:
        """By id."""
        with self._lock:
            return {
                asset.id: {
                    "status": asset.status,
                    "project": asset.project.id,
                    "external_id": asset.external_id,
                    "metadata": json.loads(asset.json_metadata),
                    "labels": [label.id for label in asset.labels],
                }
                for asset in self._organization.assets.values()
            }

    @property
    def labels(self) -> dict[str, dict[str, Any]]:
        """By id."""
        with self._lock:
            return {
                label.id: {
                    "label_type": label.label_type,
                    "asset": label.asset.id,
                    "author": label.author.id,
                    "json_response": label.decoded,
                    "sent_back": label.is_sent_back_to_queue,
                    "latest": label.is_latest_label_for_user,
                    "model_name": label.model_name,
                    "seconds": label.seconds_to_label,
                }
                for label in self._organization.labels.values()
            }

    @property
    def webhooks(self) -> dict[str, dict[str, Any]]:
        """By name."""
        with self._lock:
            return {
                plugin.name: {
                    "url": plugin.url,
                    "header": plugin.header,
                    "handler_types": list(plugin.handler_types),
                    "event_matcher": list(plugin.event_matcher),
                    "projects": list(plugin.project_ids),
                }
                for plugin in self._organization.plugins.values()
            }

    @property
    def audit(self) -> list[dict[str, Any]]:
        """The rows of the events query, first to last."""
        with self._lock:
            return [events.audit_row(event) for event in self._organization.events]

    def operations(self) -> list[str]:
        """The operations of `calls`."""
        return [call.operation for call in self.calls]

    # ---- answers

    def _answer(self, parsed: ParsedRequest) -> Reply:
        request = parsed.request
        self.calls.append(
            Call(request.method, request.path, request.headers, parsed.name, parsed.variables, parsed.query)
        )
        faults = self._faults.striking(parsed.name)
        reply = self._judged(lambda: self._faulty(parsed, faults) or self._routed(parsed, faults))
        if "drops" in faults:
            raise Dropped
        if "unknown_outcome" in faults and parsed.operation and parsed.operation.mutation:
            return BAD_GATEWAY
        if "truncated_json" in faults:
            reply = dataclasses.replace(reply, body=reply.body[: len(reply.body) // 2])
        return dataclasses.replace(reply, hold="slow" in faults)

    def _faulty(self, parsed: ParsedRequest, faults: Collection[str]) -> Reply | None:
        """The answer of a fault in place of Kili's, if there is one."""
        if "http_500" in faults or "storage_fails" in faults:
            return Reply(500, b"Internal Server Error", "text/plain")
        if "http_502" in faults:
            return BAD_GATEWAY
        if "refused_503" in faults:
            return Reply(503, b"no healthy upstream", "text/plain")
        if "http_429" in faults:
            return Reply(429, b"Too Many Requests", "text/plain", {"Retry-After": self.retry_after})
        if "rejects_key" in faults and parsed.name != "storage":
            return UNAUTHORIZED
        return None

    def _routed(self, parsed: ParsedRequest, faults: Collection[str]) -> Reply:
        request = parsed.request
        if parsed.name == "storage":
            return self._stored(request)
        if parsed.name == "version" and request.method == "GET":
            return _json(200, {"version": VERSION})
        if request.path != f"{BASE}/graphql":
            raise Refused(f"unknown endpoint {request.method} {request.path}", Reply(404))
        if request.method != "POST":
            raise Refused(f"{request.method} of the GraphQL endpoint", Reply(405))
        user = self._user(request)
        if user is None:
            return UNAUTHORIZED
        if request.headers.get_content_type() != "application/json":
            raise Refused("a request that is not application/json", Reply(415))
        if parsed.operation is None:
            error = {"message": parsed.problem, "extensions": {"code": "BAD_REQUEST"}}
            raise Refused(parsed.problem, _json(400, {"errors": [error]}))
        with self._lock:
            status, answer = self._api.execute(parsed.operation, parsed.variables, user, faults)
        return dataclasses.replace(_json(status, answer), headers={"x-complexity": "1"})

    def _user(self, request: Request) -> User | None:
        scheme, _, key = request.headers.get("Authorization", "").partition(": ")
        if scheme != "X-API-Key" or not key:
            raise Refused(f"a request without an API key: {request.path}", UNAUTHORIZED)
        with self._lock:
            return self._organization.user_of_key(key)

    # ---- the bucket

    def _url_of(self, label: Label) -> str:
        return f"{self.storage}{BUCKET}{label.id}.json?{SIGNATURE}={label.signature}"

    def _stored(self, request: Request) -> Reply:
        """A label's jsonResponse, if the URL is signed. A request with the API key is refused."""
        sent = request.target + "".join(f"\n{value}" for value in request.headers.values())
        with self._lock:
            keys = [user.api_key for user in self._organization.users.values() if user.api_key]
        if "Authorization" in request.headers or any(key in sent for key in keys):
            raise Refused("the API key was sent to the bucket", Reply(400, b"Only one auth mechanism", "text/plain"))
        if request.method != "GET":
            raise Refused(f"{request.method} of an object in the bucket", Reply(405))
        split = urlsplit(request.target)
        with self._lock:
            label = self._organization.labels.get(split.path.removeprefix(BUCKET).removesuffix(".json"))
            if label is None or parse_qs(split.query).get(SIGNATURE) != [label.signature]:
                return Reply(403, b"SignatureDoesNotMatch", "text/plain")
            return Reply(body=label.json_response.encode())

    def _publish(self, event: Event) -> None:
        times = DUPLICATES if "duplicate_delivery" in self._faults.striking("event") else 1
        self._webhooks.publish(event, self._organization.plugins.values(), times)


BAD_GATEWAY = Reply(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html")
UNAUTHORIZED = Reply(401, b"Unauthorized", "text/plain")


def _text(json_response: object) -> str:
    return json_response if isinstance(json_response, str) else json.dumps(json_response)


def _json(status: int, answer: object) -> Reply:
    return Reply(status, json.dumps(answer, separators=(",", ":")).encode())
