"""A job's messages on their way from annohooks to the toolkit: all, in order, once, whatever happens in between."""

from __future__ import annotations

import json
import threading

import pytest
from stand_ins import JOB, SECRET, Api, Toolkit, acknowledged, complete, result, running

from local.listener import Reply

# What is usual


def test_messages_arrive_in_order_and_the_job_is_forgotten(api, toolkit, start):
    relay = start()
    relay.process(**toolkit.webhooks)
    api.says(running(), result(1), running(1), result(2), complete(2))
    toolkit.wait(lambda: "complete" in toolkit.words)
    assert toolkit.words == ["running", 1, "running", 2, "complete"]
    relay.wait_until_forgotten()
    assert api.acknowledged[JOB] == 5


def test_bodies_arrive_as_they_were_said(api, toolkit, start):
    start().process(**toolkit.webhooks)
    said = [result(1), ("heartbeat", {"status": "complete", "bytesRead": 2**62, "infoMs": "é", "x": [0.1, None, 1.0]})]
    api.says(*said)
    toolkit.wait(lambda: len(toolkit.taken) == 2)
    assert toolkit.taken == [body for _, body in said]
    assert type(toolkit.taken[1]["bytesRead"]) is int


def test_first_poll_says_nothing_of_what_was_taken_and_later_ones_do(api, toolkit, start):
    relay = start()
    relay.process(**toolkit.webhooks)
    api.says(running())
    toolkit.wait(lambda: len(toolkit.taken) == 1)
    api.wait(lambda: len(api.called("/messages")) == 2)
    first, second = api.called("/messages")
    assert first.query == {"wait": "1"}
    assert second.query == {"wait": "1", "after": "1"}
    assert first.target.startswith(f"/stage/aiware/jobs/{JOB}/messages?")
    assert first.headers["Authorization"].startswith("Basic ")


def test_nothing_is_collected_before_the_toolkit_has_the_answer(api, toolkit, start):
    relay = start()
    api.says(complete(0))
    body = b"".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{url}\r\n'.encode()
        for name, url in toolkit.webhooks.items()
    )
    _, collector = relay.server.relay.process("multipart/form-data; boundary=b", body + b"--b--\r\n")
    assert relay.kept() == [f"{JOB}.json"]
    assert api.called("/messages") == []
    collector.start()
    toolkit.wait(lambda: toolkit.words == ["complete"])


def test_running_heartbeats_in_a_row_are_one(api, toolkit, start):
    api.says(running(), running(), result(1), running(1), running(1), running(1), complete(1))
    relay = start()
    relay.process(**toolkit.webhooks)
    toolkit.wait(lambda: "complete" in toolkit.words)
    relay.wait_until_forgotten()
    assert toolkit.words == ["running", 1, "running", "complete"]


def test_three_identical_tries_are_collected_once(api, toolkit, start):
    relay = start()
    for _ in range(3):
        relay.process(**toolkit.webhooks)
    api.says(result(1), complete(1))
    toolkit.wait(lambda: "complete" in toolkit.words)
    relay.wait_until_forgotten()
    assert toolkit.words == [1, "complete"]


def test_two_jobs_do_not_wait_for_each_other(api, toolkit, start):
    relay = start()
    with Toolkit() as other:
        other.always["result"] = 500
        relay.process(**other.webhooks)
        api.says(result(1))
        other.wait(lambda: other.refused)
        api.process = acknowledged("second")
        api.jobs["second"] = []
        relay.process(**toolkit.webhooks)
        api.says(complete(0), job="second")
        toolkit.wait(lambda: toolkit.words == ["complete"])
        assert other.taken == []


def test_no_job_is_taken_beyond_what_the_relay_can_collect(api, toolkit, start, relay_module, monkeypatch):
    monkeypatch.setattr(relay_module, "MOST_JOBS", 1)
    relay = start()
    assert relay.process(**toolkit.webhooks)[0] == 200
    status, _, body = relay.process(**toolkit.webhooks)
    assert (status, b"no more" in body) == (503, True)
    assert len(api.called("/process")) == 1


