"""The state machine's tasks that talk to the toolkit: heartbeats, results, and one last word."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from annohooks.aiware import failures, messages, state_machine
from annohooks.aiware.delivery import delivery
from annohooks.aiware.failures import Failure, failure
from annohooks.aiware.job_files import Staged
from annohooks.aiware.jobs import OVER, Change, Job, Jobs, now_ms
from annohooks.aiware.settings import Settings
from annohooks.core.deadline import Deadline
from annohooks.core.errors import AnnohooksError, BadRequest, NotFound, Unavailable
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
_TWO_POLLS_S = 45.0
_MOST_BEATS = 2500  # each takes eight of the 25,000 events that Step Functions keep of an execution


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
        beat_s = max(1, min(self._settings.aiware_heartbeat_s, limit_s // 3), math.ceil(limit_s / _MOST_BEATS))
        return {"job": job.job, "beat_s": beat_s, "limit_s": limit_s}

    # ---- beside the work

    def beat(self, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """Posts a heartbeat; the wait that follows is the state machine's. Raises Failure when nobody listens any more.

        A heartbeat that the toolkit refuses is made up for by the next: only long silence ends a job.
        """
        job = self._jobs.keep_beat(payload["job"], payload["token"])
        if job is None:
            state_machine.release(payload["token"])
            return {}
        posting_s = min(_BEAT_S, payload["beat_s"] * 0.8, max(_LEAST_S, _left_s(job)))
        until = Deadline.after(posting_s)
        taken = self._jobs.take_beat(job.job, _until_ms(posting_s + _LEASE_EXTRA_S))
        if taken is not None:
            job = self._beat(taken, until)
        if _silence_s(job) > self._patience_s(payload["beat_s"]):
            raise failure("external_error", f"The Engine Toolkit has not answered for {_silence_s(job):.0f} seconds.")
        return {}

    def _beat(self, job: Job, until: Deadline) -> Job:
        """Posts a heartbeat. Returns the record as it is then."""
        over = Change("SET #beating_until_ms = :zero", "#beating_until_ms = :until", {"zero": 0})
        over.values["until"] = job.beating_until_ms
        try:
            return self._delivery.deliver(job, "heartbeat", messages.running(job), over, until) or job
        except Failure as refusal:
            logger.warning("a heartbeat was refused", extra={"job": job.job, "reason": refusal.message})
            return self._jobs.apply(job.job, over) or job

    def _patience_s(self, beat_s: float = 0.0) -> float:
        """How long the toolkit may be silent: two beats at least, and with a relay two of its longest polls."""
        polls_s = _TWO_POLLS_S if self._settings.aiware_delivery == "relay" else 0.0
        return max(self._settings.aiware_patience_s, 2 * beat_s, polls_s)

    def limit(self, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """Keeps the token that ends the wait for the time limit."""
        if self._jobs.keep_limit(payload["job"], payload["token"]) is None:
            state_machine.release(payload["token"])
        return {}

    # ---- results

    def deliver(self, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """A segment's result is made: posts it, unless one before it is missing or somebody is posting already.

        Whoever posts goes on with those that have become ready meanwhile, so none is forgotten.
        """
        job = self._jobs.made(payload["job"], payload["segment"])
        if job is not None:
            try:
                self._post_ready(job, deadline)
            except Failure as refusal:
                self._bear(refusal, job)
        return {}

    def _bear(self, refusal: Failure, job: Job) -> None:
        """Raises a refusal, unless it may pass and the toolkit was heard of not long ago: then it is tried later."""
        if not refusal.may_pass or _silence_s(self._jobs.read(job.job)) > self._patience_s():
            raise refusal
        logger.warning("a result was refused", extra={"job": job.job, "reason": refusal.message})

    def _post_ready(self, job: Job, deadline: Deadline) -> Job:
        """Posts results in order as long as the next is ready and nobody else does; the record as it is then."""
        poster = uuid.uuid4().hex
        while job.result_next in job.ready:
            posting_s = min(_RESULT_S, deadline.remaining_s(), _left_s(job))
            if posting_s < _LEAST_S:
                return job
            until = Deadline.after(posting_s)
            held = self._jobs.take_posting(job, poster, _until_ms(posting_s + _LEASE_EXTRA_S))
            if held is None:
                return self._jobs.read(job.job)
            try:
                posted = self._post(held, poster, until)
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
            if deadline.remaining_s() < _RESULT_S:
                raise Unavailable("The results are not all posted yet.")  # and this task is done again
            before = job.result_next
            try:
                job = self._post_ready(job, deadline)
            except Failure as refusal:
                self._bear(refusal, job)
            if job.result_next == before:  # somebody else is posting, or has died while posting
                time.sleep(_POLL_S)
                job = self._jobs.read(job.job)
        finished = self._jobs.finish(job.job)
        for token in (finished.beat_token, finished.limit_token) if finished else ():
            if token:
                state_machine.release(token)
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
        self._jobs.completing(payload["job"])
        self._say(payload["job"], failure("internal_error", "The work ended without all its results."), deadline)
        return {}

    def fail(self, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """Says why the job failed, once: what was noted, or what the state machine says. Nothing is said after it."""
        self._jobs.failing(payload["job"])
        self._say(payload["job"], failures.told(payload["error"], payload["cause"]), deadline)
        return {}

    def _say(self, job_id: str, why: Failure, deadline: Deadline) -> None:
        """The last word, whichever the record says. why: it failed, if nothing was noted."""
        job = self._may_say(job_id, deadline)
        if job is None:
            return
        if job.stage == "completing":
            self._last_word(job, messages.complete(job), "complete")
        else:
            self._last_word(job, messages.failed(job, job.noted or why), "failed")

    def _may_say(self, job_id: str, deadline: Deadline) -> Job | None:
        """The record with the right to say the last word, once nobody posts any more; None if it is said."""
        poster = uuid.uuid4().hex
        while True:
            job = self._jobs.take_last_word(job_id, poster, _until_ms(_LAST_WORD_S + _LEASE_EXTRA_S))
            if job is not None or self._jobs.read(job_id).stage not in ("completing", "failing"):
                return job
            deadline.check("waiting for others to end")
            time.sleep(_POLL_S)

    def _last_word(self, job: Job, body: bytes, over: str) -> None:
        """Raises Failure when the toolkit does not take it: `other` if it has been silent for too long already."""
        until = Deadline.after(_LAST_WORD_S)
        values = {"over": over, "ending": job.stage, "poster": job.poster, "zero": 0}
        change = "SET #stage = :over, #posting_until_ms = :zero"
        then = Change(change, "#stage = :ending AND #poster = :poster", values)
        try:
            said = self._delivery.deliver(job, "heartbeat", body, then, until)
        except Failure as refusal:
            self._jobs.let_posting_go(job.job, job.poster)
            if _silence_s(job) > self._patience_s():
                raise failure("other", refusal.message) from None
            raise
        if said is None and self._jobs.read(job.job).stage not in OVER:
            raise Unavailable("The last word of a job could not be recorded.")
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


def _silence_s(job: Job) -> float:
    """Seconds since the toolkit was last heard of."""
    return (now_ms() - job.heard_ms) / 1000


def _cause(why: Failure) -> str:
    return msgspec.json.encode({"errorMessage": why.message}).decode()


def _until_ms(seconds: float) -> int:
    return now_ms() + int(seconds * 1000)
