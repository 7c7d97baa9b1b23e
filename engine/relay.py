"""The relay of an aiWARE engine: takes the Engine Toolkit's webhooks to annohooks, and annohooks' messages back.

The toolkit runs in this container and takes heartbeats and results on loopback only, where the API cannot reach it. So
the relay forwards ready and process to the API; when a chunk becomes a job, it collects the job's messages there by
long poll and posts them to the toolkit, in order. A message is acknowledged once the toolkit took it, and what was
taken is kept in a file for each job, so that a relay that is restarted goes on where it was.

Standard library only, Python 3.9 or newer. README.md says how it is configured, and what it promises.
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
from email.message import Message as Head
from email.parser import BytesHeaderParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

PORT = 8888
JOB_HEADER = "X-Annohooks-Job"
MOST_BODY_BYTES = 4_700_000
"""Of a form: what API Gateway and Lambda carry. A chunk of 4.4 MiB and its fields fit."""
MOST_ANSWER_BYTES = 16 << 20
MOST_DISCARDED_BYTES = 256 << 20
MOST_CONNECTIONS = 16
MOST_JOBS = 64
MOST_PARTS, MOST_HEAD_BYTES = 256, 8192
"""Of a form, and of the headers of one of its parts: what annohooks takes."""
DAY_S, WEEK_S = 86_400, 7 * 86_400

_JOB_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_URL = re.compile(r"[!-~]{1,2048}")
_BOUNDARY = re.compile(r"[ -~]{1,70}")
_TRANSIENT = (408, 429)
_BUSY = (429, 502, 503, 504)

log = logging.getLogger("relay")


class Misconfigured(ValueError):
    """The environment is wrong; the text says what to set."""


class BadForm(ValueError):
    """The form cannot be forwarded; the text names what is wrong, and quotes nothing."""


class Trouble(Exception):
    """No answer, or none of use; the text is fit for a log."""


class UnknownJob(Exception):
    """annohooks has no such job, or has it no more."""


class Refused(Exception):
    """The toolkit refused a message, again and again, with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class GivenUp(Exception):
    """This job's messages are collected no longer; the text says why."""


class Stopped(Exception):
    """The relay is ending; what is not done is left to the next one."""


@dataclass(frozen=True)
class Pace:
    """How long things may take, and how often they are tried.

    gone_s: after so long without success, the toolkit's webhooks are gone. beat_s: after so long without a heartbeat,
    the last one is repeated. late_s: how much later than its own limit a job may end.
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

    def pause_s(self, tries: int) -> float:
        """Before the next try: twice as long each time, and not in step with other relays."""
        return min(self.longest_pause_s, self.first_pause_s * 2.0 ** min(tries, 16)) * random.uniform(0.5, 1)


@dataclass(frozen=True)
class Settings:
    """url: of the API's stage. authorization: what the API gets as that header. user: whom root becomes."""

    url: str
    authorization: str = field(repr=False)
    port: int = PORT
    state: Path = Path("/tmp/annohooks-relay")
    user: str = ""


def settings(environment: Mapping[str, str]) -> Settings:
    """What the environment says. Raises Misconfigured, which never quotes the secret."""
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
    """A URL's parts; None if a client could read it otherwise than we do."""
    try:
        split = urlsplit(url)
        return split if _URL.fullmatch(url) and split.hostname and (split.port is None or split.port) else None
    except ValueError:
        return None


def is_local(host: str | None) -> bool:
    """Whether it is this container: its loopback by name or number, or 0.0.0.0, which on Linux leads there."""
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified


# ---- HTTP


@dataclass(frozen=True)
class Answer:
    """An answer of the API, the toolkit or the relay."""

    status: int
    content_type: str | None
    body: bytes = field(repr=False)
    job: str | None = None


def text(status: int, sentence: str) -> Answer:
    """An answer of the relay itself. The toolkit shows it as failureMsg."""
    return Answer(status, "text/plain; charset=utf-8", sentence.encode())


@functools.lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


