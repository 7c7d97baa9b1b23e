"""How messages reach the toolkit: posted to its webhooks, or laid in an outbox that its relay collects."""

from __future__ import annotations

import random
import time
import uuid
from typing import Literal, Protocol

import msgspec

from annohooks.aiware.failures import Failure, failure
from annohooks.aiware.jobs import Change, Job, Jobs, now_ms
from annohooks.aiware.messages import JSON
from annohooks.aiware.settings import Settings
from annohooks.core.deadline import Deadline
from annohooks.core.errors import AnnohooksError, Unavailable
from annohooks.core.http import ConnectionFailed, Outbound, UpstreamStatus, UpstreamTimeout
from annohooks.core.observability import redacted
from annohooks.core.staging import Staging

Webhook = Literal["heartbeat", "result"]

PLATFORM = "the Engine Toolkit"
_TAKEN = range(200, 300)
_LATER = (408, 425, 429)
_RACES = 20
_INLINE_BYTES = 100_000  # of a message in the outbox; larger ones are staged
_MOST_BYTES = {True: 5_200_000, False: 4_400_000}  # JSON or not: quoted as Lambda's answer, 6,291,456 are the most


class Delivery(Protocol):
    """A way to the toolkit."""

    def deliver(
        self, job: Job, webhook: Webhook, body: bytes, then: Change, deadline: Deadline, content_type: str = JSON
    ) -> Job | None:
        """Gives the toolkit a message, and changes the record; returns it, None if the change's condition did not hold.

        Raises Failure when the toolkit does not take the message by the deadline, and nothing is changed.
        """


class Direct:
    """Posts to the webhooks that the toolkit named, or all to its external one."""

    def __init__(self, settings: Settings, jobs: Jobs) -> None:
        self._settings = settings
        self._jobs = jobs

    def deliver(
        self, job: Job, webhook: Webhook, body: bytes, then: Change, deadline: Deadline, content_type: str = JSON
    ) -> Job | None:
        """Tries again on everything that may pass. A message whose answer was lost is sent again, with its index."""
        url = address(job, webhook, self._settings)
        with redacted(url):
            _post(url, webhook, body, content_type, self._settings, deadline)
        heard = then.change.replace("SET ", "SET #heard_ms = :heard, ", 1)
        return self._jobs.apply(job.job, Change(heard, then.when, {**then.values, "heard": now_ms()}))


def address(job: Job, webhook: Webhook, settings: Settings) -> str:
    """The URL that a message goes to."""
    if settings.aiware_delivery == "external":
        return job.external_webhook
    return job.heartbeat_webhook if webhook == "heartbeat" else job.result_webhook


def _post(url: str, webhook: Webhook, body: bytes, content_type: str, settings: Settings, deadline: Deadline) -> None:
    doing = f"taking a {webhook}"
    pause_s = 0.25
    while True:
        try:
            origin = settings.aiware_webhook_origins.match(url)
            with Outbound(origin, deadline, platform=PLATFORM, connect_timeout_s=3, read_timeout_s=10) as outbound:
                outbound.request(
                    "POST",
                    outbound.locate(url),
                    doing=doing,
                    body=body,
                    headers={"Content-Type": content_type},
                    accept=_TAKEN,
                    body_matters=False,
                )
            return
        except AnnohooksError as error:
            pause_s = min(pause_s * 2, 4) * random.uniform(0.5, 1)
            if not _may_pass(error) or deadline.remaining_s() < pause_s + 0.5:
                raise _refusal(error, webhook) from None
            time.sleep(pause_s)


def _may_pass(error: AnnohooksError) -> bool:
    if isinstance(error, UpstreamStatus):
        return error.reply_status >= 500 or error.reply_status in _LATER
    return isinstance(error, (ConnectionFailed, UpstreamTimeout))


def _refusal(error: AnnohooksError, webhook: Webhook) -> Failure:
    if isinstance(error, UpstreamStatus) and error.reply_status == 413:
        return too_large(webhook)
    refusal = failure("external_error", error.message)
    refusal.may_pass = _may_pass(error)
    return refusal


def too_large(webhook: Webhook) -> Failure:
    """What ends a job of which a message is more than its way takes."""
    return failure("other", f"A {webhook} is too large for the Engine Toolkit. Shorter segments (segmentMs) help.")


class Message(msgspec.Struct, frozen=True):
    """A message in the outbox. body: JSON text, or empty when it is staged under `key`."""

    sequence: int
    webhook: Webhook
    body: str = ""
    key: str = ""
    content_type: str = JSON


class Outbox:
    """Lays messages into the table, one after the other, from where the engine container's relay collects them.

    Message and change are written together: what was laid in once is not laid in again.
    """

    def __init__(self, jobs: Jobs, staging: Staging) -> None:
        self._jobs = jobs
        self._staging = staging

    def deliver(
        self, job: Job, webhook: Webhook, body: bytes, then: Change, deadline: Deadline, content_type: str = JSON
    ) -> Job | None:
        """Lays the message in behind the last. Raises Unavailable when others always are faster."""
        if len(body) > _MOST_BYTES[content_type == JSON]:
            raise too_large(webhook)
        for _ in range(_RACES):
            sequence = job.last + 1
            message = self._message(job.job, sequence, webhook, body, content_type)
            item = {"job": job.job, "expires": job.expires, **msgspec.structs.asdict(message)}
            change = then.change.replace("SET ", "SET #last = :newest, ", 1)
            when = f"#last = :previous AND {then.when}"
            values = {**then.values, "previous": job.last, "newest": sequence}
            record = {"job": job.job, "sequence": 0}
            if self._jobs.table.put_and_update(item, record, change, when, **values):
                return self._jobs.read(job.job)
            latest = self._jobs.read(job.job)
            if latest.last == job.last:  # nobody was faster: the condition of the change does not hold
                return None
            job = latest
            deadline.check("laying a message into the outbox")
            time.sleep(random.uniform(0.01, 0.05))
        raise Unavailable("Too many messages are being laid into the outbox at once.")

    def _message(self, job: str, sequence: int, webhook: Webhook, body: bytes, content_type: str) -> Message:
        if content_type == JSON and len(body) <= _INLINE_BYTES:
            return Message(sequence, webhook, body.decode())
        # A number that another message may win: the key is its own.
        staged = self._staging.put(f"aiware/{job}/messages/{sequence:08}-{uuid.uuid4()}", body)
        return Message(sequence, webhook, key=staged.key, content_type=content_type)


def delivery(settings: Settings, jobs: Jobs, staging: Staging) -> Delivery:
    """The way that the deployment chose."""
    return Outbox(jobs, staging) if settings.aiware_delivery == "relay" else Direct(settings, jobs)
