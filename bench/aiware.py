"""Measures on the local stack, in a separate process, what an aiWARE engine promises and what its jobs cost.

    python -m bench.aiware ack | heartbeat_gap | heartbeat_gap_relay | job MINUTES

The Engine Toolkit and its media server are simulated, the embedded AWS executes the state machine, and every instance
of a function is a process (bench/instances.py). Prints a line of JSON: a list of `bench.report.Measurement`.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from unittest import mock
from urllib.parse import parse_qs

from bench import inputs, prices
from bench.instances import Instances, Invocation, instances
from bench.report import Measurement
from local import stack, template
from local.simulators.aiware import Task, samples
from local.stack import Stack
from local.template import ROOT

ACK_S = 2.0
GAP_IN_INTERVALS = 1.2
"""The promises about acknowledgements and heartbeats."""

NO_OTHER_SIDE = "no other side, theirs is the promise"

ACKS, COLD_ACKS = 20, 5
CHUNK_S = 75  # seconds of video: 4.2 MB, nearly the limit of a form
BEATS = 24
INTERVAL_S = 5
SEGMENT_S = 60  # the default of segmentMs
PROCESSORS = os.cpu_count() or 1
SEGMENTS_AT_ONCE = max(1, PROCESSORS - 1)
"""Leaves one processor to the embedded AWS, so that no function waits for another."""
TASK_TOKEN_BYTES = 1000  # a token of Step Functions has up to 2,048; one of the embedded AWS has 36

_OWN_KEY = "bench"  # the access key of the benchmark's own requests, which are not counted
_OPERATION = re.compile(r"Credential=([^/]+)/\d+/[^/]+/(\w+)/")


# ---- the local stack


class Counted(NamedTuple):
    """requests: of functions to the embedded AWS, by service and operation. entered: the entered states, by name."""

    requests: Counter[tuple[str, str]]
    entered: Counter[str]


@contextmanager
def counting() -> Iterator[Counted]:
    """Counts the requests and state transitions of a local stack that starts meanwhile."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication
    from moto.stepfunctions.parser.asl.component.state.state import CommonStateField

    counted = Counted(Counter(), Counter())
    enter = CommonStateField._eval_body

    class Counting(DomainDispatcherApplication):
        def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
            if operation := _operation(environ):
                counted.requests[operation] += 1
            return super().__call__(environ, start_response)

    def entering(self: Any, env: Any) -> None:
        counted.entered[self.name] += 1
        enter(self, env)

    with (
        mock.patch("moto.moto_server.threaded_moto_server.DomainDispatcherApplication", Counting),
        mock.patch.object(CommonStateField, "_eval_body", entering),
    ):
        yield counted


def _operation(environ: dict[str, Any]) -> tuple[str, str] | None:
    """The service and operation of a request, None if it is not signed or comes from the benchmark itself."""
    signed = _OPERATION.search(environ.get("HTTP_AUTHORIZATION", ""))
    if signed is None or signed[1] == _OWN_KEY:
        return None
    if signed[2] != "s3":
        return signed[2], environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    is_list = environ["REQUEST_METHOD"] == "GET" and "list-type" in parse_qs(environ.get("QUERY_STRING", ""))
    return "s3", "LIST" if is_list else environ["REQUEST_METHOD"]


class Running(NamedTuple):
    """The stack, with its functions in separate processes. process: the URL that the toolkit calls."""

    stack: Stack
    instances: Instances
    counted: Counted
    process: str

    def job(self, content: bytes, name: str = "video.mp4", chunk: bytes | None = None, **fields: Any) -> Task:
        """Sends a video to the engine. Raises ValueError if the first call is not acknowledged."""
        address = "" if chunk else self.stack.media.add(name, content, "video/mp4")
        form = {"cacheURI": address, "chunkMimeType": "video/mp4", "maxTTL": 3600, **fields}
        task = self.stack.toolkit.process(self.process, chunk=chunk, **form)
        if task.acked_after_s is None or task.calls != 1:
            raise ValueError(f"the engine answered {task.status}: {task.text}")
        return task

    def complete(self, task: Task, timeout_s: float = 1200) -> Task:
        """Waits for the task. Raises ValueError if it does not complete, or if anything went wrong meanwhile."""
        task.wait(timeout_s)
        problems = [*self.stack.toolkit.violations, *self.instances.errors]
        if task.state != "COMPLETE" or problems:
            raise ValueError(f"the job is {task.state}: {task.failure_message} {'; '.join(problems)}")
        return task