class Call:
    """One request, over a connection of its own; redirects are not followed."""

    def __init__(
        self, method: str, url: str, timeout_s: float, headers: Mapping[str, str], body: bytes | None = None
    ) -> None:
        self._request = (method, urlsplit(url), headers, body)
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._aborted = False

    def abort(self) -> None:
        """Ends the call, from another thread: it raises Trouble."""
        self._aborted = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket's own, which would take the session from the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def answer(self, body_matters: bool = True) -> Answer:
        """The answer, with its body or without. Raises Trouble: no connection, cut off, too large, or too late."""
        method, url, headers, body = self._request
        connection = (
            http.client.HTTPSConnection(url.hostname or "", url.port, timeout=self._timeout_s, context=_tls())
            if url.scheme == "https"
            else http.client.HTTPConnection(url.hostname or "", url.port, timeout=self._timeout_s)
        )
        # A socket's own timeout is one of silence: an answer that drips would never end.
        clock = threading.Timer(self._timeout_s, self.abort)
        clock.daemon = True
        clock.start()
        try:
            connection.connect()
            self._socket = connection.sock
            if self._aborted:
                raise TimeoutError
            target = (url.path or "/") + (f"?{url.query}" if url.query else "")
            connection.request(method, target, body, {**headers, "User-Agent": "annohooks-relay"})
            reply = connection.getresponse()
            content = bytearray()
            while body_matters and (piece := reply.read(1 << 16)):
                content += piece
                if len(content) > MOST_ANSWER_BYTES:
                    raise Trouble("the answer is too large")
            if self._aborted:
                raise TimeoutError
            if body_matters and reply.length:
                raise http.client.IncompleteRead(b"")
        except (OSError, http.client.HTTPException, ValueError) as error:
            # Not the error's text: a URL could be in it.
            raise Trouble("TimeoutError" if self._aborted else type(error).__name__) from None
        finally:
            clock.cancel()
            connection.close()
        return Answer(reply.status, reply.getheader("Content-Type"), bytes(content), reply.getheader(JOB_HEADER))


# ---- the form


@dataclass(frozen=True)
class Webhooks:
    """Where the toolkit takes a job's messages, both None without; and how long it waits for them, 0 if unsaid."""

    heartbeat: str | None = field(default=None, repr=False)
    result: str | None = field(default=None, repr=False)
    max_ttl_s: float = 0


def webhooks(content_type: str, body: bytes) -> Webhooks:
    """The webhooks that a form names. Raises BadForm if it is broken, or one of them is not of this container."""
    head = Head()
    head["Content-Type"] = content_type
    boundary = head.get_boundary() or ""
    if head.get_content_type() != "multipart/form-data" or not _BOUNDARY.fullmatch(boundary):
        raise BadForm("The Content-Type is not multipart/form-data with a boundary of at most 70 ASCII characters.")
    first, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(), MOST_PARTS + 2)
    if len(parts) > MOST_PARTS + 1:  # the last is what follows the final boundary
        raise BadForm(f"The form has more than {MOST_PARTS} parts.")
    if first or not parts or parts.pop() not in (b"--", b"--\r\n"):
        raise BadForm("The form does not begin and end with its boundary.")
    found: dict[str, str] = {}
    for part in parts:
        lines, end, value = part.partition(b"\r\n\r\n")
        if not lines.startswith(b"\r\n") or not end:
            raise BadForm("The form has a part without headers.")
        if len(lines) > MOST_HEAD_BYTES:
            raise BadForm(f"The form has a part with headers of more than {MOST_HEAD_BYTES} bytes.")
        name = BytesHeaderParser().parsebytes(lines[2:]).get_param("name", header="Content-Disposition")
        if name in ("heartbeatWebhook", "resultWebhook", "maxTTL"):
            if name in found:
                raise BadForm(f"{name} is given twice.")
            found[str(name)] = value.decode(errors="replace").strip()
    return Webhooks(
        _webhook(found, "heartbeatWebhook"), _webhook(found, "resultWebhook"), _seconds(found.get("maxTTL"))
    )


