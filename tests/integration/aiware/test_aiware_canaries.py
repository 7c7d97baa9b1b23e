"""No token, payload or webhook URL in an execution's input and history, in a log, an answer or an error."""

from __future__ import annotations

import json
import logging

import boto3
import pytest

from local import stepfunctions
from local.simulators.aiware import Task
from local.stepfunctions import Mishap

TOKEN = "canary-token-5f1d7c"
INNER = "canary-inner-token-88a1"
PAYLOAD = "canary-payload-31c9"
SIGNATURE = "canary-signature-77e2"
CONTROLLER = "canary-controller-1b20"
CANARIES = (TOKEN, INNER, PAYLOAD, SIGNATURE, CONTROLLER)

FAULTS = {
    "nothing": {},
    "media_404": {"media": "status_404"},
    "media_html": {"media": "html"},
    "heartbeat_500": {"toolkit": "heartbeat_500", "times": 1},
    "result_400": {"toolkit": "result_400", "times": 50},
    "result_redirect": {"toolkit": "result_redirect", "times": 50},
    "killed": {"mishap": "analyse"},
}


@pytest.fixture
def task(engine, request) -> Task:
    fault = FAULTS[request.param]
    if "media" in fault:
        engine.media.faults.add(fault["media"])
    if "toolkit" in fault:
        engine.toolkit.faults.plan(fault["toolkit"], times=fault["times"])
    if "mishap" in fault:
        stepfunctions.mishaps.append(Mishap(fault["mishap"], times=50))
    payload = {"note": PAYLOAD, "token": INNER, "segmentMs": 2000, "sampleMs": 1000}
    address = engine.media.add("canary.mp4", engine.video(), "video/mp4")
    task = engine.process(
        cacheURI=f"{address}?signature={SIGNATURE}",
        token=TOKEN,
        controllerToken=CONTROLLER,
        payload=json.dumps(payload),
    )
    return task.wait(90)


QUICK = ("nothing", "media_html", "result_400")


@pytest.mark.parametrize(
    "task",
    [fault if fault in QUICK else pytest.param(fault, marks=pytest.mark.thorough) for fault in FAULTS],
    indirect=True,
)
def test_canaries_are_nowhere(engine, task, said):
    webhooks = [task.fields[name] for name in ("heartbeatWebhook", "resultWebhook")]
    client = boto3.client("stepfunctions")
    for execution in engine.executions(task):
        described = client.describe_execution(executionArn=execution["executionArn"])
        assert json.loads(described["input"]) == {"job": task.job}
        history = client.get_execution_history(executionArn=execution["executionArn"], maxResults=1000)["events"]
        told = json.dumps([described, history], default=str)
        assert_clean(told, webhooks)
    assert_clean(said.text(), webhooks)
    assert_clean(task.text + task.failure_message, webhooks)
    assert_clean(json.dumps([dict(beat.body) for beat in task.heartbeats]), webhooks)


def assert_clean(text: str, webhooks: list[str]) -> None:
    assert [canary for canary in (*CANARIES, *webhooks) if canary in text] == []


def test_a_canary_would_be_found(said):
    logging.getLogger("annohooks").warning("a line with %s", TOKEN)
    with pytest.raises(AssertionError):
        assert_clean(said.text(), [])


@pytest.mark.parametrize(
    "fields",
    [
        {"payload": f'{{"note": "{PAYLOAD}"'},
        {"maxTTL": TOKEN},
        {"cacheURI": f"http://127.0.0.1:9/{SIGNATURE}"},
        {"startOffsetMS": TOKEN},
    ],
)
def test_nothing_of_a_request_that_is_refused_is_quoted(engine, said, fields):
    task = engine.process(**{"token": TOKEN, **fields})
    assert task.state == "ERROR"
    assert_clean(said.text() + task.failure_message, [task.fields["heartbeatWebhook"]])
