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


@pytest.mark.parametrize("body", SUBMITTED.values(), ids=SUBMITTED)
def test_submitted_label_is_found_in_every_form(body):
    event = parse(body)
    assert ids(event) == (PROJECT, ASSET, LABEL)
    assert event.handler == "submit"
    assert event.ignored is None


def test_first_generation_has_a_run_and_its_label():
    event = parse(legacy())
    assert (event.generation, event.subject, event.run_id) == ("legacy", "onSubmit", RUN)
    assert event.label == label()
    assert event.raw == legacy()
    assert (event.user_id, event.organization_id) == (None, None)


def test_second_generation_has_its_label_beside_its_name():
    event = parse(flat())
    assert (event.generation, event.subject) == ("flat", "labels.created.submit")
    assert event.label == flat()["label"]


def test_third_generation_says_who_did_it_and_carries_no_label():
    event = parse(whole())
    assert (event.generation, event.subject) == ("whole", "label.workflow.created.default")
    assert (event.user_id, event.organization_id) == (USER, ORGANIZATION)
    assert event.label is None


def test_event_of_the_audit_log_says_who_did_it_and_has_its_label():
    event = parse(audited())
    assert (event.generation, event.user_id, event.organization_id) == ("whole", USER, ORGANIZATION)
    assert event.label == audited()["payload"]["label"]


def test_event_without_payload_that_says_whose_it_is_counts_as_whole():
    body = {"event": "project.interface.updated", "organizationId": ORGANIZATION, "projectId": PROJECT, "userId": USER}
    assert parse(body).generation == "whole"


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
    assert (
        parse({"event": "labels.created.submit", "projectId": PROJECT, "labelId": LABEL, **payload}).asset_id == "other"
    )


def test_asset_need_not_be_told_because_the_label_tells_it():
    assert parse(whole(assetId=None)).asset_id is None


def test_json_response_may_come_as_text():
    assert parse(legacy(label=label(jsonResponse="{}"))).label == label(jsonResponse="{}")


# Events that no rules run on


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ("asset.issue.created", "may have changed the issue"),
        ("asset.updated", "may have written the asset's metadata"),
        ("asset.workflow.currentStep.statusChanged", "may have sent the asset back"),
        ("asset.workflow.setToNextStep", "may have added the asset to review"),
        ("project.workflow.bulkAction.sendBackToQueue.started", "may have sent the asset back"),
        ("label.workflow.created.prediction", "a prediction"),
        ("label.workflow.created.inference", "an inference"),
        ("label.workflow.created.honeypot", "a honeypot"),
        ("label.jsonResponse.store.started", "does not send it to plugins"),
        ("asset.skipped", "no label was submitted"),
        ("label.workflow.created.by.somebody-new_1", "does not know the event"),
    ],
)
def test_event_that_no_rules_run_on_says_why(subject, reason):
    event = parse(whole(subject))
    assert event.handler is None
    assert reason in event.ignored
    assert ids(event) == (PROJECT, ASSET, LABEL)


@pytest.mark.parametrize(
    ("event_type", "reason"),
    [
        ("onSendBackToQueue", "may have sent the asset back"),
        ("onCustomInterfaceClick", "a click"),
        ("onProjectUpdated", "no label was submitted"),
        ("onSomethingNew", "does not know the event"),
    ],
)
def test_handlers_of_the_first_generation_that_check_nothing_say_why(event_type, reason):
    event = parse({"eventType": event_type, "logPayload": {"projectId": PROJECT}, "payload": {"asset_id": ASSET}})
    assert reason in event.ignored
    assert ids(event) == (PROJECT, ASSET, None)


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


@pytest.mark.parametrize("value", NO_IDS, ids=ascii)
def test_invalid_ids_are_left_out_of_an_event_that_no_rules_run_on(value):
    event = parse({**whole("asset.skipped", assetId=value, labelId=value), "projectId": value, "userId": value})
    assert (*ids(event), event.user_id) == (None, None, None, None)


# Events that are refused


@pytest.mark.parametrize(
    ("form", "path"),
    [
        (legacy, "logPayload.projectId"),
        (legacy, "payload.label.id"),
        (legacy, "payload.asset_id"),
        (flat, "projectId"),
        (flat, "label.id"),
        (flat, "label.assetId"),
        (whole, "payload.labelId"),
        (whole, "payload.assetId"),
        (audited, "payload.label.id"),
    ],
)
def test_invalid_id_is_refused_by_name(form, path):
    for value in NO_IDS:
        body = form()
        put(body, path.split("."), value)
        with pytest.raises(BadRequest, match=f"`{re.escape(path)}` is not an id"):
            parse(body)


def put(body, path, value):
    for key in path[:-1]:
        body = body[key]
    body[path[-1]] = value


@pytest.mark.parametrize(
    ("form", "path", "named"),
    [
        (legacy, "logPayload.projectId", "projectId"),
        (legacy, "payload.label.id", "label.id"),
        (flat, "projectId", "projectId"),
        (flat, "label.id", "label.id"),
        (whole, "projectId", "projectId"),
        (whole, "payload.labelId", "labelId"),
    ],
)
def test_handled_event_without_its_project_or_label_is_refused_by_name(form, path, named):
    body = form()
    put(body, path.split("."), None)
    with pytest.raises(BadRequest, match=f"neither .*`{named}`"):
        parse(body)


@pytest.mark.parametrize(
    ("form", "path", "value"),
    [
        (legacy, "logPayload", "{}"),
        (legacy, "payload", 5),
        (legacy, "payload.label", []),
        (flat, "label", True),
        (whole, "payload", "{}"),
    ],
)
def test_field_that_is_no_object_is_refused_by_name(form, path, value):
    body = form()
    put(body, path.split("."), value)
    with pytest.raises(BadRequest, match=f"`{path}` is not an object"):
        parse(body)


@pytest.mark.parametrize("key", ["event", "eventType"])
@pytest.mark.parametrize("value", [5, {}, [], "", ".", "a..b", "a b", "*", "a" * 65, "a." * 16 + "a"], ids=ascii)
def test_invalid_name_of_an_event_is_refused(key, value):
    with pytest.raises(BadRequest, match=f"`{key}` is not the name of an event"):
        parse({key: value, "payload": {}})


def test_invalid_name_in_an_envelope_is_refused():
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


def test_refusal_quotes_no_value():
    with pytest.raises(BadRequest) as refused:
        parse(whole(labelId="canary of a label"))
    assert "canary" not in refused.value.message


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
