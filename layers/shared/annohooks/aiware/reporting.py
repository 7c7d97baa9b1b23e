"""The state machine's tasks that talk to the toolkit: heartbeats, results, and one last word."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from annohooks.aiware import failures, machine, messages
from annohooks.aiware.delivery import delivery
from annohooks.aiware.failures import Failure, failure
from annohooks.aiware.jobs import OVER, Change, Job, Jobs, now_ms
from annohooks.aiware.settings import Settings
from annohooks.aiware.staged import Staged
from annohooks.core.deadline import Deadline
from annohooks.core.errors import AnnohooksError, BadRequest, NotFound
from annohooks.core.observability import logger
from annohooks.core.staging import Staging

_BEAT_S = 10.0
"""What a heartbeat may take at most."""
_RESULT_S = 30.0
"""What a result may take, its repetitions included."""
_LEAST_S = 0.5
"""Nothing is begun that has less than this."""
_LEASE_EXTRA_S = 1.0
"""A right to post ends this long after the post had to: the clocks of two functions may differ."""
_LAST_WORD_S = 8.0
_POLL_S = 0.1


class Reporter:
    """The tasks by name; each takes the state machine's payload and a deadline. Any of them may be called again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._jobs = Jobs(settings.aiware_table)
        self._staged = Staged(Staging(settings.staging_bucket))
        self._delivery = delivery(settings, self._jobs, Staging(settings.staging_bucket))
        self.tasks: dict[str, Callable[[Mapping[str, Any], Deadline], dict[str, Any]]] = {
            "begin": self.begin,
            "beat": self.beat,
            "limit": self.limit,
            "deliver": self.deliver,
            "finish": self.finish,
            "note_failure": self.note_failure,
            "complete": self.complete,
            "fail": self.fail,
        }

    def handle(self, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """Does the task that the payload names. Raises BadRequest for one that is none."""
        task = self.tasks.get(str(payload.get("task")))
        if task is None:
            raise BadRequest("There is no such task.")
        return task(payload, deadline)

    # ---- the beginning

    def begin(self, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """How often to beat and how long to work, in seconds. Raises Failure when the time is up before it began."""
        job = self._jobs.begin(payload["job"])
        if job is None:
            raise failure("other", "The job had ended before it began.")
        limit_s = int(_left_s(job))
        if limit_s < 1:
            raise failure("other", "The work did not fit into maxTTL.")
        return {
            "job": job.job,
            "beat_s": max(1, min(self._settings.aiware_heartbeat_s, limit_s // 3)),
            "limit_s": limit_s,
        }

    # ---- beside the work

    def beat(self, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """Posts a heartbeat; the wait that follows is the state machine's. Raises Failure when nobody listens any more.

        A heartbeat that the toolkit refuses is made up for by the next: only long silence ends a job.
        """
        job = self._jobs.read(payload["job"])
        posting_s = min(_BEAT_S, max(1.0, self._settings.aiware_heartbeat_s * 0.8), max(_LEAST_S, _left_s(job)))
        taken = self._jobs.take_beat(job.job, payload["token"], _until_ms(posting_s + _LEASE_EXTRA_S))
        if taken is None:
            machine.release(payload["token"])
            return {}
        job = taken
        over = Change("SET #beating_until_ms = :zero", "#beat_token = :token", {"zero": 0, "token": payload["token"]})
        try:
            self._delivery.deliver(job, "heartbeat", messages.running(job), over, Deadline.after(posting_s))
        except Failure as refusal:
            job = self._jobs.apply(job.job, over) or job
            logger.warning("a heartbeat was refused", extra={"job": job.job, "reason": refusal.message})
        silence_s = (now_ms() - job.heard_ms) / 1000
        if silence_s > self._settings.aiware_patience_s:
            raise failure("external_error", f"The Engine Toolkit has not answered for {silence_s:.0f} seconds.")
        return {}

    def limit(self, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """Keeps the token that ends the wait for the time limit."""
        if self._jobs.keep_limit(payload["job"], payload["token"]) is None:
            machine.release(payload["token"])
        return {}

    # ---- results

    def deliver(self, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """A segment's result is made: posts it, unless one before it is missing or somebody is posting already.

        Whoever posts goes on with those that have become ready meanwhile, so none is forgotten.
        """
        job = self._jobs.made(payload["job"], payload["segment"])
        if job is not None:
            self._post_ready(job, deadline)
        return {}

    def _post_ready(self, job: Job, deadline: Deadline) -> Job:
        """Posts results in order as long as the next is ready and nobody else does; the record as it is then."""
        poster = uuid.uuid4().hex
        while job.result_next in job.ready:
            posting_s = min(_RESULT_S, deadline.remaining_s(), _left_s(job))
            if posting_s < _LEAST_S:
                return job
            held = self._jobs.take_posting(job, poster, _until_ms(posting_s + _LEASE_EXTRA_S))
            if held is None:
                return self._jobs.read(job.job)
            try:
                posted = self._post(held, poster, Deadline.after(posting_s))
            except AnnohooksError:
                self._jobs.let_posting_go(job.job, poster)
                raise
            if posted is None:  # the right was lost, or the job has ended
                return self._jobs.read(job.job)
            job = posted
        return job

    def _post(self, job: Job, poster: str, until: Deadline) -> Job | None:
        result = self._staged.result(job.job, job.result_next)
        change = "SET #result_next = :after, #messages = :messages, #bytes_written = :bytes, #posting_until_ms = :zero"
        then = Change(
            change,
            "#poster = :poster AND #result_next = :next",
            {
                "poster": poster,
                "next": job.result_next,
                "after": job.result_next + 1,
                "messages": job.messages + 1,
                "bytes": job.bytes_written + len(result.body),
                "zero": 0,
            },
        )
        return self._delivery.deliver(job, "result", result.body, then, until, result.content_type)

    def finish(self, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """Sees that every result is posted, then ends the waits beside the work. Raises Failure if one is missing."""
        job = self._jobs.read(payload["job"])
        while job.stage not in OVER and job.result_next < job.segments:
            if job.result_next not in job.ready:
                raise job.noted or failure("internal_error", "The result of a segment is missing.")
            deadline.check("posting results")
            before = job.result_next
            job = self._post_ready(job, deadline)
            if job.result_next == before:  # somebody else is posting, or has died while posting
                time.sleep(_POLL_S)
        finished = self._jobs.finish(job.job)
        for token in (finished.beat_token, finished.limit_token) if finished else ():
            if token:
                machine.release(token)
        return {}

    # ---- the last word

    def note_failure(self, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """Keeps why the work failed for the last word."""
        why = failures.told(payload["error"], payload["cause"])
        self._jobs.note(payload["job"], why)
        logger.warning("the work failed", extra={"job": payload["job"], "reason": why.reason, "why": why.message})
        return {}

    def complete(self, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """Says that the job is complete, once. Nothing is said after it."""
        job = self._jobs.completing(payload["job"])
        if job is not None:
            job = self._when_quiet(job)
            self._last_word(job, messages.complete(job), "completing", "complete")
        return {}

    def fail(self, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """Says why the job failed, once: what was noted, or what the state machine says. Nothing is said after it."""
        job = self._jobs.failing(payload["job"])
        if job is not None:
            job = self._when_quiet(job)
            why = job.noted or failures.told(payload["error"], payload["cause"])
            self._last_word(job, messages.failed(job, why), "failing", "failed")
        return {}

    def _when_quiet(self, job: Job) -> Job:
        """The record once nobody posts any more: those who hold the right to, do so for a bounded time."""
        while (left_ms := job.quiet_ms - now_ms()) > 0:
            time.sleep(min(_POLL_S, left_ms / 1000))
            job = self._jobs.read(job.job)
        return job

    def _last_word(self, job: Job, body: bytes, ending: str, over: str) -> None:
        then = Change("SET #stage = :over", "#stage = :ending", {"over": over, "ending": ending})
        self._delivery.deliver(job, "heartbeat", body, then, Deadline.after(_LAST_WORD_S))
        logger.info("the job is over", extra={"job": job.job, "stage": over, "results": job.messages})

    def watch(self, job_id: str, status: str, deadline: Deadline) -> None:
        """An execution ended badly: sees to it that the toolkit is told, or gives the job up as lost.

        status: of the execution, FAILED, TIMED_OUT or ABORTED.
        """
        try:
            job = self._jobs.read(job_id)
        except NotFound:  # from long ago
            return
        if job.stage in OVER:
            return
        why = failure("other", "The job was stopped.") if status == "ABORTED" else failures.told(status, "")
        try:
            if job.stage in ("finishing", "completing"):  # every result is posted
                self.complete({"job": job_id}, deadline)
            else:
                self.fail({"job": job_id, "error": why.reason, "cause": _cause(why)}, deadline)
        except Failure as refusal:
            self._jobs.lost(job_id)
            logger.error("nobody could be told how a job ended", extra={"job": job_id, "reason": refusal.message})


def _left_s(job: Job) -> float:
    """Seconds until the work must end."""
    return (job.work_until_ms - now_ms()) / 1000


def _cause(why: Failure) -> str:
    return msgspec.json.encode({"errorMessage": why.message}).decode()


def _until_ms(seconds: float) -> int:
    return now_ms() + int(seconds * 1000)
