"""The outbox of a job: messages wait in it, in order, until the relay in the engine's container collects them."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Mapping
from typing import Annotated

import msgspec

from annohooks.aiware.failures import message_too_large
from annohooks.aiware.jobs.messages import Body
from annohooks.aiware.jobs.record import JSON, OVER, Job, Jobs, Message, WebhookKind
from annohooks.aiware.settings import Settings
from annohooks.core import retry
from annohooks.core.deadline import Deadline
from annohooks.core.dynamodb import Change
from annohooks.core.errors import BadRequest, NotFound, Unavailable
from annohooks.core.retry import Backoff
from annohooks.core.staging import Staging

# Lambda's answer is 6,291,456 bytes at most. JSON grows when it is quoted in that answer, other content as base64.
_MAX_JSON_BYTES, _MAX_FILE_BYTES = 5_200_000, 4_400_000
_MAX_BATCH_BYTES = 3_000_000
"""Of all messages of an answer but the first."""
_MAX_BATCH_MESSAGES = 50
_MAX_INLINE_BYTES = 100_000
"""Of a message in the table. Larger messages are staged in the bucket."""
_MAX_RACES, _RACE = 20, Backoff(first_s=0.05, longest_s=0.05, jitter=0.8)
_POLL_S = 0.4
_JOB_ID = re.compile(r"[0-9a-f]{40}-[0-9]{1,2}")


class Outbox:
    """Writes messages. One transaction writes a message and what its delivery changes, so no message is there twice."""

    def __init__(self, jobs: Jobs, staging: Staging) -> None:
        self._jobs = jobs
        self._staging = staging

    def deliver(
        self, job: Job, webhook: WebhookKind, body: Body, on_delivery: Change, deadline: Deadline
    ) -> Job | None:
        """Writes a message behind the newest one. Raises Unavailable when other messages keep coming in between."""
        message = self._message(job.id, webhook, body)
        for attempt in range(1, _MAX_RACES + 1):
            if self._jobs.put_message(job, message, on_delivery):
                return self._jobs.read(job.id)
            current = self._jobs.read(job.id)
            if current.last_message == job.last_message:  # no other message came: on_delivery does not apply
                return None
            job = current
            deadline.check("writing a message to the outbox")
            retry.pause(_RACE.pause_s(attempt))
        raise Unavailable("Too many messages are being written to the outbox at once.")

    def _message(self, job_id: str, webhook: WebhookKind, body: Body) -> Message:
        is_json = body.content_type == JSON
        if len(body.content) > (_MAX_JSON_BYTES if is_json else _MAX_FILE_BYTES):
            raise message_too_large(webhook)
        if is_json and len(body.content) <= _MAX_INLINE_BYTES:
            return Message(webhook, body.content.decode())
        staged = self._staging.put(f"aiware/{job_id}/messages/{uuid.uuid4()}", body.content)
        return Message(webhook, key=staged.key, content_type=body.content_type)


class Query(msgspec.Struct, frozen=True):
    """What the relay asks for.

    after: the last message that it has delivered, with all before it; None for the one that it named last. wait:
    seconds to wait for a message.
    """

    after: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] | None = None
    wait: Annotated[float, msgspec.Meta(ge=0, le=20)] = 0.0

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Query:
        """The query of a request. Raises BadRequest naming what cannot be used."""
        try:
            return msgspec.convert(query, cls, strict=False)
        except msgspec.ValidationError as error:
            raise BadRequest(f"The query cannot be used: {error}.") from None


class RelayMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message as the relay gets it: `body` is the JSON to post; or `base64` is the content, of content_type."""

    sequence: int
    webhook: WebhookKind
    body: msgspec.Raw = msgspec.Raw()
    base64: str = ""
    content_type: str = JSON


class Batch(msgspec.Struct, frozen=True):
    """Messages for the relay. done: no message comes after these."""

    messages: list[RelayMessage]
    done: bool


class Collector:
    """Hands the messages of a deployment's jobs to their relays."""

    def __init__(self, settings: Settings) -> None:
        self._jobs = Jobs(settings.aiware_table)
        self._staging = Staging(settings.staging_bucket)

    def collect(self, job_id: str, query: Query) -> Batch:
        """The messages after `query.after`, as soon as there is one, or none when the wait is over.

        Raises NotFound for an unknown job, BadRequest when `after` is behind the newest message.
        """
        if not _JOB_ID.fullmatch(job_id):
            raise NotFound("There is no such job.")
        job = self._jobs.read(job_id)
        after = job.last_collected if query.after is None else query.after
        if after > job.last_message:
            raise BadRequest(f"The query's `after` is {after}; the last message is {job.last_message}.")
        self._jobs.relay_came(job_id, max(after, job.last_collected))
        job = retry.poll(
            lambda: self._jobs.read(job_id),
            lambda job: job.last_message > after or job.stage in OVER,
            _POLL_S,
            Deadline.after(query.wait),
        )
        messages = self._messages(job, after)
        last = messages[-1].sequence if messages else after
        return Batch(messages, job.stage in OVER and last >= job.last_message)

    def _messages(self, job: Job, after: int) -> list[RelayMessage]:
        messages: list[RelayMessage] = []
        size = 0
        for stored in self._jobs.messages(job.id, after, _MAX_BATCH_MESSAGES):
            message = self._for_relay(stored)
            size += len(bytes(message.body)) + len(message.base64)
            if messages and size > _MAX_BATCH_BYTES:
                break
            messages.append(message)
        return messages

    def _for_relay(self, message: Message) -> RelayMessage:
        content = self._staging.content(message.key) if message.key else message.body.encode()
        if message.content_type == JSON:
            return RelayMessage(message.sequence, message.webhook, msgspec.Raw(content))
        encoded = base64.b64encode(content).decode()
        return RelayMessage(message.sequence, message.webhook, base64=encoded, content_type=message.content_type)
