"""Tells the Engine Toolkit whether the engine can work: GET /aiware/ready is 200, or 503 until it can, never 500."""

from mangum import Mangum
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from annohooks.aiware.ready import missing
from annohooks.aiware.settings import Settings
from annohooks.core import observability
from annohooks.core.auth import authenticate, basic_password, secrets_from_ssm
from annohooks.core.errors import AnnohooksError, Unauthorized, Unavailable
from annohooks.core.observability import logger
from annohooks.core.settings import from_env

settings = from_env(Settings)


async def ready(http: Request) -> Response:
    return await run_in_threadpool(_ready, http.headers.get("authorization"))


def _ready(authorization: str | None) -> Response:
    """The toolkit shuts down at a 500, so that everything that is wrong becomes a 503."""
    try:
        authenticate(basic_password(authorization), secrets_from_ssm(settings.aiware_secret_parameter))
        absent = missing(settings)
    except Unauthorized as error:
        return PlainTextResponse(error.message, error.status)
    except AnnohooksError as error:
        absent = [error.message]
    except Exception as error:
        observability.log_unexpected(error)
        absent = ["Something unexpected went wrong; the log of this engine says where."]
    if absent:
        logger.warning("not ready", extra={"missing": absent})
        return PlainTextResponse("\n".join(absent), Unavailable.status)
    return PlainTextResponse("ready\n")


routes = [Route("/aiware/ready", ready), Route("/aiware/readyz", ready)]
app = Starlette(routes=routes)
handler = observability.instrument(Mangum(app, lifespan="off"))
