"""A team's own plugin.py, loaded and run as it is."""

from __future__ import annotations

import json
import logging
import textwrap
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from annohooks.core.deadline import Deadline
from annohooks.core.errors import SettingsError
from annohooks.core.http import Origins, Upstream
from annohooks.kili import events, plugins
from annohooks.kili.api.client import Client
from annohooks.kili.api.records import Label, NewIssue
from annohooks.kili.plugins import PluginFailed, sdk_client, sdk_exceptions
from annohooks.kili.settings import Endpoint, Settings
from local.simulators.kili import Kili, samples

PROJECT = "project"
KEY = "canary-key-of-a-bot"
TEAM_PLUGIN = Path(__file__).with_name("team_plugin.py")


pytestmark = pytest.mark.usefixtures("imports_as_they_were")


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
    """Straight to Kili, and noted."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.done: list[tuple[Any, ...]] = []

    def raise_issues(self, wanted: Sequence[NewIssue]) -> list[str]:
        self.done.append(("raise_issues", [(issue.label_id, issue.text, issue.mid) for issue in wanted]))
        return self.client.create_issues(PROJECT, wanted)

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
def kili(client: Client, writes: Writes) -> sdk_client.Kili:
    return sdk_client.connect(client, writes, PROJECT)


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """written(source): the path of a file with it."""

    def write(source: str, name: str = "plugin.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(source))
        return path

    return write


HANDLER = """
from kili.plugins import PluginCore

class PluginHandler(PluginCore):
    def {name}(self, {parameters}):
        {body}
