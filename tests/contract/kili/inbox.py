"""A server for webhooks, and labels to post."""

from __future__ import annotations

import json
from typing import Any

from local.listener import Listener, Reply, Request


def box(mid: str, left: float, top: float, right: float, bottom: float, category: str = "OBJECT_A") -> dict[str, Any]:
    corners = ((left, bottom), (left, top), (right, top), (right, bottom))
    return {
        "boundingPoly": [{"normalizedVertices": [{"x": x, "y": y} for x, y in corners]}],
        "categories": [{"name": category}],
        "children": {},
        "mid": mid,
        "type": "rectangle",
    }


LARGE = box("20221124161451411-13314", 0.15, 0.31, 0.82, 0.84)
SMALL = box("20221124161456406-47055", 0.79, 0.13, 0.91, 0.20)
ALSO_SMALL = box("20221124161459298-45160", 0.87, 0.27, 0.99, 0.36)


def objects(*annotations: dict[str, Any]) -> dict[str, Any]:
    return {"JOB_0": {"annotations": list(annotations)}}


class Inbox(Listener):
    """Where webhooks arrive; `handle` is called with each."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1", 0, self._answer)
        self.bodies: list[dict[str, Any]] = []
        self.url = f"{self.origin}/"

    def handle(self, body: dict[str, Any]) -> None:
        """Nothing is done about it here."""

    def _answer(self, request: Request) -> Reply:
        body = json.loads(request.read(request.unread))
        self.bodies.append(body)
        self.handle(body)
        return Reply(body=b"null")
