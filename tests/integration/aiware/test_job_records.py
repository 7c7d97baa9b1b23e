"""The records and files of a job in an embedded AWS, without the functions around them."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import boto3
import cv2
import numpy as np
import pytest
from botocore.exceptions import ClientError
from clips import video
from moto import mock_aws

from annohooks.aiware import jobs as jobs_module
from annohooks.aiware import ready, reporting, state_machine, work
from annohooks.aiware.delivery import Message, Outbox
from annohooks.aiware.failures import Failure
from annohooks.aiware.job_files import Result, Staged
from annohooks.aiware.jobs import Change, Job, Jobs, Webhooks, now_ms
from annohooks.aiware.reporting import Reporter
from annohooks.aiware.request import Process
from annohooks.aiware.settings import Settings
from annohooks.aiware.webhook import Accepted, Done, Webhook
from annohooks.aiware.work import Worker
from annohooks.core import dynamodb
from annohooks.core.deadline import Deadline
from annohooks.core.errors import Unavailable
from annohooks.core.http import Origins
from annohooks.core.observability import logger
from annohooks.core.staging import Staging
from annohooks.imaging.video import StreamBroken

IDENTITY = "a" * 40
HOOKS = Webhooks("http://localhost:1/heartbeat", "http://localhost:1/result")
OTHERS = Webhooks("http://localhost:2/heartbeat", "http://localhost:2/result")
SETTINGS = Settings(aiware_table="jobs", staging_bucket="staging")
PICTURE = cv2.imencode(".png", np.zeros((50, 50, 3), np.uint8))[1].tobytes()


@pytest.fixture(autouse=True)
def aws(forgetful: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "MODELS_BUCKET": "models",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
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
        work._detectors.cache_clear()
        yield
        work._detectors.cache_clear()


@pytest.fixture
def jobs() -> Jobs:
    return Jobs("jobs")


def later() -> Deadline:
    return Deadline.after(20)


def accepted(jobs: Jobs, webhooks: Webhooks = HOOKS, limit_s: int = 600) -> Job:
    return jobs.accept(IDENTITY, webhooks, limit_s, limit_s)


def changed(jobs: Jobs, job: Job, **values: Any) -> Job:
    """The record with other values."""
    change = "SET " + ", ".join(f"#{name} = :{name}" for name in values)
    found = jobs.apply(job.job, Change(change, "#job = :job", {**values, "job": job.job}))
    assert found is not None
    return found


def messages(jobs: Jobs, job: Job) -> list[Message]:
    """What is in the outbox."""
    found = jobs.table.query("#job = :job AND #sequence > :none", 100, job=job.job, none=0)
    return [Message(*(each.get(name, "") for name in Message.__struct_fields__)) for each in found]


def failing_once(monkeypatch: pytest.MonkeyPatch, operation: str, answer: dict[str, Any]) -> list[str]:
    """The next call of an operation fails. Returns what becomes of the calls, in order."""
    real, calls = getattr(dynamodb.client(), operation), []

    def call(**given: Any) -> Any:
        calls.append("done" if calls else "failed")
        if calls[-1] == "failed":
            raise dynamodb.client().exceptions.from_code(answer["Error"]["Code"])(answer, operation)
        return real(**given)

    monkeypatch.setattr(dynamodb.client(), operation, call)
    return calls


@dataclasses.dataclass
class Listener:
    """Where the toolkit listens. hold: an answer is given once it is set."""

    origin: str
    bodies: list[dict[str, Any]]
    hold: threading.Event
    status: int = 200

    def webhooks(self) -> Webhooks:
        return Webhooks(f"{self.origin}/heartbeat", f"{self.origin}/result")

    def settings(self, **chosen: Any) -> Settings:
        return Settings(
            aiware_table="jobs",
            staging_bucket="staging",
            aiware_delivery="direct",
            aiware_webhook_origins=Origins.parse(self.origin),
            **chosen,
        )


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
    listening = Listener(f"http://127.0.0.1:{server.server_port}", [], threading.Event())
    listening.hold.set()
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    yield listening
    listening.hold.set()
    server.shutdown()
    thread.join()
    server.server_close()


# ---- two at once


def test_a_last_word_that_meets_another_write_is_laid_in_once_a_moment_later(jobs, monkeypatch):
    job = accepted(jobs)
    jobs.begin(job.job)
    jobs.finish(job.job)
    reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}]
    answer = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
    calls = failing_once(monkeypatch, "transact_write_items", answer)
    Reporter(SETTINGS).complete({"job": job.job}, later())
    assert calls == ["failed", "done"]
    (message,) = messages(jobs, job)
    assert json.loads(message.body)["status"] == "complete"
    assert jobs.read(job.job).stage == "complete"


def test_a_change_that_meets_a_transaction_is_made_a_moment_later(jobs, monkeypatch):
    job = accepted(jobs)
    calls = failing_once(monkeypatch, "update_item", {"Error": {"Code": "TransactionConflictException"}})
    begun = jobs.begin(job.job)
    assert calls == ["failed", "done"]
    assert begun is not None
    assert begun.stage == "running"


def test_a_write_that_fails_for_another_reason_is_not_tried_again(jobs, monkeypatch):
    job = accepted(jobs)
    calls = []

    def denied(**_: Any) -> None:
        calls.append(1)
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "UpdateItem")

    monkeypatch.setattr(dynamodb.client(), "update_item", denied)
    with pytest.raises(Unavailable):
        jobs.begin(job.job)
    assert calls == [1]


def test_of_two_who_end_a_job_at_once_one_says_so(jobs, listener, monkeypatch):
    # moto, other than DynamoDB, does not make one change of an item after the other.
    client, lock = dynamodb.client(), threading.Lock()
    real = client._make_api_call

    def one_by_one(*given: Any) -> Any:
        with lock:
            return real(*given)

    monkeypatch.setattr(client, "_make_api_call", one_by_one)
    # The toolkit does not answer the one before the other has found that it must wait.
    listener.hold.clear()
    monkeypatch.setattr(reporting, "time", SimpleNamespace(sleep=lambda _: listener.hold.set()))
    job = accepted(jobs, listener.webhooks())
    jobs.begin(job.job)
    jobs.finish(job.job)
    reporter = Reporter(listener.settings())
    with ThreadPoolExecutor(2) as pool:
        for end in [pool.submit(reporter.complete, {"job": job.job}, later()) for _ in range(2)]:
            assert end.result() is not None
    assert listener.hold.is_set()
    assert [body["status"] for body in listener.bodies] == ["complete"]
    assert jobs.read(job.job).stage == "complete"


# ---- heartbeats


def test_a_heartbeat_taken_after_long_silence_does_not_end_the_job(jobs, listener):
    job = accepted(jobs, listener.webhooks())
    jobs.begin(job.job)
    changed(jobs, job, heard_ms=now_ms() - 3_000_000)
    Reporter(listener.settings()).beat({"job": job.job, "token": "t", "beat_s": 10}, later())
    assert [body["status"] for body in listener.bodies] == ["running"]
    assert jobs.read(job.job).heard_ms > now_ms() - 60_000


def test_a_heartbeat_refused_after_long_silence_ends_the_job(jobs, listener):
    listener.status = 404
    job = accepted(jobs, listener.webhooks())
    jobs.begin(job.job)
    changed(jobs, job, heard_ms=now_ms() - 3_000_000)
    with pytest.raises(Failure, match=r"has not answered for 30[0-9]{2} seconds") as told:
        Reporter(listener.settings()).beat({"job": job.job, "token": "t", "beat_s": 10}, later())
    assert told.value.reason == "external_error"


def test_a_beat_while_the_one_before_is_being_posted_posts_nothing_and_keeps_its_token(jobs, listener):
    job = accepted(jobs, listener.webhooks())
    jobs.begin(job.job)
    until_ms = now_ms() + 60_000
    assert jobs.take_beat(job.job, until_ms) is not None
    Reporter(listener.settings()).beat({"job": job.job, "token": "second", "beat_s": 10}, later())
    assert listener.bodies == []
    found = jobs.read(job.job)
    assert (found.beat_token, found.beating_until_ms) == ("second", until_ms)


@pytest.mark.parametrize("limit_s", [10, 600, 3600, 43_200])
@pytest.mark.parametrize("heartbeat_s", [1, 30, 60])
def test_2500_beats_are_enough_for_any_job_and_three_fit_into_the_shortest(jobs, limit_s, heartbeat_s):
    job = accepted(jobs, limit_s=limit_s)
    settings = Settings(aiware_table="jobs", staging_bucket="staging", aiware_heartbeat_s=heartbeat_s)
    begun = Reporter(settings).begin({"job": job.job}, later())
    assert begun["beat_s"] * 2500 >= begun["limit_s"] > 0
    assert begun["beat_s"] <= max(heartbeat_s, 18)
    assert begun["beat_s"] * 3 <= begun["limit_s"]


# ---- a chunk that comes again


@pytest.mark.parametrize("webhooks", [HOOKS, OTHERS], ids=["same", "others"])
def test_a_job_that_never_began_gets_its_time_anew_when_the_chunk_comes_again(jobs, webhooks):
    job = accepted(jobs)
    earlier = {"accepted_ms": job.accepted_ms - 500_000, "limit_ms": job.limit_ms - 500_000}
    changed(jobs, job, **earlier, heard_ms=job.heard_ms - 500_000, expires=job.expires - 500)
    again = accepted(jobs, webhooks)
    assert (again.job, again.stage, again.webhooks) == (job.job, "accepted", webhooks)
    assert again.limit_ms >= job.limit_ms
    assert again.accepted_ms >= job.accepted_ms
    assert again.heard_ms >= job.heard_ms
    assert again.expires >= job.expires


def test_a_job_that_began_keeps_its_time_when_the_chunk_comes_again(jobs):
    job = accepted(jobs)
    jobs.begin(job.job)
    begun = changed(jobs, job, limit_ms=job.limit_ms - 500_000)
    again = accepted(jobs, OTHERS)
    assert (again.job, again.stage, again.webhooks) == (job.job, "running", OTHERS)
    assert again.limit_ms == begun.limit_ms


@pytest.mark.parametrize(("saying", "said"), [("completing", "complete"), ("failing", "failed")])
def test_a_chunk_that_comes_while_the_last_word_is_said_to_others_is_the_next_attempt(jobs, monkeypatch, saying, said):
    job = accepted(jobs)
    changed(jobs, job, stage=saying)
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            changed(jobs, job, stage=said)

    monkeypatch.setattr(jobs_module, "time", SimpleNamespace(sleep=wait, time_ns=time.time_ns))
    again = accepted(jobs, OTHERS)
    assert len(waits) == 3
    assert (again.job, again.stage, again.webhooks) == (f"{IDENTITY}-2", "accepted", OTHERS)
    assert jobs.read(job.job).webhooks == HOOKS


def test_a_last_word_that_is_never_said_does_not_hold_a_chunk_up_for_ever(jobs, monkeypatch):
    changed(jobs, accepted(jobs), stage="completing")
    waits = []
    monkeypatch.setattr(jobs_module, "time", SimpleNamespace(sleep=waits.append, time_ns=time.time_ns))
    with pytest.raises(Unavailable, match="just ending"):
        accepted(jobs, OTHERS)
    assert 0 < sum(waits) < 15


@pytest.mark.parametrize("stage", ["complete", "failed", "completing", "failing"])
def test_a_second_try_after_the_end_is_acknowledged_and_not_answered_at_once(jobs, monkeypatch, stage):
    monkeypatch.setattr(state_machine, "start", lambda *_: pytest.fail("the work began again"))
    process = Process(
        internal_task_id="t",
        chunk_context="c",
        mime_type="image/png",
        chunk=PICTURE,
        heartbeat_webhook=HOOKS.heartbeat,
        result_webhook=HOOKS.result,
    )
    job = jobs.accept(process.identity(), HOOKS, 600, 77)
    changed(jobs, job, stage=stage)
    monkeypatch.setattr(jobs_module, "time", SimpleNamespace(sleep=lambda _: None, time_ns=time.time_ns))
    if stage in ("completing", "failing"):
        with pytest.raises(Unavailable, match="just ending"):
            Webhook(SETTINGS).handle(process, later())
        changed(jobs, job, stage="complete")
    assert Webhook(SETTINGS).handle(process, later()) == Accepted(job.job, 77)
    changed(jobs, job, accepted_ms=job.accepted_ms - 200_000)
    assert isinstance(Webhook(SETTINGS).handle(process, later()), Done)  # not a try of the toolkit's any more


# ---- the outbox


@pytest.mark.parametrize(
    ("content_type", "most"), [("application/json", 5_200_000), ("multipart/form-data; boundary=b", 4_400_000)]
)
def test_the_outbox_refuses_a_body_that_lambda_could_not_answer_with(jobs, content_type, most):
    job = accepted(jobs)
    outbox = Outbox(jobs, Staging("staging"))
    then = Change("SET #messages = :one", "#stage = :accepted", {"one": 1, "accepted": "accepted"})
    with pytest.raises(Failure, match=r"too large.*segmentMs") as told:
        outbox.deliver(job, "result", bytes(most + 1), then, later(), content_type)
    assert told.value.reason == "other"
    assert messages(jobs, job) == []
    assert jobs.read(job.job).messages == 0
    delivered = outbox.deliver(job, "result", bytes(most), then, later(), content_type)
    assert delivered is not None
    assert delivered.messages == 1
    assert len(messages(jobs, job)) == 1


# ---- what is kept of a request


def test_no_credential_of_a_request_is_kept_and_all_that_the_tasks_read_is(jobs):
    process = Process(
        internal_task_id="t",
        chunk_context="c",
        mime_type="video/mp4",
        start_ms=1000,
        end_ms=2000,
        cache_uri="https://media.example.org/a.mp4?X-Amz-Signature=needed",
        api_base_url="https://canary-api.example.org",
        token="canary-token",
        controller_token="canary-controller",
        library_id="canary-library",
        library_engine_model_id="canary-model",
        input_folder_id="canary-folder",
        redis_url="http://user:canary-redis@example.org",
        payload={
            "token": "canary-payload",
            "sampleMs": "500",
            "outputFolderID": "f",
            "taskPayload": {"apiKey": "canary-key", "analyzer": "faces", "list": [{"password": "canary-password"}]},
        },
        heartbeat_webhook="http://canary-heartbeat.example.org",
        result_webhook="http://canary-result.example.org",
        external_callback_webhook="http://canary-external.example.org",
        chunk_metadata={"chunk-metadata-x": "y"},
        unknown={"edgeToken": "canary-unknown", "engineDir": "/canary"},
    )
    identity = process.identity()
    staged = Staged(Staging("staging"))
    staged.keep_request("job-1", process)
    s3 = boto3.client("s3")
    (found,) = s3.list_objects_v2(Bucket="staging")["Contents"]
    assert b"canary" not in s3.get_object(Bucket="staging", Key=found["Key"])["Body"].read()
    assert staged.request("job-1") == Process(
        chunk_context="c",
        mime_type="video/mp4",
        start_ms=1000,
        end_ms=2000,
        cache_uri=process.cache_uri,
        payload={"sampleMs": "500", "outputFolderID": "f", "taskPayload": {"analyzer": "faces", "list": [{}]}},
        chunk_metadata={"chunk-metadata-x": "y"},
    )
    assert process.identity() == identity


# ---- drawings


@pytest.fixture
def drawn(jobs: Jobs) -> Callable[[int], Result]:
    """Analyses a segment of a video of 4 s, 1.8 s each, that is looked at every 1.5 s: nowhere in the last one."""
    settings = Settings(aiware_table="jobs", staging_bucket="staging", aiware_multipart_results="Enabled")
    worker, staged, job = Worker(settings), Staged(Staging("staging")), accepted(jobs)
    payload = {"output": "drawing", "segmentMs": 1800, "sampleMs": 1500}
    staged.keep_request(job.job, Process(chunk=video(), start_ms=10_000, payload=payload))
    assert worker.plan({"job": job.job}, later())["segments"] == [0, 1, 2]

    def analyse(segment: int) -> Result:
        worker.analyse({"job": job.job, "segment": segment}, later())
        return staged.result(job.job, segment)

    return analyse


def test_a_segment_without_a_sample_is_told_as_aion_where_there_is_nothing_to_draw(drawn):
    assert drawn(0).content_type.startswith("multipart/form-data")
    empty = drawn(2)
    assert empty.content_type == "application/json"
    assert json.loads(empty.body)["output"]["series"] == []


def test_a_drawing_shows_what_is_there_at_the_time_of_its_picture(drawn, monkeypatch):
    shown = []
    monkeypatch.setattr(work, "drawing", lambda picture, document, at_ms: shown.append(at_ms) or b"jpeg")
    drawn(1)
    assert shown == [13_000]


def test_a_video_that_breaks_off_while_it_is_drawn_is_told_as_such(drawn, monkeypatch):
    real, calls = work.video.frames, []

    def frames(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 2:
            raise StreamBroken(3000)
        return real(*given)

    monkeypatch.setattr(work.video, "frames", frames)
    with pytest.raises(Failure, match="breaks off") as told:
        drawn(1)
    assert told.value.reason == "stream_read_error"


# ---- the file of detectors

DETECTORS = "detectors:\n  - name: plates\n    model: plates.onnx\n    format: yolov8\n    labels: [plate]\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (f"{DETECTORS}    colour: red\n".encode(), "detectors: line 6: colour: Object contains unknown field `colour`"),
        (DETECTORS.encode() + b"    title: \xff\n", "'utf-8' codec can't decode byte 0xff"),
        (b"detectors:\n  - labels: !!bool zzz\n", "detectors: line 2: labels: nothing that can be read"),
    ],
)
def test_a_mistake_in_the_file_of_detectors_is_told_as_such_until_it_is_put_right(monkeypatch, content, told):
    settings = Settings(aiware_table="jobs", staging_bucket="staging", aiware_detectors="detectors.yaml")
    worker, stream = Worker(settings), io.StringIO()
    monkeypatch.setattr(state_machine, "is_there", lambda _: True)
    s3 = boto3.client("s3")
    s3.put_object(Bucket="models", Key="detectors.yaml", Body=content)
    before = logger.registered_handler.setStream(stream)
    try:
        with pytest.raises(Unavailable, match=r"^The file of detectors of this engine has a mistake; the log says"):
            worker.at_once(Process(), PICTURE, later())
    finally:
        logger.registered_handler.setStream(before)
    assert json.loads(stream.getvalue())["reason"].startswith(told)
    (missing,) = ready.missing(settings)
    assert missing.startswith(f"The file of detectors has a mistake: {told}")
    s3.put_object(Bucket="models", Key="detectors.yaml", Body=DETECTORS.encode())
    assert json.loads(worker.at_once(Process(), PICTURE, later()))["object"] == []
    assert ready.missing(settings) == []


def test_a_file_of_detectors_that_is_not_there_is_missing(monkeypatch):
    monkeypatch.setattr(state_machine, "is_there", lambda _: True)
    settings = Settings(aiware_table="jobs", staging_bucket="staging", aiware_detectors="detectors.yaml")
    assert ready.missing(settings) == ["The file of detectors is not there."]


def test_looking_whether_the_engine_is_ready_loads_no_opencv():
    code = (
        "import sys, annohooks.aiware.ready, annohooks.imaging.descriptions; print({'cv2', 'numpy'} & {*sys.modules})"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
