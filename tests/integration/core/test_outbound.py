import gzip
import io
import logging
import socket
import struct
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest

from annohooks.core.deadline import Deadline
from annohooks.core.errors import BadRequest, DeadlineExceeded, Forbidden, Upstream, UpstreamStatus, UpstreamTimeout
from annohooks.core.http import ConnectionFailed, NotConnected, Outbound
from annohooks.core.origins import Origins

TOKEN = "token-canary-0123456789"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


def reply(status="200 OK", body=b"{}", **headers):
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    if "Content_Length" not in headers and "Transfer_Encoding" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def answering(*replies):
    """Answers with each reply in turn, then with the last for ever."""
    left = list(replies)

    def answer(connection, request):
        connection.sendall(left.pop(0) if len(left) > 1 else left[0])

    return answer


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


def test_a_reply_announced_larger_than_allowed_is_not_read(serve, outbound):
    def answer(connection, request):
        connection.sendall(reply(body=b"", Content_Length=10**12))
        server.stopped.wait(20)

    server = serve(answer)
    with pytest.raises(Upstream) as raised:
        outbound(server.url).request("GET", "/", doing="fetching pixels", max_bytes=1000)
    assert raised.value.message == "Slide Score sent more than 1000 bytes while fetching pixels."


@pytest.mark.parametrize("head", [b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"])
def test_a_reply_without_a_length_is_read_no_further_than_allowed(serve, outbound, head):
    sent = []
    piece = b"4000\r\n" + bytes(0x4000) + b"\r\n" if b"chunked" in head else bytes(0x4000)

    def answer(connection, request):
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        while not server.stopped.is_set():
            connection.sendall(piece)
            sent.append(len(piece))

    server = serve(answer)
    with pytest.raises(Upstream, match=r"sent more than 100000 bytes while fetching pixels"):
        outbound(server.url).request("GET", "/", doing="fetching pixels", max_bytes=100_000)
    assert sum(sent) < 64 * 1024 * 1024


@pytest.mark.parametrize("excess", [0, 1])
def test_the_size_limit_is_exact(serve, outbound, excess):
    chunked = b"%x\r\n" % (1000 + excess) + b"x" * (1000 + excess) + b"\r\n0\r\n\r\n"
    server = serve(answering(reply(body=b"x" * (1000 + excess)), reply(body=chunked, Transfer_Encoding="chunked")))
    client = outbound(server.url)
    for _ in range(2):
        if excess:
            with pytest.raises(Upstream):
                client.request("GET", "/", doing="fetching pixels", max_bytes=1000)
        else:
            assert client.request("GET", "/", doing="fetching pixels", max_bytes=1000).body == b"x" * 1000


def test_the_size_limit_counts_what_a_compressed_reply_expands_to(serve, outbound):
    server = serve(answering(reply(body=gzip.compress(bytes(10_000_000)), Content_Encoding="gzip")))
    with pytest.raises(Upstream, match="sent more than 100000 bytes"):
        outbound(server.url).request("GET", "/", doing="fetching pixels", max_bytes=100_000)


def test_a_compressed_reply_is_read_though_none_was_asked_for(serve, outbound):
    server = serve(answering(reply(body=gzip.compress(b"text" * 1000), Content_Encoding="gzip")))
    assert outbound(server.url).request("GET", "/", doing="fetching pixels").body == b"text" * 1000


def test_a_reply_that_only_claims_to_be_compressed_is_an_upstream_error(serve, outbound):
    server = serve(answering(reply(body=b"text", Content_Encoding="gzip")))
    with pytest.raises(Upstream, match=r"^Slide Score sent a reply that cannot be read while fetching pixels\.$"):
        outbound(server.url).request("GET", "/", doing="fetching pixels")


def resetting(connection, request):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return False


def cutting(connection, request):
    connection.sendall(reply(body=b"half", Content_Length=8))
    return False


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


def test_waiting_for_a_connection_ends_at_the_deadline(serve, outbound):
    server = serve(lambda connection, request: server.stopped.wait(20) and None)
    client = outbound(server.url, deadline_s=0.3, connections=1)
    with ThreadPoolExecutor(2) as threads:
        errors = [threads.submit(client.request, "GET", "/", doing="asking").exception(5) for _ in range(2)]
    assert [type(error) for error in errors] == [DeadlineExceeded, DeadlineExceeded]


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


def test_a_body_goes_into_a_file_from_where_it_stands(serve, outbound, tmp_path):
    server = serve(answering(reply(body=b"the media")))
    with (tmp_path / "media").open("w+b") as file:
        file.write(b"before ")
        got = outbound(server.url).request("GET", "/", doing="asking", into=file)
        assert got.body == b""
        file.seek(0)
        assert file.read() == b"before the media"


def test_what_a_broken_attempt_left_in_the_file_is_gone_with_the_next(serve, outbound):
    file = io.BytesIO()

    def answer(connection, request):
        if len(server.requests) > 1:
            connection.sendall(reply(body=b"it"))
            return True
        connection.sendall(reply(body=b"half of", Content_Length=100))
        return False

    server = serve(answer)
    outbound(server.url).request("GET", "/", doing="asking", into=file, attempts=2)
    assert (file.getvalue(), len(server.requests)) == (b"it", 2)


def test_a_file_gets_no_more_than_is_allowed(serve, outbound):
    server = serve(answering(reply(body=bytes(100))))
    file = io.BytesIO()
    with pytest.raises(Upstream, match="more than 10 bytes"):
        outbound(server.url).request("GET", "/", doing="asking", into=file, max_bytes=10)
    assert file.getvalue() == b""


def test_an_answer_whose_body_does_not_matter_is_taken_by_its_status(serve, outbound):
    server = serve(answering(reply("200 OK", b"drip", Content_Length=10**9)))
    got = outbound(server.url).request("POST", "/", doing="asking", body=b"{}", body_matters=False)
    assert (got.status, got.body) == (200, b"")
