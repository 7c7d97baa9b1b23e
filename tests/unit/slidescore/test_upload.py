"""The upload of a staged file: in ranges, on from where it broke, and not for ever."""

from __future__ import annotations

import base64
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outbounds import ORIGIN, Answering, refusal, reply

from annohooks.core.errors import DeadlineExceeded, Unavailable, Upstream, UpstreamTimeout
from annohooks.core.staging import Staged
from annohooks.slidescore import upload as module
from annohooks.slidescore.upload import upload

RANGE_BYTES, PAUSE_S = module._CHUNK_BYTES, module._PAUSE_S
METADATA = {"uploadtoken": "FEU1", "apitoken": "canary"}


class InMemory:
    """A staging bucket with one file."""

    def __init__(self, content):
        self.content = content
        self.reads = []

    def read(self, staged, start, length):
        assert 0 <= start < staged.size
        self.reads.append((start, length))
        return self.content[start : start + length]


class Server:
    """The upload end of a server. breaks: for each PATCH in turn, what becomes of it; None is well."""

    def __init__(self, *breaks, location="/files/an-id", head=None):
        self.received = b""
        self.size = None
        self._breaks = list(breaks)
        self._location, self._head = location, head

    def __call__(self, asked):
        assert asked.headers["Tus-Resumable"] == "1.0.0"
        return {"POST": self._create, "PATCH": self._append, "HEAD": self._tell}[asked.method](asked)

    def _create(self, asked):
        assert asked.path == "/files/"
        self.size = int(asked.headers["Upload-Length"])
        return reply(status=201, **({"Location": self._location} if self._location else {}))

    def _append(self, asked):
        fate = self._breaks.pop(0) if self._breaks else None
        assert asked.headers["Content-Type"] == "application/offset+octet-stream"
        if int(asked.headers["Upload-Offset"]) != len(self.received):
            raise refusal(409)
        body = asked.options["body"]
        self.received += body[: len(body) // 2] if isinstance(fate, HalfWay) else body if fate is None else b""
        if isinstance(fate, Exception):
            raise fate
        return reply(status=204, **(fate or {"Upload_Offset": len(self.received)}))

    def _tell(self, asked):
        if isinstance(self._head, Exception):
            raise self._head
        return reply(**(self._head or {"Upload_Offset": len(self.received), "Upload_Length": self.size}))


class HalfWay(Upstream):
    """The connection broke when half of a range had arrived."""


BROKEN = Upstream("Slide Score broke the connection off while uploading the anno2.")


def run(server, size=100):
    outbound, staging = Answering(server), InMemory(random.Random(size).randbytes(size))
    return upload(outbound, staging, Staged("key", size), METADATA), outbound, staging


def failing(server, size=100):
    outbound, staging = Answering(server), InMemory(bytes(size))
    with pytest.raises(Upstream) as raised:
        upload(outbound, staging, Staged("key", size), METADATA)
    return raised.value, [asked.method for asked in outbound.asked]


@pytest.fixture(autouse=True)
def small_ranges_and_no_pauses(monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_BYTES", 40)
    monkeypatch.setattr(module, "_PAUSE_S", 0)


def test_a_range_fits_a_lambda_and_is_no_larger_than_slide_scores_own():
    assert 1_000_000 <= RANGE_BYTES <= 10_000_000


def test_file_arrives_in_ranges_and_its_id_is_the_last_part_of_its_address():
    server = Server()
    upload_id, outbound, staging = run(server)
    assert upload_id == "an-id"
    assert server.received == staging.content
    assert [asked.method for asked in outbound.asked] == ["POST", "PATCH", "PATCH", "PATCH"]
    assert staging.reads == [(0, 40), (40, 40), (80, 40)]


def test_tokens_go_along_encoded_as_the_protocol_has_it():
    _, outbound, _ = run(Server())
    pairs = dict(pair.split(" ") for pair in outbound.asked[0].headers["Upload-Metadata"].split(","))
    assert {key: base64.b64decode(value).decode() for key, value in pairs.items()} == METADATA
    assert "canary" not in str([asked.headers for asked in outbound.asked])


@pytest.mark.parametrize(
    "location",
    ["/files/an-id", f"{ORIGIN}/files/an-id", "/files/an-id/", "/files/an-id?x=1/2", f"{ORIGIN}/slides/files/an-id"],
)
def test_address_may_be_absolute_or_relative(location):
    upload_id, outbound, _ = run(Server(location=location))
    assert upload_id == "an-id"
    assert outbound.asked[1].path == location.removeprefix(ORIGIN)


@pytest.mark.parametrize("location", ["https://elsewhere.example/files/1", "//elsewhere.example/files/1"])
def test_address_on_another_server_gets_nothing(location):
    error, methods = failing(Server(location=location))
    assert "another server" in error.message
    assert methods == ["POST"]


def test_missing_address_is_an_error():
    error, methods = failing(Server(location=None))
    assert "did not say where" in error.message
    assert methods == ["POST"]


@pytest.mark.parametrize(
    "fate", [BROKEN, UpstreamTimeout("slow"), refusal(409), refusal(423), refusal(500), refusal(503), HalfWay("half")]
)
def test_upload_that_breaks_goes_on_from_where_the_server_says_it_stopped(fate):
    server = Server(None, fate, location="/files/an-id")
    upload_id, outbound, staging = run(server)
    assert upload_id == "an-id"
    assert server.received == staging.content
    assert [asked.method for asked in outbound.asked].count("HEAD") == 1


def test_range_whose_confirmation_was_lost_is_not_sent_again():
    class Confirming(Server):
        def _append(self, asked):
            super()._append(asked)
            if len(self.received) == 40:
                raise BROKEN
            return reply(status=204, Upload_Offset=len(self.received))

    server = Confirming()
    _, _, staging = run(server)
    assert server.received == staging.content
    assert staging.reads == [(0, 40), (40, 40), (80, 40)]


@given(st.lists(st.sampled_from([None, BROKEN, HalfWay("half"), refusal(500)]), max_size=4), st.integers(1, 200))
def test_whatever_breaks_up_to_four_times_the_file_arrives_whole(breaks, size):
    server = Server(*breaks)
    _, _, staging = run(server, size)
    assert server.received == staging.content


def test_upload_that_stays_broken_ends_with_its_error():
    error, methods = failing(Server(*[BROKEN] * 99))
    assert error is BROKEN
    assert methods.count("PATCH") == 5


def test_pauses_between_breaks_grow_and_leave_time_to_give_the_token_up(monkeypatch):
    pauses = []
    monkeypatch.setattr(module, "_PAUSE_S", PAUSE_S)
    monkeypatch.setattr("annohooks.slidescore.upload.time.sleep", pauses.append)
    failing(Server(*[BROKEN] * 99))
    assert len(pauses) == 4
    assert pauses == sorted(set(pauses))
    assert sum(pauses) < 5


def test_server_that_does_not_even_say_where_it_is_is_not_asked_for_ever():
    error, methods = failing(Server(*[BROKEN] * 99, head=UpstreamTimeout("slow")))
    assert error is BROKEN
    assert methods.count("PATCH") == 5


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 412, 413, 415])
def test_refusal_is_final(status):
    error, methods = failing(Server(refusal(status)))
    assert error.reply_status == status
    assert methods == ["POST", "PATCH"]


