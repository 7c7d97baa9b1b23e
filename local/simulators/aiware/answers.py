"""The outcome of an answer of process. Source: the Engine Toolkit published in 2019, and docs.veritone.com."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from local.simulators.aiware import aion, decoding
from local.simulators.aiware.client import Answer
from local.simulators.aiware.decoding import Undecodable
from local.simulators.aiware.tasks import State, Task

ESTIMATE = "estimatedProcessingTimeInSeconds"
MAX_PROBLEMS = 5  # of one document


@dataclass(frozen=True)
class Outcome:
    """The new state of the task, and the violations of the engine. reason: of an ERROR."""

    state: State
    violations: tuple[str, ...] = ()
    output: dict[str, Any] | None = None
    estimate_s: int | None = None
    reason: str = ""


def outcome(answer: Answer, *, can_report: bool) -> Outcome:
    """can_report: whether the form named webhooks."""
    redirected = ("process was answered with a redirect, which loses the form",) if answer.followed else ()
    if answer.status == 204:
        return Outcome("IGNORED", redirected)
    if answer.status != 200:
        refuses = answer.status >= 400 or bool(redirected)
        odd = () if refuses else (f"process was answered with {answer.status}: only 200 and 204 are success",)
        return Outcome("ERROR", redirected + odd, reason=f"{answer.status}: {answer.text.strip()}")
    if answer.length == 0:
        return Outcome("IGNORED", (*redirected, "process was answered with an empty 200, which drops the chunk"))
    if not _is_json(answer):
        return Outcome("DONE_SYNC", redirected)
    result = _decoded(answer.body, can_report=can_report)
    return replace(result, violations=redirected + result.violations)


def conflicts(task: Task) -> Iterable[str]:
    """The violations in reporting about a task that the answer of process had ended."""
    if task.results:
        yield f"{len(task.results)} results were posted, and process was answered {task.state} as well"
    if any(beat.body.get("status") == "running" for beat in task.heartbeats):
        yield f"running was reported, and process was answered {task.state}"


def document_problems(document: Any) -> tuple[str, ...]:
    """The first few violations of AION in a document."""
    if document == {}:
        return ("the AION is empty: not even an empty series or object",)
    return tuple(f"the AION is wrong: {problem}" for problem in aion.problems(document)[:MAX_PROBLEMS])


def _decoded(body: bytes, *, can_report: bool) -> Outcome:
    try:
        document = decoding.document(body)
    except Undecodable as error:
        return Outcome("DONE_SYNC", (f"process was answered with content that is not JSON: {error}",))
    output = document if isinstance(document, dict) else None
    try:
        struct = decoding.struct(body, {ESTIMATE: int})
    except Undecodable as error:
        return Outcome("DONE_SYNC", (f"process was answered with JSON that the toolkit cannot read: {error}",), output)
    if ESTIMATE not in struct.values:
        return Outcome("DONE_SYNC", document_problems(document), output)
    estimate_s = struct.values[ESTIMATE]
    if estimate_s < 1:
        return Outcome("DONE_SYNC", (f"an estimate of {estimate_s} s counts as none",), output)
    violations = [f"{key} is spelt {ESTIMATE}" for key in struct.misspelt]
    if struct.others:
        violations.append(f"the acknowledgement has more than the estimate: {', '.join(struct.others)}")
    if not can_report:
        violations.append("work was acknowledged without a webhook to report to")
    return Outcome("ACKED", tuple(violations), None, estimate_s)


def _is_json(answer: Answer) -> bool:
    """Whether the toolkit reads the answer as JSON. It also does without a valid Content-Type."""
    media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return "/" not in media_type or media_type == "application/json" or media_type.endswith("+json")
