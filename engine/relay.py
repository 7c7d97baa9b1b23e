"""The relay of an aiWARE engine: it forwards the Engine Toolkit's requests to annohooks, and annohooks' messages back.

The toolkit runs in this container and accepts heartbeats and results on loopback only, where the API cannot reach it.
So the relay forwards ready and process to the API. When a chunk becomes a job, it collects the job's messages there by
long poll and posts them to the toolkit, in order. It acknowledges a message once the toolkit has accepted it. A file
for each job holds the number of the last accepted message, so that a restarted relay continues from there.

Standard library only, Python 3.9 or newer. README.md lists the settings and the guarantees.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import functools
import http.client
import ipaddress
import itertools
import json
import logging
import os
import pwd
import random
import re
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message as Headers
from email.parser import BytesHeaderParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

PORT = 8888
JOB_HEADER = "X-Annohooks-Job"
MAX_BODY_BYTES = 4_700_000
"""Of a form: the limit of API Gateway and Lambda. A chunk of 4.4 MiB and its fields fit."""
MAX_ANSWER_BYTES = 16 << 20
MAX_DISCARDED_BYTES = 256 << 20
MAX_CONNECTIONS = 16
MAX_JOBS = 64
MAX_PARTS, MAX_PART_HEADER_BYTES = 256, 8192
"""Of a form: the limits of annohooks."""
DAY_S, WEEK_S = 86_400, 7 * 86_400

_JOB_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_URL = re.compile(r"[!-~]{1,2048}")
_BOUNDARY = re.compile(r"[ -~]{1,70}")
_TRANSIENT = (408, 429)
_BUSY = (429, 502, 503, 504)

log = logging.getLogger("relay")


class Misconfigured(ValueError):
    """The environment is wrong. The text says which variable to set."""


class BadForm(ValueError):
    """The form cannot be forwarded. The text names the problem, and quotes nothing of the form."""


class NoAnswer(Exception):
    """There is no answer, or it cannot be used. The text is safe for a log."""


class UnknownJob(Exception):
    """annohooks has no such job, or no longer has it."""


class Refused(Exception):
    """The toolkit refused a message repeatedly. status: of the last answer."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class GivenUp(Exception):
    """The relay no longer collects this job's messages. The text is the reason."""


class Stopped(Exception):
    """The relay is stopping. The next one continues."""


@dataclass(frozen=True)
class Timing:
    """Time limits in seconds, and pauses between attempts.

    ready_s, process_s, post_s: of one request. patience_s: of all attempts to forward process. wait_s: the long poll of
    annohooks; poll_s: its time limit beyond that. beat_s: time without a heartbeat after which the last one is
    repeated. gone_s: time without success after which the toolkit's webhooks count as gone. late_s: time that a job may
    take beyond its own limit. end_s: of the stop. refusals: after so many, a message is not sent again.
    """

    ready_s: float = 10
    process_s: float = 35
    patience_s: float = 20
    wait_s: int = 20
    poll_s: float = 15
    post_s: float = 20
    beat_s: float = 40
    gone_s: float = 300
    late_s: float = 300
    end_s: float = 5
    first_pause_s: float = 0.5
    longest_pause_s: float = 30
    refusals: int = 3

    def pause_s(self, attempts: int) -> float:
        """The pause before the next attempt. It doubles each time; a random part keeps relays from acting in step."""
        return min(self.longest_pause_s, self.first_pause_s * 2.0 ** min(attempts, 16)) * random.uniform(0.5, 1)


@dataclass(frozen=True)
class Settings:
    """url: of the API's stage. authorization: the value of that header. user: the user that root changes to."""

    url: str
    authorization: str = field(repr=False)
    port: int = PORT
    state: Path = Path("/tmp/annohooks-relay")
    user: str = ""


