"""The record of a job: its stages, and the job of a chunk that comes again."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import pytest
from botocore.exceptions import ClientError
from job_setup import WEBHOOKS, changed

from annohooks.aiware.failures import failure
from annohooks.aiware.jobs import record
from annohooks.aiware.jobs.record import OVER, Job, Jobs, Stage, WebhookUrls
from annohooks.core import dynamodb, retry
from annohooks.core.deadline import now_ms
from annohooks.core.errors import NotFound, Unavailable

OTHERS = WebhookUrls("http://localhost:2/heartbeat", "http://localhost:2/result")

VERBS = {
    "begin": lambda jobs, job: jobs.begin(job.id),
    "plan": lambda jobs, job: jobs.plan(job.id, 3, 1000),
    "keep_heartbeat_token": lambda jobs, job: jobs.keep_heartbeat_token(job.id, "token"),
    "keep_limit_token": lambda jobs, job: jobs.keep_limit_token(job.id, "token"),
    "take_heartbeat": lambda jobs, job: jobs.take_heartbeat(job.id, "me", now_ms() + 60_000),
    "release_heartbeat": lambda jobs, job: jobs.release_heartbeat(job.id, "me"),
    "add_result": lambda jobs, job: jobs.add_result(job.id, 0),
    "take_posting": lambda jobs, job: jobs.take_posting(job, "me", now_ms() + 60_000),
    "release_posting": lambda jobs, job: jobs.release_posting(job.id, "me"),
    "finish": lambda jobs, job: jobs.finish(job.id),
    "note_failure": lambda jobs, job: jobs.note_failure(job.id, failure("other", "why")),
    "start_completing": lambda jobs, job: jobs.start_completing(job.id),
    "start_failing": lambda jobs, job: jobs.start_failing(job.id),
    "take_final_heartbeat": lambda jobs, job: jobs.take_final_heartbeat(job.id, "me", now_ms() + 60_000),
    "give_up": lambda jobs, job: jobs.give_up(job.id),
    "relay_came": lambda jobs, job: jobs.relay_came(job.id, 0),
}


def drawn() -> dict[str, dict[Stage, str]]:
    """The table at the top of the module: what each verb does in each stage."""
    lines = iter((record.__doc__ or "").splitlines())
    heading = next(line.split() for line in lines if line.strip().startswith("verb "))[1:]
    next(lines)
    effects = {}
    for verb, *cells in map(str.split, itertools.takewhile(str.strip, lines)):
        by_stage = dict(zip(heading, cells, strict=True))
        over = by_stage.pop("over")
        effects[verb] = by_stage | dict.fromkeys(OVER, over)
    return effects


def test_the_drawn_table_has_every_verb_and_every_stage():
    returns = {name: getattr(verb, "__annotations__", {}).get("return") for name, verb in vars(Jobs).items()}
    public = {name for name, kind in returns.items() if kind == "Job | None" and not name.startswith("_")}
    assert set(drawn()) == set(VERBS) == public - {"newest", "record_delivery"}
    assert all(set(effects) == set(get_args(Stage)) for effects in drawn().values())


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_does_what_the_drawn_table_says(jobs, accept, verb):
    job = accept()
    for stage, effect in drawn()[verb].items():
        changed(job, stage=stage, heartbeat_owner="me", posting_owner="me", failure_reason="")
        after = VERBS[verb](jobs, job)
        assert (after and after.stage) == {"=": stage, "-": None}.get(effect, effect), stage
        assert jobs.read(job.id).stage == (after.stage if after else stage)


@pytest.mark.parametrize(("stage", "over"), [("completing", "complete"), ("failing", "failed")])
def test_a_delivered_final_heartbeat_ends_the_job_once_and_only_for_its_owner(jobs, accept, stage, over):
    job = accept()
    changed(job, stage=stage)
    mine = jobs.take_final_heartbeat(job.id, "me", now_ms() - 1)
    theirs = jobs.take_final_heartbeat(job.id, "they", now_ms() + 60_000)
    assert jobs.record_delivery(mine.id, record.final_heartbeat_delivered(mine)) is None
    assert jobs.record_delivery(mine.id, record.final_heartbeat_delivered(theirs)).stage == over
    assert jobs.record_delivery(mine.id, record.final_heartbeat_delivered(theirs)) is None


def test_a_change_that_meets_a_transaction_is_made_a_moment_later(jobs, accept, failing_once):
    job = accept()
    outcomes = failing_once("update_item", {"Error": {"Code": "TransactionConflictException"}})
    assert jobs.begin(job.id).stage == "running"
    assert outcomes == ["failed", "done"]


def test_a_write_that_fails_for_another_reason_is_not_tried_again(jobs, accept, monkeypatch):
    job, calls = accept(), []

    def denied(**_: Any) -> None:
        calls.append(1)
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "UpdateItem")

    monkeypatch.setattr(dynamodb.client(), "update_item", denied)
    with pytest.raises(Unavailable):
        jobs.begin(job.id)
    assert calls == [1]


def test_a_job_that_is_not_there_is_told(jobs):
    with pytest.raises(NotFound):
        jobs.read("unknown")


# ---- a chunk that comes again


@pytest.mark.parametrize("webhooks", [WEBHOOKS, OTHERS], ids=["same", "others"])
def test_the_time_of_a_job_that_never_began_starts_again(accept, webhooks):
    job = accept()
    moments = ("accepted_ms", "limit_ms", "heard_ms", "expires")
    changed(job, **{name: getattr(job, name) - 500 for name in moments})
    again = accept(webhooks)
    assert (again.id, again.stage, again.webhooks) == (job.id, "accepted", webhooks)
    assert all(getattr(again, name) >= getattr(job, name) for name in moments)


def test_a_job_that_began_keeps_its_time(jobs, accept):
    job = accept()
    jobs.begin(job.id)
    changed(job, limit_ms=job.limit_ms - 500_000)
    again = accept(OTHERS)
    assert (again.id, again.stage, again.webhooks) == (job.id, "running", OTHERS)
    assert again.limit_ms == job.limit_ms - 500_000
    assert accept(OTHERS) == again


def test_a_job_that_begins_while_the_chunk_comes_again_is_no_second_job(jobs, accept, monkeypatch):
    job, read = accept(), jobs.read

    def read_just_before_the_work_begins(job_id: str) -> Job:
        record = read(job_id)
        jobs.begin(job_id)
        return record

    monkeypatch.setattr(jobs, "read", read_just_before_the_work_begins)
    again = accept(OTHERS)
    assert (again.id, again.stage, again.webhooks) == (job.id, "running", OTHERS)


@pytest.mark.parametrize(("stage", "over"), [("completing", "complete"), ("failing", "failed")])
def test_a_chunk_that_comes_while_the_final_heartbeat_is_delivered_to_others_is_the_next_attempt(
    jobs, accept, identity, monkeypatch, stage, over
):
    job, pauses = accept(), []
    changed(job, stage=stage)

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            changed(job, stage=over)

    monkeypatch.setattr(retry, "sleep", pause)
    again = accept(OTHERS)
    assert len(pauses) == 3
    assert (again.id, again.stage, again.webhooks) == (f"{identity}-2", "accepted", OTHERS)
    assert jobs.read(job.id).webhooks == WEBHOOKS
    assert jobs.newest(identity) == again


def test_a_final_heartbeat_that_is_never_delivered_does_not_hold_a_chunk_up_for_ever(accept, identity, pauses):
    job = accept()
    changed(job, stage="completing")
    with pytest.raises(Unavailable, match="just ending"):
        accept(OTHERS)
    assert 0 < sum(pauses) < 15
    changed(job, limit_ms=0)  # nobody can be delivering it any more
    assert accept(OTHERS).id == f"{identity}-2"


def test_a_chunk_is_tried_20_times(accept):
    for _ in range(20):
        changed(accept(OTHERS), stage="lost")
    with pytest.raises(Unavailable, match="tried too often"):
        accept()


@pytest.mark.parametrize(("limit_s", "reserved_s"), [(5, 2), (10, 2), (60, 12), (300, 15), (43_200, 15)])
def test_time_is_reserved_for_the_final_heartbeat(accept, limit_s, reserved_s):
    job: Job = accept(limit_s=limit_s)
    assert job.limit_ms - job.work_until_ms == reserved_s * 1000
