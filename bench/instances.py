"""Lambda for the local stack: each instance of a function is a process, and each invocation is measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

from bench.invocation import TRACE
from local.template import ROOT, Function


class Invocation(NamedTuple):
    """seconds: wall-clock time. cpu_s: processor time. start_s: time of the import, 0 unless the instance was new."""

    function: str
    task: str
    seconds: float
    cpu_s: float
    start_s: float
    peak_mb: float


class FunctionError(Exception):
    """A function raised an error. kind: the name of its class, which a state machine matches."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Instance:
    """A process that has imported a handler. start: the measurement of the import."""

    def __init__(self, function: Function, environment: Mapping[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bench-instance-")
        folders = (function.folder, ROOT / "layers" / "shared")
        self._process = subprocess.Popen(
            [sys.executable, "-P", ROOT / "bench" / "instance.py", function.handler, str(function.timeout_s)],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join(map(str, folders)),
                "TMPDIR": self._folder.name,
                # With this variable, Powertools loads the X-Ray SDK as in Lambda, which needs a trace.
                "LAMBDA_TASK_ROOT": str(function.folder),
                "_X_AMZN_TRACE_ID": TRACE,
                **environment,
                **function.environment,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.start = self._reply()
        if "error" in self.start:
            raise FunctionError(self.start["error"], self.start["message"])

    def call(self, event: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        print(json.dumps(event), file=self._process.stdin, flush=True)
        return self._reply()

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate()
        self._folder.cleanup()

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise FunctionError("Runtime.ExitError", "the process of the function ended")
        reply: dict[str, Any] = json.loads(line)
        return reply


class Instances:
    """The instances of all functions. An invocation uses an idle instance or starts a new one, as in Lambda.

    invocations: in the order in which they ended. errors: what the functions raised, as text.
    """

    def __init__(self) -> None:
        self.invocations: list[Invocation] = []
        self.errors: list[str] = []
        self._idle: dict[str, list[Instance]] = defaultdict(list)
        self._all: list[Instance] = []
        self._lock = threading.Lock()

    def load(self, function: Function, environment: Mapping[str, str]) -> Callable[[Mapping[str, Any], Any], Any]:
        """Replaces local.lambdas.load."""
        return lambda event, _context: self._call(function, environment, event)

    def discard(self) -> None:
        """Ends the idle instances, so that the next invocation of each function starts a new one."""
        with self._lock:
            idle = [instance for instances in self._idle.values() for instance in instances]
            self._idle.clear()
            self._all = [instance for instance in self._all if instance not in idle]
        for instance in idle:
            instance.stop()

    def stop(self) -> None:
        for instance in self._all:
            instance.stop()

    def _call(self, function: Function, environment: Mapping[str, str], event: Mapping[str, Any]) -> Any:
        with self._lock:
            instance = self._idle[function.name].pop() if self._idle[function.name] else None
        start_s = 0.0
        if instance is None:
            instance = Instance(function, environment)
            start_s = instance.start["seconds"]
            with self._lock:
                self._all.append(instance)
        reply = instance.call(event)
        task = str(event.get("task", event.get("path", "")))
        invocation = Invocation(function.name, task, reply["seconds"], reply["cpu_s"], start_s, reply["peak_mb"])
        with self._lock:
            self.invocations.append(invocation)
            self._idle[function.name].append(instance)
            if "error" in reply:
                self.errors.append(f"{function.name} {task}: {reply['error']}")
        if "error" in reply:
            raise FunctionError(reply["error"], reply["message"])
        return reply["returned"]


@contextmanager
def instances() -> Iterator[Instances]:
    """Makes a local stack that starts meanwhile call its functions in their own processes."""
    running = Instances()
    try:
        with mock.patch("local.gateway.load", running.load), mock.patch("local.stepfunctions.load", running.load):
            yield running
    finally:
        running.stop()
