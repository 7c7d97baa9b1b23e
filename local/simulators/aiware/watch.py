"""The toolkit's clocks: a task whose engine is silent, or takes longer than it may, has failed."""

from __future__ import annotations

from local.simulators.aiware.tasks import Task


def expire(task: Task, now_s: float, heartbeat_limit_s: float, *, keeps_ttl: bool) -> str:
    """Ends an acknowledged task if its time is over; returns what the engine did wrong, or "".

    The engine does not know yet that it is over, so its next messages are excused until one is answered 404 or 410.
    """
    acked_at_s = task.acked_at_s or 0.0
    accepted_at_s = max([acked_at_s, *(beat.at_s for beat in task.heartbeats[-1:])])
    if now_s - accepted_at_s > heartbeat_limit_s:
        task.state, task.failure, task.excused = "FAILED", "heartbeat_timeout", True
        silent_s = now_s - max(acked_at_s, task.heard_at_s)
        return f"no heartbeat for {silent_s:.3g} s" if silent_s > heartbeat_limit_s else ""
    if keeps_ttl and now_s - acked_at_s > task.limit_s:
        task.state, task.failure, task.excused = "FAILED", "ttl", True
        return f"the work is not over {task.limit_s:g} s after it was acknowledged"
    return ""
