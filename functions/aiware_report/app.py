"""The state machine's tasks that talk to the toolkit, and the watchdog over executions that end badly. No OpenCV."""

from typing import Any

import msgspec

from annohooks.aiware import failures
from annohooks.aiware.reporting import Reporter
from annohooks.aiware.settings import Settings
from annohooks.core import observability
from annohooks.core.deadline import Deadline
from annohooks.core.settings import from_env

reporter = Reporter(from_env(Settings))

RETURNING_S = 5.0
"""Kept free at the end of the function's time."""


def report(payload: Any, context: Any) -> dict[str, Any]:
    deadline = Deadline.after(context.get_remaining_time_in_millis() / 1000).earlier(RETURNING_S)
    with failures.named():
        if "detail" in payload:  # an event of EventBridge, and no task
            ended = payload["detail"]
            reporter.watch(msgspec.json.decode(ended["input"])["job"], ended["status"], deadline)
            return {}
        return reporter.handle(payload, deadline)


handler = observability.instrument(report)
