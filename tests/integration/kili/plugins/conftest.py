"""Plugins, and a simulated Kili for each test."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from plugin_events import KEY, PROJECT

from annohooks.core.deadline import Deadline
from annohooks.core.http import Origins
from annohooks.kili import events, plugins
from annohooks.kili.api.client import Client
from annohooks.kili.api.records import NewIssue
from annohooks.kili.settings import Endpoint, Settings
from local.simulators.kili import Kili, samples

PARAMETERS = {"on_send_back_to_queue": "asset_id", "on_project_updated": "settings_updated", "on_event": "payload"}
"""Of the methods without a label."""


@pytest.fixture
def server() -> Iterator[Kili]:
    with Kili(api_key=KEY) as kili:
        kili.add_project(PROJECT, json_interface=samples.INTERFACE, title="Cars")
        kili.add_asset(PROJECT, "asset", external_id="a.png", width=640, height=480)
        yield kili
    assert kili.violations == []


@pytest.fixture
def client(server: Kili) -> Iterator[Client]:
    settings = Settings(
        kili_endpoint=Endpoint.parse(server.endpoint),
        kili_storage_origins=Origins.parse(server.storage),
        kili_api_key_parameter="/key",
        kili_secret_parameter="/secret",
        kili_table="table",
    )
    with Client(settings, KEY, Deadline.after(30)) as client:
        yield client


class Writes:
    """Sends every change to Kili, or only notes it. done: the changes."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.done: list[tuple[Any, ...]] = []

    def raise_issues(self, issues: Sequence[NewIssue]) -> list[str]:
        self.done.append(("raise_issues", [(issue.label_id, issue.text, issue.mid) for issue in issues]))
        return self.client.create_issues(PROJECT, issues)

    def send_back(self, asset_id: str) -> bool:
        self.done.append(("send_back", asset_id))
        return self.client.send_back(asset_id)

    def add_to_review(self, asset_id: str) -> bool:
        self.done.append(("add_to_review", asset_id))
        return self.client.add_to_review(asset_id)

    def set_metadata(self, asset_id: str, metadata: Mapping[str, Any] | str) -> None:
        self.done.append(("set_metadata", asset_id, metadata))

    def resolve(self, issue_id: str) -> None:
        self.done.append(("resolve", issue_id))

    def append_labels(self, append: Callable[[], list[str]]) -> list[str]:
        self.done.append(("append_labels",))
        return append()


@pytest.fixture
def writes(client: Client) -> Writes:
    return Writes(client)


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """written(source): the path of a file with this source."""

    def write(source: str, name: str = "plugin.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(source))
        return path

    return write


@pytest.fixture
def handler(written: Callable[..., Path]) -> Callable[..., plugins.Plugin]:
    """handler("on_submit", body): a plugin with this method. It can keep a value in type(self).seen."""

    def load(method: str, body: str) -> plugins.Plugin:
        lines = textwrap.indent(textwrap.dedent(body), " " * 8)
        signature = f"def {method}(self, {PARAMETERS.get(method, 'label, asset_id')}):"
        return plugins.load(
            written(f"from kili.plugins import PluginCore\nclass PluginHandler(PluginCore):\n    {signature}\n{lines}")
        )

    return load


@pytest.fixture
def submit(server: Kili, client: Client, writes: Writes) -> Callable[..., str]:
    """submit(plugin): the id of a label, after the plugin ran on its event. event: changes of the event."""

    def run(plugin: plugins.Plugin, content: Any = samples.CORRECTED, *, event: Any = None, **label: Any) -> str:
        label_id = server.submit("asset", content, **label)
        arrived = events.read(server.event(label_id, **(event or {})))
        assert plugin.handles(arrived)
        plugin.run(arrived, client.label(PROJECT, label_id), client, writes)
        return label_id

    return run
