"""Plugins, and a simulated Kili for each test."""

from __future__ import annotations

import textwrap

import pytest
from plugin_events import KEY, PROJECT

from annohooks.core.deadline import Deadline
from annohooks.core.origins import Origins
from annohooks.kili import events, plugins
from annohooks.kili.api.client import Client
from annohooks.kili.settings import Endpoint, Settings
from local.simulators.kili import Kili, samples

PARAMETERS = {"on_send_back_to_queue": "asset_id", "on_project_updated": "settings_updated", "on_event": "payload"}
"""Of the methods without a label."""


@pytest.fixture
def server():
    with Kili(api_key=KEY) as kili:
        kili.add_project(PROJECT, json_interface=samples.INTERFACE, title="Cars")
        kili.add_asset(PROJECT, "asset", external_id="a.png", width=640, height=480)
        yield kili
    assert kili.violations == []


@pytest.fixture
def client(server):
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
    """Notes every change in `done`, and sends some of them to Kili."""

    def __init__(self, client):
        self.done = []
        self._sent = {
            "raise_issues": lambda issues: client.create_issues(PROJECT, issues),
            "send_back": client.send_back,
            "add_to_review": client.add_to_review,
            "append_labels": lambda append: append(),
        }

    def __getattr__(self, name):
        def change(*arguments):
            self.done.append((name, *arguments))
            return self._sent.get(name, lambda *_: None)(*arguments)

        return change


@pytest.fixture
def writes(client):
    return Writes(client)


@pytest.fixture
def written(tmp_path):
    """written(source): the path of a file with this source."""

    def write(source, name="plugin.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(source))
        return path

    return write


@pytest.fixture
def handler(written):
    """handler("on_submit", body): a plugin with this method. It can keep a value in type(self).seen."""

    def load(method, body):
        lines = textwrap.indent(textwrap.dedent(body), " " * 8)
        signature = f"def {method}(self, {PARAMETERS.get(method, 'label, asset_id')}):"
        return plugins.load(
            written(f"from kili.plugins import PluginCore\nclass PluginHandler(PluginCore):\n    {signature}\n{lines}")
        )

    return load


@pytest.fixture
def submit(server, client, writes):
    """submit(plugin): the id of a label, after the plugin ran on its event. event: changes of the event."""

    def run(plugin, content=samples.CORRECTED, *, event=None, **label):
        label_id = server.submit("asset", content, **label)
        arrived = events.read(server.event(label_id, **(event or {})))
        assert plugin.handles(arrived)
        plugin.run(arrived, client.label(PROJECT, label_id), client, writes)
        return label_id

    return run
