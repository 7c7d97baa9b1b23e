"""The outbox as the relay reads it: in order, from where it stopped, waiting a while for what is not there yet."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping
from typing import Annotated

import msgspec

from annohooks.aiware.delivery import Message, Webhook
from annohooks.aiware.jobs import OVER, Job, Jobs
from annohooks.aiware.messages import JSON
from annohooks.aiware.settings import Settings
from annohooks.core.deadline import Deadline
from annohooks.core.errors import BadRequest, NotFound
from annohooks.core.staging import Staging

_JOB = re.compile(r"[0-9a-f]{40}-[0-9]{1,2}")
_POLL_S = 0.4
_MOST_MESSAGES = 50
_MOST_BYTES = 3_000_000  # of a batch, but for its first message: what Lambda answers is 6 MiB at most


class Wanted(msgspec.Struct, frozen=True):
    """after: the last message that was delivered, which is taken for the ones before it, too; None for what was last
    said. wait: seconds for the first message to come."""

    after: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] | None = None
    wait: Annotated[float, msgspec.Meta(ge=0, le=20)] = 0.0

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> Wanted:
        """Raises BadRequest naming what a query has wrong."""
        try:
            return msgspec.convert(query, cls, strict=False)
        except msgspec.ValidationError as error:
            raise BadRequest(f"The query cannot be used: {error}.") from None


class Given(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message as the relay gets it: `body` is the JSON to post; or base64 is its bytes, of content_type."""

    sequence: int
    webhook: Webhook
    body: msgspec.Raw = msgspec.Raw()
    base64: str = ""
    content_type: str = JSON


class Batch(msgspec.Struct, frozen=True):
    """done: no message comes after these."""

    messages: list[Given]
    done: bool


class Collector:
    """Hands out the messages of any job of a deployment."""

    def __init__(self, settings: Settings) -> None:
        self._jobs = Jobs(settings.aiware_table)
        self._staging = Staging(settings.staging_bucket)

    def collect(self, job_id: str, wanted: Wanted) -> Batch:
        """The messages after `wanted.after`, as soon as there is one; none when the wait is over.

        Raises NotFound for a job that is not there, BadRequest when more is said to be delivered than there was.
        """
        if not _JOB.fullmatch(job_id):
            raise NotFound("There is no such job.")
        job = self._jobs.read(job_id)
        after = job.collected if wanted.after is None else wanted.after
        if after > job.last:
            raise BadRequest(f"The query's `after` is {after}; the last message is {job.last}.")
        job = self._jobs.heard(job_id, max(after, job.collected)) or job
        until = Deadline.after(wanted.wait)
        while job.last <= after and job.stage not in OVER and until.remaining_s() > 0:
            time.sleep(min(_POLL_S, until.remaining_s()))
            job = self._jobs.read(job_id)
        messages = self._after(job, after)
        last = messages[-1].sequence if messages else after
        return Batch(messages, job.stage in OVER and last >= job.last)

    def _after(self, job: Job, after: int) -> list[Given]:
        messages: list[Given] = []
        size = 0
        for item in self._jobs.table.query(
            "#job = :job AND #sequence > :after", _MOST_MESSAGES, job=job.job, after=after
        ):
            given = self._given(msgspec.convert(item, Message))
            size += len(bytes(given.body)) + len(given.base64)
            if messages and size > _MOST_BYTES:
                break
            messages.append(given)
        return messages

    def _given(self, message: Message) -> Given:
        body = self._staging.content(message.key) if message.key else message.body.encode()
        if message.content_type == JSON:
            return Given(message.sequence, message.webhook, msgspec.Raw(body))
        encoded = base64.b64encode(body).decode()
        return Given(message.sequence, message.webhook, base64=encoded, content_type=message.content_type)
