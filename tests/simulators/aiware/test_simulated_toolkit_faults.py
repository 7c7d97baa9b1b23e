"""Each fault of the simulated Engine Toolkit does what its description says."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from toolkit_engine import ACK, DONE, Engine, failed, heartbeat, post_text, posted, result
from urllib3.exceptions import NewConnectionError, ProtocolError

from local.simulators.aiware import Task
from local.simulators.aiware.answer_faults import REFUSING

pytestmark = pytest.mark.thorough

BODIES = {"heartbeat": b'{"status": "running", "infoMs": "", "infoMsg": ""}', "result": b'{"output": {}}'}


def send(task: Task, webhook: str) -> int:
    return heartbeat(task) if webhook == "heartbeat" else result(task)


def accepted(task: Task, webhook: str) -> int:
    return len(task.heartbeats if webhook == "heartbeat" else task.results)


both = pytest.mark.parametrize("webhook", ["heartbeat", "result"])


class TestRefused:
    @both
    @pytest.mark.parametrize("fault", REFUSING)
    def test_the_message_is_not_accepted(self, toolkit, task, webhook, fault):
        toolkit.faults.plan(f"{webhook}_{fault}")
        assert send(task, webhook) == REFUSING[fault]
        assert (accepted(task, webhook), [message.status for message in task.refused]) == (0, [REFUSING[fault]])
        assert send(task, webhook) == 204
        assert accepted(task, webhook) == 1
        assert toolkit.violations == []

    def test_a_redirect_points_where_nobody_may_go(self, toolkit, task):
        toolkit.faults.add("heartbeat_redirect")
        reply = posted(task.fields["heartbeatWebhook"], b"{}")
        assert reply.status == 301
        assert post_text(reply.headers["Location"], "", method="GET") == 404
        assert toolkit.violations == ["a redirect of a webhook was followed: GET /redirected/heartbeat/task1"]


class TestAcceptedAndLost:
    @both
    def test_the_connection_is_closed(self, toolkit, task, webhook):
        toolkit.faults.plan(f"{webhook}_reset")
        assert send(task, webhook) == 0
        assert accepted(task, webhook) == 1
        assert send(task, webhook) == 204
        assert toolkit.violations == []

    @both
    def test_the_answer_never_comes(self, toolkit, task, webhook):
        toolkit.faults.plan(f"{webhook}_slow")
        with ThreadPoolExecutor() as pool:
            status = pool.submit(send, task, webhook)
            task.wait(10, until=lambda task: accepted(task, webhook) == 1)
            assert not status.done()
            toolkit.stop()
            assert status.result() == 0

    @both
    def test_the_answer_is_enormous(self, toolkit, task, webhook):
        toolkit.faults.plan(f"{webhook}_huge")
        reply = posted(task.fields[f"{webhook}Webhook"], BODIES[webhook])
        assert reply.headers["Content-Length"] == str(8 << 30)
        assert len(reply.read(1 << 19)) == 1 << 19
        with pytest.raises(ProtocolError):
            reply.read(1 << 30)
        assert accepted(task, webhook) == 1

    @both
    def test_the_answer_drips(self, toolkit, task, webhook):
        toolkit.faults.plan(f"{webhook}_drip")
        with posted(task.fields[f"{webhook}Webhook"], BODIES[webhook]) as reply:
            assert [reply.read(1) for _ in range(3)] == [b" "] * 3
        assert accepted(task, webhook) == 1

    @pytest.mark.parametrize("end", ["complete", "failed"])
    def test_the_end_may_be_told_again_until_it_is_answered(self, toolkit, task, end):
        def post_end() -> int:
            return heartbeat(task, "complete") if end == "complete" else failed(task)

        result(task)
        toolkit.faults.plan("heartbeat_reset", times=2)
        assert [post_end(), post_end(), post_end()] == [0, 0, 204]
        assert toolkit.violations == []
        post_end()
        assert toolkit.violations == [f"task 1: a heartbeat ({end}) after the end ({end})"]

    def test_a_result_whose_answer_was_lost_may_count_or_not(self, toolkit, task):
        toolkit.faults.plan("result_reset", times=2)
        result(task)
        heartbeat(task, messagesWritten=0)
        heartbeat(task, messagesWritten=1)
        result(task)
        heartbeat(task, messagesWritten=1)
        assert result(task) == 204
        heartbeat(task, "complete", messagesWritten=1)
        assert toolkit.violations == []
        assert [message.repeat for message in task.results_by_index[1]] == [False, True, True]
        assert (task.accepted, task.state) == (1, "COMPLETE")


@both
def test_once_gone_nobody_listens(toolkit, task, webhook):
    toolkit.faults.plan("gone", on=webhook, skip=1)
    assert [send(task, webhook), send(task, webhook)] == [204, 0]
    for other in ("heartbeat", "result"):
        with pytest.raises(NewConnectionError, match="refused"):
            send(task, other)
    assert accepted(task, webhook) == 1
    assert toolkit.origin == toolkit.origins[1]


def test_an_answer_is_lost_on_the_way(toolkit):
    with Engine(DONE, ACK) as engine:
        toolkit.faults.plan("answer_lost")
        task = toolkit.process(engine.url)
    assert (task.state, task.calls, len(task.answers)) == ("ACKED", 2, 1)
    failed(task)
    assert toolkit.violations == []
    heartbeat(task)
    assert toolkit.violations == ["task 1: a heartbeat (running) after the end (failed)"]


def test_all_three_calls_come_at_once(toolkit):
    with Engine() as engine:
        together = threading.Barrier(3)
        engine.meanwhile = lambda: together.wait(10)
        toolkit.faults.plan("overlapping")
        task = toolkit.process(engine.url)
    assert (task.state, task.calls, len(task.answers)) == ("ACKED", 3, 3)
    assert toolkit.violations == []
