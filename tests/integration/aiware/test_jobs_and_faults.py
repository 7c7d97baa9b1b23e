"""A job and everything that may befall it: one final heartbeat, nothing after it, and each result once and in order."""

from __future__ import annotations

import json
import statistics
import threading
from typing import Any

import pytest
from clips import video

from local import stepfunctions
from local.stepfunctions import Mishap

RESULTS = 4


def thorough(*values: Any) -> Any:
    """A case of which the quick tests have one of its kind."""
    return pytest.param(*values, marks=pytest.mark.thorough)


def assert_complete(task, results: int = RESULTS) -> None:
    """One final heartbeat, after all results, each once and in order."""
    assert task.state == "COMPLETE", task.failure_message
    assert_one_final_heartbeat(task)
    assert [result.body["index"] for result in task.results] == list(range(1, results + 1))
    assert task.heartbeats[-1].body["messagesWritten"] == results
    assert task.heartbeats[-1].at_s >= task.results[-1].at_s


def assert_failed(task, reason: str, says: str = "") -> None:
    """One final heartbeat, which is the reason."""
    assert (task.state, task.failure) == ("FAILED", reason)
    assert says in task.failure_message
    assert_one_final_heartbeat(task)


def assert_one_final_heartbeat(task) -> None:
    assert [beat.body["status"] for beat in task.heartbeats[:-1]] == ["running"] * (len(task.heartbeats) - 1)


def test_results_come_in_order_and_then_the_final_heartbeat(engine):
    task = engine.process(startOffsetMS=60_000, endOffsetMS=64_000).wait(40)
    assert_complete(task)
    spans = [(result.body["startOffsetMs"], result.body["endOffsetMs"]) for result in task.results]
    assert spans == [(60_000 + 1000 * n, 61_000 + 1000 * n) for n in range(RESULTS)]
    items = [item for result in task.results for item in result.body["output"]["series"]]
    assert {item["object"]["type"] for item in items} == {"face"}
    assert all(60_000 <= item["startTimeMs"] < item["stopTimeMs"] <= 64_000 for item in items)
    assert engine.ended(task) == ["SUCCEEDED"]


def test_results_carry_metadata_and_the_output_folder(engine):
    payload = json.dumps({"segmentMs": 4000, "sampleMs": 1000, "outputFolderID": "folder-7"})
    task = engine.process(payload=payload, **{"chunk-metadata-groupid": "g1"}).wait(40)
    assert_complete(task, 1)
    body = task.results[0].body
    assert (body["outputFolderID"], body["chunk-metadata-groupid"]) == ("folder-7", "g1")
    assert body["chunkContext"] == task.fields["chunkContext"]


def test_first_heartbeat_comes_at_once_and_the_others_at_the_interval(engine):
    engine.media.faults.plan("drip")
    task = engine.process(maxTTL=8).wait(30)
    assert_failed(task, "other", "maxTTL")
    gaps = [after.at_s - before.at_s for before, after in zip(task.heartbeats, task.heartbeats[1:], strict=False)]
    assert task.heartbeats[0].at_s - task.called_at_s < 2
    assert len(gaps) > 3
    assert 0.8 < statistics.median(gaps) < 1.5


# ---- the toolkit


@pytest.mark.parametrize(
    "fault", ["heartbeat_500", *map(thorough, ["heartbeat_404", "heartbeat_drops", "heartbeat_redirect"])]
)
def test_heartbeats_refused_for_a_while(engine, fault):
    engine.toolkit.faults.plan(fault, times=2)
    assert_complete(engine.process().wait(40))


@pytest.mark.parametrize(
    "fault", ["heartbeat_reset", *map(thorough, ["heartbeat_slow", "heartbeat_drip", "heartbeat_huge"])]
)
def test_heartbeats_whose_answer_never_comes(engine, fault):
    engine.toolkit.faults.plan(fault, times=1)
    assert_complete(engine.process().wait(60))


@pytest.mark.parametrize("fault", ["result_503", *map(thorough, ["result_500", "result_429", "result_drops"])])
def test_result_refused_then_accepted(engine, fault):
    engine.toolkit.faults.plan(fault, skip=1, times=2)
    assert_complete(engine.process().wait(60))


def test_result_that_is_refused_for_good_fails_the_job(engine):
    engine.toolkit.faults.add("result_400")
    task = engine.process().wait(60)
    assert_failed(task, "external_error", "status 400")
    assert task.results == []


def test_result_that_the_toolkit_finds_too_large_fails_with_the_remedy(engine):
    engine.toolkit.faults.add("result_413")
    assert_failed(engine.process().wait(60), "other", "segmentMs")


def test_result_whose_answer_is_lost_is_sent_again_with_the_same_index(engine):
    """Nobody can tell whether it was taken: better twice, with an index that says so, than not at all."""
    engine.toolkit.faults.plan("result_reset", skip=1)
    task = engine.process().wait(60)
    assert task.state == "COMPLETE"
    assert [(result.body["index"], result.repeat) for result in task.results] == [
        (1, False),
        (2, False),
        (2, True),
        (3, False),
        (4, False),
    ]


@pytest.mark.thorough
def test_a_toolkit_that_never_comes_back_ends_the_job(engine):
    engine.media.faults.add("drip")
    task = engine.process(maxTTL=50).wait(20, until=lambda task: bool(task.heartbeats))
    engine.toolkit.vanish()
    assert engine.ended(task) == ["FAILED"]
    while (record := engine.record(task))["stage"] != "lost":  # the watchdog tries once more
        threading.Event().wait(0.1)
    assert record["failure_reason"] == "external_error"


