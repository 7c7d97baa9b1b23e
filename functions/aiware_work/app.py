"""The state machine's tasks that touch pixels: plan a job, analyse a segment."""

from typing import Any

from annohooks.aiware import failures
from annohooks.aiware.settings import Settings
from annohooks.aiware.work import Worker
from annohooks.core import observability
from annohooks.core.deadline import Deadline
from annohooks.core.settings import from_env

worker = Worker(from_env(Settings))

RETURNING_S = 5.0
"""Kept free at the end of the function's time."""


def work(payload: Any, context: Any) -> dict[str, Any]:
    deadline = Deadline.after(context.get_remaining_time_in_millis() / 1000).earlier(RETURNING_S)
    with failures.named():
        return worker.handle(payload, deadline)


handler = observability.instrument(work)