def _webhook(found: Mapping[str, str], name: str) -> str | None:
    url = found.get(name)
    if not url:
        return None
    split = _split(url)
    if split is None or split.scheme != "http" or split.username is not None or not is_local(split.hostname):
        # Whoever reaches this port could have anything posted anywhere.
        raise BadForm(f"{name} is not an http URL of this container; the relay posts to no other.")
    return url


def _seconds(value: object) -> float:
    """A number that somebody sent, 0 if it is none."""
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return 0
    return seconds if 0 < seconds < float("inf") else 0


# ---- messages of a job


@dataclass(frozen=True)
class Message:
    """What one webhook is to get. sequence: its number in the job, from 1. body: {} if the content is no JSON."""

    sequence: int
    webhook: str
    content: bytes = field(repr=False)
    content_type: str = "application/json"
    body: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Message:
        """A message as the API gives it: `body`, or `base64` and `content_type`."""
        number, webhook = given["sequence"], given["webhook"]
        if type(number) is not int or webhook not in ("heartbeat", "result"):
            raise ValueError
        if "base64" in given:
            return cls(number, webhook, base64.b64decode(given["base64"], validate=True), str(given["content_type"]))
        body = given["body"]
        if not isinstance(body, dict):
            raise ValueError
        return cls(number, webhook, _json(body), body=body)

    @property
    def running(self) -> bool:
        return self.webhook == "heartbeat" and self.body.get("status") == "running"


def messages(content: bytes, after: int) -> tuple[list[Message], bool]:
    """The API's answer to a poll: messages after that number, and whether the job's last is known. Raises Trouble."""
    try:
        document = json.loads(content, parse_constant=_no_json)
        found = [Message.of(each) for each in document["messages"]]
        done = document["done"] is True
    except (ValueError, KeyError, TypeError):
        raise Trouble("the answer cannot be read") from None
    for message in found:
        if message.sequence <= after:
            raise Trouble("the messages are not in order")
        after = message.sequence
    return found, done


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()


def _no_json(constant: str) -> None:
    raise ValueError(constant)


def collapsed(found: list[Message]) -> Iterator[Message]:
    """The messages without the running heartbeats that another one follows at once."""
    for message, following in itertools.zip_longest(found, found[1:]):
        if following is None or not (message.running and following.running):
            yield message


@dataclass
class Job:
    """What must survive a restart. after: the number of the last message taken; None before the first.

    beat: the last running heartbeat, its count of messages kept true. ended: the toolkit had the job's last word.
    """

    name: str
    heartbeat: str = field(repr=False)
    result: str = field(repr=False)
    expires_at: float
    after: int | None = None
    beat: dict[str, Any] = field(default_factory=lambda: {"status": "running"}, repr=False)
    ended: bool = False