@contextmanager
def running(**parameters: str) -> Iterator[Running]:
    """Starts the stack with parameters of the template, and with the delivery `relay` also the engine's relay."""
    with ExitStack() as started:
        counted = started.enter_context(counting())
        processes = started.enter_context(instances())
        served = started.enter_context(stack.running(parameters=parameters))
        process = f"{served.engine}/process"
        if parameters.get("AiwareDelivery") == "relay":
            process = started.enter_context(_relay(served))
        yield Running(served, processes, counted, process)


@contextmanager
def _relay(served: Stack) -> Iterator[str]:
    """Starts the relay of the engine's container, and gives the URL of its process webhook."""
    with tempfile.TemporaryDirectory() as state:
        environment = {
            "ANNOHOOKS_URL": served.origin,
            "ANNOHOOKS_SECRET": stack.AIWARE_SECRET,
            "ANNOHOOKS_RELAY_PORT": "0",
            "ANNOHOOKS_RELAY_STATE": state,
        }
        relay = subprocess.Popen(
            [sys.executable, ROOT / "engine" / "relay.py"], env=environment, stdout=subprocess.PIPE, text=True
        )
        try:
            assert relay.stdout
            lines = iter(relay.stdout.readline, "")
            port = next(match[1] for line in lines if (match := re.search(r"listening on port (\d+)", line)))
            threading.Thread(target=relay.stdout.read, daemon=True).start()
            yield f"http://127.0.0.1:{port}/process"
        finally:
            relay.terminate()
            relay.wait()


@contextmanager
def _busy() -> Iterator[None]:
    """Keeps every processor busy with a process that only loops."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(PROCESSORS)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def video(minutes: int) -> bytes:
    """MP4 of 640 x 360 px at 10 frames a second: the minute of `make demo`, repeated."""
    import cv2

    frames = inputs.frames()
    size = samples.WIDTH, samples.HEIGHT
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "video.mp4")
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), samples.FPS, size)
        for _ in range(minutes):
            for frame in frames:
                writer.write(frame)
        writer.release()
        return path.read_bytes()


# ---- promises


def ack() -> list[Measurement]:
    """The time from the toolkit's request to the acknowledgement, over a socket."""
    short, long = samples.video(5).content, samples.video(CHUNK_S).content
    with running() as here:

        def acked_s(number: int, chunk: bytes | None = None) -> float:
            task = here.job(short, chunk=chunk, chunkContext=f"{number}.in")
            here.complete(task)  # so that its work does not disturb the next job
            return task.acked_after_s or 0.0

        cold = []
        for number in range(COLD_ACKS + 1):
            here.instances.discard()
            cold.append(acked_s(number))
        del cold[0]  # its import may have compiled .pyc files
        warm = [acked_s(100 + number) for number in range(ACKS)]
        chunks = [acked_s(200 + number, long) for number in range(ACKS)]

    def note(times: list[float], how: str) -> str:
        return f"{NO_OTHER_SIDE}; ours: median of {len(times)}, the longest {max(times):.3f} s; {how}"

    return [
        Measurement("", median(warm), ACK_S, "s", note(warm, "a video by its cacheURI")),
        Measurement("_cold", median(cold), ACK_S, "s", note(cold, "the same, by a new process, without what AWS adds")),
        Measurement(
            "_chunk", median(chunks), ACK_S, "s", note(chunks, f"a video of {len(long) / 1e6:.1f} MB in the form")
        ),
    ]