def settings(environment: Mapping[str, str]) -> Settings:
    """The settings in the environment. Raises Misconfigured, which never quotes the secret."""
    url = environment.get("ANNOHOOKS_URL", "").rstrip("/")
    if not url:
        raise Misconfigured("ANNOHOOKS_URL is not set: the URL of the annohooks API, its stage included.")
    split = _split(url)
    if split is None or split.username is not None or split.query or split.fragment:
        raise Misconfigured("ANNOHOOKS_URL must be a URL without credentials, query and fragment.")
    if split.scheme != "https" and not (split.scheme == "http" and is_local(split.hostname)):
        raise Misconfigured("ANNOHOOKS_URL must begin with https://, except on this machine.")
    secret = environment.get("ANNOHOOKS_SECRET", "")
    if not secret and (path := environment.get("ANNOHOOKS_SECRET_FILE")):
        try:
            secret = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(f"ANNOHOOKS_SECRET_FILE cannot be read: {type(error).__name__}.") from None
    if not secret:
        raise Misconfigured("Neither ANNOHOOKS_SECRET nor ANNOHOOKS_SECRET_FILE holds a secret.")
    user = environment.get("ANNOHOOKS_USER") or "aiware"
    if ":" in user:
        raise Misconfigured("ANNOHOOKS_USER must be without a colon.")
    port = environment.get("ANNOHOOKS_RELAY_PORT") or str(PORT)
    if not port.isdecimal() or int(port) > 65535:
        raise Misconfigured("ANNOHOOKS_RELAY_PORT must be a port.")
    return Settings(
        url=url,
        authorization="Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode(),
        port=int(port),
        state=Path(environment.get("ANNOHOOKS_RELAY_STATE") or Settings.state),
        user=environment.get("ANNOHOOKS_RELAY_USER", ""),
    )


def _split(url: str) -> SplitResult | None:
    """The parts of a URL; None if another parser could read it differently."""
    try:
        split = urlsplit(url)
        return split if _URL.fullmatch(url) and split.hostname and (split.port is None or split.port) else None
    except ValueError:
        return None


def is_local(host: str | None) -> bool:
    """Whether a host is this container: loopback by name or address, or 0.0.0.0, which is loopback on Linux."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified


# ---- HTTP


@dataclass(frozen=True)
class Answer:
    """An answer of the API, the toolkit or the relay. job: the value of X-Annohooks-Job."""

    status: int
    content_type: str | None
    body: bytes = field(repr=False)
    job: str | None = None


def text(status: int, sentence: str) -> Answer:
    """A text answer of the relay itself. The toolkit shows it as failureMsg."""
    return Answer(status, "text/plain; charset=utf-8", sentence.encode())


@functools.lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


class Call:
    """One request on its own connection. Redirects are not followed."""

    def __init__(
        self, method: str, url: str, timeout_s: float, headers: Mapping[str, str], body: bytes | None = None
    ) -> None:
        self._request = (method, urlsplit(url), headers, body)
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._aborted = False

    def abort(self) -> None:
        """Ends the call from another thread. `answer` then raises NoAnswer."""
        self._aborted = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket.shutdown, which would unwrap the session that another thread reads from.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def answer(self, with_body: bool = True) -> Answer:
        """The answer. Raises NoAnswer: no connection, cut off, too large, or too late."""
        method, url, headers, body = self._request
        connection = (
            http.client.HTTPSConnection(url.hostname or "", url.port, timeout=self._timeout_s, context=_tls())
            if url.scheme == "https"
            else http.client.HTTPConnection(url.hostname or "", url.port, timeout=self._timeout_s)
        )
        # A socket's timeout limits silence only. This timer also ends an answer that comes byte by byte.
        timer = threading.Timer(self._timeout_s, self.abort)
        timer.daemon = True
        timer.start()
        try:
            connection.connect()
            self._socket = connection.sock
            if self._aborted:
                raise TimeoutError
            target = (url.path or "/") + (f"?{url.query}" if url.query else "")
            connection.request(method, target, body, {**headers, "User-Agent": "annohooks-relay"})
            reply = connection.getresponse()
            content = bytearray()
            while with_body and (piece := reply.read(1 << 16)):
                content += piece
                if len(content) > MAX_ANSWER_BYTES:
                    raise NoAnswer("the answer is too large")
            if self._aborted:
                raise TimeoutError
            if with_body and reply.length:
                raise http.client.IncompleteRead(b"")
        except (OSError, http.client.HTTPException, ValueError) as error:
            # The error's text could contain a URL.
            raise NoAnswer("TimeoutError" if self._aborted else type(error).__name__) from None
        finally:
            timer.cancel()
            connection.close()
        return Answer(reply.status, reply.getheader("Content-Type"), bytes(content), reply.getheader(JOB_HEADER))


# ---- the form


@dataclass(frozen=True)
class Webhooks:
    """The toolkit's webhooks, None if absent. max_ttl_s: how long the toolkit waits for messages, 0 if unknown."""

    heartbeat: str | None = field(default=None, repr=False)
    result: str | None = field(default=None, repr=False)
    max_ttl_s: float = 0


