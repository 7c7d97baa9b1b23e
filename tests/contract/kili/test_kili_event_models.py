"""The vendor's own models of its events, kili-events: all 79 are understood, and the patterns mean the same."""

from __future__ import annotations

import json
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import kili_events
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kili.services.plugins.events import plugin_receives
from kili.services.plugins.upload import POSSIBLE_HANDLERS
from kili_events import EVENT_MODELS, FAMILY_PATTERNS, EventName, is_system_event, matches_subject, parse_event
from pydantic import BaseModel

from annohooks.kili import event_types, events
from annohooks.kili.event_types import SUBJECTS, goes_to_plugins, matches
from tests.unit.kili.bodies import ASSET, LABEL, ORGANIZATION, PROJECT, USER, whole

IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,30}", fullmatch=True)
NAMES = sorted({name for subject in SUBJECTS for name in subject.split(".")})


def values(annotation: Any, name: str) -> st.SearchStrategy[Any]:
    """Anything that a field of a model may hold, as JSON."""
    inner = get_args(annotation)
    match get_origin(annotation) or annotation:
        case type() as model if issubclass(model, BaseModel):
            return bodies(model)
        case origin if origin is Literal:
            return st.sampled_from(inner)
        case origin if origin in (Union, UnionType):
            return st.one_of(*(values(member, name) for member in inner))
        case origin if origin is list:
            return st.lists(values(inner[0], name), max_size=2)
        case origin if origin is dict:
            return st.dictionaries(st.text(), values(inner[1], name), max_size=2)
        case origin if origin is str:
            return IDS if name != "external_id" and name.endswith("id") else st.text()
        case origin if origin is Any:
            return st.none() | st.text() | st.integers(-(2**53), 2**53) | st.lists(st.text(), max_size=2)
        case plain:
            return {
                bool: st.booleans(),
                int: st.integers(0, 10**6),
                float: st.floats(allow_nan=False, allow_infinity=False),
                type(None): st.none(),
            }[plain]


def bodies(model: type[BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects of a model, with and without what is optional."""
    required, optional = {}, {}
    for name, field in model.model_fields.items():
        (required if field.is_required() else optional)[field.alias or name] = values(field.annotation, name)
    return st.fixed_dictionaries(required, optional=optional)


def test_the_events_are_the_vendors():
    assert EVENT_MODELS.keys() == SUBJECTS == set(get_args(EventName))
    assert {subject for subject in SUBJECTS if is_system_event(subject)} == event_types.SYSTEM


@pytest.mark.parametrize("subject", [*sorted(SUBJECTS), "label.workflow.somethingNew"])
def test_plugins_receive_what_the_vendor_says(subject):
    assert goes_to_plugins(subject) == plugin_receives(subject)


@pytest.mark.parametrize("model", EVENT_MODELS.values(), ids=EVENT_MODELS)
@settings(max_examples=20)
@given(data=st.data())
def test_every_event_of_the_vendors_models_is_understood(model, data):
    sent = model.model_validate(data.draw(bodies(model))).model_dump(by_alias=True)
    event = events.parse(json.dumps(sent).encode())
    payload = sent.get("payload") or {}
    assert event.subject == sent["event"]
    assert event.generation == "whole"
    assert event.raw == sent
    assert event.project_id == sent.get("projectId")
    assert event.user_id == sent.get("userId")
    assert event.organization_id == sent["organizationId"]
    assert event.asset_id == payload.get("assetId")
    assert event.label_id == payload.get("labelId", payload.get("label", {}).get("id"))
    assert (event.handler is None) == (event.ignored is not None)


def test_events_that_rules_run_on_are_all_the_vendors_and_reach_plugins():
    handled = {subject for subject in SUBJECTS if events.read(whole(subject)).handler}
    assert handled == {f"label.workflow.{name}" for name in ("created.default", "created.review", "edited")}
    assert all(map(plugin_receives, handled))


@pytest.mark.parametrize("handler", POSSIBLE_HANDLERS.values())
def test_every_handler_of_the_first_generation_is_known(handler):
    event = events.read({"eventType": handler, "logPayload": {"projectId": PROJECT}, "payload": {"labelId": LABEL}})
    assert event.ignored != events.read({"eventType": "onSomethingNew"}).ignored


@pytest.mark.parametrize("subject", ["label.workflow.created.default", "label.workflow.created.review"])
def test_sample_bodies_are_the_vendors(subject):
    event = parse_event(whole(subject))
    assert (event.organization_id, event.project_id, event.user_id) == (ORGANIZATION, PROJECT, USER)
    assert (event.payload.asset_id, event.payload.label_id, event.payload.external_id) == (ASSET, LABEL, None)


def test_event_that_the_vendors_package_is_too_old_for_is_no_error():
    body = whole("label.workflow.created.somethingNew")
    with pytest.raises(kili_events.UnknownEventError):
        parse_event(body)
    assert events.read(body).ignored


def found(pattern: str, subject: str) -> tuple[bool | str, bool | str]:
    """What the vendor and we say, or that it is no pattern."""
    said = []
    for ask in (lambda: matches_subject(pattern, subject), lambda: matches(subject, pattern)):
        try:
            said.append(ask())
        except ValueError:
            said.append("no pattern")
    return tuple(said)


@pytest.mark.parametrize("pattern", [*sorted(SUBJECTS), *FAMILY_PATTERNS.values()])
def test_patterns_of_the_vendors_events_and_families_mean_the_same(pattern):
    for subject in SUBJECTS:
        theirs, ours = found(pattern, subject)
        assert theirs == ours


@given(
    st.sampled_from(sorted(SUBJECTS)),
    st.sets(st.integers(0, 6), max_size=4),
    st.lists(st.sampled_from(NAMES) | st.just("*"), max_size=3),
)
def test_any_pattern_of_names_and_stars_means_the_same(subject, starred, more):
    tokens = ["*" if at in starred else name for at, name in enumerate(subject.split("."))]
    for pattern in (".".join(tokens), ".".join([*tokens, *more])):
        for name in SUBJECTS:
            theirs, ours = found(pattern, name)
            assert theirs == ours, name


@given(st.text(st.sampled_from("ab.*>é_- \n")), st.text(st.sampled_from("ab.")))
def test_what_is_a_pattern_is_the_same(pattern, subject):
    theirs, ours = found(pattern, subject)
    assert theirs == ours
