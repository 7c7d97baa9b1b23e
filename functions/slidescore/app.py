"""Answers Slide Score: POST /slidescore analyses the regions a user drew; GET helps to set the webhook up."""

from annohooks import web
from annohooks.core import observability
from annohooks.core.auth import authenticate, secrets_from_ssm
from annohooks.core.errors import BadRequest
from annohooks.core.settings import from_env
from annohooks.core.staging import Staging
from annohooks.imaging.analyzers import ANALYZERS
from annohooks.slidescore import analysis, parameters, request
from annohooks.slidescore.settings import Settings

settings = from_env(Settings)
staging = Staging(settings.staging_bucket)


def analyse(call: web.Call) -> web.Answer:
    fields = request.decode(call.body)
    secret = fields.get("secret", call.query.get("key"))
    authenticate(secret if isinstance(secret, str) else None, secrets_from_ssm(settings.slidescore_secret_parameter))
    with observability.redacted(*request.personal(fields)):
        return web.json(analysis.run(fields, settings, staging, call.deadline))


def greet(call: web.Call) -> web.Answer:
    return web.text("annohooks is here: set this address as the URL of a Slide Score webhook.\n")


def questions(call: web.Call) -> web.Answer:
    name = call.query.get("analyzer")
    if name is None:
        return web.text(parameters.questions_string(ANALYZERS.values()))
    if name not in ANALYZERS:
        return web.text(f"There is no such analyzer; there are {', '.join(ANALYZERS)}.\n", BadRequest.status)
    return web.text(parameters.questions_string([ANALYZERS[name]]))


routes = web.Routes(
    endpoints={"POST /slidescore": analyse, "GET /slidescore": greet, "GET /slidescore/questions": questions},
    api_timeout_s=settings.api_timeout_s,
    max_body_bytes=settings.max_body_bytes,
)
handler = routes.handler()
