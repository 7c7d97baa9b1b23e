"""The record of each job: what the toolkit is owed, what it has been given, and who is speaking to it at the moment.

A job is one attempt at one chunk. Its stages: accepted, running, finishing (every result is posted); completing or
failing (the last word is being told); complete, failed or lost (it could not be told). A stage never goes back.
"""

from __future__ import annotations

import time
from typing import Any, Final, Literal, NamedTuple

import msgspec

from annohooks.aiware.failures import Failure, failure
from annohooks.core.dynamodb import Table
from annohooks.core.errors import NotFound, Unavailable

Stage = Literal["accepted", "running", "finishing", "completing", "failing", "complete", "failed", "lost"]

OVER: Final = frozenset({"complete", "failed", "lost"})
KEPT_S = 3 * 86_400
"""Seconds that a record is kept after its job had to end."""

_ATTEMPTS = 20
_TRIES_MS = 90_000
"""The toolkit's three tries of one request have come by then, even if the API let each of them wait."""
_OVERDUE_MS = 120_000
"""A job that is not over this long after its limit has nobody left who works on it."""
_LONGEST_LAST_WORD_MS = 15_000
_SHORTEST_LAST_WORD_MS = 2_000
_ENDING_POLLS, _ENDING_POLL_S = 40, 0.2
_WORKING: Final = "#stage IN (:accepted, :running)"
_WORKING_VALUES = {"accepted": "accepted", "running": "running"}


