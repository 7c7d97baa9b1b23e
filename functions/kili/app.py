"""Answers Kili: POST /kili checks a label that was submitted or reviewed; GET says that the address is right."""

import time
from pathlib import Path

import msgspec
from aws_lambda_powertools.metrics import MetricUnit
from mangum import Mangum
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from annohooks.core import observability
from annohooks.core.auth import authenticate, secrets_from_ssm
from annohooks.core.deadline import Deadline
from annohooks.core.errors import AnnohooksError, TooLarge
from annohooks.core.observability import logger, metrics
from annohooks.core.settings import from_env
from annohooks.kili import events
from annohooks.kili.settings import Settings
from annohooks.kili.webhook import Webhook

settings = from_env(Settings)
webhook = Webhook(settings, folder=Path(__file__).parent)

ANSWERING_S = 1.0
"""Kept free at the end of a request's time to answer."""


async def check(http: Request) -> Response:
    body = await http.body()
    return await run_in_threadpool(_checked, body, http.headers.get("authorization"), _deadline(http))


def _checked(body: bytes, authorization: str | None, deadline: Deadline) -> Response:
    """Authenticate, parse, check, answer; errors are JSON with one key, `error`."""
    started = time.monotonic()
    try:
        accepted = secrets_from_ssm(settings.kili_secret_parameter)
        authenticate((authorization or "").removeprefix("Bearer "), accepted)
        if len(body) > settings.max_body_bytes:
            raise TooLarge(f"The request body is over {settings.max_body_bytes} bytes.")
        with observability.redacted(*accepted):
            outcome = webhook.handle(events.parse(body), deadline)
    except AnnohooksError as error:
        cause = type(error.__cause__).__name__ if error.__cause__ else None
        logger.warning("refused", extra={"status": error.status, "reason": error.message, "cause": cause})
        metrics.add_metric("Refused", MetricUnit.Count, 1)
        return _json({"error": error.message}, error.status)
    except Exception as error:
        observability.log_unexpected(error)
        return _json({"error": "Something unexpected went wrong; the log of this webhook says where."}, 500)
    metrics.add_metric("Ignored" if outcome.ignored else "Answered", MetricUnit.Count, 1)
    metrics.add_metric("AnswerTime", MetricUnit.Seconds, time.monotonic() - started)
    logger.info("answered", extra={**msgspec.to_builtins(outcome), "findings": len(outcome.findings)})
    return _json(outcome)


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")


async def greet(http: Request) -> Response:
    return PlainTextResponse("annohooks is here: register this address as a Kili webhook.\n")


def _deadline(http: Request) -> Deadline:
    """The function's own end, or the API's if that is sooner, with time left to answer."""
    event, context = http.scope.get("aws.event"), http.scope.get("aws.context")
    if event is None or context is None:
        return Deadline.after(settings.api_timeout_s)
    arrived_s = event["requestContext"].get("requestTimeEpoch", 0) / 1000
    left_s = context.get_remaining_time_in_millis() / 1000
    return Deadline.behind_api(left_s, settings.api_timeout_s, arrived_s).earlier(ANSWERING_S)


routes = [Route("/kili", check, methods=["POST"]), Route("/kili", greet)]
app = Starlette(routes=routes)
handler = observability.instrument(Mangum(app, lifespan="off"))
