"""`make invoke`: which function an event is for, what it is told of the local stack, and what counts as a failure."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local import demo, invoke, serve, stack, template
from local.simulators.aiware import events

EVENTS = sorted(demo.EVENTS.glob("*/*.json"))
SAM = Path(__file__).with_name("sam_stand_in.py")


def functions() -> dict[str, str]:
    """By resource of an API event, or source of an EventBridge event, the function that template.yaml gives it to."""
    found = template.functions({}, stack.RESOURCES)
    by_path = {path: function.name for function in found for _, path in function.routes}
    return by_path | {source: each.name for each in found for rule in each.patterns for source in rule["source"]}


def test_make_knows_the_function_of_every_event() -> None:
    paths = [path.relative_to(template.ROOT).as_posix() for path in EVENTS]
    shown = f"include Makefile\n$(foreach EVENT,{' '.join(paths)},$(info $(EVENT) $(FUNCTION)))\n"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--silent", "--file", "-", "help"]
    done = subprocess.run(
        command, input=shown, cwd=template.ROOT, env=environment, capture_output=True, text=True, check=True
    )
    chosen = dict(line.split() for line in done.stdout.splitlines()[: len(paths)])
    known = functions()
    expected = {}
    for name, path in zip(paths, EVENTS, strict=True):
        event = json.loads(path.read_text())
        expected[name] = known[event.get("resource") or event["source"]]
    assert chosen == expected


class TestWhatCountsAsAFailure:
    @pytest.mark.parametrize(
        ("answer", "fails"),
        [
            ('{"statusCode": 401, "body": "no"}\n', False),
            ('{"errorType": "RuntimeError", "errorMessage": "x"}', True),
            ("\n", True),
        ],
    )
    def test_of_what_api_gateway_asked(self, answer: str, fails: bool) -> None:
        assert invoke.has_failed({"httpMethod": "GET", "path": "/aiware/ready"}, answer) == fails

    @pytest.mark.parametrize(
        ("answer", "fails"),
        [
            ("{}\n", False),
            ('{"job": "x", "segments": [0]}', False),
            ('{"errorType": "invalid_data", "errorMessage": "x"}', True),
            ("", True),
        ],
    )
    def test_of_what_the_state_machine_or_eventbridge_asked(self, answer: str, fails: bool) -> None:
        assert invoke.has_failed({"source": "aws.states", "detail": {}}, answer) == fails


def test_the_address_in_a_form_is_that_of_the_media_server_that_runs_and_nothing_else_changes() -> None:
    event = json.loads((demo.EVENTS / "aiware" / "video_becomes_a_job.json").read_text())
    own = events.addressed(event, media="http://172.17.0.1:40123")
    changed = {name for name, text in events.fields(own).items() if text != events.fields(event)[name]}
    assert changed == {"cacheURI", "chunk-metadata-main-message"}
    assert events.fields(own)["cacheURI"] == "http://172.17.0.1:40123/edge/v1/chunk/minute.mp4"
    assert {**own, "body": None} == {**event, "body": None}


def test_as_they_are_the_events_name_the_media_server_of_make_serve() -> None:
    assert f"http://127.0.0.1:{serve.MEDIA_PORT}" == events.MEDIA


@pytest.fixture
def without_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SAM's stand-in, and a template that needs no building."""
    shutil.copy(template.ROOT / "template.yaml", tmp_path)
    sam = tmp_path / "sam"
    sam.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{SAM}" "$@"\n')
    sam.chmod(0o755)
    monkeypatch.setenv("SAM", str(sam))
    monkeypatch.setattr(invoke, "BUILT", tmp_path)
    monkeypatch.setattr(invoke, "_host", lambda: ("127.0.0.1", "127.0.0.1"))


@pytest.mark.usefixtures("forgetful", "without_a_container")
class TestAFunctionFindsTheLocalStack:
    def invoked(self, function: str, event: Path, monkeypatch: pytest.MonkeyPatch) -> int:
        monkeypatch.setattr(sys, "argv", ["invoke", function, str(event)])
        return invoke.main()

    def test_which_works_on_the_job_that_a_video_becomes(
        self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        event = demo.EVENTS / "aiware" / "video_becomes_a_job.json"
        assert self.invoked("AiwareProcessFunction", event, monkeypatch) == 0
        shown, told = capfd.readouterr()
        answer = next(json.loads(line) for line in shown.splitlines() if '"statusCode"' in line)
        assert json.loads(answer["body"]) == {"estimatedProcessingTimeInSeconds": 300}
        assert told.splitlines() == [f"job {answer['headers']['x-annohooks-job']}: SUCCEEDED"]

    @pytest.mark.parametrize(("job", "code"), [('{"job": "gone-1"}', 0), ("no job", 1)])
    def test_where_the_watchdog_sees_what_has_become_of_a_job(
        self, job: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        event = json.loads((demo.EVENTS / "aiware" / "execution_was_stopped.json").read_text())
        event["detail"]["input"] = job
        (tmp_path / "event.json").write_text(json.dumps(event))
        assert self.invoked("AiwareReportFunction", tmp_path / "event.json", monkeypatch) == code
