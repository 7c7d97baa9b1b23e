"""Requests to other servers: only to allowed origins, at an address that was checked, within limits.

The name is resolved once and its address is checked. Every connection goes to that address, so the address cannot
change between the check and its use. Redirects are never followed.
"""

import copy
import io
import logging
import math
import ssl
import threading
from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import BinaryIO, NamedTuple
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProtocolError, SSLError
from urllib3.exceptions import TimeoutError as PoolTimeout

from annohooks import __version__
from annohooks.core import retry
from annohooks.core.deadline import Deadline
from annohooks.core.errors import AnnohooksError, BadRequest, Upstream, UpstreamStatus, UpstreamTimeout
from annohooks.core.origins import Origin, permitted_address, split_url
from annohooks.core.retry import Backoff

# urllib3 quotes URLs in its warnings, and a URL may hold a token.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)

_PIECE_BYTES = 64 * 1024
_REPEATABLE_STATUSES = (502, 503, 504)


class Reply(NamedTuple):
    """A server's whole answer. body: empty when it was written into a file."""

    status: int
    headers: urllib3.HTTPHeaderDict
    body: bytes


class ConnectionFailed(Upstream):
    """The connection failed or broke. Another attempt may succeed."""


class NotConnected(ConnectionFailed):
    """There was no connection, so nothing was sent. Another attempt cannot do anything twice."""


