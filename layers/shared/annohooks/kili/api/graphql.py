"""GraphQL over HTTP: one operation at a time, sent again only when that can do no harm.

Which failures are retried, and how often, is the policy of Kili's SDK, whose package `kili` 26.2.4 has it in
kili/core/graphql/retry.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from annohooks.core import retry
from annohooks.core.deadline import Deadline
from annohooks.core.errors import (
    AnnohooksError,
    BadRequest,
    DeadlineExceeded,
    Forbidden,
    Unavailable,
    Upstream,
    UpstreamStatus,
    UpstreamTimeout,
)
from annohooks.core.http import ConnectionFailed, NotConnected, Outbound, Reply
from annohooks.core.json_text import any_json
from annohooks.core.observability import logger
from annohooks.kili.settings import Endpoint

PLATFORM = "Kili"
ANSWER_S = 1.0
"""Seconds kept free at the end of a request's time for the answer. No pause before another attempt uses them."""

REPLY_BYTES = 10_000_000
"""The most bytes of an answer, unless the caller expects more."""

_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY = re.compile(r"[\x21-\x7e]+")
_ANY_STATUS = range(200, 600)
_CODE = re.compile(r"\[([A-Za-z0-9_.:-]{1,60})\]")
_DETAIL = 500

# Attempts, by what the failure says about the operation. An operation that Kili has not processed may always be sent
# again; the deadline is then the real limit. A refused key is nearly always wrong, and would make every event wait.
_NOT_PROCESSED = 20
_KEY_REFUSED = 3
_UNCERTAIN = 5
_HEAVY = 2
_ONCE = 1

_NOT_PROCESSED_STATUS = {401: _KEY_REFUSED, 429: _NOT_PROCESSED, 521: _NOT_PROCESSED}
_UNCERTAIN_STATUS = {500: _ONCE, 504: _HEAVY, 524: _HEAVY}
_NOT_FORWARDED = re.compile(rb"no healthy upstream|reset reason: (?:overflow|(?:remote )?connection failure)")
_TRANSIENT = re.compile("Failed to fetch data connection|Invalid request made to Flagsmith API")
# Full jitter: clients that fail together do not come back together.
_BACKOFF = retry.Backoff(first_s=1, longest_s=30, jitter=1)
_LONGEST_RETRY_AFTER_S = 60.0


def fragment(fields: Iterable[str]) -> str:
    """The GraphQL selection of fields such as "id" and "author.email". Raises ValueError for an invalid name."""
    tree: dict[str, Any] = {}
    for field in fields:
        branch = tree
        for name in field.split("."):
            if not _FIELD.fullmatch(name):
                raise ValueError(f"{field!r} is not the name of a field")
            branch = branch.setdefault(name, {})
    return _selection(tree)


def _selection(tree: dict[str, Any]) -> str:
    return " ".join(f"{name} {{ {_selection(fields)} }}" if fields else name for name, fields in tree.items())


class OutcomeUnknown(Upstream):
    """Kili may have carried a mutation out, or not. Read the state from Kili before sending it again."""


class Refused(Upstream):
    """Kili answered with GraphQL errors. texts: their messages.

    code: the token in brackets at the start of the first message, "" if there is none. detail: the first message,
    shortened. It may quote what was sent, so it is for the operator alone. unknown_field: the operation uses a field
    that this version of Kili does not have. transient: the same query may succeed later.
    """

    def __init__(self, texts: list[str], doing: str) -> None:
        code = _CODE.match(texts[0])
        self.code = code[1] if code else ""
        self.detail = texts[0][:_DETAIL]
        self.unknown_field = any("Cannot query field" in text for text in texts)
        self.transient = any(_TRANSIENT.search(text) for text in texts)
        super().__init__(f"{PLATFORM} refused the request while {doing}{f' ({self.code})' * bool(code)}.")


class _Failure(NamedTuple):
    """An attempt without a result.

    attempts: the most attempts after such a failure. uncertain: Kili may have carried the operation out.
    """

    error: AnnohooksError
    attempts: int
    uncertain: bool = False
    retry_after_s: float | None = None


