"""What Kili posts, in its three generations, and which patterns it is posted for (reference, section 1.2)."""

from __future__ import annotations

import re
import uuid
from typing import Any, Literal

from local.simulators.kili.records import Event, Label

Generation = Literal["legacy", "flat", "whole"]
NAME = re.compile(r"[A-Za-z0-9]+|\*")
FLAT_SUBJECTS = {  # what the flat generation and the recorded audit log call them
    "label.workflow.created.default": "labels.created.submit",
    "label.workflow.created.review": "labels.created.review",
    "project.created": "projects.created",
}


def subject(event: Event, generation: Generation) -> str:
    return FLAT_SUBJECTS.get(event.subject, event.subject) if generation == "flat" else event.subject


def body(event: Event, generation: Generation, *, enveloped: bool = False) -> dict[str, Any]:
    """One event as it is posted.

    legacy: {eventType, logPayload, payload}. flat: the event's name and fields beside each other. whole: the event with
    its payload. enveloped: flat and whole in the legacy envelope, which is the one place where flat names the project;
    what Kili does is not known. Raises ValueError for legacy when the event has no handler.
    """
    run = {"runId": str(uuid.uuid4()), "projectId": event.project_id}
    if generation == "legacy":
        if event.handler is None:
            raise ValueError(f"{event.subject} has no legacy event")
        return {"eventType": event.handler, "logPayload": run, "payload": dict(event.legacy)}
    name = subject(event, generation)
    if generation == "flat":
        told: dict[str, Any] = {"event": name, **event.flat}
    else:
        told = {
            "event": name,
            "organizationId": event.organization_id,
            "projectId": event.project_id,
            "userId": event.user_id,
            "payload": dict(event.payload),
        }
    return {"eventType": name, "logPayload": run, "payload": told} if enveloped else told


def audit_row(event: Event, generation: Generation) -> dict[str, Any]:
    """A row of the events query. There is no jsonResponse in it."""
    return {
        "id": event.id,
        "createdAt": event.created_at,
        "event": subject(event, generation),
        "organizationId": event.organization_id,
        "projectId": event.project_id,
        "userId": event.user_id,
        "payload": dict(event.flat if generation == "flat" else event.payload),
    }


def names(pattern: str) -> tuple[str, ...]:
    """The names of an event_matcher pattern; ValueError when it is malformed."""
    parts = tuple(pattern.split("."))
    if parts[0] == "*" or not all(NAME.fullmatch(part) for part in parts):
        raise ValueError(f"invalid event pattern {pattern!r}")
    return parts


def matches(pattern: str, name: str) -> bool:
    """Whether a subject matches a pattern: dot-separated names, where * stands for one or more of them."""
    expression = r"\.".join(r"[^.]+(?:\.[^.]+)*" if part == "*" else re.escape(part) for part in names(pattern))
    return re.fullmatch(expression, name) is not None


def legacy_label(label: Label) -> dict[str, Any]:
    """The label of onSubmit and onReview."""
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
    """The label of the flat generation and of the audit log: without a jsonResponse."""
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
