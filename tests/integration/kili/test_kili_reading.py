"""The client against the simulated Kili: what it reads."""

from __future__ import annotations

import json
from contextlib import ExitStack

import graphql
import pytest

from annohooks.core.errors import Forbidden, NotFound, Upstream, UpstreamStatus
from annohooks.core.origins import Origins
from annohooks.kili.api import cache, documents, reader
from annohooks.kili.api.records import Issue, NewIssue
from annohooks.kili.settings import Endpoint
from local.listener import Listener, Reply
from local.simulators.kili import samples
from local.template import ROOT

PROJECT = "project"
SUBMITTED = "labels.created.submit"
BOX = samples.label(samples.TANK)


# Documents


@pytest.mark.parametrize("name", [name for name in dir(documents) if name.isupper() and not name.startswith("_")])
def test_every_document_is_valid_by_the_schema(name):
    text = (ROOT / "local" / "simulators" / "kili" / "schema.graphql").read_text()
    errors = graphql.validate(graphql.build_schema(text), graphql.parse(getattr(documents, name)))
    assert [error.message for error in errors] == []


# Labels


def test_a_label_comes_with_its_content_from_the_bucket_and_its_project_in_one_request(server, connect):
    label_id = server.submit("asset", BOX, author="jane", seconds=7.5)
    label = connect().label(PROJECT, label_id)
    assert (label.id, label.project_id, label.asset_id, label.label_type) == (label_id, PROJECT, "asset", "DEFAULT")
    assert (label.author_id, label.seconds_to_label, label.superseded, label.sent_back) == ("jane", 7.5, False, False)
    assert label.json_response == BOX
    assert server.operations() == ["labels+projects", "storage"]


def test_a_project_is_cached_for_some_minutes(server, connect, monkeypatch):
    client = connect()
    assert client.project(PROJECT).interface == samples.INTERFACE
    client.label(PROJECT, server.submit("asset", BOX))
    assert connect().project(PROJECT).input_type == "IMAGE"
    assert server.operations() == ["projects", "labels", "storage"]
    monkeypatch.setattr(cache, "_MAX_AGE_S", 0.0)
    cache.projects.clear()
    assert client.project(PROJECT) == client.project(PROJECT)
    assert server.operations()[3:] == ["projects", "projects"]


def test_a_cache_does_not_grow_without_end():
    projects = cache.Cache()
    for number in range(1000):
        projects.put(number, "project")
    assert len(projects._values) <= 200
    assert projects.get(999) == "project"


def test_the_key_is_not_sent_to_the_bucket(server, connect):
    connect().label(PROJECT, server.submit("asset", BOX))
    (stored,) = [call for call in server.calls if call.operation == "storage"]
    assert server.api_key not in f"{stored.path}{stored.headers}"
    assert "authorization" not in stored.headers


@pytest.mark.parametrize(("faults", "requests"), [((), 1), (("json_inline",), 0)], ids=["bucket", "inline"])
def test_content_is_in_a_bucket_or_in_the_answer_and_need_not_be_an_object(server, connect, faults, requests):
    server.faults |= set(faults)
    for content in (BOX, {}, [], None, 7, "text"):
        server.calls.clear()
        assert connect().label(PROJECT, server.submit("asset", json.dumps(content))).json_response == content
        assert server.operations().count("storage") == requests


def test_json_that_only_python_writes_is_read(server, connect):
    label = connect().label(PROJECT, server.submit("asset", '{"x": NaN, "y": -Infinity, "z": "\\ud800"}'))
    assert label.json_response["y"] == float("-inf")


@pytest.mark.parametrize(("text", "faults"), [("{", ()), ("<html>", ("json_inline",)), ("[" * 100_000, ())])
def test_content_that_is_not_json_is_an_error_and_not_an_empty_label(server, connect, text, faults):
    server.faults |= set(faults)
    label_id = server.submit("asset", text)
    with pytest.raises(Upstream, match=r"^Kili sent something that is not JSON while reading the label\.$"):
        connect().label(PROJECT, label_id)


@pytest.mark.parametrize("faults", [(), ("json_inline",)], ids=["in the bucket", "in the answer"])
def test_content_may_be_as_large_as_the_settings_say_and_no_larger(server, connect, faults):
    server.faults |= set(faults)
    exact, larger = (server.submit("asset", json.dumps("x" * (size - 2))) for size in (10_000, 10_001))
    client = connect(kili_max_label_bytes=10_000)
    assert len(client.label(PROJECT, exact).json_response) == 9998
    with pytest.raises(Upstream, match="sent more than 10000 bytes while reading the label"):
        client.label(PROJECT, larger)


def test_content_on_a_server_that_is_not_allowed_is_not_fetched(server, connect, caplog):
    label_id = server.submit("asset", BOX)
    with pytest.raises(Forbidden, match=r"^Kili keeps the label on a server that this deployment does not allow\.$"):
        connect(kili_storage_origins=Origins()).label(PROJECT, label_id)
    assert "storage" not in server.operations()
    assert "KILI_STORAGE_ORIGINS does not allow the server of the labels" in caplog.text
    assert "X-Goog-Signature" not in caplog.text


