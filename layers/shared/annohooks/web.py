"""The functions behind the API: from an HTTP request to an endpoint, and from its answer or error to a response.

This is the only module that knows Starlette and Mangum. An endpoint is a plain function: it takes a Call, and returns
an Answer or raises an AnnohooksError.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aws_lambda_powertools.metrics import MetricUnit
from mangum import Mangum
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from annohooks.core import observability
from annohooks.core.deadline import Deadline
from annohooks.core.errors import AnnohooksError, TooLarge
from annohooks.core.observability import Handler, logger, metrics

_ANSWERING_S = 1.0
"""Seconds kept free at the end of a request's time, to send the answer."""
_UNEXPECTED = "Something unexpected went wrong; the log of this webhook says where."


class Call(msgspec.Struct, frozen=True):
    """A request. query, path: the parameters of the query string and of the route. deadline: when to answer."""

    body: bytes
    headers: Mapping[str, str]
    query: Mapping[str, str]
    path: Mapping[str, str]
    deadline: Deadline


class Answer(msgspec.Struct, frozen=True):
    """A response. metric: the count of such answers goes up by one; GET requests count nothing."""

    content: bytes = b""
    status: int = 200
    media_type: str | None = "application/json"
    headers: Mapping[str, str] = {}
    metric: str = "Answered"


Endpoint = Callable[[Call], Answer]


def text(content: str, status: int = 200) -> Answer:
    """An answer in plain text."""
    return Answer(content.encode(), status, "text/plain; charset=utf-8")


def json(
    content: Any, status: int = 200, *, headers: Mapping[str, str] | None = None, metric: str = "Answered"
) -> Answer:
    """An answer in JSON. content: what msgspec encodes."""
    return Answer(msgspec.json.encode(content), status, headers=headers or {}, metric=metric)


def json_error(message: str, status: int) -> Answer:
    """An error in JSON: an object with one key, `error`."""
    return json({"error": message}, status)


class Routes(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoints of one function by method and path, such as "POST /kili", and what they share.

    api_timeout_s: how long the API in front of the function waits. max_body_bytes: a larger body is refused with 413.
    error: makes an answer of an error's message and status. unexpected_status: of an error that nobody foresaw.
    """

    endpoints: Mapping[str, Endpoint]
    api_timeout_s: float
    max_body_bytes: int | None = None
    error: Callable[[str, int], Answer] = text
    unexpected_status: int = 500

    def handler(self) -> Handler:
        """The handler that Lambda calls."""
        routes = []
        for route, endpoint in self.endpoints.items():
            method, path = route.split()
            routes.append(Route(path, self._endpoint(endpoint, is_work=method == "POST"), methods=[method]))
        return observability.instrument(Mangum(Starlette(routes=routes), lifespan="off"))

    def _endpoint(self, endpoint: Endpoint, *, is_work: bool) -> Callable[[Request], Any]:
        async def respond(request: Request) -> Response:
            call = Call(
                await request.body(),
                request.headers,
                dict(request.query_params),
                request.path_params,
                self._deadline(request),
            )
            answer = await run_in_threadpool(self._answer, endpoint, call, is_work)
            return Response(answer.content, answer.status, dict(answer.headers), answer.media_type)

        return respond

    def _answer(self, endpoint: Endpoint, call: Call, is_work: bool) -> Answer:
        """Calls an endpoint, and turns its errors into answers. Work is counted, and logged when it succeeds."""
        started_s = time.monotonic()
        try:
            if self.max_body_bytes is not None and len(call.body) > self.max_body_bytes:
                raise TooLarge(f"The request body is over {self.max_body_bytes} bytes.")
            answer = endpoint(call)
        except AnnohooksError as error:
            cause = type(error.__cause__).__name__ if error.__cause__ else None
            logger.warning("refused", extra={"status": error.status, "reason": error.message, "cause": cause})
            if is_work:
                metrics.add_metric("Refused", MetricUnit.Count, 1)
            return self.error(error.message, error.status)
        except Exception as error:
            observability.log_unexpected(error)
            return self.error(_UNEXPECTED, self.unexpected_status)
        if is_work:
            seconds = time.monotonic() - started_s
            metrics.add_metric(answer.metric, MetricUnit.Count, 1)
            metrics.add_metric("AnswerTime", MetricUnit.Seconds, seconds)
            logger.info("answered", extra={"outcome": answer.metric, "seconds": round(seconds, 3)})
        return answer

    def _deadline(self, request: Request) -> Deadline:
        """The function's own end, or the API's if that is sooner, with time left to answer.

        A function URL has no end of its own.
        """
        event, context = request.scope.get("aws.event"), request.scope.get("aws.context")
        if event is None or context is None:
            deadline = Deadline.after(self.api_timeout_s)
        elif "httpMethod" not in event:
            return Deadline.of_invocation(context, _ANSWERING_S)
        else:
            arrived_s = event["requestContext"].get("requestTimeEpoch", 0) / 1000
            left_s = Deadline.of_invocation(context).remaining_s()
            deadline = Deadline.behind_api(left_s, self.api_timeout_s, arrived_s)
        return deadline.earlier(_ANSWERING_S)
