"""API Gateway and Lambda on one socket: calls the functions of template.yaml in this process with real events."""

from __future__ import annotations

import base64
import json
import re
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from local.lambdas import Context, instances, load
from local.listener import Listener, Reply, Request
from local.template import Function

_BINARY = "multipart/form-data"
_API_TIMEOUT_S = 29.0  # the limit of API Gateway, unless the template raises it
_MOST_BYTES = 6 * 1024 * 1024  # Lambda's limit for a synchronous event, and for its answer
_MOST_REQUEST_BYTES = 10 * 1024 * 1024  # API Gateway's limit for a request
_ENDED_MESSAGE = json.dumps(
    {
        "message": "The service did not answer in time, or the request is over 4.4 MiB. "
        "Please try again later, or send less."
    }
)


@dataclass(frozen=True)
class _Route:
    """A route. resource: a path with parameters in braces, as in /aiware/jobs/{job}/messages."""

    method: str
    resource: str
    function: Function
    handler: Any

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", self.resource))

    def matches(self, request: Request) -> bool:
        return self._pattern.fullmatch(request.path) is not None

    def parameters(self, request: Request) -> dict[str, str]:
        match = self._pattern.fullmatch(request.path)
        return match.groupdict() if match else {}


class Gateway:
    """The API, in a `with` block. functions: from local.template. environment: further variables, for the account."""

    def __init__(
        self, functions: Iterable[Function], environment: Mapping[str, str], bind: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._routes: list[_Route] = []
        for function in functions:
            handler = load(function, environment) if function.routes else None
            self._routes += [_Route(method, resource, function, handler) for method, resource in function.routes]
        self._instances = instances()
        self._listener = Listener(bind, port, self._answer)
        self.origin = self._listener.origin

    def __enter__(self) -> Gateway:
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.stop()
        self._instances.shutdown()

    def _answer(self, request: Request) -> Reply:
        route = next(
            (route for route in self._routes if route.method == request.method and route.matches(request)), None
        )
        if route is None:
            return Reply(403, b'{"message": "Missing Authentication Token"}')
        if request.unread > _MOST_REQUEST_BYTES:
            return Reply(413, b'{"message": "Request Too Long"}')
        function, handler = route.function, route.handler
        event = _event(request, route, request.read(request.unread))
        if len(json.dumps(event)) > _MOST_BYTES:
            return Reply(503, _ENDED_MESSAGE.encode())
        try:
            call = self._instances.submit(handler, event, Context(function.name, function.timeout_s))
            answer = call.result(float(function.environment.get("API_TIMEOUT_S", _API_TIMEOUT_S)))
        except Exception as error:  # like Lambda, tells the caller nothing of it
            print(f"{function.name} raised {type(error).__name__}: {error}", file=sys.stderr)
            return Reply(503, _ENDED_MESSAGE.encode())
        body = answer["body"].encode()
        if len(json.dumps(answer)) > _MOST_BYTES:
            return Reply(503, _ENDED_MESSAGE.encode())
        if answer.get("isBase64Encoded"):
            body = base64.b64decode(body)
        headers = {key: values[0] for key, values in answer.get("multiValueHeaders", {}).items()}
        headers |= answer.get("headers", {})
        content_type = headers.pop("content-type", "application/json")
        headers.pop("content-length", None)
        return Reply(answer["statusCode"], body, content_type, headers)


def _event(request: Request, route: _Route, body: bytes) -> dict[str, Any]:
    """The event of a REST API with Lambda proxy integration, payload format 1.0."""
    query: dict[str, list[str]] = {}
    for key, value in parse_qsl(urlsplit(request.target).query, keep_blank_values=True):
        query.setdefault(key, []).append(value)
    is_binary = request.headers.get_content_type() == _BINARY
    return {
        "resource": route.resource,
        "path": request.path,
        "httpMethod": request.method,
        "headers": dict(request.headers.items()),
        "multiValueHeaders": {key: request.headers.get_all(key, []) for key in request.headers},
        "queryStringParameters": {key: values[-1] for key, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": route.parameters(request) or None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": route.resource,
            "httpMethod": request.method,
            "path": f"/v1{request.path}",
            "stage": "v1",
            "requestId": str(uuid.uuid4()),
            "requestTimeEpoch": int(time.time() * 1000),
            "identity": {"sourceIp": "127.0.0.1", "userAgent": request.headers.get("User-Agent")},
        },
        "body": (base64.b64encode(body).decode() if is_binary else body.decode(errors="replace")) or None,
        "isBase64Encoded": is_binary,
    }
