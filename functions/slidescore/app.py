"""Answers Slide Score: POST /slidescore analyses the regions a user drew; GET helps to set the webhook up."""

import time

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
from annohooks.core.errors import AnnohooksError, BadRequest, TooLarge
from annohooks.core.observability import logger, metrics
from annohooks.core.settings import from_env
from annohooks.core.staging import Staging
from annohooks.imaging.analyzers import ANALYZERS
from annohooks.slidescore import analysis, parameters, request
from annohooks.slidescore.settings import Settings

settings = from_env(Settings)
staging = Staging(settings.staging_bucket)


async def analyse(http: Request) -> Response:
    body = await http.body()
    return await run_in_threadpool(_analysed, body, http.query_params.get("key"), _deadline(http))


def _analysed(body: bytes, key: str | None, deadline: Deadline) -> Response:
    """Authenticate, parse, run, answer; errors are text, as the viewer shows it."""
    started = time.monotonic()
    try:
        if len(body) > settings.max_body_bytes:
            raise TooLarge(f"The request body is over {settings.max_body_bytes} bytes.")
        fields = request.decode(body)
        secret = fields.get("secret", key)
        accepted = secrets_from_ssm(settings.slidescore_secret_parameter)
        authenticate(secret if isinstance(secret, str) else None, accepted)
        with observability.redacted(*request.personal(fields)):
            results = analysis.run(fields, settings, staging, deadline)
    except AnnohooksError as error:
        cause = type(error.__cause__).__name__ if error.__cause__ else None
        logger.warning("refused", extra={"status": error.status, "reason": error.message, "cause": cause})
        metrics.add_metric("Refused", MetricUnit.Count, 1)
        return PlainTextResponse(error.message, error.status)
    except Exception as error:
        observability.log_unexpected(error)
        return PlainTextResponse("Something unexpected went wrong; the log of this webhook says where.", 500)
    metrics.add_metric("Answered", MetricUnit.Count, 1)
    metrics.add_metric("AnswerTime", MetricUnit.Seconds, time.monotonic() - started)
    logger.info("answered", extra={"results": [result.type for result in results]})
    return Response(msgspec.json.encode(results), media_type="application/json")


async def greet(http: Request) -> Response:
    return PlainTextResponse("annohooks is here: set this address as the URL of a Slide Score webhook.\n")


async def questions(http: Request) -> Response:
    name = http.query_params.get("analyzer")
    if name is not None and name not in ANALYZERS:
        return PlainTextResponse(f"There is no such analyzer; there are {', '.join(ANALYZERS)}.\n", BadRequest.status)
    chosen = list(ANALYZERS.values()) if name is None else [ANALYZERS[name]]
    return PlainTextResponse(parameters.questions_string(chosen))


def _deadline(http: Request) -> Deadline:
    """The function's own end, or the API's if that is sooner; a function URL has no end of its own."""
    event, context = http.scope.get("aws.event"), http.scope.get("aws.context")
    if event is None or context is None:
        return Deadline.after(settings.api_timeout_s)
    left_s = context.get_remaining_time_in_millis() / 1000
    if "httpMethod" not in event:
        return Deadline.after(left_s)
    return Deadline.behind_api(
        left_s, settings.api_timeout_s, event["requestContext"].get("requestTimeEpoch", 0) / 1000
    )


routes = [
    Route("/slidescore", analyse, methods=["POST"]),
    Route("/slidescore", greet),
    Route("/slidescore/questions", questions),
]
app = Starlette(routes=routes)
handler = observability.instrument(Mangum(app, lifespan="off"))