def webhooks(content_type: str, body: bytes) -> Webhooks:
    """The webhooks that a form names. Raises BadForm if it is malformed, or a webhook is outside this container."""
    header = Headers()
    header["Content-Type"] = content_type
    boundary = header.get_boundary() or ""
    if header.get_content_type() != "multipart/form-data" or not _BOUNDARY.fullmatch(boundary):
        raise BadForm("The Content-Type is not multipart/form-data with a boundary of at most 70 ASCII characters.")
    first, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(), MAX_PARTS + 2)
    if len(parts) > MAX_PARTS + 1:  # the last one follows the final boundary
        raise BadForm(f"The form has more than {MAX_PARTS} parts.")
    if first or not parts or parts.pop() not in (b"--", b"--\r\n"):
        raise BadForm("The form does not begin and end with its boundary.")
    fields: dict[str, str] = {}
    for part in parts:
        lines, end, value = part.partition(b"\r\n\r\n")
        if not lines.startswith(b"\r\n") or not end:
            raise BadForm("The form has a part without headers.")
        if len(lines) > MAX_PART_HEADER_BYTES:
            raise BadForm(f"The form has a part with headers of more than {MAX_PART_HEADER_BYTES} bytes.")
        name = BytesHeaderParser().parsebytes(lines[2:]).get_param("name", header="Content-Disposition")
        if name in ("heartbeatWebhook", "resultWebhook", "maxTTL"):
            if name in fields:
                raise BadForm(f"{name} is given twice.")
            fields[str(name)] = value.decode(errors="replace").strip()
    return Webhooks(
        _webhook(fields, "heartbeatWebhook"), _webhook(fields, "resultWebhook"), _seconds(fields.get("maxTTL"))
    )


def _webhook(fields: Mapping[str, str], name: str) -> str | None:
    """A webhook's URL, None if absent. Raises BadForm if it is outside this container."""
    url = fields.get(name)
    if not url:
        return None
    split = _split(url)
    if split is None or split.scheme != "http" or split.username is not None or not is_local(split.hostname):
        # Otherwise a client of this port could make the relay post to any server.
        raise BadForm(f"{name} is not an http URL of this container; the relay posts to no other.")
    return url


def _seconds(value: object) -> float:
    """A positive number of seconds, 0 for any other value."""
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return 0
    return seconds if 0 < seconds < float("inf") else 0


# ---- messages of a job


@dataclass(frozen=True)
class Message:
    """A message to one webhook. sequence: its number in the job, from 1. body: {} if the content is not JSON."""

    sequence: int
    webhook: str
    content: bytes = field(repr=False)
    content_type: str = "application/json"
    body: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def decode(cls, item: Mapping[str, Any]) -> Message:
        """A message of the API, which has `body`, or `base64` and `content_type`."""
        number, webhook = item["sequence"], item["webhook"]
        if type(number) is not int or webhook not in ("heartbeat", "result"):
            raise ValueError
        if "base64" in item:
            return cls(number, webhook, base64.b64decode(item["base64"], validate=True), str(item["content_type"]))
        body = item["body"]
        if not isinstance(body, dict):
            raise ValueError
        return cls(number, webhook, _json(body), body=body)

    @property
    def running(self) -> bool:
        return self.webhook == "heartbeat" and self.body.get("status") == "running"


def messages(content: bytes, after: int) -> tuple[list[Message], bool]:
    """The messages after a number in the API's answer to a poll, and whether the job has ended. Raises NoAnswer."""
    try:
        document = json.loads(content, parse_constant=_refuse_constant)
        new = [Message.decode(item) for item in document["messages"]]
        done = document["done"] is True
    except (ValueError, KeyError, TypeError):
        raise NoAnswer("the answer cannot be read") from None
    for message in new:
        if message.sequence <= after:
            raise NoAnswer("the messages are not in order")
        after = message.sequence
    return new, done


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()


def _refuse_constant(constant: str) -> None:
    raise ValueError(constant)


def collapsed(batch: list[Message]) -> Iterator[Message]:
    """The messages without each running heartbeat that another one follows directly."""
    for message, following in itertools.zip_longest(batch, batch[1:]):
        if following is None or not (message.running and following.running):
            yield message


