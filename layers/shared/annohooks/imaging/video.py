"""Pictures from a video file that nobody vouches for."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.decode import Picture
from annohooks.imaging.outlines import FloatArray

MOST_PIXELS = 8192 * 4320
MOST_FRAMES = 10_000_000
MOST_HOURS = 48

# FFmpeg opens what a playlist names, be it another file or a server. It is left with formats that hold their pictures
# themselves, and with files. OpenCV reads the variable each time it opens one, and can be told in no other way.
_FORMATS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf"
os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = f"protocol_whitelist;file|format_whitelist;{_FORMATS}"
os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"  # nothing: its complaints quote the file, and belong in no log

_HEAD_BYTES = 3 * 192
_MOST_BOXES = 2_000_000  # of an MP4: what a hundred hours in fragments of two seconds take
_MOST_DEPTH = 10  # as FFmpeg
_HOLDERS = frozenset(
    b"moov trak mdia minf stbl edts mvex moof traf udta meta ilst dinf tref sinf schi iprp ipro wave".split()
)
_SAMPLE_SIZES = (b"stsz", b"stz2")
_MOST_CHUNKS = 100_000
_SAME_MS = 0.5  # times are what FFmpeg computes from the file's own, twice
_SEEK_BACK = 16  # OpenCV goes to the key frame at or before this many frames before the one asked for
_SEEK_COST = 8  # in frames, what it takes to start decoding anew
_MOST_SEEKS = 3
_MOST_DAMAGED = 100  # frames in a row that cannot be decoded


class NotAVideo(ValueError):
    """The file is no video that can be read; the message says why and names no content."""


class StreamBroken(NotAVideo):
    """A video that breaks off. reached_ms: where the last picture that could be read ends."""

    def __init__(self, reached_ms: int) -> None:
        super().__init__(f"a video that breaks off after {reached_ms} ms")
        self.reached_ms = reached_ms


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """A video file that can be read.

    width, height: of its pictures, turned as the file says. duration_ms: to the end of the last picture. fps: pictures
    per second, on average. frames: how many there are. times_ms: float64 [frames], when each is shown, from the video's
    start on, ascending. keys: int64 [K], which of them need no other to be decoded. is_whole: False for a file that
    ends before the end it announces.
    """

    path: Path
    width: int
    height: int
    duration_ms: int
    fps: float
    frames: int
    times_ms: FloatArray
    keys: NDArray[np.int64]
    is_whole: bool


def probe(path: Path) -> Video:
    """What a file holds, from reading it through without decoding it.

    Raises NotAVideo for anything but MP4, QuickTime, Matroska, WebM, AVI, MPEG-TS, MPEG-PS, FLV, Ogg and ASF, told by
    their content, and for those without pictures, with larger ones than MOST_PIXELS, with more than MOST_FRAMES, or
    longer than MOST_HOURS. What FFmpeg takes memory for when it opens an MP4 is looked at before.
    """
    try:
        with path.open("rb") as file:
            container = _container(file.read(_HEAD_BYTES))
            is_whole = _is_whole(file, path.stat().st_size, container)
            if container == "mp4":
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    _Boxes(content).check()
    except OSError:
        raise NotAVideo("a file that cannot be read") from None
    with _opened(path, "a video that cannot be decoded" if is_whole else "a video that ends too early") as capture:
        width, height = (int(capture.get(each)) for each in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > MOST_PIXELS:
            raise NotAVideo(f"a video of {width} x {height} pixels, over the limit of {MOST_PIXELS} pixels")
        fps = capture.get(cv2.CAP_PROP_FPS)
        times_ms, keys = _index(capture)
    if len(times_ms) == 0 or not len(keys):
        raise NotAVideo("a video without a picture")
    if len(times_ms) > 1:
        duration_ms = times_ms[-1] + float(np.median(np.diff(times_ms)))
    else:
        duration_ms = 1000 / fps if fps > 0 else 0.0
    duration = max(1, round(duration_ms))
    if duration > MOST_HOURS * 3_600_000:
        raise NotAVideo(f"a video that lasts longer than {MOST_HOURS} hours")
    return Video(
        path, width, height, duration, 1000 * len(times_ms) / duration, len(times_ms), times_ms, keys, is_whole
    )


def frames(video: Video, start_ms: int, stop_ms: int, step_ms: int) -> Iterator[tuple[int, Picture]]:
    """The picture shown at each multiple of step_ms with start_ms <= at < stop_ms, as (at, picture); not to be altered.

    at counts from the video's start; there are none from its end on. Decodes what it has to and no more: goes
    to a key frame where that takes fewer frames than going on, which is a matter of their distance and of step_ms.
    Raises StreamBroken, after all pictures before it, where the file breaks off or can no longer be decoded; NotAVideo
    at a picture of another size than the file announces, which has then been decoded: FFmpeg's `max_pixels` has no
    effect among the options that OpenCV passes on.
    """
    first = max(0, -(-start_ms // step_ms)) * step_ms
    with _opened(video.path) as capture:
        reader = _Reader(capture, video)
        for at_ms in range(first, min(stop_ms, video.duration_ms), step_ms):
            yield at_ms, reader.shown(at_ms)
    if not video.is_whole and stop_ms >= video.duration_ms:
        raise StreamBroken(video.duration_ms)


class _Reader:
    """Goes through a video, forwards."""

    def __init__(self, capture: cv2.VideoCapture, video: Video) -> None:
        self._capture, self._video = capture, video
        self._number = -1  # of the frame decoded last, in the order they are shown
        self._shown: tuple[int, Picture] | None = None

    def shown(self, at_ms: int) -> Picture:
        """The last picture whose time is at_ms or before."""
        number = self._at(at_ms)
        if self._shown is None or self._shown[0] < number:
            self._go(number)
            done, picture = self._capture.retrieve()
            if not done:
                raise self._broken()
            height, width = picture.shape[:2]
            if (width, height) != (self._video.width, self._video.height):
                raise NotAVideo(
                    f"a video whose pictures are not all of {self._video.width} x {self._video.height} pixels"
                )
            self._shown = self._number, picture.astype(np.uint8, copy=False)
        return self._shown[1]

    def _go(self, number: int) -> None:
        if number - self._key(number - _SEEK_BACK) + _SEEK_COST < number - self._number:
            self._seek(number)
            if self._reads_on(number):
                return
            self._rewind()  # near the end of an irregular video, OpenCV may land where nothing can be read
        if not self._reads_on(number):
            raise self._broken()

    def _reads_on(self, number: int) -> bool:
        """Decodes on until the frame of that number; whether it came so far."""
        damaged = 0
        while self._number < number:
            if self._capture.grab():
                self._number, damaged = self._at(self._capture.get(cv2.CAP_PROP_POS_MSEC)), 0
            else:
                damaged += 1
                if damaged > _MOST_DAMAGED:
                    return False
        return True

    def _rewind(self) -> None:
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
        self._number = -1

    def _seek(self, number: int) -> None:
        """Goes somewhere from a key frame to the frame of that number.

        OpenCV takes the time of a frame from its number and the average rate, and counts from the key frame on, which
        goes too far where the rate varies; then it is sent further back.
        """
        per_ms = self._capture.get(cv2.CAP_PROP_FPS) / 1000
        key = self._key(number - _SEEK_BACK)
        for _ in range(_MOST_SEEKS):
            ahead = number - key
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, round(self._video.times_ms[key] * per_ms) + ahead + 1)
            self._number = self._at(self._capture.get(cv2.CAP_PROP_POS_MSEC))
            if self._number <= number:
                return
            key = self._key(key - _SEEK_BACK)
        self._rewind()

    def _key(self, number: int) -> int:
        """The last key frame up to a frame of that number, or the first."""
        keys = self._video.keys
        return int(keys[max(0, int(np.searchsorted(keys, number, side="right")) - 1)])

    def _at(self, time_ms: float) -> int:
        """The number of the frame that is shown at a time; the first for a time before it."""
        return max(0, int(np.searchsorted(self._video.times_ms, time_ms + _SAME_MS, side="right")) - 1)

    def _broken(self) -> StreamBroken:
        reached = self._number + 1
        times_ms = self._video.times_ms
        return StreamBroken(self._video.duration_ms if reached == len(times_ms) else round(times_ms[reached]))


@contextmanager
def _opened(path: Path, otherwise: str = "a video that cannot be decoded") -> Iterator[cv2.VideoCapture]:
    """FFmpeg's view of a file. Raises NotAVideo, saying `otherwise`."""
    capture = cv2.VideoCapture(str(path.resolve()), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise NotAVideo(otherwise)
        yield capture
    finally:
        capture.release()


def _index(capture: cv2.VideoCapture) -> tuple[FloatArray, NDArray[np.int64]]:
    """Times of the frames in ms, ascending, and the numbers of key frames among them. Nothing is decoded."""
    capture.set(cv2.CAP_PROP_FORMAT, -1)
    times, is_key = [], []
    while capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
        is_key.append(capture.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME) > 0)
        if len(times) > MOST_FRAMES:
            raise NotAVideo(f"a video of more than {MOST_FRAMES} frames")
    times_ms, first = np.unique(np.array(times), return_index=True)
    return times_ms, np.flatnonzero(np.array(is_key, bool)[first])