# Trouble with the toolkit


@pytest.mark.parametrize("trouble", [[500], [503, 500, 502, 504], [429, 408, 429, 408], [0], [0, 500, 0]], ids=str)
def test_message_the_toolkit_could_not_take_comes_again_and_nothing_overtakes_it(api, toolkit, start, trouble):
    toolkit.planned = {"result": list(trouble), "heartbeat": list(trouble)}
    api.says(running(), result(1), result(2), complete(2))
    start().process(**toolkit.webhooks)
    toolkit.wait(lambda: "complete" in toolkit.words)
    assert toolkit.words == ["running", 1, 2, "complete"]
    assert len(toolkit.refused) == 2 * len(trouble)


def test_only_what_the_toolkit_took_is_acknowledged(api, toolkit, start):
    toolkit.always["result"] = 500
    api.says(running(), result(1), result(2))
    relay = start()
    relay.process(**toolkit.webhooks)
    toolkit.wait(lambda: len(toolkit.refused) >= 2)
    assert [call.query.get("after") for call in api.called("/messages")] == [None]
    relay.stop()
    assert json.loads((relay.state / f"{JOB}.json").read_text())["after"] == 1


@pytest.mark.parametrize("status", [400, 413, 404, 302])
def test_result_that_the_toolkit_refuses_ends_the_job_in_so_many_words(api, toolkit, start, status):
    toolkit.planned["result"] = [204]
    toolkit.always["result"] = status
    api.says(running(), result(1), result(2), running(2), complete(2))
    relay = start()
    relay.process(**toolkit.webhooks)
    toolkit.wait(lambda: "failed" in toolkit.words)
    relay.wait_until_forgotten()
    assert toolkit.words == ["running", 1, "failed"]
    assert len(toolkit.refused) == 3
    failed = toolkit.taken[-1]
    assert failed["failureReason"] == "other"
    assert failed["failureMsg"] == f"The toolkit refused a result with {status}."
    assert failed["infoMs"] == failed["infoMsg"] == failed["failureMsg"]
    assert failed["messagesWritten"] == 1
    assert api.acknowledged[JOB] == 2


def test_result_refused_and_then_accepted_is_taken_once(api, toolkit, start):
    toolkit.planned["result"] = [413, 400]
    api.says(result(1), complete(1))
    start().process(**toolkit.webhooks)
    toolkit.wait(lambda: "complete" in toolkit.words)
    assert toolkit.words == [1, "complete"]


def test_running_heartbeat_that_is_refused_is_left_out(api, toolkit, start):
    toolkit.planned["heartbeat"] = [400, 400, 400]
    api.says(running(), result(1), complete(1))
    start().process(**toolkit.webhooks)
    toolkit.wait(lambda: "complete" in toolkit.words)
    assert toolkit.words == [1, "complete"]


@pytest.mark.parametrize("status", [404, 410])
def test_toolkit_that_does_not_know_the_task_is_left_alone(api, toolkit, start, status):
    toolkit.always["heartbeat"] = status
    api.says(result(1), running(1), result(2), complete(2))
    relay = start()
    relay.process(**toolkit.webhooks)
    toolkit.wait(lambda: len(toolkit.refused) == 3)
    relay.wait_until_forgotten()
    assert toolkit.words == [1]
    assert api.acknowledged[JOB] == 1


def test_last_word_that_is_refused_is_said_no_other_way(api, toolkit, start):
    toolkit.always["heartbeat"] = 410
    api.says(complete(0))
    relay = start()
    relay.process(**toolkit.webhooks)
    toolkit.wait(lambda: len(toolkit.refused) == 3)
    relay.wait_until_forgotten()
    assert api.acknowledged[JOB] == 1


def test_nothing_is_said_after_the_last_word(api, toolkit, start):
    api.says(complete(0), running(), result(1), complete(1))
    relay = start()
    relay.process(**toolkit.webhooks)
    api.wait(lambda: api.acknowledged.get(JOB) == 4)
    relay.wait_until_forgotten()
    assert toolkit.words == ["complete"]


