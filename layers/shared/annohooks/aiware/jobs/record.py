"""The record of each job, and everything that may happen to it.

A job is one attempt at one chunk. Other modules call the verbs below; only this module writes DynamoDB expressions.

The stages, which never go back:

    accepted -> running -> finishing -> completing -> complete
        |          |           |            |
        |          |           |            +-------> lost
        +----------+-----------+---> failing -------> failed, or lost

finishing: every result is posted. completing, failing: the final heartbeat is being delivered. lost:
the final heartbeat could not be delivered.

What each verb does to a job's stage. "=": the record changes, and the stage stays. "-": the verb does nothing, and
returns None. "over" stands for complete, failed and lost.

    verb                  accepted    running     finishing   completing  failing     over
    --------------------  ----------  ----------  ----------  ----------  ----------  ----------
    begin                 running     running     -           -           -           -
    plan                  =           =           -           -           -           -
    keep_heartbeat_token  =           =           -           -           -           -
    keep_limit_token      =           =           -           -           -           -
    take_heartbeat        =           =           -           -           -           -
    release_heartbeat     =           =           =           =           =           =
    add_result            =           =           -           -           -           -
    take_posting          =           =           -           -           -           -
    release_posting       =           =           =           =           =           =
    finish                finishing   finishing   finishing   -           -           -
    note_failure          =           =           =           =           =           =
    start_completing      -           -           completing  completing  -           -
    start_failing         failing     failing     failing     -           failing     -
    take_final_heartbeat  -           -           -           =           =           -
    give_up               -           -           -           lost        lost        -
    relay_came            =           =           =           =           =           =

`accept` gives a new request the job that is under way. The functions at the end say what the delivery of a
message changes: `heartbeat_delivered` and `result_delivered` keep the stage; `final_heartbeat_delivered` turns
completing into complete, and failing into failed.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

from annohooks.aiware.failures import Failure, failure
from annohooks.core import retry
from annohooks.core.deadline import Deadline, now_ms
from annohooks.core.dynamodb import Change, Table
from annohooks.core.errors import NotFound, Unavailable
from annohooks.core.lock import Lease

Stage = Literal["accepted", "running", "finishing", "completing", "failing", "complete", "failed", "lost"]
WebhookKind = Literal["heartbeat", "result"]

WORKING: Final[tuple[Stage, ...]] = ("accepted", "running")
ENDING: Final[tuple[Stage, ...]] = ("completing", "failing")
OVER: Final[tuple[Stage, ...]] = ("complete", "failed", "lost")

RETENTION_S = 3 * 86_400
"""Seconds that a record is kept after its job had to end."""
JSON = "application/json"

_MAX_ATTEMPTS = 20
_RETRIES_END_MS = 90_000
"""The toolkit's three tries of one request have come by then, even if the API let each of them wait."""
_OVERDUE_MS = 120_000
"""A job that is not over this long after its limit has nobody left who works on it."""
_MAX_FINAL_HEARTBEAT_MS = 15_000
_MIN_FINAL_HEARTBEAT_MS = 2_000
_ENDING_S, _ENDING_POLL_S = 8.0, 0.2

_HEARTBEAT = Lease("heartbeat")
_POSTING = Lease("posting")
"""The right to post a result or the final heartbeat."""


