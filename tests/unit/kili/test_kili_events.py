"""Kili's events in all their forms, and malformed ones: read, or refused with the name of the field."""

from __future__ import annotations

import copy
import json
import re

import msgspec
import pytest
from bodies import (
    ASSET,
    LABEL,
    ORGANIZATION,
    PROJECT,
    RUN,
    SUBMITTED,
    USER,
    audited,
    flat,
    label,
    legacy,
    whole,
    wrapped,
)
from hypothesis import given
from hypothesis import strategies as st

from annohooks.core.errors import BadRequest
from annohooks.kili import events
from annohooks.kili.event_types import SUBJECTS
from annohooks.kili.events import Event

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


def parse(body) -> Event:
    return events.parse(json.dumps(body).encode())


def ids(event: Event):
    return event.project_id, event.asset_id, event.label_id


# Forms

PROJECT_EVENT = {
    "event": "project.interface.updated",
    "organizationId": ORGANIZATION,
    "projectId": PROJECT,
    "userId": USER,
}


@pytest.mark.parametrize("body", SUBMITTED.values(), ids=SUBMITTED)
def test_submitted_label_is_found_in_every_form(body):
    event = parse(body)
    assert (*ids(event), event.handler, event.ignored) == (PROJECT, ASSET, LABEL, "submit", None)


@pytest.mark.parametrize(
    ("body", "generation", "carried", "user_id", "organization_id"),
    [
        (legacy(), "legacy", label(), None, None),
        (legacy(label=label(jsonResponse="{}")), "legacy", label(jsonResponse="{}"), None, None),
        (flat(), "flat", flat()["label"], None, None),
        (whole(), "whole", None, USER, ORGANIZATION),
        (audited(), "whole", audited()["payload"]["label"], USER, ORGANIZATION),
        (PROJECT_EVENT, "whole", None, USER, ORGANIZATION),
    ],
)
def test_each_form_carries_its_own_fields(body, generation, carried, user_id, organization_id):
    event = parse(body)
    assert (event.generation, event.label, event.raw) == (generation, carried, body)
    assert (event.user_id, event.organization_id) == (user_id, organization_id)
    assert event.subject == body.get("event", body.get("eventType"))
    assert event.run_id == (RUN if generation == "legacy" else None)


@pytest.mark.parametrize("event", [flat(), whole(), audited()], ids=["flat", "whole", "audited"])
def test_envelope_around_an_event_adds_the_run_and_nothing_else(event):
    bare = parse(event)
    enveloped = parse(wrapped(event))
    assert enveloped.run_id == RUN
    assert enveloped.raw == event
    assert msgspec.structs.replace(enveloped, run_id=None) == bare


def test_project_of_an_envelope_is_taken_when_the_event_names_none():
    event = flat()
    del event["projectId"]
    assert parse(wrapped(event)).project_id == PROJECT


