"""An instance of a Lambda function in a process of its own: one invocation at a time, folders and clients of its own.

    python -P bench/instance.py MODULE.HANDLER TIMEOUT_S

Prints a line of JSON once the handler is imported, and then one for each line with an event that it reads. Until the
handler is imported this imports no more than Lambda's own runtime does.
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
    """What the work returns or raises, with the time it took: by the clock, and of the processor."""
    started, cpu = time.perf_counter(), time.process_time()
    try:
        said = {"returned": work()}
    except Exception as error:
        said = {"error": type(error).__name__, "message": str(error)}
    return {**said, "seconds": time.perf_counter() - started, "cpu_s": time.process_time() - cpu}


def peak_mb() -> float:
    """The most memory that this process had, 0 where the system does not say; what `resource` says is its parent's."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    out, sys.stdout = sys.stdout, sys.stderr  # the handler's log is nothing to the other end
    (module, _, name), timeout_s = sys.argv[1].rpartition("."), float(sys.argv[2])

    def say(what: dict) -> None:
        print(json.dumps({**what, "peak_mb": peak_mb()}), file=out, flush=True)

    asyncio.set_event_loop(asyncio.new_event_loop())
    start = timed(lambda: importlib.import_module(module) and None)
    say(start)
    handler = getattr(sys.modules[module], name)
    for line in sys.stdin:
        event = json.loads(line)
        say(timed(lambda event=event: handler(event, Context(timeout_s))))
    os._exit(0)  # nothing is left to tidy up, and threads of clients may still be open


if __name__ == "__main__":
    main()
