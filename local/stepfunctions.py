"""Step Functions: the embedded AWS executes the state machines of template.yaml, and calls our own functions."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.core.config import default_user_config
from moto.server import ThreadedMotoServer
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from local.lambdas import Context, Handler, instances, load
from local.listener import Running
from local.template import Function, StateMachine

# For every error that a state machine catches, moto prints the whole definition of the state.
logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)

ACCOUNT = "123456789012"
REGION = "eu-west-1"
_ROLE = f"arn:aws:iam::{ACCOUNT}:role/annohooks-local"
_POLL_S = 0.1
_handlers: dict[str, tuple[Function, Handler, ThreadPoolExecutor]] = {}
"""What the embedded Lambda calls, by function name. It has one memory for all stacks of a process: the stack that was
started last counts, until it stops."""


@dataclass
class Mishap:
    """A failure of the next `times` invocations with a task: they end with an error of Lambda itself.

    error: its name, such as Runtime.ExitError for a function that was killed. after: fails once the work is done, and
    not before it.
    """

    task: str
    error: str = "Runtime.ExitError"
    after: bool = False
    times: int = 1


class LambdaError(Exception):
    """An invocation that Lambda ended. kind: Lambda's name of the error."""

    def __init__(self, kind: str) -> None:
        super().__init__("RequestId: local Error: the function was ended")
        self.kind = kind


mishaps: list[Mishap] = []
"""Failures that are still to come. Tests plan them."""


_start_execution = StepFunctionsParserBackend.start_execution
_starting = threading.Lock()


def _start_one_at_a_time(self: Any, *args: Any, **named: Any) -> Any:
    """StartExecution. On AWS, two requests with the same name start one execution; moto starts two if they overlap."""
    with _starting:
        return _start_execution(self, *args, **named)


def _strike(event: Mapping[str, Any], *, after: bool) -> None:
    for mishap in mishaps:
        if mishap.task == event.get("task") and mishap.after == after and mishap.times > 0:
            mishap.times -= 1
            raise LambdaError(mishap.error)


def _invoke(self: Any, function_name: str, _qualifier: Any, body: Any, _headers: Any, answer: dict[str, str]) -> bytes:
    """Answers Step Functions like Lambda: with the result, or with an error's name and message, and a header."""
    name = function_name.rpartition(":")[2]
    try:
        return json.dumps(call(name, json.loads(body))).encode()
    except Exception as error:
        kind = "Sandbox.Timedout" if isinstance(error, TooSlow) else getattr(error, "kind", type(error).__name__)
        print(f"{name} raised {kind}: {error}", file=sys.stderr)
        answer["x-amz-function-error"] = "Unhandled"
        return json.dumps({"errorType": kind, "errorMessage": str(error), "stackTrace": []}).encode()


def call(name: str, event: dict[str, Any]) -> dict[str, Any]:
    """Calls a function, and returns or raises what it does. Raises TimeoutError when it takes longer than it may."""
    function, handler, threads = _handlers[name]
    _strike(event, after=False)
    returned = threads.submit(handler, event, Context(name, function.timeout_s)).result(function.timeout_s)
    _strike(event, after=True)
    return returned


class StepFunctions(Running):
    """The state machines, and the EventBridge rules for executions that fail. Start it when the embedded AWS runs."""

    def __init__(
        self,
        functions: Iterable[Function],
        machines: Iterable[StateMachine],
        environment: Mapping[str, str],
    ) -> None:
        # moto's interpreter calls Lambda at localhost, wherever the embedded AWS listens. So this is a second server.
        self._lambda = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        default_user_config["stepfunctions"] = {"execute_state_machine": True}
        default_user_config["lambda"] = {"use_docker": False}
        LambdaSimpleBackend.invoke = _invoke  # type: ignore[method-assign]
        StepFunctionsParserBackend.start_execution = _start_one_at_a_time  # type: ignore[method-assign]
        self._threads = instances()
        self._handlers_before = dict(_handlers)
        self._watchers: list[Function] = []
        machines = list(machines)
        used = json.dumps([machine.definition for machine in machines])
        for function in functions:
            if arn(function.name) in used:
                _handlers[function.name] = (function, load(function, environment), self._threads)
            if function.patterns:
                self._watchers.append(function)
        self._machines = machines
        self._ended = threading.Event()
        self._watching = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        self._lambda.start()
        os.environ["MOTO_PORT"] = str(self._lambda.get_host_and_port()[1])
        client = boto3.client("stepfunctions")
        existing = {machine["name"] for machine in client.list_state_machines()["stateMachines"]}
        for machine in self._machines:
            definition = json.dumps(machine.definition)
            if machine.name in existing:
                client.update_state_machine(stateMachineArn=state_machine_arn(machine.name), definition=definition)
            else:
                client.create_state_machine(name=machine.name, definition=definition, roleArn=_ROLE)
        self._reported = {execution["executionArn"] for execution in self._failed_executions(client)}
        self._watching.start()

    def stop(self) -> None:
        self._ended.set()
        self._watching.join()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._lambda.stop()
        _handlers.clear()
        _handlers.update(self._handlers_before)

    def _watch(self) -> None:
        """EventBridge: sends an event for every execution that ends with a status that a rule names."""
        client = boto3.client("stepfunctions")
        while not self._ended.wait(_POLL_S):
            try:
                executions = self._failed_executions(client)
            except (BotoCoreError, ClientError) as error:
                print(f"the executions cannot be listed: {error}", file=sys.stderr)
                continue
            for execution in executions:
                if execution["executionArn"] not in self._reported:
                    self._reported.add(execution["executionArn"])
                    self._report(execution)

    def _failed_executions(self, client: Any) -> list[dict[str, Any]]:
        """The executions with a status that a rule names."""
        statuses = {
            status
            for watcher in self._watchers
            for pattern in watcher.patterns
            for status in pattern["detail"]["status"]
        }
        return [
            client.describe_execution(executionArn=execution["executionArn"])
            for machine in self._machines
            for execution in client.list_executions(stateMachineArn=state_machine_arn(machine.name))["executions"]
            if execution["status"] in statuses
        ]

    def _report(self, execution: dict[str, Any]) -> None:
        detail = {key: execution[key] for key in ("executionArn", "stateMachineArn", "name", "status", "input")}
        event = {
            "id": str(uuid.uuid4()),
            "source": "aws.states",
            "detail-type": "Step Functions Execution Status Change",
            "detail": detail,
        }
        for watcher in self._watchers:
            try:
                call(watcher.name, event)
            except Exception as error:  # like EventBridge, logs it and tells nobody
                print(f"{watcher.name} raised {type(error).__name__}: {error}", file=sys.stderr)


def arn(function_name: str) -> str:
    """The ARN of a function."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function_name}"


def state_machine_arn(name: str) -> str:
    """The ARN of a state machine."""
    return f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{name}"