@dataclass
class Job:
    """The state of a job that a restart needs.

    heartbeat, result: the toolkit's webhooks. after: the number of the last accepted message, None before the first.
    beat: the last running heartbeat; messagesWritten in it counts the accepted results. ended: the toolkit has accepted
    the heartbeat that ends the job.
    """

    name: str
    heartbeat: str = field(repr=False)
    result: str = field(repr=False)
    expires_at: float
    after: int | None = None
    beat: dict[str, Any] = field(default_factory=lambda: {"status": "running"}, repr=False)
    ended: bool = False


class Store:
    """One file for each job. If it cannot be written, the relay logs that and continues: only a restart reads it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def save(self, job: Job) -> None:
        path = self._path(job.name)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.with_suffix(".new").write_text(json.dumps(dataclasses.asdict(job)))
            path.with_suffix(".new").replace(path)
        except OSError as error:
            log.warning("job %s: its state cannot be saved: %s", job.name, type(error).__name__)

    def forget(self, name: str) -> None:
        with contextlib.suppress(OSError):
            self._path(name).unlink()

    def jobs(self) -> Iterator[Job]:
        """The jobs of an earlier relay. Removes files that are invalid or too old."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                job = Job(**json.loads(path.read_text()))
                urls = {"heartbeat": job.heartbeat, "result": job.result}
                valid = (
                    _JOB_NAME.fullmatch(job.name)
                    and job.name == path.stem
                    and all(_webhook(urls, name) for name in urls)
                    and isinstance(job.beat, dict)
                    and (job.after is None or type(job.after) is int)
                )
                fresh = time.time() < job.expires_at < time.time() + 2 * WEEK_S
            except (OSError, ValueError, TypeError, AttributeError):
                valid = fresh = False
            if valid and fresh:
                yield job
            else:
                log.warning("the saved state of a job is %s, and is removed", "too old" if valid else "invalid")
                self.forget(path.stem)


