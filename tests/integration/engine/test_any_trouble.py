"""Any job, any trouble on either side, and restarts of the relay between: every result arrives, once and in order."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stand_ins import JOB, Api, Toolkit, complete, result, running

from local.listener import Reply

statuses = st.lists(st.sampled_from([0, 500, 503, 429]), max_size=4)
outages = st.lists(st.sampled_from([None, Reply(503), Reply(200, b"<html>"), Reply(500)]), max_size=4)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.lists(st.booleans(), max_size=8),
    heartbeat=statuses,
    result_statuses=statuses,
    outage=outages,
    restarts=st.lists(st.integers(0, 8), max_size=3),
)
def test_no_trouble_loses_or_doubles_or_reorders_anything(start, kinds, heartbeat, result_statuses, outage, restarts):
    said, count = [], 0
    for is_result in kinds:
        count += is_result
        said.append(result(count) if is_result else running(count))
    with Api() as api, Toolkit() as toolkit:
        api.planned["messages"] = list(outage)
        toolkit.planned = {"heartbeat": list(heartbeat), "result": list(result_statuses)}
        relay = start(url=f"{api.origin}/stage")
        relay.process(**toolkit.webhooks)
        for number, message in enumerate([*said, complete(count)]):
            api.says(message)
            if number in restarts:
                relay.stop()
                relay = start(url=f"{api.origin}/stage")
        toolkit.wait(lambda: "complete" in toolkit.words)
        relay.wait_until_forgotten()
        relay.stop()
        assert [word for word in toolkit.words if word != "running"] == [*range(1, count + 1), "complete"]
        assert toolkit.words[-1] == "complete"
        counts = [body["messagesWritten"] for body in toolkit.taken if "messagesWritten" in body]
        assert counts == sorted(counts)
        assert api.acknowledged[JOB] == len(said) + 1
