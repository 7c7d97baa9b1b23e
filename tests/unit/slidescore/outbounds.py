"""Stand-ins for Outbound that reach no server. They answer from a function, and record the requests."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import urllib3

from annohooks.core.errors import Upstream, UpstreamStatus
from annohooks.core.http import Reply

ORIGIN = "https://slides.example.org"


class Request(NamedTuple):
    method: str
    path: str
    options: dict[str, Any]

    @property
    def query(self):
        return self.options.get("query")

    @property
    def headers(self):
        return self.options.get("headers") or {}


class Answering:
    """answer: a function from a Request to a Reply. It may raise what an Outbound raises."""

    def __init__(self, answer):
        self.requests = []
        self.deadlines = []
        self._answer = answer

    def request(self, method, path, **options):
        self.requests.append(Request(method, path, options))
        reply = self._answer(self.requests[-1])
        if reply.status not in options.get("accept", (200,)):
            raise refusal(reply.status)
        return reply

    def until(self, deadline):
        self.deadlines.append(deadline)
        return self

    def locate(self, url_or_path):
        path = url_or_path.removeprefix(ORIGIN)
        if not path.startswith("/") or path.startswith("//"):
            raise Upstream("Slide Score referred to another server; annohooks does not follow such addresses.")
        return path


def reply(body=b"", status=200, **headers):
    named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, urllib3.HTTPHeaderDict(named), content)


def refusal(status):
    return UpstreamStatus(f"Slide Score answered with status {status} while testing.", status)
