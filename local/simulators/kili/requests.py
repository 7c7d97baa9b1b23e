"""The requests of the simulated Kili's GraphQL endpoint, parsed as far as possible."""

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
class ParsedRequest:
    """name: the root field, "storage" for the bucket, "version", or "". operation: None if there is none.

    problem: the reason why there is no operation.
    """

    request: Request
    name: str = ""
    query: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    operation: api.Operation | None = None
    problem: str = ""


def parse(request: Request) -> ParsedRequest:
    """Parses a request to the API."""
    parsed = ParsedRequest(request)
    if request.path == f"{BASE}/version":
        parsed.name = "version"
        return parsed
    try:
        parsed.query, parsed.variables = _query(_body(request))
        parsed.operation = api.read(parsed.query)
        parsed.name = parsed.operation.name
    except (ValueError, api.Unreadable) as error:
        parsed.problem = str(error)
    return parsed


def _body(request: Request) -> bytes:
    """The unpacked body. Raises ValueError if it cannot be unpacked or is too large."""
    if "Transfer-Encoding" in request.headers:
        raise ValueError("a body of unknown length")
    if request.unread > MAX_BODY_BYTES:
        raise ValueError(f"a body of {request.unread} bytes, {MAX_BODY_BYTES} are allowed")
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
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("a body that is not JSON") from None
    query = content.get("query") if isinstance(content, dict) else None
    if not isinstance(query, str):
        raise ValueError("a body without a query")
    variables = content.get("variables")
    if variables is not None and not isinstance(variables, dict):
        raise ValueError("variables that are not an object")
    return query, variables or {}
