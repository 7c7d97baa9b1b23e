"""Hands the engine container's relay a job's messages: GET /aiware/jobs/{job}/messages, a long poll."""

import msgspec
from mangum import Mangum
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from annohooks.aiware.collecting import Collector, Wanted
from annohooks.aiware.settings import Settings
from annohooks.core import observability
from annohooks.core.auth import authenticate, basic_password, secrets_from_ssm
from annohooks.core.errors import AnnohooksError
from annohooks.core.observability import logger
from annohooks.core.settings import from_env

settings = from_env(Settings)
collector = Collector(settings)


async def messages(http: Request) -> Response:
    return await run_in_threadpool(
        _messages, http.path_params["job"], dict(http.query_params), http.headers.get("authorization")
    )


def _messages(job: str, query: dict[str, str], authorization: str | None) -> Response:
    try:
        authenticate(basic_password(authorization), secrets_from_ssm(settings.aiware_secret_parameter))
        batch = collector.collect(job, Wanted.parse(query))
    except AnnohooksError as error:
        logger.warning("refused", extra={"status": error.status, "reason": error.message})
        return PlainTextResponse(error.message, error.status)
    except Exception as error:
        observability.log_unexpected(error)
        return PlainTextResponse("Something unexpected went wrong; the log of this engine says where.", 503)
    return Response(msgspec.json.encode(batch), media_type="application/json")


routes = [Route("/aiware/jobs/{job}/messages", messages)]
app = Starlette(routes=routes)
handler = observability.instrument(Mangum(app, lifespan="off"))
