"""What an aiWARE engine promises, and what its jobs cost, measured on the whole local stack, in a process of its own.

    python -m bench.aiware ack | heartbeat_gap | heartbeat_gap_relay | job MINUTES

The Engine Toolkit and its media server are the simulated ones, the state machine is really executed by the embedded
AWS, and every instance of a function is a process (bench/instances.py). Prints a line of JSON: the rows, each as
`bench.report.Measured`.
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
from bench.report import Measured
from local import stack, template
from local.simulators.aiware import Task, samples
from local.stack import Stack
from local.template import ROOT

ACK_S = 2.0
GAP_IN_INTERVALS = 1.2
"""What is promised of acknowledgements and of heartbeats."""

ACKS, COLD_ACKS = 20, 5
CHUNK_S = 75  # of video: 4.2 MB, nearly as much as a form can hold
BEATS = 24
INTERVAL_S = 5
SEGMENT_S = 60  # the default of segmentMs
PROCESSORS = os.cpu_count() or 1
AT_ONCE = max(1, PROCESSORS - 1)
"""Segments: one processor is left to what stands for AWS, so that no function waits for another."""
TASK_TOKEN_BYTES = 1000  # of Step Functions', which the embedded ones' 36 stand for; they may have 2,048

_ME = "bench"  # as an access key, for requests that are not to be counted
_OPERATION = re.compile(r"Credential=([^/]+)/\d+/[^/]+/(\w+)/")


# ---- what runs


class Counted(NamedTuple):
    """requests: that functions made of the embedded AWS, by service and operation. entered: states, by name."""

    requests: Counter[tuple[str, str]]
    entered: Counter[str]


@contextmanager
def counting() -> Iterator[Counted]:
    """While open, a local stack that is started has its requests and state transitions counted."""
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
    """The service and the operation of a request, None for one that is not signed or of this process."""
    signed = _OPERATION.search(environ.get("HTTP_AUTHORIZATION", ""))
    if signed is None or signed[1] == _ME:
        return None
    if signed[2] != "s3":
        return signed[2], environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    is_list = environ["REQUEST_METHOD"] == "GET" and "list-type" in parse_qs(environ.get("QUERY_STRING", ""))
    return "s3", "LIST" if is_list else environ["REQUEST_METHOD"]


class Running(NamedTuple):
    """The stack with its functions in processes. process: the URL that the toolkit calls."""

    stack: Stack
    instances: Instances
    counted: Counted
    process: str

    def job(self, content: bytes, name: str = "video.mp4", chunk: bytes | None = None, **fields: Any) -> Task:
        """A video given to the engine; acknowledged by the first call. Raises ValueError if it is not."""
        address = "" if chunk else self.stack.media.add(name, content, "video/mp4")
        given = {"cacheURI": address, "chunkMimeType": "video/mp4", "maxTTL": 3600, **fields}
        task = self.stack.toolkit.process(self.process, chunk=chunk, **given)
        if task.acked_after_s is None or task.calls != 1:
            raise ValueError(f"the engine answered {task.status}: {task.text}")
        return task

    def complete(self, task: Task, timeout_s: float = 1200) -> Task:
        """The task once it is complete. Raises ValueError if it is not, or anything went wrong on the way."""
        task.wait(timeout_s)
        wrong = [*self.stack.toolkit.violations, *self.instances.errors]
        if task.state != "COMPLETE" or wrong:
            raise ValueError(f"the job is {task.state}: {task.failure_message} {'; '.join(wrong)}")
        return task


@contextmanager
def running(**parameters: str) -> Iterator[Running]:
    """parameters: of the template. With the delivery `relay`, the engine's relay stands before the API, too."""
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
    """The relay of the engine's container; where its process is."""
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
            said = iter(relay.stdout.readline, "")
            port = next(found[1] for line in said if (found := re.search(r"listening on port (\d+)", line)))
            threading.Thread(target=relay.stdout.read, daemon=True).start()
            yield f"http://127.0.0.1:{port}/process"
        finally:
            relay.terminate()
            relay.wait()


