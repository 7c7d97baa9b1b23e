"""Jobs in an embedded AWS, without the functions and the state machine around them."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from job_setup import WEBHOOKS, Listener

from annohooks.aiware.jobs.record import Job, Jobs
from annohooks.core import deadline, dynamodb, retry


@pytest.fixture(scope="module", autouse=True)
def aws(embedded_aws_of_the_module: None) -> None:
    os.environ["MODELS_BUCKET"] = "models"
    boto3.client("dynamodb").create_table(
        TableName="jobs",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "job", "AttributeType": "S"},
            {"AttributeName": "sequence", "AttributeType": "N"},
        ],
        KeySchema=[{"AttributeName": "job", "KeyType": "HASH"}, {"AttributeName": "sequence", "KeyType": "RANGE"}],
    )
    for bucket in ("staging", "models"):
        boto3.client("s3").create_bucket(Bucket=bucket)


@pytest.fixture
def jobs() -> Jobs:
    return Jobs("jobs")


@pytest.fixture
def identity() -> str:
    """The identity of a chunk that no other test has."""
    return (uuid.uuid4().hex * 2)[:40]


@pytest.fixture
def accept(jobs: Jobs, identity: str) -> Callable[..., Job]:
    """accept(webhooks, limit_s): the chunk comes."""
    return lambda webhooks=WEBHOOKS, limit_s=600: jobs.accept(identity, webhooks, limit_s, limit_s)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses made. They take no time, but deadlines come nearer by them."""
    pauses: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + sum(pauses), time=time.time, time_ns=time.time_ns)
    monkeypatch.setattr(deadline, "time", clock)
    monkeypatch.setattr(retry, "sleep", pauses.append)
    return pauses


@pytest.fixture
def failing_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, dict[str, Any]], list[str]]:
    """failing_once(operation, response): the next call of DynamoDB's operation fails. Returns how the calls end."""

    def plan(operation: str, response: dict[str, Any]) -> list[str]:
        real, outcomes = getattr(dynamodb.client(), operation), []

        def call(**arguments: Any) -> Any:
            outcomes.append("done" if outcomes else "failed")
            if outcomes[-1] == "failed":
                raise dynamodb.client().exceptions.from_code(response["Error"]["Code"])(response, operation)
            return real(**arguments)

        monkeypatch.setattr(dynamodb.client(), operation, call)
        return outcomes

    return plan


@pytest.fixture
def listener() -> Iterator[Listener]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            listening.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            listening.hold.wait(20)
            self.send_response(listening.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening = Listener(f"http://127.0.0.1:{server.server_port}")
    listening.hold.set()
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    yield listening
    listening.hold.set()
    server.shutdown()
    thread.join()
    server.server_close()
