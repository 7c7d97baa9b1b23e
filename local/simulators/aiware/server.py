"""The simulated Engine Toolkit: it polls ready, calls process as Go does, serves the webhooks and keeps time limits.

Sources: Veritone's developer documentation (docs.veritone.com, engines and the Engine Toolkit), the Engine Toolkit
published in 2019, and docs/aiware.md, which also says what is unknown.
"""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Literal
from urllib.parse import urlsplit

from local.listener import Dropped, Refused, Reply, Request
from local.simulators.aiware import answer_faults, client, form, webhooks, work_items
from local.simulators.aiware.calls import ProcessCalls
from local.simulators.aiware.client import NoAnswer
from local.simulators.aiware.faults import HEARTBEAT, RESULT, TOOLKIT_FAULTS
from local.simulators.aiware.instance import Instance
from local.simulators.aiware.tasks import WAITING, Task
from local.simulators.aiware.webhooks import Arrival
from local.simulators.simulator import Call, Simulator

MAX_MESSAGE_BYTES = 10 << 20
TICK_S = 0.05
WEBHOOKS = ("heartbeatWebhook", "resultWebhook")
CALLBACK = "externalCallbackWebhook"
PATHS = {"heartbeatWebhook": HEARTBEAT, "resultWebhook": RESULT, CALLBACK: "callback"}
CONSOLE_HOST = "localhost:9090"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


