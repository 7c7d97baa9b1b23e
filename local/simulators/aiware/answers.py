"""What the toolkit makes of an answer of /process; section 1.5 of the reference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from local.simulators.aiware import aion, decoding
from local.simulators.aiware.client import Answer
from local.simulators.aiware.decoding import Undecodable
from local.simulators.aiware.tasks import State, Task

ESTIMATE = "estimatedProcessingTimeInSeconds"
MOST_PROBLEMS = 5  # of one document


@dataclass(frozen=True)
class Outcome:
    """What becomes of the task, and what the engine did against the protocol. why: of an ERROR."""

    state: State
    violations: tuple[str, ...] = ()
    output: dict[str, Any] | None = None
    estimate_s: int | None = None
    why: str = ""


def outcome(answer: Answer, *, can_report: bool) -> Outcome:
    """can_report: whether the engine was given webhooks."""
    redirected = ("process was answered with a redirect, which loses the form",) if answer.followed else ()
    if answer.status == 204:
        return Outcome("IGNORED", redirected)
    if answer.status != 200:
        refuses = answer.status >= 400 or bool(redirected)
        odd = () if refuses else (f"process was answered with {answer.status}: only 200 and 204 are success",)
        return Outcome("ERROR", redirected + odd, why=f"{answer.status}: {answer.text.strip()}")
    if answer.length == 0:
        return Outcome("IGNORED", (*redirected, "process was answered with an empty 200, which drops the chunk"))
    if not _is_json(answer):
        return Outcome("DONE_SYNC", redirected)
    found = _decoded(answer.body, can_report=can_report)
    return replace(found, violations=redirected + found.violations)


def conflicts(task: Task) -> Iterable[str]:
    """What was reported about a task that was done with when it was answered."""
    if task.results:
        yield f"{len(task.results)} results were posted, and process was answered {task.state} as well"
    if any(beat.body.get("status") == "running" for beat in task.heartbeats):
        yield f"running was reported, and process was answered {task.state}"


def document_problems(document: Any) -> tuple[str, ...]:
    """The first few in which a document is no AION."""
    if document == {}:
        return ("the AION is empty: not even an empty series or object",)
    return tuple(f"the AION is wrong: {problem}" for problem in aion.problems(document)[:MOST_PROBLEMS])


def _decoded(body: bytes, *, can_report: bool) -> Outcome:
    try:
        document = decoding.document(body)
    except Undecodable as error:
        return Outcome("DONE_SYNC", (f"process was answered with what is no JSON: {error}",))
    output = document if isinstance(document, dict) else None
    try:
        found = decoding.struct(body, {ESTIMATE: int})
    except Undecodable as error:
        return Outcome("DONE_SYNC", (f"process was answered with what no toolkit reads: {error}",), output)
    if ESTIMATE not in found.values:
        return Outcome("DONE_SYNC", document_problems(document), output)
    estimate_s = found.values[ESTIMATE]
    if estimate_s < 1:
        return Outcome("DONE_SYNC", (f"an estimate of {estimate_s} s counts as none",), output)
    violations = [f"{key} is spelt {ESTIMATE}" for key in found.misspelt]
    if found.others:
        violations.append(f"the acknowledgement has more than the estimate: {', '.join(found.others)}")
    if not can_report:
        violations.append("work was acknowledged without a webhook to report to")
    return Outcome("ACKED", tuple(violations), None, estimate_s)


def _is_json(answer: Answer) -> bool:
    """Without a Content-Type, or with one that cannot be read, the toolkit takes it for JSON."""
    media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return "/" not in media_type or media_type == "application/json" or media_type.endswith("+json")
