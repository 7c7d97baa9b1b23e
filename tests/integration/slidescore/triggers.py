"""Request bodies of Slide Score, the events that Lambda makes of them, and what the tests read in an answer."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from local.demo import EVENTS
from local.simulators.slidescore import Viewed
from local.stack import SECRET

Shape = dict[str, Any]


def rect(x: float | None, y: float | None, width: float | None, height: float | None) -> Shape:
    return {"type": "rect", "corner": {"x": x, "y": y}, "size": {"x": width, "y": height}}


REGION = rect(20, 30, 420, 440)
"""A region of slide 1, with some hundred nuclei, and dark regions with holes."""


def trigger_body(*shapes: Shape, answered: Mapping[str, object] | None = None, **fields: object) -> dict[str, object]:
    """The body of a trigger on slide 1: nuclei in REGION, or in these shapes.

    answered, fields: further answers and keys, or other values. The value ... removes an answer or a key.
    """
    answers = {
        "ROI": json.dumps(list(shapes or [REGION])),
        "Analysis": "Nuclei",
        "Nuclei: stain": "H-DAB",
        "Show": "Outlines",
        **(answered or {}),
    }
    body = {
        "secret": SECRET,
        "host": "https://filled-in-by.the-server.example",
        "studyid": 1,
        "imageid": 1,
        "imagename": "ihc-colon-04.svs",
        "caseid": 12,
        "casename": "Case 12",
        "email": "pathologist@example.org",
        "analysisid": 4,
        "analysisname": "annohooks",
        "answers": [{"name": name, "value": value} for name, value in answers.items() if value is not ...],
        "apitoken": "filled-in-by-the-server",
        **fields,
    }
    return {key: value for key, value in body.items() if value is not ...}


WITH_HOLES = {"Analysis": "Dark regions"}
"""Answers with an anno2 as their result."""


def through_api(body: str | bytes, *, waited_s: float = 0.0) -> dict[str, Any]:
    """The event of the REST API. waited_s: the time since the request arrived there."""
    event: dict[str, Any] = json.loads((EVENTS / "slidescore" / "nuclei_in_a_rectangle.json").read_text())
    event["requestContext"]["requestTimeEpoch"] = int((time.time() - waited_s) * 1000)
    return event | _body(body)


def through_url(body: str | bytes) -> dict[str, Any]:
    """The event of a function URL."""
    domain = "abc.lambda-url.eu-west-1.on.aws"
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/slidescore",
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "host": domain},
        "requestContext": {
            "domainName": domain,
            "http": {"method": "POST", "path": "/slidescore", "protocol": "HTTP/1.1", "sourceIp": "203.0.113.10"},
            "requestId": "3f6c2a55-4d0f-4a53-9d64-0a5f6c1f8f11",
            "stage": "$default",
            "timeEpoch": int(time.time() * 1000),
        },
        **_body(body),
    }


def _body(body: str | bytes) -> dict[str, object]:
    if isinstance(body, str):
        return {"body": body, "isBase64Encoded": False}
    return {"body": b64encode(body).decode(), "isBase64Encoded": True}


def refusal(viewed: Viewed) -> tuple[int, str]:
    """The status and the text of an answer without results."""
    assert viewed.results == []
    return viewed.status, viewed.text


def accepted(viewed: Viewed) -> list[list[object]]:
    """The types and names of the results of an answer that the viewer can show."""
    assert (viewed.status, viewed.problems) == (200, [])
    return [[result["type"], result["name"]] for result in viewed.results]


def text_of(viewed: Viewed) -> str:
    (text,) = (result["value"] for result in viewed.results if result["type"] == "text")
    return str(text)
