"""A chunk that is queued again is one job, whose messages go to the newest webhooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from stand_ins import JOB, Toolkit, complete, result, running


@pytest.fixture
def first() -> Iterator[Toolkit]:
    """The toolkit that has the chunk before it is queued again; `toolkit` has it afterwards."""
    with Toolkit() as listener:
        yield listener


def after_each(collector: object, method: str, action: Callable[[], object]) -> None:
    """Calls `action` after each call of a method of the collector."""
    original = getattr(collector, method)

    def call(*arguments: object) -> object:
        answer = original(*arguments)
        action()
        return answer

    setattr(collector, method, call)


def test_job_continues_at_the_newest_webhooks(api, toolkit, start):
    relay = start()
    with Toolkit() as first:
        relay.begin(first)
        api.publish(running(), result(1))
        api.wait(lambda: api.acknowledged.get(JOB) == 2)
    api.publish(result(2))  # the first toolkit is gone
    relay.begin(toolkit)
    api.publish(result(3), complete(3))
    relay.finish(toolkit)
    assert first.summary == ["running", 1]
    assert toolkit.summary_without_running == [2, 3, "complete"]


def test_new_webhooks_get_the_last_heartbeat_although_annohooks_has_nothing_new(api, toolkit, start, first):
    first.planned["heartbeat"] = [204]
    first.always["heartbeat"] = 500
    relay = start().begin(first)
    api.publish(running(0))
    first.wait(lambda: len(first.accepted) == 1)
    relay.begin(toolkit)
    toolkit.wait(lambda: toolkit.accepted == [running(0)[1]])


@pytest.mark.parametrize(
    ("messages", "end"), [([result(1), complete(1)], "failed"), ([complete(0)], "complete")], ids=["failed", "complete"]
)
def test_end_that_an_older_toolkit_accepted_is_reported_to_the_newest(api, toolkit, start, first, messages, end):
    first.always["result"] = 413
    relay = start().begin(first)
    requeue = lambda: relay.begin(toolkit) if end in first.summary and not toolkit.accepted else None  # noqa: E731
    after_each(relay.collector(), "_post", requeue)
    api.publish(*messages)
    first.wait_for(end)
    toolkit.wait_for("complete")
    assert first.summary == [end]
    assert toolkit.summary_without_running == [*range(1, len(messages)), "complete"]


def test_job_that_failed_at_an_older_toolkit_is_whole_at_the_newest(api, toolkit, start, first):
    first.always["result"] = 413
    relay = start().begin(first)
    collector = relay.collector()
    poll = collector._poll

    def requeue_before_the_last_poll(wait_s):
        if "failed" in first.summary and not toolkit.accepted:
            relay.begin(toolkit)
        return poll(wait_s)

    collector._poll = requeue_before_the_last_poll
    api.publish(result(1), complete(1))
    toolkit.wait_for("complete")
    assert toolkit.summary_without_running == [1, "complete"]


def test_refusals_of_an_older_toolkit_do_not_count_for_the_newest(api, toolkit, start, first):
    first.always["result"] = 400
    toolkit.planned["result"] = [400, 400]
    relay = start().begin(first)
    after_each(relay.collector(), "_attempt", lambda: relay.begin(toolkit) if len(first.refused) == 2 else None)
    api.publish(result(1), complete(1))
    toolkit.wait_for("complete")
    assert toolkit.summary_without_running == [1, "complete"]
