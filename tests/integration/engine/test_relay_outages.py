"""Outages of annohooks and restarts of the relay lose, repeat and reorder no message."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stand_ins import JOB, Api, Toolkit, acknowledged, complete, result, running

from local.listener import Reply


def page(**message: object) -> Reply:
    return Reply(200, json.dumps({"messages": [message], "done": False}).encode())


FAILURES = {
    "500": Reply(500, b"broken"),
    "403": Reply(403, b'{"message": "Forbidden"}'),
    "429": Reply(429, b"slower"),
    "301": Reply(301, headers={"Location": "/other"}),
    "hangs up": None,
    "no JSON": Reply(200, b"<html>"),
    "no object": Reply(200, b"[]"),
    "cut short": Reply(200, b'{"messages": [', announced_bytes=500),
    "NaN": page(sequence=3, webhook="result", body={"a": float("nan")}),
    "no body": page(sequence=3, webhook="result"),
    "other webhook": page(sequence=3, webhook="ready", body={}),
    "out of order": page(sequence=2, webhook="result", body={}),
    "no base64": page(sequence=3, webhook="result", base64="?", content_type=""),
    "no number": page(sequence=True, webhook="result", body={}),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_failure_of_annohooks_is_waited_out(api, toolkit, start, failure):
    relay = start().begin(toolkit)
    api.publish(running(), result(1))
    toolkit.wait(lambda: toolkit.summary == ["running", 1])
    with api.changed:
        polls = len(api.called("/messages"))
        api.planned["messages"] = [failure] * 3
    api.publish(result(2), complete(2))
    relay.finish(toolkit)
    assert toolkit.summary == ["running", 1, 2, "complete"]
    assert len(api.called("/messages")) >= polls + 3


def test_restart_of_annohooks_is_waited_out(api, toolkit, start):
    relay = start().begin(toolkit)
    api.publish(running(), result(1))
    toolkit.wait(lambda: len(toolkit.accepted) == 2)
    api.stop()
    with Api(api.server_port) as again:
        again.jobs = api.jobs
        again.publish(result(2), complete(2))
        relay.finish(toolkit)
    assert toolkit.summary == ["running", 1, 2, "complete"]


@pytest.mark.parametrize("status", [404, 410])
def test_job_that_annohooks_no_longer_knows_fails_at_once(api, toolkit, start, status):
    relay = start().begin(toolkit)
    with api.changed:
        api.planned["messages"] = [Reply(status, b"No such job.")] * 2
    api.publish(running(7))
    relay.finish(toolkit, "failed")
    assert (toolkit.summary[-1], toolkit.summary.count("failed")) == ("failed", 1)
    assert toolkit.accepted[-1]["failureReason"] == "external_error"


def test_job_that_does_not_end_in_time_fails(api, toolkit, start):
    api.process = acknowledged(estimate_s=2)
    relay = start(late_s=-2)
    relay.process(maxTTL="1", **toolkit.webhooks)
    relay.finish(toolkit, "failed")
    assert toolkit.summary == ["failed"]
    assert toolkit.accepted[0]["failureReason"] == "external_error"


# Restarts of the relay


def test_relay_that_is_restarted_continues(api, toolkit, start):
    first = start().begin(toolkit)
    api.publish(running(), result(1))
    toolkit.wait(lambda: len(toolkit.accepted) == 2)
    first.stop()
    assert first.state_files() == [f"{JOB}.json"]
    api.publish(result(2), complete(2))
    start().finish(toolkit)
    assert toolkit.summary == ["running", 1, 2, "complete"]


def test_relay_that_stopped_before_the_last_acknowledgement_posts_nothing_twice(api, toolkit, start):
    first = start(beat_s=0)
    api.publish(result(1), complete(1))
    whole = json.dumps({"messages": api.jobs[JOB], "done": True}).encode()
    api.planned["messages"] = [Reply(200, whole), *[Reply(503)] * 10_000]
    first.begin(toolkit)
    toolkit.wait_for("complete")
    api.wait_for_polls(3)
    first.stop()
    assert JOB not in api.acknowledged
    api.planned.clear()
    api.calls.clear()
    second = start()
    api.wait(lambda: api.acknowledged.get(JOB) == 2)
    assert api.calls[0].query == {"wait": "0", "after": "2"}
    second.wait_until_forgotten()
    assert toolkit.summary[-2:] == [1, "complete"]
    assert set(toolkit.summary[:-2]) <= {"running"}


def test_long_poll_does_not_keep_a_relay_from_stopping(api, toolkit, start):
    relay = start(wait_s=60, end_s=20).begin(toolkit)
    api.wait_for_polls(1)
    collector = relay.collector()
    relay.stop()
    assert not collector._thread.is_alive()
    assert toolkit.accepted == []


def test_relay_works_without_a_folder_for_its_state(api, toolkit, start, tmp_path):
    (tmp_path / "state").write_text("a file where the folder should be")
    relay = start().begin(toolkit)
    api.publish(result(1), complete(1))
    toolkit.wait_for("complete")
    assert toolkit.summary == [1, "complete"]
    relay.stop()


statuses = st.lists(st.sampled_from([0, 500, 503, 429]), max_size=4)
outages = st.lists(st.sampled_from([None, Reply(503), Reply(200, b"<html>"), Reply(500)]), max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.lists(st.booleans(), max_size=8),
    heartbeat=statuses,
    result_statuses=statuses,
    outage=outages,
    restarts=st.lists(st.integers(0, 8), max_size=3),
)
def test_any_outages_and_restarts_lose_repeat_and_reorder_no_result(
    start, kinds, heartbeat, result_statuses, outage, restarts
):
    messages, count = [], 0
    for is_result in kinds:
        count += is_result
        messages.append(result(count) if is_result else running(count))
    with Api() as api, Toolkit() as toolkit:
        api.planned["messages"] = list(outage)
        toolkit.planned = {"heartbeat": list(heartbeat), "result": list(result_statuses)}
        relay = start(url=f"{api.origin}/stage").begin(toolkit)
        for number, message in enumerate([*messages, complete(count)]):
            api.publish(message)
            if number in restarts:
                relay.stop()
                relay = start(url=f"{api.origin}/stage")
        relay.finish(toolkit)
        relay.stop()
        assert toolkit.summary_without_running == [*range(1, count + 1), "complete"]
        assert toolkit.summary[-1] == "complete"
        counts = [body["messagesWritten"] for body in toolkit.accepted if "messagesWritten" in body]
        assert counts == sorted(counts)
        assert api.acknowledged[JOB] == len(messages) + 1
