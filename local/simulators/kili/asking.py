"""A request to the simulated Kili, as far as it can be read."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local.listener import Request
from local.simulators.kili import api

BASE = "/api/label/v2"
MAX_BODY_BYTES = 50_000_000


@dataclass
class Asking:
    """name: what Call says as operation. operation: None when there is none. problem: what is wrong with it."""

    request: Request
    name: str = ""
    query: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    operation: api.Operation | None = None
    problem: str = ""


def read(request: Request) -> Asking:
    """A request to the API; the bucket's have nothing to read."""
    asking = Asking(request)
    if request.path == f"{BASE}/version":
        asking.name = "version"
        return asking
    try:
        asking.query, asking.variables = _query(_body(request))
        asking.operation = api.read(asking.query)
        asking.name = asking.operation.name
    except (ValueError, api.Unreadable) as error:
        asking.problem = str(error)
    return asking


def _body(request: Request) -> bytes:
    """The body, unpacked. Raises ValueError when it cannot be, or is more than is taken."""
    if "Transfer-Encoding" in request.headers:
        raise ValueError("a body of unknown length")
    if request.unread > MAX_BODY_BYTES:
        raise ValueError(f"a body of {request.unread} bytes, {MAX_BODY_BYTES} are taken")
    body = request.read(request.unread)
    if request.headers.get("Content-Encoding", "identity") == "identity":
        return body
    if request.headers["Content-Encoding"] != "gzip":
        raise ValueError(f"a body in {request.headers['Content-Encoding']}")
    try:
        unpacked = zlib.decompressobj(wbits=31).decompress(body, MAX_BODY_BYTES + 1)
    except zlib.error:
        raise ValueError("a body that is not gzip") from None
    if len(unpacked) > MAX_BODY_BYTES:
        raise ValueError(f"a body of more than {MAX_BODY_BYTES} bytes, unpacked")
    return unpacked


def _query(body: bytes) -> tuple[str, Mapping[str, Any]]:
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("a body that is not JSON") from None
    query = sent.get("query") if isinstance(sent, dict) else None
    if not isinstance(query, str):
        raise ValueError("a body without a query")
    variables = sent.get("variables")
    if variables is not None and not isinstance(variables, dict):
        raise ValueError("variables that are no object")
    return query, variables or {}
