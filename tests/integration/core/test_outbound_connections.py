"""Connections to other servers: those that fail, those that are shared, and the address they go to."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from replies import answering, cutting, reply, resetting

from annohooks.core.deadline import Deadline
from annohooks.core.errors import Forbidden, Upstream, UpstreamStatus
from annohooks.core.http import ConnectionFailed, NotConnected, Outbound
from annohooks.core.origins import Origins


@pytest.mark.parametrize("breaking", [resetting, cutting, lambda connection, request: False])
def test_a_broken_connection_is_an_upstream_error_that_does_not_say_nothing_was_sent(serve, outbound, breaking):
    server = serve(breaking)
    with pytest.raises(
        ConnectionFailed, match=r"^Slide Score broke the connection off while reading metadata\.$"
    ) as raised:
        outbound(server.url).request("GET", "/", doing="reading metadata")
    assert not isinstance(raised.value, NotConnected)
    assert len(server.requests) == 1


@pytest.mark.parametrize("breaking", [resetting, cutting])
def test_a_broken_connection_is_tried_again_when_that_is_allowed(serve, outbound, breaking):
    def answer(connection, request):
        return breaking(connection, request) if len(server.requests) < 3 else connection.sendall(reply(body=b"fine"))

    server = serve(answer)
    assert outbound(server.url).request("GET", "/", doing="asking", attempts=3).body == b"fine"
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("status", "requests"), [("502", 3), ("503", 3), ("504", 3), ("500", 1), ("401", 1), ("429", 1)]
)
def test_only_statuses_that_may_pass_are_tried_again(serve, outbound, status, requests):
    server = serve(answering(reply(f"{status} No")))
    with pytest.raises(UpstreamStatus) as raised:
        outbound(server.url).request("POST", "/", doing="asking", form={"a": 1}, attempts=3)
    assert raised.value.reply_status == int(status)
    assert [request.body for request in server.requests] == [b"a=1"] * requests


def test_a_repetition_that_would_pass_the_deadline_is_not_begun(serve, outbound):
    server = serve(answering(reply("503 No")))
    started = time.monotonic()
    with pytest.raises(UpstreamStatus):
        outbound(server.url, deadline_s=0.5).request("GET", "/", doing="asking", attempts=50)
    assert time.monotonic() - started < 0.5
    assert 1 < len(server.requests) < 10


def test_nothing_was_sent_to_a_port_nobody_listens_at(outbound):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = outbound(f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(NotConnected, match=r"^Slide Score could not be reached while reading metadata\.$"):
            client.request("GET", "/", doing="reading metadata", attempts=2)


@pytest.mark.parametrize("garbage", [b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\x00\xff" * 10 + b"\r\n"])
def test_a_server_that_does_not_speak_http_is_an_upstream_error(serve, outbound, garbage):
    server = serve(lambda connection, request: connection.sendall(garbage) or False)
    with pytest.raises(Upstream):
        outbound(server.url).request("GET", "/", doing="reading metadata")


def test_threads_share_a_bounded_number_of_connections(serve, outbound):
    together = threading.Barrier(3)

    def answer(connection, request):
        together.wait(timeout=5)  # passes only when three requests are under way at once
        connection.sendall(reply())

    server = serve(answer)
    client = outbound(server.url, connections=3)
    with ThreadPoolExecutor(9) as threads:
        replies = list(threads.map(lambda n: client.request("GET", f"/{n}", doing="asking"), range(9)))
    assert [got.status for got in replies] == [200] * 9
    assert server.connections == 3


def test_connections_are_given_back_when_a_reply_is_refused(serve, outbound):
    server = serve(answering(reply("500 Error", b"x" * 100_000)))
    client = outbound(server.url, deadline_s=5, connections=1)
    for _ in range(3):
        with pytest.raises(UpstreamStatus):
            client.request("GET", "/", doing="asking")
    assert len(server.requests) == 3


def test_no_thread_stays_behind_a_reply(serve, outbound):
    others = set(threading.enumerate())
    client = outbound(serve(answering(reply())).url)
    client.request("GET", "/", doing="asking")
    timers = [thread for thread in set(threading.enumerate()) - others if isinstance(thread, threading.Timer)]
    for timer in timers:
        timer.join(timeout=1)
    assert not any(timer.is_alive() for timer in timers)


@pytest.fixture
def slides_test(monkeypatch):
    """Makes slides.example.org resolve to these addresses, one list for each time it is asked."""
    resolve = socket.getaddrinfo
    asked = []

    def names(*answers):
        def answer(host, port, *args, **kwargs):
            if host != "slides.example.org":
                return resolve(host, port, *args, **kwargs)
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in answers[len(asked) - 1]]

        monkeypatch.setattr("socket.getaddrinfo", answer)
        return asked

    return names


def test_every_connection_goes_to_the_address_that_was_checked(serve, outbound, slides_test):
    asked = slides_test(["127.0.0.1"], ["169.254.169.254"])
    server = serve(answering(reply(Connection="close")))
    client = outbound(f"http://slides.example.org:{server.port}")
    for _ in range(3):
        client.request("GET", "/", doing="asking")
    assert asked == ["slides.example.org"]
    assert {request.headers["host"] for request in server.requests} == {f"slides.example.org:{server.port}"}


def test_nothing_is_sent_to_a_private_address_that_was_not_listed(serve, slides_test):
    slides_test(["127.0.0.1"])
    server = serve(answering(reply()))
    origin = Origins.parse(f"https://*.example.org:{server.port}").match(f"https://slides.example.org:{server.port}")
    with pytest.raises(Forbidden):
        Outbound(origin, Deadline.after(5), platform="Slide Score")
    assert server.connections == 0