"""


@pytest.fixture
def handler(written: Callable[..., Path]) -> Callable[..., plugins.Plugin]:
    """handler("on_submit", body): a plugin with this method, of the parameters that Kili gives it."""
    parameters = {
        "on_send_back_to_queue": "asset_id",
        "on_project_updated": "settings_updated",
        "on_event": "payload",
    }

    def load(name: str, body: str) -> plugins.Plugin:
        given = parameters.get(name, "label, asset_id")
        return plugins.load(written(HANDLER.format(name=name, parameters=given, body=body)))

    return load


def event_of(server: Kili, label_id: str, generation: str = "legacy", **changed: Any) -> events.Event:
    return events.read(server.event(label_id, generation, **changed))


def legacy(kind: str, **payload: Any) -> events.Event:
    return events.read({"eventType": kind, "logPayload": {"runId": "r", "projectId": PROJECT}, "payload": payload})


# Loading


def test_the_light_package_has_the_names_that_plugins_import(written):
    source = """
        import kili
        import kili.plugins
        from kili import exceptions
        from kili.client import Kili
        from kili.exceptions import GraphQLError, NotFound, MissingArgumentError
        from kili.plugins import PluginCore
        from kili.types import Label

        assert kili.plugins.PluginCore is PluginCore and exceptions.GraphQLError is GraphQLError

        class PluginHandler(PluginCore):
            kili: Kili

            def __init__(self, kili: Kili, project_id: str) -> None:
                super().__init__(kili, project_id)

            def on_submit(self, label: Label, asset_id):
                from kili.exceptions import AuthenticationFailed
        """
    assert plugins.load(written(source)).handles(legacy("onSubmit", label={"id": "l"}, asset_id="a"))


def test_a_folder_with_a_main_and_modules_of_its_own_is_a_plugin(written, tmp_path):
    written("from kili.plugins import PluginCore\nfrom dataclasses import dataclass", "rules_of_the_team.py")
    written(
        """
        from __future__ import annotations
        from dataclasses import dataclass
        from rules_of_the_team import PluginCore

        @dataclass
        class Rule:
            name: str

        class PluginHandler(PluginCore):
            def on_review(self, label, asset_id):
                pass
        """,
        "main.py",
    )
    assert plugins.load(tmp_path).handles(legacy("onReview", label={"id": "l"}, asset_id="a"))


def test_a_folder_may_import_from_itself_as_a_package_does(written, tmp_path, server, client, writes):
    written("def rule(label):\n    return label['id']", "sub_folder/helpers.py")
    written("from .sub_folder.helpers import rule", "rules_of_the_team.py")
    written(
        """
        from kili.plugins import PluginCore
        from .rules_of_the_team import rule
        import sub_folder.helpers

        class PluginHandler(PluginCore):
            def on_submit(self, label, asset_id):
                from .sub_folder import helpers
                type(self).seen = helpers.rule(label), rule(label)
        """,
        "main.py",
    )
    plugin = plugins.load(tmp_path)
    label_id = server.submit("asset", samples.CORRECTED)
    plugin.run(event_of(server, label_id), client.label(PROJECT, label_id), client, writes)
    assert plugin._handler.seen == (label_id, label_id)


def test_a_plugin_has_its_annotations_as_python_gives_them_to_it(written):
    source = """
        from dataclasses import dataclass, fields
        from kili.plugins import PluginCore

        @dataclass
        class Rule:
            limit: float

        assert [field.type for field in fields(Rule)] == [float]

        class PluginHandler(PluginCore):
            def on_submit(self, label, asset_id):
                pass
        """
    plugins.load(written(source))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "import pandas_of_the_team",
            "plugin.py cannot be loaded: No module named 'pandas_of_the_team' in line 1; add the packages it needs to",
        ),
        (
            "from kili.utils.labels.parsing import ParsedLabel",
            "No module named 'kili.utils' in line 1. This webhook has these parts",
        ),
        (
            "\nfrom kili.plugins import on_kili_event",
            "cannot import name 'on_kili_event' from 'kili.plugins' in line 2",
        ),
        ("from kili_events import AssetSkippedEvent", "Instead of @on_kili_event, define on_event(self, payload)"),
        (
            "from kili.client import Kili\nkili = Kili()",
            "plugin.py cannot be loaded: Kili() makes no connection here: use self.kili, which has this webhook's API "
            "key in line 2",
        ),
        ("x = 1\ny = {}['secret-canary']", "plugin.py raises KeyError in line 2 when it is imported"),
        ("import sys\nsys.exit(1)", "plugin.py raises SystemExit in line 2 when it is imported"),
        ("def f(:", "plugin.py is not Python: invalid syntax in line 1"),
        ("x = 1", "plugin.py has no class PluginHandler(PluginCore)"),
        ("PluginHandler = 7", "plugin.py has no class PluginHandler(PluginCore)"),
        ("class PluginHandler:\n    pass", "plugin.py has no class PluginHandler(PluginCore)"),
        (
            "from kili.plugins import PluginCore\nclass PluginHandler(PluginCore):\n    pass",
            "PluginHandler in plugin.py has none of on_custom_interface_click, on_event, on_project_updated, ",
        ),
    ],
)
def test_a_plugin_that_cannot_be_loaded_says_why(written, source, said):
    with pytest.raises(SettingsError) as raised:
        plugins.load(written(source))
    assert said in str(raised.value)
    assert str(raised.value).startswith("KILI_PLUGIN: ")
    assert "canary" not in "".join(traceback.format_exception(raised.value))


def test_a_plugin_that_is_not_there_says_so(tmp_path):
    with pytest.raises(SettingsError, match=r"^KILI_PLUGIN: there is no file other\.py beside the function$"):
        plugins.load(tmp_path / "other.py")
    with pytest.raises(SettingsError, match=r"^KILI_PLUGIN: there is no file main\.py beside the function$"):
        plugins.load(tmp_path)


# Which method is called, and with what


@pytest.mark.parametrize(
    ("kind", "method", "payload", "given"),
    [
        ("onSendBackToQueue", "on_send_back_to_queue", {"asset_id": "asset"}, "'asset'"),
        ("onProjectUpdated", "on_project_updated", {"settings_updated": [{"key": "title"}]}, "[{'key': 'title'}]"),
        ("onProjectUpdated", "on_project_updated", {}, "[]"),
        (
            "onCustomInterfaceClick",
            "on_custom_interface_click",
            {"label": {"id": "l", "jsonResponse": '{"JOB": {}}', "more": 1}, "asset_id": "asset"},
            "{'id': 'l', 'jsonResponse': {'JOB': {}}} 'asset'",
        ),
    ],
)
def test_events_without_a_stored_label_reach_their_methods(handler, client, writes, kind, method, payload, given):
    plugin = handler(method, "type(self).seen = ' '.join(repr(v) for n, v in locals().items() if n != 'self')")
    event = legacy(kind, **payload)
    assert plugin.handles(event)
    plugin.run(event, None, client, writes)
    assert plugin._handler.seen == given


@pytest.mark.parametrize(("label_type", "method"), [("DEFAULT", "on_submit"), ("REVIEW", "on_review")])
@pytest.mark.parametrize("generation", ["legacy", "flat", "whole"])
def test_a_submitted_label_reaches_its_method_in_every_generation_of_events(
    server, client, writes, handler, label_type, method, generation
):
    plugin = handler(method, "type(self).seen = (label, asset_id, self.project_id)")
    label_id = server.submit("asset", samples.WITH_TWO_MISTAKES, label_type=label_type, author="jane", seconds=9)
    event = event_of(server, label_id, generation, enveloped=generation == "flat")
    assert plugin.handles(event)
    plugin.run(event, client.label(PROJECT, label_id), client, writes)
    label, asset_id, project_id = plugin._handler.seen
    assert (asset_id, project_id) == ("asset", PROJECT)
    assert (
        label.items()
        >= {
            "id": label_id,
            "labelType": label_type,
            "authorId": "jane",
            "numberOfAnnotations": 3,
            "jsonResponse": samples.WITH_TWO_MISTAKES,
            "secondsToLabel": 9,
            "isSentBackToQueue": False,
            "isLatestLabelForUser": True,
            "modelName": None,
        }.items()
    )
    assert label["search"]["numberOfAnnotationsByObject"] == {"JOB_0.OBJECT_A": 3}


def test_what_only_the_event_says_of_a_label_is_kept(server, client, writes, handler):
    plugin = handler("on_review", "type(self).seen = label")
    label_id = server.submit("asset", samples.CORRECTED, label_type="REVIEW")
    carried = {"id": label_id, "version": 3, "jsonResponse": "{}", "search": {"id": "original"}, "labelType": "DEFAULT"}
    event = legacy("onReview", label=carried, asset_id="asset")
    plugin.run(event, client.label(PROJECT, label_id), client, writes)
    label = plugin._handler.seen
    assert (label["version"], label["search"]["id"], label["labelType"]) == (3, "original", "REVIEW")
    assert label["jsonResponse"] == samples.CORRECTED


@pytest.mark.parametrize(("label_type", "method"), [("DEFAULT", "on_submit"), ("REVIEW", "on_review")])
def test_an_edited_label_reaches_the_method_of_its_type(server, client, writes, handler, label_type, method):
    plugin = handler(method, "type(self).seen = label['id']")
    label_id = server.submit("asset", samples.CORRECTED, label_type=label_type)
    event = event_of(server, label_id, "whole", subject="label.workflow.edited")
    assert plugin.handles(event)
    plugin.run(event, client.label(PROJECT, label_id), client, writes)
    assert plugin._handler.seen == label_id


def test_an_event_reaches_on_event_as_it_came(server, client, writes, handler):
    plugin = handler("on_event", "type(self).seen = payload")
    raw = {"event": "asset.skipped", "projectId": PROJECT, "userId": "u", "payload": {"assetId": "asset"}}
    event = events.read(raw)
    assert plugin.handles(event)
    plugin.run(event, None, client, writes)
    assert plugin._handler.seen == raw


def test_a_method_that_is_not_defined_is_not_called(server, client, writes, handler):
    plugin = handler("on_review", "raise AssertionError")
    label_id = server.submit("asset", samples.CORRECTED)
    for event in (
        event_of(server, label_id),
        event_of(server, label_id, "whole"),
        legacy("onSendBackToQueue", asset_id="asset"),
        events.read({"event": "asset.skipped", "projectId": PROJECT, "payload": {"assetId": "asset"}}),
    ):
        assert not plugin.handles(event)
        plugin.run(event, client.label(PROJECT, label_id), client, writes)


def test_every_event_has_an_instance_of_its_own(server, client, writes, handler):
    plugin = handler("on_submit", "self.count = getattr(self, 'count', 0) + 1; type(self).seen = self.count")
    label_id = server.submit("asset", samples.CORRECTED)
    for _ in range(2):
        plugin.run(event_of(server, label_id), client.label(PROJECT, label_id), client, writes)
    assert plugin._handler.seen == 1


# What a plugin does


def test_the_teams_plugin_raises_its_issues_and_sends_the_asset_back(server, client, writes):
    plugin = plugins.load(TEAM_PLUGIN)
    label_id = server.submit("asset", samples.WITH_TWO_MISTAKES)
    plugin.run(event_of(server, label_id), client.label(PROJECT, label_id), client, writes)
    assert [(issue["text"], issue["mid"], issue["label"]) for issue in server.issues] == [
        ("3 objects of category A, but 1 is allowed", None, label_id),
        ("This box is too large", samples.TOO_LARGE[0], label_id),
    ]
    assert server.sent_back == ["asset"]
    assert [done[0] for done in writes.done] == ["raise_issues", "raise_issues", "send_back"]


def test_the_teams_plugin_leaves_a_good_label_alone(server, client, writes):
    plugin = plugins.load(TEAM_PLUGIN)
    label_id = server.submit("asset", samples.CORRECTED)
    plugin.run(event_of(server, label_id), client.label(PROJECT, label_id), client, writes)
    assert (server.issues, server.sent_back, writes.done) == ([], [], [])


@pytest.mark.parametrize("body", ["label['secret-canary']", "import sys; sys.exit('secret-canary')", "1 / 0"])
def test_an_error_of_the_plugin_is_told_by_its_type_and_logged_by_where_it_arose(
    server, client, writes, handler, body, caplog, capsys
):
    plugin = handler("on_submit", body)
    label_id = server.submit("asset", samples.CORRECTED)
    with pytest.raises(PluginFailed, match=r"^The plugin failed with \w+; the log says where\.$") as raised:
        plugin.run(event_of(server, label_id), client.label(PROJECT, label_id), client, writes)
    assert raised.value.status == 500
    assert "unexpected" in caplog.text
    assert "canary" not in "".join(traceback.format_exception(raised.value)) + caplog.text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("self.kili.labels(self.project_id, output_format='x')", "there is no filter output_format in this webhook"),
        ("self.kili.labels(self.project_id, fields=['id } }'])", "'id } }' is not the name of a field"),
        ("self.kili.update_issue_status('i', 'CANCELLED')", "an issue can only be set to SOLVED by this webhook"),
        ("self.kili.send_back_to_queue()", "Please provide either asset ids or external ids."),
        ("self.kili.delete_labels(['l'])", "there is no kili.delete_labels in this webhook; there are add_to_review"),
    ],
)
def test_what_is_not_possible_here_is_told_to_the_author_in_the_log(
    server, client, writes, handler, body, said, caplog
):
    plugin = handler("on_submit", body)
    label_id = server.submit("asset", samples.CORRECTED)
    with pytest.raises(PluginFailed, match=r"^The plugin failed with \w+; the log says where\.$"):
        plugin.run(event_of(server, label_id), client.label(PROJECT, label_id), client, writes)
    assert f"the plugin uses something that this webhook does not have: {said}" in caplog.text


def test_kilis_refusals_can_be_caught_as_the_sdks_and_are_ours_if_they_are_not(server, client, writes, handler):
    label_id = server.submit("asset", samples.CORRECTED)
    label, event = client.label(PROJECT, label_id), event_of(server, label_id)
    server.faults.add("refuses")
    catching = """
        from kili.exceptions import GraphQLError
        try:
            self.kili.send_back_to_queue(asset_ids=[asset_id])
        except GraphQLError as error:
            type(self).seen = str(error)
    """
    plugin = handler("on_submit", textwrap.indent(textwrap.dedent(catching).strip(), " " * 8).lstrip())
    plugin.run(event, label, client, writes)
    assert plugin._handler.seen == 'GraphQL error: "[serviceUnavailable] Try again later."'
    passing = handler("on_submit", "self.kili.send_back_to_queue(asset_ids=[asset_id])")
    with pytest.raises(Upstream, match=r"^Kili refused what was asked of it while sending the asset back"):
        passing.run(event, label, client, writes)


def test_an_outcome_that_is_unknown_is_told_as_the_sdk_tells_it(server, kili):
    server.submit("asset", samples.CORRECTED)
    server.faults.add("unknown_outcome")
    with pytest.raises(sdk_exceptions.MutationOutcomeUnknownError):
        kili.add_to_review(asset_ids=["asset"])


def test_what_is_not_there_is_told_as_the_sdk_tells_it(kili):
    with pytest.raises(sdk_exceptions.NotFound):
        kili.labels("none")
    with pytest.raises(sdk_exceptions.GraphQLError):
        kili.add_to_review(asset_ids=["none"])


def test_a_plugin_logs_into_the_log_of_the_webhook(server, client, writes, handler, caplog):
    plugin = handler("on_submit", "self.logger.info('seen %s', asset_id)")
    label_id = server.submit("asset", samples.CORRECTED)
    with caplog.at_level(logging.INFO):
        plugin.run(event_of(server, label_id), client.label(PROJECT, label_id), client, writes)
    assert "seen asset" in caplog.text


# The light client


def test_labels_are_found_by_what_the_sdk_finds_them_by(server, kili):
    first = server.submit("asset", samples.CORRECTED, author="jane")
    second = server.submit("asset", samples.WITH_TWO_MISTAKES, author="joe", label_type="REVIEW")
    found = kili.labels(PROJECT, "asset", fields=["id", "author.id", "jsonResponse"])
    assert found == [
        {"id": first, "author": {"id": "jane"}, "jsonResponse": samples.CORRECTED},
        {"id": second, "author": {"id": "joe"}, "jsonResponse": samples.WITH_TWO_MISTAKES},
    ]
    assert kili.labels(project_id=PROJECT, fields=["id"], type_in=["REVIEW"]) == [{"id": second}]
    assert kili.labels(PROJECT, label_id=first, fields=["id"], disable_tqdm=True) == [{"id": first}]
    assert kili.labels(PROJECT, fields=["id"], skip=1, first=5) == [{"id": second}]
    assert next(kili.labels(PROJECT, fields=["id"], as_generator=True)) == {"id": first}
    assert kili.labels(PROJECT, label_id=first)[0].keys() == {
        "author",
        "id",
        "jsonResponse",
        "labelType",
        "secondsToLabel",
        "isLatestLabelForUser",
        "assetId",
    }
    assert kili.count_labels(PROJECT) == 2
    assert kili.count_labels(PROJECT, "asset", type_in=["DEFAULT"]) == 1


def test_assets_come_with_their_metadata_and_labels_decoded(server, kili, client):
    server.submit("asset", samples.CORRECTED)
    client.set_metadata("asset", {"accuracy": 1})
    fields = ["id", "jsonMetadata", "labels.jsonResponse", "latestLabel.jsonResponse"]
    assert kili.assets(PROJECT, "asset", fields=fields) == [
        {
            "id": "asset",
            "jsonMetadata": {"accuracy": 1},
            "labels": [{"jsonResponse": samples.CORRECTED}],
            "latestLabel": {"jsonResponse": samples.CORRECTED},
        }
    ]
    assert kili.assets(PROJECT, status_in=["TODO"]) == []
    assert kili.count_assets(PROJECT) == kili.count_assets(PROJECT, external_id_strictly_in=["a.png"]) == 1


def test_projects_come_with_their_interface_decoded(server, kili):
    assert kili.projects(project_id=PROJECT, fields=["title", "jsonInterface"]) == [
        {"title": "Cars", "jsonInterface": samples.INTERFACE}
    ]
    assert kili.count_projects() == 1


def test_issues_are_found_by_asset_and_status(server, kili):
    label_id = server.submit("asset", samples.CORRECTED)
    created = kili.create_issues(PROJECT, [label_id, label_id], [None, "m"], ["one", None])
    assert kili.issues(PROJECT, fields=["id"], asset_id="asset", status="OPEN") == created
    assert kili.issues(PROJECT, ["objectMid"], 1, 1) == [{"objectMid": "m"}]
    assert kili.count_issues(PROJECT, issue_type="ISSUE") == 2
    assert kili.count_issues(PROJECT, "asset", status="SOLVED") == 0


def test_every_change_goes_the_way_of_the_rules_own_changes(server, kili, writes):
    label_id = server.submit("asset", samples.CORRECTED)
    assert kili.create_issues(PROJECT, [label_id], text_array=["x"]) == [{"id": server.issues[0]["id"]}]
    assert kili.update_issue_status("i", "SOLVED") == {"id": "i"}
    sent = kili.send_back_to_queue(external_ids=["a.png"], project_id=PROJECT)
    assert sent == {"declined": [], "failed": [], "succeeded": [{"assetId": "asset", "externalId": "a.png"}]}
    assert kili.send_back_to_queue(["asset"])["declined"] == [{"assetId": "asset", "externalId": None}]
    assert kili.add_to_review(asset_ids=["asset"])["declined"]
    assert kili.update_properties_in_assets(["asset"], json_metadatas=[{"x": 1}]) == [{"id": "asset"}]
    assert kili.update_properties_in_assets(["asset"], json_metadatas=["{'x': 1.0}"]) == [{"id": "asset"}]
    (appended,) = kili.append_labels(
        ["asset"], [{}], label_type="PREDICTION", model_name="m", seconds_to_label_array=[1]
    )
    assert server.labels[appended["id"]]["model_name"] == "m"
    assert writes.done == [
        ("raise_issues", [(label_id, "x", None)]),
        ("resolve", "i"),
        ("send_back", "asset"),
        ("send_back", "asset"),
        ("add_to_review", "asset"),
        ("set_metadata", "asset", {"x": 1}),
        ("set_metadata", "asset", "{'x': 1.0}"),
        ("append_labels",),
    ]


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda k: k.create_issues("other", ["l"]), ValueError, "only be raised in the project of the event"),
        (lambda k: k.create_issues(PROJECT, ["l"], None, ["a", "b"]), ValueError, "text_array has 2 elements, not 1"),
        (lambda k: k.update_issue_status("i", "CANCELLED"), ValueError, "only be set to SOLVED"),
        (lambda k: k.send_back_to_queue(), ValueError, "either asset ids or external ids"),
        (lambda k: k.send_back_to_queue(["a"], ["b"]), ValueError, "either asset ids or external ids"),
        (lambda k: k.send_back_to_queue(external_ids=["b"]), ValueError, "need the project_id"),
        (lambda k: k.add_to_review(external_ids=["b"], project_id=PROJECT), ValueError, "1 of the external ids"),
        (lambda k: k.labels(PROJECT, step_name_in=["x"]), TypeError, "there is no filter step_name_in"),
        (lambda k: k.labels(PROJECT, fields=["id } }"]), ValueError, "is not the name of a field"),
        (
            lambda k: k.delete_labels(["l"]),
            AttributeError,
            "there is no kili.delete_labels in this webhook; there are ",
        ),
        (lambda k: k.api_key, AttributeError, "add_to_review, append_labels, assets, count_assets, "),
    ],
)
def test_a_call_that_cannot_be_made_says_why(kili, writes, call, error, said):
    with pytest.raises(error) as raised:
        call(kili)
    assert said in str(raised.value)
    assert writes.done == []


def test_a_plugin_may_ask_whether_a_method_is_there(kili):
    assert hasattr(kili, "labels")
    assert not hasattr(kili, "delete_labels")
    assert getattr(kili, "api_key", None) is None


def test_no_attribute_of_what_a_plugin_has_leads_to_the_key(server, client, writes, handler):
    plugin = handler("on_submit", "type(self).seen = self")
    label_id = server.submit("asset", samples.CORRECTED)
    plugin.run(event_of(server, label_id), client.label(PROJECT, label_id), client, writes)
    seen: set[int] = set()
    left: list[Any] = [plugin._handler.seen]
    while left:
        thing = left.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        assert not isinstance(thing, Client)
        if isinstance(thing, str | bytes):
            assert KEY not in str(thing)
        elif isinstance(thing, Mapping):
            left += [*thing.keys(), *thing.values()]
        elif isinstance(thing, list | tuple | set):
            left += thing
        elif not isinstance(thing, type | logging.Logger):
            left += vars(thing).values() if hasattr(thing, "__dict__") else []
            left += [thing.__self__] if hasattr(thing, "__self__") else []
    assert len(seen) > 20


def test_a_label_is_given_whole_even_if_it_is_not_an_object(server, client, writes, handler):
    plugin = handler("on_submit", "type(self).seen = label")
    label = Label(id="l", project_id=PROJECT, asset_id="asset", label_type="DEFAULT", json_response=json.loads("[7]"))
    plugin.run(legacy("onSubmit", label={"id": "l"}, asset_id="asset"), label, client, writes)
    assert plugin._handler.seen["jsonResponse"] == [7]
    assert plugin._handler.seen["numberOfAnnotations"] == 0