@pytest.mark.parametrize(
    ("body", "handler"),
    [
        (legacy("onReview"), "review"),
        (flat("labels.created.review"), "review"),
        (whole("label.workflow.created.review"), "review"),
        (whole("label.workflow.edited"), "by_label_type"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_event_runs_the_rules_of_its_handler(body, handler):
    assert parse(body).handler == handler


@pytest.mark.parametrize(
    "payload",
    [{"labelId": "other"}, {"label": {"id": "other"}}, {"label": {"id": "other"}, "labelId": LABEL}],
    ids=json.dumps,
)
def test_label_is_found_under_either_name(payload):
    assert parse({**whole(), "payload": {"assetId": ASSET, **payload}}).label_id == "other"
    assert parse({"event": "labels.created.submit", "projectId": PROJECT, **payload}).label_id == "other"


@pytest.mark.parametrize(
    "payload",
    [{"asset_id": "other"}, {"assetId": "other"}, {"label": {"id": LABEL, "assetId": "other"}}],
    ids=json.dumps,
)
def test_asset_is_found_under_each_of_its_names(payload):
    assert parse({**whole("asset.skipped"), "payload": payload}).asset_id == "other"
    flat_event = {"event": "labels.created.submit", "projectId": PROJECT, "labelId": LABEL}
    assert parse(flat_event | payload).asset_id == "other"


def test_asset_is_optional_because_the_label_names_it():
    assert parse(whole(assetId=None)).asset_id is None


# Events that no rules run on


def legacy_asset(event_type):
    return {"eventType": event_type, "logPayload": {"projectId": PROJECT}, "payload": {"asset_id": ASSET}}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (whole("asset.issue.created"), "may have changed the issue"),
        (whole("asset.updated"), "may have written the asset's metadata"),
        (whole("asset.workflow.currentStep.statusChanged"), "may have sent the asset back"),
        (whole("asset.workflow.setToNextStep"), "may have added the asset to review"),
        (whole("project.workflow.bulkAction.sendBackToQueue.started"), "may have sent the asset back"),
        (whole("label.workflow.created.prediction"), "a prediction"),
        (whole("label.workflow.created.inference"), "an inference"),
        (whole("label.workflow.created.honeypot"), "a honeypot"),
        (whole("label.jsonResponse.store.started"), "does not send it to plugins"),
        (whole("asset.skipped"), "no label was submitted"),
        (whole("label.workflow.created.by.somebody-new_1"), "does not know the event"),
        (legacy_asset("onSendBackToQueue"), "may have sent the asset back"),
        (legacy_asset("onCustomInterfaceClick"), "a click"),
        (legacy_asset("onProjectUpdated"), "no label was submitted"),
        (legacy_asset("onSomethingNew"), "does not know the event"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value.values())),
)
def test_event_that_no_rules_run_on_says_why_and_keeps_its_ids(body, reason):
    event = parse(body)
    assert event.handler is None
    assert reason in event.ignored
    assert ids(event) == (PROJECT, ASSET, LABEL if "event" in body else None)


def test_every_known_event_is_handled_or_ignored_for_a_reason():
    for subject in SUBJECTS:
        event = parse(whole(subject))
        assert (event.handler is None) == (event.ignored is not None)
        assert event.ignored != "this version does not know the event"


def test_event_without_a_project_is_ignored():
    event = parse({"event": "assetStorage.integration.created", "organizationId": ORGANIZATION, "payload": {}})
    assert event.project_id is None
    assert "does not send it to plugins" in event.ignored


NO_IDS = [5, [], {}, "", " ", "a b", "a\nb", '"', "é", "a" * 101, "x\ty"]


def test_invalid_ids_are_left_out_of_an_event_that_no_rules_run_on():
    for value in NO_IDS:
        event = parse({**whole("asset.skipped", assetId=value, labelId=value), "projectId": value, "userId": value})
        assert (*ids(event), event.user_id) == (None, None, None, None)


# Events that are refused


NEEDED = [
    (legacy, "logPayload.projectId"),
    (legacy, "payload.label.id"),
    (flat, "projectId"),
    (flat, "label.id"),
    (whole, "projectId"),
    (whole, "payload.labelId"),
]
OTHER_IDS = [
    (legacy, "payload.asset_id"),
    (flat, "label.assetId"),
    (whole, "payload.assetId"),
    (audited, "payload.label.id"),
]
OBJECTS = [(legacy, "logPayload"), (legacy, "payload"), (legacy, "payload.label"), (flat, "label"), (whole, "payload")]


def refusal(form, path, value):
    """The message about a body with this value at the path."""
    body = form()
    put(body, path.split("."), value)
    with pytest.raises(BadRequest) as refused:
        parse(body)
    return refused.value.message


def put(body, path, value):
    for key in path[:-1]:
        body = body[key]
    body[path[-1]] = value


@pytest.mark.parametrize(("form", "path"), NEEDED + OTHER_IDS)
def test_invalid_id_is_refused_by_name_and_not_quoted(form, path):
    for value in NO_IDS:
        assert f"`{path}` is not an id" in refusal(form, path, value)
    assert "canary" not in refusal(form, path, "canary of an id")


@pytest.mark.parametrize(("form", "path"), NEEDED)
def test_handled_event_without_its_project_or_label_is_refused_by_name(form, path):
    assert re.search(
        f"neither .*`{path.removeprefix('logPayload.').removeprefix('payload.')}`", refusal(form, path, None)
    )


@pytest.mark.parametrize(("form", "path"), OBJECTS)
def test_field_that_is_no_object_is_refused_by_name(form, path):
    for value in ("{}", 5, [], True):
        assert f"`{path}` is not an object" in refusal(form, path, value)


@pytest.mark.parametrize("key", ["event", "eventType"])
def test_invalid_name_of_an_event_is_refused(key):
    for value in (5, {}, [], "", ".", "a..b", "a b", "*", "a" * 65, "a." * 16 + "a"):
        with pytest.raises(BadRequest, match=f"`{key}` is not the name of an event"):
            parse({key: value, "payload": {}})
    with pytest.raises(BadRequest, match=r"`payload\.event` is not the name of an event"):
        parse(wrapped({"event": 5}))


@pytest.mark.parametrize("body", [{}, {"event": None}, {"eventType": None, "payload": {"event": None}}], ids=json.dumps)
def test_body_that_names_no_event_is_refused(body):
    with pytest.raises(BadRequest, match="neither `event` nor `eventType`"):
        parse(body)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b'{"event": NaN}', "is not the name of an event"),
        (b'{"event": "\xff"}', "is not JSON"),
        (b'{"event": 1e999}', "is not the name of an event"),
        (b'{"event": "\\ud800"}', "is not the name of an event"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"payload":' * 100_000, "nested too deeply"),
        (b"[]", "not a JSON object"),
        (b'"onSubmit"', "not a JSON object"),
        (b"null", "not a JSON object"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_body_that_is_no_object_is_refused(body, reason):
    with pytest.raises(BadRequest, match=reason):
        events.parse(body)


# Any body


def assert_read_or_refused(body: bytes) -> None:
    """The body is a complete event, or BadRequest."""
    try:
        event = events.parse(body)
    except BadRequest:
        return
    assert (event.handler is None) != (event.ignored is None)
    assert event.handler is None or (event.project_id and event.label_id)
    for name in ("subject", "project_id", "asset_id", "label_id", "user_id", "organization_id", "run_id"):
        value = getattr(event, name)
        assert value is None or re.fullmatch(r"[A-Za-z0-9._-]+", value), name
    assert isinstance(event.raw, dict)


@given(st.binary() | st.text().map(str.encode) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_read_or_refused(body):
    assert_read_or_refused(body)


KEYS = [
    *("event", "eventType", "payload", "logPayload", "projectId", "label", "labelId", "id", "asset_id", "assetId"),
    *("userId", "organizationId", "runId"),
]
NAMES = st.sampled_from([*sorted(SUBJECTS), "onSubmit", "onReview", "labels.created.submit", "onEvent", LABEL, "!"])


@given(
    st.recursive(
        NAMES | JSON, lambda inner: st.dictionaries(st.sampled_from(KEYS), inner, min_size=1, max_size=len(KEYS))
    )
)
def test_any_object_with_the_keys_of_an_event_is_read_or_refused(body):
    assert_read_or_refused(json.dumps(body).encode())


def paths_of(value, path=()):
    """The paths of all values in a JSON value."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths_of(inner, (*path, key))


@given(st.data())
def test_any_change_of_a_body_is_read_or_refused(data):
    body = copy.deepcopy(data.draw(st.sampled_from(list(SUBMITTED.values()))))
    for _ in range(data.draw(st.integers(1, 3))):
        if not (paths := list(paths_of(body))):
            break
        put(body, data.draw(st.sampled_from(paths)), data.draw(JSON | NAMES))
    assert_read_or_refused(json.dumps(body).encode())