class WebhookUrls(msgspec.Struct, frozen=True):
    """The URLs at which the toolkit of a job takes heartbeats and results; external: the externalCallbackWebhook."""

    heartbeat: str
    result: str
    external: str = ""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A record. Moments are milliseconds since the epoch.

    limit_ms: when the final heartbeat must be delivered. heard_ms: when the toolkit last took a message or sent the
    chunk again. expires: when DynamoDB deletes the record, in seconds since the epoch. results_ready: the segments
    whose results are staged. next_result: the segment whose result is posted next. last_message: the newest message of
    the outbox. last_collected: the newest message that the relay has delivered.
    """

    id: str = msgspec.field(name="job")
    sequence: int = 0
    stage: Stage
    heartbeat_webhook: str
    result_webhook: str
    external_webhook: str
    accepted_ms: int
    limit_ms: int
    heard_ms: int
    estimate_s: int
    expires: int
    segments: int = 0
    results_ready: frozenset[int] = frozenset()
    next_result: int = 0
    results_posted: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    heartbeat_token: str = ""
    limit_token: str = ""
    heartbeat_owner: str = ""
    heartbeat_until_ms: int = 0
    posting_owner: str = ""
    posting_until_ms: int = 0
    failure_reason: str = ""
    failure_message: str = ""
    last_message: int = 0
    last_collected: int = 0

    @property
    def webhooks(self) -> WebhookUrls:
        """The webhooks of the toolkit to which this job reports."""
        return WebhookUrls(self.heartbeat_webhook, self.result_webhook, self.external_webhook)

    @property
    def failure(self) -> Failure | None:
        """The failure that was noted, if one was."""
        return failure(self.failure_reason, self.failure_message) if self.failure_reason else None

    @property
    def work_until_ms(self) -> int:
        """When the work must end. A fifth of the time, 2 to 15 s, is reserved for the final heartbeat."""
        fifth_ms = (self.limit_ms - self.accepted_ms) // 5
        return self.limit_ms - min(_MAX_FINAL_HEARTBEAT_MS, max(_MIN_FINAL_HEARTBEAT_MS, fifth_ms))

    def remaining_s(self) -> float:
        """Seconds until the work must end. Negative when that moment is past."""
        return (self.work_until_ms - now_ms()) / 1000

    def silence_s(self) -> float:
        """Seconds since the toolkit was last heard of."""
        return (now_ms() - self.heard_ms) / 1000

    def has_ended_for(self, webhooks: WebhookUrls) -> bool:
        """Whether the final heartbeat was or is being delivered to these webhooks, which came a short time ago.

        A request with these webhooks is then one of the toolkit's three tries. It must not start the work again.
        """
        has_ended = self.stage in ("complete", "failed", *ENDING)
        return has_ended and self.webhooks == webhooks and now_ms() < self.accepted_ms + _RETRIES_END_MS

    def is_overdue(self) -> bool:
        """Whether nobody can be working on the job any more, whatever its stage says."""
        return now_ms() > self.limit_ms + _OVERDUE_MS


class Message(msgspec.Struct, frozen=True):
    """A message in a job's outbox. body: JSON text, empty when the body is staged in the bucket under `key`."""

    webhook: WebhookKind
    body: str = ""
    key: str = ""
    content_type: str = JSON
    sequence: int = 0


