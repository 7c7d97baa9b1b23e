"""The size and the compression of replies, and files that they are written into."""

from __future__ import annotations

import gzip
import io

import pytest
from replies import answering, reply

from annohooks.core.errors import Upstream


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
