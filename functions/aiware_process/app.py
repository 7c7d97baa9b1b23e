"""Answers the Engine Toolkit: POST /aiware/process analyses a chunk at once, or accepts it as a job."""

from annohooks import web
from annohooks.aiware import form, request
from annohooks.aiware.settings import Settings
from annohooks.aiware.webhook import Accepted, Done, Webhook
from annohooks.core import observability
from annohooks.core.auth import authenticate, basic_password, secrets_from_ssm
from annohooks.core.settings import from_env

settings = from_env(Settings)
webhook = Webhook(settings)


def process(call: web.Call) -> web.Answer:
    password = basic_password(call.headers.get("authorization"))
    authenticate(password, secrets_from_ssm(settings.aiware_secret_parameter))
    chunk = request.parse(form.parse(call.headers.get("content-type"), call.body))
    with observability.redacted(*chunk.confidential()):
        match webhook.handle(chunk, call.deadline):
            case Done(document):
                return web.Answer(document, metric="Done")
            case Accepted(job, estimate_s):
                # For the relay, which collects the job's messages; the toolkit ignores this header.
                return web.json(
                    {"estimatedProcessingTimeInSeconds": estimate_s},
                    headers={"X-Annohooks-Job": job},
                    metric="Accepted",
                )
    return web.Answer(status=204, media_type=None, metric="Ignored")


handler = web.Routes(endpoints={"POST /aiware/process": process}, api_timeout_s=settings.api_timeout_s).handler()
