"""What Kili posts, in its three generations: which event it is, whose rules run on it, and the ids it carries.

Nothing public says how Kili wraps an event for a webhook, so everything is looked for wherever it may stand.
Source: protocol reference, section 1.2.
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
"""The subjects that rules run on, as Kili's own record of events has them."""

_OWN_DOING = "it tells of what this webhook may have done itself: "
_IGNORED = {
    "asset.issue.*": f"{_OWN_DOING}raise, resolve or cancel an issue",
    "asset.updated": f"{_OWN_DOING}write an asset's metadata",
    "asset.workflow.currentStep.*": f"{_OWN_DOING}send an asset back or add it to review",
    "asset.workflow.setToNextStep": f"{_OWN_DOING}add an asset to review",
    "label.workflow.rejected": f"{_OWN_DOING}send an asset back",
    "label.workflow.revisionStarted": f"{_OWN_DOING}send an asset back",
    "project.workflow.bulkAction.sendBackToQueue.started": f"{_OWN_DOING}send assets back",
    "onSendBackToQueue": f"{_OWN_DOING}send an asset back",
    "label.workflow.created.prediction": "a prediction is not a submitted label",
    "label.workflow.created.inference": "an inference is not a submitted label",
    "label.workflow.created.honeypot": "a honeypot is what labels are compared with",
    "onCustomInterfaceClick": "a click in a custom interface is not a submitted label",
    "onProjectUpdated": "no label was submitted",
}

# In the event itself, which may stand in the payload of another envelope.
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

    subject: such as label.workflow.created.default, or onSubmit of the first generation. handler: which rules run on
    it; by_label_type when only the label tells. ignored: why none do, in words; None when there is a handler.
    user_id: who did it; the first generation does not say. label: what the event itself carried of its label. raw: the
    event as it came, out of any envelope around it. generation: legacy (eventType), flat (its fields beside `event`) or
    whole (its fields in a payload); events of the audit log are whole.

    An event with a handler has a project_id and a label_id. Every id is text fit for a log and a query's variables.
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
    """The event in a request's body. Raises BadRequest saying what is wrong, never quoting a value."""
    return read(json_object(body, decode=any_json))


def read(fields: dict[str, Any]) -> Event:
    """The event in a JSON object: a body, or one of the audit log.

    An event that no rules run on is never refused: ids that cannot be used are left out. Raises BadRequest naming the
    field when there is no event at all, or when rules would run on it and its project, label or asset cannot be told.
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

    def found(paths: Iterable[str], *, needed: bool) -> str | None:
        for path in (prefix + path for prefix in prefixes for path in paths):
            value = _at(fields, path, needed)
            if isinstance(value, str) and _ID.fullmatch(value):
                return value
            if needed and value is not None:
                raise BadRequest(f"The event cannot be used: `{path}` is not an id.")
        return None

    handled = handler is not None
    project_id, label_id = found(_PROJECT_ID, needed=handled), found(_LABEL_ID, needed=handled)
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
        asset_id=found(_ASSET_ID, needed=handled),
        label_id=label_id,
        user_id=found(["userId"], needed=False),
        organization_id=found(["organizationId"], needed=False),
        run_id=found(["logPayload.runId"], needed=False),
        label=next((label for label in labels if isinstance(label, dict)), None),
    )


def _at(fields: dict[str, Any], path: str, needed: bool) -> Any:
    """What stands at a path; None if nothing does. Raises BadRequest when it is needed and leads through no object."""
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
    """Events of a project as such have no payload, but say whose they are."""
    return "payload" in event or "organizationId" in event


def _reason(subject: str) -> str:
    """Why no rules run on an event."""
    for pattern, reason in _IGNORED.items():
        if matches(subject, pattern):
            return reason
    if not goes_to_plugins(subject):
        return "Kili does not mean it for plugins and webhooks"
    return "no label was submitted" if subject in SUBJECTS else "this version does not know it"