@contextmanager
def _busy() -> Iterator[None]:
    """As many processes as there are processors, each of which does nothing but take one."""
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(PROCESSORS)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def video(minutes: int) -> bytes:
    """MP4 of 640 x 360 px, 10 frames a second: the minute of `make demo`, one after the other."""
    import cv2

    frames = inputs.frames()
    size = samples.WIDTH, samples.HEIGHT
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "video.mp4")
        writer = cv2.VideoWriter(str(made), cv2.VideoWriter.fourcc(*"mp4v"), samples.FPS, size)
        for _ in range(minutes):
            for frame in frames:
                writer.write(frame)
        writer.release()
        return made.read_bytes()


# ---- promises


def ack() -> list[Measured]:
    """From the toolkit's request to the acknowledgement, over a socket."""
    short, long = samples.video(5).content, samples.video(CHUNK_S).content
    with running() as here:

        def acked_s(number: int, chunk: bytes | None = None) -> float:
            task = here.job(short, chunk=chunk, chunkContext=f"{number}.in")
            here.complete(task)  # so that no work disturbs the next
            return task.acked_after_s or 0.0

        cold = []
        for number in range(COLD_ACKS + 1):
            here.instances.discard()
            cold.append(acked_s(number))
        warm = [acked_s(100 + number) for number in range(ACKS)]
        chunks = [acked_s(200 + number, long) for number in range(ACKS)]
    each = "no other side, theirs is what is promised; ours: median of"
    longest = "{}, the longest {:.3f} s; a video by its cacheURI{}"
    return [
        Measured("", median(warm), ACK_S, "s", f"{each} {longest.format(len(warm), max(warm), '')}"),
        Measured(
            "_cold",
            median(cold[1:]),
            ACK_S,
            "s",
            f"{each} "
            + longest.format(
                len(cold) - 1, max(cold[1:]), ", by a process that is started for it; not what AWS adds to that"
            ),
        ),
        Measured(
            "_chunk",
            median(chunks),
            ACK_S,
            "s",
            f"{each} {len(chunks)}, the longest {max(chunks):.3f} s; a video of {len(long) / 1e6:.1f} MB in the form",
        ),
    ]


def heartbeat_gap(delivery: str = "direct") -> list[Measured]:
    """The longest time between two heartbeats, in intervals, of a job whose media come byte by byte."""
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
        f"no other side, theirs is what is promised; ours: {len(gaps)} gaps of {min(gaps):.2f} to {max(gaps):.2f} s at "
        f"an interval of {INTERVAL_S} s, delivered by {delivery}; the first heartbeat {first_s:.2f} s after the "
        f"acknowledgement; {PROCESSORS} processes spinning on {PROCESSORS} CPUs meanwhile"
    )
    return [Measured("", max(gaps) / INTERVAL_S, GAP_IN_INTERVALS, "intervals", note)]


def heartbeat_gap_relay() -> list[Measured]:
    """The same, collected by the relay."""
    return heartbeat_gap("relay")


# ---- a job


def job(minutes: int) -> list[Measured]:
    """Of as many segments as minutes, with the template's parameters, every function cold at its start."""
    content = video(minutes)
    with running(AiwareDelivery="relay", AiwareSegmentsAtOnce=str(AT_ONCE)) as here:
        before = Counted(here.counted.requests.copy(), here.counted.entered.copy())
        task = here.complete(here.job(content, f"{minutes}.mp4"))
        if len(task.results) != minutes:
            raise ValueError(f"there are {len(task.results)} results of {minutes} segments")
        seconds = task.heartbeats[-1].at_s - task.called_at_s
        items = _items_once_collected()
        requests = here.counted.requests - before.requests
        transitions = (here.counted.entered - before.entered).total()
        invocations = list(here.instances.invocations)
    needed = requested(requests, items, sum(each.task.startswith("/") for each in invocations))
    ran = {name: functions_ran(name, invocations) for name in dict.fromkeys(each.function for each in invocations)}
    costs = prices.cost(ran.values(), transitions, needed)
    of_functions = ", ".join(_described(name, of, invocations) for name, of in ran.items())
    how = (
        f"{minutes} segments of {SEGMENT_S} s, {AT_ONCE} at once, faces in 60 samples of each, "
        f"{len(content) / 1e6:.1f} MB, by the relay"
    )
    of_dynamodb = sum(number for (service, _), number in requests.items() if service == "dynamodb")
    counted = (
        f"{transitions} state transitions; {of_functions}; DynamoDB {of_dynamodb} requests, {needed.writes} write and "
        f"{needed.reads} read units; S3 {needed.s3_writes} writes, {needed.s3_reads} reads; API {needed.api} requests"
    )
    total = sum(costs.values())
    shares = ", ".join(f"{service} {dollars / total:.0%}" for service, dollars in costs.items())
    return [
        Measured("", seconds, None, "s", f"one run, from the request to the last heartbeat; {how}; {counted}"),
        Measured(
            "_cost",
            total * 1000,
            None,
            "USD per 1,000 jobs",
            f"{total:.6f} USD a job: {shares}; list prices of eu-west-1, arm64, durations of this machine; {how}",
        ),
    ]


