"""Answers Kili: POST /kili checks a label that was submitted or reviewed; GET says that the address is right."""

from pathlib import Path

from annohooks import web
from annohooks.core import observability
from annohooks.core.auth import authenticate, secrets_from_ssm
from annohooks.core.observability import logger
from annohooks.core.settings import from_env
from annohooks.kili import events
from annohooks.kili.settings import Settings
from annohooks.kili.webhook import LabelWebhook

settings = from_env(Settings)
webhook = LabelWebhook(settings, folder=Path(__file__).parent)


def check(call: web.Call) -> web.Answer:
    secrets = secrets_from_ssm(settings.kili_secret_parameter)
    authenticate(call.headers.get("authorization", "").removeprefix("Bearer "), secrets)
    with observability.redacted(*secrets):
        outcome = webhook.handle(events.parse(call.body), call.deadline)
    logger.thread_safe_append_keys(**outcome.log_keys())
    return web.json(outcome, metric="Ignored" if outcome.ignored else "Answered")


def greet(call: web.Call) -> web.Answer:
    return web.text("annohooks is here: register this address as a Kili webhook.\n")


routes = web.Routes(
    endpoints={"POST /kili": check, "GET /kili": greet},
    api_timeout_s=settings.api_timeout_s,
    max_body_bytes=settings.max_body_bytes,
    error=web.json_error,
)
handler = routes.handler()
