"""Kili's events, in three generations: which event it is, which rules run on it, and the ids in it.

Kili does not document how it wraps an event for a webhook, so every field is looked for in each possible place.
Source: docstrings of create_webhook and PluginCore in the package `kili` (25.2.10 to 26.2.4), and the package
kili-events 26.2.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from annohooks.core.errors import BadRequest
from annohooks.core.json_text import any_json, json_object
from annohooks.kili.event_types import SUBJECTS, goes_to_plugins, matches

_HANDLERS: dict[str, Literal["submit", "review", "by_label_type"]] = {
    "onSubmit": "submit",
    "onReview": "review",
    "labels.created.submit": "submit",
    "labels.created.review": "review",
    "label.workflow.created.default": "submit",
    "label.workflow.created.review": "review",
    "label.workflow.edited": "by_label_type",
}

HANDLED = tuple(subject for subject in _HANDLERS if "." in subject)
"""The subjects that rules run on, as Kili's audit log names them."""

_MAY_HAVE_SENT_BACK = "this webhook itself may have sent the asset back"
_IGNORED = {
    "asset.issue.*": "this webhook itself may have changed the issue",
    "asset.updated": "this webhook itself may have written the asset's metadata",
    "asset.workflow.currentStep.*": "this webhook itself may have sent the asset back or added it to review",
    "asset.workflow.setToNextStep": "this webhook itself may have added the asset to review",
    "label.workflow.rejected": _MAY_HAVE_SENT_BACK,
    "label.workflow.revisionStarted": _MAY_HAVE_SENT_BACK,
    "project.workflow.bulkAction.sendBackToQueue.started": _MAY_HAVE_SENT_BACK,
    "onSendBackToQueue": _MAY_HAVE_SENT_BACK,
    "label.workflow.created.prediction": "a prediction is not a submitted label",
    "label.workflow.created.inference": "an inference is not a submitted label",
    "label.workflow.created.honeypot": "a honeypot is the label that others are compared with",
    "onCustomInterfaceClick": "a click in a custom interface is not a submitted label",
    "onProjectUpdated": "no label was submitted",
}

# Paths in the event, which may itself be the payload of an envelope.
_LABEL = ("label", "payload.label")
_LABEL_ID = ("label.id", "labelId", "payload.label.id", "payload.labelId")
_ASSET_ID = (
    "asset_id",
    "assetId",
    "label.assetId",
    "payload.asset_id",
    "payload.assetId",
    "payload.label.assetId",
)
_PROJECT_ID = ("projectId", "logPayload.projectId", "payload.projectId")

_SUBJECT = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}(?:\.[A-Za-z0-9_-]{1,64}){0,15}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event.

    subject: such as label.workflow.created.default, or onSubmit of the first generation. handler: the rules that run;
    by_label_type when it depends on the label. ignored: why no rules run; None when there is a handler. user_id: who
    caused the event; the first generation does not say. label: the label's fields in the event itself. raw: the event
    without an envelope. generation: legacy (eventType), flat (fields beside `event`) or whole (fields in a payload).
    Events of the audit log are whole.

    An event with a handler has a project_id and a label_id. Every id is safe for a log and for a query's variables.
    """

    subject: str
    generation: Literal["legacy", "flat", "whole"]
    raw: dict[str, Any]
    handler: Literal["submit", "review", "by_label_type"] | None = None
    ignored: str | None = None
    project_id: str | None = None
    asset_id: str | None = None
    label_id: str | None = None
    user_id: str | None = None
    organization_id: str | None = None
    run_id: str | None = None
    label: dict[str, Any] | None = None


def parse(body: bytes) -> Event:
    """The event in a request's body. Raises BadRequest, whose message quotes no value."""
    return read(json_object(body, decode=any_json))


def read(fields: dict[str, Any]) -> Event:
    """The event in a JSON object: a request's body, or an entry of the audit log.

    Leaves out invalid ids of an event that no rules run on. Raises BadRequest, which names the field, when there is no
    event, or when rules would run on it and the id of its project, label or asset is missing or invalid.
    """
    inner = fields.get("payload")
    event, prefixes = fields, [""]
    if fields.get("event") is None and isinstance(inner, dict) and inner.get("event") is not None:
        event, prefixes = inner, ["payload.", ""]
    named = "eventType" if event.get("event") is None else "event"
    subject = event.get(named)
    if subject is None:
        raise BadRequest("The event cannot be used: it has neither `event` nor `eventType`.")
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise BadRequest(f"The event cannot be used: `{prefixes[0]}{named}` is not the name of an event.")
    handler = _HANDLERS.get(subject)

    def id_at(paths: Iterable[str], *, needed: bool) -> str | None:
        for path in (prefix + path for prefix in prefixes for path in paths):
            value = _at(fields, path, needed)
            if isinstance(value, str) and _ID.fullmatch(value):
                return value
            if needed and value is not None:
                raise BadRequest(f"The event cannot be used: `{path}` is not an id.")
        return None

    handled = handler is not None
    project_id, label_id = id_at(_PROJECT_ID, needed=handled), id_at(_LABEL_ID, needed=handled)
    if handled and project_id is None:
        raise BadRequest("The event cannot be used: it has neither `projectId` nor `logPayload.projectId`.")
    if handled and label_id is None:
        raise BadRequest("The event cannot be used: it has neither `label.id` nor `labelId`.")
    labels = (_at(event, path, needed=False) for path in _LABEL)
    return Event(
        subject=subject,
        generation="legacy" if named == "eventType" else "whole" if _is_whole(event) else "flat",
        raw=event,
        handler=handler,
        ignored=None if handled else _reason(subject),
        project_id=project_id,
        asset_id=id_at(_ASSET_ID, needed=handled),
        label_id=label_id,
        user_id=id_at(["userId"], needed=False),
        organization_id=id_at(["organizationId"], needed=False),
        run_id=id_at(["logPayload.runId"], needed=False),
        label=next((label for label in labels if isinstance(label, dict)), None),
    )


def _at(fields: dict[str, Any], path: str, needed: bool) -> Any:
    """The value at a path; None if there is none. Raises BadRequest if it is needed and a parent is not an object."""
    *parents, last = path.split(".")
    for depth, name in enumerate(parents):
        parent = fields.get(name)
        if not isinstance(parent, dict):
            if needed and parent is not None:
                raise BadRequest(f"The event cannot be used: `{'.'.join(parents[: depth + 1])}` is not an object.")
            return None
        fields = parent
    return fields.get(last)


def _is_whole(event: dict[str, Any]) -> bool:
    """Whether an event is of the third generation. Events about a project have no payload, but an organization."""
    return "payload" in event or "organizationId" in event


def _reason(subject: str) -> str:
    """Why no rules run on an event."""
    for pattern, reason in _IGNORED.items():
        if matches(subject, pattern):
            return reason
    if not goes_to_plugins(subject):
        return "Kili does not send it to plugins and webhooks"
    return "no label was submitted" if subject in SUBJECTS else "this version does not know the event"
