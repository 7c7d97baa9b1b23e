"""Each fault of the simulated toolkit does what its name says, to the requests it is put on, until it is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3
from toolkit_engine import ACK, DONE, Engine, failed, heartbeat, post_text, result
from urllib3.exceptions import NewConnectionError, ProtocolError, ReadTimeoutError

from local.simulators.aiware import TOOLKIT, Task, Toolkit
from local.simulators.aiware.spoiling import REFUSING

pytestmark = pytest.mark.thorough

Post = Callable[[Task], int]


@pytest.fixture
def toolkit() -> Iterator[Toolkit]:
    with Toolkit() as toolkit:
        yield toolkit


@pytest.fixture
def task(toolkit: Toolkit) -> Iterator[Task]:
    with Engine() as engine:
        yield toolkit.process(engine.url)


def posted(task: Task, webhook: str) -> int:
    return heartbeat(task) if webhook == "heartbeat" else result(task)


def accepted(task: Task, webhook: str) -> int:
    return len(task.heartbeats if webhook == "heartbeat" else task.results)


both = pytest.mark.parametrize("webhook", ["heartbeat", "result"])


class TestNames:
    def test_an_unknown_name_is_an_error(self, toolkit: Toolkit) -> None:
        with pytest.raises(ValueError, match="unknown fault 'heartbeat_501'"):
            Toolkit(faults=["heartbeat_501"])
        with pytest.raises(ValueError, match="unknown fault 'heartbeat_501'"):
            toolkit.faults.add("heartbeat_501")
        with pytest.raises(ValueError, match="unknown fault 'heartbeat_501'"):
            toolkit.faults.plan("heartbeat_501")
        with pytest.raises(ValueError, match="unknown fault 'heartbeat_501'"):
            toolkit.faults = {"gone", "heartbeat_501"}  # type: ignore[assignment]
        assert toolkit.faults == set()

    def test_faults_can_be_given_at_the_start_and_replaced(self) -> None:
        with Toolkit(faults=TOOLKIT) as toolkit:
            assert toolkit.faults == set(TOOLKIT)
            toolkit.faults = {"result_500"}  # type: ignore[assignment]
            assert toolkit.faults == {"result_500"}

    def test_a_fault_cannot_be_planned_for_what_it_does_not_strike(self, toolkit: Toolkit) -> None:
        with pytest.raises(ValueError, match="gone strikes heartbeat and result, not process"):
            toolkit.faults.plan("gone", on="process")


class TestPlanned:
    def test_a_fault_strikes_chosen_messages_and_no_others(self, toolkit: Toolkit, task: Task) -> None:
        toolkit.faults.plan("result_500", skip=1, times=2)
        assert heartbeat(task) == 204
        assert [result(task, index) for index in (1, 2, 2)] == [204, 500, 500]
        assert toolkit.faults.planned == []
        assert result(task, 2) == 204
        assert [message.body["index"] for message in task.results] == [1, 2]
        assert toolkit.violations == []

    def test_a_planned_fault_goes_before_one_in_force(self, toolkit: Toolkit, task: Task) -> None:
        toolkit.faults.add("heartbeat_500")
        toolkit.faults.plan("heartbeat_404", skip=1)
        assert [heartbeat(task) for _ in range(3)] == [500, 404, 500]

    def test_clearing_ends_them(self, toolkit: Toolkit, task: Task) -> None:
        toolkit.faults.add("heartbeat_500")
        toolkit.faults.plan("result_500")
        toolkit.faults.clear()
        assert (heartbeat(task), result(task)) == (204, 204)


class TestRefused:
    @both
    @pytest.mark.parametrize("fault", REFUSING)
    def test_the_message_is_not_accepted(self, toolkit: Toolkit, task: Task, webhook: str, fault: str) -> None:
        toolkit.faults.plan(f"{webhook}_{fault}")
        assert posted(task, webhook) == REFUSING[fault]
        assert (accepted(task, webhook), [message.status for message in task.refused]) == (0, [REFUSING[fault]])
        assert posted(task, webhook) == 204
        assert accepted(task, webhook) == 1
        assert toolkit.violations == []

    def test_a_redirect_points_where_nobody_may_go(self, toolkit: Toolkit, task: Task) -> None:
        toolkit.faults.add("heartbeat_redirect")
        reply = urllib3.request("POST", task.fields["heartbeatWebhook"], body=b"{}", redirect=False)
        assert reply.status == 301
        assert post_text(reply.headers["Location"], "", method="GET") == 404
        assert toolkit.violations == ["a redirect of a webhook was followed: GET /redirected/heartbeat/task1"]

    def test_too_many_requests_say_when_to_come_back(self, toolkit: Toolkit, task: Task) -> None:
        toolkit.faults.add("heartbeat_429")
        assert urllib3.request("POST", task.fields["heartbeatWebhook"], body=b"{}").headers["Retry-After"] == "1"


class TestAcceptedAndLost:
    @both
    def test_the_connection_is_closed(self, toolkit: Toolkit, task: Task, webhook: str) -> None:
        toolkit.faults.plan(f"{webhook}_reset")
        assert posted(task, webhook) == 0
        assert accepted(task, webhook) == 1
        assert posted(task, webhook) == 204
        assert toolkit.violations == []

    @both
    def test_the_answer_never_comes(self, toolkit: Toolkit, task: Task, webhook: str) -> None:
        toolkit.faults.plan(f"{webhook}_slow")
        with ThreadPoolExecutor() as pool:
            post = pool.submit(posted, task, webhook)
            task.wait(10, until=lambda task: accepted(task, webhook) == 1)
            assert not post.done()
            toolkit.stop()
            assert post.result() == 0

    @both
    def test_the_answer_is_enormous(self, toolkit: Toolkit, task: Task, webhook: str) -> None:
        toolkit.faults.plan(f"{webhook}_huge")
        url = task.fields[f"{webhook}Webhook"]
        body = b'{"status": "running", "infoMs": "", "infoMsg": ""}' if webhook == "heartbeat" else b'{"output": {}}'
        headers = {"Content-Type": "application/json"}
        reply = urllib3.request("POST", url, body=body, headers=headers, preload_content=False)
        assert reply.headers["Content-Length"] == str(8 << 30)
        assert len(reply.read(1 << 19)) == 1 << 19
        with pytest.raises(ProtocolError):
            reply.read(1 << 30)
        assert accepted(task, webhook) == 1

    @both
    def test_the_answer_drips(self, toolkit: Toolkit, task: Task, webhook: str) -> None:
        toolkit.faults.plan(f"{webhook}_drip")
        url, body = task.fields[f"{webhook}Webhook"], b'{"status": "running", "output": {}}'
        headers = {"Content-Type": "application/json"}
        reply = urllib3.request("POST", url, body=body, headers=headers, preload_content=False)
        assert [reply.read(1) for _ in range(3)] == [b" "] * 3
        reply.close()
        assert accepted(task, webhook) == 1

    @pytest.mark.parametrize("end", ["complete", "failed"])
    def test_the_end_may_be_told_again_until_it_is_answered(self, toolkit: Toolkit, task: Task, end: str) -> None:
        def told() -> int:
            return heartbeat(task, "complete") if end == "complete" else failed(task)

        result(task)
        toolkit.faults.plan("heartbeat_reset", times=2)
        assert [told(), told(), told()] == [0, 0, 204]
        assert toolkit.violations == []
        told()
        assert toolkit.violations == [f"task 1: a heartbeat ({end}) after the end ({end})"]

    def test_only_the_very_same_message_is_a_repeat(self, toolkit: Toolkit, task: Task) -> None:
        toolkit.faults.plan("result_reset")
        result(task, 1)
        result(task, 1, endOffsetMs=2000)
        assert toolkit.violations == ["task 1: a second result has the index 1"]

    def test_a_result_is_not_told_again_after_the_end(self, toolkit: Toolkit, task: Task) -> None:
        toolkit.faults.plan("result_reset")
        result(task, 1)
        heartbeat(task, "complete")
        result(task, 1)
        assert toolkit.violations == ["task 1: a result after the end (complete)"]


class TestGone:
    @both
    def test_from_the_message_on_nobody_listens(self, toolkit: Toolkit, task: Task, webhook: str) -> None:
        toolkit.faults.plan("gone", on=webhook, skip=1)
        posted(task, webhook)
        assert posted(task, webhook) == 0
        for other in ("heartbeat", "result"):
            with pytest.raises(NewConnectionError, match="refused"):
                posted(task, other)
        assert accepted(task, webhook) == 1
        assert toolkit.origin == toolkit.origins[1]


class TestCalls:
    def test_what_is_between_cuts_a_call_and_the_engine_works_on(self) -> None:
        with Toolkit(api_cut_s=0.05) as toolkit, Engine() as engine:
            answered = threading.Event()
            engine.meanwhile = lambda: answered.wait(10)
            toolkit.faults.plan("api_cut", times=3)
            task = toolkit.process(engine.url)
            assert (task.state, task.calls, len(engine.asked)) == ("ERROR", 3, 3)
            assert task.failure_message == "504: Endpoint request timed out"
            answered.set()
            assert heartbeat(task) == 204
            assert toolkit.violations == []

    def test_a_call_that_is_cut_is_made_again(self) -> None:
        with Toolkit(api_cut_s=0.05) as toolkit, Engine() as engine:
            answered = threading.Event()
            engine.meanwhile = lambda: len(engine.asked) > 1 or answered.wait(10)
            toolkit.faults.plan("api_cut")
            task = toolkit.process(engine.url)
            answered.set()
            assert (task.state, task.calls) == ("ACKED", 2)

    def test_an_answer_is_lost_on_the_way(self, toolkit: Toolkit) -> None:
        with Engine(DONE, ACK) as engine:
            toolkit.faults.plan("answer_lost")
            task = toolkit.process(engine.url)
        assert (task.state, task.calls, len(task.answers)) == ("ACKED", 2, 1)
        failed(task)
        assert toolkit.violations == []
        heartbeat(task)
        assert toolkit.violations == ["task 1: a heartbeat (running) after the end (failed)"]

    def test_all_three_calls_come_at_once(self, toolkit: Toolkit) -> None:
        with Engine() as engine:
            together = threading.Barrier(3)
            engine.meanwhile = lambda: together.wait(10)
            toolkit.faults.plan("overlapping")
            task = toolkit.process(engine.url)
        assert (task.state, task.calls, len(task.answers)) == ("ACKED", 3, 3)
        assert toolkit.violations == []


def test_stopping_ends_what_is_held(toolkit: Toolkit, task: Task) -> None:
    toolkit.faults.add("heartbeat_slow")
    with pytest.raises(ReadTimeoutError):
        urllib3.request("POST", task.fields["heartbeatWebhook"], body=b"{}", timeout=0.05, retries=False)
