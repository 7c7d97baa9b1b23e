"""Bodies that Kili posts, in the forms its documentation, its SDK's tests and kili-events show."""

from __future__ import annotations

from typing import Any

PROJECT, ASSET, LABEL = "clfcblkni05pq0jrq8wgib142", "clfcblkr605q20jrqbwng4l1t", "clfcblncs0h550js5golxg96s"
USER, ORGANIZATION, RUN = "ckysfgp8o0003m3kv2tk1wc5p", "ckysfgp8o0001m3kvatzi6bnm", "clfcbm0x40a1b0js5run0q1t2"

RECTANGLE = [{"x": 0.15, "y": 0.84}, {"x": 0.15, "y": 0.31}, {"x": 0.82, "y": 0.31}, {"x": 0.82, "y": 0.84}]
JSON_RESPONSE = {
    "JOB_0": {
        "annotations": [
            {
                "boundingPoly": [{"normalizedVertices": RECTANGLE}],
                "categories": [{"name": "OBJECT_A"}],
                "children": {},
                "mid": "20221124161451411-13314",
                "type": "rectangle",
            }
        ]
    }
}


def label(**changed: Any) -> dict[str, Any]:
    """A label as an event of the first generation carries it."""
    return {
        "id": LABEL,
        "labelType": "DEFAULT",
        "numberOfAnnotations": 1,
        "authorId": USER,
        "modelName": None,
        "jsonResponse": JSON_RESPONSE,
        "secondsToLabel": 10,
        "isSentBackToQueue": False,
        "search": {"numberOfAnnotations": 1, "numberOfAnnotationsByObject": {"JOB_0.OBJECT_A": 1}},
        "createdAt": "2024-12-10T14:38:40.395Z",
        "version": 0,
    } | changed


def legacy(event_type: str = "onSubmit", **payload: Any) -> dict[str, Any]:
    """The first generation: eventType, logPayload, payload."""
    return {
        "eventType": event_type,
        "logPayload": {"runId": RUN, "projectId": PROJECT},
        "payload": {"label": label(), "asset_id": ASSET} | payload,
    }


def flat(subject: str = "labels.created.submit", **fields: Any) -> dict[str, Any]:
    """The second: what belongs to the event stands beside its name."""
    carried = {"id": LABEL, "assetId": ASSET, "labelType": "DEFAULT", "authorId": USER, "secondsToLabel": 10}
    return {"event": subject, "projectId": PROJECT, "label": carried} | fields


def whole(subject: str = "label.workflow.created.default", **payload: Any) -> dict[str, Any]:
    """The third: ids alone, in a payload."""
    return {
        "event": subject,
        "organizationId": ORGANIZATION,
        "projectId": PROJECT,
        "userId": USER,
        "payload": {"assetId": ASSET, "labelId": LABEL, "externalId": None} | payload,
    }


def audited(subject: str = "labels.created.submit", **payload: Any) -> dict[str, Any]:
    """An event of the audit log, as the API's query `events` gives it."""
    carried = {
        "id": LABEL,
        "search": {"numberOfAnnotations": 1, "numberOfAnnotationsByObject": {"JOB_0.OBJECT_A": 1}},
        "assetId": ASSET,
        "version": 0,
        "authorId": USER,
        "labelType": "DEFAULT",
        "secondsToLabel": 10,
        "totalSecondsToLabel": 10,
    }
    return {
        "createdAt": "2024-12-10T14:38:40.395Z",
        "event": subject,
        "id": "clfcbm0x40a1c0js5evt0q1t3",
        "organizationId": ORGANIZATION,
        "payload": {"label": carried, "author": {"isServiceAccount": False}, "assetId": ASSET} | payload,
        "projectId": PROJECT,
        "userId": USER,
    }


def wrapped(event: dict[str, Any]) -> dict[str, Any]:
    """An event of a later generation in the envelope of the first, which nothing public rules out."""
    return {"eventType": "onEvent", "logPayload": {"runId": RUN, "projectId": PROJECT}, "payload": event}


SUBMITTED = {
    "legacy": legacy(),
    "flat": flat(),
    "whole": whole(),
    "audited": audited(),
    "audited, third generation": {"id": "e", "createdAt": "2026-10-22T10:00:00.000Z"} | whole(),
    "wrapped flat": wrapped(flat()),
    "wrapped whole": wrapped(whole()),
}
"""The same submitted label in every form."""
