"""How messages reach the toolkit: they are posted to its webhooks, or its relay collects them from the outbox."""

from __future__ import annotations

from typing import Protocol

from annohooks.aiware.failures import Failure, failure, message_too_large
from annohooks.aiware.jobs.messages import Body
from annohooks.aiware.jobs.outbox import Outbox
from annohooks.aiware.jobs.record import Job, Jobs, WebhookKind
from annohooks.aiware.settings import Settings
from annohooks.core import retry
from annohooks.core.deadline import Deadline
from annohooks.core.dynamodb import Change
from annohooks.core.errors import AnnohooksError, UpstreamStatus, UpstreamTimeout
from annohooks.core.http import ConnectionFailed, Outbound
from annohooks.core.observability import redacted
from annohooks.core.retry import Backoff
from annohooks.core.staging import Staging

PLATFORM = "the Engine Toolkit"
_ACCEPTED = range(200, 300)
_PASSING_STATUSES = (408, 425, 429)
_BACKOFF = Backoff(first_s=0.5, longest_s=4)
_SPARE_S = 0.5
"""A post is not repeated when less than this would be left for it."""


class Delivery(Protocol):
    """A way to the toolkit."""

    def deliver(
        self, job: Job, webhook: WebhookKind, body: Body, on_delivery: Change, deadline: Deadline
    ) -> Job | None:
        """Delivers a message and records it. Returns the record, None when `on_delivery` does not apply.

        Raises Failure, and changes nothing, when the toolkit does not take the message by the deadline.
        """


class Direct:
    """Posts to the webhooks that the toolkit named, or everything to its externalCallbackWebhook."""

    def __init__(self, settings: Settings, jobs: Jobs) -> None:
        self._settings = settings
        self._jobs = jobs

    def deliver(
        self, job: Job, webhook: WebhookKind, body: Body, on_delivery: Change, deadline: Deadline
    ) -> Job | None:
        """Repeats a post after an error that may pass. A message whose answer was lost is sent again."""
        url = self._url(job, webhook)
        with redacted(url):
            try:
                retry.call(lambda: self._post(url, webhook, body, deadline), _BACKOFF, _may_pass, deadline, _SPARE_S)
            except AnnohooksError as error:
                raise _refusal(error, webhook) from None
        return self._jobs.record_delivery(job.id, on_delivery)

    def _url(self, job: Job, webhook: WebhookKind) -> str:
        if self._settings.aiware_delivery == "external":
            return job.external_webhook
        return job.heartbeat_webhook if webhook == "heartbeat" else job.result_webhook

    def _post(self, url: str, webhook: WebhookKind, body: Body, deadline: Deadline) -> None:
        origin = self._settings.aiware_webhook_origins.match(url)
        with Outbound(origin, deadline, platform=PLATFORM, connect_timeout_s=3, read_timeout_s=10) as outbound:
            outbound.request(
                "POST",
                outbound.locate(url),
                doing=f"taking a {webhook}",
                body=body.content,
                headers={"Content-Type": body.content_type},
                accept=_ACCEPTED,
                body_matters=False,
            )


def delivery(settings: Settings, jobs: Jobs, staging: Staging) -> Delivery:
    """The way that the deployment chose."""
    return Outbox(jobs, staging) if settings.aiware_delivery == "relay" else Direct(settings, jobs)


def _may_pass(error: Exception) -> bool:
    if isinstance(error, UpstreamStatus):
        return error.reply_status >= 500 or error.reply_status in _PASSING_STATUSES
    return isinstance(error, (ConnectionFailed, UpstreamTimeout))


def _refusal(error: AnnohooksError, webhook: WebhookKind) -> Failure:
    if isinstance(error, UpstreamStatus) and error.reply_status == 413:
        return message_too_large(webhook)
    refusal = failure("external_error", error.message)
    refusal.may_pass = _may_pass(error)
    return refusal
