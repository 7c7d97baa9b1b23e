"""The relay as the toolkit runs it: a process with environment variables, which signals stop and failures kill."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from stand_ins import JOB, SECRET, WAIT_S, Relay, complete, result, running

from local.template import ROOT

RELAY = ROOT / "engine" / "relay.py"


@pytest.fixture
def run(api, tmp_path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """run(ANNOHOOKS_URL=...): a process, ended at the test's end."""
    with ExitStack() as started:

        def popen(**changed: str) -> subprocess.Popen[str]:
            environment = {
                "PATH": os.environ["PATH"],
                "ANNOHOOKS_URL": f"{api.origin}/stage",
                "ANNOHOOKS_SECRET": SECRET,
                "ANNOHOOKS_RELAY_PORT": "0",
                "ANNOHOOKS_RELAY_STATE": str(tmp_path / "state"),
            }
            process = subprocess.Popen(
                [sys.executable, "-I", RELAY],
                env=environment | changed,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            started.callback(process.stdout.close)
            started.callback(process.wait)
            started.callback(process.kill)
            return process

        yield popen


def listening(process: subprocess.Popen[str]) -> Relay:
    for line in process.stdout:
        if match := re.search(r"listening on port (\d+)", line):
            return Relay(int(match[1]))
    raise AssertionError("it does not listen")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_cleanly_in_the_midst_of_a_job(run, api, toolkit, tmp_path, number):
    process = run()
    listening(process).process(**toolkit.webhooks)
    api.publish(running(), result(1))
    toolkit.wait(lambda: len(toolkit.accepted) == 2)
    api.wait_for_polls(2)  # and waits, for 20 s
    process.send_signal(number)
    output, _ = process.communicate(timeout=15)
    assert process.returncode == 0
    assert "Traceback" not in output
    assert "WARNING" not in output
    assert [path.name for path in (tmp_path / "state").iterdir()] == [f"{JOB}.json"]


def test_relay_that_was_killed_goes_on_in_the_next_one(run, api, toolkit, tmp_path):
    first = run()
    listening(first).process(**toolkit.webhooks)
    api.publish(running(), result(1))
    toolkit.wait(lambda: len(toolkit.accepted) == 2)
    api.wait(lambda: api.acknowledged.get(JOB) == 2)
    first.kill()
    first.wait()
    api.publish(result(2), complete(2))
    second = run()
    listening(second)
    toolkit.wait_for("complete")
    api.wait(lambda: api.acknowledged.get(JOB) == 4)
    second.terminate()
    assert second.wait(WAIT_S) == 0
    assert toolkit.summary == ["running", 1, 2, "complete"]


def test_relay_answers_the_toolkit_at_the_address_of_its_documentation(run, api):
    relay = listening(run())
    assert relay.send("GET", "/ready", host="0.0.0.0")[0] == 200


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"ANNOHOOKS_URL": ""}, "ANNOHOOKS_URL is not set"),
        ({"ANNOHOOKS_SECRET": ""}, "Neither ANNOHOOKS_SECRET nor ANNOHOOKS_SECRET_FILE"),
        ({"ANNOHOOKS_SECRET": "", "ANNOHOOKS_SECRET_FILE": "/no/such/file"}, "ANNOHOOKS_SECRET_FILE cannot be read"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_relay_that_is_not_configured_says_what_is_missing(run, environment, sentence):
    process = run(**environment)
    output, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == 1
    assert sentence in output
    assert "Traceback" not in output


def test_second_relay_of_the_same_port_ends(run, api):
    relay = listening(run())
    process = run(ANNOHOOKS_RELAY_PORT=str(relay.port))
    output, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == 1
    assert "Traceback" not in output
