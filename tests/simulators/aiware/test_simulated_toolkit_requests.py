"""The simulated Engine Toolkit sends what Go sends."""

from __future__ import annotations

import base64
import re

import pytest
from toolkit_engine import (
    AION,
    DONE,
    FORBIDDEN,
    Engine,
    Wire,
    parts,
)

from local.listener import Reply
from local.simulators.aiware import Toolkit, form

pytestmark = pytest.mark.thorough


NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


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
        match = re.search(rb"boundary=([0-9a-f]{60})\r", head)
        assert match
        boundary = match[1].decode()
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
        fields = [
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
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields
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
        assert "Authorization" not in engine.received[0].headers
        assert b"filename" not in engine.received[0].body

    def test_names_are_quoted_as_go_does(self) -> None:
        _, body = form.encode({'a"b\\c': "1"}, None, boundary="x")
        assert body == b'--x\r\nContent-Disposition: form-data; name="a\\"b\\\\c"\r\n\r\n1\r\n--x--\r\n'


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303])
    def test_the_old_ones_lose_the_form(self, toolkit: Toolkit, status: int) -> None:
        with Engine(Reply(status, headers={"Location": "/else?where=1"}), DONE) as engine:
            task = toolkit.process(engine.url.replace("//", "//user:pass@"), chunk=b"abc")
        assert task.state == "DONE_SYNC"
        second = engine.received[1]
        assert (second.method, second.target, second.body) == ("GET", "/else?where=1", b"")
        assert second.headers["Referer"] == engine.url
        assert second.headers["Authorization"] == engine.received[0].headers["Authorization"]
        assert toolkit.violations == ["task 1: process was answered with a redirect, which loses the form"]

    @pytest.mark.parametrize("status", [307, 308])
    def test_the_newer_ones_keep_it(self, toolkit: Toolkit, status: int) -> None:
        with Engine(Reply(status, headers={"Location": "/else"}), DONE) as engine:
            toolkit.process(engine.url, chunk=b"abc")
        assert (engine.received[1].method, engine.received[1].body) == ("POST", engine.received[0].body)
        assert len(toolkit.violations) == 1


class TestReady:
    def test_it_polls_until_200(self, toolkit: Toolkit) -> None:
        with Engine(None, Reply(503), Reply(404), Reply(202), Reply(200)) as engine:
            assert toolkit.ready(engine.url, poll_s=0.001) == "READY"
        assert [request.method for request in engine.received] == ["GET"] * 5


class TestConsole:
    def test_the_console_calls_as_a_proxy_of_a_browser(self, toolkit: Toolkit) -> None:
        with Engine(DONE) as engine:
            url = engine.url.replace("//", "//user:pass@") + "?key=abc"
            task = toolkit.console(url, chunk=b"\xff\xd8", width=512)
        (request,) = engine.received
        assert (task.state, task.output) == ("DONE_SYNC", AION)
        assert request.target == "/aiware/process"
        assert request.headers["Host"] == "localhost:9090"
        assert request.headers["User-Agent"].startswith("Mozilla")
        assert "Authorization" not in request.headers
        fields = parts(request.headers["Content-Type"], request.body)
        assert fields["chunk"] == b"\xff\xd8"
        assert b'filename="picture.jpg"\r\nContent-Type: image/jpeg' in request.body
        assert {name: fields[name] for name in ("chunkMimeType", "startOffsetMS", "endOffsetMS", "width")} == {
            "chunkMimeType": b"image/jpg",
            "startOffsetMS": b"1000",
            "endOffsetMS": b"2000",
            "width": b"512",
        }
        assert "libraryID" in fields
        assert not {"libraryId", "heartbeatWebhook", "internalTaskId", "maxTTL"} & set(fields)
        assert toolkit.violations == []

    def test_it_calls_once_whatever_comes(self, toolkit: Toolkit) -> None:
        with Engine(FORBIDDEN) as engine:
            assert toolkit.console(engine.url, chunk=b"").state == "ERROR"
        with Engine() as engine:
            toolkit.console(engine.url, chunk=b"")
        assert len(engine.received) == 1
        assert toolkit.violations == ["task 2: work was acknowledged without a webhook to report to"]