class Collector:
    """Collects one job's messages and posts them to the toolkit, in its own thread.

    version: the number of times the webhooks have changed.
    """

    def __init__(self, job: Job, relay: Relay) -> None:
        self.job = job
        self._relay = relay
        self._timing = relay.timing
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None
        self._polling: Call | None = None
        self._beat_at = time.monotonic()
        self.version = 0
        self._save()

    def start(self) -> None:
        """Starts to collect. A second call does nothing."""
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, daemon=True)
                thread.start()
                self._thread = thread

    def report_to(self, job: Job) -> None:
        """Uses the newer webhooks of the same job from now on."""
        with self._lock:
            changed = (self.job.heartbeat, self.job.result) != (job.heartbeat, job.result)
            self.job.expires_at = max(self.job.expires_at, job.expires_at)
            if changed:
                self.job.heartbeat, self.job.result, self.job.ended = job.heartbeat, job.result, False
                self.version += 1
                self._beat_at = float("-inf")
        self._save()
        if changed:
            self._woken.set()

    def stop(self) -> None:
        self._woken.set()
        if self._polling is not None:
            self._polling.abort()

    def join(self, until: float) -> None:
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(max(0, until - time.monotonic()))

    def _save(self) -> None:
        with self._lock:
            self._relay.store.save(self.job)

    def _run(self) -> None:
        while True:
            version = self.version
            try:
                self._collect()
                log.info("job %s: the toolkit accepted all messages", self.job.name)
            except GivenUp as end:
                log.warning("job %s: given up: %s", self.job.name, end)
                with contextlib.suppress(NoAnswer, UnknownJob, Stopped):
                    self._poll(0)  # acknowledges the accepted messages
            except Stopped:
                return
            if self._relay.release(self, version):
                return

    def _collect(self) -> None:
        """Returns once all messages are accepted and acknowledged. Raises GivenUp or Stopped."""
        done, failures = self.job.ended, 0
        while True:
            self._keep_alive()
            if time.time() > self.job.expires_at:
                self._fail("external_error", "annohooks did not end this job in time.")
            try:
                new, done = self._poll(0 if done else self._timing.wait_s)
            except UnknownJob:
                self._fail("external_error", "annohooks does not know this job any more.")
            except NoAnswer as error:
                self._check_stopping()
                if not failures:
                    log.warning("job %s: no messages from annohooks: %s", self.job.name, error)
                self._pause(failures)
                failures += 1
                continue
            failures = 0
            for message in collapsed(new):
                self._deliver(message)
            if not new:
                if done:
                    return
                self._pause(0)

    def _poll(self, wait_s: int) -> tuple[list[Message], bool]:
        """The next messages. The request acknowledges the accepted ones. Raises NoAnswer, UnknownJob."""
        after = self.job.after
        query = f"wait={wait_s}" + ("" if after is None else f"&after={after}")
        self._polling = self._relay.call(
            "GET", f"/aiware/jobs/{self.job.name}/messages?{query}", wait_s + self._timing.poll_s
        )
        self._check_stopping()
        answer = self._polling.answer()
        if answer.status in (404, 410):
            raise UnknownJob
        if answer.status != 200:
            raise NoAnswer(f"status {answer.status}")
        return messages(answer.body, after or 0)

    def _deliver(self, message: Message) -> None:
        """Posts a message unless the job has ended for the toolkit, and saves its number. Raises GivenUp, Stopped."""
        job, version, is_end = self.job, self.version, message.webhook == "heartbeat" and not message.running
        if not job.ended:
            try:
                self._post(message.webhook, message.content, message.content_type)
            except Refused as refused:
                if message.webhook == "result":
                    # Without it, `complete` would count a result that the toolkit does not have.
                    self._fail("other", f"The toolkit refused a result with {refused.status}.")
                if refused.status in (404, 410) and not is_end:
                    raise GivenUp("the toolkit no longer knows the task") from None
                log.warning("job %s: a heartbeat was refused with %d, and is skipped", job.name, refused.status)
            else:
                if message.running:
                    job.beat = message.body
                elif not is_end and isinstance(job.beat.get("messagesWritten"), int):
                    job.beat["messagesWritten"] += 1
            if is_end and version != self.version:
                return  # an older toolkit got it; the next poll returns it again
            job.ended = is_end
        job.after = message.sequence
        self._save()

    def _post(self, webhook: str, content: bytes, content_type: str = "application/json") -> None:
        """Posts to the newest webhook until the toolkit accepts. Raises Refused, GivenUp, Stopped."""
        version, since, attempts, refusals = self.version, time.monotonic(), 0, 0
        while True:
            self._check_stopping()
            status = self._attempt(webhook, content, content_type)
            if 200 <= status < 300:
                return
            if version != self.version:
                version, since, attempts, refusals = self.version, time.monotonic(), 0, 0
                continue
            if not attempts:
                log.warning("job %s: the %s webhook answered %s", self.job.name, webhook, status or "nothing")
            if 0 < status < 500 and status not in _TRANSIENT:
                refusals += 1
                if refusals == self._timing.refusals:
                    raise Refused(status)
            elif time.monotonic() - since > self._timing.gone_s:
                raise GivenUp("the toolkit's webhooks are gone")
            self._pause(attempts)
            attempts += 1
            if webhook == "result":
                self._keep_alive()

    def _attempt(self, webhook: str, content: bytes, content_type: str = "application/json") -> int:
        """The status of one POST, 0 without an answer."""
        url = self.job.heartbeat if webhook == "heartbeat" else self.job.result
        call = Call("POST", url, self._timing.post_s, {"Content-Type": content_type}, content)
        try:
            status = call.answer(with_body=False).status
        except NoAnswer:
            return 0
        if webhook == "heartbeat":
            self._beat_at = time.monotonic()
        return status

    def _keep_alive(self) -> None:
        """Repeats the last heartbeat if the toolkit got none for beat_s, so that the toolkit keeps waiting."""
        self._check_stopping()
        if not self.job.ended and time.monotonic() - self._beat_at > self._timing.beat_s:
            self._beat_at = time.monotonic()
            self._attempt("heartbeat", _json(self.job.beat))

    def _fail(self, reason: str, sentence: str) -> None:
        """Reports `failed` to the toolkit, because annohooks cannot end the job. Always raises GivenUp."""
        version = self.version
        if not self.job.ended:
            failure = {"status": "failed", "failureReason": reason, "failureMsg": sentence}
            with contextlib.suppress(Refused):
                self._post("heartbeat", _json({**self.job.beat, "infoMs": sentence, "infoMsg": sentence, **failure}))
            self.job.ended = version == self.version
            self._save()
        raise GivenUp(sentence)

    def _pause(self, attempts: int) -> None:
        if self._woken.wait(self._timing.pause_s(attempts)):
            self._woken.clear()

    def _check_stopping(self) -> None:
        if self._relay.stopping.is_set():
            raise Stopped


