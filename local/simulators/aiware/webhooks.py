"""Heartbeats and results: how they change a task, and which violations they contain. Source: docs.veritone.com."""

from __future__ import annotations

import email
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.simulators.aiware import decoding, work_items
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
    """A message as it arrived. lost: a fault keeps the answer from the engine."""

    webhook: str
    content_type: str
    body: bytes
    at_s: float
    lost: bool = False


class NotAccepted(Exception):
    """A message that is not accepted: the violation, and the status of the answer."""

    def __init__(self, violation: str, status: int = 400) -> None:
        super().__init__(violation)
        self.violation = violation
        self.status = status


def accept(task: Task, arrival: Arrival) -> tuple[int, list[str]]:
    """Accepts a message if it is valid; returns the status of the answer, and the violations.

    The caller holds the task's lock. A message after the end of the task is answered with 204 and ignored.
    """
    try:
        decoded, files = _read(arrival)
    except NotAccepted as error:
        task.refused.append(Message(arrival.at_s, {}, error.status))
        return error.status, [error.violation]
    body = {**decoded.values, **decoded.others}
    accepted = task.heartbeats if arrival.webhook == HEARTBEAT else task.results
    same = [message for message in accepted if message.body == body and message.files == files]
    repeat = bool(same) and same[-1].status == 0
    if _too_late(task, arrival.webhook, body) and not (repeat and body.get("status") == task.reported_end):
        task.refused.append(Message(arrival.at_s, body, 204))
        late = f"a {_name(arrival.webhook, body)} after the end ({task.reported_end or task.state})"
        return 204, [] if task.excused else [late]
    content = json.dumps({name: value for name, value in body.items() if not name.startswith(METADATA)})
    violations = [f"a {arrival.webhook} repeats {name} of the form" for name in leaked(task, content)]
    violations += [f"{key} in a {arrival.webhook} is in the wrong case" for key in decoded.misspelt]
    if not repeat:
        violations += _heartbeat_problems(task, body) if arrival.webhook == HEARTBEAT else _result_problems(task, body)
    accepted.append(Message(arrival.at_s, body, 0 if arrival.lost else 204, repeat, files))
    if arrival.webhook == HEARTBEAT:
        violations += _apply_heartbeat(task, body)
    return 204, violations


def refuse(task: Task, webhook: str, at_s: float, status: int) -> tuple[int, list[str]]:
    """Refuses a message because of a fault; returns the status of the answer, and the violations.

    status: 0 for no answer.
    """
    task.refused.append(Message(at_s, {}, status))
    ended = task.over or task.reported_end
    return status, [
        f"a {webhook} after the end ({task.reported_end or task.state})"
    ] if ended and not task.excused else []


def apply_heartbeats(task: Task) -> list[str]:
    """Gives an acknowledged task the state that its heartbeats reported; returns the violations."""
    if task.reported_end == "complete":
        task.state = "COMPLETE"
        return [] if task.accepted + task.accepted_before else ["complete was reported without a result"]
    if task.reported_end == "failed":
        task.state = "FAILED"
    elif task.heartbeats:
        task.state = "RUNNING"
    return []


def leaked(task: Task, text: str) -> Iterator[str]:
    """The confidential fields of the form that a message or an answer contains."""
    for name, secret in work_items.secrets_of(task.fields).items():
        if secret in text or json.dumps(secret)[1:-1] in text:
            yield name


def has_status(body: bytes) -> bool:
    """Whether a message to externalCallbackWebhook is a heartbeat."""
    try:
        return "status" in decoding.struct(body, {"status": str}).values
    except Undecodable:
        return False


def _read(arrival: Arrival) -> tuple[Decoded, dict[str, bytes]]:
    media_type = arrival.content_type.partition(";")[0].strip().lower()
    if arrival.webhook == RESULT and media_type == "multipart/form-data":
        return _form(arrival)
    if media_type != "application/json":
        raise NotAccepted(f"a {arrival.webhook} as {media_type or 'nothing in particular'}, not application/json", 415)
    try:
        decoded = decoding.struct(arrival.body, HEARTBEAT_KEYS if arrival.webhook == HEARTBEAT else RESULT_KEYS)
    except Undecodable as error:
        raise NotAccepted(f"a {arrival.webhook} that no toolkit reads: {error}") from None
    if arrival.webhook == RESULT and "output" not in decoded.values:
        raise NotAccepted("a result without output")
    if arrival.webhook == HEARTBEAT and decoded.values.get("status") not in STATUSES:
        raise NotAccepted(f"a heartbeat with the status {decoded.values.get('status')!r:.40}")
    return decoded, {}


def _form(arrival: Arrival) -> tuple[Decoded, dict[str, bytes]]:
    """Reads a multipart result. The names of its parts are not published, so every name is accepted."""
    message = email.message_from_bytes(f"Content-Type: {arrival.content_type}\r\n\r\n".encode() + arrival.body)
    if not message.is_multipart():
        raise NotAccepted("a multipart result without parts")
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


def _name(webhook: str, body: Mapping[str, Any]) -> str:
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
    """The least and the greatest valid messagesWritten.

    A result counts once the engine has its answer, so a heartbeat may be sent before that. It must count the results
    that were accepted before the last heartbeat but one; `complete` must count all. A result whose answer was lost may
    count or not.
    """
    counted = [result for result in task.results if not result.repeat]
    if status != "complete":
        since = task.heartbeats[-2].at_s if len(task.heartbeats) > 1 and status == "running" else float("-inf")
        counted = [result for result in counted if result.at_s < since]
    answered = [
        result
        for result in counted
        if any(repeat.status and repeat.body == result.body and repeat.files == result.files for repeat in task.results)
    ]
    return len(answered), task.accepted_before + task.accepted


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


def _apply_heartbeat(task: Task, body: Mapping[str, Any]) -> list[str]:
    """Changes a task as its heartbeat says; returns the violations."""
    if body["status"] != "running":
        task.reported_end = str(body["status"])
        task.failure, task.failure_message = body.get("failureReason", ""), body.get("failureMsg", "")
    return apply_heartbeats(task) if task.state in WAITING else []
