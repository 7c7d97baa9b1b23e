"""A team's plugin in the function: every change is made once, also after faults and repeated deliveries."""

from __future__ import annotations

import textwrap
import uuid

import boto3
import pytest
from plugin_events import TEAM_PLUGIN

from annohooks.core.errors import SettingsError
from local.simulators.kili import samples

MUTATIONS = {"createIssues", "sendAssetsBackToQueue", "appendManyLabels"}


pytestmark = pytest.mark.usefixtures("imports_as_they_were")


@pytest.fixture
def with_plugin(webhook, tmp_path):
    """with_plugin(source, ...): the function with a plugin and without rules; by default team_plugin.py."""

    def start(source=None, **environment):
        path = TEAM_PLUGIN
        if source is not None:
            path = tmp_path / "plugin.py"
            path.write_text("from kili.plugins import PluginCore\n" + textwrap.dedent(source))
        name = f"/annohooks/tests/{uuid.uuid4()}"
        boto3.client("ssm").put_parameter(Name=name, Value="version: 1\nrules: []\n", Type="String")
        return webhook(**({"KILI_RULES": f"ssm:{name}", "KILI_PLUGIN": str(path)} | environment))

    return start


def test_ten_deliveries_five_at_once_are_one(with_plugin, kili, submitted, raised):
    asset_id, label_id = submitted()
    deliveries = with_plugin().deliver(label_id, times=10, concurrent=5)
    assert {delivery.status for delivery in deliveries} == {200}
    assert len(raised(asset_id, "OPEN")) == 2
    assert kili.sent_back.count(asset_id) == 1


@pytest.mark.parametrize("call", ["createIssues", "sendAssetsBackToQueue"])
@pytest.mark.parametrize(
    "fault",
    [
        "unknown_outcome",
        "refuses",
        *(pytest.param(fault, marks=pytest.mark.thorough) for fault in ("drops", "http_502", "http_500")),
    ],
)
def test_next_delivery_completes_what_a_fault_left(with_plugin, kili, submitted, raised, fault, call):
    asset_id, label_id = submitted()
    start = with_plugin()
    kili.faults.plan(fault, on=call)
    start.deliver(label_id)
    kili.faults.clear()
    start.check(label_id)
    assert len(raised(asset_id)) == 2
    assert kili.sent_back.count(asset_id) == 1


def test_dry_run_reports_issues_and_writes_nothing(with_plugin, kili, submitted, raised, caplog):
    asset_id, label_id = submitted()
    answer = with_plugin(KILI_DRY_RUN="true").check(label_id)
    assert (answer["done"]["created"], answer["done"]["sent_back"]) == (2, True)
    logged = [vars(record)["text"] for record in caplog.records if record.message == "an issue would be raised"]
    assert logged == ["3 objects of category A, but 1 is allowed", "This box is too large"]
    assert raised(asset_id) == []
    assert not MUTATIONS & set(kili.operations())


def test_rules_and_plugin_together_send_back_once(with_plugin, kili, submitted, raised):
    asset_id, label_id = submitted()
    start = with_plugin(KILI_RULES=str(samples.RULES))
    for _ in range(2):
        start.check(label_id)
    assert len(raised(asset_id)) == 4
    assert kili.operations().count("sendAssetsBackToQueue") == 1


APPENDING = """
class PluginHandler(PluginCore):
    def on_submit(self, label, asset_id):
        self.kili.append_labels(
            asset_id_array=[asset_id], json_response_array=[label["jsonResponse"]], label_type="DEFAULT"
        )
"""


def test_label_that_the_plugin_appended_does_not_call_it_again(with_plugin, kili, submitted):
    asset_id, label_id = submitted(samples.CORRECTED)
    start = with_plugin(APPENDING)
    for _ in range(3):
        start.check(label_id)
    (appended,) = set(kili.assets[asset_id]["labels"]) - {label_id}
    assert "created the label itself" in start.check(appended)["ignored"]
    assert len(kili.assets[asset_id]["labels"]) == 2


@pytest.mark.parametrize("fault", ["drops", "unknown_outcome"])
def test_label_that_may_have_been_appended_is_not_appended_again(with_plugin, kili, submitted, fault):
    asset_id, label_id = submitted(samples.CORRECTED)
    start = with_plugin(APPENDING)
    kili.faults.plan(fault, on="appendManyLabels")
    for _ in range(2):
        start.check(label_id)
    assert len(kili.assets[asset_id]["labels"]) == 2
    assert kili.operations().count("appendManyLabels") == 1


LISTENING = """
class PluginHandler(PluginCore):
    def on_event(self, payload):
        self.kili.update_properties_in_assets(
            asset_ids=[payload["payload"]["assetId"]], json_metadatas=[{"seen": payload["event"]}]
        )
"""


def event(subject, asset_id, user):
    payload = {"assetId": asset_id, "issueId": "issue", "externalId": None}
    return {"event": subject, "organizationId": "o", "projectId": samples.PROJECT, "userId": user, "payload": payload}


def test_any_event_reaches_a_plugin_that_listens(with_plugin, kili, submitted):
    asset_id, _ = submitted()
    answer = with_plugin(LISTENING).post(event("asset.issue.created", asset_id, "somebody"))
    assert (answer.status, answer.json["plugin"]) == (200, True)
    assert kili.assets[asset_id]["metadata"] == {"seen": "asset.issue.created"}


def test_event_about_a_change_of_the_webhook_itself_does_not_reach_the_plugin(with_plugin, kili, submitted):
    asset_id, _ = submitted()
    answer = with_plugin(LISTENING).post(event("asset.issue.created", asset_id, kili.bot_id))
    assert answer.json["ignored"] == "this webhook caused the event itself"
    assert kili.assets[asset_id]["metadata"] == {}


def test_error_of_the_plugin_is_a_500_that_names_only_its_type(with_plugin, kili, submitted):
    start = with_plugin("class PluginHandler(PluginCore):\n    def on_submit(self, label, asset_id):\n        {}['x']")
    answer = start.post(kili.event(submitted()[1]))
    assert (answer.status, answer.json) == (500, {"error": "The plugin failed with KeyError; the log says where."})


def test_plugin_that_cannot_be_loaded_ends_the_function_when_it_starts(with_plugin):
    with pytest.raises(SettingsError, match="PluginHandler"):
        with_plugin("class Handler(PluginCore):\n    pass")
