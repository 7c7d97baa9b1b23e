"""A work item in the hands of the toolkit: what was sent, what came back, and what became of it."""

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

    at_s: by the toolkit's clock. body: decoded, {} when it could not be. status: how it was answered, 0 for not at all.
    repeat: it had been accepted before, and a fault kept the answer from the engine. files: of a multipart result.
    """

    at_s: float
    body: Mapping[str, Any]
    status: int
    repeat: bool = False
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(eq=False)
class Task:
    """One chunk at one instance of the toolkit; `changed` tells of whatever happens to it.

    number: from 1, of the toolkit's tasks. attempt: 1, and one more for each re-queue. origin: of the instance that has
    it. url: of the engine's process webhook. fields: of the form, as sent.
    answers: of all calls that got one. calls: made. status, text, output, job: of the answer that counted, job being
    its X-Annohooks-Job. failure, failure_message: why it is FAILED or in ERROR. acked_after_s: since the first call.
    heartbeats, results: accepted ones; refused: those that a fault or an error of theirs kept out.
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
    heard_at_s: float = 0.0
    heartbeats: list[Message] = field(default_factory=list, repr=False)
    results: list[Message] = field(default_factory=list, repr=False)
    refused: list[Message] = field(default_factory=list, repr=False)
    reported_end: str = ""
    excused: bool = False
    """Whether the engine cannot know that it is over: the toolkit decided, or a fault did."""

    def __str__(self) -> str:
        return f"task {self.number}"

    @property
    def over(self) -> bool:
        return self.state not in ("CALLING", *WAITING)

    @property
    def can_report(self) -> bool:
        """Whether the engine was given webhooks."""
        both = self.fields.get("heartbeatWebhook") and self.fields.get("resultWebhook")
        return bool(both or self.fields.get("externalCallbackWebhook"))

    @property
    def acked_after_s(self) -> float | None:
        return None if self.acked_at_s is None else self.acked_at_s - self.called_at_s

    @property
    def limit_s(self) -> float:
        """What the engine has from the acknowledgement on: its own estimate, or maxTTL if that is longer."""
        max_ttl = self.fields.get("maxTTL", "")
        return max(float(max_ttl) if max_ttl.isdecimal() else 0.0, float(self.estimate_s or 0))

    @property
    def carried(self) -> int:
        """How many results the instances before this one accepted."""
        before = self.requeued_from
        return 0 if before is None else before.carried + before.accepted

    @property
    def accepted(self) -> int:
        """How many results were accepted, each counted once."""
        return sum(not result.repeat for result in self.results)

    @property
    def results_by_index(self) -> dict[int, list[Message]]:
        """All accepted results, repeats too, by the `index` the engine gave them."""
        found: dict[int, list[Message]] = {}
        for result in self.results:
            found.setdefault(result.body.get("index", 0), []).append(result)
        return found

    def wait(self, timeout_s: float = 30.0, until: Callable[[Task], bool] = lambda task: task.over) -> Self:
        """Returns when the task is over, or `until` holds; TimeoutError when that takes longer."""
        with self.changed:
            if not self.changed.wait_for(lambda: until(self), timeout_s):
                raise TimeoutError(f"{self} is {self.state} after {timeout_s} s, with {len(self.results)} results")
        return self
