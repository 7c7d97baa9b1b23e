"""The simulated Engine Toolkit sends what Go sends, and takes each answer as the real one does."""

from __future__ import annotations

import gzip
import json
import re
from urllib.parse import urlsplit

import pytest
from toolkit_engine import ACK, AION, DONE, FORBIDDEN, Engine

from local.listener import Reply
from local.simulators.aiware import form

pytestmark = pytest.mark.thorough

FORM = """
chunkMimeType=image/jpeg chunkUUID=* chunkIndex=0 startOffsetMS=1000 endOffsetMS=0 width=0 height=0 libraryId=
libraryEngineModelId= cacheURI= veritoneApiBaseUrl=https://api.aiware.invalid token=t:1 payload={"a":1}
internalJobId=* internalTaskId=* inputFolderID=* libraryModelDirectory= taskTmpDir=* engineDir=/cache/engine/annohooks
chunkContext=* chunkTimestamp=* heartbeatWebhook=ORIGIN/heartbeat/task1 resultWebhook=ORIGIN/result/task1
externalCallbackWebhook= maxTTL=3600 controllerToken= redisETUrl=http://localhost:33193 chunk-metadata-endoffsetms=0
chunk-metadata-groupid= chunk-metadata-index=0 chunk-metadata-main-message=* chunk-metadata-mimetype=image/jpeg
chunk-metadata-startoffsetms=1000 chunk-metadata-tdoid=*
"""
"""The fields of a work item in their order; * is a value that the toolkit makes up."""
EMPTY_AND_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"


class TestBytes:
    def test_a_process_request_is_go_s_byte_for_byte(self, toolkit):
        chosen = {"chunkMimeType": "image/jpeg", "startOffsetMS": 1000, "payload": '{"a":1}', "maxTTL": 3600}
        with Engine(Reply(204)) as engine:
            url = engine.url.replace("//", "//user:p%40ss@") + "?key=abc"
            task = toolkit.process(url, chunk=b"\xff\xd8\r\n--\x00", token="t:1", **chosen)
        (request,), (body,) = engine.received, engine.bodies
        (boundary,) = re.findall("boundary=([0-9a-f]{60})$", request.headers["Content-Type"])
        assert (request.method, request.target) == ("POST", "/aiware/process?key=abc")
        assert request.headers.items() == [
            ("Host", urlsplit(engine.origin).netloc),
            ("User-Agent", "veritone-engine-toolkit"),
            ("Content-Length", str(len(body))),
            ("Authorization", "Basic dXNlcjpwQHNz"),
            ("Content-Type", f"multipart/form-data; boundary={boundary}"),
            ("Accept-Encoding", "gzip"),
        ]
        expected = ""
        for field in FORM.replace("ORIGIN", toolkit.origin).split():
            name, _, value = field.partition("=")
            value = task.fields[name] if value == "*" else value
            expected += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        expected += f'--{boundary}\r\nContent-Disposition: form-data; name="chunk"; filename="chunk.data"\r\n'
        expected += "Content-Type: application/octet-stream\r\n\r\n"
        assert body == expected.encode() + b"\xff\xd8\r\n--\x00" + f"\r\n--{boundary}--\r\n".encode()
        assert task.fields["chunk-metadata-main-message"] == "map[cacheURI: endOffsetMs:0 timestampUTC:1.6046e+12]"

    def test_a_ready_request_is_go_s_and_is_made_until_200(self, toolkit):
        with Engine(None, Reply(503), Reply(404), Reply(202), Reply(200)) as engine:
            assert toolkit.ready(engine.origin.replace("//", "//u:@"), poll_s=0.001) == "READY"
        assert [(request.method, request.target) for request in engine.received] == [("GET", "/")] * 5
        host = ("Host", urlsplit(engine.origin).netloc)
        agent, credentials = ("User-Agent", "Go-http-client/1.1"), ("Authorization", "Basic dTo=")
        assert engine.received[0].headers.items() == [host, agent, credentials, ("Accept-Encoding", "gzip")]

    def test_without_a_user_there_are_no_credentials_and_without_a_chunk_no_such_part(self, toolkit):
        with Engine() as engine:
            toolkit.process(engine.url, cacheURI="http://media.invalid/1")
        assert "Authorization" not in engine.received[0].headers
        assert b"filename" not in engine.bodies[0]

    def test_names_are_quoted_as_go_does(self):
        _, body = form.encode({'a"b\\c': "1"}, None, boundary="x")
        assert body == b'--x\r\nContent-Disposition: form-data; name="a\\"b\\\\c"\r\n\r\n1\r\n--x--\r\n'


class TestConsole:
    def test_the_console_calls_as_a_proxy_of_a_browser(self, toolkit):
        with Engine(DONE) as engine:
            task = toolkit.console(engine.url.replace("//", "//user:pass@") + "?key=abc", chunk=b"\xff\xd8", width=512)
        (request,), (body,) = engine.received, engine.bodies
        assert (task.state, task.output, request.target) == ("DONE_SYNC", AION, "/aiware/process")
        assert request.headers["Host"] == "localhost:9090"
        assert request.headers["User-Agent"].startswith("Mozilla")
        assert "Authorization" not in request.headers
        assert b'filename="picture.jpg"\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\r\n--' in body
        fields = dict(re.findall(rb'name="(\w+)"\r\n\r\n(.*?)\r\n--', body, re.DOTALL))
        assert (fields[b"chunkMimeType"], fields[b"width"]) == (b"image/jpg", b"512")
        assert (fields[b"startOffsetMS"], fields[b"endOffsetMS"]) == (b"1000", b"2000")
        assert b"libraryID" in fields
        assert not {b"libraryId", b"heartbeatWebhook", b"internalTaskId", b"maxTTL"} & fields.keys()
        assert toolkit.violations == []

    def test_it_calls_once_whatever_comes(self, toolkit):
        with Engine(FORBIDDEN, ACK) as engine:
            assert toolkit.console(engine.url, chunk=b"").state == "ERROR"
            assert len(engine.received) == 1
            toolkit.console(engine.url, chunk=b"")
        assert toolkit.violations == ["task 2: work was acknowledged without a webhook to report to"]


