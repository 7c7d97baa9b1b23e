"""A plugin does the same with Kili's SDK and with our replacement of it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from kili.client import Kili as Sdk
from kili.exceptions import GraphQLError
from kili.services.plugins.upload import check_file_contains_handler
from kili_requests import ASSET, CONTENT, PROJECT, TEAM_PLUGIN, client_of, sdk_of, sent, state

from annohooks.kili import events, plugins
from annohooks.kili.api.client import Client
from annohooks.kili.api.records import NewIssue
from annohooks.kili.plugins import sdk_client, sdk_exceptions
from local.simulators.kili import samples

ACCURACY = 0.9


@pytest.mark.parametrize(
    "metadata",
    [{"accuracy": 0.9}, '{ "accuracy":0.9}', f"{{'accuracy': {ACCURACY}}}", ""],
    ids=["object", "JSON", "as Kili's recipe has it", "empty"],
)
def test_metadata_of_a_plugin_are_sent_as_the_sdk_sends_them(worlds, monkeypatch, metadata):
    """What is no JSON the simulated Kili refuses, from either."""
    theirs, ours = worlds
    monkeypatch.setattr("time.sleep", lambda _: None)  # a second, after it has written metadata

    def write(kili: Any) -> None:
        with suppress(sdk_exceptions.GraphQLError, GraphQLError):
            kili.update_properties_in_assets([ASSET], json_metadatas=[metadata])

    its = sent(theirs, lambda: write(sdk_of(theirs, monkeypatch)))
    with client_of(ours) as client:
        mine = sent(ours, lambda: write(sdk_client.connect(client, Straight(client), PROJECT)))
    assert [request.variables for request in mine] == [its[-1].variables]
    assert state(ours) == state(theirs)


class Straight:
    """Writes that go to Kili as they are."""

    def __init__(self, client: Client) -> None:
        self.raise_issues = lambda wanted: client.create_issues(PROJECT, wanted)
        self.send_back = client.send_back
        self.add_to_review = client.add_to_review
        self.set_metadata = client.set_metadata
        self.resolve = lambda issue_id: client.set_issue_status(issue_id, "SOLVED")
        self.append_labels = lambda append: append()


@pytest.fixture
def sdk_modules() -> Iterator[None]:
    """plugins.load puts the light package in the place of the SDK's."""
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "kili"}
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "kili"]:
        del sys.modules[name]
    sys.modules.update(before)


def test_the_sdk_would_upload_the_plugin_that_our_tests_run():
    assert check_file_contains_handler(TEAM_PLUGIN) == (True, ["onSubmit", "onReview"], False)


def module_of_the_team() -> Any:
    """The plugin as Python with the SDK imports it."""
    module = SimpleNamespace(__name__="team_plugin")
    exec(compile(TEAM_PLUGIN.read_bytes(), str(TEAM_PLUGIN), "exec", dont_inherit=True), vars(module))
    return module


@pytest.mark.parametrize(
    "content", [CONTENT, samples.CORRECTED, samples.label(samples.TOO_LARGE), samples.label(), {"JOB_1": {}}]
)
@pytest.mark.parametrize(("label_type", "method"), [("DEFAULT", "on_submit"), ("REVIEW", "on_review")])
def test_a_plugin_does_the_same_with_the_sdk_and_with_us(worlds, monkeypatch, sdk_modules, content, label_type, method):
    theirs, ours = worlds
    monkeypatch.setattr("time.sleep", lambda _: None)  # a second, after it has written metadata
    for kili in worlds:
        kili.submit(ASSET, content, label_type=label_type, label_id="label")
    failed = []
    label = theirs.event("label")["payload"]["label"]
    handler = module_of_the_team().PluginHandler(sdk_of(theirs, monkeypatch), PROJECT)
    try:
        getattr(handler, method)(label, ASSET)
    except KeyError:
        failed.append("SDK")
    with client_of(ours) as client:
        event = events.read(ours.event("label"))
        plugin = plugins.load(TEAM_PLUGIN)
        try:
            plugin.run(event, client.label(PROJECT, "label"), client, Straight(client))
        except plugins.PluginFailed:
            failed.append("we")
    assert failed in ([], ["SDK", "we"])
    assert state(ours) == state(theirs)


