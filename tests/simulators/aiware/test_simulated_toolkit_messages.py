"""The simulated Engine Toolkit notes each violation of the protocol in a heartbeat or a result."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from toolkit_engine import Engine, failed, heartbeat, metadata, post, post_text, result

from local.listener import Reply
from local.simulators.aiware import Toolkit, decoding
from local.simulators.aiware.decoding import Undecodable

pytestmark = pytest.mark.thorough

Post = Callable[..., int]
Violations = Callable[[], list[str]]

BACKWARDS = {"series": [{"startTimeMs": 5, "stopTimeMs": 1}]}
WRONG_AION = "a result: the AION is wrong: series[0]: stops at 1 ms, before it starts at 5 ms"


@pytest.fixture
def violations(toolkit: Toolkit) -> Violations:
    return lambda: [violation.removeprefix("task 1: ") for violation in toolkit.violations]


@pytest.mark.parametrize(
    ("message", "changes", "violation"),
    [
        (failed, {"failureReason": None}, "a heartbeat reports failed without a failureReason"),
        (failed, {"failureReason": "INTERNAL_ERROR"}, "a heartbeat has the unknown failureReason 'INTERNAL_ERROR'"),
        (heartbeat, {"failureReason": "other"}, "a heartbeat reports running and a failureReason"),
        (heartbeat, {"infoMs": None}, "a heartbeat has no infoMs"),
        (heartbeat, {"infoMsg": None}, "a heartbeat has no infoMsg"),
        (heartbeat, {"infoMsg": "other"}, "infoMs and infoMsg of a heartbeat differ"),
        (heartbeat, {"bytesRead": None, "BytesREAD": 7}, "BytesREAD in a heartbeat is in the wrong case"),
        (heartbeat, {"messagesWritten": 1}, "messagesWritten of a heartbeat (running) is 1, with 0 results accepted"),
        (heartbeat, {"status": "complete"}, "complete was reported without a result"),
        (result, {"output": {}}, "a result: the AION is empty: not even an empty series or object"),
        (result, {"output": BACKWARDS}, WRONG_AION),
        (result, {"chunkContext": None}, "a result does not echo chunkContext"),
        (result, {"chunkContext": "other.in"}, "a result does not echo chunkContext"),
        (result, {"chunk-metadata-mimetype": "video/mpeg"}, "a result does not carry chunk-metadata-mimetype"),
        (result, {"chunk-metadata-model": 1}, "chunk-metadata-model of a result is not a string"),
        (result, {"startOffsetMs": 2000}, "a result is of 2000 to 1000 ms"),
        (result, {"startOffsetMs": -5}, "a result is of -5 to 1000 ms"),
    ],
)
def test_message_is_accepted_and_its_violation_noted(task, violations, message, changes, violation):
    assert message(task, **changes) == 204
    assert violations() == [violation]


@pytest.mark.parametrize(
    ("message", "changes", "violation"),
    [
        (heartbeat, {"status": None}, "a heartbeat with the status None"),
        (heartbeat, {"status": "RUNNING"}, "a heartbeat with the status 'RUNNING'"),
        (heartbeat, {"messagesWritten": 1.0}, "no toolkit reads: cannot unmarshal 1.0 into"),
        (heartbeat, {"messagesWritten": "1"}, 'no toolkit reads: cannot unmarshal "1" into'),
        (heartbeat, {"messagesWritten": True}, "no toolkit reads: cannot unmarshal true into"),
        (result, {"output": None}, "a result without output"),
        (result, {"startOffsetMs": 0.5}, "cannot unmarshal 0.5 into startOffsetMs of type int64"),
    ],
)
def test_message_is_refused_and_its_violation_noted(task, violations, message, changes, violation):
    assert message(task, **changes) == 400
    assert violation in violations()[0]
    assert (task.state, task.heartbeats, task.results) == ("ACKED", [], [])
    assert [(refused.status, refused.body) for refused in task.refused] == [(400, {})]


@pytest.mark.parametrize("text", ["", '{"status": NaN}', "\ufeff{}", "[]"])
def test_a_heartbeat_that_go_does_not_read_is_refused(task, violations, text):
    assert post_text(task.fields["heartbeatWebhook"], text.encode()) == 400
    (violation,) = violations()
    assert violation.startswith("a heartbeat that no toolkit reads: ")


def test_other_types_methods_and_paths_are_refused(toolkit, task):
    url = task.fields["heartbeatWebhook"]
    assert post_text(url, "{}", "text/plain") == 415
    assert post_text(url, "{}", method="PUT") == 405
    assert post(f"{toolkit.origin}/other/task1", {}) == 404
    assert toolkit.violations == [
        "task 1: a heartbeat as text/plain, not application/json",
        "task 1: PUT of its heartbeat webhook",
        "POST /other/task1: there is no such webhook",
    ]


def test_of_a_struct_null_is_an_absent_key_and_the_last_of_two_counts():
    assert decoding.struct(b'{"a": null, "b": 1, "B": 2}', {"a": int, "b": int}).values == {"b": 2}


def test_the_ends_of_int64_fit_and_no_more():
    kinds = {"a": int}
    for fits in (2**63 - 1, -(2**63)):
        assert decoding.struct(json.dumps({"a": fits}).encode(), kinds).values == {"a": fits}
    for beyond in (b"9223372036854775808", b"-9223372036854775809", b"1e3"):
        with pytest.raises(Undecodable, match="of type int64"):
            decoding.struct(b'{"a": %s}' % beyond, kinds)


def test_deep_nesting_is_refused():
    with pytest.raises(Undecodable, match="max depth"):
        decoding.document(b"[" * 200_000)


class TestCounters:
    @pytest.mark.parametrize("counter", ["bytesRead", "bytesWritten"])
    @pytest.mark.parametrize(("value", "counted"), [(9, 9), (None, 0)])
    def test_never_fall(self, task, violations, counter, value, counted):
        heartbeat(task)
        heartbeat(task, **{counter: value})
        assert violations() == [f"{counter} fell from 10 to {counted}"]

    def test_of_the_end_counts_every_result(self, task, violations):
        result(task, 1)
        result(task, 2)
        heartbeat(task, "complete", messagesWritten=1)
        assert violations() == ["messagesWritten of a heartbeat (complete) is 1, with 2 results accepted"]

    def test_of_a_running_heartbeat_may_be_late_by_two(self, task, violations):
        result(task, 1)
        heartbeat(task, messagesWritten=0)
        heartbeat(task, messagesWritten=0)
        assert violations() == []
        heartbeat(task, messagesWritten=0)
        assert violations() == ["messagesWritten of a heartbeat (running) is 0, with 1 results accepted"]


class TestResults:
    def test_one_index_is_one_result(self, task, violations):
        result(task, 1)
        result(task, 1)
        assert violations() == ["a second result has the index 1"]

    def test_only_metadata_may_contain_confidential_fields(self, task, violations):
        assert task.fields["cacheURI"] in task.fields["chunk-metadata-main-message"]
        result(task, 1)
        assert violations() == []
        result(task, 2, output={"series": [], "vendor": {"of": task.fields["cacheURI"]}})
        assert violations() == ["a result repeats cacheURI of the form"]
        for name in ("token", "heartbeatWebhook", "payload"):
            heartbeat(task, infoMs=task.fields[name], infoMsg=task.fields[name])
            assert f"a heartbeat repeats {name} of the form" in violations()

    def test_a_result_can_be_files(self, task, violations):
        fields = {"chunkContext": task.fields["chunkContext"], **metadata(task)}
        parts = [f'name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
        parts.append('name="picture"; filename="a.jpg"\r\n\r\n\xff\xd8\r\n')
        form = "".join(f"--b\r\nContent-Disposition: form-data; {part}" for part in parts) + "--b--\r\n"
        url = task.fields["resultWebhook"]
        assert post_text(url, form.encode("latin-1"), "multipart/form-data; boundary=b") == 204
        assert violations() == []
        assert task.results[0].files == {"picture": b"\xff\xd8"}
        assert post_text(url, b"", "multipart/form-data") == 400
        assert violations() == ["a multipart result without parts"]


class TestOrder:
    @pytest.mark.parametrize("end", ["complete", "failed"])
    @pytest.mark.parametrize("message", ["running", "complete", "failed", "result"])
    def test_nothing_comes_after_the_end(self, task, violations, end, message):
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
        name = "a result" if message == "result" else f"a heartbeat ({message})"
        assert violations() == [f"{name} after the end ({end})"]
        assert task.state == end.upper()

    def test_a_late_message_that_a_fault_refuses_is_a_violation_too(self, toolkit, task):
        failed(task)
        toolkit.faults.add("result_500")
        assert result(task) == 500
        assert toolkit.violations == ["task 1: a result after the end (failed)"]

    def test_an_engine_that_refused_the_work_may_report_its_failure_only(self, toolkit):
        with Engine(Reply(400, b"no", "text/plain")) as engine:
            task = toolkit.process(engine.url)
        assert failed(task) == 204
        assert toolkit.violations == []
        result(task)
        assert toolkit.violations == ["task 1: a result after the end (failed)"]