@pytest.fixture
def own(connect):
    """own({...}, Reply(...)): a label with these fields, whose content is on Kili's own server. Returns its reader."""
    with ExitStack() as servers:

        def start(fields, stored=None):
            start.requests = []

            def reply(request):
                start.requests.append((request.method, request.target, request.headers.get("Authorization")))
                if request.method == "GET":
                    return stored
                address = {name: value.format(origin=listener.origin) for name, value in fields.items()}
                row = {"id": "l", "labelType": "DEFAULT", "assetId": "a", **address}
                answer = {"data": [row]}
                if len(start.requests) == 1:
                    answer["projects"] = [{"inputType": "IMAGE", "jsonInterface": "{}"}]
                return Reply(body=json.dumps({"data": answer}).encode())

            listener = servers.enter_context(Listener("127.0.0.1", 0, reply))
            endpoint = Endpoint.parse(f"{listener.origin}/graphql")
            return connect(kili_endpoint=endpoint, kili_storage_origins=Origins())

        yield start


AT = {"jsonResponseUrl": "{origin}/labels/l?s=1"}


def test_content_on_kilis_own_server_is_fetched_without_the_key(own):
    assert own(AT, Reply(body=b'{"JOB_0": {}}')).label("p", "l").json_response == {"JOB_0": {}}
    assert own.requests[1] == ("GET", "/labels/l?s=1", None)


@pytest.mark.parametrize(
    ("fields", "stored"),
    [({}, None), (AT, Reply(404)), (AT, Reply(body=b""))],
    ids=["no address", "404", "empty"],
)
def test_a_label_without_its_content_is_asked_for_again_and_is_not_found(own, fields, stored):
    with pytest.raises(NotFound, match="not yet what is in it"):
        own(fields, stored).label("p", "l")
    assert [method for method, *_ in own.requests].count("POST") == 4


def test_other_failures_of_the_storage_are_not_a_missing_label(own):
    with pytest.raises(UpstreamStatus, match=r"^Kili's storage answered with status 403 while reading the label\.$"):
        own(AT, Reply(403)).label("p", "l")
    with pytest.raises(Upstream, match=r"^Kili keeps the label at an address of an unknown kind\.$"):
        own({"jsonResponseUrl": "gs://bucket/l"}).label("p", "l")


def test_a_label_that_is_late_is_asked_for_once_more(server, connect):
    server.faults.add("label_lags")
    label_id = server.submit("asset", BOX)
    assert connect().label(PROJECT, label_id).id == label_id
    assert server.operations() == ["labels+projects", "labels", "storage"]


def test_a_label_that_does_not_exist_in_the_project_is_not_found(server, connect):
    server.add_project("other")
    label_id = server.submit("asset", BOX)
    for project_id, name in ((PROJECT, "other"), ("other", label_id)):
        server.calls.clear()
        with pytest.raises(NotFound, match=r"^Kili has no such label in this project, or not yet what is in it\.$"):
            connect().label(project_id, name)
        assert server.operations() == ["labels+projects", "labels", "labels", "labels"]


@pytest.mark.parametrize("read", [lambda c: c.project("none"), lambda c: c.label("none", "label")])
def test_a_project_that_does_not_exist_is_not_found(connect, read):
    with pytest.raises(NotFound, match=r"^Kili has no such project, or the API key may not see it\.$"):
        read(connect())


def test_a_label_tells_that_its_author_has_submitted_a_newer_one_and_that_its_asset_was_sent_back(server, connect):
    older, newer = server.submit("asset", BOX), server.submit("asset", BOX, label_type="REVIEW")
    server.send_back("asset")
    client = connect()
    assert client.label(PROJECT, older).superseded
    label = client.label(PROJECT, newer)
    assert (label.superseded, label.sent_back, label.label_type) == (False, True, "REVIEW")


def test_a_bucket_that_fails_is_asked_three_times(server, connect):
    label_id = server.submit("asset", BOX)
    server.faults.plan("http_502", on="storage", times=2)
    assert connect().label(PROJECT, label_id).json_response == BOX
    server.faults.add("storage_fails")
    with pytest.raises(UpstreamStatus, match=r"^Kili's storage answered with status 500 while reading the label\.$"):
        connect().label(PROJECT, label_id)


def annotation(kind, annotation_id, job, value, **fields):
    return {"__typename": f"{kind}Annotation", "id": annotation_id, "job": job, "annotationValue": value, **fields}


CHOICE = {"code": "A", "firstId": "x", "secondId": "y"}
ANNOTATIONS = [
    annotation("Classification", "1", "JOB", {"categories": ["GOOD", "BAD"]}),
    annotation("Transcription", "2", "WHY", {"text": "too long"}, path=[["1", "BAD"]]),
    annotation("Comparison", "3", "BEST", {"choice": CHOICE}),
]
REBUILT = {
    "JOB": {"categories": [{"name": "GOOD"}, {"name": "BAD", "children": {"WHY": {"text": "too long"}}}]},
    "BEST": {"choice": CHOICE},
}