class Toolkit(Simulator):
    """An Engine Toolkit whose webhooks have their own socket.

    heartbeat_limit_s: a task without a heartbeat for so long has FAILED (heartbeat_timeout). clock: the time in
    seconds.

    origin: of the webhooks. origins: that one, and those of the instances that take over when a task is queued again;
    `instances` of them are known from the start. tasks: first to last; a test may clear them. calls: the messages.
    """

    def __init__(
        self,
        *,
        bind: str = "127.0.0.1",
        port: int = 0,
        instances: int = 2,
        heartbeat_limit_s: float = 90.0,
        clock: Callable[[], float] = time.monotonic,
        faults: Iterable[str] = (),
    ) -> None:
        super().__init__(TOOLKIT_FAULTS, faults)
        self.heartbeat_limit_s = heartbeat_limit_s
        self.tasks: list[Task] = []
        self._numbers = itertools.count(1)
        self._bind = bind
        self._clock = clock
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._instances = [Instance(bind, port if not number else 0, self._answer) for number in range(instances)]
        self._process_calls = ProcessCalls(self._faults, clock, self._violated, self._stopped)
        self._limits = threading.Thread(target=self._keep_limits, daemon=True)

    def start(self) -> None:
        for instance in self._instances:
            instance.start()
        self._limits.start()

    def stop(self) -> None:
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()
        self._limits.join()
        for instance in self._instances:
            instance.stop()

    @property
    def origin(self) -> str:
        return self._instance().origin

    @property
    def origins(self) -> list[str]:
        return [instance.origin for instance in self._instances]

    def vanish(self) -> None:
        """Ends the current instance for good, as when its container ends: its webhooks refuse connections."""
        with self._changed:
            for task in self.tasks:
                if task.origin == self.origin and not task.over:
                    task.state, task.excused = "REQUEUED", True
            self._instance().vanish()
            self._changed.notify_all()

    # ---- calls of an engine

    def ready(self, url: str, timeout_s: float = 60.0, poll_s: float = 1.0) -> Literal["READY", "SHUTDOWN", "TIMEOUT"]:
        """Polls until 200 (READY) or 500 (SHUTDOWN)."""
        until = time.monotonic() + timeout_s
        while (left_s := until - time.monotonic()) > 0:
            try:
                status = client.send("GET", url, {}, agent=client.GO_AGENT, timeout_s=left_s).status
            except NoAnswer:
                status = 0
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
        """Sends a work item to the engine, with at most three calls of its process webhook.

        chunk: the part with that name, None for no such part. webhooks, callback: whether the form names
        heartbeatWebhook and resultWebhook, and externalCallbackWebhook. wait: return when the calls are over;
        `Task.wait` waits for the end of the task. fields: of the form by name. None leaves a field out, and a field
        that is not given has the value that a toolkit would send.
        """
        names = [*(WEBHOOKS if webhooks else ()), *((CALLBACK,) if callback else ())]
        with self._changed:
            number = next(self._numbers)
            item = work_items.fields(fields, webhooks=self._webhooks(number, names))
            task = self._new_task(number, url, chunk, item)
        return self._call(task, wait)

    def requeue(self, task: Task, *, wait: bool = True, **changes: Any) -> Task:
        """Sends the chunk of a task to the engine again, from another instance; the first instance is gone.

        Every task of the first instance ends. changes: fields that differ, beside the webhooks.
        """
        names = [name for name in (*WEBHOOKS, CALLBACK) if task.fields.get(name)]
        with self._changed:
            if task.origin == self.origin and not self._instance().gone:
                self.vanish()
            if self._instance().gone:
                self._instances.append(Instance(self._bind, 0, self._answer))
                self._instances[-1].start()
            if not task.over:
                task.state, task.excused = "REQUEUED", True
            number = next(self._numbers)
            fields = work_items.changed(task.fields | self._webhooks(number, names), changes)
            again = self._new_task(number, task.url, task.chunk, fields, task)
            self._changed.notify_all()
        return self._call(again, wait)

    def console(
        self, url: str, *, chunk: bytes, chunk_name: str = "picture.jpg", chunk_type: str = "image/jpeg", **fields: Any
    ) -> Task:
        """Makes one call as the Test Console does for a browser.

        It has the browser's Host header, file name and type, and no query string, credentials or webhooks.
        """
        split = urlsplit(url)
        bare = split._replace(netloc=split.netloc.rpartition("@")[2], query="").geturl()
        with self._changed:
            task = self._new_task(next(self._numbers), bare, chunk, work_items.console_fields(fields))
        boundary = "-" * 27 + str(secrets.randbelow(10**30))
        content_type, body = form.encode(
            task.fields, chunk, chunk_name=chunk_name, chunk_type=chunk_type, boundary=boundary
        )
        headers = {"Content-Type": content_type, "X-Forwarded-For": "127.0.0.1"}
        self._process_calls.call_once(task, headers, body, agent=BROWSER, host=CONSOLE_HOST)
        return task

    # ---- tasks

    def _instance(self) -> Instance:
        return next((instance for instance in self._instances if not instance.gone), self._instances[-1])

    def _webhooks(self, number: int, names: Iterable[str]) -> dict[str, str]:
        return {name: f"{self.origin}/{PATHS[name]}/task{number}" for name in names}

    def _new_task(
        self, number: int, url: str, chunk: bytes | None, fields: dict[str, str], before: Task | None = None
    ) -> Task:
        attempt = before.attempt + 1 if before else 1
        task = Task(number, attempt, self.origin, url, fields, chunk, self._changed, self._clock(), before)
        self.tasks.append(task)
        return task

    def _call(self, task: Task, wait: bool) -> Task:
        if wait:
            self._process_calls.call(task)
        else:
            threading.Thread(target=self._process_calls.call, args=(task,), daemon=True).start()
        return task

    def _expire(self) -> None:
        """Ends the tasks whose time is over. The caller holds the lock."""
        for task in self.tasks:
            if task.state in WAITING:
                violation = task.expire(self._clock(), self.heartbeat_limit_s)
                if violation:
                    self._violated(task, violation)
                if task.over:
                    self._changed.notify_all()

    def _keep_limits(self) -> None:
        with self._changed:
            while not self._stopped.is_set():
                self._expire()
                waiting = any(task.state in WAITING for task in self.tasks)
                self._changed.wait(TICK_S if waiting else None)

    # ---- messages

    def _answer(self, instance: Instance, request: Request) -> Reply:
        at_s = self._clock()
        self.calls.append(Call(request.method, request.path, request.headers))
        try:
            task, webhook = self._addressed(request)
            body = request.read(request.unread)
        except Refused as refused:
            with self._changed:
                self.violations.append(refused.violation)
            return refused.reply
        if webhook == PATHS[CALLBACK]:
            webhook = HEARTBEAT if webhooks.has_status(body) else RESULT
        fault = next(iter(self._faults.striking(webhook)), "")
        if fault == "gone":
            instance.vanish()
            raise Dropped
        kind = fault.removeprefix(f"{webhook}_")
        with self._changed:
            self._expire()
            if webhook == HEARTBEAT:
                task.heartbeat_at_s = at_s
            if kind in answer_faults.REFUSING:
                status, problems = webhooks.refuse(task, webhook, at_s, answer_faults.REFUSING[kind])
            else:
                arrival = Arrival(webhook, request.headers.get("Content-Type", ""), body, at_s, lost=bool(kind))
                status, problems = webhooks.accept(task, arrival)
            for problem in problems:
                self._violated(task, problem)
            self._changed.notify_all()
        return answer_faults.faulty(Reply(status), kind, request, instance.origin, self._stopped)

    def _addressed(self, request: Request) -> tuple[Task, str]:
        """The task and the webhook of a message. Raises Refused."""
        webhook, _, name = request.path.removeprefix("/").partition("/")
        with self._changed:
            task = next((task for task in self.tasks if f"task{task.number}" == name), None)
        if request.path.startswith(answer_faults.REDIRECTED):
            raise Refused(f"a redirect of a webhook was followed: {request.method} {request.path}", Reply(404))
        if task is None or webhook not in PATHS.values():
            raise Refused(f"{request.method} {request.path}: there is no such webhook", Reply(404))
        if request.method != "POST":
            raise Refused(f"{task}: {request.method} of its {webhook} webhook", Reply(405))
        if request.unread > MAX_MESSAGE_BYTES:
            raise Refused(f"{task}: {request.unread} bytes for its {webhook} webhook", Reply(413))
        return task, webhook

    def _violated(self, task: Task, problem: str) -> None:
        self.violations.append(f"{task}: {problem}")
