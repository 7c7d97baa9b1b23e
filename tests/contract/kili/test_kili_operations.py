"""What we ask of Kili is what its own SDK asks for the same work, and leaves it as the SDK leaves it."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from operator import itemgetter
from types import SimpleNamespace
from typing import Any

import graphql
import pytest
import requests
from gql.transport.exceptions import TransportQueryError, TransportServerError
from hypothesis import given
from hypothesis import strategies as st
from kili.client import Kili as Sdk
from kili.core.graphql import retry
from kili.exceptions import GraphQLError
from kili.services.plugins.upload import check_file_contains_handler
from kili_formats.tool.annotations_to_json_response import AnnotationsToJsonResponseConverter

from annohooks.core.deadline import Deadline
from annohooks.core.http import Origins, Reply
from annohooks.kili import events, plugins
from annohooks.kili.api import cache, documents, llm_labels
from annohooks.kili.api.client import Client
from annohooks.kili.api.graphql import Refused, Session, _Failure
from annohooks.kili.api.records import NewIssue, NewLabel
from annohooks.kili.plugins import sdk_client, sdk_exceptions
from annohooks.kili.settings import Endpoint, Settings
from local.simulators.kili import Kili, samples
from local.template import ROOT

PROJECT, ASSET = "p1", "a1"
TEAM_PLUGIN = ROOT / "tests" / "integration" / "kili" / "plugins" / "team_plugin.py"
CONTENT = samples.WITH_TWO_MISTAKES
ENDPOINT = Endpoint.parse("https://kili.example.org/graphql")


def client_of(kili: Kili) -> Client:
    settings = Settings(
        kili_endpoint=Endpoint.parse(kili.endpoint),
        kili_storage_origins=Origins.parse(kili.storage),
        kili_api_key_parameter="/key",
        kili_secret_parameter="/secret",
        kili_table="table",
    )
    return Client(settings, kili.api_key, Deadline.after(60))


@pytest.fixture
def client(kili: Kili) -> Iterator[Client]:
    cache.projects.clear()
    with client_of(kili) as client:
        yield client


class Sent(SimpleNamespace):
    """One request. fields: every path that is selected below the root field; variables: without nulls."""

    operation: str
    fields: set[str]
    variables: Any


def sent(kili: Kili, act: Callable[[], object]) -> list[Sent]:
    """What goes to Kili, but for the bucket, while something is done."""
    kili.calls.clear()
    act()
    found = []
    for call in kili.calls:
        if call.operation != "storage":
            (operation,) = graphql.parse(call.query).definitions
            for root in operation.selection_set.selections:
                fields = set(_selected(root.selection_set, ""))
                found.append(Sent(operation=root.name.value, fields=fields, variables=_present(call.variables)))
    return found


def _selected(selections: Any, above: str) -> Iterator[str]:
    for field in selections.selections if selections else ():
        name = f"{above}{field.name.value}"
        yield name
        yield from _selected(field.selection_set, f"{name}.")


def _present(value: Any) -> Any:
    """Without what is null or empty: as a filter, or as what is not set, it means the same as nothing."""
    if isinstance(value, Mapping):
        inner = {name: _present(each) for name, each in value.items()}
        return {name: each for name, each in inner.items() if each not in (None, {})}
    return [_present(each) for each in value] if isinstance(value, list) else value


# The same requests


def test_a_label_is_asked_for_as_the_sdk_asks_for_it(kili, sdk, client):
    label_id = kili.submit(ASSET, CONTENT)
    fields = [
        "id",
        "labelType",
        "assetId",
        "author.id",
        "isLatestLabelForUser",
        "isSentBackToQueue",
        "secondsToLabel",
        "modelName",
        "createdAt",
        "labelOf.status",
        "labelOf.labels.id",
        "labelOf.labels.labelType",
        "labelOf.labels.author.id",
        "labelOf.labels.createdAt",
        "jsonResponse",
    ]
    theirs = sent(kili, lambda: sdk.labels(project_id=PROJECT, label_id=label_id, fields=fields))
    ours = sent(kili, lambda: client.label(PROJECT, label_id))
    # The SDK counts first, for a progress bar, and asks for the project in a request of its own.
    assert [each.operation for each in theirs] == ["projects", "countLabels", "labels"]
    assert [each.operation for each in ours] == ["labels", "projects"]
    assert ours[0].fields == theirs[2].fields
    assert ours[1].fields - theirs[0].fields == {"id"}
    asked, its = ours[0].variables["where"], theirs[2].variables["where"]
    # The project is named twice by the SDK, for the label and for its asset.
    assert its == {**asked, "asset": {"project": {"id": PROJECT}}}
    assert ours[0].variables["project"] == theirs[0].variables["where"]
    assert [(each.variables["first"], each.variables["skip"]) for each in (ours[0], theirs[2])] == [(1, 0)] * 2


def test_issues_are_asked_for_as_the_sdk_asks_for_them(kili, sdk, client):
    client.create_issues(PROJECT, [NewIssue(label_id=kili.submit(ASSET, CONTENT), text="x")])
    fields = ["id", "status", "objectMid", "comments.text"]
    theirs = sent(kili, lambda: sdk.issues(PROJECT, fields, asset_id=ASSET, issue_type="ISSUE"))
    ours = sent(kili, lambda: client.issues(PROJECT, ASSET))
    assert [each.operation for each in theirs] == ["countIssues", "issues"]
    assert [each.operation for each in ours] == ["issues"]
    assert ours[0].fields == theirs[1].fields
    # Having counted, the SDK asks for no more than there are; the page is 100 for both.
    assert {**theirs[1].variables, "first": 100} == ours[0].variables


def new_label(asset_id: str) -> NewLabel:
    return NewLabel(asset_id=asset_id, json_response=CONTENT, author_id="jane", seconds_to_label=3, model_name="m")


WEBHOOK = {"webhook_url": "https://example.org/kili", "plugin_name": "w", "header": "secret"}
OUR_WEBHOOK = {"webhookUrl": "https://example.org/kili", "pluginName": "w", "header": "secret"}
WORK: dict[str, tuple[Callable[[Sdk, str], object], Callable[[Client, str], object]]] = {
    "createIssues": (
        lambda sdk, label: sdk.create_issues(PROJECT, [label, label], [None, "mid"], ["one", "two"]),
        lambda client, label: client.create_issues(
            PROJECT, [NewIssue(label_id=label, text="one"), NewIssue(label_id=label, text="two", mid="mid")]
        ),
    ),
    "sendAssetsBackToQueue": (
        lambda sdk, _: sdk.send_back_to_queue(asset_ids=[ASSET]),
        lambda client, _: client.send_back(ASSET),
    ),
    "addAssetsToReview": (
        lambda sdk, _: sdk.add_to_review(asset_ids=[ASSET]),
        lambda client, _: client.add_to_review(ASSET),
    ),
    "updatePropertiesInAssets": (
        lambda sdk, _: sdk.update_properties_in_assets(asset_ids=[ASSET], json_metadatas=[{"x": 1}]),
        lambda client, _: client.set_metadata(ASSET, {"x": 1}),
    ),
    "appendManyLabels": (
        lambda sdk, _: sdk.append_labels(
            asset_id_array=[ASSET],
            json_response_array=[CONTENT],
            author_id_array=["jane"],
            seconds_to_label_array=[3],
            model_name="m",
            label_type="PREDICTION",
            project_id=PROJECT,
            disable_tqdm=True,
        ),
        lambda client, _: client.append_labels([new_label(ASSET)], "PREDICTION", project_id=PROJECT),
    ),
    "createWebhook": (
        lambda sdk, _: sdk.create_webhook(**WEBHOOK, handler_types=["onSubmit", "onReview"]),
        lambda client, _: client.create_webhook({**OUR_WEBHOOK, "handlerTypes": ["onSubmit", "onReview"]}),
    ),
    "updateWebhook": (
        lambda sdk, _: sdk.update_webhook(
            new_webhook_url="https://example.org/kili",
            plugin_name="was",
            new_header="secret",
            event_matcher=["label.*"],
        ),
        lambda client, _: client.update_webhook({**OUR_WEBHOOK, "pluginName": "was", "eventMatcher": ["label.*"]}),
    ),
    "activatePluginOnProject": (
        lambda sdk, _: sdk.activate_plugin_on_project("was", PROJECT),
        lambda client, _: client.activate({"pluginName": "was", "projectId": PROJECT}),
    ),
}


@pytest.fixture
def worlds() -> Iterator[tuple[Kili, Kili]]:
    """Two of the same: one for the SDK and one for us."""
    with Kili(api_key="key") as theirs, Kili(api_key="key") as ours:
        for kili in (theirs, ours):
            kili.add_project(PROJECT, json_interface=samples.INTERFACE)
            kili.add_asset(PROJECT, ASSET, external_id="a.png", width=640, height=480)
            kili.create_webhook("was", "http://127.0.0.1:1/")
        yield theirs, ours
        assert (theirs.violations, ours.violations) == ([], [])


def sdk_of(kili: Kili, monkeypatch: pytest.MonkeyPatch) -> Sdk:
    """Without its checks, which cost four requests."""
    monkeypatch.setenv("KILI_SDK_SKIP_CHECKS", "1")
    return Sdk(api_key=kili.api_key, api_endpoint=kili.endpoint, graphql_client_params={"enable_schema_caching": False})


def state(kili: Kili) -> dict[str, Any]:
    """All that is in it, but for ids that Kili gave."""
    labels = [{**label, "id": ""} for label in kili.labels.values()]
    issues = [{**issue, "id": ""} for issue in kili.issues]
    assets = {name: {**asset, "labels": len(asset["labels"])} for name, asset in kili.assets.items()}
    return {
        "issues": issues,
        "labels": labels,
        "assets": assets,
        "webhooks": kili.webhooks,
        "sent_back": kili.sent_back,
        "declined": kili.declined,
        "events": [event["event"] for event in kili.audit],
    }


@pytest.mark.parametrize("operation", WORK)
def test_a_change_is_asked_for_as_the_sdk_asks_for_it_and_leaves_the_same(worlds, monkeypatch, operation):
    theirs, ours = worlds
    for kili in worlds:
        kili.submit(ASSET, CONTENT, label_id="label")
    work, our_work = WORK[operation]
    sdk = sdk_of(theirs, monkeypatch)
    its = sent(theirs, lambda: work(sdk, "label"))
    with client_of(ours) as client:
        mine = sent(ours, lambda: our_work(client, "label"))
    # update_properties_in_assets and append_labels of the SDK may ask something first; what is changed is in the last.
    assert [each.operation for each in mine] == [operation]
    assert mine[0].variables == its[-1].variables
    assert (mine[0].operation, mine[0].fields) == (its[-1].operation, its[-1].fields)
    assert state(ours) == state(theirs)


def test_an_issue_is_solved_as_the_sdk_solves_it(kili, sdk, client):
    first, second = client.create_issues(PROJECT, [NewIssue(label_id=kili.submit(ASSET, CONTENT), text="x")] * 2)
    (theirs,) = sent(kili, lambda: sdk.update_issue_status(first, "SOLVED"))
    (ours,) = sent(kili, lambda: client.set_issue_status(second, "SOLVED"))
    assert (ours.operation, ours.fields) == (theirs.operation, theirs.fields)
    assert ours.variables == {**theirs.variables, "where": {"id": second}}
    assert [issue["status"] for issue in kili.issues] == ["SOLVED", "SOLVED"]


def test_the_older_mutation_is_one_that_the_schema_of_older_releases_has():
    schema = graphql.build_schema((ROOT / "local" / "simulators" / "kili" / "schema.graphql").read_text())
    assert graphql.validate(schema, graphql.parse(documents.SEND_BACK_BEFORE_26_2_1)) == []


# The same decisions


def failures() -> Iterator[tuple[int, str]]:
    for status in range(400, 600):
        yield status, "<html>"
    for body in (
        "no healthy upstream",
        "upstream connect error or disconnect/reset before headers. reset reason: overflow",
        "upstream connect error or disconnect/reset before headers. reset reason: connection failure",
        "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure",
        "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
        "retried and the latest reset reason: connection failure",
        "reset reason: local reset",
    ):
        yield 503, body


@pytest.mark.parametrize("mutation", [False, True])
def test_what_is_sent_again_and_how_often_is_what_the_sdk_decides(mutation):
    session = Session(ENDPOINT, "key", Deadline.after(10), 1)
    for status, body in failures():
        response = requests.Response()
        response.status_code, response._content = status, body.encode()
        error = TransportServerError("failed", status)
        error.__cause__ = requests.HTTPError(response=response)
        allowed = retry.attempts_allowed(error, mutation)
        answer = session._result(Reply(status, {}, body.encode()), "asking", mutation)
        assert isinstance(answer, _Failure)
        attempts = 1 if mutation and answer.uncertain else answer.attempts
        if status == 401:  # the SDK tries for two minutes; a wrong key would cost every event all its time
            assert (allowed, attempts) == (None, 3)
        elif allowed is None:  # until there is no time left
            assert attempts == 20
        else:
            assert attempts == allowed, status
        assert (mutation and answer.uncertain) == (mutation and retry.classify(error) is retry.Outcome.UNKNOWN), status


@pytest.mark.parametrize("status", [200, 400, 500, 502])
@pytest.mark.parametrize("message", ["[accessDenied] no", "Failed to fetch data connection", "x Flagsmith API"])
@pytest.mark.parametrize("mutation", [False, True])
def test_graphql_errors_are_definite_as_for_the_sdk(status, message, mutation):
    errors = [{"message": message}]
    allowed = retry.attempts_allowed(TransportQueryError(str(errors[0]), errors=errors), mutation)
    session = Session(ENDPOINT, "key", Deadline.after(10), 1)
    reply = Reply(status, {}, json.dumps({"errors": errors}).encode())
    try:
        attempts = session._result(reply, "asking", mutation).attempts
    except Refused:
        attempts = 1
    assert attempts == allowed


# The same content


@st.composite
def llm_annotations(draw: st.DrawFn, chat_items: Sequence[str | None] = (None,)) -> list[dict[str, Any]]:
    """Classifications with children within their categories; a job is answered once below a category.

    The SDK lets the last answer of a job stand under every category when there are several. chat_items: each job is
    answered about some of these, and once about each.
    """
    made: list[dict[str, Any]] = []

    def add(path: list[list[str]], jobs: list[str], depth: int, chat_item: str | None) -> None:
        for job in jobs:
            kinds = ["ClassificationAnnotation", "TranscriptionAnnotation"]
            kind = draw(st.sampled_from(kinds if path else [*kinds, "ComparisonAnnotation"]))
            annotation = {"__typename": kind, "id": f"id{len(made)}", "job": job, "labelId": "l", "path": path}
            annotation["chatItemId"] = chat_item
            made.append(annotation)
            if kind == "TranscriptionAnnotation":
                annotation["annotationValue"] = {"text": draw(st.text(max_size=5))}
            elif kind == "ComparisonAnnotation":
                annotation["annotationValue"] = {"choice": {"code": "A", "firstId": "x", "secondId": "y"}}
            else:
                categories = draw(st.lists(st.sampled_from("ABC"), unique=True, max_size=3))
                annotation["annotationValue"] = {"categories": categories}
                for category in categories if depth else ():
                    children = draw(st.lists(st.sampled_from(["X", "Y"]), unique=True, max_size=2))
                    below = [f"{job}{category}{c}" for c in children]
                    add([*path, [annotation["id"], category]], below, depth - 1, chat_item)

    for chat_item in chat_items:
        add([], draw(st.lists(st.sampled_from("KLM"), max_size=4, unique=len(chat_items) > 1)), 2, chat_item)
    return draw(st.permutations(made))


def have_one_kind_of_answer(annotations: list[dict[str, Any]]) -> bool:
    kinds: dict[str, set[str]] = {}
    for annotation in annotations:
        kinds.setdefault(annotation["job"], set()).add(annotation["__typename"])
    return all(len(of_job) == 1 for of_job in kinds.values())


def rebuilt_by_the_sdk(annotations: list[dict[str, Any]]) -> dict[str, Any]:
    label = {"jsonResponse": {}}
    converter = AnnotationsToJsonResponseConverter("LLM_STATIC", {"jobs": {}})
    converter.patch_label_json_response(None, label, annotations)
    return label["jsonResponse"]


@given(llm_annotations().filter(have_one_kind_of_answer))
def test_an_llm_label_is_rebuilt_as_the_sdk_rebuilds_it(annotations):
    assert llm_labels.json_response(annotations) == rebuilt_by_the_sdk(annotations)


@given(llm_annotations(["turn-1", "turn-2", "turn-3"]).filter(have_one_kind_of_answer))
def test_difference_answers_about_several_chat_items_are_told_apart_too_the_sdk_only_puts_them_together(annotations):
    ours, theirs = llm_labels.json_response(annotations), rebuilt_by_the_sdk(annotations)
    told_apart: dict[str, list[Any]] = {job: said.pop("chatItems") for job, said in ours.items() if "chatItems" in said}
    assert ours == theirs
    by_turn = {
        turn: rebuilt_by_the_sdk([each for each in annotations if each["chatItemId"] == turn])
        for turn in ("turn-1", "turn-2", "turn-3")
    }
    for job in theirs:
        answers = [{"chatItemId": turn, **said[job]} for turn, said in by_turn.items() if job in said]
        assert sorted(told_apart.get(job, []), key=itemgetter("chatItemId")) == (answers if len(answers) > 1 else [])


def test_an_llm_label_is_read_as_the_sdk_reads_it(kili, sdk, client):
    kili.add_project("llm", input_type="LLM_STATIC")
    kili.add_asset("llm", "chat")
    annotation = {"id": "1", "job": "JOB", "annotationValue": {"categories": ["A"]}}
    label_id = kili.submit("chat", {}, annotations=[{"__typename": "ClassificationAnnotation", **annotation}])
    (theirs,) = sdk.labels(project_id="llm", label_id=label_id, fields=["id", "jsonResponse"])
    assert (
        client.label("llm", label_id).json_response
        == theirs["jsonResponse"]
        == {"JOB": {"categories": [{"name": "A"}]}}
    )


# A plugin, and the light client


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
    assert [each.variables for each in mine] == [its[-1].variables]
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
    "content",
    [CONTENT, samples.CORRECTED, samples.label(samples.TOO_LARGE), samples.label(), {"JOB_1": {}}],
    ids=["two mistakes", "right", "too large", "nothing drawn", "another job"],
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
    "labels": sdk_client.LABEL_FILTERS,
    "count_labels": sdk_client.LABEL_FILTERS,
    "assets": sdk_client.ASSET_FILTERS,
    "count_assets": sdk_client.ASSET_FILTERS,
    "issues": sdk_client.ISSUE_FILTERS,
    "count_issues": sdk_client.ISSUE_FILTERS,
    "projects": sdk_client.PROJECT_FILTERS,
    "count_projects": sdk_client.PROJECT_FILTERS,
}


@pytest.mark.parametrize("method", METHODS)
def test_every_call_that_the_light_client_takes_is_one_that_the_sdk_takes(method):
    theirs = inspect.signature(getattr(Sdk, method)).parameters
    ours = inspect.signature(getattr(sdk_client.Kili, method)).parameters
    named = [name for name, each in ours.items() if each.kind is not each.VAR_KEYWORD]
    positional = [name for name in named if ours[name].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert positional == list(theirs)[: len(positional)]
    assert set(named) | FILTERS.get(method, {}).keys() <= set(theirs)
    needed = {name for name, each in theirs.items() if each.default is each.empty}
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