@pytest.mark.parametrize("input_type", ["LLM_STATIC", "LLM_INSTR_FOLLOWING"])
def test_a_label_of_an_llm_project_is_rebuilt_from_its_annotations(server, connect, input_type):
    server.add_project("llm", input_type=input_type)
    server.add_asset("llm", "chat")
    label_id = server.submit("chat", {}, annotations=ANNOTATIONS)
    assert connect().label("llm", label_id).json_response == REBUILT
    assert list(connect().labels("llm", {"id": label_id}, ["jsonResponse"])) == [{"jsonResponse": REBUILT}]


@pytest.mark.parametrize(
    "annotations", [[annotation("Classification", "1", "J", {}, path=[["one"]])], [{"id": "1"}], 7]
)
def test_annotations_that_are_something_else_are_an_error(connect, annotations):
    answers = [
        {"data": [{"id": "l", "labelType": "DEFAULT", "assetId": "a"}], "projects": [{"inputType": "LLM_STATIC"}]},
        {"data": [{"annotations": annotations}]},
    ]
    with Listener("127.0.0.1", 0, lambda _: Reply(body=json.dumps({"data": answers.pop(0)}).encode())) as own:
        client = connect(kili_endpoint=Endpoint.parse(f"{own.origin}/graphql"))
        with pytest.raises(Upstream, match="annotations that cannot be read"):
            client.label("p", "l")


# Issues, assets, events, the key's user


def test_issues_come_with_their_text_object_and_status_but_questions_do_not(server, connect):
    label_id = server.submit("asset", BOX)
    client = connect()
    created = client.create_issues(
        PROJECT, [NewIssue(label_id=label_id, text="one", mid="m"), NewIssue(label_id=label_id, text="two")]
    )
    client.set_issue_status(created[0], "SOLVED")
    assert client.issues(PROJECT, "asset") == [
        Issue(id=created[0], status="SOLVED", text="one", mid="m"),
        Issue(id=created[1], status="OPEN", text="two"),
    ]
    assert server.calls[-1].variables["where"]["type"] == "ISSUE"


def test_more_than_a_page_of_issues_is_raised_and_read_in_batches(server, connect):
    label_id = server.submit("asset", BOX)
    client = connect()
    texts = [f"issue {number}" for number in range(250)]
    created = client.create_issues(PROJECT, [NewIssue(label_id=label_id, text=text) for text in texts])
    assert [issue["text"] for issue in server.issues] == texts
    assert [issue.id for issue in client.issues(PROJECT, "asset")] == created
    assert server.operations() == ["createIssues"] * 3 + ["issues"] * 3
    assert [len(call.variables["issues"]) for call in server.calls[:3]] == [100, 100, 50]
    server.calls.clear()
    assert client.create_issues(PROJECT, []) == server.calls == []


def test_too_many_issues_are_an_error_and_not_a_part_of_them(server, connect, monkeypatch):
    monkeypatch.setattr(reader, "MOST_ROWS", 200)
    label_id = server.submit("asset", BOX)
    client = connect()
    client.create_issues(PROJECT, [NewIssue(label_id=label_id, text="x")] * 200)
    with pytest.raises(Upstream, match="has more than 200 rows for this; stopped while reading the asset's issues"):
        client.issues(PROJECT, "asset")


@pytest.mark.parametrize(("width", "height", "size"), [(640, 480, (640, 480)), (None, None, None), (0, 0, None)])
def test_the_size_of_an_asset_is_in_pixels_if_kili_knows_it(server, connect, width, height, size):
    server.add_asset(PROJECT, "sized", width=width, height=height)
    assert connect().size_px(PROJECT, "sized") == size
    assert connect().size_px(PROJECT, "none") is None


def test_events_come_oldest_first_page_by_page(server, connect):
    for _ in range(130):
        server.submit("asset", BOX)
    events = list(connect().events(PROJECT, SUBMITTED, "2020-01-01T00:00:00Z"))
    assert len(events) == 130
    assert [event["id"] for event in events] == [row["id"] for row in server.audit if row["event"] == SUBMITTED]
    assert server.operations() == ["events", "events"]
    assert list(connect().events(PROJECT, SUBMITTED, "2999-01-01T00:00:00Z")) == []


def test_too_many_events_are_an_error_after_the_last_event(server, connect, monkeypatch):
    monkeypatch.setattr(reader, "MOST_ROWS", 100)
    for _ in range(120):
        server.submit("asset", BOX)
    events = []
    with pytest.raises(Upstream, match="has more than 100 events of this project"):
        events.extend(connect().events(PROJECT, SUBMITTED, "2020-01-01T00:00:00Z"))


def test_the_user_of_a_key_is_cached(server, connect):
    assert [connect().viewer_id(), connect().viewer_id()] == [server.bot_id, server.bot_id]
    assert server.operations() == ["viewer"]
