"""`make invoke` chooses the function of an event, connects it to the local stack, and reports its failure."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from local import demo, invoke, serve, stack, template
from local.simulators.aiware import events

EVENTS = sorted(demo.EVENTS.glob("*/*.json"))
SAM = Path(__file__).with_name("sam_stand_in.py")


def functions() -> dict[str, str]:
    """The name of a function by the resource of an API event, or the source of an EventBridge event."""
    functions = template.functions({}, stack.RESOURCES)
    by_path = {path: function.name for function in functions for _, path in function.routes}
    return by_path | {
        source: function.name for function in functions for rule in function.patterns for source in rule["source"]
    }


def test_make_knows_the_function_of_every_event() -> None:
    paths = [path.relative_to(template.ROOT).as_posix() for path in EVENTS]
    makefile = f"include Makefile\n$(foreach EVENT,{' '.join(paths)},$(info $(EVENT) $(FUNCTION)))\n"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--silent", "--file", "-", "help"]
    result = subprocess.run(
        command, input=makefile, cwd=template.ROOT, env=environment, capture_output=True, text=True, check=True
    )
    chosen = dict(line.split() for line in result.stdout.splitlines()[: len(paths)])
    known = functions()
    expected = {}
    for name, path in zip(paths, EVENTS, strict=True):
        event = json.loads(path.read_text())
        expected[name] = known[event.get("resource") or event["source"]]
    assert chosen == expected


OF_API_GATEWAY = {"httpMethod": "GET", "path": "/aiware/ready"}
OF_EVENTBRIDGE = {"source": "aws.states", "detail": {}}


@pytest.mark.parametrize(
    ("event", "answer", "fails"),
    [
        (OF_API_GATEWAY, '{"statusCode": 401, "body": "no"}\n', False),
        (OF_API_GATEWAY, '{"errorType": "RuntimeError", "errorMessage": "x"}', True),
        (OF_API_GATEWAY, "\n", True),
        (OF_EVENTBRIDGE, "{}\n", False),
        (OF_EVENTBRIDGE, '{"job": "x", "segments": [0]}', False),
        (OF_EVENTBRIDGE, '{"errorType": "invalid_data", "errorMessage": "x"}', True),
        (OF_EVENTBRIDGE, "", True),
    ],
)
def test_a_function_fails_when_the_caller_of_its_event_cannot_use_the_answer(event, answer: str, fails: bool) -> None:
    assert invoke.has_failed(event, answer) == fails


def test_the_form_gets_the_address_of_the_running_media_server_and_no_other_change() -> None:
    event = json.loads((demo.EVENTS / "aiware" / "video_becomes_a_job.json").read_text())
    addressed = events.addressed(event, media="http://172.17.0.1:40123")
    changed = {name for name, text in events.fields(addressed).items() if text != events.fields(event)[name]}
    assert changed == {"cacheURI", "chunk-metadata-main-message"}
    assert events.fields(addressed)["cacheURI"] == "http://172.17.0.1:40123/edge/v1/chunk/minute.mp4"
    assert {**addressed, "body": None} == {**event, "body": None}


def test_the_events_name_the_media_server_of_make_serve() -> None:
    assert f"http://127.0.0.1:{serve.MEDIA_PORT}" == events.MEDIA


@pytest.fixture
def run(forgetful: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Path], int]:
    """run(function, event): `make invoke` with the stand-in of SAM, and a template that needs no build."""
    shutil.copy(template.ROOT / "template.yaml", tmp_path)
    sam = tmp_path / "sam"
    sam.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{SAM}" "$@"\n')
    sam.chmod(0o755)
    monkeypatch.setenv("SAM", str(sam))
    monkeypatch.setattr(invoke, "BUILT", tmp_path)
    monkeypatch.setattr(invoke, "_host", lambda: ("127.0.0.1", "127.0.0.1"))

    def main(function: str, event: Path) -> int:
        monkeypatch.setattr(sys, "argv", ["invoke", function, str(event)])
        return invoke.main()

    return main


@pytest.mark.thorough
def test_a_function_starts_a_job_in_the_local_stack(run, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("AiwareProcessFunction", demo.EVENTS / "aiware" / "video_becomes_a_job.json") == 0
    out, err = capfd.readouterr()
    answer = next(json.loads(line) for line in out.splitlines() if '"statusCode"' in line)
    assert json.loads(answer["body"]) == {"estimatedProcessingTimeInSeconds": 300}
    assert err.splitlines() == [f"job {answer['headers']['x-annohooks-job']}: SUCCEEDED"]


@pytest.mark.parametrize(
    ("job", "status"), [('{"job": "gone-1"}', 0), pytest.param("no job", 1, marks=pytest.mark.thorough)]
)
def test_the_watchdog_reads_a_job_of_the_local_stack(run, tmp_path: Path, job: str, status: int) -> None:
    event = json.loads((demo.EVENTS / "aiware" / "execution_was_stopped.json").read_text())
    event["detail"]["input"] = job
    (tmp_path / "event.json").write_text(json.dumps(event))
    assert run("AiwareReportFunction", tmp_path / "event.json") == status