class Outbound:
    """Requests to one origin during one webhook. Threads may share it. Close it, or use it in a `with` statement.

    origin: from `Origins.match`. deadline: limits every request. platform: the server's name in messages. connections:
    the most connections at once; further threads wait. Resolves the name: raises Forbidden if one of its addresses is
    not public and the origin is not listed explicitly, Upstream if the name is not known.
    """

    def __init__(
        self,
        origin: Origin,
        deadline: Deadline,
        *,
        platform: str,
        connect_timeout_s: float = 5.0,
        read_timeout_s: float = 30.0,
        connections: int = 6,
    ) -> None:
        self.origin = str(origin)
        self._origin = origin
        self._deadline = deadline
        self._platform = platform
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        address = permitted_address(origin, platform)
        self._pool: urllib3.HTTPConnectionPool
        if origin.scheme == "https":
            self._pool = urllib3.HTTPSConnectionPool(
                address,
                origin.port,
                maxsize=connections,
                block=True,
                server_hostname=origin.host,
                ssl_context=_tls_context(),
            )
        else:
            self._pool = urllib3.HTTPConnectionPool(address, origin.port, maxsize=connections, block=True)

    def __enter__(self) -> "Outbound":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes every connection."""
        self._pool.close()

    def until(self, deadline: Deadline) -> "Outbound":
        """The same connections with another deadline, for requests that must still follow the first deadline."""
        other = copy.copy(self)
        other._deadline = deadline
        return other

    def locate(self, url_or_path: str) -> str:
        """Path and query of a Location header. Raises Upstream if it leads to another origin."""
        relative = url_or_path.startswith("/") and not url_or_path.startswith("//")
        parsed = split_url(self.origin + url_or_path if relative else url_or_path)
        if parsed is None or parsed[0] != self._origin._replace(explicit=False):
            raise Upstream(f"{self._platform} referred to another server; annohooks does not follow such addresses.")
        path, _, _ = parsed[1].partition("#")
        return path if path.startswith("/") else f"/{path}"

    def request(
        self,
        method: str,
        path: str,
        *,
        doing: str,
        query: Mapping[str, object] | None = None,
        form: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int = 1024 * 1024,
        accept: Container[int] = (200,),
        attempts: int = 1,
        into: BinaryIO | None = None,
        body_matters: bool = True,
    ) -> Reply:
        """Sends one request and returns the whole reply.

        path: absolute, with or without a query. query: appended to the path. form: sent url-encoded as the body.
        doing: names the work in messages, as in "reading the slide's metadata". max_bytes: the most bytes of the
        reply's body. accept: the statuses to return. attempts: more than one repeats failed connections and the
        statuses 502, 503 and 504; only for requests that may be repeated. into: an open file that gets the body, from
        its present position. body_matters: False leaves the body unread.
        Raises DeadlineExceeded, UpstreamTimeout, NotConnected, ConnectionFailed, UpstreamStatus for every other status,
        Upstream for everything else, BadRequest for a header that cannot be sent.
        """
        target = f"{path}{'&' if '?' in path else '?'}{urlencode(query)}" if query else path
        sent = {"User-Agent": f"annohooks/{__version__}", **(headers or {}), "Host": self._origin.netloc}
        if form is not None:
            body = urlencode(form).encode()
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        start = into.tell() if into else 0

        def attempt() -> Reply:
            if into:
                into.seek(start)
                into.truncate()
            return self._once(method, target, sent, body, doing, max_bytes if body_matters else None, accept, into)

        return retry.call(attempt, Backoff(first_s=0.2, attempts=attempts), _is_repeatable, self._deadline)

    def _once(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        doing: str,
        max_bytes: int | None,
        accept: Container[int],
        into: BinaryIO | None,
    ) -> Reply:
        if body:
            headers = {**headers, "Content-Length": str(len(body))}
        timeout = urllib3.Timeout(
            connect=self._deadline.timeout_s(self._connect_timeout_s, doing),
            read=self._deadline.timeout_s(self._read_timeout_s, doing),
        )
        try:
            response = self._pool.urlopen(
                method,
                target,
                body=self._pieces(body, doing) if body else None,
                headers=headers,
                timeout=timeout,
                pool_timeout=self._deadline.timeout_s(math.inf, doing),  # type: ignore[arg-type]
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
            )
            try:
                if response.status not in accept:
                    raise self._refusal(response.status, doing)
                content = io.BytesIO()
                if max_bytes is not None:
                    self._read(response, doing, max_bytes, into or content)
                return Reply(response.status, response.headers, content.getvalue())
            finally:
                if response.connection is not None:
                    response.close()
                    response.release_conn()
        except HTTPError as error:
            failure: AnnohooksError = self._failure(error, doing)
        except ValueError:
            failure = BadRequest(f"A value in the request cannot be sent to {self._platform}.")
        # Not raised above, where the error would carry its cause: the cause's text may hold the URL or a header.
        self._deadline.check(doing)
        raise failure

    def _pieces(self, body: bytes, doing: str) -> Iterator[bytes]:
        """The body in pieces. A time-out applies to one piece, so the body may be of any length."""
        for start in range(0, len(body), _PIECE_BYTES):
            self._deadline.check(doing)
            yield body[start : start + _PIECE_BYTES]

    def _read(self, response: urllib3.BaseHTTPResponse, doing: str, max_bytes: int, into: BinaryIO) -> None:
        count = 0
        # A read may block for the whole read time-out. The watchdog ends it by shutting the socket at the deadline.
        watchdog = threading.Timer(self._deadline.remaining_s(), _shut, [response])
        watchdog.daemon = True
        watchdog.start()
        try:
            while True:
                if count + (getattr(response, "length_remaining", None) or 0) > max_bytes:
                    raise Upstream(f"{self._platform} sent more than {max_bytes} bytes while {doing}.")
                piece = response.read1(_PIECE_BYTES)
                self._deadline.check(doing)
                if not piece:
                    return
                count += len(piece)
                into.write(piece)
        finally:
            watchdog.cancel()

    def _refusal(self, status: int, doing: str) -> Upstream:
        if 300 <= status < 400:
            return Upstream(f"{self._platform} answered with a redirect while {doing}; redirects are not followed.")
        return UpstreamStatus(f"{self._platform} answered with status {status} while {doing}.", status)

    def _failure(self, error: HTTPError, doing: str) -> Upstream:
        if isinstance(error, (NewConnectionError, ConnectTimeoutError)):
            return NotConnected(f"{self._platform} could not be reached while {doing}.")
        if isinstance(error, PoolTimeout) or (
            isinstance(error, ProtocolError) and any(isinstance(arg, TimeoutError) for arg in error.args)
        ):
            return UpstreamTimeout(f"{self._platform} did not answer in time while {doing}.")
        if isinstance(error, ProtocolError):
            return ConnectionFailed(f"{self._platform} broke the connection off while {doing}.")
        if isinstance(error, SSLError):
            refused = any(isinstance(arg, ssl.SSLCertVerificationError) for arg in error.args)
            why = ": its certificate was refused." if refused else "."
            return Upstream(f"No secure connection to {self._platform} could be made while {doing}{why}")
        return Upstream(f"{self._platform} sent a reply that cannot be read while {doing}.")


def _is_repeatable(error: Exception) -> bool:
    if isinstance(error, UpstreamStatus):
        return error.reply_status in _REPEATABLE_STATUSES
    return isinstance(error, ConnectionFailed)


def _shut(response: urllib3.BaseHTTPResponse) -> None:
    with suppress(OSError, RuntimeError, ValueError):  # already read, closed or released
        response.shutdown()


@cache
def _tls_context() -> ssl.SSLContext:
    """Trusted certificates, read once per process. SSL_CERT_FILE names another file, for a private authority."""
    return ssl.create_default_context()
