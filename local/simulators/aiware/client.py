"""An HTTP client that behaves as Go's: the bytes of a request, redirects, and answers in gzip."""

from __future__ import annotations

import base64
import http.client
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from urllib.parse import unquote, urljoin, urlsplit

TOOLKIT_AGENT = "veritone-engine-toolkit"
GO_AGENT = "Go-http-client/1.1"
MAX_REDIRECTS = 10


class NoAnswer(Exception):
    """The request has no answer: refused, cut off, too late, or not HTTP. The text is the reason."""


@dataclass(frozen=True)
class Answer:
    """length: the Content-Length as in Go, -1 if unknown. followed: the number of redirects."""

    status: int
    headers: Message = field(repr=False)
    body: bytes = field(repr=False)
    length: int
    followed: int = 0

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


def send(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    *,
    agent: str = TOOLKIT_AGENT,
    host: str | None = None,
    timeout_s: float,
) -> Answer:
    """Sends a request and follows redirects: 301, 302 and 303 become a GET without the body. Raises NoAnswer.

    headers: in addition to Go's own. host: the Host header, if it is not the URL's. timeout_s: of each redirect.
    """
    for followed in range(MAX_REDIRECTS):
        answer = _exchange(method, url, headers, body, agent, host, time.monotonic() + timeout_s, followed)
        location = answer.headers.get("Location")
        if answer.status not in (301, 302, 303, 307, 308) or not location:
            return answer
        if answer.status < 307 and method not in ("GET", "HEAD"):
            method, body = "GET", None
        headers = {**headers, "Referer": _without_credentials(url)}
        url = urljoin(url, location)
    raise NoAnswer(f"stopped after {MAX_REDIRECTS} redirects")


def _exchange(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    agent: str,
    host: str | None,
    until: float,
    followed: int,
) -> Answer:
    split = urlsplit(url)
    connection_type = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}.get(split.scheme)
    if connection_type is None or not split.hostname:
        raise NoAnswer(f"unsupported protocol scheme {split.scheme!r}")
    connection = connection_type(split.hostname, split.port, timeout=max(until - time.monotonic(), 0.001))
    try:
        connection.putrequest(method, _target(url), skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", host or split.netloc.rpartition("@")[2])
        connection.putheader("User-Agent", agent)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        for name, value in sorted({**_credentials(url), **headers}.items()):
            connection.putheader(name, value)
        connection.putheader("Accept-Encoding", "gzip")
        connection.endheaders(body)
        reply = connection.getresponse()
        length = -1 if reply.length is None else reply.length
        content = reply.read()
        if reply.headers.get("Content-Encoding", "").lower() == "gzip":
            content, length = zlib.decompress(content, zlib.MAX_WBITS | 16), -1
        return Answer(reply.status, reply.headers, content, length, followed)
    except (OSError, http.client.HTTPException, zlib.error) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()


def _target(url: str) -> str:
    split = urlsplit(url)
    return (split.path or "/") + (f"?{split.query}" if split.query else "")


def _credentials(url: str) -> dict[str, str]:
    """Basic credentials from the user and password of a URL, as in Go."""
    userinfo, at, _ = urlsplit(url).netloc.rpartition("@")
    if not at:
        return {}
    user, _, password = userinfo.partition(":")
    encoded = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


def _without_credentials(url: str) -> str:
    split = urlsplit(url)
    return split._replace(netloc=split.netloc.rpartition("@")[2]).geturl()
