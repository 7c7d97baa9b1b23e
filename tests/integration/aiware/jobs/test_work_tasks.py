"""The tasks that touch pixels, and what a job keeps of its request."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from clips import video
from job_setup import settings, soon

from annohooks.aiware import analysis
from annohooks.aiware.failures import Failure
from annohooks.aiware.jobs.files import JobFiles
from annohooks.aiware.jobs.messages import Body
from annohooks.aiware.jobs.work_tasks import MediaFolders, Worker
from annohooks.aiware.request import ProcessRequest
from annohooks.core.errors import BadRequest
from annohooks.core.staging import Staging
from annohooks.imaging.video import StreamBroken


@pytest.fixture
def files() -> JobFiles:
    return JobFiles(Staging("staging"))


def test_no_credential_of_a_request_is_kept_and_all_that_the_tasks_read_is(files, identity):
    needed = {
        "chunk_context": "c",
        "mime_type": "video/mp4",
        "start_ms": 1000,
        "end_ms": 2000,
        "cache_uri": "https://media.example.org/a.mp4?X-Amz-Signature=needed",
        "chunk_metadata": {"chunk-metadata-x": "y"},
    }
    request = ProcessRequest(
        internal_task_id="t",
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
        unknown={"edgeToken": "canary-unknown", "engineDir": "/canary"},
        **needed,
    )
    request_identity = request.identity()
    files.keep_request(identity, request)
    s3 = boto3.client("s3")
    (staged,) = s3.list_objects_v2(Bucket="staging", Prefix=f"aiware/{identity}/")["Contents"]
    assert b"canary" not in s3.get_object(Bucket="staging", Key=staged["Key"])["Body"].read()
    payload = {"sampleMs": "500", "outputFolderID": "f", "taskPayload": {"analyzer": "faces", "list": [{}]}}
    assert files.request(identity) == ProcessRequest(payload=payload, **needed)
    assert request.identity() == request_identity


@pytest.mark.parametrize("payload", [{}, {"task": "dance"}, {"task": "analyse", "job": "j"}])
def test_a_payload_that_names_no_task_is_refused(payload):
    with pytest.raises(BadRequest, match="names no task"):
        Worker(settings()).handle(payload, soon())


# ---- drawings


@pytest.fixture
def analysed(accept, files) -> Callable[[int], Body]:
    """analysed(n): result n of a video of 4 s in segments of 1.8 s, sampled every 1.5 s: the last one has no sample."""
    worker, job = Worker(settings(aiware_multipart_results="Enabled")), accept()
    payload = {"output": "drawing", "segmentMs": 1800, "sampleMs": 1500}
    files.keep_request(job.id, ProcessRequest(chunk=video(), start_ms=10_000, payload=payload))
    planned = worker.handle({"task": "plan", "job": job.id}, soon())
    assert planned == {"job": job.id, "segments": [0, 1, 2], "at_once": 4}

    def analysed(segment: int) -> Body:
        worker.handle({"task": "analyse", "job": job.id, "segment": segment}, soon())
        return files.result(job.id, segment)

    return analysed


def test_a_segment_without_a_sample_is_told_as_aion_where_there_is_nothing_to_draw(analysed):
    assert analysed(0).content_type.startswith("multipart/form-data")
    empty = analysed(2)
    assert empty.content_type == "application/json"
    assert json.loads(empty.content)["output"]["series"] == []


def test_a_drawing_shows_what_is_there_at_the_time_of_its_picture(analysed, monkeypatch):
    drawn_at_ms = []
    monkeypatch.setattr(analysis, "drawing", lambda picture, document, at_ms: drawn_at_ms.append(at_ms) or b"jpeg")
    analysed(1)
    assert drawn_at_ms == [13_000]


def test_a_video_that_breaks_off_while_it_is_drawn_is_told_as_such(analysed, monkeypatch):
    real, calls = analysis.video.frames, []

    def frames(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise StreamBroken(3000)
        return real(*arguments)

    monkeypatch.setattr(analysis.video, "frames", frames)
    with pytest.raises(Failure, match="breaks off") as failed:
        analysed(1)
    assert failed.value.reason == "stream_read_error"


# ---- the folder of media


def test_media_are_fetched_once_and_stay_until_another_job_comes(tmp_path):
    folders, others, fetched = MediaFolders(tmp_path), MediaFolders(tmp_path), []

    def fetch(path):
        fetched.append(path)
        path.write_bytes(b"media")

    for _ in range(2):
        with folders.media("a", fetch) as path:
            assert path.read_bytes() == b"media"
            with others.media("b", fetch):  # as another process would
                assert path.exists()
    assert len(fetched) == 3
    with folders.media("c", fetch) as path:
        assert list(tmp_path.iterdir()) == [path.parent]


def test_media_that_could_not_be_fetched_leave_nothing_behind(tmp_path):
    folders = MediaFolders(tmp_path)

    def broken(path):
        path.write_bytes(b"half")
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError), folders.media("a", broken):
        pass
    assert list(tmp_path.rglob("*")) == [tmp_path / "a"]
    (tmp_path / "a" / "half-of-a-function-that-died").write_bytes(b"half")
    with folders.media("a", lambda path: path.write_bytes(b"whole")) as path:
        assert list(tmp_path.rglob("*")) == [tmp_path / "a", path]
