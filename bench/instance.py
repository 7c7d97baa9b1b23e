"""An instance of a Lambda function in its own process, with its own folders and clients: one invocation at a time.

    python -P bench/instance.py MODULE.HANDLER TIMEOUT_S

Prints a line of JSON when it has imported the handler, and then one for each event that it reads, one event per line.
Before the handler, it imports no more than Lambda's own runtime does.
"""

import asyncio
import importlib
import json
import os
import sys
import time
from pathlib import Path


class Context:
    """What Lambda tells a function about its invocation."""

    function_name = "bench"
    memory_limit_in_mb = 1769
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:bench"
    aws_request_id = "00000000-0000-4000-8000-000000000000"

    def __init__(self, timeout_s: float) -> None:
        self._end = time.monotonic() + timeout_s

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._end - time.monotonic()) * 1000))


def timed(work) -> dict:
    """What the work returns or raises, with its wall-clock time and its processor time."""
    started, cpu = time.perf_counter(), time.process_time()
    try:
        outcome = {"returned": work()}
    except Exception as error:
        outcome = {"error": type(error).__name__, "message": str(error)}
    return {**outcome, "seconds": time.perf_counter() - started, "cpu_s": time.process_time() - cpu}


def peak_mb() -> float:
    """The peak memory of this process, 0 if the system does not report it. `resource` would report its parent's."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    out, sys.stdout = sys.stdout, sys.stderr  # the other end of stdout expects replies, not the handler's log
    (module, _, name), timeout_s = sys.argv[1].rpartition("."), float(sys.argv[2])

    def reply(outcome: dict) -> None:
        print(json.dumps({**outcome, "peak_mb": peak_mb()}), file=out, flush=True)

    asyncio.set_event_loop(asyncio.new_event_loop())
    reply(timed(lambda: importlib.import_module(module) and None))
    handler = getattr(sys.modules[module], name)
    for line in sys.stdin:
        event = json.loads(line)
        reply(timed(lambda event=event: handler(event, Context(timeout_s))))
    os._exit(0)  # does not wait for the threads of clients that are still open


if __name__ == "__main__":
    main()
