"""The bodies of webhook events in Kili's three generations, and the patterns that select events.

Sources: Kili's documentation of webhooks and plugins, the package kili-events, docs/kili.md.
"""

from __future__ import annotations

import re
import uuid
from typing import Any, Literal

from local.simulators.kili.records import Event, Label

Generation = Literal["legacy", "flat", "whole"]
NAME = re.compile(r"[A-Za-z0-9]+|\*")
FLAT_SUBJECTS = {  # names in the flat generation and in the audit log
    "label.workflow.created.default": "labels.created.submit",
    "label.workflow.created.review": "labels.created.review",
    "project.created": "projects.created",
}


def subject(event: Event, generation: Generation) -> str:
    return FLAT_SUBJECTS.get(event.subject, event.subject) if generation == "flat" else event.subject


def body(event: Event, generation: Generation, *, enveloped: bool = False) -> dict[str, Any]:
    """One event as it is posted.

    legacy: {eventType, logPayload, payload}. flat: the event's name and fields in one object. whole: the event with its
    payload. enveloped: puts flat and whole into the legacy envelope, the only place where flat names the project. It is
    unknown which of the two Kili does. Raises ValueError for legacy if the event has no handler.
    """
    run = {"runId": str(uuid.uuid4()), "projectId": event.project_id}
    if generation == "legacy":
        if event.handler is None:
            raise ValueError(f"{event.subject} has no legacy event")
        return {"eventType": event.handler, "logPayload": run, "payload": dict(event.legacy)}
    name = subject(event, generation)
    if generation == "flat":
        content: dict[str, Any] = {"event": name, **event.flat}
    else:
        content = {
            "event": name,
            "organizationId": event.organization_id,
            "projectId": event.project_id,
            "userId": event.user_id,
            "payload": dict(event.payload),
        }
    return {"eventType": name, "logPayload": run, "payload": content} if enveloped else content


def audit_row(event: Event) -> dict[str, Any]:
    """A row of the events query. It has no jsonResponse."""
    return {
        "id": event.id,
        "createdAt": event.created_at,
        "event": subject(event, "flat"),
        "organizationId": event.organization_id,
        "projectId": event.project_id,
        "userId": event.user_id,
        "payload": dict(event.flat),
    }


def names(pattern: str) -> tuple[str, ...]:
    """The names of an event_matcher pattern. Raises ValueError if it is malformed."""
    parts = tuple(pattern.split("."))
    if parts[0] == "*" or not all(NAME.fullmatch(part) for part in parts):
        raise ValueError(f"invalid event pattern {pattern!r}")
    return parts


def matches(pattern: str, name: str) -> bool:
    """Whether a subject matches a pattern of dot-separated names; * stands for one or more names."""
    expression = r"\.".join(r"[^.]+(?:\.[^.]+)*" if part == "*" else re.escape(part) for part in names(pattern))
    return re.fullmatch(expression, name) is not None


def legacy_label(label: Label) -> dict[str, Any]:
    """The label in onSubmit and onReview."""
    return {
        "id": label.id,
        "labelType": label.label_type,
        "numberOfAnnotations": label.number_of_annotations,
        "authorId": label.author.id,
        "modelName": label.model_name,
        "jsonResponse": label.decoded,
        "secondsToLabel": label.seconds_to_label,
        "isSentBackToQueue": label.is_sent_back_to_queue,
        "search": label.search,
        "createdAt": label.created_at,
        "updatedAt": label.updated_at,
        "version": 0,
        "isLatestReviewLabelForUser": label.is_latest_review_label_for_user,
        "isLatestLabelForUser": label.is_latest_label_for_user,
        "isLatestDefaultLabelForUser": label.is_latest_default_label_for_user,
        "readPermissionsFromProject": [],
    }


def flat_label(label: Label) -> dict[str, Any]:
    """The label in the flat generation and in the audit log. It has no jsonResponse."""
    return {
        "id": label.id,
        "search": label.search,
        "assetId": label.asset.id,
        "version": 0,
        "authorId": label.author.id,
        "createdAt": label.created_at,
        "labelType": label.label_type,
        "updatedAt": label.updated_at,
        "clientVersion": 0,
        "secondsToLabel": label.seconds_to_label,
        "numberOfAnnotations": label.number_of_annotations,
        "totalSecondsToLabel": label.seconds_to_label,
        "deltaNumberAnnotations": label.number_of_annotations,
    }
