"""The relay brings a job's messages from annohooks to the toolkit: all of them, in order, once."""

from __future__ import annotations

import json

import pytest
from stand_ins import JOB, SECRET, Toolkit, acknowledged, complete, form, result, running

from engine import relay as relay_module
from local.listener import Reply


def test_messages_arrive_in_order_and_unchanged_and_the_job_is_forgotten(api, toolkit, start):
    relay = start().begin(toolkit)
    end = ("heartbeat", {"status": "complete", "bytesRead": 2**62, "infoMs": "é", "x": [0.1, None, 1.0]})
    messages = [running(), result(1), running(1), result(2), end]
    api.publish(*messages)
    relay.finish(toolkit)
    assert toolkit.accepted == [body for _, body in messages]
    assert type(toolkit.accepted[-1]["bytesRead"]) is int
    assert api.acknowledged[JOB] == 5


def test_first_poll_acknowledges_nothing_and_later_ones_what_was_accepted(api, toolkit, start):
    start().begin(toolkit)
    api.publish(running())
    api.wait_for_polls(2)
    first, second = api.called("/messages")
    assert (first.query, second.query) == ({"wait": "1"}, {"wait": "1", "after": "1"})
    assert first.target.startswith(f"/stage/aiware/jobs/{JOB}/messages?")
    assert first.headers["Authorization"].startswith("Basic ")


def test_nothing_is_collected_before_the_toolkit_has_the_answer(api, toolkit, start):
    relay = start()
    api.publish(complete(0))
    body = form(**toolkit.webhooks)
    content_type = f"multipart/form-data; boundary={body[2:62].decode()}"
    _, collector = relay.server.relay.process(content_type, body)
    assert relay.state_files() == [f"{JOB}.json"]
    assert api.called("/messages") == []
    collector.start()
    toolkit.wait(lambda: toolkit.summary == ["complete"])


def test_running_heartbeats_in_a_row_are_one(api, toolkit, start):
    api.publish(running(), running(), result(1), running(1), running(1), running(1), complete(1))
    start().begin(toolkit).finish(toolkit)
    assert toolkit.summary == ["running", 1, "running", "complete"]


def test_three_identical_attempts_are_collected_once(api, toolkit, start):
    relay = start().begin(toolkit).begin(toolkit).begin(toolkit)
    api.publish(result(1), complete(1))
    relay.finish(toolkit)
    assert toolkit.summary == [1, "complete"]


def test_two_jobs_do_not_wait_for_each_other(api, toolkit, start):
    with Toolkit() as other:
        other.always["result"] = 500
        relay = start().begin(other)
        api.publish(result(1))
        other.wait(lambda: other.refused)
        api.process = acknowledged("second")
        api.jobs["second"] = []
        relay.begin(toolkit)
        api.publish(complete(0), job="second")
        toolkit.wait_for("complete")
        assert other.accepted == []


def test_no_job_is_accepted_beyond_what_the_relay_can_collect(api, toolkit, start, monkeypatch):
    monkeypatch.setattr(relay_module, "MAX_JOBS", 1)
    status, _, body = start().begin(toolkit).process(**toolkit.webhooks)
    assert (status, b"accepts no more" in body) == (503, True)
    assert len(api.called("/process")) == 1


# Failures of the toolkit


@pytest.mark.parametrize("statuses", [[503, 500, 502, 504], [429, 408, 429, 408], [0, 500, 0]], ids=str)
def test_message_that_fails_is_posted_again_and_none_overtakes_it(api, toolkit, start, statuses):
    toolkit.planned = {"result": list(statuses), "heartbeat": list(statuses)}
    api.publish(running(), result(1), result(2), complete(2))
    start().begin(toolkit).finish(toolkit)
    assert toolkit.summary == ["running", 1, 2, "complete"]
    assert len(toolkit.refused) == 2 * len(statuses)


def test_only_what_the_toolkit_accepted_is_acknowledged(api, toolkit, start):
    toolkit.always["result"] = 500
    api.publish(running(), result(1), result(2))
    relay = start().begin(toolkit)
    toolkit.wait(lambda: len(toolkit.refused) >= 2)
    assert [call.query.get("after") for call in api.called("/messages")] == [None]
    relay.stop()
    assert json.loads((relay.state / f"{JOB}.json").read_text())["after"] == 1


