"""The outbox: messages are written once, and collected in order."""

from __future__ import annotations

import json

import pytest
from job_setup import changed, settings, soon

from annohooks.aiware.failures import Failure
from annohooks.aiware.jobs import record
from annohooks.aiware.jobs.messages import Body
from annohooks.aiware.jobs.outbox import Collector, Outbox, Query
from annohooks.core.deadline import now_ms
from annohooks.core.errors import BadRequest, NotFound, Unavailable
from annohooks.core.staging import Staging

FORM = "multipart/form-data; boundary=b"


@pytest.fixture
def outbox(jobs):
    return Outbox(jobs, Staging("staging"))


@pytest.fixture
def put_message(jobs, accept, outbox):
    """put_message(content, content_type): writes a result to the outbox of one job. Returns the record."""
    job_id = accept().id

    def put_message(content: bytes, content_type: str = "application/json"):
        job = jobs.take_posting(jobs.read(job_id), "me", now_ms() + 60_000)
        return outbox.deliver(job, "result", Body(content, content_type), record.result_delivered(job, 1), soon())

    return put_message


@pytest.mark.parametrize(("content_type", "max_bytes"), [("application/json", 5_200_000), (FORM, 4_400_000)])
def test_a_body_that_lambda_could_not_answer_with_is_refused(jobs, accept, put_message, content_type, max_bytes):
    with pytest.raises(Failure, match=r"too large.*segmentMs") as failed:
        put_message(bytes(max_bytes + 1), content_type)
    assert failed.value.reason == "other"
    assert put_message(bytes(max_bytes), content_type).results_posted == 1
    assert len(jobs.messages(accept().id, 0, 10)) == 1


def test_a_message_that_another_one_overtakes_is_written_behind_it(jobs, accept, outbox, put_message):
    stale = jobs.take_heartbeat(accept().id, "me", now_ms() + 60_000)
    put_message(b'"first"')
    outbox.deliver(stale, "heartbeat", Body(b'"second"'), record.heartbeat_delivered(stale), soon())
    assert [(message.sequence, message.body) for message in jobs.messages(stale.id, 0, 10)] == [
        (1, '"first"'),
        (2, '"second"'),
    ]


def test_a_message_whose_sender_lost_the_right_to_post_is_not_put_in_the_outbox(jobs, accept, outbox):
    mine = jobs.take_heartbeat(accept().id, "me", now_ms() - 1)
    jobs.take_heartbeat(mine.id, "another", now_ms() + 60_000)
    assert outbox.deliver(mine, "heartbeat", Body(b"{}"), record.heartbeat_delivered(mine), soon()) is None
    assert jobs.messages(mine.id, 0, 10) == []


def test_a_message_that_others_always_overtake_is_given_up(jobs, accept, outbox, monkeypatch, pauses):
    job = accept()

    def overtaken(job, *_):
        changed(job, last_message=job.last_message + 1)
        return False

    monkeypatch.setattr(jobs, "put_message", overtaken)
    with pytest.raises(Unavailable, match="Too many messages"):
        outbox.deliver(job, "heartbeat", Body(b"{}"), record.heartbeat_delivered(job), soon())
    assert len(pauses) == 20


def test_messages_are_collected_in_order_and_done_after_the_final_heartbeat(jobs, accept, put_message):
    job, collector = accept(), Collector(settings())
    put_message(b'{"index": 1}')
    put_message(b"\xff\xd8", FORM)
    first, second = collector.collect(job.id, Query()).messages
    assert (first.sequence, first.webhook, json.loads(bytes(first.body))) == (1, "result", {"index": 1})
    assert (second.base64, second.content_type) == ("/9g=", FORM)
    assert collector.collect(job.id, Query(after=1)).messages == [second]
    assert collector.collect(job.id, Query()).messages == [second]  # behind the message that was named before
    assert not collector.collect(job.id, Query(after=2)).done
    changed(job, stage="complete")
    assert collector.collect(job.id, Query(after=2)).done


def test_a_batch_ends_before_it_is_too_large(accept, put_message):
    for _ in range(3):
        put_message(bytes(2_000_000), FORM)
    assert len(Collector(settings()).collect(accept().id, Query()).messages) == 1


def test_the_relay_waits_for_a_message_as_long_as_it_asks(accept, pauses):
    assert Collector(settings()).collect(accept().id, Query(wait=2)).messages == []
    assert len(pauses) > 1
    assert sum(pauses) <= 2


def test_what_the_relay_cannot_ask_is_refused(accept):
    collector = Collector(settings())
    with pytest.raises(BadRequest, match="`after` is 1; the last message is 0"):
        collector.collect(accept().id, Query(after=1))
    with pytest.raises(NotFound):
        collector.collect("../staging", Query())
    with pytest.raises(BadRequest, match=r"query cannot be used.*wait"):
        Query.parse({"wait": "21"})
    assert Query.parse({"after": "3", "wait": "1.5"}) == Query(3, 1.5)