class Session:
    """Operations on one GraphQL endpoint with one key, all before one deadline; close it when done.

    read_timeout_s: for one attempt. Raises Unavailable if a header cannot hold the key.
    """

    def __init__(self, endpoint: Endpoint, api_key: str, deadline: Deadline, read_timeout_s: float) -> None:
        if not _KEY.fullmatch(api_key):
            raise Unavailable(f"The API key for {PLATFORM} has characters that cannot be sent.")
        self._endpoint = endpoint
        self._api_key = api_key
        self._deadline = deadline
        self._read_timeout_s = read_timeout_s
        self._outbound: Outbound | None = None

    def close(self) -> None:
        """Closes the connection. Another operation opens a new one."""
        if self._outbound is not None:
            self._outbound.close()
            self._outbound = None

    def execute(
        self,
        document: str,
        variables: dict[str, Any],
        *,
        doing: str,
        mutation: bool = False,
        max_bytes: int = REPLY_BYTES,
    ) -> Any:
        """The value of the only root field, or all of them in a dict if there are several.

        doing: what messages say was going on. max_bytes: the most bytes of the reply. A mutation is sent again only if
        Kili cannot have carried it out. Raises OutcomeUnknown when Kili may have carried a mutation out; Refused;
        DeadlineExceeded for a query; Forbidden; BadRequest for variables that cannot be sent; and Upstream
        (UpstreamStatus, UpstreamTimeout) for everything else.
        """
        try:
            body = msgspec.json.encode({"query": document, "variables": variables})
        except (TypeError, ValueError, RecursionError):  # a lone surrogate, a NaN as key, a circle
            raise BadRequest(f"A value cannot be sent to {PLATFORM} while {doing}.") from None
        attempt = 0
        while True:
            attempt += 1
            answer = self._attempt(body, doing, mutation, max_bytes)
            if not isinstance(answer, _Failure):
                return answer
            if answer.uncertain and mutation:
                raise OutcomeUnknown(
                    f"{answer.error.message} {PLATFORM} may have carried it out anyway, so it is not repeated."
                )
            pause_s = _BACKOFF.pause_s(attempt) if answer.retry_after_s is None else answer.retry_after_s
            if attempt >= answer.attempts or not retry.pause(pause_s, self._deadline, ANSWER_S):
                raise answer.error
            logger.info("trying again", extra={"reason": answer.error.message, "attempt": attempt, "pause_s": pause_s})

    def _attempt(self, body: bytes, doing: str, mutation: bool, max_bytes: int) -> Any:
        """Sends the operation once. Returns the answer's value, or a _Failure."""
        self._deadline.check(doing)
        try:
            if self._outbound is None:
                self._outbound = self._connect()
            reply = self._outbound.request(
                "POST",
                self._endpoint.path,
                doing=doing,
                headers={
                    "Authorization": f"X-API-Key: {self._api_key}",
                    "Accept": "application/json",
                    "Content-Type": "application/json",
                },
                body=body,
                max_bytes=max_bytes,
                accept=_ANY_STATUS,
            )
        except NotConnected as error:
            return _Failure(error, _NOT_PROCESSED)
        except UpstreamTimeout as error:
            return _Failure(error, _HEAVY, uncertain=True)
        except ConnectionFailed as error:
            return _Failure(error, _UNCERTAIN, uncertain=True)
        except (Upstream, DeadlineExceeded) as error:
            return _Failure(error, _ONCE, uncertain=True)
        return self._result(reply, doing, mutation)

    def _connect(self) -> Outbound:
        try:
            return Outbound(
                self._endpoint.origin,
                self._deadline,
                platform=PLATFORM,
                read_timeout_s=self._read_timeout_s,
                connections=1,
            )
        except Forbidden:
            raise
        except Upstream as error:  # the name server does not know the host, or does not answer
            raise NotConnected(error.message) from None

    def _result(self, reply: Reply, doing: str, mutation: bool) -> Any:
        """The value in a reply, or a _Failure. Raises Refused for GraphQL errors: they mean that Kili has decided."""
        status = reply.status
        if status in _NOT_PROCESSED_STATUS or (status == 503 and _not_forwarded(reply.body)):
            verdict = "refused the API key" if status == 401 else f"answered with status {status}"
            failure = UpstreamStatus(f"{PLATFORM} {verdict} while {doing}.", status)
            attempts = _NOT_PROCESSED_STATUS.get(status, _NOT_PROCESSED)
            return _Failure(failure, attempts, retry_after_s=_retry_after_s(reply.headers.get("Retry-After")))
        try:
            answer = any_json(reply.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            answer = None
        fields: dict[str, Any] = answer if isinstance(answer, dict) else {}
        if errors := fields.get("errors"):
            refused = self._refused(errors, doing)
            if mutation or not refused.transient:
                raise refused
            return _Failure(refused, _UNCERTAIN)
        if status >= 300:
            return _refused_by_status(reply, doing)
        data = fields.get("data")
        if isinstance(data, dict) and data:
            return next(iter(data.values())) if len(data) == 1 else data
        return _Failure(
            Upstream(f"{PLATFORM} answered something unexpected while {doing}."), _UNCERTAIN, uncertain=True
        )

    def _refused(self, errors: Any, doing: str) -> Refused:
        listed = errors if isinstance(errors, list) else []
        messages = [error["message"] for error in listed if isinstance(error, dict) and "message" in error]
        texts = [str(message).replace(self._api_key, "***") for message in messages] or [""]
        return Refused(texts, doing)


def _not_forwarded(body: bytes) -> bool:
    """Whether the proxy in front of Kili (Envoy) wrote this 503 and none of its own attempts reached Kili."""
    return b"retried" not in body and _NOT_FORWARDED.search(body) is not None


def _refused_by_status(reply: Reply, doing: str) -> _Failure:
    status = reply.status
    if status < 400:
        message = f"{PLATFORM} answered with a redirect while {doing}; redirects are not followed."
        return _Failure(UpstreamStatus(message, status), _ONCE)
    failure = UpstreamStatus(f"{PLATFORM} answered with status {status} while {doing}.", status)
    if status < 500:
        return _Failure(failure, _ONCE)
    attempts = _UNCERTAIN_STATUS.get(status, _UNCERTAIN)
    return _Failure(failure, attempts, uncertain=True, retry_after_s=_retry_after_s(reply.headers.get("Retry-After")))


def _retry_after_s(header: str | None) -> float | None:
    """Seconds that the server asks for, within limits. None for a date, and for anything else."""
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_S) if seconds == seconds else None
