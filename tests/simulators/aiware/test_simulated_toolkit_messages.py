"""What is against the protocol in a heartbeat or a result is noted, and what is not is not."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from toolkit_engine import Engine, failed, heartbeat, post, post_text, result

from local.listener import Reply
from local.simulators.aiware import Task, Toolkit, decoding
from local.simulators.aiware.decoding import Undecodable

pytestmark = pytest.mark.thorough


@pytest.fixture
def violations(toolkit: Toolkit) -> Callable[[], list[str]]:
    return lambda: [violation.removeprefix("task 1: ") for violation in toolkit.violations]


Violations = Callable[[], list[str]]


class TestHeartbeats:
    @pytest.mark.parametrize("wrong", [None, "", "RUNNING", "done", "queued"])
    def test_its_status_is_one_of_three(self, task: Task, violations: Violations, wrong: str | None) -> None:
        assert heartbeat(task, status=wrong) == 400  # type: ignore[arg-type]
        assert violations() == [f"a heartbeat with the status {wrong!r}"]
        assert (task.state, task.heartbeats) == ("ACKED", [])
        assert [(message.status, message.body) for message in task.refused] == [(400, {})]

    @pytest.mark.parametrize("wrong", [1.5, 1.0, "1", True, [1], 2**63])
    def test_its_counters_are_whole_numbers(self, task: Task, violations: Violations, wrong: object) -> None:
        assert heartbeat(task, messagesWritten=wrong) == 400
        (violation,) = violations()
        assert violation.startswith(f"a heartbeat that no toolkit reads: cannot unmarshal {json.dumps(wrong)} into")

    @pytest.mark.parametrize("counter", ["bytesRead", "bytesWritten"])
    @pytest.mark.parametrize(("then", "fell_to"), [(9, 9), (None, 0)])
    def test_its_counters_never_fall(
        self, task: Task, violations: Violations, counter: str, then: int | None, fell_to: int
    ) -> None:
        heartbeat(task)
        heartbeat(task, **{counter: then})
        assert violations() == [f"{counter} fell from 10 to {fell_to}"]

    def test_a_failure_has_a_reason(self, task: Task, violations: Violations) -> None:
        failed(task, failureReason=None)
        assert violations() == ["a heartbeat reports failed without a failureReason"]

    @pytest.mark.parametrize("reason", ["chunk_timeout", "not_found", "INTERNAL_ERROR"])
    def test_the_reason_is_one_that_the_platform_knows(self, task: Task, violations: Violations, reason: str) -> None:
        failed(task, reason)
        assert violations() == [f"a heartbeat has the unknown failureReason {reason!r}"]

    def test_only_a_failure_has_a_reason(self, task: Task, violations: Violations) -> None:
        heartbeat(task, failureReason="other")
        assert violations() == ["a heartbeat reports running and a failureReason"]

    @pytest.mark.parametrize("name", ["infoMs", "infoMsg"])
    def test_it_has_the_information_under_both_names(self, task: Task, violations: Violations, name: str) -> None:
        heartbeat(task, **{name: None})
        heartbeat(task, **{name: "something else"})
        assert violations() == [f"a heartbeat has no {name}", "infoMs and infoMsg of a heartbeat differ"]

    def test_keys_are_read_in_any_case_and_noted(self, task: Task, violations: Violations) -> None:
        assert heartbeat(task, **{"bytesRead": None, "BytesREAD": 7}) == 204
        assert task.heartbeats[0].body["bytesRead"] == 7
        assert violations() == ["BytesREAD in a heartbeat is in the wrong case"]


class TestMessagesWritten:
    def test_complete_counts_every_result(self, task: Task, violations: Violations) -> None:
        result(task, 1)
        result(task, 2)
        heartbeat(task, "complete", messagesWritten=1)
        assert violations() == ["messagesWritten of a heartbeat (complete) is 1, with 2 results accepted"]

    @pytest.mark.parametrize("post", [heartbeat, failed])
    def test_there_are_never_more_than_were_accepted(
        self, task: Task, violations: Violations, post: Callable[..., int]
    ) -> None:
        result(task, 1)
        post(task, messagesWritten=2)
        assert len(violations()) == 1
        assert "is 2, with 1 results accepted" in violations()[0]

    def test_a_running_beat_may_be_a_result_behind_but_not_for_long(self, task: Task, violations: Violations) -> None:
        result(task, 1)
        heartbeat(task, messagesWritten=0)
        heartbeat(task, messagesWritten=0)
        assert violations() == []
        heartbeat(task, messagesWritten=0)
        assert violations() == ["messagesWritten of a heartbeat (running) is 0, with 1 results accepted"]

    def test_a_result_whose_answer_was_lost_may_count_or_not(self, toolkit: Toolkit, task: Task) -> None:
        toolkit.faults.plan("result_reset", times=2)
        result(task, 1)
        heartbeat(task, messagesWritten=0)
        heartbeat(task, messagesWritten=1)
        result(task, 1)
        heartbeat(task, messagesWritten=1)
        assert result(task, 1) == 204
        heartbeat(task, "complete", messagesWritten=1)
        assert toolkit.violations == []
        assert [message.repeat for message in task.results_by_index[1]] == [False, True, True]
        assert (task.accepted, task.state) == (1, "COMPLETE")


class TestResults:
    def test_it_has_an_output(self, task: Task, violations: Violations) -> None:
        assert result(task, output=None) == 400
        assert violations() == ["a result without output"]

    @pytest.mark.parametrize(
        ("output", "problem"),
        [
            ({}, "a result: the AION is empty: not even an empty series or object"),
            (
                {"series": [{"startTimeMs": 5, "stopTimeMs": 1}]},
                "a result: the AION is wrong: series[0]: stops at 1 ms, before it starts at 5 ms",
            ),
        ],
    )
    def test_its_output_is_aion(self, task: Task, violations: Violations, output: object, problem: str) -> None:
        assert result(task, output=output) == 204
        assert violations() == [problem]

    def test_metadata_may_have_what_is_confidential(self, task: Task, violations: Violations) -> None:
        assert task.fields["cacheURI"] in task.fields["chunk-metadata-main-message"]
        result(task, 1)
        assert violations() == []
        result(task, 2, output={"series": [], "vendor": {"of": task.fields["cacheURI"]}})
        assert violations() == ["a result repeats cacheURI of the form"]

    @pytest.mark.parametrize("wrong", [None, "", "other.in"])
    def test_it_echoes_the_context(self, task: Task, violations: Violations, wrong: str | None) -> None:
        result(task, chunkContext=wrong)
        assert violations() == ["a result does not echo chunkContext"]

    @pytest.mark.parametrize("wrong", [None, "", "video/mpeg"])
    def test_it_carries_the_metadata(self, task: Task, violations: Violations, wrong: str | None) -> None:
        result(task, **{"chunk-metadata-mimetype": wrong})
        assert violations() == ["a result does not carry chunk-metadata-mimetype"]

    def test_it_may_have_more_metadata_of_texts(self, task: Task, violations: Violations) -> None:
        result(task, 1, **{"chunk-metadata-model": "faces"})
        result(task, 2, **{"chunk-metadata-model": 1})
        assert violations() == ["chunk-metadata-model of a result is not a string"]

    @pytest.mark.parametrize(("start_ms", "end_ms"), [(2000, 1000), (-5, 1000)])
    def test_its_times_make_sense(self, task: Task, violations: Violations, start_ms: int, end_ms: int) -> None:
        result(task, startOffsetMs=start_ms, endOffsetMs=end_ms)
        assert violations() == [f"a result is of {start_ms} to {end_ms} ms"]

    def test_its_times_are_whole_and_spelt_as_documented(self, task: Task, violations: Violations) -> None:
        assert result(task, startOffsetMs=0.5) == 400
        assert result(task, **{"startOffsetMs": None, "startOffsetMS": 5}) == 204
        assert violations()[1:] == ["startOffsetMS in a result is in the wrong case"]

    def test_one_index_is_one_result(self, task: Task, violations: Violations) -> None:
        result(task, 1)
        result(task, 1)
        assert violations() == ["a second result has the index 1"]
        assert len(task.results_by_index[1]) == 2

    def test_a_result_can_be_files(self, task: Task, violations: Violations) -> None:
        carried = {name: value for name, value in task.fields.items() if name.startswith("chunk-metadata-")}
        lines = []
        for name, value in {"chunkContext": task.fields["chunkContext"], **carried}.items():
            lines += ["--b", f'Content-Disposition: form-data; name="{name}"', "", value]
        lines += [
            "--b",
            'Content-Disposition: form-data; name="picture"; filename="a.jpg"',
            "",
            "\xff\xd8",
            "--b--",
            "",
        ]
        form = "\r\n".join(lines).encode("latin-1")
        assert post_text(task.fields["resultWebhook"], form, "multipart/form-data; boundary=b") == 204
        assert violations() == []
        assert task.results[0].files == {"picture": b"\xff\xd8"}
        assert post_text(task.fields["resultWebhook"], b"", "multipart/form-data") == 400
        assert violations() == ["a multipart result without parts"]


class TestOrder:
    @pytest.mark.parametrize("end", ["complete", "failed"])
    @pytest.mark.parametrize("message", ["running", "complete", "failed", "result"])
    def test_nothing_comes_after_the_end(self, task: Task, violations: Violations, end: str, message: str) -> None:
        result(task)
        assert (heartbeat(task, end) if end == "complete" else failed(task)) == 204
        assert violations() == []
        late = {
            "running": lambda: heartbeat(task),
            "complete": lambda: heartbeat(task, "complete", bytesRead=11),
            "failed": lambda: failed(task, bytesRead=11),
            "result": lambda: result(task, 2),
        }
        assert late[message]() == 204
        message_name = "a result" if message == "result" else f"a heartbeat ({message})"
        assert violations() == [f"{message_name} after the end ({end})"]
        assert task.state == end.upper()

    def test_complete_comes_after_a_result(self, task: Task, violations: Violations) -> None:
        heartbeat(task, "complete")
        assert violations() == ["complete was reported without a result"]

    def test_what_a_fault_refuses_is_late_all_the_same(self, toolkit: Toolkit, task: Task) -> None:
        failed(task)
        toolkit.faults.add("result_500")
        assert result(task) == 500
        assert toolkit.violations == ["task 1: a result after the end (failed)"]

    def test_an_engine_that_refused_the_work_has_nothing_to_report_but_its_failure(self, toolkit: Toolkit) -> None:
        with Engine(Reply(400, b"no", "text/plain")) as engine:
            task = toolkit.process(engine.url)
        assert failed(task) == 204
        assert toolkit.violations == []
        result(task)
        assert toolkit.violations == ["task 1: a result after the end (failed)"]


class TestForm:
    @pytest.mark.parametrize("name", ["token", "cacheURI", "heartbeatWebhook", "payload"])
    def test_a_message_repeats_nothing_confidential(self, task: Task, violations: Violations, name: str) -> None:
        failed(task, failureMsg=f"could not use {task.fields[name]}")
        assert f"a heartbeat repeats {name} of the form" in violations()

    @pytest.mark.parametrize(
        "text", ["", "{", '{"status": NaN}', '{"status": "running", "bytesRead": Infinity}', "\ufeff{}", "[]", "null"]
    )
    def test_it_is_json_that_go_reads(self, task: Task, violations: Violations, text: str) -> None:
        assert post_text(task.fields["heartbeatWebhook"], text.encode()) == 400
        (violation,) = violations()
        assert violation.startswith("a heartbeat that no toolkit reads: ")

    def test_it_says_that_it_is_json(self, task: Task, violations: Violations) -> None:
        assert post_text(task.fields["heartbeatWebhook"], "{}", "text/plain") == 415
        assert violations() == ["a heartbeat as text/plain, not application/json"]

    def test_it_is_posted(self, task: Task, toolkit: Toolkit) -> None:
        assert post_text(task.fields["heartbeatWebhook"], "{}", method="PUT") == 405
        assert toolkit.violations == ["task 1: PUT of its heartbeat webhook"]

    @pytest.mark.parametrize("path", ["/heartbeat/task9", "/other/task1", "/"])
    def test_there_are_no_other_webhooks(self, toolkit: Toolkit, task: Task, path: str) -> None:
        assert post(toolkit.origin + path, {}) == 404
        assert toolkit.violations == [f"POST {path}: there is no such webhook"]


class TestDecoding:
    def test_null_is_as_if_the_key_were_not_there(self) -> None:
        assert decoding.struct(b'{"a": null}', {"a": int}).values == {}

    def test_the_ends_of_int64_fit_and_no_more(self) -> None:
        ends = decoding.struct(b'{"a": 9223372036854775807, "b": -9223372036854775808}', {"a": int, "b": int})
        assert ends.values == {"a": 2**63 - 1, "b": -(2**63)}
        for beyond in (b'{"a": 9223372036854775808}', b'{"a": -9223372036854775809}', b'{"a": 1e3}', b'{"a": 1.0}'):
            with pytest.raises(Undecodable, match="of type int64"):
                decoding.struct(beyond, {"a": int})

    def test_nesting_without_end_is_refused(self) -> None:
        with pytest.raises(Undecodable, match="max depth"):
            decoding.document(b"[" * 200_000)

    def test_the_last_of_two_keys_counts(self) -> None:
        assert decoding.struct(b'{"a": 1, "A": 2}', {"a": int}).values == {"a": 2}
