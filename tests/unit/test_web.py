"""From an HTTP event to an endpoint, and from its answer or error to a response."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from annohooks import web
from annohooks.core import observability
from annohooks.core.errors import BadRequest, Unavailable, Upstream
from annohooks.core.observability import logger
from local.lambdas import Context


def event(method: str = "POST", path: str = "/work", body: str = "", query: dict[str, str] | None = None) -> Any:
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": {"Authorization": "Bearer x"},
        "multiValueHeaders": {"Authorization": ["Bearer x"]},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {key: [value] for key, value in (query or {}).items()} or None,
        "requestContext": {"resourcePath": path, "httpMethod": method, "path": path, "identity": {"sourceIp": "::1"}},
        "body": body,
        "isBase64Encoded": False,
    }


@pytest.fixture(autouse=True)
def event_loop() -> Iterator[None]:
    """Mangum wants its thread to have one, as Lambda's has."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture
def log() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The lines logged so far."""
    stream = io.StringIO()
    before = logger.registered_handler.setStream(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.registered_handler.setStream(before)


def answer(endpoint: web.Endpoint, request: Any = None, seconds: float = 30, **shared: Any) -> dict[str, Any]:
    """What API Gateway gets from a function with one endpoint, at POST /work and GET /work."""
    routes = web.Routes(endpoints={"POST /work": endpoint, "GET /work": endpoint}, api_timeout_s=29, **shared)
    return routes.handler()(request or event(), Context("work", seconds))


def raising(error: Exception) -> web.Endpoint:
    def endpoint(call: web.Call) -> web.Answer:
        raise error

    return endpoint


def test_an_endpoint_reads_body_headers_query_and_deadline() -> None:
    calls = []

    def endpoint(call: web.Call) -> web.Answer:
        calls.append(call)
        return web.json({"done": True}, headers={"X-Job": "7"})

    response = answer(endpoint, event(body="pixels", query={"key": "k"}), seconds=10)
    (call,) = calls
    assert (call.body, call.headers["authorization"], call.query) == (b"pixels", "Bearer x", {"key": "k"})
    assert 8.5 < call.deadline.remaining_s() <= 9
    assert (response["statusCode"], json.loads(response["body"]), response["headers"]["x-job"]) == (
        200,
        {"done": True},
        "7",
    )


def test_the_deadline_is_the_apis_when_that_is_sooner() -> None:
    response = answer(lambda call: web.json(call.deadline.remaining_s()), seconds=900)
    assert 27.5 < json.loads(response["body"]) <= 28


def test_a_function_url_waits_as_long_as_the_function_runs() -> None:
    through_url = {
        "version": "2.0",
        "rawPath": "/work",
        "rawQueryString": "",
        "headers": {},
        "requestContext": {"http": {"method": "POST", "path": "/work", "sourceIp": "::1"}},
        "isBase64Encoded": False,
    }
    response = answer(lambda call: web.json(call.deadline.remaining_s()), through_url, seconds=900)
    assert 898 < json.loads(response["body"]) <= 899


def test_an_error_of_ours_is_shown_with_its_status_and_logged_with_its_cause(log: Callable[[], Any]) -> None:
    error = Upstream("The server broke off.")
    error.__cause__ = OSError("secret details")
    response = answer(raising(error))
    assert (response["statusCode"], response["body"]) == (502, "The server broke off.")
    (line,) = log()
    assert (line["message"], line["status"], line["reason"], line["cause"]) == (
        "refused",
        502,
        "The server broke off.",
        "OSError",
    )


def test_errors_are_json_where_the_platform_reads_json() -> None:
    response = answer(raising(BadRequest("Wrong.")), error=web.json_error)
    assert (response["statusCode"], json.loads(response["body"])) == (400, {"error": "Wrong."})


@pytest.mark.parametrize("status", [500, 503])
def test_an_unforeseen_error_says_nothing_of_its_text(log: Callable[[], Any], status: int) -> None:
    response = answer(raising(KeyError("canary")), unexpected_status=status)
    assert (response["statusCode"], "canary" in response["body"]) == (status, False)
    assert log()[0]["message"] == "unexpected KeyError"


def test_a_body_over_the_limit_is_refused_before_the_endpoint_reads_it() -> None:
    def endpoint(call: web.Call) -> web.Answer:
        return web.text(f"{len(call.body)}")

    assert answer(endpoint, event(body="12345"), max_body_bytes=5)["body"] == "5"
    refused = answer(endpoint, event(body="123456"), max_body_bytes=5)
    assert (refused["statusCode"], refused["body"]) == (413, "The request body is over 5 bytes.")


def test_work_is_logged_with_what_the_platform_said_of_it_and_its_seconds(
    log: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    def endpoint(call: web.Call) -> web.Answer:
        logger.thread_safe_append_keys(image_id=7)
        return web.json([], metric="Accepted")

    answer(endpoint)
    (line,) = log()
    assert (line["message"], line["outcome"], line["image_id"]) == ("answered", "Accepted", 7)
    assert line["seconds"] >= 0
    metrics = json.loads(capsys.readouterr().out)
    assert (metrics["Accepted"], len(metrics["AnswerTime"])) == ([1.0], 1)


def test_a_get_request_is_neither_counted_nor_logged(
    log: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    answer(lambda call: web.text("here"), event("GET"))
    assert (log(), capsys.readouterr().out) == ([], "")


def test_what_one_request_said_of_itself_is_not_in_the_lines_of_the_next(log: Callable[[], Any]) -> None:
    def first(call: web.Call) -> web.Answer:
        logger.thread_safe_append_keys(image_id=7)
        return web.text("")

    answer(first)
    answer(lambda call: web.text(""))
    assert ["image_id" in line for line in log()] == [True, False]


def test_a_secret_in_an_error_stays_redacted_until_the_error_is_logged(
    log: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    def endpoint(call: web.Call) -> web.Answer:
        with observability.redacted("canary-4711"):
            raise KeyError("canary-4711")

    answer(endpoint)
    assert "KeyError: '***'" in capsys.readouterr().err  # the traceback for a developer
    logger.warning("canary-4711")
    assert [line["message"] for line in log()] == ["unexpected KeyError", "canary-4711"]


def test_unavailable_things_are_told_line_by_line() -> None:
    response = answer(raising(Unavailable("No table.\nNo bucket.")), event("GET"))
    assert (response["statusCode"], response["body"].splitlines()) == (503, ["No table.", "No bucket."])
