"""The simulated Engine Toolkit sends what Go sends, and takes each answer as the real one does."""

from __future__ import annotations

import base64
import email
import gzip
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from toolkit_engine import ACK, AION, DONE, FORBIDDEN, Engine, Wire, failed, heartbeat, post, result
from urllib3.exceptions import NewConnectionError

from local.listener import Reply
from local.simulators.aiware import Toolkit, form

pytestmark = pytest.mark.thorough

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.fixture
def toolkit() -> Iterator[Toolkit]:
    with Toolkit() as toolkit:
        yield toolkit


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def parts(content_type: str, body: bytes) -> dict[str, bytes]:
    """The form as another parser reads it."""
    message = email.message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    return {
        str(part.get_param("name", header="Content-Disposition")): part.get_payload(decode=True)
        for part in message.get_payload()
    }


class TestBytes:
    def test_a_process_request_is_go_s_to_the_byte(self, toolkit: Toolkit) -> None:
        with Wire(NO_CONTENT) as wire:
            task = toolkit.process(
                f"http://user:p%40ss@127.0.0.1:{wire.port}/secret/process?key=abc",
                chunk=b"\xff\xd8\r\n--\x00",
                chunkMimeType="image/jpeg",
                startOffsetMS=1000,
                payload='{"a":1}',
                maxTTL=3600,
                token="t:1",
            )
        (sent,) = wire.received
        head, _, body = sent.partition(b"\r\n\r\n")
        found = re.search(rb"boundary=([0-9a-f]{60})\r", head)
        assert found
        boundary = found[1].decode()
        assert head.decode().split("\r\n") == [
            "POST /secret/process?key=abc HTTP/1.1",
            f"Host: 127.0.0.1:{wire.port}",
            "User-Agent: veritone-engine-toolkit",
            f"Content-Length: {len(body)}",
            "Authorization: Basic dXNlcjpwQHNz",
            f"Content-Type: multipart/form-data; boundary={boundary}",
            "Accept-Encoding: gzip",
        ]
        f = task.fields
        told = [
            ("chunkMimeType", "image/jpeg"),
            ("chunkUUID", f["chunkUUID"]),
            ("chunkIndex", "0"),
            ("startOffsetMS", "1000"),
            ("endOffsetMS", "0"),
            ("width", "0"),
            ("height", "0"),
            ("libraryId", ""),
            ("libraryEngineModelId", ""),
            ("cacheURI", ""),
            ("veritoneApiBaseUrl", "https://api.aiware.invalid"),
            ("token", "t:1"),
            ("payload", '{"a":1}'),
            ("internalJobId", f["internalJobId"]),
            ("internalTaskId", f["internalTaskId"]),
            ("inputFolderID", f["inputFolderID"]),
            ("libraryModelDirectory", ""),
            ("taskTmpDir", f["taskTmpDir"]),
            ("engineDir", "/cache/engine/annohooks"),
            ("chunkContext", f["chunkContext"]),
            ("chunkTimestamp", f["chunkTimestamp"]),
            ("heartbeatWebhook", f"{toolkit.origin}/heartbeat/task1"),
            ("resultWebhook", f"{toolkit.origin}/result/task1"),
            ("externalCallbackWebhook", ""),
            ("maxTTL", "3600"),
            ("controllerToken", ""),
            ("redisETUrl", "http://localhost:33193"),
            ("chunk-metadata-endoffsetms", "0"),
            ("chunk-metadata-groupid", ""),
            ("chunk-metadata-index", "0"),
            ("chunk-metadata-main-message", "map[cacheURI: endOffsetMs:0 timestampUTC:1.6046e+12]"),
            ("chunk-metadata-mimetype", "image/jpeg"),
            ("chunk-metadata-startoffsetms", "1000"),
            ("chunk-metadata-tdoid", f["chunk-metadata-tdoid"]),
        ]
        expected = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in told
        )
        expected += f'--{boundary}\r\nContent-Disposition: form-data; name="chunk"; filename="chunk.data"\r\n'
        expected += "Content-Type: application/octet-stream\r\n\r\n"
        assert body == expected.encode() + b"\xff\xd8\r\n--\x00" + f"\r\n--{boundary}--\r\n".encode()

    def test_a_ready_request_is_go_s_to_the_byte(self, toolkit: Toolkit) -> None:
        with Wire(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as wire:
            assert toolkit.ready(f"http://u:@127.0.0.1:{wire.port}") == "READY"
        credentials = base64.b64encode(b"u:").decode()
        assert wire.received == [
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{wire.port}\r\nUser-Agent: Go-http-client/1.1\r\n"
            f"Authorization: Basic {credentials}\r\nAccept-Encoding: gzip\r\n\r\n".encode()
        ]

    def test_without_a_user_in_the_url_there_are_no_credentials_and_without_a_chunk_no_such_part(
        self, toolkit: Toolkit
    ) -> None:
        with Engine() as engine:
            toolkit.process(engine.url, cacheURI="http://media.invalid/1")
        assert "Authorization" not in engine.asked[0].headers
        assert b"filename" not in engine.asked[0].body

    def test_the_three_tries_differ_in_their_boundary_only(self, toolkit: Toolkit) -> None:
        with Engine(FORBIDDEN) as engine:
            toolkit.process(engine.url, chunk=b"abc")
        boundaries = [asked.headers["Content-Type"].partition("boundary=")[2] for asked in engine.asked]
        assert len(set(boundaries)) == 3
        told = zip(engine.asked, boundaries, strict=True)
        assert len({asked.body.replace(boundary.encode(), b"") for asked, boundary in told}) == 1

    def test_names_are_quoted_as_go_does(self) -> None:
        _, body = form.encode({'a"b\\c': "1"}, None, boundary="x")
        assert body == b'--x\r\nContent-Disposition: form-data; name="a\\"b\\\\c"\r\n\r\n1\r\n--x--\r\n'

    def test_fields_can_be_changed_added_and_left_out(self, toolkit: Toolkit) -> None:
        with Engine() as engine:
            toolkit.process(
                engine.url, maxTTL=None, payload={"analyze": "true"}, future="x", **{"chunk-metadata-index": "7"}
            )
        told = parts(engine.asked[0].headers["Content-Type"], engine.asked[0].body)
        assert "maxTTL" not in told
        assert told["future"] == b"x"
        assert told["chunk-metadata-index"] == b"7"
        payload = json.loads(told["payload"])
        assert payload["analyze"] == "true"
        assert payload["token"] == told["token"].decode()
        assert payload["taskId"] == told["internalTaskId"].decode()

    def test_a_webhook_that_is_chosen_goes_before_the_toolkit_s_own(self, toolkit: Toolkit) -> None:
        with Engine() as engine:
            task = toolkit.process(engine.url, resultWebhook="http://169.254.169.254/")
        assert task.fields["resultWebhook"] == "http://169.254.169.254/"
        assert task.fields["heartbeatWebhook"] == f"{toolkit.origin}/heartbeat/task1"


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303])
    def test_the_old_ones_lose_the_form(self, toolkit: Toolkit, status: int) -> None:
        with Engine(Reply(status, headers={"Location": "/else?where=1"}), DONE) as engine:
            task = toolkit.process(engine.url.replace("//", "//user:pass@"), chunk=b"abc")
        assert task.state == "DONE_SYNC"
        second = engine.asked[1]
        assert (second.method, second.target, second.body) == ("GET", "/else?where=1", b"")
        assert second.headers["Referer"] == engine.url
        assert second.headers["Authorization"] == engine.asked[0].headers["Authorization"]
        assert toolkit.violations == ["task 1: process was answered with a redirect, which loses the form"]

    @pytest.mark.parametrize("status", [307, 308])
    def test_the_newer_ones_keep_it(self, toolkit: Toolkit, status: int) -> None:
        with Engine(Reply(status, headers={"Location": "/else"}), DONE) as engine:
            toolkit.process(engine.url, chunk=b"abc")
        assert (engine.asked[1].method, engine.asked[1].body) == ("POST", engine.asked[0].body)
        assert len(toolkit.violations) == 1

    def test_a_circle_is_an_error(self, toolkit: Toolkit) -> None:
        with Engine(Reply(307, headers={"Location": "/again"})) as engine:
            task = toolkit.process(engine.url)
        assert (task.state, task.failure_message) == ("ERROR", "stopped after 10 redirects")
        assert len(engine.asked) == 30