class Store:
    """A file for each job. What cannot be written is logged: the relay goes on, and only a restart would miss it."""

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
            log.warning("job %s: its state cannot be kept: %s", job.name, type(error).__name__)

    def forget(self, name: str) -> None:
        with contextlib.suppress(OSError):
            self._path(name).unlink()

    def jobs(self) -> Iterator[Job]:
        """Those of an earlier relay that are neither broken nor too old; the files of others are removed."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                job = Job(**json.loads(path.read_text()))
                urls = {"heartbeat": job.heartbeat, "result": job.result}
                whole = (
                    _JOB_NAME.fullmatch(job.name)
                    and job.name == path.stem
                    and all(_webhook(urls, name) for name in urls)
                    and isinstance(job.beat, dict)
                    and (job.after is None or type(job.after) is int)
                )
                fresh = time.time() < job.expires_at < time.time() + 2 * WEEK_S
            except (OSError, ValueError, TypeError, AttributeError):
                whole = fresh = False
            if whole and fresh:
                yield job
            else:
                log.warning("the state of a job is %s, and is removed", "too old" if whole else "broken")
                self.forget(path.stem)


class Collector:
    """Brings one job's messages to the toolkit, in a thread of its own."""

    def __init__(self, job: Job, relay: Relay) -> None:
        self.job = job
        self._relay = relay
        self._pace = relay.pace
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None
        self._polling: Call | None = None
        self._beat_at = time.monotonic()
        self.version = 0
        """How often the webhooks changed."""
        self._save()

    def start(self) -> None:
        """Begins to collect, once."""
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, daemon=True)
                thread.start()
                self._thread = thread

    def report_to(self, job: Job) -> None:
        """From now on to the webhooks that the same job was given last."""
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
                log.info("job %s: all messages were taken", self.job.name)
            except GivenUp as end:
                log.warning("job %s: given up: %s", self.job.name, end)
                with contextlib.suppress(Trouble, UnknownJob, Stopped):
                    self._poll(0)  # what was taken is acknowledged
            except Stopped:
                return
            if self._relay.release(self, version):
                return

    def _collect(self) -> None:
        """Until all messages are taken and acknowledged. Raises GivenUp or Stopped."""
        done, troubles = self.job.ended, 0
        while True:
            self._keep_alive()
            if time.time() > self.job.expires_at:
                self._fail("external_error", "annohooks did not end this job in time.")
            try:
                found, done = self._poll(0 if done else self._pace.wait_s)
            except UnknownJob:
                self._fail("external_error", "annohooks does not know this job any more.")
            except Trouble as trouble:
                self._go_on()
                if not troubles:
                    log.warning("job %s: no messages from annohooks: %s", self.job.name, trouble)
                self._pause(troubles)
                troubles += 1
                continue
            troubles = 0
            for message in collapsed(found):
                self._bring(message)
            if not found:
                if done:
                    return
                self._pause(0)

    def _poll(self, wait_s: int) -> tuple[list[Message], bool]:
        """The next messages; says which ones were taken. Raises Trouble, UnknownJob."""
        after = self.job.after
        query = f"wait={wait_s}" + ("" if after is None else f"&after={after}")
        self._polling = self._relay.call(
            "GET", f"/aiware/jobs/{self.job.name}/messages?{query}", wait_s + self._pace.poll_s
        )
        self._go_on()
        answer = self._polling.answer()
        if answer.status in (404, 410):
            raise UnknownJob
        if answer.status != 200:
            raise Trouble(f"status {answer.status}")
        return messages(answer.body, after or 0)

    def _bring(self, message: Message) -> None:
        """Posts a message, unless the toolkit had its last word, and notes that it was taken."""
        job, version, last_word = self.job, self.version, message.webhook == "heartbeat" and not message.running
        if not job.ended:
            try:
                self._post(message.webhook, message.content, message.content_type)
            except Refused as refused:
                if message.webhook == "result":
                    # To leave it out would be to lose it in silence, and `complete` would count it.
                    self._fail("other", f"The toolkit refused a result with {refused.status}.")
                if refused.status in (404, 410) and not last_word:
                    raise GivenUp("the toolkit does not know the task any more") from None
                log.warning("job %s: a heartbeat was refused with %d, and left out", job.name, refused.status)
            else:
                if message.running:
                    job.beat = message.body
                elif not last_word and isinstance(job.beat.get("messagesWritten"), int):
                    job.beat["messagesWritten"] += 1
            if last_word and version != self.version:
                return  # it was said to a toolkit that is not the newest, and will come again
            job.ended = last_word
        job.after = message.sequence
        self._save()

    def _post(self, webhook: str, content: bytes, content_type: str = "application/json") -> None:
        """Until the toolkit took it, at whichever address is the newest. Raises Refused, GivenUp, Stopped."""
        version, since, tries, refusals = self.version, time.monotonic(), 0, 0
        while True:
            self._go_on()
            status = self._try(webhook, content, content_type)
            if 200 <= status < 300:
                return
            if version != self.version:
                version, since, tries, refusals = self.version, time.monotonic(), 0, 0
                continue
            if not tries:
                log.warning("job %s: the %s webhook answered %s", self.job.name, webhook, status or "nothing")
            if 0 < status < 500 and status not in _TRANSIENT:
                refusals += 1
                if refusals == self._pace.refusals:
                    raise Refused(status)
            elif time.monotonic() - since > self._pace.gone_s:
                raise GivenUp("the toolkit's webhooks are gone")
            self._pause(tries)
            tries += 1
            if webhook == "result":
                self._keep_alive()

    def _try(self, webhook: str, content: bytes, content_type: str = "application/json") -> int:
        """The status of one attempt, 0 if there was no answer."""
        url = self.job.heartbeat if webhook == "heartbeat" else self.job.result
        call = Call("POST", url, self._pace.post_s, {"Content-Type": content_type}, content)
        try:
            status = call.answer(body_matters=False).status
        except Trouble:
            return 0
        if webhook == "heartbeat":
            self._beat_at = time.monotonic()
        return status

    def _keep_alive(self) -> None:
        """Repeats the last heartbeat when there was none for long: the toolkit should wait as long as we do."""
        self._go_on()
        if not self.job.ended and time.monotonic() - self._beat_at > self._pace.beat_s:
            self._beat_at = time.monotonic()
            self._try("heartbeat", _json(self.job.beat))

    def _fail(self, reason: str, sentence: str) -> None:
        """The last word, ours since annohooks' cannot come. Raises GivenUp, always."""
        version = self.version
        if not self.job.ended:
            told = {"status": "failed", "failureReason": reason, "failureMsg": sentence}
            with contextlib.suppress(Refused):
                self._post("heartbeat", _json({**self.job.beat, "infoMs": sentence, "infoMsg": sentence, **told}))
            self.job.ended = version == self.version
            self._save()
        raise GivenUp(sentence)

    def _pause(self, tries: int) -> None:
        if self._woken.wait(self._pace.pause_s(tries)):
            self._woken.clear()

    def _go_on(self) -> None:
        if self._relay.stopping.is_set():
            raise Stopped


