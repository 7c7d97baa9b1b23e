"""A work item of the toolkit: the form, the answers, the messages and the state."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from local.simulators.aiware.client import Answer

State = Literal[
    "CALLING",  # up to three calls of /process
    "IGNORED",  # 204, or 200 without a body
    "DONE_SYNC",  # the answer was the result
    "ERROR",  # three calls failed
    "ACKED",  # the answer was an estimate
    "RUNNING",  # and heartbeats came
    "COMPLETE",
    "FAILED",  # by a heartbeat, by none (heartbeat_timeout), or because its time was over (ttl)
    "REQUEUED",  # given to another instance; this one is gone
]
WAITING = ("ACKED", "RUNNING")
"""The states in which the toolkit waits for messages."""


@dataclass(frozen=True)
class Message:
    """A heartbeat or a result as it arrived.

    at_s: by the toolkit's clock. body: decoded, {} if that failed. status: of the answer, 0 for no answer. repeat: it
    was accepted before, but the engine did not get the answer. files: of a multipart result.
    """

    at_s: float
    body: Mapping[str, Any]
    status: int
    repeat: bool = False
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(eq=False)
class Task:
    """One chunk at one instance of the toolkit. Every change notifies `changed`.

    number: from 1. attempt: from 1; a chunk that is queued again is the next attempt. origin: of the instance. url: of
    the engine's process webhook. fields: of the form, as sent.
    answers: of the calls. calls: their number. status, text, output, job: of the answer that counted; job is its
    X-Annohooks-Job. failure, failure_message: the reason for FAILED or ERROR. heartbeat_at_s: arrival of the last
    heartbeat, accepted or not. heartbeats, results: accepted messages. refused: messages that were not accepted.
    reported_end: status of the accepted heartbeat that ended the task. excused: the engine cannot know that the task is
    over, because the toolkit or a fault ended it.
    """

    number: int
    attempt: int
    origin: str
    url: str
    fields: dict[str, str]
    chunk: bytes | None = field(repr=False)
    changed: threading.Condition = field(repr=False)
    called_at_s: float
    requeued_from: Task | None = field(default=None, repr=False)
    state: State = "CALLING"
    answers: list[Answer] = field(default_factory=list, repr=False)
    calls: int = 0
    status: int = 0
    text: str = field(default="", repr=False)
    output: dict[str, Any] | None = field(default=None, repr=False)
    estimate_s: int | None = None
    job: str | None = None
    failure: str = ""
    failure_message: str = ""
    acked_at_s: float | None = None
    heartbeat_at_s: float = 0.0
    heartbeats: list[Message] = field(default_factory=list, repr=False)
    results: list[Message] = field(default_factory=list, repr=False)
    refused: list[Message] = field(default_factory=list, repr=False)
    reported_end: str = ""
    excused: bool = False

    def __str__(self) -> str:
        return f"task {self.number}"

    @property
    def over(self) -> bool:
        return self.state not in ("CALLING", *WAITING)

    @property
    def can_report(self) -> bool:
        """Whether the form names webhooks for both kinds of messages."""
        both = self.fields.get("heartbeatWebhook") and self.fields.get("resultWebhook")
        return bool(both or self.fields.get("externalCallbackWebhook"))

    @property
    def acked_after_s(self) -> float | None:
        """Time from the first call to the acknowledgement."""
        return None if self.acked_at_s is None else self.acked_at_s - self.called_at_s

    @property
    def limit_s(self) -> float:
        """The time limit of an acknowledged task: the engine's estimate, or maxTTL if that is longer."""
        max_ttl = self.fields.get("maxTTL", "")
        return max(float(max_ttl) if max_ttl.isdecimal() else 0.0, float(self.estimate_s or 0))

    @property
    def accepted_before(self) -> int:
        """The number of results that earlier instances accepted."""
        before = self.requeued_from
        return 0 if before is None else before.accepted_before + before.accepted

    @property
    def accepted(self) -> int:
        """The number of accepted results, without repeats."""
        return sum(not result.repeat for result in self.results)

    @property
    def results_by_index(self) -> dict[int, list[Message]]:
        """The accepted results, repeats included, by their `index`."""
        by_index: dict[int, list[Message]] = {}
        for result in self.results:
            by_index.setdefault(result.body.get("index", 0), []).append(result)
        return by_index

    def wait(self, timeout_s: float = 30.0, until: Callable[[Task], bool] = lambda task: task.over) -> Self:
        """Returns once the task is over, or `until` holds. Raises TimeoutError."""
        with self.changed:
            if not self.changed.wait_for(lambda: until(self), timeout_s):
                raise TimeoutError(f"{self} is {self.state} after {timeout_s} s, with {len(self.results)} results")
        return self

    def expire(self, now_s: float, heartbeat_limit_s: float) -> str:
        """Ends an acknowledged task whose time is over. Returns the engine's violation, or ""."""
        acked_at_s = self.acked_at_s or 0.0
        accepted_at_s = max([acked_at_s, *(beat.at_s for beat in self.heartbeats[-1:])])
        if now_s - accepted_at_s > heartbeat_limit_s:
            self.state, self.failure, self.excused = "FAILED", "heartbeat_timeout", True
            silent_s = now_s - max(acked_at_s, self.heartbeat_at_s)
            return f"no heartbeat for {silent_s:.3g} s" if silent_s > heartbeat_limit_s else ""
        if now_s - acked_at_s > self.limit_s:
            self.state, self.failure, self.excused = "FAILED", "ttl", True
            return f"the work is not over {self.limit_s:g} s after it was acknowledged"
        return ""
