"""The upload of a staged file in ranges, which continues after a broken connection, a limited number of times."""

from __future__ import annotations

import base64
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outbounds import ORIGIN, Answering, refusal, reply

from annohooks.core import retry
from annohooks.core.errors import DeadlineExceeded, Unavailable, Upstream, UpstreamTimeout
from annohooks.core.staging import Staged
from annohooks.slidescore import upload as module
from annohooks.slidescore.upload import upload

RANGE_BYTES = module._CHUNK_BYTES
METADATA = {"uploadtoken": "FEU1", "apitoken": "canary"}


class InMemory:
    """A staging bucket with one file."""

    def __init__(self, content):
        self.content, self.reads = content, []

    def read(self, staged, start, length):
        assert 0 <= start < staged.size
        self.reads.append((start, length))
        return self.content[start : start + length]


class Server:
    """The upload endpoints of a server. faults: for each PATCH in turn, an error or the reply's headers, or None."""

    def __init__(self, *faults, location="/files/an-id", head=None):
        self.received, self.size = b"", None
        self._faults, self._location, self._head = list(faults), location, head

    def __call__(self, request):
        assert request.headers["Tus-Resumable"] == "1.0.0"
        return {"POST": self._create, "PATCH": self._append, "HEAD": self._offset}[request.method](request)

    def _create(self, request):
        assert request.path == "/files/"
        self.size = int(request.headers["Upload-Length"])
        return reply(status=201, **({"Location": self._location} if self._location else {}))

    def _append(self, request):
        fault = self._faults.pop(0) if self._faults else None
        assert request.headers["Content-Type"] == "application/offset+octet-stream"
        if int(request.headers["Upload-Offset"]) != len(self.received):
            raise refusal(409)
        body = request.options["body"]
        if fault is HALF_SENT:
            self.received += body[: len(body) // 2]
        elif fault is None or fault is REPLY_LOST:
            self.received += body
        if isinstance(fault, Exception):
            raise fault
        return reply(status=204, **(fault or {"Upload_Offset": len(self.received)}))

    def _offset(self, request):
        if isinstance(self._head, Exception):
            raise self._head
        return reply(**(self._head or {"Upload_Offset": len(self.received), "Upload_Length": self.size}))


BROKEN = Upstream("Slide Score broke the connection off while uploading the anno2.")
HALF_SENT, REPLY_LOST = Upstream("after half of a range"), Upstream("before the reply arrived")


def uploaded(server, size=100):
    outbound, staging = Answering(server), InMemory(random.Random(size).randbytes(size))
    return upload(outbound, staging, Staged("key", size), METADATA), outbound, staging


def failure(server, kind=Upstream):
    """The error of an upload that fails, and the methods of its requests."""
    outbound, staging = Answering(server), InMemory(bytes(100))
    with pytest.raises(kind) as raised:
        upload(outbound, staging, Staged("key", 100), METADATA)
    return raised.value, [request.method for request in outbound.requests]


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """Ranges are small. Pauses are recorded, and take no time."""
    pauses = []
    monkeypatch.setattr(module, "_CHUNK_BYTES", 40)
    monkeypatch.setattr(retry, "sleep", pauses.append)
    return pauses


def test_the_file_arrives_in_ranges_and_its_id_is_the_last_part_of_its_url():
    server = Server()
    upload_id, outbound, staging = uploaded(server)
    assert upload_id == "an-id"
    assert server.received == staging.content
    assert [request.method for request in outbound.requests] == ["POST", "PATCH", "PATCH", "PATCH"]
    assert staging.reads == [(0, 40), (40, 40), (80, 40)]
    assert 1_000_000 <= RANGE_BYTES <= 10_000_000  # fits a Lambda, and is no larger than Slide Score's own


def test_the_tokens_are_sent_once_encoded_as_tus_metadata():
    _, outbound, _ = uploaded(Server())
    pairs = dict(pair.split(" ") for pair in outbound.requests[0].headers["Upload-Metadata"].split(","))
    assert {key: base64.b64decode(value).decode() for key, value in pairs.items()} == METADATA
    assert "canary" not in str([request.headers for request in outbound.requests])


@pytest.mark.parametrize("location", ["/files/an-id", "/files/an-id/?x=1/2", f"{ORIGIN}/slides/files/an-id"])
def test_the_upload_url_may_be_absolute_or_relative(location):
    upload_id, outbound, _ = uploaded(Server(location=location))
    assert upload_id == "an-id"
    assert outbound.requests[1].path == location.removeprefix(ORIGIN)


@pytest.mark.parametrize("location", ["https://elsewhere.example/files/1", "//elsewhere.example/files/1", None])
def test_an_upload_url_on_another_server_or_none_ends_the_upload(location):
    error, methods = failure(Server(location=location))
    assert ("another server" if location else "did not say where") in error.message
    assert methods == ["POST"]


@pytest.mark.parametrize("fault", [BROKEN, UpstreamTimeout("slow"), refusal(409), refusal(423), refusal(500)])
def test_a_broken_upload_continues_at_the_servers_offset(fault):
    server = Server(None, fault)
    _, outbound, staging = uploaded(server)
    assert server.received == staging.content
    assert [request.method for request in outbound.requests].count("HEAD") == 1


def test_a_range_whose_reply_was_lost_is_not_sent_again():
    _, _, staging = uploaded(Server(REPLY_LOST))
    assert staging.reads == [(0, 40), (40, 40), (80, 40)]


faults = st.sampled_from([None, BROKEN, HALF_SENT, REPLY_LOST, refusal(500)])


@given(st.lists(faults, max_size=4), st.integers(1, 200))
def test_the_file_arrives_whole_after_up_to_four_faults(faults, size):
    server = Server(*faults)
    _, _, staging = uploaded(server, size)
    assert server.received == staging.content


@pytest.mark.parametrize("head", [None, UpstreamTimeout("slow")], ids=["offset known", "offset unknown"])
def test_an_upload_that_stays_broken_ends_with_its_error_after_five_attempts(head, pauses):
    error, methods = failure(Server(*[BROKEN] * 99, head=head))
    assert error is BROKEN
    assert methods.count("PATCH") == 5
    assert len(pauses) == 4
    assert sum(pauses) < 5


@pytest.mark.parametrize("error", [*map(refusal, (400, 401, 404, 413)), DeadlineExceeded("late"), Unavailable("S3.")])
def test_a_refusal_or_an_error_on_our_side_ends_the_upload(error):
    assert failure(Server(error), type(error)) == (error, ["POST", "PATCH"])
    assert failure(Server(BROKEN, head=error), type(error)) == (error, ["POST", "PATCH", "HEAD"])


@pytest.mark.parametrize("offset", [-1, 0, 41, "", "x", "1.0"])
def test_a_reply_with_an_impossible_offset_counts_as_a_fault(offset):
    error, methods = failure(Server(*[{"Upload_Offset": offset}] * 99))
    assert "impossible upload offset" in error.message
    assert methods.count("PATCH") == 5


@pytest.mark.parametrize("offset", [-1, 101, "", "x"])
def test_an_impossible_offset_in_the_answer_to_head_ends_the_upload(offset):
    error, methods = failure(Server(BROKEN, head={"Upload_Offset": offset}))
    assert "impossible upload offset" in error.message
    assert methods == ["POST", "PATCH", "HEAD"]
