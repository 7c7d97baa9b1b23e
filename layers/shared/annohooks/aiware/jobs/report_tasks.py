"""The state machine's tasks that talk to the toolkit: heartbeats, results, and the final heartbeat."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from typing import Any

from annohooks.aiware import failures, state_machine
from annohooks.aiware.failures import Failure, failure
from annohooks.aiware.jobs import messages, record
from annohooks.aiware.jobs.delivery import delivery
from annohooks.aiware.jobs.files import JobFiles
from annohooks.aiware.jobs.record import ENDING, OVER, Job, Jobs
from annohooks.aiware.settings import Settings
from annohooks.core import retry
from annohooks.core.deadline import Deadline, now_ms
from annohooks.core.errors import AnnohooksError, BadRequest, NotFound, Unavailable
from annohooks.core.observability import logger
from annohooks.core.staging import Staging

_MAX_HEARTBEAT_S = 10.0
_MAX_RESULT_S = 30.0
"""What posting a result may take, with its repetitions."""
_MAX_FINAL_HEARTBEAT_S = 8.0
_MIN_POST_S = 0.5
"""A post is not begun when it has less time than this."""
_CLOCK_SKEW_S = 1.0
"""A right to post ends this much later than the post had to: the clocks of two functions may differ."""
_POLL_S = 0.1
_TWO_RELAY_POLLS_S = 45.0
_MAX_HEARTBEATS = 2500  # each takes eight of the 25,000 events that Step Functions keep of an execution


class Reporter:
    """The tasks. Step Functions may call any of them again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._jobs = Jobs(settings.aiware_table)
        self._files = JobFiles(Staging(settings.staging_bucket))
        self._delivery = delivery(settings, self._jobs, Staging(settings.staging_bucket))

    def handle(self, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """Does the task that a payload of the state machine names. Raises BadRequest for an unknown one."""
        match payload:
            case {"task": "begin", "job": job_id}:
                return self.begin(job_id)
            case {"task": "beat", "job": job_id, "token": token, "beat_s": interval_s}:
                self.beat(job_id, token, interval_s)
            case {"task": "limit", "job": job_id, "token": token}:
                self.limit(job_id, token)
            case {"task": "deliver", "job": job_id, "segment": segment}:
                self.deliver(job_id, segment, deadline)
            case {"task": "finish", "job": job_id}:
                self.finish(job_id, deadline)
            case {"task": "note_failure", "job": job_id, "error": error, "cause": cause}:
                self.note_failure(job_id, failures.from_step_functions(error, cause))
            case {"task": "complete", "job": job_id}:
                self.complete(job_id, deadline)
            case {"task": "fail", "job": job_id, "error": error, "cause": cause}:
                self.fail(job_id, failures.from_step_functions(error, cause), deadline)
            case _:
                raise BadRequest("The payload names no task of this function.")
        return {}

    # ---- the beginning

    def begin(self, job_id: str) -> dict[str, Any]:
        """The interval of heartbeats, and the time for the work, in seconds. Raises Failure when no time is left."""
        job = self._jobs.begin(job_id)
        if job is None:
            raise failure("other", "The job had ended before it began.")
        limit_s = int(job.remaining_s())
        if limit_s < 1:
            raise failure("other", "The work did not fit into maxTTL.")
        interval_s = max(1, min(self._settings.aiware_heartbeat_s, limit_s // 3), math.ceil(limit_s / _MAX_HEARTBEATS))
        return {"job": job.id, "beat_s": interval_s, "limit_s": limit_s}

    # ---- beside the work

    def beat(self, job_id: str, token: str, interval_s: float) -> None:
        """Posts a heartbeat. The state machine then waits on the token for the interval.

        A heartbeat that the toolkit refuses does not end the job: the next one makes up for it. Raises Failure when the
        toolkit has been silent for too long.
        """
        job = self._jobs.keep_heartbeat_token(job_id, token)
        if job is None:
            state_machine.release(token)
            return
        timeout_s = min(_MAX_HEARTBEAT_S, interval_s * 0.8, max(_MIN_POST_S, job.remaining_s()))
        deadline = Deadline.after(timeout_s)
        posting = self._jobs.take_heartbeat(job_id, uuid.uuid4().hex, _lease_end_ms(timeout_s))
        if posting is not None:
            job = self._post_heartbeat(posting, deadline)
        if job.silence_s() > self._patience_s(interval_s):
            raise failure("external_error", f"The Engine Toolkit has not answered for {job.silence_s():.0f} seconds.")

    def _post_heartbeat(self, job: Job, deadline: Deadline) -> Job:
        """Posts a heartbeat, and gives the right to do so back. Returns the record after that."""
        body, on_delivery = messages.running(job), record.heartbeat_delivered(job)
        try:
            return self._delivery.deliver(job, "heartbeat", body, on_delivery, deadline) or job
        except Failure as refusal:
            logger.warning("a heartbeat was refused", extra={"job": job.id, "reason": refusal.message})
            return self._jobs.release_heartbeat(job.id, job.heartbeat_owner) or job

    def _patience_s(self, interval_s: float = 0.0) -> float:
        """How long the toolkit may be silent: two heartbeats at least, and with a relay two of its longest polls."""
        polls_s = _TWO_RELAY_POLLS_S if self._settings.aiware_delivery == "relay" else 0.0
        return max(self._settings.aiware_patience_s, 2 * interval_s, polls_s)

    def limit(self, job_id: str, token: str) -> None:
        """Keeps the token on which the state machine waits for the time limit."""
        if self._jobs.keep_limit_token(job_id, token) is None:
            state_machine.release(token)

    # ---- results

    def deliver(self, job_id: str, segment: int, deadline: Deadline) -> None:
        """Posts the result of a segment, unless an earlier one is missing or another task is posting already.

        Whoever posts goes on with the results that have become ready meanwhile, so that none is forgotten.
        """
        job = self._jobs.add_result(job_id, segment)
        if job is not None:
            try:
                self._post_ready(job, deadline)
            except Failure as refusal:
                self._tolerate(refusal, job_id)

    def _tolerate(self, refusal: Failure, job_id: str) -> None:
        """Raises a refusal, unless it may pass and the toolkit was heard of recently: then it is tried later."""
        if not refusal.may_pass or self._jobs.read(job_id).silence_s() > self._patience_s():
            raise refusal
        logger.warning("a result was refused", extra={"job": job_id, "reason": refusal.message})

    def _post_ready(self, job: Job, deadline: Deadline) -> Job:
        """Posts results in order, while the next is ready and no other task posts. Returns the record after that."""
        owner = uuid.uuid4().hex
        while job.next_result in job.results_ready:
            timeout_s = min(_MAX_RESULT_S, deadline.remaining_s(), job.remaining_s())
            if timeout_s < _MIN_POST_S:
                return job
            post_deadline = Deadline.after(timeout_s)
            posting = self._jobs.take_posting(job, owner, _lease_end_ms(timeout_s))
            posted = None if posting is None else self._post_result(posting, post_deadline)
            if posted is None:  # another task posts, or the job has ended
                return self._jobs.read(job.id)
            job = posted
        return job

    def _post_result(self, job: Job, deadline: Deadline) -> Job | None:
        """Posts the next result, and gives the right to do so back. Returns None if the right was lost meanwhile."""
        try:
            body = self._files.result(job.id, job.next_result)
            on_delivery = record.result_delivered(job, len(body.content))
            return self._delivery.deliver(job, "result", body, on_delivery, deadline)
        except AnnohooksError:
            self._jobs.release_posting(job.id, job.posting_owner)
            raise

    def finish(self, job_id: str, deadline: Deadline) -> None:
        """Posts the results that are left, then ends the waits beside the work. Raises Failure if one is missing."""
        job = self._jobs.read(job_id)
        while job.stage not in OVER and job.next_result < job.segments:
            if job.next_result not in job.results_ready:
                raise job.failure or failure("internal_error", "The result of a segment is missing.")
            if deadline.remaining_s() < _MAX_RESULT_S:
                raise Unavailable("The results are not all posted yet.")  # the state machine does this task again
            number = job.next_result
            try:
                job = self._post_ready(job, deadline)
            except Failure as refusal:
                self._tolerate(refusal, job_id)
            if job.next_result == number:  # another task is posting, or died while it was posting
                retry.pause(_POLL_S)
                job = self._jobs.read(job_id)
        finished = self._jobs.finish(job_id)
        for token in (finished.heartbeat_token, finished.limit_token) if finished else ():
            if token:
                state_machine.release(token)

    # ---- the final heartbeat

    def note_failure(self, job_id: str, why: Failure) -> None:
        """Stores the reason of a failure for the final heartbeat."""
        self._jobs.note_failure(job_id, why)
        logger.warning("the work failed", extra={"job": job_id, "reason": why.reason, "why": why.message})

    def complete(self, job_id: str, deadline: Deadline) -> None:
        """Delivers, once, that the job is complete. No message follows."""
        self._jobs.start_completing(job_id)
        self._end(job_id, failure("internal_error", "The work ended without all its results."), deadline)

    def fail(self, job_id: str, why: Failure, deadline: Deadline) -> None:
        """Delivers, once, that the job failed, and why: the noted failure, or else `why`. No message follows."""
        self._jobs.start_failing(job_id)
        self._end(job_id, why, deadline)

    def _end(self, job_id: str, why: Failure, deadline: Deadline) -> None:
        """Delivers the final heartbeat that the record's stage asks for. why: the failure, if none was noted."""
        job = self._take_final_heartbeat(job_id, deadline)
        if job is None:
            return
        if job.stage == "completing":
            self._deliver_final_heartbeat(job, messages.complete(job))
        else:
            self._deliver_final_heartbeat(job, messages.failed(job, job.failure or why))

    def _take_final_heartbeat(self, job_id: str, deadline: Deadline) -> Job | None:
        """The record with the right to deliver the final heartbeat, when nobody posts any more; None if delivered."""
        owner = uuid.uuid4().hex
        while True:
            job = self._jobs.take_final_heartbeat(job_id, owner, _lease_end_ms(_MAX_FINAL_HEARTBEAT_S))
            if job is not None or self._jobs.read(job_id).stage not in ENDING:
                return job
            deadline.check("waiting for other tasks to end")
            retry.pause(_POLL_S)

    def _deliver_final_heartbeat(self, job: Job, body: messages.Body) -> None:
        """Raises Failure when the toolkit does not take it: `other` if the toolkit has been silent for too long."""
        on_delivery, deadline = record.final_heartbeat_delivered(job), Deadline.after(_MAX_FINAL_HEARTBEAT_S)
        try:
            delivered = self._delivery.deliver(job, "heartbeat", body, on_delivery, deadline)
        except Failure as refusal:
            self._jobs.release_posting(job.id, job.posting_owner)
            if job.silence_s() > self._patience_s():
                raise failure("other", refusal.message) from None
            raise
        ended = delivered or self._jobs.read(job.id)
        if ended.stage not in OVER:
            raise Unavailable("The final heartbeat of a job could not be recorded.")
        logger.info("the job is over", extra={"job": job.id, "stage": ended.stage, "results": job.results_posted})

    def watch(self, job_id: str, status: str, deadline: Deadline) -> None:
        """Delivers the final heartbeat of a job whose execution ended badly, unless it is delivered.

        A job whose final heartbeat cannot be delivered is given up as lost. status: FAILED, TIMED_OUT or ABORTED.
        """
        try:
            job = self._jobs.read(job_id)
        except NotFound:  # from long ago
            return
        if job.stage in OVER:
            return
        try:
            if job.stage in ("finishing", "completing"):  # every result is posted
                self.complete(job_id, deadline)
            else:
                self.fail(job_id, failures.from_execution_status(status), deadline)
        except Failure as refusal:
            self._jobs.give_up(job_id)
            logger.error(
                "the toolkit could not be told how a job ended", extra={"job": job_id, "reason": refusal.message}
            )


def _lease_end_ms(timeout_s: float) -> int:
    return now_ms() + int((timeout_s + _CLOCK_SKEW_S) * 1000)
