"""One `/process`: ignored, answered at once, or accepted as a job."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import msgspec

from annohooks.aiware import media, state_machine
from annohooks.aiware.job_files import Staged
from annohooks.aiware.jobs import OVER, Job, Jobs, Webhooks, was_told
from annohooks.aiware.request import Process
from annohooks.aiware.settings import Settings
from annohooks.core.deadline import Deadline
from annohooks.core.errors import BadRequest, DeadlineExceeded, Unavailable, Upstream
from annohooks.core.observability import logger, subsegment
from annohooks.core.staging import Staging

if TYPE_CHECKING:
    from annohooks.aiware.work import Worker

SHORTEST_TTL_S = 5
"""No job is done and told of in less."""
_FETCH_AT_ONCE_S = 1.0
"""What reading a picture may take before it becomes a job: the toolkit is answered within two seconds."""
_TO_SPARE_S = 8.0
_ANSWERING_S = 2.0


class Ignored(msgspec.Struct, frozen=True):
    """Nothing here looks at such media."""


class Done(msgspec.Struct, frozen=True):
    """document: AION, as JSON."""

    document: bytes


class Accepted(msgspec.Struct, frozen=True):
    """job: its id. estimate_s: what the toolkit is told."""

    job: str
    estimate_s: int


Answer = Ignored | Done | Accepted


class Webhook:
    """What the `/process` of a deployment does."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._jobs = Jobs(settings.aiware_table)
        self._staged = Staged(Staging(settings.staging_bucket))

    def handle(self, process: Process, deadline: Deadline) -> Answer:
        """Answers a request. Raises BadRequest, Forbidden for a server that is not allowed, Unavailable; and, when the
        toolkit names no webhooks, whatever the work comes to."""
        kind = media.kind(process.mime_type)
        if kind is None:
            return Ignored()
        self._check(process)
        if not process.wants_async:
            return Done(self._worker().at_once(process, self._content(process, deadline), deadline))
        job = self._jobs.current(process.identity())
        if job is None or (job.stage in OVER and not was_told(job, _webhooks(process))):
            answer = self._at_once(process, kind, deadline)
            if answer is not None:
                return answer
        return self._accepted(process)

    def _check(self, process: Process) -> None:
        """What can be told before anything is done."""
        if not process.chunk:
            if not process.cache_uri:
                raise BadRequest("The form has neither a cacheURI nor a chunk with something in it.")
            self._settings.aiware_media_origins.match(process.cache_uri)
        if not process.wants_async:
            return
        if self._settings.aiware_delivery == "external":
            if not process.external_callback_webhook:
                raise BadRequest("The form has no externalCallbackWebhook, which this deployment answers to.")
            self._settings.aiware_webhook_origins.match(process.external_callback_webhook)
        elif self._settings.aiware_delivery == "direct":
            self._settings.aiware_webhook_origins.match(process.heartbeat_webhook)
            self._settings.aiware_webhook_origins.match(process.result_webhook)

    def _content(self, process: Process, deadline: Deadline) -> bytes:
        if process.chunk:
            return process.chunk
        content = io.BytesIO()
        media.fetch(process.cache_uri, content, self._settings.aiware_at_once_bytes, self._settings, deadline)
        return content.getvalue()

    def _at_once(self, process: Process, kind: media.Kind, deadline: Deadline) -> Done | None:
        """The answer, if it is a picture that is small and quickly here; else None: a job tells what is wrong."""
        if kind != "picture" or deadline.remaining_s() < _TO_SPARE_S:
            return None
        try:
            content = self._content(process, Deadline.after(_FETCH_AT_ONCE_S))
        except (Upstream, DeadlineExceeded):
            return None
        if len(content) > self._settings.aiware_at_once_bytes:
            return None
        worker = self._worker()
        if worker.is_large(content):
            return None
        try:
            with subsegment("analyse"):
                return Done(worker.at_once(process, content, deadline.earlier(_ANSWERING_S)))
        except DeadlineExceeded:
            return None

    def _worker(self) -> Worker:
        from annohooks.aiware.work import Worker  # brings OpenCV, which an acknowledgement should not wait for

        return Worker(self._settings)

    def _accepted(self, process: Process) -> Accepted:
        longest_s = self._settings.aiware_max_job_s
        limit_s = min(process.max_ttl_s or longest_s, longest_s)
        if limit_s < SHORTEST_TTL_S:
            raise BadRequest(f"maxTTL is {limit_s} s; no job is done in less than {SHORTEST_TTL_S} s.")
        webhooks = _webhooks(process)
        for _ in range(2):  # once more if the execution of a job whose record was lost had ended
            job = self._jobs.accept(process.identity(), webhooks, limit_s, estimate_s=limit_s)
            if job.stage != "accepted" or self._started(job, process):
                logger.info("accepted", extra={"job": job.job, "stage": job.stage})
                return Accepted(job.job, job.estimate_s)
        raise Unavailable("The job could not be started.")

    def _started(self, job: Job, process: Process) -> bool:
        self._staged.keep_request(job.job, process)
        if state_machine.start(self._settings.aiware_state_machine, job.job):
            return True
        if self._jobs.failing(job.job):
            self._jobs.lost(job.job)
        return False


def _webhooks(process: Process) -> Webhooks:
    return Webhooks(process.heartbeat_webhook, process.result_webhook, process.external_callback_webhook)
