"""Which method of a plugin an event calls, with what, and what happens to its errors."""

from __future__ import annotations

import json
import logging
import traceback

import pytest
from plugin_events import PROJECT, SUBMITTED, TEAM_PLUGIN, legacy

from annohooks.core.errors import Upstream
from annohooks.kili import events, plugins
from annohooks.kili.api.records import Label
from annohooks.kili.plugins import PluginFailed
from local.simulators.kili import samples

pytestmark = pytest.mark.usefixtures("imports_as_they_were")

BY_LABEL_TYPE = pytest.mark.parametrize(("label_type", "method"), [("DEFAULT", "on_submit"), ("REVIEW", "on_review")])
CLICK = {"label": {"id": "l", "jsonResponse": '{"JOB": {}}', "more": 1}, "asset_id": "asset"}


# Methods and arguments


@pytest.mark.parametrize(
    ("kind", "method", "payload", "arguments"),
    [
        ("onSendBackToQueue", "on_send_back_to_queue", {"asset_id": "asset"}, "'asset'"),
        ("onProjectUpdated", "on_project_updated", {"settings_updated": [{"key": "title"}]}, "[{'key': 'title'}]"),
        ("onProjectUpdated", "on_project_updated", {}, "[]"),
        (
            "onCustomInterfaceClick",
            "on_custom_interface_click",
            CLICK,
            "{'id': 'l', 'jsonResponse': {'JOB': {}}} 'asset'",
        ),
        (
            "onCustomInterfaceClick",
            "on_custom_interface_click",
            {"label": {"id": "l", "jsonResponse": "{"}, "asset_id": "asset"},
            "{'id': 'l', 'jsonResponse': {}} 'asset'",
        ),
    ],
)
def test_events_without_a_stored_label_call_their_methods(handler, client, writes, kind, method, payload, arguments):
    plugin = handler(method, "type(self).seen = ' '.join(repr(v) for n, v in locals().items() if n != 'self')")
    event = legacy(kind, **payload)
    assert plugin.handles(event)
    plugin.run(event, None, client, writes)
    assert plugin._handler.seen == arguments


@BY_LABEL_TYPE
@pytest.mark.parametrize("generation", ["legacy", "flat", "whole"])
def test_submitted_label_calls_its_method_in_every_generation_of_events(
    submit, handler, label_type, method, generation
):
    plugin = handler(method, "type(self).seen = (label, asset_id, self.project_id)")
    event = {"generation": generation, "enveloped": generation == "flat"}
    label_id = submit(plugin, samples.WITH_TWO_MISTAKES, event=event, label_type=label_type, author="jane", seconds=9)
    label, asset_id, project_id = plugin._handler.seen
    assert (asset_id, project_id) == ("asset", PROJECT)
    expected = {
        "id": label_id,
        "labelType": label_type,
        "authorId": "jane",
        "numberOfAnnotations": 3,
        "jsonResponse": samples.WITH_TWO_MISTAKES,
        "secondsToLabel": 9,
        "isSentBackToQueue": False,
        "isLatestLabelForUser": True,
        "modelName": None,
    }
    assert label.items() >= expected.items()
    assert label["search"]["numberOfAnnotationsByObject"] == {"JOB_0.OBJECT_A": 3}


def test_fields_that_only_the_event_has_are_kept(server, client, writes, handler):
    plugin = handler("on_review", "type(self).seen = label")
    label_id = server.submit("asset", samples.CORRECTED, label_type="REVIEW")
    carried = {"id": label_id, "version": 3, "jsonResponse": "{}", "search": {"id": "original"}, "labelType": "DEFAULT"}
    event = legacy("onReview", label=carried, asset_id="asset")
    plugin.run(event, client.label(PROJECT, label_id), client, writes)
    label = plugin._handler.seen
    assert (label["version"], label["search"]["id"], label["labelType"]) == (3, "original", "REVIEW")
    assert label["jsonResponse"] == samples.CORRECTED


def test_label_that_is_not_an_object_is_passed_as_it_is(client, writes, handler):
    plugin = handler("on_submit", "type(self).seen = label")
    label = Label(id="l", project_id=PROJECT, asset_id="asset", label_type="DEFAULT", json_response=json.loads("[7]"))
    plugin.run(SUBMITTED, label, client, writes)
    assert (plugin._handler.seen["jsonResponse"], plugin._handler.seen["numberOfAnnotations"]) == ([7], 0)


