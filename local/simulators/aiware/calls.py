"""The calls of process for one work item, at most three, and their outcome."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from local.simulators.aiware import client, form, webhooks
from local.simulators.aiware.answers import Outcome, conflicts, outcome
from local.simulators.aiware.client import Answer, NoAnswer
from local.simulators.aiware.faults import PROCESS
from local.simulators.aiware.tasks import Task
from local.simulators.faults import Faults

BACKOFF_S = (0.1, 0.2)
MAX_CALLS = 3
TIMEOUT_S = 120.0  # the real toolkit has none; this program must end
JOB = "X-Annohooks-Job"


@dataclass
class ProcessCalls:
    """Makes the calls. violated: gets each violation."""

    faults: Faults
    clock: Callable[[], float]
    violated: Callable[[Task, str], None]
    stopped: threading.Event

    def call(self, task: Task) -> None:
        """Calls until an answer counts. The task has then left the state CALLING."""
        faults = self.faults.striking(PROCESS)
        if "overlapping" in faults:
            with ThreadPoolExecutor(MAX_CALLS) as pool:
                outcomes = list(pool.map(lambda _: self._attempt(task, ()), range(MAX_CALLS)))
            self._settle(task, next((result for result in outcomes if result.state != "ERROR"), outcomes[-1]))
            return
        for wait_s in (*BACKOFF_S, None):
            result = self._attempt(task, faults)
            if result.state != "ERROR" or wait_s is None or self.stopped.wait(wait_s):
                break
            faults = self.faults.striking(PROCESS)
        self._settle(task, result)

    def call_once(self, task: Task, headers: Mapping[str, str], body: bytes, *, agent: str, host: str) -> None:
        """Makes one call; its answer counts."""
        self._settle(task, self._send(task, headers, body, (), agent=agent, host=host))

    def _settle(self, task: Task, result: Outcome) -> None:
        """Applies the outcome of the calls, and the messages that arrived before it."""
        with task.changed:
            if task.over:  # another instance has it
                return
            task.state, task.output, task.estimate_s = result.state, result.output, result.estimate_s
            if result.state == "ERROR":
                task.failure, task.failure_message = "internal_error", result.reason
            else:
                task.excused = False
            if result.state == "ACKED":
                task.acked_at_s = task.heartbeat_at_s = self.clock()
                task.job = next((job for job in (answer.headers[JOB] for answer in task.answers) if job), None)
            for problem in webhooks.apply_heartbeats(task) if result.state == "ACKED" else conflicts(task):
                self.violated(task, problem)
            task.changed.notify_all()

    def _attempt(self, task: Task, faults: tuple[str, ...]) -> Outcome:
        content_type, body = form.encode(task.fields, task.chunk)
        return self._send(task, {"Content-Type": content_type}, body, faults, agent=client.TOOLKIT_AGENT)

    def _send(
        self,
        task: Task,
        headers: Mapping[str, str],
        body: bytes,
        faults: tuple[str, ...],
        *,
        agent: str,
        host: str | None = None,
    ) -> Outcome:
        with task.changed:
            task.calls += 1
        try:
            answer = client.send("POST", task.url, headers, body, agent=agent, host=host, timeout_s=TIMEOUT_S)
        except NoAnswer as error:
            return self._unanswered(task, str(error))
        return self._unanswered(task, "unexpected EOF") if "answer_lost" in faults else self._judged(task, answer)

    def _judged(self, task: Task, answer: Answer) -> Outcome:
        result = outcome(answer, can_report=task.can_report)
        with task.changed:
            task.answers.append(answer)
            task.status, task.text = answer.status, answer.text
            for violation in result.violations:
                self.violated(task, violation)
            for name in webhooks.leaked(task, answer.text):
                self.violated(task, f"the answer of process repeats {name} of the form")
        return result

    def _unanswered(self, task: Task, reason: str) -> Outcome:
        with task.changed:
            task.excused = True
        return Outcome("ERROR", reason=reason)