@pytest.mark.parametrize("status", [401, 404])
def test_refusal_to_say_where_it_stopped_is_final(status):
    error, methods = failing(Server(BROKEN, head=refusal(status)))
    assert error.reply_status == status
    assert methods == ["POST", "PATCH", "HEAD"]


@pytest.mark.parametrize("offset", [-1, 0, 41, 10**9, "", "x", "1.0", " 7"])
def test_server_that_confirms_what_it_cannot_have_is_asked_again_and_given_up(offset):
    error, methods = failing(Server(*[{"Upload_Offset": offset}] * 99))
    assert "lost count" in error.message
    assert methods.count("PATCH") == 5


@pytest.mark.parametrize("offset", [-1, 101, "", "x"])
def test_server_that_says_it_stopped_where_it_cannot_have_is_given_up(offset):
    error, methods = failing(Server(BROKEN, head={"Upload_Offset": offset}))
    assert "lost count" in error.message
    assert methods == ["POST", "PATCH", "HEAD"]


@pytest.mark.parametrize("error", [DeadlineExceeded("late"), Unavailable("The staging bucket could not be read.")])
def test_error_of_our_own_is_no_break(error):
    outbound, staging = Answering(Server(error)), InMemory(bytes(100))
    with pytest.raises(type(error)):
        upload(outbound, staging, Staged("key", 100), METADATA)
    assert [asked.method for asked in outbound.asked] == ["POST", "PATCH"]
