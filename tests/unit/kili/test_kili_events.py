"""The events of Kili in all their forms, and in worse shape: each is understood, or refused by name."""

from __future__ import annotations

import copy
import json
import re

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
from annohooks.kili import event_types, events
from annohooks.kili.event_types import SUBJECTS, goes_to_plugins, matches
from annohooks.kili.events import Event

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


def parse(body) -> Event:
    return events.parse(json.dumps(body).encode())


def ids(event: Event):
    return event.project_id, event.asset_id, event.label_id


# What each form says


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
    assert {f: getattr(enveloped, f) for f in Event.__struct_fields__ if f != "run_id"} == {
        f: getattr(bare, f) for f in Event.__struct_fields__ if f != "run_id"
    }


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


# Events that nobody handles


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ("asset.issue.created", "may have done itself: raise"),
        ("asset.issue.resolved", "may have done itself: raise"),
        ("asset.updated", "may have done itself: write an asset's metadata"),
        ("asset.workflow.currentStep.statusChanged", "may have done itself: send an asset back"),
        ("asset.workflow.setToNextStep", "may have done itself: add an asset to review"),
        ("project.workflow.bulkAction.sendBackToQueue.started", "may have done itself: send assets back"),
        ("label.workflow.created.prediction", "a prediction"),
        ("label.workflow.created.inference", "an inference"),
        ("label.workflow.created.honeypot", "a honeypot"),
        ("label.jsonResponse.store.started", "does not mean it for plugins"),
        ("asset.skipped", "no label was submitted"),
        ("label.workflow.created.by.somebody-new_1", "does not know it"),
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
        ("onSendBackToQueue", "may have done itself: send an asset back"),
        ("onCustomInterfaceClick", "a click"),
        ("onProjectUpdated", "no label was submitted"),
        ("onSomethingNew", "does not know it"),
    ],
)
def test_handlers_of_the_first_generation_that_check_nothing_say_why(event_type, reason):
    event = parse({"eventType": event_type, "logPayload": {"projectId": PROJECT}, "payload": {"asset_id": ASSET}})
    assert reason in event.ignored
    assert ids(event) == (PROJECT, ASSET, None)


@pytest.mark.parametrize("subject", sorted(SUBJECTS))
def test_every_known_event_is_handled_or_ignored_for_a_reason(subject):
    event = parse(whole(subject))
    assert (event.handler is None) == (event.ignored is not None)
    assert event.ignored != "this version does not know it"


def test_event_of_no_project_is_ignored_when_nobody_would_handle_it():
    event = parse({"event": "assetStorage.integration.created", "organizationId": ORGANIZATION, "payload": {}})
    assert event.project_id is None
    assert "does not mean it for plugins" in event.ignored


@pytest.mark.parametrize("value", [5, [], {}, "", " ", "a b", "a\nb", '"', "é", "a" * 101, "x\ty"], ids=ascii)
def test_ids_that_cannot_be_used_are_left_out_of_an_event_that_nobody_handles(value):
    event = parse({**whole("asset.skipped", assetId=value, labelId=value), "projectId": value, "userId": value})
    assert (*ids(event), event.user_id) == (None, None, None, None)


# Events that are refused


@pytest.mark.parametrize("value", [5, [], {}, "", " ", "a b", "a\nb", '"', "é", "a" * 101, "x\ty"], ids=ascii)
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
def test_id_that_cannot_be_used_is_refused_by_name(form, path, value):
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


@pytest.mark.parametrize("value", ["{}", 5, [], True], ids=repr)
@pytest.mark.parametrize(
    ("form", "path"),
    [(legacy, "logPayload"), (legacy, "payload"), (legacy, "payload.label"), (flat, "label"), (whole, "payload")],
)
def test_what_should_be_an_object_and_is_not_is_refused_by_name(form, path, value):
    body = form()
    put(body, path.split("."), value)
    with pytest.raises(BadRequest, match=f"`{path}` is not an object"):
        parse(body)


@pytest.mark.parametrize("key", ["event", "eventType"])
@pytest.mark.parametrize("value", [5, {}, [], "", ".", "a..b", "a b", "*", "a" * 65, "a." * 16 + "a"], ids=ascii)
def test_name_of_an_event_that_is_none_is_refused(key, value):
    with pytest.raises(BadRequest, match=f"`{key}` is not the name of an event"):
        parse({key: value, "payload": {}})


def test_name_in_an_envelope_that_is_none_is_refused():
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


def test_what_is_refused_is_not_quoted():
    with pytest.raises(BadRequest) as refused:
        parse(whole(labelId="canary of a label"))
    assert "canary" not in refused.value.message


# Whatever comes


def understood(body: bytes) -> None:
    """An event one may rely on, or BadRequest."""
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
def test_any_body_is_understood_or_refused(body):
    understood(body)


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
def test_any_object_with_the_keys_of_an_event_is_understood_or_refused(body):
    understood(json.dumps(body).encode())


def places(value, path=()):
    """The paths of everything in a JSON value."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


@given(st.data())
def test_any_change_of_a_body_is_understood_or_refused(data):
    body = copy.deepcopy(data.draw(st.sampled_from(list(SUBMITTED.values()))))
    for _ in range(data.draw(st.integers(1, 3))):
        if not (paths := list(places(body))):
            break
        put(body, data.draw(st.sampled_from(paths)), data.draw(JSON | NAMES))
    understood(json.dumps(body).encode())


# Subjects and patterns


def test_there_are_79_events_of_which_14_are_the_systems_and_3_of_no_project():
    assert (len(SUBJECTS), len(event_types.SYSTEM), len(event_types.OF_NO_PROJECT)) == (79, 14, 3)


def test_plugins_get_neither_system_events_nor_those_of_no_project():
    assert goes_to_plugins("label.workflow.created.default")
    assert goes_to_plugins("label.workflow.somethingNew")
    assert not goes_to_plugins("label.jsonResponse.store.started")
    assert not goes_to_plugins("assetStorage.integration.created")


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("asset.created", "asset.created", True),
        ("asset", "asset.created", False),
        ("asset.*", "asset.created", True),
        ("asset.*", "asset.workflow.assigned", True),
        ("asset.*", "asset", False),
        ("asset.*", "assetStorage.connection.created", False),
        ("asset.*.created", "asset.issue.created", True),
        ("asset.*.created", "asset.created", False),
        ("asset.*.*", "asset.created", False),
        ("asset.*.*", "asset.a.b.c", True),
    ],
)
def test_star_stands_for_one_or_more_names(pattern, subject, expected):
    assert matches(subject, pattern) is expected


def test_pattern_of_a_family_finds_all_of_it():
    assert sum(matches(subject, "label.workflow.*") for subject in SUBJECTS) == 9


@pytest.mark.parametrize("pattern", ["", "*", "*.created", "asset.**", "asset.>", "asset..created", "asset.", "é"])
def test_pattern_that_is_none_is_refused(pattern):
    with pytest.raises(ValueError, match="is not a pattern"):
        matches("asset.created", pattern)


def test_pattern_of_many_stars_takes_no_longer_than_it_is_long():
    assert not matches(".".join(["a"] * 1000), "a" + ".*" * 500 + ".b")