# ---- the relay


class Relay:
    """Forwards to annohooks, and knows who collects which job."""

    def __init__(self, chosen: Settings, pace: Pace | None = None) -> None:
        self.pace = pace or Pace()
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
        """200 when annohooks is, else 503: for a 500, the toolkit would shut down."""
        try:
            status = self.call("GET", "/aiware/ready", self.pace.ready_s).answer().status
            readiness = f"annohooks answered {status}."
        except Trouble as trouble:
            status, readiness = 503, f"annohooks cannot be reached: {trouble}."
        if readiness != self._readiness:
            self._readiness = readiness
            log.info("ready: %s", readiness)
        return text(200 if status == 200 else 503, readiness)

    def process(self, content_type: str, body: bytes) -> tuple[Answer, Collector | None]:
        """The answer to a chunk, and who is to collect its messages once that answer is out."""
        try:
            asked = webhooks(content_type, body)
        except BadForm as error:
            return text(400, str(error)), None
        with self._lock:
            full = len(self._collectors) >= MOST_JOBS
        if full:
            return text(503, f"{MOST_JOBS} jobs are under way, and the relay takes no more."), None
        answer = self._forward(content_type, body)
        if 300 <= answer.status < 400:
            # The toolkit would follow it, as a GET without the form.
            return text(502, f"annohooks answered {answer.status}, a redirect. ANNOHOOKS_URL is not its address."), None
        if answer.status == 200 and not answer.body:
            # The toolkit would take it for a chunk to be ignored.
            return text(502, "annohooks answered 200 without a body."), None
        if answer.status != 200 or answer.job is None:
            return answer, None
        if not _JOB_NAME.fullmatch(answer.job) or asked.heartbeat is None or asked.result is None:
            return text(502, "annohooks began a job, but the form names no webhooks to report to."), None
        try:
            estimate_s = _seconds(json.loads(answer.body)["estimatedProcessingTimeInSeconds"])
        except (ValueError, KeyError, TypeError):
            estimate_s = 0
        limit_s = min(max(asked.max_ttl_s, estimate_s) or DAY_S, WEEK_S) + self.pace.late_s
        job = Job(answer.job, asked.heartbeat, asked.result, time.time() + limit_s)
        log.info("job %s: accepted", job.name)
        return answer, self._collector(job)

    def _forward(self, content_type: str, body: bytes) -> Answer:
        """annohooks' answer. A moment's trouble is waited out: the toolkit's three tries are over in 0.3 s."""
        until = time.monotonic() + self.pace.patience_s
        for tries in itertools.count():
            try:
                answer = self.call("POST", "/aiware/process", self.pace.process_s, body, content_type).answer()
            except Trouble as trouble:
                answer = text(503, f"annohooks cannot be reached: {trouble}.")
            pause_s = self.pace.pause_s(tries)
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
        """Forgets a job that is over, unless its webhooks changed since: then its collector must go on."""
        with self._lock:
            if collector.version != version:
                return False
            del self._collectors[collector.job.name]
            self.store.forget(collector.job.name)
            return True

    def resume(self) -> None:
        """Takes up the jobs of an earlier relay."""
        for job in itertools.islice(self.store.jobs(), MOST_JOBS):
            log.info("job %s: taken up again", job.name)
            self._collector(job).start()

    def stop(self) -> None:
        """Ends the collectors; a message on its way to the toolkit has a moment to arrive."""
        self.stopping.set()
        with self._lock:
            collectors = list(self._collectors.values())
        for collector in collectors:
            collector.stop()
        until = time.monotonic() + self.pace.end_s
        for collector in collectors:
            collector.join(until)


