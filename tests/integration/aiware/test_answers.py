"""What `/process` and `/ready` answer: AION at once, an acknowledgement, nothing, or why not."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
import urllib3
from clips import video

from local import stack
from local.simulators.aiware import samples

IMAGE = {"chunkMimeType": "image/jpg", "startOffsetMS": 1000, "endOffsetMS": 2000}


def test_a_face_is_answered_at_once(engine):
    task = engine.toolkit.process(f"{engine.url}/process", chunk=samples.face_jpeg(), **IMAGE)
    assert (task.state, task.calls) == ("DONE_SYNC", 1)
    (item,) = task.output["series"]
    assert (item["startTimeMs"], item["stopTimeMs"], item["object"]["type"]) == (1000, 2000, "face")
    assert engine.toolkit.tasks[-1].heartbeats == []


def test_a_picture_that_the_toolkit_did_not_attach_is_fetched(engine):
    task = engine.process("face.jpg", samples.face_jpeg(), payload="{}")
    assert task.state == "DONE_SYNC"
    assert len(task.output["object"]) == 1


def test_zero_detections_are_an_empty_document_and_no_empty_body(engine):
    task = engine.toolkit.process(f"{engine.url}/process", chunk=samples.faceless_jpeg(), **IMAGE)
    assert (task.state, task.output["series"]) == ("DONE_SYNC", [])


def test_media_of_another_kind_are_ignored(engine):
    task = engine.toolkit.process(f"{engine.url}/process", chunk=b"words", chunkMimeType="text/plain; charset=utf-8")
    assert (task.state, task.status) == ("IGNORED", 204)


def test_a_video_is_acknowledged_with_maxttl(engine):
    task = engine.process(maxTTL=120)
    assert (task.state, task.estimate_s) == ("ACKED", 120)
    assert json.loads(task.text) == {"estimatedProcessingTimeInSeconds": 120}
    assert task.wait(30).state == "COMPLETE"


def test_without_webhooks_a_video_is_answered_in_the_request(engine):
    address = engine.media.add("short.mp4", video(), "video/mp4")
    task = engine.toolkit.process(
        f"{engine.url}/process", webhooks=False, cacheURI=address, chunkMimeType="video/mp4", maxTTL=None
    )
    assert task.state == "DONE_SYNC"
    assert task.output["series"][0]["object"]["type"] == "face"


def test_the_test_console_gets_its_answer(engine):
    """It cannot carry credentials; the relay adds them."""
    task = engine.toolkit.console(f"{engine.url}/process", chunk=samples.face_jpeg())
    assert task.status == 401
    task = engine.toolkit.process(
        f"{engine.url}/process", webhooks=False, chunk=samples.face_jpeg(), libraryID="x", maxTTL=None, **IMAGE
    )
    assert task.state == "DONE_SYNC"


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({"payload": "[1]"}, 400, "payload"),
        ({"payload": '{"analyzer": "cats"}'}, 400, "`analyzer` has to be one of faces"),
        ({"startOffsetMS": "soon"}, 400, "startOffsetMS"),
        ({"maxTTL": "abc"}, 400, "maxTTL"),
        ({"chunkMimeType": "video/mp4", "maxTTL": 3}, 400, "maxTTL is 3 s"),
        ({"chunk": b""}, 400, "neither a cacheURI nor a chunk"),
        ({"chunk": b"GIF89a?", "chunkMimeType": "image/gif"}, 400, "The chunk is"),
    ],
)
def test_what_cannot_be_used_is_named(engine, fields, status, says):
    task = engine.toolkit.process(f"{engine.url}/process", **{"chunk": samples.face_jpeg(), **IMAGE, **fields})
    assert (task.state, task.status, task.calls) == ("ERROR", status, 3)
    assert says in task.failure_message


@pytest.mark.parametrize("url", ["http://{}/aiware/process", "http://engine:wrong-secret-of-aiware@{}/aiware/process"])
def test_without_the_secret_nothing_is_done(engine, url):
    before = len(engine.media.calls)
    task = engine.toolkit.process(url.format(engine.stack.origin[7:]), cacheURI=engine.media.url("x"), **IMAGE)
    assert (task.state, task.status) == ("ERROR", 401)
    assert len(engine.media.calls) == before


def test_a_truncated_form_is_refused(engine):
    body = b'--b\r\nContent-Disposition: form-data; name="chunk"; filename="chunk.data"\r\n\r\nhalf of it'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    reply = urllib3.request("POST", f"{engine.url}/process", body=body, headers=headers | basic(), retries=False)
    assert reply.status == 400


def basic() -> dict[str, str]:
    return dict(urllib3.make_headers(basic_auth=f"engine:{stack.AIWARE_SECRET}"))


# ---- a chunk's size


def test_a_chunk_of_4_4_mib_passes(engine):
    chunk = samples.face_jpeg() + bytes(int(4.4 * 2**20) - len(samples.face_jpeg()))
    task = engine.toolkit.process(f"{engine.url}/process", chunk=chunk, **IMAGE)
    assert task.state == "DONE_SYNC"


def test_a_larger_chunk_is_refused_with_the_remedy(engine):
    chunk = samples.face_jpeg().ljust(4_700_000, b"\0")
    task = engine.toolkit.process(f"{engine.url}/process", chunk=chunk, **IMAGE)
    assert (task.state, task.status) == ("ERROR", 413)
    assert "VERITONE_DISABLE_CHUNK_DOWNLOAD" in task.failure_message


def test_a_chunk_that_never_reaches_the_function_is_told_what_may_be_wrong(engine):
    task = engine.toolkit.process(f"{engine.url}/process", chunk=bytes(5 * 2**20), **IMAGE)
    assert (task.state, task.status) == ("ERROR", 503)
    assert "4.4 MiB" in task.failure_message


# ---- ready


def test_the_engine_is_ready_under_both_names(engine):
    assert engine.toolkit.ready(f"{engine.url}/ready", timeout_s=10) == "READY"
    assert engine.toolkit.ready(f"{engine.url}/readyz", timeout_s=10) == "READY"


def test_the_engine_is_not_ready_without_its_table_and_never_says_500(engine):
    client = boto3.client("dynamodb")
    name = stack.RESOURCES["JobsTable"]
    described = client.describe_table(TableName=name)["Table"]
    client.delete_table(TableName=name)
    try:
        reply = urllib3.request("GET", f"{engine.url}/ready", headers=basic(), retries=False)
        assert reply.status == 503
        assert b"table of jobs" in reply.data
    finally:
        wanted = ("AttributeDefinitions", "KeySchema")
        kept = {key: described[key] for key in wanted}
        client.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **kept)
    assert urllib3.request("GET", f"{engine.url}/ready", headers=basic(), retries=False).status == 200


def test_many_polls_at_once_are_all_answered(engine):
    with ThreadPoolExecutor(8) as threads:
        replies = threads.map(
            lambda _: urllib3.request("GET", f"{engine.url}/ready", headers=basic(), retries=False), range(16)
        )
        assert {reply.status for reply in replies} == {200}


def test_ready_without_the_secret_is_401_which_the_toolkit_waits_on(engine):
    reply = urllib3.request("GET", f"{engine.stack.origin}/aiware/ready", retries=False)
    assert reply.status == 401


# ---- the log


def test_the_log_line_of_an_answer_says_what_was_done(engine, said):
    engine.toolkit.process(f"{engine.url}/process", chunk=samples.face_jpeg(), **IMAGE)
    task = engine.process()
    lines = [json.loads(line) for line in said.text().splitlines() if '"answered"' in line]
    (done, accepted) = [{key: line.get(key) for key in ("outcome", "engine", "objects", "job")} for line in lines]
    assert done == {"outcome": "Done", "engine": "faces", "objects": 1, "job": None}
    assert accepted == {"outcome": "Accepted", "engine": None, "objects": None, "job": task.job}
    assert all(line["seconds"] >= 0 for line in lines)
    task.wait(30)