# ---- the relay


class Relay:
    """Forwards requests to annohooks, and has a collector for each job."""

    def __init__(self, chosen: Settings, timing: Timing | None = None) -> None:
        self.timing = timing or Timing()
        self.store = Store(chosen.state)
        self.stopping = threading.Event()
        self._settings = chosen
        self._collectors: dict[str, Collector] = {}
        self._lock = threading.Lock()
        self._readiness = ""

    def call(
        self, method: str, path: str, timeout_s: float, body: bytes | None = None, content_type: str | None = None
    ) -> Call:
        """A request to the API, with its credentials."""
        headers = {"Authorization": self._settings.authorization}
        if content_type is not None:
            headers["Content-Type"] = content_type
        return Call(method, self._settings.url + path, timeout_s, headers, body)

    def ready(self) -> Answer:
        """200 if annohooks answers 200, otherwise 503. The toolkit would shut down on 500."""
        try:
            status = self.call("GET", "/aiware/ready", self.timing.ready_s).answer().status
            readiness = f"annohooks answered {status}."
        except NoAnswer as error:
            status, readiness = 503, f"annohooks cannot be reached: {error}."
        if readiness != self._readiness:
            self._readiness = readiness
            log.info("ready: %s", readiness)
        return text(200 if status == 200 else 503, readiness)

    def process(self, content_type: str, body: bytes) -> tuple[Answer, Collector | None]:
        """The answer to a chunk, and the collector to start once the answer is sent."""
        try:
            named = webhooks(content_type, body)
        except BadForm as error:
            return text(400, str(error)), None
        with self._lock:
            full = len(self._collectors) >= MAX_JOBS
        if full:
            return text(503, f"The relay already collects {MAX_JOBS} jobs, and accepts no more."), None
        answer = self._forward(content_type, body)
        if 300 <= answer.status < 400:
            # The toolkit would follow it with a GET without the form.
            return text(502, f"annohooks answered {answer.status}, a redirect. ANNOHOOKS_URL is not its address."), None
        if answer.status == 200 and not answer.body:
            # The toolkit would ignore the chunk.
            return text(502, "annohooks answered 200 without a body."), None
        if answer.status != 200 or answer.job is None:
            return answer, None
        if not _JOB_NAME.fullmatch(answer.job) or named.heartbeat is None or named.result is None:
            return text(502, "annohooks began a job, but the form names no webhooks to report to."), None
        try:
            estimate_s = _seconds(json.loads(answer.body)["estimatedProcessingTimeInSeconds"])
        except (ValueError, KeyError, TypeError):
            estimate_s = 0
        limit_s = min(max(named.max_ttl_s, estimate_s) or DAY_S, WEEK_S) + self.timing.late_s
        job = Job(answer.job, named.heartbeat, named.result, time.time() + limit_s)
        log.info("job %s: accepted", job.name)
        return answer, self._collector(job)

    def _forward(self, content_type: str, body: bytes) -> Answer:
        """annohooks' answer. Repeats the request while annohooks is busy: the toolkit's three attempts take 0.3 s."""
        until = time.monotonic() + self.timing.patience_s
        for attempts in itertools.count():
            try:
                answer = self.call("POST", "/aiware/process", self.timing.process_s, body, content_type).answer()
            except NoAnswer as error:
                answer = text(503, f"annohooks cannot be reached: {error}.")
            pause_s = self.timing.pause_s(attempts)
            if answer.status not in _BUSY or time.monotonic() + pause_s > until or self.stopping.wait(pause_s):
                break
        return answer

    def _collector(self, job: Job) -> Collector:
        with self._lock:
            collector = self._collectors.get(job.name)
            if collector is None:
                collector = self._collectors[job.name] = Collector(job, self)
            else:
                collector.report_to(job)
            return collector

    def release(self, collector: Collector, version: int) -> bool:
        """Forgets a finished job. Returns False if its webhooks have changed since: its collector must continue."""
        with self._lock:
            if collector.version != version:
                return False
            del self._collectors[collector.job.name]
            self.store.forget(collector.job.name)
            return True

    def resume(self) -> None:
        """Continues the jobs of an earlier relay."""
        for job in itertools.islice(self.store.jobs(), MAX_JOBS):
            log.info("job %s: continued", job.name)
            self._collector(job).start()

    def stop(self) -> None:
        """Stops the collectors. A message that is being posted has a few seconds to arrive."""
        self.stopping.set()
        with self._lock:
            collectors = list(self._collectors.values())
        for collector in collectors:
            collector.stop()
        until = time.monotonic() + self.timing.end_s
        for collector in collectors:
            collector.join(until)