def heartbeat_gap(delivery: str = "direct") -> list[Measurement]:
    """The longest time between two heartbeats, in intervals, of a job whose media arrive byte by byte."""
    with running(AiwareDelivery=delivery, AiwareHeartbeatSeconds=str(INTERVAL_S)) as here:
        here.stack.media.faults.add("drip")
        with _busy():
            task = here.job(samples.video(5).content)
            task.wait((BEATS + 5) * INTERVAL_S * 3, until=lambda task: task.over or len(task.heartbeats) > BEATS)
        if task.over or here.stack.toolkit.violations or here.instances.errors:
            raise ValueError(f"the job is {task.state}: {here.stack.toolkit.violations} {here.instances.errors}")
        at_s = [beat.at_s for beat in task.heartbeats]
        first_s = at_s[0] - (task.acked_at_s or 0.0)
    gaps = [after - before for before, after in pairwise(at_s)]
    note = (
        f"{NO_OTHER_SIDE}; ours: {len(gaps)} gaps of {min(gaps):.2f} to {max(gaps):.2f} s at "
        f"an interval of {INTERVAL_S} s, delivered by {delivery}; the first heartbeat {first_s:.2f} s after the "
        f"acknowledgement; {PROCESSORS} processes kept {PROCESSORS} CPUs busy meanwhile"
    )
    return [Measurement("", max(gaps) / INTERVAL_S, GAP_IN_INTERVALS, "intervals", note)]


def heartbeat_gap_relay() -> list[Measurement]:
    """The same with heartbeats that the relay collects."""
    return heartbeat_gap("relay")


# ---- a job


def job(minutes: int) -> list[Measurement]:
    """The time and cost of a job with as many segments as minutes and the template's parameters, from a cold start."""
    content = video(minutes)
    with running(AiwareDelivery="relay", AiwareSegmentsAtOnce=str(SEGMENTS_AT_ONCE)) as here:
        before = Counted(here.counted.requests.copy(), here.counted.entered.copy())
        task = here.complete(here.job(content, f"{minutes}.mp4"))
        if len(task.results) != minutes:
            raise ValueError(f"there are {len(task.results)} results of {minutes} segments")
        seconds = task.heartbeats[-1].at_s - task.called_at_s
        items = _items_after_collection()
        requests = here.counted.requests - before.requests
        transitions = (here.counted.entered - before.entered).total()
        invocations = list(here.instances.invocations)
    billed = billed_requests(requests, items, sum(invocation.task.startswith("/") for invocation in invocations))
    names = dict.fromkeys(invocation.function for invocation in invocations)
    usages = {name: function_usage(name, invocations) for name in names}
    costs = prices.cost(usages.values(), transitions, billed)
    functions = ", ".join(_usage_text(name, usage, invocations) for name, usage in usages.items())
    how = (
        f"{minutes} segments of {SEGMENT_S} s, {SEGMENTS_AT_ONCE} at once, faces in 60 samples of each, "
        f"{len(content) / 1e6:.1f} MB, by the relay"
    )
    dynamodb = sum(number for (service, _), number in requests.items() if service == "dynamodb")
    counted = (
        f"{transitions} state transitions; {functions}; DynamoDB {dynamodb} requests, {billed.writes} write and "
        f"{billed.reads} read units; S3 {billed.s3_writes} writes, {billed.s3_reads} reads; API {billed.api} requests"
    )
    total = sum(costs.values())
    shares = ", ".join(f"{service} {dollars / total:.0%}" for service, dollars in costs.items())
    return [
        Measurement("", seconds, None, "s", f"one run, from the request to the final heartbeat; {how}; {counted}"),
        Measurement(
            "_cost",
            total * 1000,
            None,
            "USD per 1,000 jobs",
            f"{total:.6f} USD a job: {shares}; list prices of eu-west-1, arm64, durations of this machine; {how}",
        ),
    ]


def _items_after_collection() -> list[dict[str, Any]]:
    """The job's record and its messages, after the relay has acknowledged the last one."""
    import boto3

    table = boto3.client("dynamodb", aws_access_key_id=_OWN_KEY, aws_secret_access_key=_OWN_KEY)
    until = time.monotonic() + 60
    while True:
        items: list[dict[str, Any]] = []
        for page in table.get_paginator("scan").paginate(TableName=stack.RESOURCES["JobsTable"]):
            items += page["Items"]
        record = next(item for item in items if _is_record(item))
        if record["last_collected"] == record["last_message"]:
            return items
        if time.monotonic() > until:
            raise TimeoutError("the relay has not acknowledged the last message")
        threading.Event().wait(0.1)


