"""The relay and the simulated Engine Toolkit, which notes violations of its protocol."""

from __future__ import annotations

import json

import pytest
from stand_ins import JOB, Api

from local.listener import Reply
from local.simulators.aiware import Toolkit

OBJECT = {
    "type": "object",
    "label": "dog",
    "confidence": 0.91,
    "boundingPoly": [{"x": 0.1, "y": 0.1}, {"x": 0.5, "y": 0.1}, {"x": 0.5, "y": 0.9}, {"x": 0.1, "y": 0.9}],
}
AION = {
    "generatedDateUTC": "2026-01-01T00:00:00Z",
    "validationContracts": ["object"],
    "series": [{"startTimeMs": 1000, "stopTimeMs": 2000, "object": OBJECT}],
}


class Engine(Api):
    """An API whose messages are those of a real job."""

    results = 0

    def publish_heartbeat(self, status: str = "running") -> None:
        counts = {"bytesRead": 1000, "bytesWritten": 500 * self.results, "messagesWritten": self.results}
        self.publish(("heartbeat", {"status": status, **counts, "infoMs": "at work", "infoMsg": "at work"}))

    def publish_result(self, task) -> None:
        self.results += 1
        metadata = {name: text for name, text in task.fields.items() if name.startswith("chunk-metadata-")}
        span = {"index": self.results, "startOffsetMs": 1000, "endOffsetMs": 2000}
        context = {"chunkContext": task.fields["chunkContext"]}
        self.publish(("result", {**metadata, **context, **span, "output": AION}))


@pytest.fixture
def api():
    with Engine() as listener:
        yield listener


@pytest.fixture
def toolkit():
    with Toolkit() as running:
        yield running


@pytest.fixture
def relay(start):
    return start(post_s=0.5, gone_s=5)


def url(relay, path: str = "/process") -> str:
    return f"http://0.0.0.0:{relay.port}{path}"


def results(task) -> list[int]:
    """The index of each accepted result, without repeats."""
    return [result.body["index"] for result in task.results if not result.repeat]


def test_toolkit_waits_for_annohooks_and_never_shuts_down(api, toolkit, relay):
    api.planned["ready"] = [Reply(500), None, Reply(503), Reply(401)]
    assert toolkit.ready(url(relay, "/ready"), timeout_s=20, poll_s=0.01) == "READY"
    assert len(api.called("/ready")) == 5


def test_test_console_is_answered(api, toolkit, relay):
    api.process = Reply(200, json.dumps(AION).encode())
    task = toolkit.console(url(relay), chunk=b"\xff\xd8" * 500)
    assert (task.state, task.output) == ("DONE_SYNC", AION)


def test_refusal_is_tried_three_times_and_shown(api, toolkit, relay):
    api.process = Reply(400, b"maxTTL is not a number.", "text/plain")
    task = toolkit.process(url(relay))
    assert (task.state, task.calls) == ("ERROR", 3)
    assert "maxTTL is not a number." in task.failure_message


def test_job_is_complete(api, toolkit, relay):
    task = toolkit.process(url(relay), chunk=b"\xff\xd8" * 500, maxTTL=600)
    assert (task.state in ("ACKED", "RUNNING"), task.job, task.estimate_s) == (True, JOB, 120)
    api.publish_heartbeat()
    api.publish_result(task)
    api.publish_result(task)
    api.publish_heartbeat()
    api.publish_heartbeat("complete")
    assert task.wait().state == "COMPLETE"
    relay.wait_until_forgotten()
    assert results(task) == [1, 2]
    assert toolkit.violations == []


FAULTS = ("500", "reset")
MORE_FAULTS = ("400", "429", "503", "redirect", "drops", "slow", "drip", "huge")


@pytest.mark.parametrize("kind", [*FAULTS, *(pytest.param(kind, marks=pytest.mark.thorough) for kind in MORE_FAULTS)])
def test_fault_of_the_webhooks_that_strikes_twice_loses_and_repeats_no_message(api, toolkit, start, kind):
    relay = start(post_s=1)
    for webhook in ("heartbeat", "result"):
        toolkit.faults.plan(f"{webhook}_{kind}", times=2)
    task = toolkit.process(url(relay))
    api.publish_heartbeat()
    api.publish_result(task)
    api.publish_result(task)
    api.publish_heartbeat("complete")
    assert task.wait().state == "COMPLETE"
    relay.wait_until_forgotten()
    assert toolkit.faults.planned == []
    assert results(task) == [1, 2]
    assert sum(beat.body["status"] == "complete" and not beat.repeat for beat in task.heartbeats) == 1
    assert toolkit.violations == []


@pytest.mark.parametrize("kind", ["404", "413", "redirect"])
def test_result_that_is_always_refused_fails_the_task_and_no_count_is_false(api, toolkit, relay, kind):
    task = toolkit.process(url(relay))
    api.publish_result(task)
    api.publish_heartbeat()
    task.wait(until=lambda task: len(task.heartbeats) == 1)
    toolkit.faults.add(f"result_{kind}")
    api.publish_result(task)
    api.publish_heartbeat("complete")
    assert (task.wait().state, task.failure) == ("FAILED", "other")
    relay.wait_until_forgotten()
    assert results(task) == [1]
    assert toolkit.violations == []


def test_chunk_that_is_queued_again_is_one_job_at_the_newest_webhooks(api, toolkit, relay):
    first = toolkit.process(url(relay))
    api.publish_heartbeat()
    api.publish_result(first)
    first.wait(until=lambda task: len(task.results) == 1)
    second = toolkit.requeue(first)
    api.publish_heartbeat()
    api.publish_result(first)
    api.publish_heartbeat("complete")
    assert second.wait().state == "COMPLETE"
    relay.wait_until_forgotten()
    assert (results(first), results(second)) == ([1], [2])
    assert toolkit.violations == []


def test_instance_that_is_gone_in_the_midst_of_a_job_is_followed_by_the_next(api, toolkit, relay):
    first = toolkit.process(url(relay))
    api.publish_heartbeat()
    api.wait_for_polls(2)
    toolkit.vanish()
    api.publish_result(first)
    second = toolkit.requeue(first)
    api.publish_heartbeat()
    api.publish_heartbeat("complete")
    assert second.wait().state == "COMPLETE"
    assert (results(first), results(second)) == ([], [1])
    assert toolkit.violations == []


def test_toolkit_hears_of_its_job_while_annohooks_is_down(api, toolkit, start):
    relay = start(beat_s=0.02)
    task = toolkit.process(url(relay))
    api.publish_heartbeat()
    api.publish_result(task)
    task.wait(until=lambda task: len(task.results) == 1)
    api.stop()
    task.wait(until=lambda task: len(task.heartbeats) >= 5)
    with Engine(api.server_port) as again:
        again.jobs, again.results = api.jobs, 1
        again.publish_heartbeat("complete")
        assert task.wait().state == "COMPLETE"
    assert {beat.body["messagesWritten"] for beat in task.heartbeats[2:]} == {1}
    assert toolkit.violations == []
