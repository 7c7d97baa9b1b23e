"""A chunk that the platform gives to another instance of the toolkit, with webhooks of its own."""

from __future__ import annotations


def test_a_job_under_way_reports_to_the_newest_webhooks(engine):
    engine.media.faults.plan("drip")  # the first instance goes while the media are being read
    first = engine.process().wait(20, until=lambda task: bool(task.heartbeats))
    second = engine.toolkit.requeue(first)
    assert second.job == first.job
    second.wait(20, until=lambda task: bool(task.heartbeats))
    assert first.state == "REQUEUED"
    assert len(engine.executions(first)) == 1


def test_a_job_that_is_over_is_done_again_for_another_instance(engine):
    first = engine.process().wait(40)
    assert first.state == "COMPLETE"
    second = engine.toolkit.requeue(first).wait(40)
    assert second.state == "COMPLETE"
    assert second.job != first.job
    assert engine.ended(first) == ["SUCCEEDED", "SUCCEEDED"]


def test_an_engine_whose_table_lost_a_job_that_had_ended_makes_a_new_one(engine):
    first = engine.process().wait(40)
    assert engine.ended(first) == ["SUCCEEDED"]
    engine.forget(first)
    second = engine.toolkit.requeue(first).wait(40)
    assert (second.state, second.job) == ("COMPLETE", first.job[:-1] + "2")