def billed_requests(requests: Counter[tuple[str, str]], items: list[dict[str, Any]], api: int) -> prices.Requests:
    """The requests in billed units. items: the job's record, and its messages, which were written and read once.

    Each write and read of the record counts with the size that the record has at the end.
    """
    tokens = {name: {"S": "x" * TASK_TOKEN_BYTES} for name in ("beat_token", "limit_token")}
    record = next(size_bytes(item | tokens) for item in items if _is_record(item))
    messages = [size_bytes(item) for item in items if not _is_record(item)]
    alone = requests["dynamodb", "PutItem"] + requests["dynamodb", "UpdateItem"]
    in_transactions = 2 * requests["dynamodb", "TransactWriteItems"]
    return prices.Requests(
        writes=math.ceil(record / 1024) * (alone + in_transactions)
        + 2 * sum(math.ceil(message / 1024) for message in messages),
        reads=math.ceil(record / 4096) * requests["dynamodb", "GetItem"]
        + requests["dynamodb", "Query"]
        + sum(messages) // 4096,
        s3_writes=sum(requests["s3", method] for method in ("PUT", "POST", "LIST")),
        s3_reads=sum(requests["s3", method] for method in ("GET", "HEAD")),
        api=api,
    )


def _is_record(item: dict[str, dict[str, Any]]) -> bool:
    return bool(item["sequence"]["N"] == "0")


def size_bytes(item: dict[str, dict[str, Any]]) -> int:
    """The size of an item as DynamoDB counts it: names, texts in UTF-8, and half a byte for each digit."""

    def value_bytes(kind: str, value: Any) -> int:
        match kind:
            case "S":
                return len(value.encode())
            case "N":
                return len(value) // 2 + 2
            case "NS":
                return 3 + sum(value_bytes("N", number) for number in value)
        return 1

    return sum(len(name.encode()) + value_bytes(*next(iter(value.items()))) for name, value in item.items())


def function_usage(name: str, invocations: list[Invocation]) -> prices.Usage:
    """The billed usage of a function, with the memory and disk of the template."""
    document = template.load()
    properties = document["Resources"][name]["Properties"]
    memory = properties["MemorySize"]
    memory_mb = int(document["Parameters"][memory["Ref"]]["Default"] if isinstance(memory, dict) else memory)
    disk_mb = max(0, properties.get("EphemeralStorage", {}).get("Size", 512) - 512)
    own = [invocation for invocation in invocations if invocation.function == name]
    seconds = sum(prices.billed_s(run.seconds, run.cpu_s, memory_mb) + run.start_s for run in own)
    return prices.Usage(len(own), seconds, seconds * memory_mb / 1024, seconds * disk_mb / 1024)


def _usage_text(name: str, usage: prices.Usage, invocations: list[Invocation]) -> str:
    own = [invocation for invocation in invocations if invocation.function == name]
    short = name.removeprefix("Aiware").removesuffix("Function").lower()
    starts, peak_mb = sum(invocation.start_s > 0 for invocation in own), max(invocation.peak_mb for invocation in own)
    return f"{short} {usage.invocations} times in {starts} processes, {usage.gb_s:.3f} GB-s, {peak_mb:.0f} MB"


SCENARIOS: dict[str, Callable[..., list[Measurement]]] = {
    "ack": ack,
    "heartbeat_gap": heartbeat_gap,
    "heartbeat_gap_relay": heartbeat_gap_relay,
    "job": job,
}


def main() -> None:
    out, sys.stdout = sys.stdout, sys.stderr
    name, *numbers = sys.argv[1:]
    print(json.dumps(SCENARIOS[name](*map(int, numbers))), file=out, flush=True)
    os._exit(0)  # does not wait for the thread of an execution that is still running


if __name__ == "__main__":
    main()
