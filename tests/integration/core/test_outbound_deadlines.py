"""Time-outs and deadlines of requests to other servers."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from replies import answering, reply

from annohooks.core.deadline import Deadline
from annohooks.core.errors import DeadlineExceeded, UpstreamTimeout


def test_a_server_that_hangs_is_given_up_after_the_read_timeout(serve, outbound):
    server = serve(lambda connection, request: server.stopped.wait(20) and None)
    started = time.monotonic()
    with pytest.raises(UpstreamTimeout) as raised:
        outbound(server.url, read_timeout_s=0.1).request("GET", "/", doing="reading metadata", attempts=3)
    assert raised.value.message == "Slide Score did not answer in time while reading metadata."
    assert time.monotonic() - started < 2
    assert len(server.requests) == 1  # it may be at work still, so the request is not repeated


def test_a_server_that_hangs_in_the_middle_of_a_reply_is_given_up_after_the_read_timeout(serve, outbound):
    def answer(connection, request):
        connection.sendall(reply(body=b"half", Content_Length=8))
        server.stopped.wait(20)

    server = serve(answer)
    started = time.monotonic()
    with pytest.raises(UpstreamTimeout):
        outbound(server.url, read_timeout_s=0.1).request("GET", "/", doing="reading metadata")
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("read_timeout_s", [0.5, 30])
def test_a_server_that_hangs_is_given_up_at_the_deadline(serve, outbound, read_timeout_s):
    server = serve(lambda connection, request: server.stopped.wait(20) and None)
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded) as raised:
        outbound(server.url, deadline_s=0.2, read_timeout_s=read_timeout_s).request(
            "GET", "/", doing="reading metadata"
        )
    assert raised.value.message == "The time for this request ran out while reading metadata."
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("head", [b"Content-Length: 100000\r\n", b"Transfer-Encoding: chunked\r\n", b""])
def test_a_server_that_drips_is_given_up_at_the_deadline(serve, outbound, head):
    drop = b"1\r\nx\r\n" if b"chunked" in head else b"x"

    def answer(connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        while not server.stopped.wait(0.01):
            connection.sendall(drop)

    server = serve(answer)
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        outbound(server.url, deadline_s=0.3).request("GET", "/", doing="reading metadata")
    assert 0.3 <= time.monotonic() - started < 2


@pytest.mark.parametrize("head", [b"Content-Length: 100000\r\n", b"Connection: close\r\n"])
def test_a_server_that_stops_in_the_middle_is_given_up_at_the_deadline_and_not_a_read_later(serve, outbound, head):
    def answer(connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        server.stopped.wait(0.9)
        connection.sendall(b"x")
        server.stopped.wait(20)

    server = serve(answer)
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        outbound(server.url, deadline_s=1.0).request("GET", "/", doing="reading metadata")
    assert 1.0 <= time.monotonic() - started < 1.7


def test_nothing_is_sent_once_the_deadline_is_past(serve, outbound):
    server = serve(answering(reply()))
    with pytest.raises(DeadlineExceeded):
        outbound(server.url, deadline_s=0).request("GET", "/", doing="reading metadata")
    assert server.connections == 0


def test_a_later_deadline_uses_the_same_connections_once_the_first_is_past(serve, outbound):
    server = serve(answering(reply()))
    client = outbound(server.url)
    client.request("GET", "/", doing="asking")
    later = client.until(Deadline.after(5))
    with pytest.raises(DeadlineExceeded):
        client.until(Deadline.after(0)).request("GET", "/", doing="asking")
    assert later.request("POST", "/", doing="giving the token up").status == 200
    assert [request.connection for request in server.requests] == [1, 1]


def test_waiting_for_a_connection_ends_at_the_deadline(serve, outbound):
    server = serve(lambda connection, request: server.stopped.wait(20) and None)
    client = outbound(server.url, deadline_s=0.3, connections=1)
    with ThreadPoolExecutor(2) as threads:
        errors = [threads.submit(client.request, "GET", "/", doing="asking").exception(5) for _ in range(2)]
    assert [type(error) for error in errors] == [DeadlineExceeded, DeadlineExceeded]