class Server(ThreadingHTTPServer):
    """Listens on loopback: nobody but the toolkit has business here."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, relay: Relay, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.relay = relay
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(timeout=self.relay.pace.end_s):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def stop(self) -> None:
        """Takes no more requests, lets those under way end if they do soon, and ends the relay."""
        self.shutdown()
        self.relay.stop()
        until = time.monotonic() + self.relay.pace.end_s
        for _ in range(MOST_CONNECTIONS):
            self._places.acquire(timeout=max(0, until - time.monotonic()))
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):  # who hangs up is no error of ours
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
        elif int(length) > MOST_BODY_BYTES:
            self._discard(int(length))
            self._reply(
                text(
                    413,
                    f"The form has {length} bytes, and annohooks takes {MOST_BODY_BYTES}: a chunk of 4.4 MiB. Set "
                    "VERITONE_DISABLE_CHUNK_DOWNLOAD=true for the engine, and annohooks fetches it from cacheURI.",
                )
            )
        else:
            body = self.rfile.read(int(length))
            if len(body) == int(length):  # else the client went away
                self._process(body)

    def _process(self, body: bytes) -> None:
        answer, collector = self.server.relay.process(self.headers.get("Content-Type", ""), body)
        log.info("process: %d bytes, answered %d", len(body), answer.status)
        try:
            self._reply(answer)
        finally:
            # Not before: a result must not come to the toolkit ahead of what makes it wait for one.
            if collector is not None:
                collector.start()

    def _path(self) -> str:
        return self.path.partition("?")[0].rstrip("/")

    def _discard(self, length: int) -> None:
        """A client that is still sending would not read the answer."""
        left = min(length, MOST_DISCARDED_BYTES)
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
        """Quiet: a request line may hold a query."""


def become(user: str, state: Path) -> None:
    """Gives root up, for good; the folder of the state becomes the user's. Raises Misconfigured for no such user."""
    if not user or os.geteuid() != 0:
        return
    try:
        record = pwd.getpwnam(user)
    except KeyError:
        raise Misconfigured("ANNOHOOKS_RELAY_USER is no user of this container.") from None
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chown(state, record.pw_uid, record.pw_gid, follow_symlinks=False)
    os.setgroups([])
    os.setgid(record.pw_gid)
    os.setuid(record.pw_uid)


def main() -> None:
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Blocked in every thread and waited for in this one: a handler might not be run as long as this one waits.
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
    log.info("ending")
    server.stop()


if __name__ == "__main__":
    main()
