"""Heartbeats and results, to the byte."""

from __future__ import annotations

import email
import json

import pytest

from annohooks.aiware.failures import failure
from annohooks.aiware.jobs import messages
from annohooks.aiware.jobs.messages import Segment
from annohooks.aiware.jobs.record import Job
from annohooks.aiware.request import ProcessRequest

REQUEST = ProcessRequest(chunk_context="0_1_x.in", chunk_metadata={"chunk-metadata-groupid": "g"})


def job(**counters) -> Job:
    webhooks = {"heartbeat_webhook": "", "result_webhook": "", "external_webhook": ""}
    moments = {"accepted_ms": 0, "limit_ms": 100_000, "heard_ms": 0, "estimate_s": 1, "expires": 1}
    return Job(id="j-1", stage="running", **webhooks, **moments, **counters)


def read(body: messages.Body) -> dict:
    assert body.content_type == "application/json"
    return json.loads(body.content)


def test_a_running_heartbeat_counts_what_was_written_and_says_so_under_both_names():
    counted = messages.running(job(segments=4, results_posted=2, bytes_read=10, bytes_written=20))
    numbers = {"bytesRead": 10, "bytesWritten": 20, "messagesWritten": 2}
    info = {"infoMs": "2 of 4 results", "infoMsg": "2 of 4 results"}
    assert read(counted) == {"status": "running", **numbers, **info}
    assert read(messages.running(job()))["infoMsg"] == "reading the media"


def test_a_failed_heartbeat_says_why():
    heartbeat = read(messages.failed(job(), failure("url_not_found", "gone\nfor good")))
    expected = {"status": "failed", "failureReason": "url_not_found", "failureMsg": "gone for good"}
    assert expected.items() <= heartbeat.items()


def test_a_result_says_what_it_is_about_in_the_documented_spelling():
    said = {"chunkContext": "0_1_x.in", "startOffsetMs": 1000, "endOffsetMs": 2000, "index": 3}
    result = read(messages.result(REQUEST, Segment(2, 1000, 2000), {"series": []}))
    assert result == said | {"chunk-metadata-groupid": "g", "output": {"series": []}}


def test_metadata_cannot_take_the_place_of_a_result_key():
    hostile = ProcessRequest(chunk_context="c", chunk_metadata={"chunkContext": "x", "output": "x", "index": "x"})
    result = read(messages.result(hostile, Segment(0, 0, 0), {"series": []}))
    assert (result["chunkContext"], result["output"], result["index"]) == ("c", {"series": []}, 1)


@pytest.mark.parametrize(
    ("payload", "folder"), [({"outputFolderID": 7}, "7"), ({"outputFolderID": ""}, None), ({}, None)]
)
def test_a_result_goes_to_the_folder_that_the_payload_names(payload, folder):
    result = read(messages.result(ProcessRequest(payload=payload), Segment(0, 0, 0), {}))
    assert result.get("outputFolderID") == folder


def test_a_drawing_is_a_form_with_the_keys_of_a_result_and_a_file():
    body = messages.drawing(REQUEST, Segment(0, 0, 1000), b"\xff\xd8jpeg")
    form = email.message_from_bytes(f"Content-Type: {body.content_type}\r\n\r\n".encode() + body.content)
    parts = {part.get_param("name", header="Content-Disposition"): part for part in form.get_payload()}
    assert parts["multipart"].get_payload() == "true"
    assert parts["chunkContext"].get_payload() == "0_1_x.in"
    assert parts["chunk"].get_payload(decode=True) == b"\xff\xd8jpeg"
