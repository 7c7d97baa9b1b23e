"""The simulated Engine Toolkit: it polls ready, calls process as Go does, serves the webhooks and watches the clock.

It behaves as sections 1 and 4 of the protocol reference say. What an engine does against the protocol is answered as
the real one would, as far as that is known, and noted in `violations`.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from local.listener import Dropped, Refused, Reply, Request, Running
from local.simulators.aiware import client, form, spoiling, webhooks, work
from local.simulators.aiware.calls import Calls
from local.simulators.aiware.client import Answer, NoAnswer
from local.simulators.aiware.faults import HEARTBEAT, RESULT, TOOLKIT, Faults
from local.simulators.aiware.instance import Instance
from local.simulators.aiware.tasks import WAITING, Task
from local.simulators.aiware.watch import expire
from local.simulators.aiware.webhooks import Arrival

MOST_MESSAGE = 10 << 20  # bytes
TICK_S = 0.05
WEBHOOKS = ("heartbeatWebhook", "resultWebhook")
CALLBACK = "externalCallbackWebhook"
PATHS = {"heartbeatWebhook": HEARTBEAT, "resultWebhook": RESULT, CALLBACK: "callback"}
CONSOLE_HOST = "localhost:9090"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


class Toolkit(Running):
    """An Engine Toolkit whose webhooks are on a socket of their own, in a `with` block.

    heartbeat_limit_s: a task without a heartbeat for that long has FAILED (heartbeat_timeout). keeps_ttl: whether one
    has FAILED (ttl) when the longer of maxTTL and its estimate is over. after_end: the status for messages of a task
    that is over: 204, 404 or 410. api_cut_s: when the fault api_cut strikes. give_up_s: when this program gives up on
    an engine that never answers, as the real one does not. clock: tells the time, in seconds. faults: names from
    TOOLKIT; they can be changed at any time, and `faults.plan` puts one on chosen requests.

    origin: of the webhooks; origins: that one and those of the instances that take over when a task is re-queued, of
    which `instances` are known from the start. tasks: all, first to last; cleared, they are forgotten. violations:
    what the engine did against the protocol. records: everything that happened, as JSON can hold it.
    """

    def __init__(
        self,
        *,
        bind: str = "127.0.0.1",
        port: int = 0,
        instances: int = 2,
        heartbeat_limit_s: float = 90.0,
        keeps_ttl: bool = True,
        after_end: Literal[204, 404, 410] = 204,
        api_cut_s: float = 29.0,
        give_up_s: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
        faults: Iterable[str] = (),
    ) -> None:
        self.heartbeat_limit_s = heartbeat_limit_s
        self.keeps_ttl = keeps_ttl
        self.after_end: Literal[204, 404, 410] = after_end
        self.tasks: list[Task] = []
        self.violations: list[str] = []
        self.records: list[dict[str, Any]] = []
        self._numbers = itertools.count(1)
        self._bind = bind
        self._clock = clock
        self._faults = Faults(TOOLKIT, faults)
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._instances = [Instance(bind, port if not number else 0, self._answer) for number in range(instances)]
        self._calls = Calls(self._faults, clock, self._violated, self._answered, self._stopped, api_cut_s, give_up_s)
        self._watching = threading.Thread(target=self._watch, daemon=True)

    # ---- its life

    def start(self) -> None:
        for instance in self._instances:
            instance.start()
        self._watching.start()

    def stop(self) -> None:
        """Ends the webhooks; requests that a fault holds end too, and no call is made any more."""
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()
        self._watching.join()
        for instance in self._instances:
            instance.stop()

    @property
    def faults(self) -> Faults:
        return self._faults

    @faults.setter
    def faults(self, names: Iterable[str]) -> None:
        self._faults.replace(names)

    @property
    def origin(self) -> str:
        return self._here().origin

    @property
    def origins(self) -> list[str]:
        return [instance.origin for instance in self._instances]

    def vanish(self) -> None:
        """The instance goes away for good, as when its container ends: its webhooks are refused from now on."""
        with self._changed:
            for task in self.tasks:
                if task.origin == self.origin and not task.over:
                    task.state, task.excused = "REQUEUED", True
            self._here().vanish()
            self._changed.notify_all()

    # ---- what it asks of an engine

    def ready(self, url: str, timeout_s: float = 60.0, poll_s: float = 1.0) -> Literal["READY", "SHUTDOWN", "TIMEOUT"]:
        """Polls until 200 (READY) or 500 (SHUTDOWN)."""
        until = time.monotonic() + timeout_s
        while (left_s := until - time.monotonic()) > 0:
            try:
                status = client.send("GET", url, {}, agent=client.GO_AGENT, timeout_s=left_s).status
            except NoAnswer:
                status = 0
            self._note("ready", url=url, status=status)
            if status in (200, 500):
                return "READY" if status == 200 else "SHUTDOWN"
            if self._stopped.wait(min(poll_s, left_s)):
                break
        return "TIMEOUT"

    def process(
        self,
        url: str,
        *,
        chunk: bytes | None = None,
        webhooks: bool = True,
        callback: bool = False,
        wait: bool = True,
        **fields: Any,
    ) -> Task:
        """Gives a work item to the engine: three calls of its process webhook at most.

        chunk: the part of that name, None for no such part. webhooks, callback: whether the form names heartbeatWebhook
        and resultWebhook, and externalCallbackWebhook. wait: return when the calls are over; `Task.wait` waits for the
        end. fields: by their exact names; None leaves one out, and what is not given is what a toolkit would send.
        """
        named = [*(WEBHOOKS if webhooks else ()), *((CALLBACK,) if callback else ())]
        with self._changed:
            number = next(self._numbers)
            told = work.fields(fields, webhooks=self._webhooks(number, named))
            task = self._new_task(number, url, chunk, told)
        return self._begin(task, wait)

    def requeue(self, task: Task, *, wait: bool = True, **changes: Any) -> Task:
        """Gives the same chunk to the engine once more, from another instance; the instance that had it is gone.

        That is the end of every task of the old instance. changes: fields that differ, beside the webhooks.
        """
        named = [name for name in (*WEBHOOKS, CALLBACK) if task.fields.get(name)]
        with self._changed:
            if task.origin == self.origin and not self._here().gone:
                self.vanish()
            if self._here().gone:
                self._instances.append(Instance(self._bind, 0, self._answer))
                self._instances[-1].start()
            if not task.over:
                task.state, task.excused = "REQUEUED", True
            number = next(self._numbers)
            fields = work.changed(task.fields | self._webhooks(number, named), changes)
            again = self._new_task(number, task.url, task.chunk, fields, task)
            self._changed.notify_all()
        return self._begin(again, wait)

    def console(
        self, url: str, *, chunk: bytes, chunk_name: str = "picture.jpg", chunk_type: str = "image/jpeg", **fields: Any
    ) -> Task:
        """One call as the Test Console passes it on from a browser: its Host header, no query string, no credentials,
        no webhooks, and the user's own file name and type.
        """
        split = urlsplit(url)
        bare = split._replace(netloc=split.netloc.rpartition("@")[2], query="").geturl()
        with self._changed:
            task = self._new_task(next(self._numbers), bare, chunk, work.console_fields(fields))
        boundary = "-" * 27 + str(secrets.randbelow(10**30))
        described, body = form.encode(
            task.fields, chunk, chunk_name=chunk_name, chunk_type=chunk_type, boundary=boundary
        )
        headers = {"Content-Type": described, "X-Forwarded-For": "127.0.0.1"}
        self._calls.once(task, headers, body, agent=BROWSER, host=CONSOLE_HOST)
        return task

    def record(self, path: Path) -> None:
        """Writes `records`, one JSON document a line."""
        with self._changed:
            lines = [json.dumps(record) for record in self.records]
        path.write_text("".join(f"{line}\n" for line in lines))

    # ---- tasks

    def _here(self) -> Instance:
        return next((each for each in self._instances if not each.gone), self._instances[-1])

    def _webhooks(self, number: int, named: Iterable[str]) -> dict[str, str]:
        return {name: f"{self.origin}/{PATHS[name]}/task{number}" for name in named}

    def _new_task(
        self, number: int, url: str, chunk: bytes | None, fields: dict[str, str], before: Task | None = None
    ) -> Task:
        attempt = before.attempt + 1 if before else 1
        task = Task(number, attempt, self.origin, url, fields, chunk, self._changed, self._clock(), before)
        self.tasks.append(task)
        described = {} if chunk is None else {"bytes": len(chunk), "sha256": hashlib.sha256(chunk).hexdigest()}
        self._note("process", task=number, attempt=attempt, url=url, fields=fields, chunk=described)
        return task

    def _begin(self, task: Task, wait: bool) -> Task:
        if wait:
            self._calls.make(task)
        else:
            threading.Thread(target=self._calls.make, args=(task,), daemon=True).start()
        return task

    def _expire(self) -> None:
        """Ends the tasks whose time is over; with the lock held."""
        for task in self.tasks:
            if task.state in WAITING:
                violation = expire(task, self._clock(), self.heartbeat_limit_s, keeps_ttl=self.keeps_ttl)
                if violation:
                    self._violated(task, violation)
                if task.over:
                    self._note("expired", task=task.number, failure=task.failure)
                    self._changed.notify_all()

    def _watch(self) -> None:
        with self._changed:
            while not self._stopped.is_set():
                self._expire()
                waiting = any(task.state in WAITING for task in self.tasks)
                self._changed.wait(TICK_S if waiting else None)

    # ---- messages

    def _answer(self, instance: Instance, request: Request) -> Reply:
        at_s = self._clock()
        try:
            task, webhook = self._addressed(request)
            body = request.read(request.unread)
        except Refused as refused:
            with self._changed:
                self.violations.append(refused.violation)
            return refused.reply
        if webhook == PATHS[CALLBACK]:
            webhook = HEARTBEAT if webhooks.has_status(body) else RESULT
        fault = self._faults.meeting(webhook)
        if fault == "gone":
            instance.vanish()
            raise Dropped
        kind = fault.removeprefix(f"{webhook}_")
        with self._changed:
            self._expire()
            if webhook == HEARTBEAT:
                task.heard_at_s = at_s
            if kind in spoiling.REFUSING:
                status, problems = webhooks.refuse(task, webhook, at_s, spoiling.REFUSING[kind])
            else:
                arrival = Arrival(webhook, request.headers.get("Content-Type", ""), body, at_s, lost=bool(kind))
                status, problems = webhooks.take(task, arrival, self.after_end)
            for problem in problems:
                self._violated(task, problem)
            text = body.decode(errors="replace")
            self._note(webhook, task=task.number, status=status, fault=fault, body=text)
            self._changed.notify_all()
        return spoiling.spoilt(Reply(status), kind, request, instance.origin, self._stopped)

    def _addressed(self, request: Request) -> tuple[Task, str]:
        webhook, _, name = request.path.removeprefix("/").partition("/")
        with self._changed:
            task = next((task for task in self.tasks if f"task{task.number}" == name), None)
        if request.path.startswith(spoiling.REDIRECTED):
            raise Refused(f"a redirect of a webhook was followed: {request.method} {request.path}", Reply(404))
        if task is None or webhook not in PATHS.values():
            raise Refused(f"{request.method} {request.path}: there is no such webhook", Reply(404))
        if request.method != "POST":
            raise Refused(f"{task}: {request.method} of its {webhook} webhook", Reply(405))
        if request.unread > MOST_MESSAGE:
            raise Refused(f"{task}: {request.unread} bytes for its {webhook} webhook", Reply(413))
        return task, webhook

    # ---- what is written down

    def _violated(self, task: Task, problem: str) -> None:
        self.violations.append(f"{task}: {problem}")
        self._note("violation", task=task.number, problem=problem)

    def _answered(self, task: Task, answer: Answer) -> None:
        self._note("answer", task=task.number, status=answer.status, headers=answer.headers.items(), body=answer.text)

    def _note(self, what: str, **said: Any) -> None:
        with self._changed:
            self.records.append({"at_s": self._clock(), "what": what, **said})