class Server(ThreadingHTTPServer):
    """Listens on loopback: only the toolkit calls."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, relay: Relay, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.relay = relay
        self._connections = threading.BoundedSemaphore(MAX_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._connections.acquire(timeout=self.relay.timing.end_s):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def stop(self) -> None:
        """Accepts no more requests, waits a few seconds for the running ones, and stops the relay."""
        self.shutdown()
        self.relay.stop()
        until = time.monotonic() + self.relay.timing.end_s
        for _ in range(MAX_CONNECTIONS):
            self._connections.acquire(timeout=max(0, until - time.monotonic()))
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):  # a client hung up
            log.error("a request failed: %s", type(error).__name__)


class Handler(BaseHTTPRequestHandler):
    """GET /ready and /readyz, POST /process."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    server: Server

    def do_GET(self) -> None:
        if self._path() in ("/ready", "/readyz"):
            self._reply(self.server.relay.ready())
        else:
            self._reply(text(404, "This is the relay of an aiWARE engine: GET /ready, POST /process."))

    do_HEAD = do_GET

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self._path() != "/process":
            self._reply(text(404, "This is the relay of an aiWARE engine: GET /ready, POST /process."))
        elif not re.fullmatch("[0-9]{1,15}", length) or "Transfer-Encoding" in self.headers:
            self._reply(text(411, "The form must be sent with its Content-Length."))
        elif int(length) > MAX_BODY_BYTES:
            self._discard(int(length))
            self._reply(
                text(
                    413,
                    f"The form has {length} bytes, and annohooks takes {MAX_BODY_BYTES}: a chunk of 4.4 MiB. Set "
                    "VERITONE_DISABLE_CHUNK_DOWNLOAD=true for the engine, and annohooks fetches it from cacheURI.",
                )
            )
        else:
            body = self.rfile.read(int(length))
            if len(body) == int(length):  # otherwise the client hung up
                self._process(body)

    def _process(self, body: bytes) -> None:
        answer, collector = self.server.relay.process(self.headers.get("Content-Type", ""), body)
        log.info("process: %d bytes, answered %d", len(body), answer.status)
        try:
            self._reply(answer)
        finally:
            # Only now: the toolkit must get the acknowledgement before the first result.
            if collector is not None:
                collector.start()

    def _path(self) -> str:
        return self.path.partition("?")[0].rstrip("/")

    def _discard(self, length: int) -> None:
        """Reads the body: a client that is still sending would not read the answer."""
        left = min(length, MAX_DISCARDED_BYTES)
        while left and (piece := self.rfile.read(min(left, 1 << 16))):
            left -= len(piece)

    def _reply(self, answer: Answer) -> None:
        self.send_response(answer.status)
        if answer.content_type is not None:
            self.send_header("Content-Type", answer.content_type)
        if answer.job is not None:
            self.send_header(JOB_HEADER, answer.job)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and answer.status != 204:
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing: a request line may contain a query."""


def become(user: str, state: Path) -> None:
    """Changes from root to a user, who then owns the state folder. Raises Misconfigured if there is no such user."""
    if not user or os.geteuid() != 0:
        return
    try:
        record = pwd.getpwnam(user)
    except KeyError:
        raise Misconfigured("ANNOHOOKS_RELAY_USER is not a user of this container.") from None
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chown(state, record.pw_uid, record.pw_gid, follow_symlinks=False)
    os.setgroups([])
    os.setgid(record.pw_gid)
    os.setuid(record.pw_uid)


def main() -> None:
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Blocked in all threads, and waited for in this one: a signal handler might not run while this thread waits.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        chosen = settings(os.environ)
        become(chosen.user, chosen.state)
        server = Server(Relay(chosen), chosen.port)
    except (Misconfigured, OSError) as error:
        sys.exit(f"annohooks relay: {error}")
    server.relay.resume()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    log.info("listening on port %d", server.server_port)
    signal.sigwait(ends)
    log.info("stopping")
    server.stop()


if __name__ == "__main__":
    main()
