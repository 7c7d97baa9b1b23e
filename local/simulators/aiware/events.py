"""The forms in the sample events of events/aiware, with the addresses of the running servers."""

from __future__ import annotations

import base64
import email
from typing import Any

MEDIA, TOOLKIT = "http://127.0.0.1:8304", "http://localhost:33194"
"""The origins in the files: of the media server of `make serve`, and of a toolkit in the engine's container."""


def addressed(event: dict[str, Any], *, media: str, toolkit: str = TOOLKIT) -> dict[str, Any]:
    """The event with these origins in its form. An event without a form is unchanged."""
    if not event.get("isBase64Encoded"):
        return event
    body = form(event)
    for sample, origin in ((MEDIA, media), (TOOLKIT, toolkit)):
        body = body.replace(sample.encode(), origin.encode())
    return {**event, "body": base64.b64encode(body).decode()}


def form(event: dict[str, Any]) -> bytes:
    """The decoded body of an event; empty if it has none."""
    return base64.b64decode(event.get("body") or "")


def fields(event: dict[str, Any]) -> dict[str, str]:
    """The text fields of an event's form."""
    head = f"Content-Type: {event['headers']['Content-Type']}\r\n\r\n".encode()
    parts = email.message_from_bytes(head + form(event)).get_payload()
    named = {str(part.get_param("name", header="Content-Disposition")): part for part in parts}
    return {name: part.get_payload(decode=True).decode() for name, part in named.items() if name != "chunk"}
