"""Why a job failed, in the toolkit's own words: each failureReason is an error, and the state machine knows it by name.

Source: the protocol reference, section 1.6.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import msgspec

from annohooks.core.errors import AnnohooksError, BadRequest, DeadlineExceeded, Forbidden, TooLarge, Upstream
from annohooks.core.http import ConnectionFailed, NotConnected, UpstreamStatus, UpstreamTimeout
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

LONGEST_MESSAGE = 1000
"""Characters of a failureMsg."""

_SEE_LOG = "Something unexpected went wrong; the log of this engine says where."
_OUT_OF_TIME = "The work did not fit into maxTTL."
_TOO_SLOW = "A step of the work took longer than a function may run. Shorter segments (segmentMs) help."
_ENDED = "A function ended in the middle of its work, most likely out of memory. Give it more, or send smaller media."
_BUSY = "There was no function to spare for the work. A higher concurrency of the account helps."
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]+")


class Failure(AnnohooksError):
    """What ends a job; the class's name is its failureReason, so that Step Functions match it.

    may_pass: whether the same may be well in a while.
    """

    reason: ClassVar[str]
    may_pass = False


_CLASSES = {reason: type(reason, (Failure,), {"reason": reason}) for reason in REASONS}


def failure(reason: str, message: str) -> Failure:
    """The error of a failureReason. Raises KeyError for what is none."""
    made: Failure = _CLASSES[reason](cleaned(message))
    return made


def of(error: Exception) -> Failure:
    """What an error in the midst of a job means to the toolkit. Nothing of an unknown error's text is told."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, AnnohooksError):
        return failure(_reason(error), error.message)
    if isinstance(error, OSError) and error.errno in _DISK:
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
def named() -> Iterator[None]:
    """Any error inside leaves as the Failure it means, whose name the state machine knows."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, AnnohooksError):
            log_unexpected(error)
        raise of(error) from None


def told(error: str, cause: str) -> Failure:
    """The failure of an error as Step Functions tell it: its name, and its cause, which for a Lambda's is JSON."""
    if error in _CLASSES:
        return failure(error, _message(cause))
    if error == "JobExpired":
        return failure("other", _OUT_OF_TIME)
    if error in ("States.Timeout", "Sandbox.Timedout"):
        return failure("internal_error", _TOO_SLOW)
    if error in ("Runtime.ExitError", "Runtime.OutOfMemory", "Lambda.Unknown"):
        return failure("system_error", _ENDED)
    if error == "Lambda.TooManyRequestsException":
        return failure("rate_limited", _BUSY)
    return failure("internal_error", _SEE_LOG)


def _message(cause: str) -> str:
    try:
        return str(msgspec.json.decode(cause)["errorMessage"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return ""


def cleaned(message: str) -> str:
    """One line that any JSON reader takes: no control characters, no half surrogates, not longer than it may be."""
    line = _CONTROL.sub(" ", message).strip()
    return line if len(line) <= LONGEST_MESSAGE else f"{line[: LONGEST_MESSAGE - 1]}…"