@pytest.mark.parametrize("status", [413, 404, 302])
def test_result_that_the_toolkit_refuses_fails_the_job_with_the_status(api, toolkit, start, status):
    toolkit.planned["result"] = [204]
    toolkit.always["result"] = status
    api.publish(running(), result(1), result(2), running(2), complete(2))
    start().begin(toolkit).finish(toolkit, "failed")
    assert toolkit.summary == ["running", 1, "failed"]
    assert len(toolkit.refused) == 3
    failed = toolkit.accepted[-1]
    assert (failed["failureReason"], failed["messagesWritten"]) == ("other", 1)
    assert failed["failureMsg"] == f"The toolkit refused a result with {status}."
    assert failed["infoMs"] == failed["infoMsg"] == failed["failureMsg"]
    assert api.acknowledged[JOB] == 2


@pytest.mark.parametrize(
    ("webhook", "statuses", "accepted"),
    [("result", [413, 400], ["running", 1, "complete"]), ("heartbeat", [400, 400, 400], [1, "complete"])],
    ids=["a result is posted three times", "a heartbeat is skipped after three times"],
)
def test_refused_message_is_posted_three_times(api, toolkit, start, webhook, statuses, accepted):
    toolkit.planned[webhook] = statuses
    api.publish(running(), result(1), complete(1))
    start().begin(toolkit).finish(toolkit)
    assert toolkit.summary == accepted


@pytest.mark.parametrize("status", [404, 410])
def test_toolkit_that_does_not_know_the_task_is_left_alone(api, toolkit, start, status):
    toolkit.always["heartbeat"] = status
    api.publish(result(1), running(1), result(2), complete(2))
    relay = start().begin(toolkit)
    toolkit.wait(lambda: len(toolkit.refused) == 3)
    relay.wait_until_forgotten()
    assert toolkit.summary == [1]
    assert api.acknowledged[JOB] == 1


def test_end_that_is_refused_is_reported_no_other_way(api, toolkit, start):
    toolkit.always["heartbeat"] = 410
    api.publish(complete(0))
    relay = start().begin(toolkit)
    toolkit.wait(lambda: len(toolkit.refused) == 3)
    relay.wait_until_forgotten()
    assert api.acknowledged[JOB] == 1


def test_nothing_is_posted_after_the_end(api, toolkit, start):
    api.publish(complete(0), running(), result(1), complete(1))
    relay = start().begin(toolkit)
    api.wait(lambda: api.acknowledged.get(JOB) == 4)
    relay.wait_until_forgotten()
    assert toolkit.summary == ["complete"]


def test_toolkit_that_is_gone_is_given_up_and_what_it_accepted_is_acknowledged(api, toolkit, start):
    toolkit.planned["result"] = [204, 0]
    toolkit.always["result"] = 0
    api.publish(result(1), result(2))
    relay = start(gone_s=0.1).begin(toolkit)
    api.wait(lambda: api.acknowledged.get(JOB) == 1)
    relay.wait_until_forgotten()
    assert toolkit.summary == [1]


def test_last_heartbeat_is_repeated_with_a_true_count_while_a_result_fails(api, toolkit, start):
    toolkit.always["result"] = 500
    toolkit.planned["result"] = [204]
    api.publish(running(), result(1), result(2))
    relay = start(beat_s=0.05).begin(toolkit)
    toolkit.wait(lambda: len(toolkit.accepted) == 5)
    assert toolkit.accepted[0] == running(0)[1]
    assert toolkit.summary[1] == 1
    assert toolkit.accepted[2:5] == [running(1)[1]] * 3
    toolkit.always.clear()
    api.publish(running(2), complete(2))
    relay.finish(toolkit)
    assert toolkit.summary.count("complete") == 1


def test_log_holds_neither_secrets_nor_payload_nor_queries(api, toolkit, start, caplog, capfd):
    caplog.set_level("DEBUG")
    toolkit.planned = {"result": [500, 413], "heartbeat": [0]}
    api.planned["messages"] = [Reply(503, b"canary-of-the-api"), None]
    relay = start()
    fields = {"token": "canary-token", "payload": '{"token": "canary-token"}', "cacheURI": "https://m.example/?canary"}
    relay.process(chunk=b"canary-bytes", **fields, **toolkit.webhooks)
    relay.process(heartbeatWebhook="http://canary.example/")
    relay.send("GET", "/ready?canary")
    relay.send("GET", "/canary")
    api.publish(running(), ("result", {"index": 1, "output": "canary-output"}), complete(1))
    relay.finish(toolkit)
    start(url="http://127.0.0.1:1/canary").send("GET", "/ready")
    logged = caplog.text + "".join(capfd.readouterr())
    assert f"job {JOB}: accepted" in logged
    assert "the result webhook answered 500" in logged
    assert "canary" not in logged
    assert SECRET not in logged
