"""The whole way: toolkit, the relay as its container runs it, the API, the state machine, and the messages back."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from local.stack import AIWARE_SECRET, Stack
from local.template import ROOT

PARAMETERS = {
    "AiwareDelivery": "relay",
    "AiwareHeartbeatSeconds": "1",
    "AiwarePatienceSeconds": "20",
    "AiwareWebhookOrigins": "",
}


@pytest.fixture(scope="module")
def aiware_stack(another_stack: Callable[..., AbstractContextManager[Stack]]) -> Iterator[Stack]:
    with another_stack(parameters=PARAMETERS) as running:
        yield running


@dataclasses.dataclass
class Relay:
    """A relay's process, which keeps its state in a folder. url: of its webhooks."""

    url: str
    process: subprocess.Popen[str]

    def stop(self) -> str:
        """Ends it as a container does; what it logged."""
        self.process.terminate()
        said, _ = self.process.communicate(timeout=30)
        return said


@pytest.fixture
def start_relay(engine, tmp_path: Path) -> Iterator[Callable[[], Relay]]:
    started: list[Relay] = []

    def start() -> Relay:
        port = free_port()
        environment = os.environ | {
            "ANNOHOOKS_URL": engine.stack.origin,
            "ANNOHOOKS_SECRET": AIWARE_SECRET,
            "ANNOHOOKS_RELAY_PORT": str(port),
            "ANNOHOOKS_RELAY_STATE": str(tmp_path / "state"),
        }
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "engine" / "relay.py")], env=environment, stdout=subprocess.PIPE, text=True
        )
        started.append(Relay(f"http://127.0.0.1:{port}", process))
        assert engine.toolkit.ready(f"{started[-1].url}/ready", timeout_s=30, poll_s=0.1) == "READY"
        return started[-1]

    yield start
    for relay in started:
        if relay.process.poll() is None:
            relay.stop()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_job_reports_through_the_relay(engine, start_relay):
    engine.url = start_relay().url
    task = engine.process().wait(60)
    assert task.state == "COMPLETE", task.failure_message
    assert [result.body["index"] for result in task.results] == [1, 2, 3, 4]
    record = engine.record(task)
    assert record["stage"] == "complete"


def test_a_picture_is_answered_at_once_through_the_relay(engine, start_relay):
    engine.url = start_relay().url
    task = engine.process("face.jpg", engine.picture(), payload="{}")
    assert (task.state, len(task.output["object"])) == ("DONE_SYNC", 1)


@pytest.mark.thorough
def test_a_relay_that_is_restarted_goes_on_where_it_was(engine, start_relay):
    relay = start_relay()
    engine.url = relay.url
    task = engine.process().wait(60, until=lambda task: len(task.results) >= 1)
    relay.stop()
    start_relay()
    assert task.wait(60).state == "COMPLETE"
    assert [(result.body["index"], result.repeat) for result in task.results] == [(n, False) for n in (1, 2, 3, 4)]


def test_a_failure_is_told_through_the_relay(engine, start_relay):
    engine.url = start_relay().url
    engine.media.faults.add("status_404")
    task = engine.process().wait(60)
    assert (task.state, task.failure) == ("FAILED", "url_not_found")


def test_results_that_the_toolkit_refuses_for_a_while_are_taken_once(engine, start_relay):
    engine.url = start_relay().url
    engine.toolkit.faults.plan("result_503", skip=1, times=3)
    task = engine.process().wait(60)
    assert task.state == "COMPLETE"
    assert [result.body["index"] for result in task.results] == [1, 2, 3, 4]


@pytest.mark.thorough
def test_what_the_relay_logs_holds_no_secret(engine, start_relay):
    relay = start_relay()
    engine.url = relay.url
    task = engine.process(token="canary-token-of-the-task", payload='{"note": "canary-note"}').wait(60)
    said = relay.stop()
    assert f"job {task.job}" in said
    secrets = (AIWARE_SECRET, "canary", task.fields["heartbeatWebhook"], task.fields["cacheURI"])
    assert [secret for secret in secrets if secret in said] == []
