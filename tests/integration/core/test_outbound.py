"""Requests to other servers: what is sent, and which replies are accepted."""

from __future__ import annotations

import io
import logging
import socket
import threading
import time
import traceback

import pytest
from replies import AUTHORIZED, TOKEN, answering, cutting, reply, resetting

from annohooks.core.errors import BadRequest, Upstream, UpstreamStatus


def test_a_request_arrives_whole_and_its_reply_comes_back(serve, outbound):
    server = serve(answering(reply("201 Created", b"made", Location="/files/1", X_Two="2")))
    got = outbound(server.url).request(
        "POST",
        "/Api/Do?a=1",
        doing="asking",
        query={"b": "x y&z", "c": 3},
        form={"name": "ä=&", "n": 7},
        headers=AUTHORIZED,
        accept=(200, 201),
    )
    assert (got.status, got.body, got.headers["location"], got.headers["X-TWO"]) == (201, b"made", "/files/1", "2")
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/Api/Do?a=1&b=x+y%26z&c=3")
    assert request.body == b"name=%C3%A4%3D%26&n=7"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert request.headers["user-agent"].startswith("annohooks/")
    assert request.headers["accept-encoding"] == "identity"


def test_a_large_body_is_sent_with_its_length(serve, outbound):
    server = serve(answering(reply("204 No Content", b"")))
    body = bytes(range(256)) * 4096
    outbound(server.url).request("PATCH", "/files/1", doing="uploading", body=body, accept=(204,))
    assert server.requests[0].body == body
    assert server.requests[0].headers["content-length"] == str(len(body))
    assert "transfer-encoding" not in server.requests[0].headers


def test_a_body_may_take_longer_to_send_than_one_timeout(outbound):
    """The server takes a second to drain what it is sent, but never stalls."""
    size, step = 12 * 1024 * 1024, 256 * 1024
    pause = threading.Event()

    def drain(listener):
        connection, _ = listener.accept()
        with connection:
            for _ in range(size // step):
                connection.recv(step, socket.MSG_WAITALL)
                pause.wait(0.02)
            connection.sendall(reply())

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drain, args=[listener], daemon=True)
        thread.start()
        started = time.monotonic()
        client = outbound(f"http://127.0.0.1:{listener.getsockname()[1]}", connect_timeout_s=0.3)
        assert client.request("POST", "/", doing="uploading", body=bytes(size)).status == 200
        assert time.monotonic() - started > 0.6
        thread.join()


def test_a_connection_is_used_again_after_a_head_an_empty_reply_and_a_body(serve, outbound):
    server = serve(
        answering(reply(body=b"", Content_Length=9_999_999), reply("204 No Content", b""), reply(body=b"x" * 100_000))
    )
    client = outbound(server.url)
    client.request("HEAD", "/", doing="asking", max_bytes=10)
    client.request("GET", "/", doing="asking", accept=(204,))
    client.request("GET", "/", doing="asking")
    client.request("GET", "/", doing="asking")
    assert [request.connection for request in server.requests] == [1, 1, 1, 1]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_not_followed_and_the_token_stays_here(serve, outbound, status):
    elsewhere = serve(answering(reply()))
    server = serve(answering(reply(status, Location=f"{elsewhere.url}/?x={TOKEN}")))
    with pytest.raises(Upstream) as raised:
        outbound(server.url).request("POST", "/", doing="reading metadata", form={"token": TOKEN}, headers=AUTHORIZED)
    assert raised.value.message == (
        "Slide Score answered with a redirect while reading metadata; redirects are not followed."
    )
    assert len(server.requests) == 1
    assert (elsewhere.connections, elsewhere.requests) == (0, [])


@pytest.mark.parametrize("status", ["400 Bad", "401 Unauthorized", "404 Not Found", "500 Error", "503 Unavailable"])
def test_a_status_that_was_not_asked_for_is_told_without_the_servers_words(serve, outbound, status):
    server = serve(answering(reply(status, f"<html>{TOKEN}</html>".encode())))
    with pytest.raises(UpstreamStatus) as raised:
        outbound(server.url).request("GET", "/", doing="reading metadata")
    assert raised.value.message == f"Slide Score answered with status {status[:3]} while reading metadata."
    assert raised.value.reply_status == int(status[:3])
    assert len(server.requests) == 1


@pytest.mark.parametrize("value", [f"{TOKEN}\r\nX-Injected: 1", f"{TOKEN}\n", f"{TOKEN} 秘密", f"{TOKEN}\ud800"])
def test_a_header_that_cannot_be_sent_is_a_bad_request_that_does_not_repeat_it(serve, outbound, value):
    server = serve(answering(reply()))
    with pytest.raises(BadRequest) as raised:
        outbound(server.url).request("GET", "/", doing="asking", headers={"Authorization": value})
    assert TOKEN not in "".join(traceback.format_exception(raised.value))
    assert server.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        answering(reply("500 Error", TOKEN.encode())),
        answering(reply("302 Found", Location=f"/?{TOKEN}")),
        answering(reply(body=b"x" * 2000)),
        lambda connection, request: connection.sendall(b"HTTP/1.1 200 OK\r\nBroken header\r\n\r\n") or False,
        resetting,
        cutting,
    ],
)
def test_no_token_reaches_an_error_its_traceback_or_a_log(serve, outbound, answer):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    root.addHandler(handler)
    level = root.level
    root.setLevel(logging.DEBUG)
    try:
        client = outbound(serve(answer).url)
        text = ""
        try:
            client.request(
                "POST",
                f"/{TOKEN}",
                doing="asking",
                query={"t": TOKEN},
                form={"t": TOKEN},
                headers=AUTHORIZED,
                max_bytes=9,
            )
        except Upstream as error:
            text = "".join(traceback.format_exception(error))
            assert text
        assert TOKEN not in text
        assert TOKEN not in stream.getvalue()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def test_an_answer_whose_body_does_not_matter_is_taken_by_its_status(serve, outbound):
    server = serve(answering(reply("200 OK", b"drip", Content_Length=10**9)))
    got = outbound(server.url).request("POST", "/", doing="asking", body=b"{}", body_matters=False)
    assert (got.status, got.body) == (200, b"")
