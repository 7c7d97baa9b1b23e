"""Pictures out of videos: the right one at each time, however it is reached, and nothing that a file should not do."""

from __future__ import annotations

import dataclasses
import itertools
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import cv2
import numpy as np
import pytest
import scenes
from hypothesis import example, given
from hypothesis import strategies as st

from annohooks.imaging import video
from annohooks.imaging.video import NotAVideo, StreamBroken

KINDS = {
    "mp4": "mp4v",
    "mov": "mp4v",
    "avi": "MJPG",
    "mkv": "mp4v",
    "webm": "VP80",
    "ts": "mpg2",
    "mpg": "mpg1",
    "flv": "FLV1",
    "ogv": "VP80",
    "wmv": "WMV2",
}
IRREGULAR_MS = [0, *itertools.accumulate(itertools.islice(itertools.cycle([40, 20, 100, 7, 33, 33, 900]), 99))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def videos(folder):
    """A hundred pictures in each kind of file."""
    return {
        kind: scenes.written(folder / f"hundred.{kind}", scenes.passing(100), codec=codec)
        for kind, codec in KINDS.items()
    }


@pytest.fixture(scope="module")
def irregular(folder, videos):
    """The same at irregular times, up to almost a second apart."""
    return scenes.at_times(videos["webm"], folder / "irregular.webm", IRREGULAR_MS)


@pytest.fixture(scope="module")
def minute(folder):
    """A minute, of 1500 pictures and 125 key frames."""
    return scenes.written(folder / "minute.mp4", scenes.passing(1500, (96, 64)))


@pytest.fixture(scope="module")
def few_keys(folder, minute):
    """The same with a key frame every ten seconds."""
    copy = folder / "few_keys.mp4"
    copy.write_bytes(minute.read_bytes())
    return scenes.with_keys(copy, every=21)


@pytest.fixture
def captures(monkeypatch):
    """What has been asked of OpenCV: each capture, with how often it grabbed, retrieved and sought."""
    made = []

    class Counted:
        def __init__(self, *given):
            self.inner = cv2_capture(*given)
            self.grabbed = self.retrieved = self.sought = 0
            self.released = False
            made.append(self)

        def grab(self):
            self.grabbed += 1
            return self.inner.grab()

        def retrieve(self):
            self.retrieved += 1
            return self.inner.retrieve()

        def set(self, what, value):
            self.sought += what == cv2.CAP_PROP_POS_FRAMES
            return self.inner.set(what, value)

        def release(self):
            self.released = True
            self.inner.release()

        def __getattr__(self, name):
            return getattr(self.inner, name)

    cv2_capture = cv2.VideoCapture
    monkeypatch.setattr("cv2.VideoCapture", Counted)
    return made


def expected(path, start_ms, stop_ms, step_ms):
    """From decoding everything: at each time the last picture that begins by then."""
    shown = sorted(scenes.timed(path), key=lambda each: each[0])
    for at_ms in range(-(-start_ms // step_ms) * step_ms, stop_ms, step_ms):
        yield at_ms, [picture for time_ms, picture in shown if time_ms <= at_ms + 0.5][-1]


def assert_same(found, wanted):
    for (at_ms, picture), (wanted_ms, wanted_picture) in zip(found, wanted, strict=True):
        assert at_ms == wanted_ms
        assert np.array_equal(picture, wanted_picture), at_ms


# ---- what is in a file


@pytest.mark.parametrize("kind", KINDS)
def test_size_duration_rate_and_number_of_frames_are_known_before_decoding(videos, kind):
    found = video.probe(videos[kind])
    assert (found.width, found.height) == (160, 120)
    assert (found.duration_ms, found.frames) == (4000, 100)
    assert found.fps == pytest.approx(25)
    assert found.is_whole


def test_probing_decodes_nothing(videos, captures):
    video.probe(videos["mp4"])
    assert [each.retrieved for each in captures] == [0]
    assert captures[0].released


def test_rate_of_an_irregular_video_is_the_average_one(irregular):
    found = video.probe(irregular)
    assert found.frames == 100
    assert found.times_ms.tolist() == pytest.approx(IRREGULAR_MS)
    assert found.fps == pytest.approx(100 / (IRREGULAR_MS[-1] + 0.033) * 1000, rel=0.01)


def test_duration_that_the_file_does_not_tell_is_that_of_its_pictures(folder, videos):
    content = bytearray(videos["webm"].read_bytes())
    content[content.index(b"\x44\x89\x88")] = 0xEC  # the element of the duration becomes one of padding
    live = folder / "live.webm"
    live.write_bytes(content)
    assert video.probe(live).duration_ms == 4000


def test_video_of_one_picture_lasts_as_long_as_its_rate_says(folder):
    one = video.probe(scenes.written(folder / "one.avi", scenes.passing(1), fps=5, codec="MJPG"))
    assert (one.frames, one.duration_ms) == (1, 200)
    assert [at_ms for at_ms, _ in video.frames(one, 0, 1000, 100)] == [0, 100]


def test_pictures_and_size_are_turned_as_the_file_says(folder):
    pictures = scenes.passing(3)
    turned = video.probe(scenes.turned(scenes.written(folder / "turned.mp4", pictures)))
    assert (turned.width, turned.height) == (120, 160)
    ((_, first),) = video.frames(turned, 0, 40, 40)
    assert first.shape == (160, 120, 3)
    assert np.abs(first.astype(int) - cv2.rotate(pictures[0], cv2.ROTATE_90_CLOCKWISE)).mean() < 10


# ---- the picture at a time


@pytest.mark.parametrize("step_ms", [40, 100, 333, 1000, 2500])
@pytest.mark.parametrize("kind", KINDS)
def test_each_sample_is_the_picture_that_is_shown_at_its_time(videos, kind, step_ms):
    found = video.probe(videos[kind])
    assert_same(video.frames(found, 0, found.duration_ms, step_ms), expected(videos[kind], 0, 4000, step_ms))


@given(st.integers(0, 20_000), st.integers(0, 6_000), st.integers(1, 3_000))
@example(6511, 465, 465)  # OpenCV lands where nothing can be read
def test_each_sample_of_an_irregular_video_is_the_picture_that_is_shown_at_its_time(
    irregular, start_ms, length_ms, step_ms
):
    found = video.probe(irregular)
    stop_ms = min(start_ms + length_ms, start_ms + 12 * step_ms, found.duration_ms)
    assert_same(video.frames(found, start_ms, stop_ms, step_ms), expected(irregular, start_ms, stop_ms, step_ms))


@given(st.integers(0, 60_000), st.integers(0, 20_000), st.integers(1, 10_000))
def test_however_a_sample_is_reached_it_is_the_same_picture(minute_in_order, start_ms, length_ms, step_ms):
    path, pictures = minute_in_order
    stop_ms = min(start_ms + length_ms, start_ms + 8 * step_ms, 60_000)
    for at_ms, picture in video.frames(video.probe(path), start_ms, stop_ms, step_ms):
        assert np.array_equal(picture, pictures[at_ms // 40])


@pytest.fixture(scope="module", params=["minute", "few_keys"])
def minute_in_order(request):
    path = request.getfixturevalue(request.param)
    return path, [picture for _, picture in scenes.timed(path)]


def test_samples_of_segments_are_those_of_the_whole(minute):
    found = video.probe(minute)
    whole = [at_ms for at_ms, _ in video.frames(found, 0, found.duration_ms, 700)]
    parts = [
        at_ms
        for start_ms in range(0, found.duration_ms, 9_999)
        for at_ms, _ in video.frames(found, start_ms, start_ms + 9_999, 700)
    ]
    assert whole == parts == list(range(0, 60_000, 700))


def test_there_are_no_samples_beyond_the_end_or_before_the_start(videos):
    found = video.probe(videos["mp4"])
    assert [at_ms for at_ms, _ in video.frames(found, 3_500, 99_000, 250)] == [3_500, 3_750]
    assert [at_ms for at_ms, _ in video.frames(found, -500, 500, 250)] == [0, 250]
    assert list(video.frames(found, 4_000, 9_000, 250)) == []


def test_picture_that_is_shown_at_several_samples_is_decoded_once(videos, captures):
    found = video.probe(videos["mp4"])
    samples = list(video.frames(found, 0, 400, 10))
    assert len(samples) == 40
    assert captures[-1].retrieved == captures[-1].grabbed == 10
    assert samples[0][1] is samples[3][1]


# ---- what is decoded


def test_samples_close_together_are_reached_by_going_on(minute, captures):
    found = video.probe(minute)
    assert len(list(video.frames(found, 0, found.duration_ms, 200))) == 300
    assert captures[-1].sought == 0
    assert captures[-1].grabbed == 1496
    assert captures[-1].retrieved == 300


def test_samples_far_apart_are_reached_from_the_key_frame_before(minute, captures):
    found = video.probe(minute)
    assert len(list(video.frames(found, 0, found.duration_ms, 5_000))) == 12
    assert captures[-1].sought == 11
    assert captures[-1].grabbed < 24


def test_key_frames_that_are_rarer_than_samples_are_not_gone_back_to(few_keys, captures):
    found = video.probe(few_keys)
    assert np.diff(found.keys).tolist() == [252] * 5
    assert len(list(video.frames(found, 0, found.duration_ms, 5_000))) == 12
    assert captures[-1].sought < 6
    assert captures[-1].grabbed > 500


def test_segment_begins_without_decoding_those_before_it(minute, captures):
    found = video.probe(minute)
    assert [at_ms for at_ms, _ in video.frames(found, 50_000, 50_100, 100)] == [50_000]
    assert captures[-1].sought == 1
    assert captures[-1].grabbed < 3


def test_file_is_closed_when_no_more_pictures_are_wanted(videos, captures):
    samples = video.frames(video.probe(videos["mp4"]), 0, 4_000, 100)
    next(samples)
    assert not captures[-1].released
    samples.close()
    assert captures[-1].released


def test_several_threads_read_one_video_at_once(minute):
    found = video.probe(minute)

    def read(start_ms):
        return [picture.tobytes() for _, picture in video.frames(found, start_ms, start_ms + 10_000, 1_000)]

    starts = range(0, 60_000, 10_000)
    with ThreadPoolExecutor(6) as pool:
        at_once = list(pool.map(read, starts))
    assert at_once == [read(start_ms) for start_ms in starts]


# ---- files that break off


@pytest.mark.parametrize("kind", ["avi", "mkv", "webm"])
def test_video_that_breaks_off_gives_what_it_has_and_says_how_far_it_got(folder, videos, kind):
    content = videos[kind].read_bytes()
    cut = folder / f"cut.{kind}"
    cut.write_bytes(content[: len(content) * 6 // 10])
    found = video.probe(cut)
    assert not found.is_whole
    assert 1_500 < found.duration_ms < 3_500
    samples = video.frames(found, 0, 4_000, 200)
    readable = range(0, found.duration_ms, 200)
    assert [at_ms for at_ms, _ in itertools.islice(samples, len(readable))] == list(readable)
    with pytest.raises(StreamBroken, match=f"a video that breaks off after {found.duration_ms} ms") as broken:
        next(samples)
    assert broken.value.reached_ms == found.duration_ms


def test_segment_before_the_place_where_a_video_breaks_off_is_whole(folder, videos):
    content = videos["avi"].read_bytes()
    cut = folder / "cut_later.avi"
    cut.write_bytes(content[: len(content) * 6 // 10])
    assert [at_ms for at_ms, _ in video.frames(video.probe(cut), 0, 1_000, 500)] == [0, 500]


@pytest.mark.parametrize("kind", ["mp4", "mov"])
def test_video_whose_index_is_cut_off_is_refused(folder, videos, kind):
    content = videos[kind].read_bytes()
    cut = folder / f"without_index.{kind}"
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(NotAVideo, match="a video that ends too early"):
        video.probe(cut)


def test_frames_that_cannot_be_decoded_end_a_video_or_are_passed_over(folder, minute):
    content = bytearray(minute.read_bytes())
    content[len(content) // 2 : len(content) * 3 // 4] = bytes(len(content) * 3 // 4 - len(content) // 2)
    damaged = folder / "damaged.mp4"
    damaged.write_bytes(content)
    found = video.probe(damaged)
    times = []
    with suppress(StreamBroken):
        times.extend(at_ms for at_ms, _ in video.frames(found, 0, 20_000, 500))
        times.extend(at_ms for at_ms, _ in video.frames(found, 20_000, found.duration_ms, 500))
    assert times[:40] == list(range(0, 20_000, 500))


def test_frame_that_cannot_be_decoded_ends_a_video_at_the_one_before(videos, monkeypatch):
    """As a file is that lost its last part after it was probed."""
    found = video.probe(videos["mp4"])

    class Failing:
        def __init__(self, *given):
            self.inner = cv2_capture(*given)
            self.left = 50

        def grab(self):
            self.left -= 1
            return self.left >= 0 and self.inner.grab()

        def __getattr__(self, name):
            return getattr(self.inner, name)

    cv2_capture = cv2.VideoCapture
    monkeypatch.setattr("cv2.VideoCapture", Failing)
    samples = video.frames(found, 0, 4_000, 400)
    assert [at_ms for at_ms, _ in itertools.islice(samples, 5)] == [0, 400, 800, 1_200, 1_600]
    with pytest.raises(StreamBroken) as broken:
        next(samples)
    assert broken.value.reached_ms == 2_000


@given(data=st.data())
def test_damaged_file_is_read_or_refused(folder, videos, data):
    kind = data.draw(st.sampled_from(sorted(KINDS)))
    content = bytearray(videos[kind].read_bytes())
    for at in data.draw(st.lists(st.integers(0, min(len(content), 4_000) - 1), min_size=1, max_size=8)):
        content[at] = data.draw(st.integers(0, 255))
    damaged = folder / f"any.{kind}"
    damaged.write_bytes(content)
    try:
        found = video.probe(damaged)
        assert 0 < found.frames <= 200
        for at_ms, picture in itertools.islice(video.frames(found, 0, found.duration_ms, 1_000), 5):
            assert 0 <= at_ms < found.duration_ms
            assert picture.ndim == 3
    except NotAVideo:
        return


# ---- what is no video, and what would open something else


def playlist(where):
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{where}\n#EXT-X-ENDLIST\n".encode()


NO_VIDEOS = {
    "nothing": b"",
    "one byte": b"\x47",
    "a login page": b"<!DOCTYPE html><html><body>Please log in</body></html>",
    "json": b'{"success": false}',
    "a picture": cv2.imencode(".png", scenes.passing(1)[0])[1].tobytes(),
    "a sound": b"ID3\x04\0\0\0\0\0\0" + bytes(1000),
    "a playlist": playlist("segment.ts"),
    "a list of files": b"ffconcat version 1.0\nfile segment.ts\n",
    "a session": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    "a manifest": b'<?xml version="1.0"?><MPD><Period></Period></MPD>',
    "a WAV": b"RIFF\x24\0\0\0WAVEfmt " + bytes(100),
}


@pytest.mark.parametrize("content", NO_VIDEOS.values(), ids=NO_VIDEOS)
def test_what_is_no_video_is_refused_before_ffmpeg_sees_it(tmp_path, captures, content):
    file = tmp_path / "media.mp4"
    file.write_bytes(content)
    with pytest.raises(NotAVideo, match="a file of a format that is not supported"):
        video.probe(file)
    assert captures == []


@pytest.mark.parametrize(
    "begins", [b"\0\0\0\x18ftypisom", b"\x1a\x45\xdf\xa3", b"RIFF\x24\0\0\0AVI ", b"FLV\x01\x01", b"OggS"]
)
def test_what_only_begins_like_a_video_is_refused(tmp_path, begins):
    file = tmp_path / "media"
    file.write_bytes(begins + b"nothing that follows is of that format. " * 20)
    with pytest.raises(NotAVideo, match=r"that (cannot be decoded|ends too early)"):
        video.probe(file)


def test_file_that_is_not_there_is_refused(tmp_path):
    for path in (tmp_path / "none.mp4", tmp_path):
        with pytest.raises(NotAVideo, match="a file that cannot be read"):
            video.probe(path)


def test_video_without_a_picture_is_refused(tmp_path):
    capture_size = (160, 120)
    file = tmp_path / "none.avi"
    cv2.VideoWriter(str(file), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 25, capture_size).release()
    with pytest.raises(NotAVideo):
        video.probe(file)


def test_video_of_too_large_pictures_is_refused_undecoded(videos, captures, monkeypatch):
    monkeypatch.setattr(video, "MAX_PIXELS", 160 * 120 - 1)
    with pytest.raises(NotAVideo, match="a video of 160 x 120 pixels, over the limit of 19199 pixels"):
        video.probe(videos["mp4"])
    assert captures[-1].grabbed == 0


def test_video_of_too_many_frames_is_refused(videos, monkeypatch):
    monkeypatch.setattr(video, "MAX_FRAMES", 99)
    with pytest.raises(NotAVideo, match="a video of more than 99 frames"):
        video.probe(videos["mp4"])


def test_video_whose_times_go_on_for_ever_is_refused(folder, videos):
    endless = scenes.at_times(videos["webm"], folder / "endless.webm", [0, 40, 80, 200_000_000])
    with pytest.raises(NotAVideo, match="a video that lasts longer than 48 hours"):
        video.probe(endless)


@pytest.fixture
def server():
    """A socket that notes who connects; asking `connected` waits until what connected before has been noted."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        seen = []
        noted = threading.Event()

        def listen():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    asked = connection.recv(1000)
                if asked == b"is anyone else here?":
                    noted.set()
                    return
                seen.append(asked)

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()

        def connected():
            with socket.create_connection(listening.getsockname()) as last:
                last.sendall(b"is anyone else here?")
            assert noted.wait(30)
            return seen

        yield listening.getsockname()[1], connected


def lists(where):
    """Files that name another."""
    return {
        "a playlist": ("list.m3u8", playlist(where)),
        "a list of files": ("list.ffconcat", f"ffconcat version 1.0\nfile '{where}'\n".encode()),
        "a manifest": (
            "list.mpd",
            f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" mediaPresentationDuration="PT4S"><Period>'
            f'<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{where}</BaseURL>'
            "</Representation></AdaptationSet></Period></MPD>".encode(),
        ),
    }


@pytest.mark.parametrize("kind", lists(""))
def test_list_that_names_a_server_is_not_followed_even_if_taken_for_a_video(tmp_path, monkeypatch, server, kind):
    port, connected = server
    name, content = lists(f"http://127.0.0.1:{port}/segment.ts")[kind]
    file = tmp_path / name
    file.write_bytes(content)
    monkeypatch.setattr(video, "_container", lambda head: "stream")
    with pytest.raises(NotAVideo, match="a video that cannot be decoded"):
        video.probe(file)
    assert connected() == []


def test_ffmpeg_would_follow_a_list_if_it_were_let(tmp_path, monkeypatch, server):
    """What the test above proves: the same socket does see who comes."""
    port, connected = server
    file = tmp_path / "list.m3u8"
    file.write_bytes(playlist(f"http://127.0.0.1:{port}/segment.ts"))
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "protocol_whitelist;file,http,tcp")
    cv2.VideoCapture(str(file), cv2.CAP_FFMPEG).release()
    assert connected()[0].startswith(b"GET /segment.ts")


def test_list_that_names_a_file_is_not_followed_even_if_taken_for_a_video(tmp_path, monkeypatch, videos):
    monkeypatch.setattr(video, "_container", lambda head: "stream")
    for where in (f"file://{videos['ts']}", str(videos["ts"])):
        for name, content in lists(where).values():
            (tmp_path / name).write_bytes(content)
            with pytest.raises(NotAVideo, match="a video that cannot be decoded"):
                video.probe(tmp_path / name)
    monkeypatch.delenv("OPENCV_FFMPEG_CAPTURE_OPTIONS")
    assert cv2.VideoCapture(str(tmp_path / "list.m3u8"), cv2.CAP_FFMPEG).isOpened()


def test_name_of_a_file_is_never_taken_for_an_address_or_a_pattern(tmp_path, monkeypatch, videos, server):
    port, connected = server
    monkeypatch.chdir(tmp_path)
    for name in ("frame_%03d.mp4", "concat:other.mp4", f"tcp:127.0.0.1:{port}"):
        file = tmp_path / name
        file.write_bytes(videos["mp4"].read_bytes())
        assert video.probe(file.relative_to(tmp_path)).frames == 100
    assert connected() == []


# ---- what would take more memory than the file is worth


def with_number(path, kind, at, number, width=4):
    """An MP4 with another number in the first table of a kind, so many bytes after the table's flags."""
    content = bytearray(path.read_bytes())
    start = content.index(kind) + 8 + at
    content[start : start + width] = number.to_bytes(width)
    changed = path.with_name(f"changed_{kind.decode()}_{at}.mp4")
    changed.write_bytes(content)
    return changed


def refused_unopened(path, captures, told):
    del captures[:]
    with pytest.raises(NotAVideo, match=told):
        video.probe(path)
    assert captures == []


def test_mp4_of_more_samples_than_allowed_is_refused_unopened(videos, captures):
    endless = with_number(videos["mp4"], b"stsz", 4, 60_000_000)
    refused_unopened(endless, captures, "a video of more than 10000000 frames")
    content = endless.read_bytes()
    at = content.index(b"stsz") + 8
    endless.write_bytes(content[:at] + (1).to_bytes(4) + content[at + 4 :])
    refused_unopened(endless, captures, "a video that announces more than the file can hold")


def test_mp4_of_more_samples_a_chunk_than_the_file_holds_is_refused_unopened(videos, captures):
    refused_unopened(with_number(videos["mp4"], b"stsc", 8, 2**31), captures, "more than the file can hold")


@pytest.mark.parametrize("name", [b"cmov", b"free"])
def test_mp4_whose_index_is_hidden_is_refused_unopened(folder, videos, captures, name):
    hidden = folder / "hidden.mp4"
    hidden.write_bytes(videos["mp4"].read_bytes().replace(b"moov", name))
    refused_unopened(hidden, captures, "a video whose index is compressed or hidden")


def test_fragment_of_more_samples_than_allowed_is_refused_unopened(folder, videos, captures):
    def box(kind, content):
        return (8 + len(content)).to_bytes(4) + kind + content

    run = box(b"trun", bytes(4) + (60_000_000).to_bytes(4))
    fragments = folder / "fragments.mp4"
    fragments.write_bytes(videos["mp4"].read_bytes() + box(b"moof", box(b"traf", run)))
    refused_unopened(fragments, captures, "a video of more than 10000000 frames")


def test_pictures_of_another_size_than_announced_are_refused(videos):
    announced = dataclasses.replace(video.probe(videos["mp4"]), width=32, height=24)
    with pytest.raises(NotAVideo, match="a video whose pictures are not all of 32 x 24 pixels"):
        list(video.frames(announced, 0, 200, 40))
