"""The tasks that talk to the toolkit: heartbeats, results, and one final heartbeat, however many do them at once."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from job_setup import changed, settings, soon

from annohooks.aiware import state_machine
from annohooks.aiware.failures import Failure, failure
from annohooks.aiware.jobs.files import JobFiles
from annohooks.aiware.jobs.messages import Body
from annohooks.aiware.jobs.report_tasks import Reporter
from annohooks.core import dynamodb, retry
from annohooks.core.deadline import Deadline, now_ms
from annohooks.core.errors import BadRequest, DeadlineExceeded
from annohooks.core.staging import Staging
from local.template import ROOT

BEAT = ("token", 10)


@pytest.fixture
def running(jobs, accept, listener):
    """A job that has begun, of two segments."""
    job = accept(listener.webhooks)
    jobs.begin(job.id)
    jobs.plan(job.id, 2, 1000)
    return job


@pytest.fixture
def reporter(listener):
    return Reporter(listener.settings())


@pytest.fixture
def released(monkeypatch):
    """The tokens of the waits that were ended."""
    tokens = []
    monkeypatch.setattr(state_machine, "release", tokens.append)
    return tokens


def statuses(listener) -> list[str]:
    return [body["status"] for body in listener.bodies]


def stage_result(job, segment: int) -> None:
    JobFiles(Staging("staging")).keep_result(job.id, segment, Body(b'{"index": %d}' % (segment + 1)))


@pytest.mark.parametrize("payload", [{}, {"task": "dance"}, {"task": "beat", "job": "j"}])
def test_a_payload_that_names_no_task_is_refused(reporter, payload):
    with pytest.raises(BadRequest, match="names no task"):
        reporter.handle(payload, soon())


def test_every_task_that_the_state_machine_asks_for_is_known(jobs, running, reporter, released):
    text = (ROOT / "statemachines" / "aiware_engine.asl.yaml").read_text()
    payloads = re.findall(r"FunctionName: \$\{ReportFunction\}\n +Payload: \{(.*)\}", text)
    assert len(payloads) > 8
    changed(running, stage="failed")
    values = {"job": running.id, "token": "t", "beat_s": 10, "segment": 0, "error": "other", "cause": "{}"}
    for payload in payloads:
        names = re.findall(r"(\w+)(?:\.\$)?: ", payload.replace("task:", ""))
        task = re.findall(r"task: (\w+)", payload)[0]
        with suppress(Failure):  # the job has ended
            assert reporter.handle({"task": task} | {name: values[name] for name in names}, soon()) == {}
    assert released == ["t", "t"]


# ---- heartbeats


def test_a_heartbeat_that_is_taken_after_long_silence_does_not_end_the_job(jobs, running, listener, reporter):
    changed(running, heard_ms=now_ms() - 3_000_000)
    reporter.beat(running.id, *BEAT)
    assert statuses(listener) == ["running"]
    assert jobs.read(running.id).silence_s() < 60


def test_a_heartbeat_that_is_refused_after_long_silence_ends_the_job(jobs, running, listener, reporter):
    listener.status = 404
    reporter.beat(running.id, *BEAT)
    changed(running, heard_ms=now_ms() - 3_000_000)
    with pytest.raises(Failure, match=r"has not answered for 30[0-9]{2} seconds") as failed:
        reporter.beat(running.id, *BEAT)
    assert failed.value.reason == "external_error"
    assert jobs.read(running.id).heartbeat_until_ms == 0


def test_a_beat_while_the_one_before_is_being_posted_posts_nothing_and_keeps_its_token(
    jobs, running, listener, reporter
):
    until_ms = now_ms() + 60_000
    jobs.take_heartbeat(running.id, "another", until_ms)
    reporter.beat(running.id, *BEAT)
    assert listener.bodies == []
    job = jobs.read(running.id)
    assert (job.heartbeat_token, job.heartbeat_owner, job.heartbeat_until_ms) == ("token", "another", until_ms)


def test_the_waits_beside_work_that_is_done_are_ended(jobs, running, reporter, released):
    jobs.finish(running.id)
    reporter.beat(running.id, *BEAT)
    reporter.limit(running.id, "limit")
    assert released == ["token", "limit"]


@pytest.mark.parametrize("limit_s", [10, 3600, 43_200])
@pytest.mark.parametrize("heartbeat_s", [1, 30, 60])
def test_2500_heartbeats_are_enough_for_any_job_and_three_fit_into_the_shortest(accept, limit_s, heartbeat_s):
    begun = Reporter(settings(aiware_heartbeat_s=heartbeat_s)).begin(accept(limit_s=limit_s).id)
    assert begun["beat_s"] * 2500 >= begun["limit_s"] >= begun["beat_s"] * 3
    assert begun["beat_s"] <= max(heartbeat_s, 18)


@pytest.mark.parametrize(("values", "message"), [({"stage": "failed"}, "had ended"), ({"limit_ms": 0}, "maxTTL")])
def test_a_job_that_is_over_or_late_does_not_begin(accept, reporter, values, message):
    job = accept()
    changed(job, **values)
    with pytest.raises(Failure, match=message) as failed:
        reporter.begin(job.id)
    assert failed.value.reason == "other"


# ---- results


def test_results_are_posted_in_order_and_then_the_waits_end(jobs, running, listener, reporter, released):
    reporter.limit(running.id, "limit")
    for segment in (1, 0):
        stage_result(running, segment)
        reporter.deliver(running.id, segment, soon())
        assert len(listener.bodies) == {1: 0, 0: 2}[segment]
    assert [body["index"] for body in listener.bodies] == [1, 2]
    reporter.finish(running.id, soon())
    job = jobs.read(running.id)
    assert (job.stage, job.results_posted, job.bytes_written, released) == ("finishing", 2, 24, ["limit"])


def test_a_result_that_is_refused_for_now_is_posted_at_the_end(jobs, running, listener, reporter, released, pauses):
    stage_result(running, 0)
    jobs.add_result(running.id, 1)
    stage_result(running, 1)
    listener.status = 503
    reporter.deliver(running.id, 0, soon())
    assert jobs.read(running.id).results_posted == 0
    listener.status = 200
    reporter.finish(running.id, Deadline.after(120))
    assert jobs.read(running.id).results_posted == 2


@pytest.mark.parametrize(("status", "reason"), [(400, "external_error"), (413, "other")])
def test_a_result_that_is_refused_for_good_ends_the_job(jobs, running, listener, reporter, status, reason):
    stage_result(running, 0)
    listener.status = status
    with pytest.raises(Failure) as failed:
        reporter.deliver(running.id, 0, soon())
    assert failed.value.reason == reason
    assert jobs.read(running.id).posting_until_ms == 0


def test_a_result_that_is_missing_at_the_end_is_told(jobs, running, reporter):
    with pytest.raises(Failure, match="result of a segment is missing"):
        reporter.finish(running.id, soon())
    jobs.note_failure(running.id, failure("invalid_data", "why"))
    with pytest.raises(Failure, match="why"):
        reporter.finish(running.id, soon())


# ---- the final heartbeat


def test_a_final_heartbeat_that_meets_another_write_is_written_once_a_moment_later(jobs, accept, failing_once):
    job = accept()
    jobs.finish(job.id)
    reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}]
    response = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
    outcomes = failing_once("transact_write_items", response)
    Reporter(settings()).complete(job.id, soon())
    assert outcomes == ["failed", "done"]
    (message,) = jobs.messages(job.id, 0, 10)
    assert json.loads(message.body)["status"] == "complete"
    assert jobs.read(job.id).stage == "complete"


def test_of_two_tasks_that_end_a_job_at_once_one_delivers_the_final_heartbeat(
    jobs, running, listener, reporter, monkeypatch
):
    # moto, unlike DynamoDB, does not make the changes of an item one after the other.
    client, lock = dynamodb.client(), threading.Lock()
    real = client._make_api_call

    def one_by_one(*arguments: Any) -> Any:
        with lock:
            return real(*arguments)

    monkeypatch.setattr(client, "_make_api_call", one_by_one)
    # The toolkit does not answer the first task before the second one has to wait.
    listener.hold.clear()
    monkeypatch.setattr(retry, "sleep", lambda _: listener.hold.set())
    jobs.finish(running.id)
    with ThreadPoolExecutor(2) as pool:
        for task in [pool.submit(reporter.complete, running.id, soon()) for _ in range(2)]:
            task.result()
    assert listener.hold.is_set()
    assert statuses(listener) == ["complete"]
    assert jobs.read(running.id).stage == "complete"


def test_a_final_heartbeat_that_must_wait_for_another_post_gives_up_at_the_deadline(jobs, running, reporter, pauses):
    jobs.take_heartbeat(running.id, "another", now_ms() + 60_000)
    with pytest.raises(DeadlineExceeded):
        reporter.fail(running.id, failure("other", "why"), Deadline.after(2))
    assert len(pauses) > 1


@pytest.mark.parametrize(("silent_s", "reason"), [(0, "external_error"), (3000, "other")])
def test_a_final_heartbeat_that_is_refused_is_tried_again_unless_the_toolkit_was_silent_for_long(
    jobs, running, listener, reporter, silent_s, reason
):
    listener.status = 404
    changed(running, heard_ms=now_ms() - silent_s * 1000)
    with pytest.raises(Failure) as failed:
        reporter.fail(running.id, failure("invalid_data", "why"), soon())
    assert failed.value.reason == reason
    job = jobs.read(running.id)
    assert (job.stage, job.posting_until_ms) == ("failing", 0)


# ---- the watchdog


@pytest.mark.parametrize(
    ("stage", "status", "final_heartbeat"),
    [
        ("running", "ABORTED", {"status": "failed", "failureReason": "other", "failureMsg": "The job was stopped."}),
        ("running", "FAILED", {"status": "failed", "failureReason": "internal_error"}),
        ("completing", "FAILED", {"status": "complete"}),
    ],
)
def test_the_watchdog_delivers_a_final_heartbeat_that_is_missing_once(
    jobs, running, listener, reporter, stage, status, final_heartbeat
):
    changed(running, stage=stage)
    for _ in range(2):
        reporter.watch(running.id, status, soon())
    (body,) = listener.bodies
    assert final_heartbeat.items() <= body.items()
    assert jobs.read(running.id).stage == final_heartbeat["status"]


def test_a_job_whose_final_heartbeat_nobody_takes_is_lost(jobs, running, listener, reporter):
    listener.status = 404
    reporter.watch(running.id, "FAILED", soon())
    assert jobs.read(running.id).stage == "lost"
    reporter.watch("unknown", "FAILED", soon())
