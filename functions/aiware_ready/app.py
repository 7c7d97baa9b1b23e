"""Tells the Engine Toolkit whether the engine can work: GET /aiware/ready is 200, or 503 until it can, never 500."""

from annohooks import web
from annohooks.aiware.ready import problems
from annohooks.aiware.settings import Settings
from annohooks.core.auth import authenticate, basic_password, secrets_from_ssm
from annohooks.core.errors import Unavailable
from annohooks.core.settings import from_env

settings = from_env(Settings)


def ready(call: web.Call) -> web.Answer:
    password = basic_password(call.headers.get("authorization"))
    authenticate(password, secrets_from_ssm(settings.aiware_secret_parameter))
    if sentences := problems(settings):
        raise Unavailable("\n".join(sentences))
    return web.text("ready\n")


routes = web.Routes(
    endpoints={"GET /aiware/ready": ready, "GET /aiware/readyz": ready},
    api_timeout_s=settings.api_timeout_s,
    unexpected_status=503,  # the toolkit shuts the engine down at a 500
)
handler = routes.handler()
