"""What POST /process does: ignores a chunk, answers it at once, or accepts it as a job."""

from __future__ import annotations

import io

import msgspec

from annohooks.aiware import media, state_machine
from annohooks.aiware.jobs.files import JobFiles
from annohooks.aiware.jobs.record import OVER, Job, Jobs, WebhookUrls
from annohooks.aiware.media import MediaKind
from annohooks.aiware.request import ProcessRequest
from annohooks.aiware.settings import Settings
from annohooks.core.deadline import Deadline
from annohooks.core.errors import BadRequest, DeadlineExceeded, Unavailable, Upstream
from annohooks.core.observability import logger, subsegment
from annohooks.core.staging import Staging

MIN_TTL_S = 5
"""No job is analysed and reported in less."""
_MAX_FETCH_S = 1.0
"""What fetching a picture may take before it becomes a job: the toolkit is answered within two seconds."""
_MIN_ANALYSIS_S = 8.0
_ANSWERING_S = 2.0


class Ignored(msgspec.Struct, frozen=True):
    """The chunk has a media type that no engine here analyses."""


class Done(msgspec.Struct, frozen=True):
    """The chunk is analysed. document: AION, as JSON."""

    document: bytes


class Accepted(msgspec.Struct, frozen=True):
    """The chunk is a job. estimate_s: the processing time that the toolkit is told to expect."""

    job_id: str
    estimate_s: int


Outcome = Ignored | Done | Accepted


class ProcessWebhook:
    """The process webhook of a deployment."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._jobs = Jobs(settings.aiware_table)
        self._files = JobFiles(Staging(settings.staging_bucket))

    def handle(self, request: ProcessRequest, deadline: Deadline) -> Outcome:
        """Handles a request. Raises BadRequest, Unavailable, and Forbidden for a server that is not allowed.

        Without webhooks the answer must be in the response: then it raises every error of the analysis, too.
        """
        kind = media.kind_of(request.mime_type)
        if kind is None:
            return Ignored()
        self._check(request)
        if not request.wants_async:
            return self._analysed(request, self._content(request, deadline), deadline)
        job = self._jobs.newest(request.identity())
        if job is None or (job.stage in OVER and not job.has_ended_for(_webhooks(request))):
            done = self._done_at_once(request, kind, deadline)
            if done is not None:
                return done
        return self._accepted(request)

    def _check(self, request: ProcessRequest) -> None:
        """Refuses what can be refused before any work."""
        settings = self._settings
        if not request.chunk:
            if not request.cache_uri:
                raise BadRequest("The form has neither a cacheURI nor a chunk with content.")
            settings.aiware_media_origins.match(request.cache_uri)
        if not request.wants_async:
            return
        if settings.aiware_delivery == "external":
            if not request.external_callback_webhook:
                raise BadRequest("The form has no externalCallbackWebhook, to which this deployment posts its results.")
            settings.aiware_webhook_origins.match(request.external_callback_webhook)
        elif settings.aiware_delivery == "direct":
            settings.aiware_webhook_origins.match(request.heartbeat_webhook)
            settings.aiware_webhook_origins.match(request.result_webhook)

    def _content(self, request: ProcessRequest, deadline: Deadline) -> bytes:
        if request.chunk:
            return request.chunk
        content = io.BytesIO()
        media.fetch(request.cache_uri, content, self._settings.aiware_at_once_bytes, self._settings, deadline)
        return content.getvalue()

    def _analysed(self, request: ProcessRequest, content: bytes, deadline: Deadline) -> Done:
        from annohooks.aiware.analysis import (
            Analysis,
            objects_in,
        )  # imports OpenCV, for which an acknowledgement need not wait

        document = Analysis.of(request, self._settings).document(content, deadline)
        logger.thread_safe_append_keys(objects=objects_in(document))
        return Done(msgspec.json.encode(document))

    def _done_at_once(self, request: ProcessRequest, kind: MediaKind, deadline: Deadline) -> Done | None:
        """The AION of a picture that is small and quickly fetched, else None. A job reports what went wrong, if so."""
        if kind != "picture" or deadline.remaining_s() < _MIN_ANALYSIS_S:
            return None
        try:
            content = self._content(request, Deadline.after(_MAX_FETCH_S))
        except (Upstream, DeadlineExceeded):
            return None
        if len(content) > self._settings.aiware_at_once_bytes:
            return None
        from annohooks.aiware import analysis

        if analysis.picture_px(content) > self._settings.aiware_at_once_px:
            return None
        try:
            with subsegment("analyse"):
                return self._analysed(request, content, deadline.earlier(_ANSWERING_S))
        except DeadlineExceeded:
            return None

    def _accepted(self, request: ProcessRequest) -> Accepted:
        max_job_s = self._settings.aiware_max_job_s
        limit_s = min(request.max_ttl_s or max_job_s, max_job_s)
        if limit_s < MIN_TTL_S:
            raise BadRequest(f"maxTTL is {limit_s} s; a job needs at least {MIN_TTL_S} s.")
        for _ in range(2):  # a second time if the execution of a job whose record was lost had ended
            job = self._jobs.accept(request.identity(), _webhooks(request), limit_s, estimate_s=limit_s)
            if job.stage != "accepted" or self._start(job, request):
                logger.thread_safe_append_keys(job=job.id, stage=job.stage)
                return Accepted(job.id, job.estimate_s)
        raise Unavailable("The job could not be started.")

    def _start(self, job: Job, request: ProcessRequest) -> bool:
        """Starts the execution of a job. Returns False, and gives the job up, if one of its name has ended already."""
        self._files.keep_request(job.id, request)
        if state_machine.start(self._settings.aiware_state_machine, job.id):
            return True
        if self._jobs.start_failing(job.id):
            self._jobs.give_up(job.id)
        return False


def _webhooks(request: ProcessRequest) -> WebhookUrls:
    return WebhookUrls(request.heartbeat_webhook, request.result_webhook, request.external_callback_webhook)
