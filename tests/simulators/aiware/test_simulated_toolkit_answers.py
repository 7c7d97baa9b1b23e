"""The simulated Engine Toolkit takes each answer of process as the real one does."""

from __future__ import annotations

import gzip
import json

import pytest
from toolkit_engine import (
    ACK,
    AION,
    FORBIDDEN,
    Engine,
    Wire,
)

from local.listener import Reply
from local.simulators.aiware import Toolkit

pytestmark = pytest.mark.thorough


class TestAnswers:
    def test_an_empty_200_is_ignored_and_wrong(self, toolkit: Toolkit) -> None:
        with Engine(Reply(200)) as engine:
            assert toolkit.process(engine.url).state == "IGNORED"
        assert toolkit.violations == ["task 1: process was answered with an empty 200, which drops the chunk"]

    def test_an_empty_chunked_200_is_taken_for_a_result(self, toolkit: Toolkit) -> None:
        with Wire(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") as wire:
            assert toolkit.process(f"http://127.0.0.1:{wire.port}/").state == "DONE_SYNC"
        assert "is not JSON" in toolkit.violations[0]

    def test_an_answer_may_be_in_gzip(self, toolkit: Toolkit) -> None:
        packed = Reply(body=gzip.compress(json.dumps(AION).encode()), headers={"Content-Encoding": "gzip"})
        with Engine(packed) as engine:
            assert toolkit.process(engine.url).output == AION
        assert toolkit.violations == []

    def test_an_estimate_acknowledges(self, toolkit: Toolkit) -> None:
        with Engine() as engine:
            task = toolkit.process(engine.url)
        assert (task.state, task.estimate_s, task.job, task.calls) == ("ACKED", 600, "job-1", 1)
        assert toolkit.violations == []

    @pytest.mark.parametrize("status", [202, 400, 401, 403, 413, 500, 503])
    def test_every_other_status_is_an_error_after_three_calls(self, toolkit: Toolkit, status: int) -> None:
        with Engine(Reply(status, b" the reason\n", "text/plain")) as engine:
            task = toolkit.process(engine.url)
        assert (task.state, task.calls, len(engine.received)) == ("ERROR", 3, 3)
        assert (task.failure, task.failure_message) == ("internal_error", f"{status}: the reason")
        success = [f"task 1: process was answered with {status}: only 200 and 204 are success"] * 3
        assert toolkit.violations == (success if status == 202 else [])

    @pytest.mark.parametrize("first", [None, FORBIDDEN, Reply(503), Reply(body=b"{}", announced_bytes=9)])
    def test_a_call_that_fails_is_made_again(self, toolkit: Toolkit, first: Reply | None) -> None:
        with Engine(first, ACK) as engine:
            task = toolkit.process(engine.url)
        assert (task.state, task.calls, task.failure_message) == ("ACKED", 2, "")
        assert toolkit.violations == []

    @pytest.mark.parametrize(
        ("body", "violation"),
        [
            (b"{}", "the AION is empty"),
            (b'{"series": [{"startTimeMs": 1}]}', "the AION is wrong: series[0]: has no stopTimeMs"),
            (b'{"series": [], "vendor": {"a": NaN}}', "is not JSON"),
            (b"\xef\xbb\xbf{}", "is not JSON"),
            (b"<html>", "is not JSON"),
            (b"[]", "JSON that the toolkit cannot read"),
            (b'{"estimatedProcessingTimeInSeconds": 0}', "an estimate of 0 s counts as none"),
            (
                b'{"estimatedProcessingTimeInSeconds": 1.5}',
                "cannot unmarshal 1.5 into estimated",
            ),
            (b'{"estimatedProcessingTimeInSeconds": "60"}', "cannot unmarshal"),
        ],
    )
    def test_what_is_neither_aion_nor_an_estimate_is_stored_and_wrong(
        self, toolkit: Toolkit, body: bytes, violation: str
    ) -> None:
        with Engine(Reply(body=body)) as engine:
            assert toolkit.process(engine.url).state == "DONE_SYNC"
        assert violation in toolkit.violations[0]

    @pytest.mark.parametrize(
        ("body", "violation"),
        [
            (b'{"EstimatedProcessingTimeInSeconds": 9}', "is spelt estimatedProcessingTimeInSeconds"),
            (b'{"estimatedProcessingTimeInSeconds": 9, "job": 1}', "more than the estimate: job"),
        ],
    )
    def test_an_acknowledgement_is_the_estimate_and_nothing_else(
        self, toolkit: Toolkit, body: bytes, violation: str
    ) -> None:
        with Engine(Reply(body=body)) as engine:
            assert toolkit.process(engine.url).estimate_s == 9
        assert violation in toolkit.violations[0]

    def test_without_webhooks_nothing_can_be_promised(self, toolkit: Toolkit) -> None:
        with Engine() as engine:
            toolkit.process(engine.url, webhooks=False)
            assert toolkit.violations == ["task 1: work was acknowledged without a webhook to report to"]
            task = toolkit.process(engine.url, webhooks=False, callback=True)
        assert task.fields["externalCallbackWebhook"] == f"{toolkit.origin}/callback/task2"
        assert len(toolkit.violations) == 1

    def test_an_answer_may_not_repeat_what_is_confidential(self, toolkit: Toolkit) -> None:
        with Engine(Reply(400, b"no access to http://media.invalid/1 with secret-token", "text/plain")) as engine:
            toolkit.process(engine.url, token="secret-token", cacheURI="http://media.invalid/1")
        repeats = "task 1: the answer of process repeats {} of the form"
        assert set(toolkit.violations) == {repeats.format(name) for name in ("token", "cacheURI")}
