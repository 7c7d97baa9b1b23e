"""Why a job failed. Each failureReason of the toolkit is an error class, whose name the state machine matches.

Source: Veritone, "Webhooks", knowledge base article 000004096.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import msgspec

from annohooks.core.errors import (
    AnnohooksError,
    BadRequest,
    DeadlineExceeded,
    Forbidden,
    TooLarge,
    Upstream,
    UpstreamStatus,
    UpstreamTimeout,
)
from annohooks.core.http import ConnectionFailed, NotConnected
from annohooks.core.observability import log_unexpected

REASONS = (
    "internal_error",
    "external_error",
    "unknown",
    "url_not_found",
    "url_not_allowed",
    "url_timeout",
    "url_connection_refused",
    "url_error",
    "invalid_data",
    "rate_limited",
    "api_not_allowed",
    "api_authentication_error",
    "api_not_found",
    "api_error",
    "file_write_error",
    "stream_read_error",
    "system_dependency_missing",
    "system_error",
    "heartbeat_timeout",
    "other",
)
"""Every failureReason that the toolkit knows."""

MAX_MESSAGE_LENGTH = 1000
"""Characters of a failureMsg."""

_SEE_LOG = "Something unexpected went wrong; the log of this engine says where."
_OUT_OF_TIME = "The work did not fit into maxTTL."
_TOO_SLOW = "A step of the work took longer than a function may run. Shorter segments (segmentMs) help."
_FUNCTION_ENDED = (
    "A function ended in the middle of its work, most likely out of memory. Give it more memory, or send smaller media."
)
_THROTTLED = "All functions that this AWS account may run at once were busy. A higher concurrency quota helps."
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]+")


class Failure(AnnohooksError):
    """An error that ends a job. The name of its class is its failureReason, so that Step Functions can match it.

    may_pass: whether the same may succeed later.
    """

    reason: ClassVar[str]
    may_pass = False


_CLASSES = {reason: type(reason, (Failure,), {"reason": reason}) for reason in REASONS}


def failure(reason: str, message: str) -> Failure:
    """The error of a failureReason. Raises KeyError for an unknown one."""
    error: Failure = _CLASSES[reason](one_line(message))
    return error


def message_too_large(webhook: str) -> Failure:
    """The error that ends a job when one of its messages is larger than can be delivered."""
    return failure("other", f"A {webhook} is too large for the Engine Toolkit. Shorter segments (segmentMs) help.")


def from_exception(error: Exception) -> Failure:
    """What an error during a job means to the toolkit. The text of an unknown error is not repeated."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, AnnohooksError):
        return failure(_reason(error), error.message)
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return failure("file_write_error", "The media could not be kept on the function's disk.")
    return failure("internal_error", _SEE_LOG)


def _reason(error: AnnohooksError) -> str:
    match error:
        case UpstreamStatus(reply_status=404 | 410):
            return "url_not_found"
        case UpstreamStatus(reply_status=401 | 403) | Forbidden():
            return "url_not_allowed"
        case UpstreamStatus(reply_status=429):
            return "rate_limited"
        case UpstreamTimeout():
            return "url_timeout"
        case NotConnected():
            return "url_connection_refused"
        case ConnectionFailed():
            return "stream_read_error"
        case Upstream():
            return "url_error"
        case BadRequest() | TooLarge():
            return "invalid_data"
        case DeadlineExceeded():
            return "other"
    return "internal_error"


@contextmanager
def raised_as_failures() -> Iterator[None]:
    """Turns every error that the block raises into a Failure, whose name the state machine can match."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, AnnohooksError):
            log_unexpected(error)
        raise from_exception(error) from None


def from_step_functions(error: str, cause: str) -> Failure:
    """The failure that Step Functions report. error: its name. cause: JSON if a Lambda function raised it."""
    if error in _CLASSES:
        return failure(error, _message(cause))
    if error == "JobExpired":
        return failure("other", _OUT_OF_TIME)
    if error in ("States.Timeout", "Sandbox.Timedout"):
        return failure("internal_error", _TOO_SLOW)
    if error in ("Runtime.ExitError", "Runtime.OutOfMemory", "Lambda.Unknown"):
        return failure("system_error", _FUNCTION_ENDED)
    if error == "Lambda.TooManyRequestsException":
        return failure("rate_limited", _THROTTLED)
    return failure("internal_error", _SEE_LOG)


def from_execution_status(status: str) -> Failure:
    """The failure of an execution that ended as FAILED, TIMED_OUT or ABORTED."""
    return failure("other", "The job was stopped.") if status == "ABORTED" else failure("internal_error", _SEE_LOG)


def _message(cause: str) -> str:
    try:
        return str(msgspec.json.decode(cause)["errorMessage"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return ""


def one_line(message: str) -> str:
    """A message as one line without control characters and lone surrogates, cut to MAX_MESSAGE_LENGTH."""
    line = _CONTROL.sub(" ", message).strip()
    return line if len(line) <= MAX_MESSAGE_LENGTH else f"{line[: MAX_MESSAGE_LENGTH - 1]}…"