class Jobs:
    """The table of jobs. Its hash key is `job`; its range key `sequence` is 0 for the record, from 1 for the messages.

    Each verb returns the record after the change, or None when the change does not apply.
    """

    def __init__(self, table: str) -> None:
        self._table = Table(table)

    # ---- a chunk comes

    def accept(self, identity: str, webhooks: WebhookUrls, limit_s: int, estimate_s: int) -> Job:
        """The job of a chunk: the one under way, which reports to these webhooks from now on, or a new one.

        A job that is over is followed by a new attempt, unless the request is one of the toolkit's three tries. Raises
        Unavailable after 20 attempts at a chunk.
        """
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            now = now_ms()
            new = Job(
                id=f"{identity}-{attempt}",
                stage="accepted",
                heartbeat_webhook=webhooks.heartbeat,
                result_webhook=webhooks.result,
                external_webhook=webhooks.external,
                accepted_ms=now,
                limit_ms=now + limit_s * 1000,
                heard_ms=now,
                estimate_s=estimate_s,
                expires=now // 1000 + limit_s + RETENTION_S,
            )
            item = msgspec.to_builtins(new)
            del item["results_ready"]  # DynamoDB has no empty sets
            if self._table.put_new(item, "job"):
                return new
            under_way = self._join(new)
            if under_way is not None:
                return under_way
        raise Unavailable("This chunk was tried too often.")

    def _join(self, new: Job) -> Job | None:
        """The job that has this id already, which a new request joins. None if it is over.

        The stage may change between the read and the write. Then the record is read again. Stages never go back, so a
        job cannot change more often than there are stages.
        """
        for _ in get_args(Stage):
            job = self._settled(new.id)
            if job.has_ended_for(new.webhooks):
                return job
            if job.stage in OVER or job.is_overdue():
                return None
            joined = self._take_over(job, new)
            if joined is not None:
                return joined
        raise Unavailable("This chunk's job is just changing.")

    def _settled(self, job_id: str) -> Job:
        """The record, once its final heartbeat is delivered. Raises Unavailable when that takes long."""

        def is_settled(job: Job) -> bool:
            return job.stage not in ENDING or job.is_overdue()

        job = retry.poll(lambda: self.read(job_id), is_settled, _ENDING_POLL_S, Deadline.after(_ENDING_S))
        if not is_settled(job):
            raise Unavailable("This chunk's last attempt is just ending.")
        return job

    def _take_over(self, job: Job, new: Job) -> Job | None:
        """Makes a job report to the webhooks of a new request. The time of a job that never began starts again."""
        fields = ["heartbeat_webhook", "result_webhook", "external_webhook", "heard_ms"]
        if job.stage == "accepted":
            fields += ["accepted_ms", "limit_ms", "estimate_s", "expires"]
        elif job.webhooks == new.webhooks:
            return job
        return self._apply(job.id, Change({name: getattr(new, name) for name in fields}) & _in_stage(job.stage))

    def newest(self, identity: str) -> Job | None:
        """The newest job of a chunk, None if there is none."""
        newest = None
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            item = self._table.get(_key(f"{identity}-{attempt}"))
            if item is None:
                break
            newest = msgspec.convert(item, Job)
        return newest

    def read(self, job_id: str) -> Job:
        """The record. Raises NotFound if there is none."""
        item = self._table.get(_key(job_id))
        if item is None:
            raise NotFound("There is no such job.")
        return msgspec.convert(item, Job)

    # ---- the work

    def begin(self, job_id: str) -> Job | None:
        """The work begins."""
        return self._apply(job_id, Change({"stage": "running"}) & _in_stage(*WORKING))

    def plan(self, job_id: str, segments: int, bytes_read: int) -> Job | None:
        """Keeps the number of segments, and the size of the media."""
        return self._apply(job_id, Change({"segments": segments, "bytes_read": bytes_read}) & _in_stage(*WORKING))

    def keep_limit_token(self, job_id: str, token: str) -> Job | None:
        """Keeps the token that ends the wait for the time limit."""
        return self._apply(job_id, Change({"limit_token": token}) & _in_stage(*WORKING))

    def add_result(self, job_id: str, segment: int) -> Job | None:
        """A segment's result is staged, and may be posted."""
        return self._apply(job_id, Change({}, added={"results_ready": {segment}}) & _in_stage(*WORKING))

    def finish(self, job_id: str) -> Job | None:
        """Every result is posted."""
        return self._apply(job_id, Change({"stage": "finishing"}) & _in_stage(*WORKING, "finishing"))

    def note_failure(self, job_id: str, reason: Failure) -> Job | None:
        """Keeps why the work failed. Does nothing when a reason is kept already."""
        noted = {"failure_reason": reason.reason, "failure_message": reason.message}
        return self._apply(job_id, Change(noted, "#failure_reason = :none", {"none": ""}))

    # ---- heartbeats

    def keep_heartbeat_token(self, job_id: str, token: str) -> Job | None:
        """Keeps the token that ends the wait after a heartbeat."""
        return self._apply(job_id, Change({"heartbeat_token": token}) & _in_stage(*WORKING))

    def take_heartbeat(self, job_id: str, owner: str, until_ms: int) -> Job | None:
        """Takes the right to post a heartbeat. Does nothing while another owner has it."""
        return self._apply(job_id, _HEARTBEAT.taken(owner, until_ms) & _in_stage(*WORKING))

    def release_heartbeat(self, job_id: str, owner: str) -> Job | None:
        """Gives the right to post a heartbeat back."""
        return self._apply(job_id, _HEARTBEAT.released(owner))

    # ---- results

    def take_posting(self, job: Job, owner: str, until_ms: int) -> Job | None:
        """Takes the right to post the next result. Does nothing if another owner has it, or has posted that result."""
        is_next = Change({}, "#next_result = :next_result", {"next_result": job.next_result})
        return self._apply(job.id, _POSTING.taken(owner, until_ms) & is_next & _in_stage(*WORKING))

    def release_posting(self, job_id: str, owner: str) -> Job | None:
        """Gives the right to post a result or the final heartbeat back."""
        return self._apply(job_id, _POSTING.released(owner))

    # ---- the final heartbeat

    def start_completing(self, job_id: str) -> Job | None:
        """The final heartbeat will be that the job is complete."""
        return self._apply(job_id, Change({"stage": "completing"}) & _in_stage("finishing", "completing"))

    def start_failing(self, job_id: str) -> Job | None:
        """The final heartbeat will be that the job failed."""
        return self._apply(job_id, Change({"stage": "failing"}) & _in_stage(*WORKING, "finishing", "failing"))

    def take_final_heartbeat(self, job_id: str, owner: str, until_ms: int) -> Job | None:
        """Takes the right to deliver the final heartbeat. Does nothing while anybody may be posting."""
        return self._apply(job_id, _POSTING.taken(owner, until_ms) & _HEARTBEAT.is_free() & _in_stage(*ENDING))

    def give_up(self, job_id: str) -> Job | None:
        """The final heartbeat could not be delivered."""
        return self._apply(job_id, Change({"stage": "lost"}) & _in_stage(*ENDING))

    # ---- messages

    def record_delivery(self, job_id: str, on_delivery: Change) -> Job | None:
        """Records a message that the toolkit has taken. on_delivery: one of the changes below."""
        return self._apply(job_id, on_delivery & Change({"heard_ms": now_ms()}))

    def put_message(self, job: Job, message: Message, on_delivery: Change) -> bool:
        """Puts a message into the outbox behind the newest, and records it as delivered, in one transaction.

        Returns False, and does nothing, when the change does not apply or the outbox has another message by now.
        """
        sequence = job.last_message + 1
        item = {"job": job.id, "expires": job.expires, **msgspec.to_builtins(message), "sequence": sequence}
        is_newest = Change({"last_message": sequence}, "#last_message = :previous", {"previous": job.last_message})
        return self._table.put_and_apply(item, _key(job.id), on_delivery & is_newest)

    def messages(self, job_id: str, after: int, limit: int) -> list[Message]:
        """The messages of the outbox behind number `after`, in order, `limit` of them at most."""
        items = self._table.query("#job = :job AND #sequence > :after", limit, job=job_id, after=after)
        return [msgspec.convert(item, Message) for item in items]

    def relay_came(self, job_id: str, collected: int) -> Job | None:
        """The relay has delivered every message up to `collected`. Does nothing if it had delivered more."""
        return self._apply(
            job_id,
            Change(
                {"heard_ms": now_ms(), "last_collected": collected},
                "#last_collected <= :collected AND #last_message >= :collected",
                {"collected": collected},
            ),
        )

    def _apply(self, job_id: str, change: Change) -> Job | None:
        item = self._table.apply(_key(job_id), change)
        return None if item is None else msgspec.convert(item, Job)


