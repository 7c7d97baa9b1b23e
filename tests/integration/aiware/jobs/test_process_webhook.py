"""What POST /process does with a chunk, and whether the engine is ready for one."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import boto3
import cv2
import numpy as np
import pytest
from job_setup import WEBHOOKS, changed, settings, soon

from annohooks.aiware import analysis, ready, state_machine
from annohooks.aiware.request import ProcessRequest
from annohooks.aiware.webhook import Accepted, Done, Ignored, ProcessWebhook
from annohooks.core.deadline import Deadline
from annohooks.core.errors import BadRequest, Forbidden, Unavailable
from annohooks.core.observability import logger
from annohooks.core.origins import Origins

PICTURE = cv2.imencode(".png", np.zeros((50, 50, 3), np.uint8))[1].tobytes()


def request(identity: str = "t", **fields) -> ProcessRequest:
    chunk = {"mime_type": "image/png", "chunk": PICTURE} | fields
    return ProcessRequest(internal_task_id=identity, chunk_context="c", **chunk)


def with_webhooks(identity: str, **fields) -> ProcessRequest:
    return request(identity, heartbeat_webhook=WEBHOOKS.heartbeat, result_webhook=WEBHOOKS.result, **fields)


@pytest.fixture
def started(monkeypatch):
    """The jobs whose executions were started."""
    started = []
    monkeypatch.setattr(state_machine, "start", lambda arn, job_id: started.append(job_id) or True)
    return started


@pytest.mark.parametrize("stage", ["complete", "failed", "completing", "failing"])
def test_a_second_try_after_the_end_is_acknowledged_and_not_analysed_again(jobs, identity, started, pauses, stage):
    webhook, again = ProcessWebhook(settings()), with_webhooks(identity)
    job = jobs.accept(again.identity(), WEBHOOKS, 600, 77)
    changed(job, stage=stage)
    if stage in ("completing", "failing"):
        with pytest.raises(Unavailable, match="just ending"):
            webhook.handle(again, soon())
        changed(job, stage="complete")
    assert webhook.handle(again, soon()) == Accepted(job.id, 77)
    assert started == []
    changed(job, accepted_ms=job.accepted_ms - 200_000)
    assert isinstance(webhook.handle(again, soon()), Done)  # the toolkit's tries are over by then


@pytest.mark.parametrize(
    ("chosen", "deadline_s"),
    [({"aiware_at_once_bytes": 10}, 20), ({"aiware_at_once_px": 10}, 20), ({}, 5)],
    ids=["bytes", "pixels", "time"],
)
def test_a_picture_that_is_too_much_for_the_request_is_a_job(identity, started, chosen, deadline_s):
    webhook = ProcessWebhook(settings(aiware_max_job_s=600, **chosen))
    accepted = webhook.handle(with_webhooks(identity), Deadline.after(deadline_s))
    assert accepted == Accepted(started[0], 600)


def test_a_job_whose_execution_has_ended_is_followed_by_another(jobs, identity, started, monkeypatch):
    monkeypatch.setattr(state_machine, "start", lambda arn, job_id: started.append(job_id) or len(started) > 1)
    video = with_webhooks(identity, mime_type="video/mp4", max_ttl_s=60)
    accepted = ProcessWebhook(settings()).handle(video, soon())
    assert accepted == Accepted(started[1], 60)
    assert jobs.read(started[0]).stage == "lost"


def test_an_engine_that_cannot_start_its_state_machine_says_so(identity, monkeypatch):
    monkeypatch.setattr(state_machine, "start", lambda *_: False)
    with pytest.raises(Unavailable, match="could not be started"):
        ProcessWebhook(settings()).handle(with_webhooks(identity, mime_type="video/mp4"), soon())


def test_media_of_another_kind_are_ignored():
    assert ProcessWebhook(settings()).handle(request(mime_type="text/plain"), soon()) == Ignored()


@pytest.mark.parametrize(
    ("chosen", "fields", "error", "message"),
    [
        ({}, {"chunk": b""}, BadRequest, "neither a cacheURI nor a chunk"),
        ({}, {"chunk": None, "cache_uri": "https://elsewhere.example.org/a"}, Forbidden, "does not allow"),
        ({}, {"max_ttl_s": 4, "mime_type": "video/mp4"}, BadRequest, "maxTTL is 4 s"),
        ({}, {"chunk": b"no picture"}, BadRequest, "The chunk is"),
        ({"aiware_delivery": "direct"}, {}, Forbidden, "does not allow"),
        ({"aiware_delivery": "external"}, {}, BadRequest, "no externalCallbackWebhook"),
        (
            {"aiware_delivery": "external"},
            {"external_callback_webhook": "https://x.example.org"},
            Forbidden,
            "does not allow",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_before_any_work(identity, started, chosen, fields, error, message):
    webhook = ProcessWebhook(settings(aiware_media_origins=Origins.parse("https://media.example.org"), **chosen))
    with pytest.raises(error, match=message):
        webhook.handle(with_webhooks(identity, **fields), soon())
    assert started == []


# ---- the file of detectors

DETECTORS = "detectors:\n  - name: plates\n    model: plates.onnx\n    format: yolov8\n    labels: [plate]\n"


@pytest.fixture
def chosen_detectors(monkeypatch):
    """Settings with a file of detectors, in a bucket without such a file."""
    boto3.client("s3").delete_object(Bucket="models", Key="detectors.yaml")
    monkeypatch.setattr(state_machine, "is_there", lambda _: True)
    analysis._detectors.cache_clear()
    yield settings(aiware_detectors="detectors.yaml")
    analysis._detectors.cache_clear()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (f"{DETECTORS}    colour: red\n".encode(), "detectors: line 6: colour: Object contains unknown field `colour`"),
        (DETECTORS.encode() + b"    title: \xff\n", "'utf-8' codec can't decode byte 0xff"),
        (b"detectors:\n  - labels: 2026-99-99\n", "detectors: line 2: labels: it cannot be read"),
    ],
)
def test_a_mistake_in_the_file_of_detectors_is_told_as_such_until_it_is_put_right(chosen_detectors, content, reason):
    webhook, stream, s3 = ProcessWebhook(chosen_detectors), io.StringIO(), boto3.client("s3")
    s3.put_object(Bucket="models", Key="detectors.yaml", Body=content)
    before = logger.registered_handler.setStream(stream)
    try:
        with pytest.raises(Unavailable, match=r"^The file of detectors of this engine has a mistake; the log says"):
            webhook.handle(request(), soon())
    finally:
        logger.registered_handler.setStream(before)
    assert json.loads(stream.getvalue())["reason"].startswith(reason)
    (problem,) = ready.problems(chosen_detectors)
    assert problem.startswith(f"The file of detectors has a mistake: {reason}")
    s3.put_object(Bucket="models", Key="detectors.yaml", Body=DETECTORS.encode())
    assert json.loads(webhook.handle(request(), soon()).document)["object"] == []
    assert ready.problems(chosen_detectors) == []


def test_a_file_of_detectors_that_is_not_there_is_missing(chosen_detectors):
    assert ready.problems(chosen_detectors) == ["The file of detectors is not there."]


def test_looking_whether_the_engine_is_ready_loads_no_opencv():
    code = (
        "import sys, annohooks.aiware.ready, annohooks.imaging.detector_file; print({'cv2', 'numpy'} & {*sys.modules})"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
