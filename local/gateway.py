"""API Gateway and Lambda on one socket: the functions of template.yaml, in this process, called with real events."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from local.listener import Listener, Reply, Request
from local.template import Function

Handler = Callable[[dict[str, Any], "Context"], dict[str, Any]]

_BINARY = "multipart/form-data"
_INSTANCES = 16
_API_TIMEOUT_S = 29.0  # API Gateway's own, unless the template raises it
_MOST_BYTES = 6 * 1024 * 1024  # of a synchronous answer, Lambda's limit
_ENDED_MESSAGE = '{"message": "The service did not answer in time. Please try again later."}'


class Context:
    """What Lambda tells a function about its invocation."""

    def __init__(self, function_name: str, timeout_s: float) -> None:
        self.function_name = function_name
        self.function_version = "$LATEST"
        self.memory_limit_in_mb = 2048
        self.invoked_function_arn = f"arn:aws:lambda:eu-west-1:123456789012:function:{function_name}"
        self.aws_request_id = str(uuid.uuid4())
        self._end = time.monotonic() + timeout_s

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._end - time.monotonic()) * 1000))


class Gateway:
    """The API, in a `with` block. functions: from local.template; environment: further variables, as of the account."""

    def __init__(
        self, functions: Iterable[Function], environment: Mapping[str, str], bind: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._routes: dict[tuple[str, str], tuple[Function, Handler]] = {}
        for function in functions:
            handler = load(function, environment)
            self._routes |= dict.fromkeys(function.routes, (function, handler))
        # Mangum wants its thread to have an event loop, as the one thread of a Lambda instance has.
        self._instances = ThreadPoolExecutor(_INSTANCES, "instance", _start_instance)
        self._listener = Listener(bind, port, self._answer)
        self.origin = self._listener.origin

    def __enter__(self) -> Gateway:
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.stop()
        self._instances.shutdown()

    def _answer(self, request: Request) -> Reply:
        route = self._routes.get((request.method, request.path))
        if route is None:
            return Reply(403, b'{"message": "Missing Authentication Token"}')
        function, handler = route
        event = _event(request, request.read(request.unread))
        try:
            call = self._instances.submit(handler, event, Context(function.name, function.timeout_s))
            answer = call.result(float(function.environment.get("API_TIMEOUT_S", _API_TIMEOUT_S)))
        except Exception as error:  # as Lambda does: the caller learns nothing of it
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


def _start_instance() -> None:
    asyncio.set_event_loop(asyncio.new_event_loop())


def load(function: Function, environment: Mapping[str, str]) -> Handler:
    """The function's handler, its module imported anew with its own environment."""
    module_name, attribute = function.handler.rsplit(".", 1)
    path = function.folder / f"{module_name}.py"
    spec = importlib.util.spec_from_file_location(f"functions_{function.folder.name}_{module_name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    os.environ.update(environment)
    with _variables(function.environment):
        spec.loader.exec_module(module)
    handler: Handler = getattr(module, attribute)
    return handler


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _event(request: Request, body: bytes) -> dict[str, Any]:
    """The event of a REST API with Lambda proxy integration, payload format 1.0."""
    query: dict[str, list[str]] = {}
    for key, value in parse_qsl(urlsplit(request.target).query, keep_blank_values=True):
        query.setdefault(key, []).append(value)
    is_binary = request.headers.get_content_type() == _BINARY
    return {
        "resource": request.path,
        "path": request.path,
        "httpMethod": request.method,
        "headers": dict(request.headers.items()),
        "multiValueHeaders": {key: request.headers.get_all(key, []) for key in request.headers},
        "queryStringParameters": {key: values[-1] for key, values in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": request.path,
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