@BY_LABEL_TYPE
def test_edited_label_calls_the_method_of_its_type(submit, handler, label_type, method):
    plugin = handler(method, "type(self).seen = label['id']")
    edited = {"generation": "whole", "subject": "label.workflow.edited"}
    assert submit(plugin, event=edited, label_type=label_type) == plugin._handler.seen


def test_event_is_passed_to_on_event_as_it_came(client, writes, handler):
    plugin = handler("on_event", "type(self).seen = payload")
    raw = {"event": "asset.skipped", "projectId": PROJECT, "userId": "u", "payload": {"assetId": "asset"}}
    event = events.read(raw)
    assert plugin.handles(event)
    plugin.run(event, None, client, writes)
    assert plugin._handler.seen == raw


def test_method_that_is_not_defined_is_not_called(server, client, writes, handler):
    plugin = handler("on_review", "raise AssertionError")
    label_id = server.submit("asset", samples.CORRECTED)
    for event in (
        events.read(server.event(label_id)),
        events.read(server.event(label_id, "whole")),
        legacy("onSendBackToQueue", asset_id="asset"),
        events.read({"event": "asset.skipped", "projectId": PROJECT, "payload": {"assetId": "asset"}}),
    ):
        assert not plugin.handles(event)
        plugin.run(event, client.label(PROJECT, label_id), client, writes)


def test_every_event_has_a_new_instance(submit, handler):
    plugin = handler("on_submit", "self.count = getattr(self, 'count', 0) + 1; type(self).seen = self.count")
    for _ in range(2):
        submit(plugin)
    assert plugin._handler.seen == 1


# A plugin at work


def test_plugin_of_a_team_raises_issues_and_sends_back(server, submit, writes):
    label_id = submit(plugins.load(TEAM_PLUGIN), samples.WITH_TWO_MISTAKES)
    assert [(issue["text"], issue["mid"], issue["label"]) for issue in server.issues] == [
        ("3 objects of category A, but 1 is allowed", None, label_id),
        ("This box is too large", samples.TOO_LARGE[0], label_id),
    ]
    assert server.sent_back == ["asset"]
    assert [name for name, *_ in writes.done] == ["raise_issues", "raise_issues", "send_back"]


def test_plugin_of_a_team_changes_nothing_about_a_right_label(server, submit, writes):
    submit(plugins.load(TEAM_PLUGIN))
    assert (server.issues, server.sent_back, writes.done) == ([], [], [])


def test_plugin_logs_into_the_log_of_the_webhook(submit, handler, caplog):
    with caplog.at_level(logging.INFO):
        submit(handler("on_submit", "self.logger.info('seen %s', asset_id)"))
    assert "seen asset" in caplog.text


# Errors

FAILED = r"^The plugin failed with \w+; the log says where\.$"


@pytest.mark.parametrize("body", ["label['secret-canary']", "import sys; sys.exit('secret-canary')", "1 / 0"])
def test_error_of_a_plugin_is_reported_by_its_type_and_logged_by_its_place(submit, handler, body, caplog):
    with pytest.raises(PluginFailed, match=FAILED) as raised:
        submit(handler("on_submit", body))
    assert raised.value.status == 500
    assert "unexpected" in caplog.text
    assert "canary" not in "".join(traceback.format_exception(raised.value)) + caplog.text


def test_unsupported_call_is_logged_for_the_author(submit, handler, caplog):
    with pytest.raises(PluginFailed, match=FAILED):
        submit(handler("on_submit", "self.kili.send_back_to_queue()"))
    problem = "Please provide either asset ids or external ids."
    assert f"the plugin uses something that this webhook does not have: {problem}" in caplog.text


def test_refusal_of_kili_can_be_caught_as_an_error_of_the_sdk_and_is_upstream_otherwise(server, submit, handler):
    catching = handler(
        "on_submit",
        """
        from kili.exceptions import GraphQLError
        try:
            self.kili.send_back_to_queue(asset_ids=[asset_id])
        except GraphQLError as error:
            type(self).seen = str(error)
        """,
    )
    server.faults.plan("refuses", on="sendAssetsBackToQueue", times=2)
    submit(catching)
    assert catching._handler.seen == 'GraphQL error: "[serviceUnavailable] Try again later."'
    with pytest.raises(Upstream, match=r"^Kili refused the request while sending the asset back"):
        submit(handler("on_submit", "self.kili.send_back_to_queue(asset_ids=[asset_id])"))
