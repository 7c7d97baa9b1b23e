"""The state machine's tasks that touch pixels: plan a job, analyse a segment."""

from typing import Any

from annohooks.aiware import failures
from annohooks.aiware.jobs.work_tasks import Worker
from annohooks.aiware.settings import Settings
from annohooks.core import observability
from annohooks.core.deadline import Deadline
from annohooks.core.settings import from_env

worker = Worker(from_env(Settings))


def work(payload: Any, context: Any) -> dict[str, Any]:
    with failures.raised_as_failures():
        return worker.handle(payload, Deadline.of_invocation(context, spare_s=5.0))


handler = observability.instrument(work)