class Webhooks(msgspec.Struct, frozen=True):
    """Where the toolkit of a job listens."""

    heartbeat: str
    result: str
    external: str = ""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A record. Moments are milliseconds since the epoch.

    limit_ms: when the last word must be told; heard_ms: when the toolkit last took something, or came anew; ready: the
    segments whose results are made; result_next: the segment whose result is posted next; messages: results posted;
    beating_until_ms, posting_until_ms: until when somebody may be posting a heartbeat or a result; last: the newest
    message of the outbox; collected: the newest one that the relay has delivered.
    """

    job: str
    stage: Stage
    heartbeat_webhook: str
    result_webhook: str
    external_webhook: str
    accepted_ms: int
    limit_ms: int
    heard_ms: int
    estimate_s: int
    expires: int
    sequence: int = 0
    segments: int = 0
    ready: frozenset[int] = frozenset()
    result_next: int = 0
    messages: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    beat_token: str = ""
    limit_token: str = ""
    beating_until_ms: int = 0
    posting_until_ms: int = 0
    poster: str = ""
    failure_reason: str = ""
    failure_message: str = ""
    last: int = 0
    collected: int = 0

    @property
    def webhooks(self) -> Webhooks:
        return Webhooks(self.heartbeat_webhook, self.result_webhook, self.external_webhook)

    @property
    def noted(self) -> Failure | None:
        """The failure that was noted, if one was."""
        return failure(self.failure_reason, self.failure_message) if self.failure_reason else None

    @property
    def work_until_ms(self) -> int:
        """When the work must end, so that the last word comes in time: a fifth of the time is kept for it, or less."""
        kept_ms = (self.limit_ms - self.accepted_ms) // 5
        return self.limit_ms - min(_LONGEST_LAST_WORD_MS, max(_SHORTEST_LAST_WORD_MS, kept_ms))


class Change(NamedTuple):
    """A change of a record and the condition under which it is made, as `dynamodb.Table` takes them."""

    change: str
    when: str
    values: dict[str, Any]


class Jobs:
    """The table of jobs. Its key is `job`, its range key `sequence`: 0 for the record, else of the outbox's messages.

    Every change returns the record as it is then, or None if it no longer applies.
    """

    def __init__(self, table: str) -> None:
        self.table = Table(table)

    def accept(self, identity: str, webhooks: Webhooks, limit_s: int, estimate_s: int) -> Job:
        """The job of a chunk: the one that is under way, which from now on reports to these webhooks, or a new one.

        One that is over is done anew when the chunk comes with other webhooks, or too late for one of the toolkit's
        three tries. Raises Unavailable after 20 attempts at a chunk.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            job, now = f"{identity}-{attempt}", now_ms()
            new = Job(
                job=job,
                stage="accepted",
                heartbeat_webhook=webhooks.heartbeat,
                result_webhook=webhooks.result,
                external_webhook=webhooks.external,
                accepted_ms=now,
                limit_ms=now + limit_s * 1000,
                heard_ms=now,
                estimate_s=estimate_s,
                expires=now // 1000 + limit_s + KEPT_S,
            )
            item = {name: value for name, value in msgspec.structs.asdict(new).items() if name != "ready"}
            if self.table.put_new(item, "job"):
                return new
            found = self._settled(job)
            if was_told(found, webhooks):
                return found
            if found.stage in OVER or now > found.limit_ms + _OVERDUE_MS:
                continue
            kept = self._taken_over(found, new)
            if kept is not None:
                return kept
        raise Unavailable("This chunk was tried too often.")

    def _settled(self, job: str) -> Job:
        """The record, once its last word is not just being said. Raises Unavailable if that takes long."""
        for _ in range(_ENDING_POLLS):
            found = self.read(job)
            if found.stage not in ("completing", "failing") or now_ms() > found.limit_ms + _OVERDUE_MS:
                return found
            time.sleep(_ENDING_POLL_S)
        raise Unavailable("This chunk's last attempt is just ending.")

    def _taken_over(self, found: Job, new: Job) -> Job | None:
        """The job under way, which reports to the new one's webhooks; the time of one that never began starts anew."""
        fields = ["heartbeat_webhook", "result_webhook", "external_webhook", "heard_ms"]
        if found.stage == "accepted":
            fields += ["accepted_ms", "limit_ms", "estimate_s", "expires"]
        elif found.webhooks == new.webhooks:
            return found
        change = "SET " + ", ".join(f"#{name} = :{name}" for name in fields)
        values = {name: getattr(new, name) for name in fields}
        return self.apply(found.job, Change(change, "#stage = :stage", {**values, "stage": found.stage}))

    def current(self, identity: str) -> Job | None:
        """The newest job of a chunk, None if there is none."""
        found = None
        for attempt in range(1, _ATTEMPTS + 1):
            item = self.table.get({"job": f"{identity}-{attempt}", "sequence": 0})
            if item is None:
                break
            found = msgspec.convert(item, Job)
        return found

    def read(self, job: str) -> Job:
        """The record. Raises NotFound if there is none."""
        item = self.table.get({"job": job, "sequence": 0})
        if item is None:
            raise NotFound("There is no such job.")
        return msgspec.convert(item, Job)

    def apply(self, job: str, change: Change) -> Job | None:
        """The record as it is after a change; None if the condition does not hold."""
        item = self.table.update({"job": job, "sequence": 0}, change.change, change.when, **change.values)
        return None if item is None else msgspec.convert(item, Job)

    def begin(self, job: str) -> Job | None:
        """The work begins."""
        return self.apply(job, Change("SET #stage = :running", _WORKING, _WORKING_VALUES))

    def planned(self, job: str, segments: int, bytes_read: int) -> Job | None:
        """The media are looked at: how many results there will be, and bytes there are."""
        change = "SET #segments = :segments, #bytes_read = :bytes"
        return self.apply(job, Change(change, _WORKING, {"segments": segments, "bytes": bytes_read, **_WORKING_VALUES}))

    def keep_beat(self, job: str, token: str) -> Job | None:
        """Keeps the token that ends the wait after a heartbeat; None once the work is done."""
        return self.apply(job, Change("SET #beat_token = :token", _WORKING, {"token": token, **_WORKING_VALUES}))

    def take_beat(self, job: str, until_ms: int) -> Job | None:
        """The right to post a heartbeat until a moment; None if the one before is still under way, or the work done."""
        values = {"until": until_ms, "now": now_ms(), **_WORKING_VALUES}
        return self.apply(
            job, Change("SET #beating_until_ms = :until", f"#beating_until_ms < :now AND {_WORKING}", values)
        )

    def keep_limit(self, job: str, token: str) -> Job | None:
        """Keeps the token that lets go of the time limit; None once the work is done."""
        return self.apply(job, Change("SET #limit_token = :token", _WORKING, {"token": token, **_WORKING_VALUES}))

    def made(self, job: str, segment: int) -> Job | None:
        """A segment's result is made, and may be posted."""
        return self.apply(job, Change("ADD #ready :segment", _WORKING, {"segment": {segment}, **_WORKING_VALUES}))

    def take_posting(self, job: Job, poster: str, until_ms: int) -> Job | None:
        """The right to post the next result until a moment; None if somebody has it, or has posted that one."""
        return self.apply(
            job.job,
            Change(
                "SET #poster = :poster, #posting_until_ms = :until",
                f"#posting_until_ms < :now AND #result_next = :next AND {_WORKING}",
                {"poster": poster, "until": until_ms, "now": now_ms(), "next": job.result_next, **_WORKING_VALUES},
            ),
        )

    def let_posting_go(self, job: str, poster: str) -> Job | None:
        """Gives the right to post back."""
        return self.apply(
            job, Change("SET #posting_until_ms = :zero", "#poster = :poster", {"zero": 0, "poster": poster})
        )

    def finish(self, job: str) -> Job | None:
        """Every result is posted. None if somebody has ended the job."""
        return self.apply(
            job,
            Change(
                "SET #stage = :finishing",
                "#stage IN (:accepted, :running, :finishing)",
                {"finishing": "finishing", **_WORKING_VALUES},
            ),
        )

    def note(self, job: str, why: Failure) -> Job | None:
        """Keeps why the work failed, unless another reason is kept already."""
        return self.apply(
            job,
            Change(
                "SET #failure_reason = :reason, #failure_message = :message",
                "#failure_reason = :none",
                {"reason": why.reason, "message": why.message, "none": ""},
            ),
        )

    def completing(self, job: str) -> Job | None:
        """The right to say that the job is complete; None if it is over, or failing."""
        values = {"finishing": "finishing", "completing": "completing"}
        return self.apply(job, Change("SET #stage = :completing", "#stage IN (:finishing, :completing)", values))

    def failing(self, job: str) -> Job | None:
        """The right to say that the job failed; None if it is over, or completing."""
        values = {"finishing": "finishing", "failing": "failing", **_WORKING_VALUES}
        when = "#stage IN (:accepted, :running, :finishing, :failing)"
        return self.apply(job, Change("SET #stage = :failing", when, values))

    def take_last_word(self, job: str, poster: str, until_ms: int) -> Job | None:
        """The right to say the last word until a moment; None as long as anybody may be posting, or once it is said."""
        return self.apply(
            job,
            Change(
                "SET #poster = :poster, #posting_until_ms = :until",
                "#posting_until_ms < :now AND #beating_until_ms < :now AND #stage IN (:completing, :failing)",
                {
                    "poster": poster,
                    "until": until_ms,
                    "now": now_ms(),
                    "completing": "completing",
                    "failing": "failing",
                },
            ),
        )

    def lost(self, job: str) -> Job | None:
        """Nobody could be told how the job ended."""
        values = {"lost": "lost", "completing": "completing", "failing": "failing"}
        return self.apply(job, Change("SET #stage = :lost", "#stage IN (:completing, :failing)", values))

    def heard(self, job: str, collected: int) -> Job | None:
        """The relay came, and has delivered every message up to `collected`. None if it had delivered more."""
        return self.apply(
            job,
            Change(
                "SET #heard_ms = :now, #collected = :collected",
                "#collected <= :collected AND #last >= :collected",
                {"now": now_ms(), "collected": collected},
            ),
        )


def was_told(job: Job, webhooks: Webhooks) -> bool:
    """Whether these webhooks were told that the job is over, or are just being told, shortly after they were named.

    The chunk is one of the toolkit's three tries then, whose answer was lost, and not to be worked on again.
    """
    told = job.stage in ("complete", "failed", "completing", "failing")
    return told and job.webhooks == webhooks and now_ms() < job.accepted_ms + _TRIES_MS


def now_ms() -> int:
    """Milliseconds since the epoch: several functions have to agree on a moment."""
    return time.time_ns() // 1_000_000
