"""Answers the Engine Toolkit: POST /aiware/process analyses a chunk at once, or accepts it as a job."""

import time

import msgspec
from aws_lambda_powertools.metrics import MetricUnit
from mangum import Mangum
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from annohooks.aiware import form, request
from annohooks.aiware.settings import Settings
from annohooks.aiware.webhook import Accepted, Answer, Done, Webhook
from annohooks.core import observability
from annohooks.core.auth import authenticate, basic_password, secrets_from_ssm
from annohooks.core.deadline import Deadline
from annohooks.core.errors import AnnohooksError
from annohooks.core.observability import logger, metrics
from annohooks.core.settings import from_env

settings = from_env(Settings)
webhook = Webhook(settings)

ANSWERING_S = 1.0
"""Kept free at the end of a request's time to answer."""


async def process(http: Request) -> Response:
    headers = http.headers
    body = await http.body()
    return await run_in_threadpool(
        _processed, body, headers.get("content-type"), headers.get("authorization"), _deadline(http)
    )


def _processed(body: bytes, content_type: str | None, authorization: str | None, deadline: Deadline) -> Response:
    """Authenticate, parse, work, answer; errors are text, which the toolkit shows as the chunk's failure."""
    started = time.monotonic()
    try:
        authenticate(basic_password(authorization), secrets_from_ssm(settings.aiware_secret_parameter))
        asked = request.parse(form.parse(content_type, body))
        with observability.redacted(*asked.confidential()):
            answer = webhook.handle(asked, deadline)
    except AnnohooksError as error:
        cause = type(error.__cause__).__name__ if error.__cause__ else None
        logger.warning("refused", extra={"status": error.status, "reason": error.message, "cause": cause})
        metrics.add_metric("Refused", MetricUnit.Count, 1)
        return PlainTextResponse(error.message, error.status)
    except Exception as error:
        observability.log_unexpected(error)
        return PlainTextResponse("Something unexpected went wrong; the log of this engine says where.", 500)
    metrics.add_metric(type(answer).__name__, MetricUnit.Count, 1)
    metrics.add_metric("AnswerTime", MetricUnit.Seconds, time.monotonic() - started)
    return _response(answer)


def _response(answer: Answer) -> Response:
    match answer:
        case Done(document):
            return Response(document, media_type="application/json")
        case Accepted(job, estimate_s):
            estimate = msgspec.json.encode({"estimatedProcessingTimeInSeconds": estimate_s})
            # For the relay, which collects the job's messages; the toolkit does not look at it.
            return Response(estimate, media_type="application/json", headers={"X-Annohooks-Job": job})
    return Response(status_code=204)


def _deadline(http: Request) -> Deadline:
    """The function's own end, or the API's if that is sooner, with time left to answer."""
    event, context = http.scope.get("aws.event"), http.scope.get("aws.context")
    if event is None or context is None:
        return Deadline.after(settings.api_timeout_s)
    arrived_s = event["requestContext"].get("requestTimeEpoch", 0) / 1000
    left_s = context.get_remaining_time_in_millis() / 1000
    return Deadline.behind_api(left_s, settings.api_timeout_s, arrived_s).earlier(ANSWERING_S)


routes = [Route("/aiware/process", process, methods=["POST"])]
app = Starlette(routes=routes)
handler = observability.instrument(Mangum(app, lifespan="off"))