def _items_once_collected() -> list[dict[str, Any]]:
    """The job's record and its messages, once the relay has acknowledged the last."""
    import boto3

    table = boto3.client("dynamodb", aws_access_key_id=_ME, aws_secret_access_key=_ME)
    until = time.monotonic() + 60
    while True:
        items: list[dict[str, Any]] = []
        for page in table.get_paginator("scan").paginate(TableName=stack.RESOURCES["JobsTable"]):
            items += page["Items"]
        record = next(item for item in items if _is_record(item))
        if record["collected"] == record["last"]:
            return items
        if time.monotonic() > until:
            raise TimeoutError("the relay has not acknowledged the last message")
        threading.Event().wait(0.1)


def requested(requests: Counter[tuple[str, str]], items: list[dict[str, Any]], api: int) -> prices.Requests:
    """In the units that are paid. items: the job's record, and its messages, which were written and read once.

    The record is taken to be as large as it is at the end for each of its writes and reads.
    """
    tokens = {name: {"S": "x" * TASK_TOKEN_BYTES} for name in ("beat_token", "limit_token")}
    record = next(size_bytes(item | tokens) for item in items if _is_record(item))
    messages = [size_bytes(item) for item in items if not _is_record(item)]
    alone = requests["dynamodb", "PutItem"] + requests["dynamodb", "UpdateItem"]
    in_transactions = 2 * requests["dynamodb", "TransactWriteItems"]
    return prices.Requests(
        writes=math.ceil(record / 1024) * (alone + in_transactions) + 2 * sum(math.ceil(of / 1024) for of in messages),
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
    """Of an item as DynamoDB counts it: names, texts in UTF-8, and half a byte for a digit."""

    def of(kind: str, value: Any) -> int:
        match kind:
            case "S":
                return len(value.encode())
            case "N":
                return len(value) // 2 + 2
            case "NS":
                return 3 + sum(of("N", each) for each in value)
        return 1

    return sum(len(name.encode()) + of(*next(iter(value.items()))) for name, value in item.items())


def functions_ran(name: str, invocations: list[Invocation]) -> prices.Ran:
    """What is paid for a function."""
    described = template.load()
    properties = described["Resources"][name]["Properties"]
    memory = properties["MemorySize"]
    memory_mb = int(described["Parameters"][memory["Ref"]]["Default"] if isinstance(memory, dict) else memory)
    disk_mb = max(0, properties.get("EphemeralStorage", {}).get("Size", 512) - 512)
    of = [each for each in invocations if each.function == name]
    seconds = sum(prices.billed_s(each.seconds, each.cpu_s, memory_mb) + each.start_s for each in of)
    return prices.Ran(len(of), seconds, seconds * memory_mb / 1024, seconds * disk_mb / 1024)


def _described(name: str, ran: prices.Ran, invocations: list[Invocation]) -> str:
    of = [each for each in invocations if each.function == name]
    short = name.removeprefix("Aiware").removesuffix("Function").lower()
    starts, peak_mb = sum(each.start_s > 0 for each in of), max(each.peak_mb for each in of)
    return f"{short} {ran.number} times in {starts} processes, {ran.gb_s:.3f} GB-s, {peak_mb:.0f} MB"


SCENARIOS: dict[str, Callable[..., list[Measured]]] = {
    "ack": ack,
    "heartbeat_gap": heartbeat_gap,
    "heartbeat_gap_relay": heartbeat_gap_relay,
    "job": job,
}


def main() -> None:
    out, sys.stdout = sys.stdout, sys.stderr
    name, *numbers = sys.argv[1:]
    print(json.dumps(SCENARIOS[name](*map(int, numbers))), file=out, flush=True)
    os._exit(0)  # an execution that is still running has a thread that would be waited for


if __name__ == "__main__":
    main()
