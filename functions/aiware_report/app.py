"""The state machine's tasks that talk to the toolkit, and the watchdog over executions that end badly. No OpenCV."""

from typing import Any

import msgspec

from annohooks.aiware import failures
from annohooks.aiware.jobs.report_tasks import Reporter
from annohooks.aiware.settings import Settings
from annohooks.core import observability
from annohooks.core.deadline import Deadline
from annohooks.core.settings import from_env

reporter = Reporter(from_env(Settings))


def report(payload: Any, context: Any) -> dict[str, Any]:
    deadline = Deadline.of_invocation(context, spare_s=5.0)
    with failures.raised_as_failures():
        if "detail" in payload:  # an event of EventBridge, not a task
            execution = payload["detail"]
            reporter.watch(msgspec.json.decode(execution["input"])["job"], execution["status"], deadline)
            return {}
        return reporter.handle(payload, deadline)


handler = observability.instrument(report)
