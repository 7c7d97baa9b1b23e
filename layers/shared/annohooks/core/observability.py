"""Logs, metrics and traces by Powertools, with secrets kept out of them."""

import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.shared.functions import resolve_truthy_env_var_choice

from annohooks.core.errors import AnnohooksError

Handler = Callable[[Any, Any], Any]

_IN_LAMBDA = "LAMBDA_TASK_ROOT" in os.environ and "AWS_SAM_LOCAL" not in os.environ
_LONGEST_TEAM_MESSAGE = 500
_SHORTEST_REDACTED = 4
_LONGEST_REDACTED = 2048
_redacting: list[tuple[str, ...]] = []
_invocation: ContextVar[ExitStack | None] = ContextVar("annohooks_invocation", default=None)
"""Ends redactions when the invocation ends."""
_team_code: set[Path] = set()

# Mangum logs the text of an application's exception, which may quote the request.
logging.getLogger("mangum").setLevel(logging.CRITICAL)


@contextmanager
def redacted(*values: str | None) -> Iterator[None]:
    """Writes *** in place of these strings in every line that any thread logs while the block runs.

    Ignores strings of less than 4 characters. Also replaces a string that is percent-encoded, or escaped by JSON or
    repr, once or twice. Of a string that is longer than any real token, replaces the beginning. When the block fails,
    the strings stay redacted until the invocation ends, because the error that is logged later may quote them.
    """
    beginnings = (value[:_LONGEST_REDACTED] for value in values if value and len(value) >= _SHORTEST_REDACTED)
    spellings = {spelling for value in beginnings for spelling in _spellings(value)}
    longest_first = tuple(sorted(spellings, key=len, reverse=True))
    _redacting.append(longest_first)
    with ExitStack() as stack:
        stack.callback(_redacting.remove, longest_first)
        try:
            yield
        except BaseException:
            if (invocation := _invocation.get()) is not None:
                invocation.push(stack.pop_all())
            raise


def _spellings(value: str) -> set[str]:
    plain = {
        value,
        quote(value, errors="replace"),
        quote(value, safe="", errors="replace"),
        quote_plus(value, errors="replace"),
    }
    once = plain | {escaped for text in plain for escaped in _escaped(text)}
    return once | {escaped for text in once for escaped in _escaped(text)}


def _escaped(text: str) -> tuple[str, ...]:
    as_bytes = text.encode(errors="surrogatepass")
    return json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1], repr(as_bytes)[2:-1]


class _RedactingFormatter(LambdaPowertoolsFormatter):
    """Redacts the finished line, and so every field, exception and stack trace in it."""

    def format(self, record: logging.LogRecord) -> str:
        return _redact(super().format(record))


def _redact(text: str) -> str:
    for spellings in tuple(_redacting):
        for spelling in spellings:
            text = text.replace(spelling, "***")
    return text


class _NoTraces:
    """Replaces the X-Ray SDK where there is no X-Ray, and saves the time of its import."""

    def in_subsegment(self, name: str, **_: Any) -> AbstractContextManager["_NoTraces"]:
        return nullcontext(self)

    def put_annotation(self, key: str, value: Any) -> None:
        """Does nothing."""

    def put_metadata(self, key: str, value: Any, namespace: str = "") -> None:
        """Does nothing."""


def _tracer() -> Tracer:
    """A tracer that works only in Lambda. It patches no library: a traced HTTP request would carry its URL."""
    off = resolve_truthy_env_var_choice(os.environ.get("POWERTOOLS_TRACE_DISABLED", "false"))
    if off or not _IN_LAMBDA:
        provider: Any = _NoTraces()
        return Tracer(service=_SERVICE, auto_patch=False, disabled=False, provider=provider)
    return Tracer(service=_SERVICE, auto_patch=False)


_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "annohooks")
logger = Logger(service=_SERVICE, logger_formatter=_RedactingFormatter(utc=True, use_rfc3339=True))
metrics = Metrics(namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "annohooks"), service=_SERVICE)
tracer = _tracer()


@contextmanager
def subsegment(name: str) -> Iterator[None]:
    """A part of the trace. An error passes through it unrecorded: X-Ray would store the error's text."""
    failure = None
    with tracer.provider.in_subsegment(f"## {name}"):
        try:
            yield
        except Exception as error:
            failure = error
    if failure is not None:
        raise failure


def mark_team_code(path: Path) -> None:
    """Marks a file or folder as a team's own code: the log tells its author the text of an error it raises."""
    _team_code.add(path)


def log_unexpected(error: BaseException) -> None:
    """Logs an error that nobody foresaw: its type, and where it arose.

    Its text may quote the request. The log has it only where a team's own code raised the error. On a developer's
    machine the whole traceback goes to standard error; at LogLevel=DEBUG, to the log.
    """
    frames = traceback.extract_tb(error.__traceback__)
    fields: dict[str, Any] = {"frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]}
    own = [frame for frame in frames if _is_team_code(frame.filename)]
    if own:
        fields["team_code"] = f"{own[-1].filename}:{own[-1].lineno}"
        if own[-1] is frames[-1]:
            fields["error"] = str(error)[:_LONGEST_TEAM_MESSAGE]
    logger.error(
        "unexpected %s",
        type(error).__name__,
        extra=fields,
        exc_info=error if logger.log_level == logging.DEBUG else None,
    )
    if not _IN_LAMBDA:
        print(_redact("".join(traceback.format_exception(error))), file=sys.stderr, end="")


def _is_team_code(filename: str) -> bool:
    path = Path(filename)
    return any(path == marked or marked in path.parents for marked in _team_code)


def instrument(handler: Handler) -> Handler:
    """A Lambda handler with its context in every log line, its metrics written at the end, and a trace segment.

    Records neither event nor response. Lambda and X-Ray record the error that leaves a handler. So every error other
    than an AnnohooksError becomes a RuntimeError without its text.
    """

    def instrumented(event: Any, context: Any) -> Any:
        logger.thread_safe_clear_keys()
        invocation = ExitStack()
        token = _invocation.set(invocation)
        try:
            return handler(event, context)
        except AnnohooksError:
            raise
        except Exception as error:
            log_unexpected(error)
            raise RuntimeError(f"unexpected {type(error).__name__}; the log says where") from None
        finally:
            _invocation.reset(token)
            invocation.close()
            if metrics.metric_set:
                metrics.flush_metrics()

    traced = tracer.capture_lambda_handler(instrumented, capture_response=False, capture_error=False)
    logged: Handler = logger.inject_lambda_context(traced, log_event=False, clear_state=True)
    return logged