def _container(head: bytes) -> str:
    """The format of a file, from its first bytes."""
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "mp4"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[:3] == b"FLV" or head[:4] in (b"OggS", b"\x00\x00\x01\xba", b"\x30\x26\xb2\x75"):
        return "stream"
    for packet, start in ((188, 0), (192, 4)):
        if len(head) > 2 * packet + start and all(head[start + packet * number] == 0x47 for number in range(3)):
            return "stream"
    raise NotAVideo("something that is no video of a format known here")


def _is_whole(file: BinaryIO, size: int, container: str) -> bool:
    """Whether a file is as long as its outermost parts say; True for formats that do not say."""
    position = 0
    for _ in range(_MOST_CHUNKS):
        if position >= size or container == "stream":
            break
        file.seek(position)
        length = _length(file.read(16), container)
        if length is None:
            break
        position += length
    return position <= size


def _length(head: bytes, container: str) -> int | None:
    """Bytes of the part that begins so, these included; None when it ends with the file, or there is no telling."""
    if container == "mp4" and head[4:8].isalnum():
        length = int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(head[8:])
        return length if length >= 8 else None
    if container == "avi" and head[:4] == b"RIFF":
        length = int.from_bytes(head[4:8], "little")
        return 8 + length + length % 2
    if container == "matroska" and head[:4] in (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67") and len(head) >= 12:
        more = 8 - head[4].bit_length()
        bits = 7 * (more + 1)
        length = int.from_bytes(head[4 : 5 + more]) & ((1 << bits) - 1)
        return 5 + more + length if more < 8 and length + 1 != 1 << bits else None  # all ones: not known
    return None


@dataclass(slots=True)
class _Track:
    """What a track of an MP4 announces. constant_bytes: of all its samples, where they are of one size."""

    kinds: set[bytes] = field(default_factory=set)
    samples: int = 0
    constant_bytes: int = 0
    edits: int = 0
    chunks: int = 0
    in_chunks: NDArray[np.int64] | None = None  # [K, 2]: from which chunk on there are how many samples in each
    durations: set[tuple[int, int]] = field(default_factory=set)  # entries of a table of them, and that of the first

    def check(self, size: int) -> None:
        """Raises NotAVideo for what FFmpeg would make a list of that the file, of size bytes, is not worth."""
        if self.constant_bytes > size or self._samples_in_chunks() > max(size, self.samples):
            raise NotAVideo("a video that announces more than the file can hold")
        is_pcm = self.kinds == {b"soun"} and self.durations == {(1, 1)}  # of which FFmpeg lists chunks, not samples
        if is_pcm:
            return
        if self.samples > MOST_FRAMES or (self.edits > 2 and self.samples * self.edits > MOST_FRAMES):
            raise NotAVideo(f"a video of more than {MOST_FRAMES} frames")

    def _samples_in_chunks(self) -> float:
        if self.in_chunks is None or not len(self.in_chunks):
            return 0
        first, number = self.in_chunks.T.astype(np.float64)
        return float((np.diff(first, append=max(self.chunks + 1, first[-1])).clip(0) * number).sum())


class _Boxes:
    """The boxes of an MP4 or QuickTime file, gone through as FFmpeg does, for the numbers of samples they announce.

    FFmpeg makes a list of all samples when it opens the file, and a table of a few bytes can announce four billion.
    Source: ISO/IEC 14496-12; Apple's QuickTime File Format.
    """

    def __init__(self, content: mmap.mmap) -> None:
        self._content, self._size = content, len(content)
        self._boxes = self._in_fragments = 0
        self._track: _Track | None = None

    def check(self) -> None:
        """Raises NotAVideo."""
        self._go(0, self._size, 0)

    def _go(self, position: int, stop: int, depth: int) -> None:
        """From one box to the next. One that is longer than what holds it, or of no length, ends with that."""
        if depth > _MOST_DEPTH:
            raise NotAVideo("a video whose parts are nested too deep")
        while position + 8 <= stop:
            self._boxes += 1
            if self._boxes > _MOST_BOXES:
                raise NotAVideo(f"a video of more than {_MOST_BOXES} parts")
            length, kind, start = self._number(position), self._content[position + 4 : position + 8], position + 8
            if length == 1:
                length, start = self._number(position + 8, 8), position + 16
            end = stop if length == 0 else min(stop, position + length)
            if end < start:
                return
            self._box(kind, start, end, depth)
            position = end

    def _box(self, kind: bytes, start: int, stop: int, depth: int) -> None:
        if kind == b"cmov" or (
            kind in (b"free", b"hoov") and self._content[start + 4 : start + 8] in (b"mvhd", b"cmov")
        ):
            raise NotAVideo("a video whose index is compressed or hidden")
        if kind == b"trak":
            outer, self._track = self._track, _Track()
            self._go(start, stop, depth + 1)
            self._track.check(self._size)
            self._track = outer
        elif kind == b"meta":
            self._meta(start, stop, depth)
        elif kind in _HOLDERS:
            self._go(start, stop, depth + 1)
        elif kind == b"trun":
            self._in_fragments += self._number(start + 4)
            if self._in_fragments > MOST_FRAMES:
                raise NotAVideo(f"a video of more than {MOST_FRAMES} frames")
        elif self._track is not None:
            self._table(self._track, kind, start, stop)

    def _meta(self, start: int, stop: int, depth: int) -> None:
        """Its boxes begin with `hdlr`, after four bytes or none."""
        for at in (start, start + 4):
            if self._content[at + 4 : at + 8] == b"hdlr":
                self._go(at, stop, depth + 1)
                return
        self._unknown(start, stop)

    def _table(self, track: _Track, kind: bytes, start: int, stop: int) -> None:
        entries = self._number(start + 4)
        if kind in _SAMPLE_SIZES:
            samples = self._number(start + 8)
            track.samples = max(track.samples, samples)
            if kind == b"stsz":
                track.constant_bytes = max(track.constant_bytes, entries * samples)
        elif kind == b"stts":
            track.durations.add((entries, self._number(start + 12)))
        elif kind in (b"stco", b"co64"):
            track.chunks = max(track.chunks, min(entries, (stop - start - 8) // (4 if kind == b"stco" else 8)))
        elif kind == b"stsc":
            whole = max(0, min(entries, (stop - start - 8) // 12))
            table = np.frombuffer(self._content[start + 8 : start + 8 + 12 * whole], ">u4").reshape(-1, 3)
            track.in_chunks = table[:, :2].astype(np.int64)
        elif kind == b"elst":
            each = 20 if self._content[start : start + 1] == b"\1" else 12
            track.edits += max(0, min(entries, (stop - start - 8) // each))
        elif kind == b"hdlr" and self._content[start + 4 : start + 8] != b"dhlr":  # not that of where the data are
            track.kinds.add(self._content[start + 8 : start + 12])
        elif kind == b"stsd":
            self._unknown(start, stop)

    def _unknown(self, start: int, stop: int) -> None:
        """What holds boxes somewhere, and none of those that announce samples."""
        if any(self._content.find(kind, start, stop) >= 0 for kind in (*_SAMPLE_SIZES, b"stsc", b"trun", b"trak")):
            raise NotAVideo("a video with tables where none belong")

    def _number(self, at: int, width: int = 4) -> int:
        return int.from_bytes(self._content[at : at + width])