class TestReady:
    def test_it_polls_until_200(self, toolkit: Toolkit) -> None:
        with Engine(None, Reply(503), Reply(404), Reply(202), Reply(200)) as engine:
            assert toolkit.ready(engine.url, poll_s=0.001) == "READY"
        assert [asked.method for asked in engine.asked] == ["GET"] * 5

    def test_500_ends_the_toolkit(self, toolkit: Toolkit) -> None:
        with Engine(Reply(503), Reply(500)) as engine:
            assert toolkit.ready(engine.url, poll_s=0.001) == "SHUTDOWN"

    def test_it_gives_up(self, toolkit: Toolkit) -> None:
        with Engine(Reply(503)) as engine:
            assert toolkit.ready(engine.url, timeout_s=0.05, poll_s=0.001) == "TIMEOUT"


class TestAnswers:
    def test_204_is_ignored(self, toolkit: Toolkit) -> None:
        with Engine(Reply(204)) as engine:
            task = toolkit.process(engine.url)
        assert (task.state, task.status, task.calls) == ("IGNORED", 204, 1)
        assert toolkit.violations == []

    def test_an_empty_200_is_ignored_and_wrong(self, toolkit: Toolkit) -> None:
        with Engine(Reply(200)) as engine:
            assert toolkit.process(engine.url).state == "IGNORED"
        assert toolkit.violations == ["task 1: process was answered with an empty 200, which drops the chunk"]

    def test_an_empty_chunked_200_is_taken_for_a_result(self, toolkit: Toolkit) -> None:
        with Wire(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") as wire:
            assert toolkit.process(f"http://127.0.0.1:{wire.port}/").state == "DONE_SYNC"
        assert "is no JSON" in toolkit.violations[0]

    def test_aion_is_the_result(self, toolkit: Toolkit) -> None:
        with Engine(DONE) as engine:
            task = toolkit.process(engine.url)
        assert (task.state, task.output, task.estimate_s, task.job) == ("DONE_SYNC", AION, None, None)
        assert toolkit.violations == []

    def test_an_answer_may_be_in_gzip(self, toolkit: Toolkit) -> None:
        packed = Reply(body=gzip.compress(json.dumps(AION).encode()), headers={"Content-Encoding": "gzip"})
        with Engine(packed) as engine:
            assert toolkit.process(engine.url).output == AION
        assert toolkit.violations == []

    def test_other_media_types_are_taken_as_they_are(self, toolkit: Toolkit) -> None:
        with Engine(Reply(body=b"<tt/>", content_type="application/ttml+xml")) as engine:
            task = toolkit.process(engine.url)
        assert (task.state, task.text, task.output) == ("DONE_SYNC", "<tt/>", None)
        assert toolkit.violations == []

    def test_an_estimate_acknowledges(self, toolkit: Toolkit) -> None:
        with Engine() as engine:
            task = toolkit.process(engine.url)
        assert (task.state, task.estimate_s, task.job, task.calls) == ("ACKED", 600, "job-1", 1)
        assert toolkit.violations == []

    def test_how_long_the_acknowledgement_took_is_known(self) -> None:
        clock = Clock()

        def work() -> None:
            clock.now_s += 1.5

        with Toolkit(clock=clock) as toolkit, Engine(FORBIDDEN, ACK) as engine:
            engine.meanwhile = work
            assert toolkit.process(engine.url).acked_after_s == 3

    @pytest.mark.parametrize("status", [202, 400, 401, 403, 413, 500, 503])
    def test_every_other_status_is_an_error_after_three_calls(self, toolkit: Toolkit, status: int) -> None:
        with Engine(Reply(status, b" the reason\n", "text/plain")) as engine:
            task = toolkit.process(engine.url)
        assert (task.state, task.calls, len(engine.asked)) == ("ERROR", 3, 3)
        assert (task.failure, task.failure_message) == ("internal_error", f"{status}: the reason")
        success = [f"task 1: process was answered with {status}: only 200 and 204 are success"] * 3
        assert toolkit.violations == (success if status == 202 else [])

    @pytest.mark.parametrize("first", [None, FORBIDDEN, Reply(503), Reply(body=b"{}", announced_bytes=9)])
    def test_a_call_that_fails_is_made_again(self, toolkit: Toolkit, first: Reply | None) -> None:
        with Engine(first, ACK) as engine:
            task = toolkit.process(engine.url)
        assert (task.state, task.calls, task.failure_message) == ("ACKED", 2, "")
        assert toolkit.violations == []

    def test_an_engine_that_is_not_there_is_an_error(self, toolkit: Toolkit) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            task = toolkit.process(f"http://127.0.0.1:{closed.getsockname()[1]}/")
        assert (task.state, task.status, task.calls) == ("ERROR", 0, 3)
        assert "ConnectionRefusedError" in task.failure_message

    @pytest.mark.parametrize(
        ("body", "violation"),
        [
            (b"{}", "the AION is empty"),
            (b'{"series": [{"startTimeMs": 1}]}', "the AION is wrong: series[0]: has no stopTimeMs"),
            (b'{"series": [], "vendor": {"a": NaN}}', "is no JSON"),
            (b"\xef\xbb\xbf{}", "is no JSON"),
            (b"<html>", "is no JSON"),
            (b"[]", "what no toolkit reads"),
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
        said = {violation.removeprefix("task 1: the answer of process repeats ") for violation in toolkit.violations}
        assert said == {"token of the form", "cacheURI of the form"}


class TestStates:
    def test_heartbeats_and_results_bring_a_task_to_its_end(self, toolkit: Toolkit) -> None:
        with Engine() as engine:
            task = toolkit.process(engine.url)
            assert heartbeat(task) == 204
            assert task.state == "RUNNING"
            assert result(task, 1) == result(task, 2) == 204
            assert heartbeat(task, "complete") == 204
        assert task.wait().state == "COMPLETE"
        assert [beat.body["status"] for beat in task.heartbeats] == ["running", "complete"]
        assert [message.body["index"] for message in task.results] == [1, 2]
        assert task.heartbeats[0].at_s <= task.results[0].at_s <= task.heartbeats[1].at_s
        assert toolkit.violations == []

    def test_a_failure_has_its_reason(self, toolkit: Toolkit) -> None:
        with Engine() as engine:
            task = toolkit.process(engine.url)
            assert failed(task) == 204
        assert (task.state, task.failure, task.failure_message) == ("FAILED", "invalid_data", "no frames")
        assert toolkit.violations == []

    def test_messages_may_be_faster_than_the_acknowledgement(self, toolkit: Toolkit) -> None:
        def reported() -> None:
            (task,) = toolkit.tasks
            assert task.state == "CALLING"
            statuses.extend([heartbeat(task), result(task), heartbeat(task, "complete")])

        statuses: list[int] = []
        with Engine() as engine:
            engine.meanwhile = reported
            assert toolkit.process(engine.url).state == "COMPLETE"
        assert statuses == [204, 204, 204]
        assert toolkit.violations == []

    def test_tasks_that_are_forgotten_have_no_webhooks(self, toolkit: Toolkit) -> None:
        with Engine() as engine:
            forgotten = toolkit.process(engine.url)
            toolkit.tasks.clear()
            assert toolkit.process(engine.url).number == 2
            assert heartbeat(forgotten) == 404
        assert toolkit.violations == ["POST /heartbeat/task1: there is no such webhook"]

    def test_calls_can_be_made_in_the_background(self, toolkit: Toolkit) -> None:
        with Engine() as engine:
            task = toolkit.process(engine.url, wait=False)
            assert task.wait(10, until=lambda task: task.state == "ACKED") is task
            with pytest.raises(TimeoutError, match=r"task 1 is ACKED after 0\.01 s"):
                task.wait(0.01)

    def test_the_external_callback_takes_both_kinds_of_messages(self, toolkit: Toolkit) -> None:
        with Engine() as engine:
            task = toolkit.process(engine.url, webhooks=False, callback=True)
            url, context = task.fields["externalCallbackWebhook"], task.fields["chunkContext"]
            carried = {name: value for name, value in task.fields.items() if name.startswith("chunk-metadata-")}
            assert post(url, {"chunkContext": context, "output": AION, **carried}) == 204
            assert post(url, {"status": "complete", "messagesWritten": 1, "infoMs": "", "infoMsg": ""}) == 204
        assert (task.state, task.accepted) == ("COMPLETE", 1)
        assert toolkit.violations == []

    def test_an_engine_that_answers_at_once_may_report_complete_and_nothing_else(self, toolkit: Toolkit) -> None:
        with Engine(DONE) as engine:
            task = toolkit.process(engine.url)
            assert heartbeat(task, "complete") == 204
            assert toolkit.violations == []
            heartbeat(task, "complete")
            assert toolkit.violations == ["task 1: a heartbeat (complete) after the end (complete)"]
            for number, message in enumerate((heartbeat, failed, result), 2):
                task = toolkit.process(engine.url)
                message(task)
                assert toolkit.violations[-1].startswith(f"task {number}: a ")
        assert len(toolkit.violations) == 4

    def test_an_engine_that_reports_and_answers_at_once_does_the_work_twice(self, toolkit: Toolkit) -> None:
        with Engine(DONE) as engine:
            engine.meanwhile = lambda: (heartbeat(toolkit.tasks[0]), result(toolkit.tasks[0]))
            toolkit.process(engine.url)
        assert toolkit.violations == [
            "task 1: 1 results were posted, and process was answered DONE_SYNC as well",
            "task 1: running was reported, and process was answered DONE_SYNC",
        ]


class TestClocks:
    def test_an_engine_that_is_silent_has_failed(self) -> None:
        with Toolkit(heartbeat_limit_s=0.05) as toolkit, Engine() as engine:
            task = toolkit.process(engine.url).wait()
            assert (task.state, task.failure) == ("FAILED", "heartbeat_timeout")
            assert re.fullmatch(r"task 1: no heartbeat for 0\.\d+ s", toolkit.violations[0])

    def test_each_heartbeat_starts_the_limit_anew(self) -> None:
        clock = Clock()
        with Toolkit(clock=clock) as toolkit, Engine() as engine:
            task = toolkit.process(engine.url)
            for _ in range(4):
                clock.now_s += 89
                heartbeat(task)
            assert (task.state, toolkit.violations) == ("RUNNING", [])
            clock.now_s += 91
            assert task.wait().failure == "heartbeat_timeout"
            assert toolkit.violations == ["task 1: no heartbeat for 91 s"]

    def test_heartbeats_that_a_fault_refuses_are_no_silence_of_the_engine(self) -> None:
        clock = Clock()
        with Toolkit(clock=clock, faults=["heartbeat_500"]) as toolkit, Engine() as engine:
            task = toolkit.process(engine.url)
            for _ in range(2):
                clock.now_s += 46
                heartbeat(task)
            assert (task.failure, toolkit.violations) == ("heartbeat_timeout", [])

    @pytest.mark.parametrize(("max_ttl", "limit_s"), [("", 600), (60, 600), (3600, 3600)])
    def test_work_has_its_estimate_or_max_ttl_if_that_is_longer(self, max_ttl: object, limit_s: int) -> None:
        clock = Clock()
        with Toolkit(clock=clock) as toolkit, Engine() as engine:
            task = toolkit.process(engine.url, maxTTL=max_ttl)
            for _ in range(limit_s // 60):
                clock.now_s += 60
                heartbeat(task)
            assert (task.state, toolkit.violations) == ("RUNNING", [])
            clock.now_s += 1
            assert task.wait().failure == "ttl"
            assert toolkit.violations == [f"task 1: the work is not over {limit_s} s after it was acknowledged"]

    def test_the_limit_of_the_work_can_be_lifted(self) -> None:
        clock = Clock()
        with (
            Toolkit(clock=clock, keeps_ttl=False) as toolkit,
            Engine(Reply(body=ACK.body.replace(b"600", b"1"))) as engine,
        ):
            task = toolkit.process(engine.url)
            clock.now_s += 80
            heartbeat(task)
            assert (task.state, toolkit.violations) == ("RUNNING", [])

    @pytest.mark.parametrize("status", [204, 404, 410])
    def test_an_engine_is_excused_until_it_is_told_that_the_toolkit_gave_up(self, status: int) -> None:
        clock = Clock()
        with Toolkit(clock=clock, after_end=status) as toolkit, Engine() as engine:  # type: ignore[arg-type]
            task = toolkit.process(engine.url)
            clock.now_s += 91
            assert heartbeat(task) == status
            assert toolkit.violations == ["task 1: no heartbeat for 91 s"]
            assert result(task) == status
            late = ["task 1: a result after the end (FAILED)"] if status != 204 else []
            assert toolkit.violations[1:] == late
            assert (task.heartbeats, task.results, len(task.refused)) == ([], [], 2)


class TestRequeue:
    def test_another_instance_sends_the_same_chunk_with_new_webhooks_and_the_old_ones_are_dead(
        self, toolkit: Toolkit
    ) -> None:
        origins = toolkit.origins
        with Engine() as engine:
            first = toolkit.process(engine.url, chunk=b"abc")
            result(first, 1)
            second = toolkit.requeue(first, maxTTL=77)
            assert (first.state, second.state, second.attempt) == ("REQUEUED", "ACKED", 2)
            assert toolkit.origins == origins
            changed = {name for name in first.fields if first.fields[name] != second.fields[name]}
            assert changed == {"heartbeatWebhook", "resultWebhook", "maxTTL"}
            assert second.fields["resultWebhook"].startswith(origins[1])
            with pytest.raises(NewConnectionError, match="Connection refused"):
                heartbeat(first)
            assert heartbeat(second) == result(second, 2) == 204
            assert heartbeat(second, "complete", messagesWritten=2) == 204
            assert second.state == "COMPLETE"
            third = toolkit.requeue(second)
            assert (second.state, third.state) == ("COMPLETE", "ACKED")
            assert toolkit.origin == third.origin == toolkit.origins[2]
            assert third.carried == 2
            assert toolkit.violations == []

    def test_a_toolkit_that_vanished_comes_back_elsewhere(self, toolkit: Toolkit) -> None:
        with Engine() as engine:
            task = toolkit.process(engine.url)
            toolkit.vanish()
            with pytest.raises(NewConnectionError, match="Connection refused"):
                heartbeat(task)
            assert heartbeat(toolkit.requeue(task)) == 204

    def test_what_is_requeued_while_it_is_called_stays_requeued(self, toolkit: Toolkit) -> None:
        with Engine() as engine:
            engine.meanwhile = lambda: again.append(toolkit.requeue(toolkit.tasks[0])) if len(toolkit.tasks) < 2 else 0
            again: list[object] = []
            assert toolkit.process(engine.url).state == "REQUEUED"
        assert [task.state for task in toolkit.tasks] == ["REQUEUED", "ACKED"]


class TestConsole:
    def test_the_console_calls_as_a_proxy_of_a_browser(self, toolkit: Toolkit) -> None:
        with Engine(DONE) as engine:
            url = engine.url.replace("//", "//user:pass@") + "?key=abc"
            task = toolkit.console(url, chunk=b"\xff\xd8", width=512)
        (asked,) = engine.asked
        assert (task.state, task.output) == ("DONE_SYNC", AION)
        assert asked.target == "/aiware/process"
        assert asked.headers["Host"] == "localhost:9090"
        assert asked.headers["User-Agent"].startswith("Mozilla")
        assert "Authorization" not in asked.headers
        told = parts(asked.headers["Content-Type"], asked.body)
        assert told["chunk"] == b"\xff\xd8"
        assert b'filename="picture.jpg"\r\nContent-Type: image/jpeg' in asked.body
        assert {name: told[name] for name in ("chunkMimeType", "startOffsetMS", "endOffsetMS", "width")} == {
            "chunkMimeType": b"image/jpg",
            "startOffsetMS": b"1000",
            "endOffsetMS": b"2000",
            "width": b"512",
        }
        assert "libraryID" in told
        assert not {"libraryId", "heartbeatWebhook", "internalTaskId", "maxTTL"} & set(told)
        assert toolkit.violations == []

    def test_it_calls_once_whatever_comes(self, toolkit: Toolkit) -> None:
        with Engine(FORBIDDEN) as engine:
            assert toolkit.console(engine.url, chunk=b"").state == "ERROR"
        with Engine() as engine:
            toolkit.console(engine.url, chunk=b"")
        assert len(engine.asked) == 1
        assert toolkit.violations == ["task 2: work was acknowledged without a webhook to report to"]


class TestRecord:
    def test_everything_that_happened_is_a_line(self, toolkit: Toolkit, tmp_path: Path) -> None:
        with Engine(Reply(503), ACK) as engine:
            task = toolkit.process(engine.url, chunk=b"abc")
            heartbeat(task, infoMs="\ud800 other")
            result(task)
            heartbeat(task, "complete")
        toolkit.record(tmp_path / "run.jsonl")
        lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
        assert [line["what"] for line in lines] == [
            *("process", "answer", "answer", "violation", "heartbeat", "result", "heartbeat")
        ]
        assert lines[0]["chunk"]["bytes"] == 3
        assert lines[0]["fields"] == task.fields
        assert [line["status"] for line in lines if "status" in line] == [503, 200, 204, 204, 204]
        assert [line["at_s"] for line in lines] == sorted(line["at_s"] for line in lines)

    def test_so_are_polls_and_what_the_clock_ends(self) -> None:
        clock = Clock()
        with Toolkit(clock=clock) as toolkit, Engine(Reply(200), ACK) as engine:
            toolkit.ready(engine.url)
            task = toolkit.process(engine.url)
            clock.now_s += 91
            task.wait()
        assert toolkit.records[0] == {"at_s": 1000.0, "what": "ready", "url": engine.url, "status": 200}
        assert toolkit.records[-1] == {"at_s": 1091.0, "what": "expired", "task": 1, "failure": "heartbeat_timeout"}