def test_toolkit_that_is_gone_for_good_is_given_up_and_what_it_took_is_acknowledged(api, toolkit, start):
    toolkit.planned["result"] = [204, 0]
    toolkit.always["result"] = 0
    api.says(result(1), result(2))
    relay = start(gone_s=0.1)
    relay.process(**toolkit.webhooks)
    api.wait(lambda: api.acknowledged.get(JOB) == 1)
    relay.wait_until_forgotten()
    assert toolkit.words == [1]


def test_toolkit_waits_as_long_as_the_relay_does(api, toolkit, start):
    toolkit.always["result"] = 500
    toolkit.planned["result"] = [204]
    api.says(running(), result(1), result(2))
    relay = start(beat_s=0.05)
    relay.process(**toolkit.webhooks)
    toolkit.wait(lambda: len(toolkit.taken) == 5)
    assert toolkit.taken[0] == running(0)[1]
    assert toolkit.words[1] == 1
    assert toolkit.taken[2:5] == [running(1)[1]] * 3  # its count is true
    toolkit.always.clear()
    api.says(running(2), complete(2))
    toolkit.wait(lambda: "complete" in toolkit.words)
    relay.wait_until_forgotten()
    assert toolkit.words.count("complete") == 1


# Trouble with annohooks

# The messages of these would be the third.
TROUBLE = {
    "503": Reply(503, b"later"),
    "500": Reply(500, b"broken"),
    "403": Reply(403, b'{"message": "Forbidden"}'),
    "429": Reply(429, b"slower"),
    "301": Reply(301, headers={"Location": "/elsewhere"}),
    "hangs up": None,
    "no JSON": Reply(200, b"<html>"),
    "NaN": Reply(200, b'{"messages": [{"sequence": 3, "webhook": "result", "body": {"a": NaN}}], "done": false}'),
    "no object": Reply(200, b"[]"),
    "no body": Reply(200, b'{"messages": [{"sequence": 3, "webhook": "result"}], "done": false}'),
    "other webhook": Reply(200, b'{"messages": [{"sequence": 3, "webhook": "ready", "body": {}}], "done": false}'),
    "out of order": Reply(200, b'{"messages": [{"sequence": 2, "webhook": "result", "body": {}}], "done": false}'),
    "no base64": Reply(
        200,
        b'{"messages": [{"sequence": 3, "webhook": "result", "base64": "?", "content_type": ""}], "done": false}',
    ),
    "no number": Reply(200, b'{"messages": [{"sequence": true, "webhook": "result", "body": {}}], "done": false}'),
    "cut short": Reply(200, b'{"messages": [', announced_bytes=500),
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
def test_outage_of_annohooks_is_waited_out(api, toolkit, start, trouble):
    relay = start()
    relay.process(**toolkit.webhooks)
    api.says(running(), result(1))
    toolkit.wait(lambda: toolkit.words == ["running", 1])
    with api.changed:
        polls = len(api.called("/messages"))
        api.planned["messages"] = [trouble] * 3
    api.says(result(2), complete(2))
    toolkit.wait(lambda: "complete" in toolkit.words)
    relay.wait_until_forgotten()
    assert toolkit.words == ["running", 1, 2, "complete"]
    assert len(api.called("/messages")) >= polls + 3


def test_restart_of_annohooks_is_waited_out(api, toolkit, start):
    relay = start()
    relay.process(**toolkit.webhooks)
    api.says(running(), result(1))
    toolkit.wait(lambda: len(toolkit.taken) == 2)
    api.stop()
    with Api(api.server_port) as again:
        again.jobs = api.jobs
        again.says(result(2), complete(2))
        toolkit.wait(lambda: "complete" in toolkit.words)
        relay.wait_until_forgotten()
    assert toolkit.words == ["running", 1, 2, "complete"]


@pytest.mark.parametrize("status", [404, 410])
def test_job_that_annohooks_knows_no_more_fails_at_once(api, toolkit, start, status):
    relay = start()
    relay.process(**toolkit.webhooks)
    with api.changed:
        api.planned["messages"] = [Reply(status, b"No such job.")] * 2
    api.says(running(7))
    toolkit.wait(lambda: "failed" in toolkit.words)
    relay.wait_until_forgotten()
    assert toolkit.words[-1] == "failed"
    assert toolkit.words.count("failed") == 1
    assert toolkit.taken[-1]["failureReason"] == "external_error"


def test_job_that_does_not_end_in_time_fails(api, toolkit, start):
    api.process = acknowledged(estimate_s=2)
    relay = start(late_s=-2)
    relay.process(maxTTL="1", **toolkit.webhooks)
    toolkit.wait(lambda: "failed" in toolkit.words)
    relay.wait_until_forgotten()
    assert toolkit.words == ["failed"]
    assert toolkit.taken[0]["failureReason"] == "external_error"


# A chunk that is queued again


def test_job_goes_on_at_the_newest_webhooks(api, toolkit, start):
    relay = start()
    with Toolkit() as first:
        relay.process(**first.webhooks)
        api.says(running(), result(1))
        first.wait(lambda: len(first.taken) == 2)
    api.says(result(2))  # nobody takes it
    api.wait(lambda: len(api.called("/messages")) >= 2)
    relay.process(**toolkit.webhooks)
    api.says(result(3), complete(3))
    toolkit.wait(lambda: "complete" in toolkit.words)
    relay.wait_until_forgotten()
    assert first.words == ["running", 1]
    assert [word for word in toolkit.words if word != "running"] == [2, 3, "complete"]


def test_new_webhooks_hear_of_the_job_even_when_annohooks_has_nothing_new(api, toolkit, start):
    relay = start()
    with Toolkit() as first:
        first.planned["heartbeat"] = [204]
        first.always["heartbeat"] = 500
        relay.process(**first.webhooks)
        api.says(running(0))
        first.wait(lambda: len(first.taken) == 1)
        relay.process(**toolkit.webhooks)
        toolkit.wait(lambda: toolkit.taken == [running(0)[1]])


def test_failure_said_to_a_toolkit_that_is_gone_is_not_the_last_word(api, toolkit, start):
    with Toolkit() as first:
        first.always["result"] = 413
        hold = threading.Event()
        relay = start()
        collector_of = relay.server.relay._collectors
        relay.process(**first.webhooks)
        post = collector_of[JOB]._post

        def slow(name, *content):
            post(name, *content)
            if "failed" in first.words and not hold.is_set():
                relay.process(**toolkit.webhooks)  # queued again, in the very moment
                hold.set()

        collector_of[JOB]._post = slow
        api.says(result(1), complete(1))
        first.wait(lambda: "failed" in first.words)
        assert hold.wait(30)
        toolkit.wait(lambda: "complete" in toolkit.words)
    assert [word for word in toolkit.words if word != "running"] == [1, "complete"]


def test_last_word_said_to_a_toolkit_that_is_gone_is_said_to_the_newest(api, toolkit, start):
    with Toolkit() as first:
        relay = start()
        relay.process(**first.webhooks)
        collector = relay.server.relay._collectors[JOB]
        post = collector._post

        def slow(name, *content):
            post(name, *content)
            if first.words == ["complete"] and not toolkit.taken:
                relay.process(**toolkit.webhooks)

        collector._post = slow
        api.says(complete(0))
        toolkit.wait(lambda: "complete" in toolkit.words)
        relay.wait_until_forgotten()
    assert first.words == ["complete"]
    assert [word for word in toolkit.words if word != "running"] == ["complete"]


def test_failure_that_was_said_is_not_the_last_word_to_those_who_come_after(api, toolkit, start):
    with Toolkit() as first:
        first.always["result"] = 413
        relay = start()
        relay.process(**first.webhooks)
        collector = relay.server.relay._collectors[JOB]
        poll = collector._poll

        def late(wait_s):
            if "failed" in first.words and not toolkit.taken:
                relay.process(**toolkit.webhooks)  # queued again, before the job is forgotten
            return poll(wait_s)

        collector._poll = late
        api.says(result(1), complete(1))
        toolkit.wait(lambda: "complete" in toolkit.words)
    assert [word for word in toolkit.words if word != "running"] == [1, "complete"]


def test_refusals_of_a_toolkit_that_is_gone_do_not_count_for_the_newest(api, toolkit, start):
    with Toolkit() as first:
        first.always["result"] = 400
        toolkit.planned["result"] = [400, 400]
        relay = start()
        relay.process(**first.webhooks)
        collector = relay.server.relay._collectors[JOB]
        attempt = collector._try

        def counted(*given):
            status = attempt(*given)
            if len(first.refused) == 2:
                relay.process(**toolkit.webhooks)
            return status

        collector._try = counted
        api.says(result(1), complete(1))
        toolkit.wait(lambda: "complete" in toolkit.words)
    assert [word for word in toolkit.words if word != "running"] == [1, "complete"]


# Restarts of the relay


def test_relay_that_is_restarted_goes_on_where_it_was(api, toolkit, start):
    first = start()
    first.process(**toolkit.webhooks)
    api.says(running(), result(1))
    toolkit.wait(lambda: len(toolkit.taken) == 2)
    first.stop()
    assert first.kept() == [f"{JOB}.json"]
    api.says(result(2), complete(2))
    second = start()
    toolkit.wait(lambda: "complete" in toolkit.words)
    second.wait_until_forgotten()
    assert toolkit.words == ["running", 1, 2, "complete"]


def test_relay_that_stopped_before_the_last_acknowledgement_says_nothing_twice(api, toolkit, start):
    first = start(beat_s=0)
    api.says(result(1), complete(1))
    whole = json.dumps({"messages": api.jobs[JOB], "done": True}).encode()
    api.planned["messages"] = [Reply(200, whole), *[Reply(503)] * 10_000]
    first.process(**toolkit.webhooks)
    toolkit.wait(lambda: "complete" in toolkit.words)
    api.wait(lambda: len(api.called("/messages")) > 2)
    first.stop()
    assert JOB not in api.acknowledged
    api.planned.clear()
    api.calls.clear()
    second = start()
    api.wait(lambda: api.acknowledged.get(JOB) == 2)
    assert api.calls[0].query == {"wait": "0", "after": "2"}
    second.wait_until_forgotten()
    assert toolkit.words[-2:] == [1, "complete"]
    assert set(toolkit.words[:-2]) <= {"running"}


def test_long_poll_does_not_keep_a_relay_from_ending(api, toolkit, start):
    relay = start(wait_s=60, end_s=20)
    relay.process(**toolkit.webhooks)
    api.wait(lambda: api.called("/messages"))
    (collector,) = relay.server.relay._collectors.values()
    relay.stop()
    assert not collector._thread.is_alive()
    assert toolkit.taken == []


def test_relay_goes_on_without_a_place_to_keep_its_state(api, toolkit, start, tmp_path):
    (tmp_path / "state").write_text("a file where the folder should be")
    relay = start()
    relay.process(**toolkit.webhooks)
    api.says(result(1), complete(1))
    toolkit.wait(lambda: "complete" in toolkit.words)
    assert toolkit.words == [1, "complete"]
    relay.stop()


# Discretion


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
    api.says(running(), ("result", {"index": 1, "output": "canary-output"}), complete(1))
    toolkit.wait(lambda: "complete" in toolkit.words)
    relay.wait_until_forgotten()
    start(url="http://127.0.0.1:1/canary").send("GET", "/ready")
    said = caplog.text + "".join(capfd.readouterr())
    assert f"job {JOB}: accepted" in said
    assert "the result webhook answered 500" in said
    assert "canary" not in said
    assert SECRET not in said
