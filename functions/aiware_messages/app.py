"""Hands the engine container's relay a job's messages: GET /aiware/jobs/{job}/messages, a long poll."""

from annohooks import web
from annohooks.aiware.jobs.outbox import Collector, Query
from annohooks.aiware.settings import Settings
from annohooks.core.auth import authenticate, basic_password, secrets_from_ssm
from annohooks.core.settings import from_env

settings = from_env(Settings)
collector = Collector(settings)


def messages(call: web.Call) -> web.Answer:
    password = basic_password(call.headers.get("authorization"))
    authenticate(password, secrets_from_ssm(settings.aiware_secret_parameter))
    return web.json(collector.collect(call.path["job"], Query.parse(call.query)))


routes = web.Routes(
    endpoints={"GET /aiware/jobs/{job}/messages": messages},
    api_timeout_s=settings.api_timeout_s,
    unexpected_status=503,  # the relay tries again
)
handler = routes.handler()
