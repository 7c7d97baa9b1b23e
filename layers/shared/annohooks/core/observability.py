"""Logs, metrics and traces, by Powertools; with secrets kept out of them."""

import json
import logging
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from urllib.parse import quote, quote_plus

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.shared.functions import resolve_truthy_env_var_choice

from annohooks.core.errors import AnnohooksError

Handler = Callable[[Any, Any], Any]

_SHORTEST_REDACTED = 4
_LONGEST_REDACTED = 2048
_redacting: list[tuple[str, ...]] = []

# Mangum logs an application's exception with its text, which may quote a request.
logging.getLogger("mangum").setLevel(logging.CRITICAL)


@contextmanager
def redacted(*values: str | None) -> Iterator[None]:
    """While open, each of these strings of 4 characters or more is *** in every line logged, by any thread.

    Found too where it is percent-encoded, or escaped by JSON or repr, once or twice. Of a string longer than any real
    token only the beginning is looked for.
    """
    looked_for = (value[:_LONGEST_REDACTED] for value in values if value and len(value) >= _SHORTEST_REDACTED)
    spellings = {spelling for value in looked_for for spelling in _spellings(value)}
    longest_first = tuple(sorted(spellings, key=len, reverse=True))
    _redacting.append(longest_first)
    try:
        yield
    finally:
        _redacting.remove(longest_first)


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
    """Redacts the finished line, so that no field, exception or stack trace is forgotten."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        for spellings in tuple(_redacting):
            for spelling in spellings:
                line = line.replace(spelling, "***")
        return line


class _NoTraces:
    """Stands in for the X-Ray SDK where there is no X-Ray, and spares its import."""

    def in_subsegment(self, name: str, **_: Any) -> AbstractContextManager["_NoTraces"]:
        return nullcontext(self)

    def put_annotation(self, key: str, value: Any) -> None:
        """Goes nowhere, as does metadata."""

    def put_metadata(self, key: str, value: Any, namespace: str = "") -> None:
        pass


def _tracer() -> Tracer:
    """Traces only in Lambda itself, and never patches libraries: a traced request would carry its URL."""
    off = resolve_truthy_env_var_choice(os.environ.get("POWERTOOLS_TRACE_DISABLED", "false"))
    if off or "LAMBDA_TASK_ROOT" not in os.environ or "AWS_SAM_LOCAL" in os.environ:
        provider: Any = _NoTraces()
        return Tracer(service=_SERVICE, auto_patch=False, disabled=False, provider=provider)
    return Tracer(service=_SERVICE, auto_patch=False)


_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "annohooks")
logger = Logger(service=_SERVICE, logger_formatter=_RedactingFormatter(utc=True, use_rfc3339=True))
metrics = Metrics(namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "annohooks"), service=_SERVICE)
tracer = _tracer()


@contextmanager
def subsegment(name: str) -> Iterator[None]:
    """A part of the trace. An error inside leaves it without a word: X-Ray would record its text."""
    failure = None
    with tracer.provider.in_subsegment(f"## {name}"):
        try:
            yield
        except Exception as error:
            failure = error
    if failure is not None:
        raise failure


def log_unexpected(error: BaseException) -> None:
    """Logs an error nobody foresaw by its type and where it arose; its text may quote the request, and is left out."""
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    logger.error("unexpected %s", type(error).__name__, extra={"frames": frames})


def instrument(handler: Handler) -> Handler:
    """A Lambda handler with its context in every log line, its metrics written at the end, and a trace segment.

    Neither event nor response is recorded. An error that leaves the handler is one of ours, whose message is fit to
    show, or becomes a RuntimeError without its text: Lambda and X-Ray record what they see.
    """

    def instrumented(event: Any, context: Any) -> Any:
        try:
            return handler(event, context)
        except AnnohooksError:
            raise
        except Exception as error:
            log_unexpected(error)
            raise RuntimeError(f"unexpected {type(error).__name__}; the log says where") from None
        finally:
            if metrics.metric_set:
                metrics.flush_metrics()

    traced = tracer.capture_lambda_handler(instrumented, capture_response=False, capture_error=False)
    logged: Handler = logger.inject_lambda_context(traced, log_event=False, clear_state=True)
    return logged
