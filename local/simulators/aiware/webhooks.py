"""What heartbeats and results do to a task, and what is wrong with them; sections 1.6 to 1.8 of the reference."""

from __future__ import annotations

import email
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.simulators.aiware import decoding, work
from local.simulators.aiware.answers import document_problems
from local.simulators.aiware.decoding import Decoded, Undecodable
from local.simulators.aiware.faults import HEARTBEAT, RESULT
from local.simulators.aiware.tasks import WAITING, Message, Task

HEARTBEAT_KEYS: Mapping[str, type] = {
    **dict.fromkeys(("status", "infoMs", "infoMsg", "failureReason", "failureMsg"), str),
    **dict.fromkeys(("bytesRead", "bytesWritten", "messagesWritten"), int),
}
RESULT_KEYS: Mapping[str, type] = {
    **dict.fromkeys(("chunkContext", "outputFolderID"), str),
    **dict.fromkeys(("startOffsetMs", "endOffsetMs", "index"), int),
    "output": dict,
    "multipart": bool,
}
STATUSES = ("running", "complete", "failed")
REASONS = (
    *("internal_error", "external_error", "unknown", "url_not_found", "url_not_allowed", "url_timeout"),
    *("url_connection_refused", "url_error", "invalid_data", "rate_limited", "api_not_allowed"),
    *("api_authentication_error", "api_not_found", "api_error", "file_write_error", "stream_read_error"),
    *("system_dependency_missing", "system_error", "heartbeat_timeout", "other"),
)
COUNTERS = ("bytesRead", "bytesWritten", "messagesWritten")
METADATA = "chunk-metadata-"


@dataclass(frozen=True)
class Arrival:
    """A message that nobody has judged. lost: a fault keeps the answer from the engine."""

    webhook: str
    content_type: str
    body: bytes
    at_s: float
    lost: bool = False


class Wrong(Exception):
    """A message that is not accepted: what is wrong with it, and the status it is answered with."""

    def __init__(self, violation: str, status: int = 400) -> None:
        super().__init__(violation)
        self.violation = violation
        self.status = status


def take(task: Task, arrival: Arrival, after_end: int) -> tuple[int, list[str]]:
    """Accepts a message or not; returns the status for it and what is wrong. Call it with the task's lock held.

    after_end: the status for what comes when the task is over.
    """
    try:
        decoded, files = _read(arrival)
    except Wrong as wrong:
        task.refused.append(Message(arrival.at_s, {}, wrong.status))
        return wrong.status, [wrong.violation]
    body = {**decoded.values, **decoded.others}
    heard = task.heartbeats if arrival.webhook == HEARTBEAT else task.results
    same = [message for message in heard if message.body == body and message.files == files]
    repeat = bool(same) and same[-1].status == 0
    if _too_late(task, arrival.webhook, body) and not (repeat and body.get("status") == task.reported_end):
        task.refused.append(Message(arrival.at_s, body, after_end))
        excused, task.excused = task.excused, task.excused and after_end == 204  # others tell the engine
        late = f"a {_named(arrival.webhook, body)} after the end ({task.reported_end or task.state})"
        return after_end, [] if excused else [late]
    own = json.dumps({name: value for name, value in body.items() if not name.startswith(METADATA)})
    violations = [f"a {arrival.webhook} repeats {name} of the form" for name in leaked(task, own)]
    violations += [f"{key} in a {arrival.webhook} is in the wrong case" for key in decoded.misspelt]
    if not repeat:
        violations += _heartbeat_problems(task, body) if arrival.webhook == HEARTBEAT else _result_problems(task, body)
    heard.append(Message(arrival.at_s, body, 0 if arrival.lost else 204, repeat, files))
    if arrival.webhook == HEARTBEAT:
        violations += _moved(task, body)
    return 204, violations


def refuse(task: Task, webhook: str, at_s: float, status: int) -> tuple[int, list[str]]:
    """Keeps a message out, as a fault wants; returns the status and what is wrong with the message even so.

    status: 0 for no answer.
    """
    task.refused.append(Message(at_s, {}, status))
    ended = task.over or task.reported_end
    return status, [
        f"a {webhook} after the end ({task.reported_end or task.state})"
    ] if ended and not task.excused else []


def report(task: Task) -> list[str]:
    """Brings an acknowledged task to where its heartbeats say it is; returns what is wrong with its end."""
    if task.reported_end == "complete":
        task.state = "COMPLETE"
        return [] if task.accepted + task.carried else ["complete was reported without a result"]
    if task.reported_end == "failed":
        task.state = "FAILED"
    elif task.heartbeats:
        task.state = "RUNNING"
    return []


def leaked(task: Task, said: str) -> Iterator[str]:
    """The fields of the form that a message or an answer repeats, and must not."""
    for name, secret in work.secrets_of(task.fields).items():
        if secret in said or json.dumps(secret)[1:-1] in said:
            yield name


def has_status(body: bytes) -> bool:
    """Whether what came to the external callback is a heartbeat."""
    try:
        return "status" in decoding.struct(body, {"status": str}).values
    except Undecodable:
        return False