# ---- what the delivery of a message changes


def heartbeat_delivered(job: Job) -> Change:
    """A heartbeat is delivered by the owner of the right to post it."""
    return _HEARTBEAT.released(job.heartbeat_owner)


def result_delivered(job: Job, size: int) -> Change:
    """The next result, of so many bytes, is delivered by the owner of the right to post it."""
    counters = {
        "next_result": job.next_result + 1,
        "results_posted": job.results_posted + 1,
        "bytes_written": job.bytes_written + size,
    }
    is_next = Change(counters, "#next_result = :next_result", {"next_result": job.next_result})
    return _POSTING.released(job.posting_owner) & is_next


def final_heartbeat_delivered(job: Job) -> Change:
    """The final heartbeat is delivered by the owner of the right to post it."""
    over: Stage = "complete" if job.stage == "completing" else "failed"
    return _POSTING.released(job.posting_owner) & Change({"stage": over}) & _in_stage(job.stage)


def _key(job_id: str) -> dict[str, str | int]:
    return {"job": job_id, "sequence": 0}


def _in_stage(*stages: Stage) -> Change:
    """Changes nothing, on the condition that the job is in one of these stages."""
    values = {f"in_{stage}": stage for stage in stages}
    return Change({}, f"#stage IN ({', '.join(f':{name}' for name in values)})", values)
