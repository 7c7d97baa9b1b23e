"""Heartbeats, results, time limits and new instances move a task of the simulated Engine Toolkit on."""

from __future__ import annotations

import pytest
from toolkit_engine import AION, DONE, Engine, failed, heartbeat, metadata, post, result
from urllib3.exceptions import NewConnectionError

from local.simulators.aiware import Toolkit

pytestmark = pytest.mark.thorough


class TestStates:
    def test_messages_may_be_faster_than_the_acknowledgement(self, toolkit):
        def reported() -> None:
            (task,) = toolkit.tasks
            assert task.state == "CALLING"
            statuses.extend([heartbeat(task), result(task), heartbeat(task, "complete")])

        statuses: list[int] = []
        with Engine() as engine:
            engine.meanwhile = reported
            assert toolkit.process(engine.url).state == "COMPLETE"
        assert statuses == [204, 204, 204]
        assert toolkit.violations == []

    def test_the_external_callback_takes_both_kinds_of_messages(self, toolkit):
        with Engine() as engine:
            task = toolkit.process(engine.url, webhooks=False, callback=True)
            url, context = task.fields["externalCallbackWebhook"], task.fields["chunkContext"]
            assert post(url, {"chunkContext": context, "output": AION, **metadata(task)}) == 204
            assert post(url, {"status": "complete", "messagesWritten": 1, "infoMs": "", "infoMsg": ""}) == 204
        assert (task.state, task.accepted) == ("COMPLETE", 1)
        assert toolkit.violations == []

    def test_an_engine_that_answers_at_once_may_report_complete_and_nothing_else(self, toolkit):
        with Engine(DONE) as engine:
            task = toolkit.process(engine.url)
            assert heartbeat(task, "complete") == 204
            assert toolkit.violations == []
            heartbeat(task, "complete")
            assert toolkit.violations == ["task 1: a heartbeat (complete) after the end (complete)"]
            for number, message in enumerate((heartbeat, failed, result), 2):
                task = toolkit.process(engine.url)
                message(task)
                assert toolkit.violations[-1].startswith(f"task {number}: a ")
        assert len(toolkit.violations) == 4

    def test_an_engine_that_reports_and_answers_at_once_does_the_work_twice(self, toolkit):
        with Engine(DONE) as engine:
            engine.meanwhile = lambda: (heartbeat(toolkit.tasks[0]), result(toolkit.tasks[0]))
            toolkit.process(engine.url)
        assert toolkit.violations == [
            "task 1: 1 results were posted, and process was answered DONE_SYNC as well",
            "task 1: running was reported, and process was answered DONE_SYNC",
        ]


class Clock:
    """A clock that a test sets."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class TestClocks:
    def test_each_heartbeat_starts_the_limit_anew(self):
        clock = Clock()
        with Toolkit(clock=clock) as toolkit, Engine() as engine:
            task = toolkit.process(engine.url)
            for _ in range(4):
                clock.now_s += 89
                heartbeat(task)
            assert (task.state, toolkit.violations) == ("RUNNING", [])
            clock.now_s += 91
            assert task.wait().failure == "heartbeat_timeout"
            assert toolkit.violations == ["task 1: no heartbeat for 91 s"]

    def test_heartbeats_that_a_fault_refuses_are_no_silence_of_the_engine(self):
        clock = Clock()
        with Toolkit(clock=clock, faults=["heartbeat_500"]) as toolkit, Engine() as engine:
            task = toolkit.process(engine.url)
            for _ in range(2):
                clock.now_s += 46
                heartbeat(task)
            assert (task.failure, toolkit.violations) == ("heartbeat_timeout", [])

    @pytest.mark.parametrize(("max_ttl", "limit_s"), [("", 600), (60, 600), (3600, 3600)])
    def test_work_has_its_estimate_or_max_ttl_if_that_is_longer(self, max_ttl, limit_s):
        clock = Clock()
        with Toolkit(clock=clock) as toolkit, Engine() as engine:
            task = toolkit.process(engine.url, maxTTL=max_ttl)
            for _ in range(limit_s // 60):
                clock.now_s += 60
                heartbeat(task)
            assert (task.state, toolkit.violations) == ("RUNNING", [])
            clock.now_s += 1
            assert task.wait().failure == "ttl"
            assert toolkit.violations == [f"task 1: the work is not over {limit_s} s after it was acknowledged"]


class TestRequeue:
    def test_another_instance_sends_the_same_chunk_with_new_webhooks_and_the_old_ones_are_dead(self, toolkit):
        origins = toolkit.origins
        with Engine() as engine:
            first = toolkit.process(engine.url, chunk=b"abc")
            result(first, 1)
            second = toolkit.requeue(first, maxTTL=77)
            assert (first.state, second.state, second.attempt) == ("REQUEUED", "ACKED", 2)
            assert toolkit.origins == origins
            changed = {name for name in first.fields if first.fields[name] != second.fields[name]}
            assert changed == {"heartbeatWebhook", "resultWebhook", "maxTTL"}
            assert second.fields["resultWebhook"].startswith(origins[1])
            with pytest.raises(NewConnectionError, match="Connection refused"):
                heartbeat(first)
            assert heartbeat(second) == result(second, 2) == 204
            assert heartbeat(second, "complete", messagesWritten=2) == 204
            third = toolkit.requeue(second)
            assert (second.state, third.state) == ("COMPLETE", "ACKED")
            assert toolkit.origin == third.origin == toolkit.origins[2]
            assert third.accepted_before == 2
            assert toolkit.violations == []

    def test_what_is_requeued_while_it_is_called_stays_requeued(self, toolkit):
        with Engine() as engine:
            engine.meanwhile = lambda: again.append(toolkit.requeue(toolkit.tasks[0])) if len(toolkit.tasks) < 2 else 0
            again: list[object] = []
            assert toolkit.process(engine.url).state == "REQUEUED"
        assert [task.state for task in toolkit.tasks] == ["REQUEUED", "ACKED"]
