"""Files that are damaged, that are not videos, or that would make FFmpeg open something else or use much memory."""

from __future__ import annotations

import dataclasses
import itertools
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import cv2
import pytest
import scenes
from hypothesis import given
from hypothesis import strategies as st

from annohooks.imaging import video
from annohooks.imaging.video import NotAVideo, StreamBroken


def refused(path, message, content=None):
    """The file, with this content if there is any, is refused."""
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NotAVideo, match=message):
        video.probe(path)


@pytest.fixture
def cut(tmp_path, videos):
    """cut(kind, tenths): the first tenths of a video."""

    def cut(kind, tenths):
        content, path = videos[kind].read_bytes(), tmp_path / f"cut.{kind}"
        path.write_bytes(content[: len(content) * tenths // 10])
        return path

    return cut


# Files that break off


@pytest.mark.parametrize("kind", ["avi", "mkv", "webm"])
def test_video_that_breaks_off_is_read_as_far_as_possible_and_says_how_far(cut, kind):
    probed = video.probe(cut(kind, 6))
    assert not probed.is_whole
    assert 1_500 < probed.duration_ms < 3_500
    samples = video.frames(probed, 0, 4_000, 200)
    readable = range(0, probed.duration_ms, 200)
    assert [at_ms for at_ms, _ in itertools.islice(samples, len(readable))] == list(readable)
    with pytest.raises(StreamBroken, match=f"a video that breaks off after {probed.duration_ms} ms") as broken:
        next(samples)
    assert broken.value.reached_ms == probed.duration_ms
    assert [at_ms for at_ms, _ in video.frames(probed, 0, 1_000, 500)] == [0, 500]


@pytest.mark.parametrize("kind", ["mp4", "mov"])
def test_video_whose_index_is_cut_off_is_refused(cut, kind):
    refused(cut(kind, 5), "a video that ends too early")


def test_frames_that_cannot_be_decoded_end_a_video_or_are_skipped(tmp_path, videos):
    content, damaged = bytearray(videos["mp4"].read_bytes()), tmp_path / "damaged.mp4"
    content[len(content) // 2 : len(content) * 3 // 4] = bytes(len(content) * 3 // 4 - len(content) // 2)
    damaged.write_bytes(content)
    times_ms = []
    with suppress(StreamBroken):
        times_ms.extend(at_ms for at_ms, _ in video.frames(video.probe(damaged), 0, 1_000, 100))
        times_ms.extend(at_ms for at_ms, _ in video.frames(video.probe(damaged), 1_000, 4_000, 100))
    assert times_ms[:10] == list(range(0, 1_000, 100))


def test_frame_that_cannot_be_decoded_ends_a_video_at_the_one_before(videos, captures, monkeypatch):
    """The file lost its last part after it was probed."""
    probed = video.probe(videos["mp4"])
    monkeypatch.setattr(type(captures[0]), "grabs", 50)
    samples = video.frames(probed, 0, 4_000, 400)
    assert [at_ms for at_ms, _ in itertools.islice(samples, 5)] == [0, 400, 800, 1_200, 1_600]
    with pytest.raises(StreamBroken) as broken:
        next(samples)
    assert broken.value.reached_ms == 2_000


@given(data=st.data())
def test_damaged_file_is_read_or_refused(tmp_path_factory, videos, data):
    kind = data.draw(st.sampled_from(sorted(scenes.CODECS)))
    content = bytearray(videos[kind].read_bytes())
    for at in data.draw(st.lists(st.integers(0, min(len(content), 4_000) - 1), min_size=1, max_size=8)):
        content[at] = data.draw(st.integers(0, 255))
    damaged = tmp_path_factory.getbasetemp() / f"any.{kind}"
    damaged.write_bytes(content)
    with suppress(NotAVideo):
        probed = video.probe(damaged)
        assert 0 < probed.frames <= 200
        for at_ms, picture in itertools.islice(video.frames(probed, 0, probed.duration_ms, 1_000), 5):
            assert 0 <= at_ms < probed.duration_ms
            assert picture.ndim == 3


# Files that are not videos, or that name others


def playlist(target):
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n".encode()


NOT_VIDEOS = {
    "nothing": b"",
    "a login page": b"<!DOCTYPE html><html><body>Please log in</body></html>",
    "a sound": b"ID3\x04\0\0\0\0\0\0" + bytes(1000),
    "a playlist": playlist("segment.ts"),
    "a session": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    "a WAV": b"RIFF\x24\0\0\0WAVEfmt " + bytes(100),
}


@pytest.mark.parametrize("content", NOT_VIDEOS.values(), ids=NOT_VIDEOS)
def test_file_that_is_not_a_video_is_refused_before_ffmpeg_sees_it(tmp_path, captures, content):
    refused(tmp_path / "media.mp4", "a file of a format that is not supported", content)
    assert captures == []


@pytest.mark.parametrize("beginning", [b"\0\0\0\x18ftypisom", b"\x1a\x45\xdf\xa3", b"RIFF\x24\0\0\0AVI ", b"OggS"])
def test_file_that_only_begins_like_a_video_is_refused(tmp_path, beginning):
    content = beginning + b"nothing that follows is of that format. " * 20
    refused(tmp_path / "media", r"that (cannot be decoded|ends too early)", content)


def test_file_that_does_not_exist_or_has_no_picture_is_refused(tmp_path):
    for path in (tmp_path / "none.mp4", tmp_path):
        refused(path, "a file that cannot be read")
    file = tmp_path / "none.avi"
    cv2.VideoWriter(str(file), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 25, (160, 120)).release()
    refused(file, "a video")


@pytest.fixture
def server():
    """A port, and a function that returns what was sent to it before."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:

        def listen():
            received = []
            while b"last" not in received:
                connection, _ = listening.accept()
                with connection:
                    received.append(connection.recv(1000))
            return received[:-1]

        everything = pool.submit(listen)

        def all_received():
            with socket.create_connection(listening.getsockname()) as last:
                last.sendall(b"last")
            return everything.result(30)

        yield listening.getsockname()[1], all_received
        if not everything.done():
            all_received()


def lists(target):
    """Files that name another: name and content."""
    url = f'<Representation id="1" bandwidth="1"><BaseURL>{target}</BaseURL></Representation>'
    period = f'<Period><AdaptationSet mimeType="video/mp4">{url}</AdaptationSet></Period>'
    schema = 'xmlns="urn:mpeg:dash:schema:mpd:2011" mediaPresentationDuration="PT4S"'
    return {
        "list.m3u8": playlist(target),
        "list.ffconcat": f"ffconcat version 1.0\nfile '{target}'\n".encode(),
        "list.mpd": f'<?xml version="1.0"?><MPD {schema}>{period}</MPD>'.encode(),
    }


@pytest.mark.parametrize("name", lists(""))
def test_list_that_names_a_server_or_a_file_is_not_followed(tmp_path, monkeypatch, server, videos, name):
    """Even if it were taken for a video."""
    port, all_received = server
    monkeypatch.setattr(video, "_container", lambda head: "stream")
    for target in (f"http://127.0.0.1:{port}/segment.ts", f"file://{videos['ts']}", str(videos["ts"])):
        refused(tmp_path / name, "a video that cannot be decoded", lists(target)[name])
    assert all_received() == []


def test_ffmpeg_would_follow_a_list_without_the_restrictions(tmp_path, monkeypatch, server, videos):
    """So the test above proves something."""
    port, all_received = server
    file = tmp_path / "list.m3u8"
    file.write_bytes(playlist(f"http://127.0.0.1:{port}/segment.ts"))
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "protocol_whitelist;file,http,tcp")
    cv2.VideoCapture(str(file), cv2.CAP_FFMPEG).release()
    assert all_received()[0].startswith(b"GET /segment.ts")
    file.write_bytes(playlist(videos["ts"]))
    assert cv2.VideoCapture(str(file), cv2.CAP_FFMPEG).isOpened()


def test_name_of_a_file_is_never_taken_for_an_address_or_a_pattern(tmp_path, monkeypatch, videos, server):
    port, all_received = server
    monkeypatch.chdir(tmp_path)
    for name in ("frame_%03d.mp4", "concat:other.mp4", f"tcp:127.0.0.1:{port}"):
        file = tmp_path / name
        file.write_bytes(videos["mp4"].read_bytes())
        assert video.probe(file.relative_to(tmp_path)).frames == 100
    assert all_received() == []


# Videos that are too large


def test_video_of_too_large_pictures_is_refused_undecoded(videos, captures, monkeypatch):
    monkeypatch.setattr(video, "MAX_PIXELS", 160 * 120 - 1)
    refused(videos["mp4"], "a video of 160 x 120 pixels, over the limit of 19199 pixels")
    assert captures[-1].grabbed == 0


def test_video_of_too_many_frames_or_too_many_hours_is_refused(tmp_path, videos, monkeypatch):
    endless = scenes.at_times(videos["webm"], tmp_path / "endless.webm", [0, 40, 80, 200_000_000])
    refused(endless, "a video that lasts longer than 48 hours")
    monkeypatch.setattr(video, "MAX_FRAMES", 99)
    refused(videos["mp4"], "a video of more than 99 frames")


def test_pictures_of_another_size_than_announced_are_refused(videos):
    announced = dataclasses.replace(video.probe(videos["mp4"]), width=32, height=24)
    with pytest.raises(NotAVideo, match="a video whose pictures are not all of 32 x 24 pixels"):
        list(video.frames(announced, 0, 200, 40))


def number(kind, at, value):
    """A change of an MP4: another number in the first table of a kind, so many bytes after the table's flags."""

    def change(content):
        start = content.index(kind) + 8 + at
        return content[:start] + value.to_bytes(4) + content[start + 4 :]

    return change


def with_fragment(content):
    """An MP4 with a fragment of 60 million samples."""
    box = bytes(4) + (60_000_000).to_bytes(4)
    for kind in (b"trun", b"traf", b"moof"):
        box = (8 + len(box)).to_bytes(4) + kind + box
    return content + box


SAMPLES, TOO_MUCH = number(b"stsz", 4, 60_000_000), "a video that announces more than the file can hold"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([SAMPLES], "a video of more than 10000000 frames"),
        ([SAMPLES, number(b"stsz", 0, 1)], TOO_MUCH),
        ([number(b"stsc", 8, 2**31)], TOO_MUCH),
        ([with_fragment], "a video of more than 10000000 frames"),
        ([lambda content: content.replace(b"moov", b"cmov")], "a video whose index is compressed or hidden"),
        ([lambda content: content.replace(b"moov", b"free")], "a video whose index is compressed or hidden"),
    ],
    ids=["samples", "bytes", "samples in a chunk", "a fragment", "compressed", "hidden"],
)
def test_mp4_that_announces_too_much_is_refused_unopened(tmp_path, videos, captures, changes, message):
    content = videos["mp4"].read_bytes()
    for change in changes:
        content = change(content)
    refused(tmp_path / "changed.mp4", message, content)
    assert captures == []
