"""Lambda for the local stack: each instance of a function is a process, and what it takes is written down."""

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
    """seconds: by the clock; cpu_s: of the processor; start_s: of the import, if it was this instance's first."""

    function: str
    task: str
    seconds: float
    cpu_s: float
    start_s: float
    peak_mb: float


class FunctionError(Exception):
    """What a function raised. kind: the name of its class, by which a state machine knows it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Instance:
    """A process that has imported a handler. start: what that took."""

    def __init__(self, function: Function, environment: Mapping[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bench-instance-")
        folders = (function.folder, ROOT / "layers" / "shared")
        self._process = subprocess.Popen(
            [sys.executable, "-P", ROOT / "bench" / "instance.py", function.handler, str(function.timeout_s)],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join(map(str, folders)),
                "TMPDIR": self._folder.name,
                # How Powertools knows that it runs in Lambda and needs the X-Ray SDK, which wants a trace.
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
        self.start = self._said()
        if "error" in self.start:
            raise FunctionError(self.start["error"], self.start["message"])

    def call(self, event: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        print(json.dumps(event), file=self._process.stdin, flush=True)
        return self._said()

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate()
        self._folder.cleanup()

    def _said(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise FunctionError("Runtime.ExitError", "the process of the function ended")
        said: dict[str, Any] = json.loads(line)
        return said


class Instances:
    """Every function's instances: one that is idle is used again, else another one is started, as in Lambda.

    invocations: all, as they ended. Whatever a function raised is in `errors` too.
    """

    def __init__(self) -> None:
        self.invocations: list[Invocation] = []
        self.errors: list[str] = []
        self._idle: dict[str, list[Instance]] = defaultdict(list)
        self._all: list[Instance] = []
        self._lock = threading.Lock()

    def load(self, function: Function, environment: Mapping[str, str]) -> Callable[[Mapping[str, Any], Any], Any]:
        """In the place of local.lambdas.load."""
        return lambda event, _context: self._call(function, environment, event)

    def discard(self) -> None:
        """The instances that are idle end: the next invocation of each function starts one."""
        with self._lock:
            idle = [instance for of in self._idle.values() for instance in of]
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
        said = instance.call(event)
        task = str(event.get("task", event.get("path", "")))
        measured = Invocation(function.name, task, said["seconds"], said["cpu_s"], start_s, said["peak_mb"])
        with self._lock:
            self.invocations.append(measured)
            self._idle[function.name].append(instance)
            if "error" in said:
                self.errors.append(f"{function.name} {task}: {said['error']}")
        if "error" in said:
            raise FunctionError(said["error"], said["message"])
        return said["returned"]


@contextmanager
def instances() -> Iterator[Instances]:
    """While open, a local stack that is started calls functions in processes of their own."""
    running = Instances()
    try:
        with mock.patch("local.gateway.load", running.load), mock.patch("local.stepfunctions.load", running.load):
            yield running
    finally:
        running.stop()