METHODS = [name for name in dir(sdk_client.Kili) if not name.startswith("_")]
FILTERS = {
    f"{count}{name}": getattr(sdk_client, f"{name.removesuffix('s').upper()}_FILTERS")
    for name in ("labels", "assets", "issues", "projects")
    for count in ("", "count_")
}


@pytest.mark.parametrize("method", METHODS)
def test_every_call_that_the_light_client_takes_is_one_that_the_sdk_takes(method):
    theirs = inspect.signature(getattr(Sdk, method)).parameters
    ours = inspect.signature(getattr(sdk_client.Kili, method)).parameters
    named = [name for name, parameter in ours.items() if parameter.kind is not parameter.VAR_KEYWORD]
    positional = [name for name in named if ours[name].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert positional == list(theirs)[: len(positional)]
    assert set(named) | FILTERS.get(method, {}).keys() <= set(theirs)
    needed = {name for name, parameter in theirs.items() if parameter.default is parameter.empty}
    assert needed <= {name for name in named if ours[name].default is inspect.Parameter.empty}


CALLS: Sequence[Callable[[Any], Any]] = (
    lambda kili: kili.labels(PROJECT, ASSET),
    lambda kili: kili.labels(project_id=PROJECT, fields=["id", "jsonResponse", "author.id"], type_in=["REVIEW"]),
    lambda kili: kili.labels(PROJECT, fields=["id"], first=1, skip=1),
    lambda kili: kili.labels(PROJECT, fields=["id"], label_id="one"),
    lambda kili: kili.labels(PROJECT, fields=["id", "labelOf.externalId"], id_contains=["one"]),
    lambda kili: list(kili.labels(PROJECT, fields=["id"], as_generator=True)),
    lambda kili: kili.count_labels(PROJECT),
    lambda kili: kili.count_labels(PROJECT, ASSET, type_in=["DEFAULT"]),
    lambda kili: kili.assets(PROJECT, ASSET, fields=["id", "externalId", "jsonMetadata", "labels.jsonResponse"]),
    lambda kili: kili.assets(PROJECT, fields=["id"], external_id_strictly_in=["a.png"]),
    lambda kili: kili.assets(PROJECT, fields=["id", "latestLabel.jsonResponse"]),
    lambda kili: kili.count_assets(PROJECT),
    lambda kili: kili.projects(project_id=PROJECT, fields=["id", "jsonInterface", "title"]),
    lambda kili: kili.count_projects(),
    lambda kili: kili.issues(PROJECT, ["id", "status", "comments.text", "objectMid"]),
    lambda kili: kili.issues(project_id=PROJECT, fields=["id"], asset_id=ASSET, status="OPEN"),
    lambda kili: kili.issues(project_id=PROJECT, fields=["id"], asset_id_in=[ASSET], issue_type="ISSUE"),
    lambda kili: kili.count_issues(PROJECT, ASSET, status="SOLVED"),
    lambda kili: kili.send_back_to_queue(asset_ids=[]),
)


@pytest.mark.filterwarnings("ignore:tqdm has been forced disabled", "ignore:Method 'send_back_to_queue' did nothing")
@pytest.mark.parametrize("call", CALLS)
def test_the_light_client_gives_what_the_sdk_gives(worlds, monkeypatch, call):
    kili, _ = worlds
    kili.submit(ASSET, CONTENT, label_id="one")
    kili.submit(ASSET, samples.CORRECTED, label_id="two", label_type="REVIEW")
    sdk = sdk_of(kili, monkeypatch)
    with client_of(kili) as client:
        client.create_issues(PROJECT, [NewIssue(label_id="one", text="x", mid="m"), NewIssue(label_id="two", text="y")])
        ours, theirs = call(sdk_client.connect(client, Straight(client), PROJECT)), call(sdk)
    if isinstance(theirs, list):  # to an asset's labels the SDK adds what it once needed to read them
        needed = {"content", "jsonContent", "resolution"}
        theirs = [{name: value for name, value in row.items() if name not in needed} for row in theirs]
    assert ours == theirs