class TestAnswers:
    @pytest.mark.parametrize("status", [301, 303, 307, 308])
    def test_a_redirect_is_followed_and_the_old_ones_lose_the_form(self, toolkit, status):
        with Engine(Reply(status, headers={"Location": "/else?where=1"}), DONE) as engine:
            task = toolkit.process(engine.url.replace("//", "//user:pass@"), chunk=b"abc")
        (first, second), bodies = engine.received, engine.bodies
        assert (task.state, second.target) == ("DONE_SYNC", "/else?where=1")
        assert (second.method, bodies[1]) == (("GET", b"") if status < 307 else ("POST", bodies[0]))
        assert second.headers["Referer"] == engine.url
        assert second.headers["Authorization"] == first.headers["Authorization"]
        assert toolkit.violations == ["task 1: process was answered with a redirect, which loses the form"]

    def test_an_answer_may_be_in_gzip(self, toolkit):
        packed = Reply(body=gzip.compress(json.dumps(AION).encode()), headers={"Content-Encoding": "gzip"})
        with Engine(packed) as engine:
            assert toolkit.process(engine.url).output == AION
        assert toolkit.violations == []

    @pytest.mark.parametrize("status", [202, 400, 503])
    def test_every_other_status_is_an_error_after_three_calls(self, toolkit, status):
        with Engine(Reply(status, b" the reason\n", "text/plain")) as engine:
            task = toolkit.process(engine.url)
        assert (task.state, task.calls, len(engine.received)) == ("ERROR", 3, 3)
        assert (task.failure, task.failure_message) == ("internal_error", f"{status}: the reason")
        success = [f"task 1: process was answered with {status}: only 200 and 204 are success"] * 3
        assert toolkit.violations == (success if status == 202 else [])

    @pytest.mark.parametrize("first", [None, FORBIDDEN, Reply(body=b"{}", announced_bytes=9)])
    def test_a_call_that_fails_is_made_again(self, toolkit, first):
        with Engine(first, ACK) as engine:
            task = toolkit.process(engine.url)
        assert (task.state, task.calls, task.failure_message) == ("ACKED", 2, "")
        assert (task.estimate_s, task.job, toolkit.violations) == (600, "job-1", [])

    @pytest.mark.parametrize(
        ("answer", "state", "violation"),
        [
            (b"", "IGNORED", "process was answered with an empty 200, which drops the chunk"),
            (EMPTY_AND_CHUNKED, "DONE_SYNC", "is not JSON"),
            (b"{}", "DONE_SYNC", "the AION is empty"),
            (b'{"series": [{"startTimeMs": 1}]}', "DONE_SYNC", "the AION is wrong: series[0]: has no stopTimeMs"),
            (b'{"series": [], "vendor": {"a": NaN}}', "DONE_SYNC", "is not JSON"),
            (b"\xef\xbb\xbf{}", "DONE_SYNC", "is not JSON"),
            (b"[]", "DONE_SYNC", "JSON that the toolkit cannot read"),
            (b'{"estimatedProcessingTimeInSeconds": 0}', "DONE_SYNC", "an estimate of 0 s counts as none"),
            (b'{"estimatedProcessingTimeInSeconds": 1.5}', "DONE_SYNC", "cannot unmarshal 1.5 into estimated"),
            (b'{"EstimatedProcessingTimeInSeconds": 9}', "ACKED", "is spelt estimatedProcessingTimeInSeconds"),
            (b'{"estimatedProcessingTimeInSeconds": 9, "job": 1}', "ACKED", "more than the estimate: job"),
        ],
    )
    def test_a_wrong_answer_is_noted(self, toolkit, answer, state, violation):
        with Engine(answer if answer is EMPTY_AND_CHUNKED else Reply(body=answer)) as engine:
            task = toolkit.process(engine.url)
        assert (task.state, task.estimate_s) == (state, 9 if state == "ACKED" else None)
        assert violation in toolkit.violations[0]

    def test_without_webhooks_nothing_can_be_promised(self, toolkit):
        with Engine() as engine:
            toolkit.process(engine.url, webhooks=False)
            assert toolkit.violations == ["task 1: work was acknowledged without a webhook to report to"]
            task = toolkit.process(engine.url, webhooks=False, callback=True)
        assert task.fields["externalCallbackWebhook"] == f"{toolkit.origin}/callback/task2"
        assert len(toolkit.violations) == 1

    def test_an_answer_may_not_repeat_what_is_confidential(self, toolkit):
        with Engine(Reply(400, b"no access to http://media.invalid/1 with secret-token", "text/plain")) as engine:
            toolkit.process(engine.url, token="secret-token", cacheURI="http://media.invalid/1")
        repeats = "task 1: the answer of process repeats {} of the form"
        assert set(toolkit.violations) == {repeats.format(name) for name in ("token", "cacheURI")}
