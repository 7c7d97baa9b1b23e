"""The label that a plugin's method gets as its argument, with the fields that Kili's plugin runner would fill in."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from annohooks.kili.api.records import Label
from annohooks.kili.events import Event
from annohooks.kili.label.reader import read


def label_argument(method: str, event: Event, label: Label | None) -> dict[str, Any]:
    """The label of the event, completed and overridden by the label in Kili.

    method: on_custom_interface_click gets id and jsonResponse only. jsonResponse is decoded, and
    search.numberOfAnnotationsByObject counts its objects by "JOB.CATEGORY".
    """
    fields = dict(event.label or {})
    if label is None:
        fields["jsonResponse"] = _decoded(fields.get("jsonResponse"))
    else:
        fields |= _stored_fields(label, fields.get("search"))
    if method == "on_custom_interface_click":
        return {"id": fields.get("id"), "jsonResponse": fields["jsonResponse"]}
    return fields


def _stored_fields(label: Label, search: Any) -> dict[str, Any]:
    """The fields that are known from the label in Kili. search: that of the event's label, which is completed."""
    objects = read(label.json_response).objects
    by_object = Counter(f"{obj.job}.{category}" for obj in objects for category in obj.categories)
    return {
        "id": label.id,
        "assetId": label.asset_id,
        "labelType": label.label_type,
        "authorId": label.author_id,
        "modelName": label.model_name,
        "jsonResponse": label.json_response,
        "secondsToLabel": label.seconds_to_label,
        "isSentBackToQueue": label.sent_back,
        "isLatestLabelForUser": not label.superseded,
        "createdAt": label.created_at,
        "numberOfAnnotations": len(objects),
        "search": {
            **(search if isinstance(search, dict) else {}),
            "numberOfAnnotations": len(objects),
            "numberOfAnnotationsByObject": dict(by_object),
        },
    }


def _decoded(json_response: Any) -> Any:
    try:
        return json.loads(json_response) if isinstance(json_response, str) else json_response
    except (ValueError, RecursionError):
        return {}
