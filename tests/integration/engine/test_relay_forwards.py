"""The relay forwards ready and process to annohooks, and returns its answers."""

from __future__ import annotations

import base64
import json
import socket
import threading

import pytest
from stand_ins import CONTENT_TYPE, SECRET, acknowledged, form

from engine import relay as relay_module
from local.listener import Reply

AION = Reply(200, json.dumps({"series": [], "é": 1}).encode(), "application/json")


def test_form_arrives_byte_for_byte_with_the_credentials(api, start):
    api.process = AION
    body = form(bytes(range(256)) * 64, chunkMimeType="image/jpeg", payload='{"a": "é"}', heartbeatWebhook="")
    assert start().send("POST", "/process", body)[0] == 200
    (call,) = api.called("/process")
    assert (call.method, call.body) == ("POST", body)
    assert call.headers["Content-Type"] == CONTENT_TYPE
    assert call.headers["Authorization"] == "Basic " + base64.b64encode(f"aiware:{SECRET}".encode()).decode()


@pytest.mark.parametrize(
    "reply",
    [
        AION,
        Reply(200, b"\x00\xff not text", "image/png"),
        Reply(204, b"", ""),
        Reply(202, b"{}", "application/json"),
        Reply(400, "maxTTL is not a number: é".encode(), "text/plain; charset=utf-8"),
        Reply(401, b"", "text/plain"),
        Reply(500, b'{"message": "Internal server error"}', "application/json"),
    ],
    ids=lambda reply: str(reply.status),
)
def test_answer_comes_back_unchanged(api, start, reply):
    api.process = reply
    assert start().process(chunkMimeType="image/jpeg") == (reply.status, reply.content_type, reply.body)
    assert len(api.called("/process")) == 1


@pytest.mark.parametrize("status", [301, 308])
def test_redirect_is_neither_followed_nor_handed_on(api, start, status):
    api.process = Reply(status, b"", headers={"Location": f"{api.origin}/elsewhere"})
    got, _, body = start().process(chunkMimeType="image/jpeg")
    assert (got, b"ANNOHOOKS_URL" in body) == (502, True)
    assert len(api.calls) == 1


def test_empty_200_is_answered_502_because_the_toolkit_would_ignore_the_chunk(api, start):
    api.process = Reply(200, b"")
    assert start().process(chunkMimeType="image/jpeg")[0] == 502


def test_answer_that_was_cut_short_is_answered_503(api, start):
    api.process = Reply(200, b'{"series": [', announced_bytes=1000)
    status, _, body = start().process(chunkMimeType="image/jpeg")
    assert status == 503
    assert b"IncompleteRead" in body


def test_answer_that_never_comes_is_waited_for_until_the_time_limit(api, start):
    api.process = Reply(hold=True)
    status, _, body = start(process_s=0.1, patience_s=0).process(chunkMimeType="image/jpeg")
    assert status == 503
    assert b"Timeout" in body


def test_answer_that_comes_byte_by_byte_is_waited_for_until_the_time_limit(start):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        relay = start(url=f"http://127.0.0.1:{listening.getsockname()[1]}", ready_s=0.3)
        answers = []
        asking = threading.Thread(target=lambda: answers.append(relay.send("GET", "/ready")))
        asking.start()
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            connection.settimeout(0.01)
            while asking.is_alive():
                try:
                    connection.sendall(b"x")
                    if connection.recv(65536) == b"":
                        break
                except TimeoutError:
                    continue
            asking.join()
    assert answers[0][0] == 503


def test_chunk_of_4_4_mib_passes(api, start):
    api.process = AION
    body = form(b"\xff" * int(4.4 * 2**20), chunkMimeType="image/jpeg", payload="x" * 50_000)
    assert len(body) <= relay_module.MAX_BODY_BYTES
    assert start().send("POST", "/process", body)[0] == 200


def test_body_over_the_limit_is_answered_by_the_relay_with_the_remedy(api, start):
    body = form(b"\xff" * relay_module.MAX_BODY_BYTES)
    status, content_type, words = start().send("POST", "/process", body)
    assert (status, content_type) == (413, "text/plain; charset=utf-8")
    assert b"VERITONE_DISABLE_CHUNK_DOWNLOAD=true" in words
    assert api.calls == []


def test_short_outage_is_waited_out(api, start):
    api.planned["process"] = [Reply(503, b"later"), None, Reply(429, b"slower"), Reply(504, b"late")]
    api.process = AION
    assert start(patience_s=20).process(chunkMimeType="image/jpeg") == (200, "application/json", AION.body)
    assert len(api.called("/process")) == 5