def _read(arrival: Arrival) -> tuple[Decoded, dict[str, bytes]]:
    media_type = arrival.content_type.partition(";")[0].strip().lower()
    if arrival.webhook == RESULT and media_type == "multipart/form-data":
        return _form(arrival)
    if media_type != "application/json":
        raise Wrong(f"a {arrival.webhook} as {media_type or 'nothing in particular'}, not application/json", 415)
    try:
        decoded = decoding.struct(arrival.body, HEARTBEAT_KEYS if arrival.webhook == HEARTBEAT else RESULT_KEYS)
    except Undecodable as error:
        raise Wrong(f"a {arrival.webhook} that no toolkit reads: {error}") from None
    if arrival.webhook == RESULT and "output" not in decoded.values:
        raise Wrong("a result without output")
    if arrival.webhook == HEARTBEAT and decoded.values.get("status") not in STATUSES:
        raise Wrong(f"a heartbeat with the status {decoded.values.get('status')!r:.40}")
    return decoded, {}


def _form(arrival: Arrival) -> tuple[Decoded, dict[str, bytes]]:
    """A result that is no AION. The names of its parts are published nowhere: any will do."""
    message = email.message_from_bytes(f"Content-Type: {arrival.content_type}\r\n\r\n".encode() + arrival.body)
    if not message.is_multipart():
        raise Wrong("a multipart result without parts")
    fields: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    for part in message.get_payload():
        name = str(part.get_param("name", header="Content-Disposition"))
        content = part.get_payload(decode=True)
        if part.get_filename() is None:
            fields[name] = content.decode(errors="replace")
        else:
            files[name] = content
    return Decoded({}, [], fields), files


def _too_late(task: Task, webhook: str, body: Mapping[str, Any]) -> bool:
    if task.state in ("DONE_SYNC", "ERROR") and not task.reported_end and webhook == HEARTBEAT:
        return body["status"] != ("complete" if task.state == "DONE_SYNC" else "failed")
    return task.over or bool(task.reported_end)


def _named(webhook: str, body: Mapping[str, Any]) -> str:
    return f"heartbeat ({body['status']})" if webhook == HEARTBEAT else "result"


def _heartbeat_problems(task: Task, body: Mapping[str, Any]) -> Iterator[str]:
    reason = body.get("failureReason", "")
    if body["status"] == "failed" and not reason:
        yield "a heartbeat reports failed without a failureReason"
    elif body["status"] != "failed" and reason:
        yield f"a heartbeat reports {body['status']} and a failureReason"
    elif reason and reason not in REASONS:
        yield f"a heartbeat has the unknown failureReason {reason!r:.40}"
    for name in ("infoMs", "infoMsg"):
        if name not in body:
            yield f"a heartbeat has no {name}"
    if {"infoMs", "infoMsg"} <= body.keys() and body["infoMs"] != body["infoMsg"]:
        yield "infoMs and infoMsg of a heartbeat differ"
    before = task.heartbeats[-1].body if task.heartbeats else {}
    for name in COUNTERS:
        count, counted = body.get(name, 0), before.get(name, 0)
        if count < counted:
            yield f"{name} fell from {counted} to {count}"
    written, (least, most) = body.get("messagesWritten", 0), _expected(task, str(body["status"]))
    if not least <= written <= most:
        yield f"messagesWritten of a heartbeat ({body['status']}) is {written}, with {task.accepted} results accepted"


def _expected(task: Task, status: str) -> tuple[int, int]:
    """Least and most that messagesWritten may be.

    A result counts once its answer is there, so a beat that crosses it may be behind; what was accepted before the last
    beat but one must be in it, and in `complete` everything must be. What an answer was lost for may count or not.
    """
    counted = [result for result in task.results if not result.repeat]
    if status != "complete":
        since = task.heartbeats[-2].at_s if len(task.heartbeats) > 1 and status == "running" else float("-inf")
        counted = [result for result in counted if result.at_s < since]
    known = [
        result
        for result in counted
        if any(again.status and again.body == result.body and again.files == result.files for again in task.results)
    ]
    return len(known), task.carried + task.accepted


def _result_problems(task: Task, body: Mapping[str, Any]) -> Iterator[str]:
    context = task.fields.get("chunkContext", "")
    if context and body.get("chunkContext") != context:
        yield "a result does not echo chunkContext"
    for name, value in task.fields.items():
        if name.startswith(METADATA) and body.get(name) != value:
            yield f"a result does not carry {name}"
    for name, value in body.items():
        if name.startswith(METADATA) and not isinstance(value, str):
            yield f"{name} of a result is not a string"
    if "output" not in body:
        return
    start_ms, end_ms = body.get("startOffsetMs", 0), body.get("endOffsetMs", 0)
    if not 0 <= start_ms <= end_ms:
        yield f"a result is of {start_ms} to {end_ms} ms"
    if "index" in body and body["index"] in task.results_by_index:
        yield f"a second result has the index {body['index']}"
    yield from (f"a result: {problem}" for problem in document_problems(body["output"]))


def _moved(task: Task, body: Mapping[str, Any]) -> list[str]:
    """What a heartbeat does to its task."""
    if body["status"] != "running":
        task.reported_end = str(body["status"])
        task.failure, task.failure_message = body.get("failureReason", ""), body.get("failureMsg", "")
    return report(task) if task.state in WAITING else []
