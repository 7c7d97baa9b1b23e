"""The label dict that a handler is given, as Kili's plugin runner would fill it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from annohooks.kili.api.records import Label
from annohooks.kili.events import Event
from annohooks.kili.label.reader import read


def given_label(name: str, event: Event, label: Label | None) -> dict[str, Any]:
    """What the event carried, completed by the label as it is in Kili; what both have is Kili's.

    name: of the handler. on_custom_interface_click gets id and jsonResponse only. jsonResponse is decoded, and
    search.numberOfAnnotationsByObject counted in it: objects, by "JOB.CATEGORY".
    """
    carried = dict(event.label or {})
    if label is None:
        carried["jsonResponse"] = _decoded(carried.get("jsonResponse"))
        return carried if name != "on_custom_interface_click" else _id_and_content(carried)
    objects = read(label.json_response).objects
    by_object = Counter(f"{each.job}.{category}" for each in objects for category in each.categories)
    search = carried.get("search")
    given = {
        **carried,
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
    return given if name != "on_custom_interface_click" else _id_and_content(given)


def _id_and_content(given: dict[str, Any]) -> dict[str, Any]:
    return {"id": given.get("id"), "jsonResponse": given["jsonResponse"]}


def _decoded(json_response: Any) -> Any:
    try:
        return json.loads(json_response) if isinstance(json_response, str) else json_response
    except (ValueError, RecursionError):
        return {}