def test_long_outage_is_answered_503(api, start):
    api.process = Reply(503, b"The table is not there.", "text/plain")
    assert start().process(chunkMimeType="image/jpeg") == (503, "text/plain", b"The table is not there.")
    api.stop()
    status, _, body = start().process(chunkMimeType="image/jpeg")
    assert (status, b"cannot be reached: ConnectionRefusedError" in body) == (503, True)


# Webhooks

OUTSIDE = [
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1:1234/heartbeat",
    "http://example.org/heartbeat",
    "http://localhost.example.org/",
    "http://127.0.0.1@example.org/",
    "http://user:pass@127.0.0.1/",
    "http://example.org#@127.0.0.1/",
    "http://2130706433/",
    "http://127.1/",
    "http://[::ffff:169.254.169.254]/",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:0/",
    "http:///heartbeat",
    "https://localhost:1234/heartbeat",
    "file:///etc/passwd",
    "gopher://127.0.0.1/",
    "//127.0.0.1/",
    "http://127.0.0.1/\r\nX: y",
    "http://127.0.0.1/ x",
    "http://127.0.0.1/é",
    "http://[::1/",
    "http://127.0.0.1/" + "x" * 3000,
    "x",
]


@pytest.mark.parametrize("name", ["heartbeatWebhook", "resultWebhook"])
def test_webhook_outside_the_container_is_refused_before_anything_is_sent(api, toolkit, start, name):
    relay = start()
    for url in OUTSIDE:
        status, _, body = relay.process(**(toolkit.webhooks | {name: url}))
        assert (status, name in body.decode()) == (400, True), url
        assert url not in body.decode() or url == "x"
    assert api.calls == []


def test_webhook_of_the_container_is_accepted(api, start):
    api.process = AION
    relay = start()
    for host in ("localhost", "127.0.0.1", "127.9.9.9", "0.0.0.0", "[::1]", "LOCALHOST"):
        webhooks = {name: f"http://{host}:1234/{name}?task=1" for name in ("heartbeatWebhook", "resultWebhook")}
        assert relay.process(**webhooks)[0] == 200, host


@pytest.mark.parametrize("fields", [{"heartbeatWebhook": "", "resultWebhook": ""}, {"resultWebhook": "http://[::1]/r"}])
def test_job_without_both_webhooks_is_answered_502(start, fields):
    status, _, body = start().process(**fields)
    assert (status, b"webhooks" in body) == (502, True)


def test_job_with_an_invalid_name_is_answered_502(api, toolkit, start):
    relay = start()
    for name in ("../../etc/passwd", "a b", "x" * 200, "a?b"):
        api.process = acknowledged(name)
        assert relay.process(**toolkit.webhooks)[0] == 502
    assert relay.state_files() == []


def test_form_that_is_cut_short_is_refused(api, start):
    status, _, body = start().send("POST", "/process", form(b"abc")[:-20])
    assert (status, b"boundary" in body) == (400, True)
    assert api.calls == []


@pytest.mark.parametrize(
    "head", [b"", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: -5\r\n"]
)
def test_form_without_a_valid_length_is_refused(api, start, head):
    relay = start()
    with socket.create_connection(("127.0.0.1", relay.port)) as connection:
        connection.sendall(b"POST /process HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 411 ")
    assert api.calls == []


# Ready


def test_ready_is_200_when_annohooks_is_ready(api, start):
    relay = start()
    assert [relay.send("GET", path)[0] for path in ("/ready", "/readyz", "/ready/", "/ready?x=1")] == [200] * 4
    assert all("Authorization" in call.headers for call in api.called("/stage/aiware/ready"))


@pytest.mark.parametrize(
    "reply",
    [
        Reply(503, b"cold"),
        Reply(500, b"broken"),
        Reply(401, b"who?"),
        Reply(404, b"what?"),
        Reply(204),
        Reply(301, headers={"Location": "http://127.0.0.1:1/"}),
        Reply(hold=True),
        Reply(200, b"short", announced_bytes=10_000),
    ],
    ids=["503", "500", "401", "404", "204", "301", "silence", "cut short"],
)
def test_ready_is_503_for_all_else_and_never_500(api, start, reply):
    api.ready = reply
    assert start(ready_s=0.3).send("GET", "/ready")[0] == 503


def test_ready_is_503_when_annohooks_speaks_no_http(start):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        relay = start(url=f"http://127.0.0.1:{listening.getsockname()[1]}")

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert relay.send("GET", "/ready")[0] == 503
        thread.join()


def test_nothing_else_is_forwarded(api, start):
    relay = start()
    for method, path in (("GET", "/"), ("GET", "/process"), ("POST", "/ready"), ("POST", "/x")):
        assert relay.send(method, path)[0] == 404
    assert api.calls == []
