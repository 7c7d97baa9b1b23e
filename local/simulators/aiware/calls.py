"""The calls of /process for one work item: three at most, and what comes of them; section 1.5 of the reference."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from local.simulators.aiware import client, form, webhooks
from local.simulators.aiware.answers import Outcome, conflicts, outcome
from local.simulators.aiware.client import Answer, NoAnswer
from local.simulators.aiware.faults import PROCESS, Faults
from local.simulators.aiware.tasks import Task

BACKOFF_S = (0.1, 0.2)
MOST_CALLS = 3
JOB = "X-Annohooks-Job"


@dataclass
class Calls:
    """Makes the calls. api_cut_s: when the fault of that name answers 504. give_up_s: when this program gives up on an
    engine that never answers, as the real toolkit does not. noted: gets each answer; violated: what is wrong with it.
    """

    faults: Faults
    clock: Callable[[], float]
    violated: Callable[[Task, str], None]
    noted: Callable[[Task, Answer], None]
    stopped: threading.Event
    api_cut_s: float
    give_up_s: float

    def make(self, task: Task) -> None:
        """Calls until an answer counts; the task has left CALLING then."""
        fault = self.faults.meeting(PROCESS)
        if fault == "overlapping":
            with ThreadPoolExecutor(MOST_CALLS) as pool:
                found = list(pool.map(lambda _: self._call(task, ""), range(MOST_CALLS)))
            self.settle(task, next((each for each in found if each.state != "ERROR"), found[-1]))
            return
        for wait_s in (*BACKOFF_S, None):
            found = self._call(task, fault)
            if found.state != "ERROR" or wait_s is None or self.stopped.wait(wait_s):
                break
            fault = self.faults.meeting(PROCESS)
        self.settle(task, found)

    def once(self, task: Task, headers: Mapping[str, str], body: bytes, *, agent: str, host: str) -> None:
        """One call, whatever comes of it."""
        self.settle(task, self._sent(task, headers, body, "", agent=agent, host=host))

    def settle(self, task: Task, found: Outcome) -> None:
        """What the calls came to, and the messages that arrived meanwhile."""
        with task.changed:
            if task.over:  # given to another instance meanwhile
                return
            task.state, task.output, task.estimate_s = found.state, found.output, found.estimate_s
            if found.state == "ERROR":
                task.failure, task.failure_message = "internal_error", found.why
            else:
                task.excused = False
            if found.state == "ACKED":
                task.acked_at_s = task.heard_at_s = self.clock()
                task.job = next((job for job in (answer.headers[JOB] for answer in task.answers) if job), None)
            for problem in webhooks.report(task) if found.state == "ACKED" else conflicts(task):
                self.violated(task, problem)
            task.changed.notify_all()

    def _call(self, task: Task, fault: str) -> Outcome:
        content_type, body = form.encode(task.fields, task.chunk)
        return self._sent(task, {"Content-Type": content_type}, body, fault, agent=client.TOOLKIT_AGENT)

    def _sent(
        self, task: Task, headers: Mapping[str, str], body: bytes, fault: str, *, agent: str, host: str | None = None
    ) -> Outcome:
        with task.changed:
            task.calls += 1
        timeout_s = self.api_cut_s if fault == "api_cut" else self.give_up_s
        try:
            answer = client.send("POST", task.url, headers, body, agent=agent, host=host, timeout_s=timeout_s)
        except NoAnswer as error:
            return self._unanswered(task, "504: Endpoint request timed out" if fault == "api_cut" else str(error))
        return self._unanswered(task, "unexpected EOF") if fault == "answer_lost" else self._judged(task, answer)

    def _judged(self, task: Task, answer: Answer) -> Outcome:
        found = outcome(answer, can_report=task.can_report)
        with task.changed:
            task.answers.append(answer)
            task.status, task.text = answer.status, answer.text
            self.noted(task, answer)
            for violation in found.violations:
                self.violated(task, violation)
            for name in webhooks.leaked(task, answer.text):
                self.violated(task, f"the answer of process repeats {name} of the form")
        return found

    def _unanswered(self, task: Task, why: str) -> Outcome:
        with task.changed:
            task.excused = True
        return Outcome("ERROR", why=why)
