"""Heartbeats and results, to the byte."""

from __future__ import annotations

import email
import json

import pytest

from annohooks.aiware import messages
from annohooks.aiware.failures import failure
from annohooks.aiware.jobs import Job
from annohooks.aiware.messages import Span
from annohooks.aiware.request import Process

PROCESS = Process(chunk_context="0_1_x.in", chunk_metadata={"chunk-metadata-groupid": "g"})


def job(**fields) -> Job:
    about = {"heartbeat_webhook": "", "result_webhook": "", "external_webhook": "", "estimate_s": 1, "expires": 1}
    moments = {"accepted_ms": 0, "limit_ms": 100_000, "heard_ms": 0}
    return Job(job="j-1", stage="running", **about, **moments, **fields)


def test_a_running_heartbeat_counts_what_was_written_and_says_so_under_both_names():
    found = json.loads(messages.running(job(segments=4, messages=2, bytes_read=10, bytes_written=20)))
    assert found == {
        "status": "running",
        "bytesRead": 10,
        "bytesWritten": 20,
        "messagesWritten": 2,
        "infoMs": "2 of 4 results",
        "infoMsg": "2 of 4 results",
    }


def test_a_failed_heartbeat_says_why():
    found = json.loads(messages.failed(job(), failure("url_not_found", "gone\nfor good")))
    assert (found["status"], found["failureReason"], found["failureMsg"]) == (
        "failed",
        "url_not_found",
        "gone for good",
    )


def test_a_result_says_what_it_is_about_in_the_documented_spelling():
    found = json.loads(messages.result(PROCESS, Span(2, 1000, 2000), {"series": []}))
    assert found == {
        "chunkContext": "0_1_x.in",
        "startOffsetMs": 1000,
        "endOffsetMs": 2000,
        "index": 3,
        "chunk-metadata-groupid": "g",
        "output": {"series": []},
    }


def test_metadata_cannot_take_the_place_of_a_result_key():
    hostile = Process(chunk_context="c", chunk_metadata={"chunkContext": "x", "output": "x", "index": "x"})
    found = json.loads(messages.result(hostile, Span(0, 0, 0), {"series": []}))
    assert (found["chunkContext"], found["output"], found["index"]) == ("c", {"series": []}, 1)


@pytest.mark.parametrize(("given", "told"), [({"outputFolderID": 7}, "7"), ({"outputFolderID": ""}, None), ({}, None)])
def test_a_result_goes_to_the_folder_that_the_payload_names(given, told):
    found = json.loads(messages.result(Process(payload=given), Span(0, 0, 0), {}))
    assert found.get("outputFolderID") == told


def test_a_drawing_is_a_form_with_the_keys_of_a_result_and_a_file():
    body, content_type = messages.drawing(PROCESS, Span(0, 0, 1000), b"\xff\xd8jpeg")
    parts = email.message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body).get_payload()
    found = {part.get_param("name", header="Content-Disposition"): part for part in parts}
    assert found["multipart"].get_payload() == "true"
    assert found["chunkContext"].get_payload() == "0_1_x.in"
    assert found["chunk"].get_payload(decode=True) == b"\xff\xd8jpeg"


@pytest.mark.parametrize(("limit_s", "kept_s"), [(5, 2), (10, 2), (60, 12), (300, 15), (43_200, 15)])
def test_time_is_kept_for_the_last_word(limit_s, kept_s):
    lasting = Job(
        job="j-1",
        stage="running",
        heartbeat_webhook="",
        result_webhook="",
        external_webhook="",
        accepted_ms=1000,
        limit_ms=1000 + limit_s * 1000,
        heard_ms=0,
        estimate_s=1,
        expires=1,
    )
    assert lasting.limit_ms - lasting.work_until_ms == kept_s * 1000
