"""Answers the Engine Toolkit: POST /aiware/process analyses a chunk at once, or accepts it as a job."""

from annohooks import web
from annohooks.aiware import form, request
from annohooks.aiware.settings import Settings
from annohooks.aiware.webhook import Accepted, Done, ProcessWebhook
from annohooks.core import observability
from annohooks.core.auth import authenticate, basic_password, secrets_from_ssm
from annohooks.core.settings import from_env

settings = from_env(Settings)
webhook = ProcessWebhook(settings)


def process(call: web.Call) -> web.Answer:
    password = basic_password(call.headers.get("authorization"))
    authenticate(password, secrets_from_ssm(settings.aiware_secret_parameter))
    chunk_request = request.parse(form.parse(call.headers.get("content-type"), call.body))
    with observability.redacted(*chunk_request.confidential()):
        match webhook.handle(chunk_request, call.deadline):
            case Done(document):
                return web.Answer(document, metric="Done")
            case Accepted(job_id, estimate_s):
                # For the relay, which collects the job's messages; the toolkit ignores this header.
                return web.json(
                    {"estimatedProcessingTimeInSeconds": estimate_s},
                    headers={"X-Annohooks-Job": job_id},
                    metric="Accepted",
                )
    return web.Answer(status=204, media_type=None, metric="Ignored")


routes = web.Routes(endpoints={"POST /aiware/process": process}, api_timeout_s=settings.api_timeout_s)
handler = routes.handler()
