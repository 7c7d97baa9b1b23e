"""Imports the functions of template.yaml into this process, each with its own environment."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from local.template import Function

Handler = Callable[[dict[str, Any], "Context"], dict[str, Any]]

_INSTANCES = 16


class Context:
    """Lambda's context object of an invocation."""

    def __init__(self, function_name: str, timeout_s: float) -> None:
        self.function_name = function_name
        self.function_version = "$LATEST"
        self.memory_limit_in_mb = 2048
        self.invoked_function_arn = f"arn:aws:lambda:eu-west-1:123456789012:function:{function_name}"
        self.aws_request_id = str(uuid.uuid4())
        self._end = time.monotonic() + timeout_s

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._end - time.monotonic()) * 1000))


def instances() -> ThreadPoolExecutor:
    """Threads that call handlers. Mangum needs an event loop in each of them, as in the thread of a Lambda instance."""
    return ThreadPoolExecutor(_INSTANCES, "instance", lambda: asyncio.set_event_loop(asyncio.new_event_loop()))


def load(function: Function, environment: Mapping[str, str]) -> Handler:
    """The function's handler. Imports its module anew, with its own environment."""
    module_name, attribute = function.handler.rsplit(".", 1)
    path = function.folder / f"{module_name}.py"
    spec = importlib.util.spec_from_file_location(f"functions_{function.folder.name}_{module_name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    os.environ.update(environment)
    with _variables(function.environment):
        spec.loader.exec_module(module)
    handler: Handler = getattr(module, attribute)
    return handler


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
