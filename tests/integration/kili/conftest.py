"""The Kili function behind a socket, with labels of its own for each test."""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import urllib3

from annohooks.core import retry
from annohooks.core.deadline import Deadline
from annohooks.core.origins import Origins
from annohooks.kili.api.client import Client
from annohooks.kili.settings import Endpoint, Settings
from local import stack, template
from local.gateway import Gateway
from local.lambdas import Handler, load
from local.simulators.kili import Delivery, Kili, samples
from local.stack import KILI_SECRET, Stack
from local.template import Function

Json = dict[str, Any]
_NUMBERS = itertools.count()


@dataclasses.dataclass
class Answer:
    """What the webhook answered."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclasses.dataclass
class KiliFunction:
    """The function behind a socket."""

    url: str
    kili: Kili
    functions: dict[str, Function]
    environment: dict[str, str]

    def handler(self, name: str) -> Handler:
        """A function itself, by its name in template.yaml, to be called with an event."""
        return load(self.functions[name], self.environment)

    def post(self, body: object, secret: str | None = KILI_SECRET) -> Answer:
        """body: JSON, or bytes as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} | ({"Authorization": secret} if secret is not None else {})
        reply = urllib3.request("POST", self.url, body=content, headers=headers, retries=False, timeout=90)
        return Answer(reply.status, reply.data.decode())

    def deliver(self, label_id: str, times: int = 1, **how: Any) -> list[Delivery]:
        """Posts a label's event, the very same one each time."""
        return self.kili.redeliver(label_id, url=self.url, header=KILI_SECRET, times=times, **how)

    def check(self, label_id: str, **how: Any) -> Json:
        """The webhook's answer to a label's event."""
        (delivery,) = self.deliver(label_id, **how)
        assert delivery.status == 200, delivery.text
        answer: Json = delivery.json()
        return answer


@pytest.fixture
def webhook(running_stack: Stack, kili: Kili) -> Iterator[Callable[..., KiliFunction]]:
    """webhook(KILI_DRY_RUN="true", ...): the function with other settings than the template's defaults."""
    with ExitStack() as gateways:

        def start(**environment: str) -> KiliFunction:
            parameters = {
                "KiliEndpoint": kili.endpoint,
                "KiliStorageOrigins": kili.storage,
                "KiliRules": str(samples.RULES),
            }
            functions = [
                dataclasses.replace(function, environment=function.environment | environment)
                for function in template.functions(parameters, stack.RESOURCES)
                if function.folder.name == "kili"
            ]
            gateway = gateways.enter_context(Gateway(functions, running_stack.environment))
            named = {function.name: function for function in functions}
            return KiliFunction(f"{gateway.origin}/kili", kili, named, running_stack.environment)

        yield start


@pytest.fixture
def function(webhook: Callable[..., KiliFunction]) -> KiliFunction:
    """The function with the template's defaults."""
    return webhook()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses before another attempt are short."""
    monkeypatch.setattr(retry, "sleep", lambda seconds: time.sleep(min(seconds, 0.05)))


@pytest.fixture
def imports_as_they_were() -> Iterator[None]:
    """Undoes the imports of a plugin. A process of the function has one plugin; this process has many."""
    modules, path = dict(sys.modules), list(sys.path)
    yield
    for name in sys.modules.keys() - modules.keys():
        del sys.modules[name]
    sys.modules.update(modules)
    sys.path[:] = path


@pytest.fixture
def submitted(kili: Kili) -> Callable[..., tuple[str, str]]:
    """submitted(json_response, ...): ids of a new asset and its label. Kili posts no event."""

    def submit(
        content: object = samples.WITH_TWO_MISTAKES, project: str = samples.PROJECT, **of_label: Any
    ) -> tuple[str, str]:
        asset_id = kili.add_asset(project, f"asset-{next(_NUMBERS)}-{uuid.uuid4().hex[:8]}")
        return asset_id, kili.submit(asset_id, content, **of_label)

    return submit


@pytest.fixture
def raised(kili: Kili) -> Callable[..., list[Json]]:
    """raised(asset_id, status=None): the issues of an asset."""

    def of(asset_id: str, status: str | None = None) -> list[Json]:
        issues = (issue for issue in kili.issues if issue["asset"] == asset_id)
        return [issue for issue in issues if status in (None, issue["status"])]

    return of


@pytest.fixture
def server() -> Iterator[Kili]:
    """A Kili of its own for a test of the client, with one project and one asset."""
    with Kili(api_key="canary-key-of-a-bot") as kili:
        kili.retry_after = "0"
        kili.add_project("project", json_interface=samples.INTERFACE)
        kili.add_asset("project", "asset", external_id="a.png", width=640, height=480)
        yield kili
    assert kili.violations == []


@pytest.fixture
def connect(server: Kili) -> Iterator[Callable[..., Client]]:
    """connect(kili_max_label_bytes=..., ...): a client of that Kili."""
    with ExitStack() as clients:

        def open_client(**settings: Any) -> Client:
            defaults = {
                "kili_endpoint": Endpoint.parse(server.endpoint),
                "kili_storage_origins": Origins.parse(server.storage),
                "kili_api_key_parameter": "/key",
                "kili_secret_parameter": "/secret",
                "kili_table": "table",
            }
            return clients.enter_context(
                Client(Settings(**{**defaults, **settings}), server.api_key, Deadline.after(20))
            )

        yield open_client
