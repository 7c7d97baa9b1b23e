"""The media server serves files, whole or in part, and each of its faults does what its description says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from local.simulators.aiware import MEDIA_FAULTS, MediaServer

pytestmark = pytest.mark.thorough

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def media() -> Iterator[MediaServer]:
    with MediaServer() as media:
        media.add("a clip.mp4", CONTENT, "video/mp4")
        yield media


def fetch(media: MediaServer, method: str = "GET", **options: Any) -> urllib3.BaseHTTPResponse:
    return urllib3.request(method, media.url("a clip.mp4"), **{"retries": False, "timeout": 10, **options})


def test_other_files_and_other_methods_are_not_there(media):
    assert urllib3.request("GET", media.url("other")).status == 404
    assert fetch(media, "PUT").status == 405
    assert fetch(media, "HEAD").headers["Content-Length"] == str(len(CONTENT))


@pytest.mark.parametrize(
    ("asked", "part"),
    [("bytes=10-19", slice(10, 20)), ("bytes=10000-", slice(10000, None)), ("bytes=-5", slice(-5, None))],
)
def test_a_part_of_a_file_can_be_asked_for(media, asked, part):
    reply = fetch(media, headers={"Range": asked})
    start, stop, _ = part.indices(len(CONTENT))
    assert (reply.status, reply.data) == (206, CONTENT[part])
    assert reply.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(CONTENT)}"


class TestFaults:
    @pytest.mark.parametrize("fault", [name for name in MEDIA_FAULTS if name.startswith("status_")])
    def test_a_status_is_answered(self, media, fault):
        media.faults.plan(fault, skip=1)
        assert [fetch(media).status for _ in range(3)] == [200, int(fault[-3:]), 200]

    @pytest.mark.parametrize(("fault", "error"), [("drops", ProtocolError), ("slow", ReadTimeoutError)])
    def test_no_answer_comes(self, media, fault, error):
        media.faults.plan(fault)
        with pytest.raises(error):
            fetch(media, timeout=0.1)

    def test_it_comes_byte_by_byte(self, media):
        media.faults.plan("drip")
        with fetch(media, preload_content=False, decode_content=False) as reply:
            assert reply.headers["Content-Length"] == str(len(CONTENT))
            assert [reply.read(1) for _ in range(3)] == [b"\0", b"\1", b"\2"]

    def test_it_breaks_off(self, media):
        media.faults.plan("truncated")
        with pytest.raises(ProtocolError, match="5120 bytes read, 5120 more expected"):
            fetch(media)

    def test_it_announces_too_much(self, media):
        media.faults.plan("oversized")
        with fetch(media, preload_content=False, decode_content=False) as reply:
            assert reply.headers["Content-Length"] == str(8 << 30)
            assert reply.read(len(CONTENT)) == CONTENT

    def test_it_is_on_another_origin(self, media):
        media.faults.plan("redirect")
        reply = fetch(media, retries=1)
        assert reply.data == CONTENT
        assert [call.at_other_origin for call in media.calls] == [False, True]
        assert reply.geturl() == f"{media.other_origin}/edge/v1/chunk/a%20clip.mp4"

    def test_it_is_where_credentials_are(self, media):
        media.faults.plan("redirect_to_metadata")
        reply = fetch(media, redirect=False)
        assert (reply.status, reply.headers["Location"][:23]) == (302, "http://169.254.169.254/")