def test_process_twice_at_once_is_one_job(engine):
    engine.toolkit.faults.plan("overlapping")
    task = engine.process().wait(40)
    assert_complete(task)
    assert task.calls == 3
    assert engine.ended(task) == ["SUCCEEDED"]


def test_an_acknowledgement_that_is_lost_is_given_again(engine):
    engine.toolkit.faults.plan("answer_lost", times=2)
    task = engine.process().wait(40)
    assert_complete(task)
    assert (task.calls, engine.ended(task)) == (3, ["SUCCEEDED"])


def test_the_same_chunk_after_the_end_is_not_done_again(engine):
    first = engine.process().wait(40)
    assert_complete(first)
    fields = {name: text for name, text in first.fields.items() if name != "chunk"}
    again = engine.toolkit.process(f"{engine.url}/process", **fields)
    assert (again.state, again.job) == ("ACKED", first.job)
    assert len(engine.executions(first)) == 1
    again.state = "REQUEUED"  # the toolkit heard of the end before: it need not wait for another


def test_chunks_of_one_task_are_jobs_of_their_own(engine):
    tasks = [engine.process(internalTaskId="one", chunkContext=f"{n}-of-several.in", wait=False) for n in range(3)]
    for task in tasks:
        assert_complete(task.wait(60))
    assert len({task.job for task in tasks}) == 3


# ---- the functions


@pytest.mark.parametrize(
    ("task", "after"),
    [
        ("analyse", True),
        ("complete", True),
        ("beat", False),
        *(thorough(task, True) for task in ("begin", "plan", "beat", "limit", "deliver", "finish")),
        *(thorough(task, False) for task in ("begin", "plan", "analyse", "limit", "deliver", "finish", "complete")),
    ],
)
def test_a_function_killed_before_or_after_its_work_is_called_again(engine, task, after):
    stepfunctions.mishaps.append(Mishap(task, after=after))
    assert_complete(engine.process().wait(60))


def test_worker_killed_mid_segment_for_good_fails_the_job(engine):
    stepfunctions.mishaps.append(Mishap("analyse", times=50))
    task = engine.process().wait(60)
    assert_failed(task, "system_error", "out of memory")
    assert engine.ended(task) == ["FAILED"]


@pytest.mark.parametrize("error", ["Lambda.TooManyRequestsException", thorough("Sandbox.Timedout")])
def test_what_lambda_makes_of_a_segment_is_tried_again(engine, error):
    stepfunctions.mishaps.append(Mishap("analyse", error, times=2))
    assert_complete(engine.process().wait(60))


def test_an_execution_that_is_stopped_is_told_by_the_watchdog(engine):
    engine.media.faults.add("drip")
    task = engine.process().wait(20, until=lambda task: bool(task.heartbeats))
    (execution,) = engine.executions(task)
    stopped = {"input": json.dumps({"job": task.job}), "status": "ABORTED", "name": execution["name"]}
    stepfunctions.call("AiwareReportFunction", {"detail-type": "Execution Status Change", "detail": stopped})
    assert_failed(task.wait(30), "other", "stopped")
    stepfunctions.call("AiwareReportFunction", {"detail-type": "Execution Status Change", "detail": stopped})
    assert len([beat for beat in task.heartbeats if beat.body["status"] == "failed"]) == 1


def test_an_execution_whose_last_task_dies_is_told_by_the_watchdog(engine):
    stepfunctions.mishaps.append(Mishap("complete", times=4))
    assert_complete(engine.process().wait(90))


# ---- time


def test_maxttl_is_kept(engine):
    engine.media.faults.add("slow")
    task = engine.process(maxTTL=8).wait(20)
    assert_failed(task, "other", "maxTTL")
    assert task.heartbeats[-1].at_s - task.called_at_s < 8


# ---- the media


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("status_404", "url_not_found"),
        thorough("status_403", "url_not_allowed"),
        thorough("status_401", "url_not_allowed"),
        thorough("status_429", "rate_limited"),
        thorough("status_500", "url_error"),
        thorough("redirect", "url_error"),
        thorough("redirect_to_metadata", "url_error"),
        ("drops", "stream_read_error"),
        thorough("truncated", "stream_read_error"),
        ("oversized", "url_error"),
        thorough("empty", "invalid_data"),
        ("html", "invalid_data"),
    ],
)
def test_media_that_cannot_be_read_fail_the_job_with_their_reason(engine, fault, reason):
    engine.media.faults.add(fault)
    assert_failed(engine.process().wait(60), reason)
    assert not any(call.at_other_origin for call in engine.media.calls)


def test_media_that_recover_are_read(engine):
    engine.media.faults.plan("status_503", times=2)
    assert_complete(engine.process().wait(40))


def test_a_file_that_is_no_video_is_told(engine):
    assert_failed(engine.process(content=b"#EXTM3U\nhttp://169.254.169.254/x.ts\n").wait(40), "invalid_data")


def test_a_video_that_breaks_off_is_told_or_read_as_far_as_it_goes(engine):
    task = engine.process(content=video()[:-3000]).wait(40)
    assert task.state in ("FAILED", "COMPLETE")
    assert_one_final_heartbeat(task)
