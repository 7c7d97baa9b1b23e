"""Pictures from an untrusted video file."""

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

MAX_PIXELS = 8192 * 4320
MAX_FRAMES = 10_000_000
MAX_HOURS = 48

# FFmpeg opens the files and servers that a playlist names. So only formats that contain their pictures are allowed, and
# only files. OpenCV reads the variable each time it opens a video, and has no other way to pass these options.
_FORMATS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf"
os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = f"protocol_whitelist;file|format_whitelist;{_FORMATS}"
os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"  # silent, because its messages quote the file

_HEAD_BYTES = 3 * 192
_MAX_BOXES = 2_000_000  # of an MP4; a hundred hours in fragments of two seconds have as many
_MAX_DEPTH = 10  # of nested boxes, as in FFmpeg
_PARENTS = frozenset(
    b"moov trak mdia minf stbl edts mvex moof traf udta meta ilst dinf tref sinf schi iprp ipro wave".split()
)
_SAMPLE_SIZES = (b"stsz", b"stz2")
_MAX_CHUNKS = 100_000
_SAME_MS = 0.5  # rounding: FFmpeg converts the times of the file twice
_SEEK_BACK = 16  # OpenCV goes to the last key frame that is at least this many frames before the requested one
_SEEK_COST = 8  # the cost of a seek, in decoded frames
_MAX_SEEKS = 3
_MAX_DAMAGED = 100  # frames in succession that cannot be decoded


class NotAVideo(ValueError):
    """The file is not a video that can be read. The message says why, and quotes nothing of the file."""


class StreamBroken(NotAVideo):
    """A video that breaks off. reached_ms: the end of the last picture that can be read."""

    def __init__(self, reached_ms: int) -> None:
        super().__init__(f"a video that breaks off after {reached_ms} ms")
        self.reached_ms = reached_ms


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """A video file that can be read.

    width, height: of its pictures, after the rotation that the file asks for. duration_ms: to the end of the last
    picture. fps: pictures per second, on average. frames: their number. times_ms: float64 [frames], the start of each
    frame from the start of the video, ascending. keys: int64 [K], the key frames, which are decoded without others.
    is_whole: False if the file is shorter than it announces.
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
    """The properties of a video file. The whole file is read, but no frame is decoded.

    Raises NotAVideo for formats other than MP4, QuickTime, Matroska, WebM, AVI, MPEG-TS, MPEG-PS, FLV, Ogg and ASF,
    which are recognised by their content, and for videos without pictures, with pictures above MAX_PIXELS, with more
    than MAX_FRAMES, or longer than MAX_HOURS. The tables of an MP4 are checked before FFmpeg allocates memory for them.
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
        width, height = (int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > MAX_PIXELS:
            raise NotAVideo(f"a video of {width} x {height} pixels, over the limit of {MAX_PIXELS} pixels")
        fps = capture.get(cv2.CAP_PROP_FPS)
        times_ms, keys = _index(capture)
    if len(times_ms) == 0 or not len(keys):
        raise NotAVideo("a video without a picture")
    if len(times_ms) > 1:
        duration_ms = times_ms[-1] + float(np.median(np.diff(times_ms)))
    else:
        duration_ms = 1000 / fps if fps > 0 else 0.0
    duration = max(1, round(duration_ms))
    if duration > MAX_HOURS * 3_600_000:
        raise NotAVideo(f"a video that lasts longer than {MAX_HOURS} hours")
    return Video(
        path, width, height, duration, 1000 * len(times_ms) / duration, len(times_ms), times_ms, keys, is_whole
    )


def frames(video: Video, start_ms: int, stop_ms: int, step_ms: int) -> Iterator[tuple[int, Picture]]:
    """The pictures at the multiples of step_ms with start_ms <= at_ms < stop_ms, as (at_ms, picture).

    at_ms counts from the start of the video, and ends with the video. Pictures must not be altered. The reader seeks to
    a key frame if this decodes fewer frames than going on. Raises StreamBroken, after all pictures before it, where the
    file breaks off or can no longer be decoded; NotAVideo for a picture of another size than the file announces. Such a
    picture has been decoded before, because FFmpeg's `max_pixels` has no effect in the options that OpenCV passes.
    """
    first = max(0, -(-start_ms // step_ms)) * step_ms
    with _opened(video.path) as capture:
        reader = _Reader(capture, video)
        for at_ms in range(first, min(stop_ms, video.duration_ms), step_ms):
            yield at_ms, reader.shown(at_ms)
    if not video.is_whole and stop_ms >= video.duration_ms:
        raise StreamBroken(video.duration_ms)


class _Reader:
    """Reads a video forwards."""

    def __init__(self, capture: cv2.VideoCapture, video: Video) -> None:
        self._capture, self._video = capture, video
        self._number = -1  # of the frame decoded last, in the order they are shown
        self._shown: tuple[int, Picture] | None = None

    def shown(self, at_ms: int) -> Picture:
        """The picture that is shown at at_ms: the last one that starts at or before it."""
        number = self._frame_at(at_ms)
        if self._shown is None or self._shown[0] < number:
            self._advance(number)
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

    def _advance(self, number: int) -> None:
        """Decodes until the frame of that number, from the current frame or from a key frame."""
        if number - self._key(number - _SEEK_BACK) + _SEEK_COST < number - self._number:
            self._seek(number)
            if self._decode_to(number):
                return
            self._rewind()  # near the end of an irregular video, OpenCV may seek to where nothing can be read
        if not self._decode_to(number):
            raise self._broken()

    def _decode_to(self, number: int) -> bool:
        """Decodes until the frame of that number. Returns whether it was reached."""
        damaged = 0
        while self._number < number:
            if self._capture.grab():
                self._number, damaged = self._frame_at(self._capture.get(cv2.CAP_PROP_POS_MSEC)), 0
            else:
                damaged += 1
                if damaged > _MAX_DAMAGED:
                    return False
        return True

    def _rewind(self) -> None:
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
        self._number = -1

    def _seek(self, number: int) -> None:
        """Seeks to a frame at or before that number, so that decoding starts at a key frame near it.

        OpenCV computes the time of a frame from its number and the average rate, and counts from the key frame. If the
        rate varies, this goes too far; then an earlier key frame is tried.
        """
        per_ms = self._capture.get(cv2.CAP_PROP_FPS) / 1000
        key = self._key(number - _SEEK_BACK)
        for _ in range(_MAX_SEEKS):
            ahead = number - key
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, round(self._video.times_ms[key] * per_ms) + ahead + 1)
            self._number = self._frame_at(self._capture.get(cv2.CAP_PROP_POS_MSEC))
            if self._number <= number:
                return
            key = self._key(key - _SEEK_BACK)
        self._rewind()

    def _key(self, number: int) -> int:
        """The last key frame at or before that number, or the first key frame."""
        keys = self._video.keys
        return int(keys[max(0, int(np.searchsorted(keys, number, side="right")) - 1)])

    def _frame_at(self, time_ms: float) -> int:
        """The number of the frame that is shown at a time; 0 for an earlier time."""
        return max(0, int(np.searchsorted(self._video.times_ms, time_ms + _SAME_MS, side="right")) - 1)

    def _broken(self) -> StreamBroken:
        reached = self._number + 1
        times_ms = self._video.times_ms
        return StreamBroken(self._video.duration_ms if reached == len(times_ms) else round(times_ms[reached]))


@contextmanager
def _opened(path: Path, reason: str = "a video that cannot be decoded") -> Iterator[cv2.VideoCapture]:
    """A file opened by FFmpeg. Raises NotAVideo with the reason if FFmpeg cannot open it."""
    capture = cv2.VideoCapture(str(path.resolve()), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise NotAVideo(reason)
        yield capture
    finally:
        capture.release()


def _index(capture: cv2.VideoCapture) -> tuple[FloatArray, NDArray[np.int64]]:
    """The times of the frames in ms, ascending, and the numbers of the key frames. Nothing is decoded."""
    capture.set(cv2.CAP_PROP_FORMAT, -1)
    times, is_key = [], []
    while capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
        is_key.append(capture.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME) > 0)
        if len(times) > MAX_FRAMES:
            raise NotAVideo(f"a video of more than {MAX_FRAMES} frames")
    times_ms, first = np.unique(np.array(times), return_index=True)
    return times_ms, np.flatnonzero(np.array(is_key, bool)[first])


def _container(head: bytes) -> str:
    """The container format of a file, from its first bytes."""
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
    raise NotAVideo("a file of a format that is not supported")


def _is_whole(file: BinaryIO, size: int, container: str) -> bool:
    """Whether a file is as long as its outermost parts say; True for formats that do not say it."""
    position = 0
    for _ in range(_MAX_CHUNKS):
        if position >= size or container == "stream":
            break
        file.seek(position)
        length = _length(file.read(16), container)
        if length is None:
            break
        position += length
    return position <= size


def _length(head: bytes, container: str) -> int | None:
    """The length in bytes of the part that begins with head; None if it ends with the file or its length is unknown."""
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
        return 5 + more + length if more < 8 and length + 1 != 1 << bits else None  # all ones: unknown
    return None


@dataclass(slots=True)
class _Track:
    """The numbers that a track of an MP4 announces.

    constant_bytes: the size of all its samples, if they have one size. in_chunks: int64 [K, 2], the first chunk and the
    samples in each chunk from there on. durations: the length of each table of durations, and its first entry.
    """

    kinds: set[bytes] = field(default_factory=set)
    samples: int = 0
    constant_bytes: int = 0
    edits: int = 0
    chunks: int = 0
    in_chunks: NDArray[np.int64] | None = None
    durations: set[tuple[int, int]] = field(default_factory=set)

    def check(self, size: int) -> None:
        """Raises NotAVideo if FFmpeg would make longer lists than a file of size bytes justifies."""
        if self.constant_bytes > size or self._samples_in_chunks() > max(size, self.samples):
            raise NotAVideo("a video that announces more than the file can hold")
        is_pcm = self.kinds == {b"soun"} and self.durations == {(1, 1)}  # FFmpeg lists its chunks, not its samples
        if is_pcm:
            return
        if self.samples > MAX_FRAMES or (self.edits > 2 and self.samples * self.edits > MAX_FRAMES):
            raise NotAVideo(f"a video of more than {MAX_FRAMES} frames")

    def _samples_in_chunks(self) -> float:
        if self.in_chunks is None or not len(self.in_chunks):
            return 0
        first, number = self.in_chunks.T.astype(np.float64)
        return float((np.diff(first, append=max(self.chunks + 1, first[-1])).clip(0) * number).sum())


class _Boxes:
    """Checks the numbers of samples that the boxes of an MP4 or QuickTime file announce. It walks them as FFmpeg does.

    FFmpeg makes a list of all samples when it opens the file, and a table of a few bytes can announce four billion.
    Source: ISO/IEC 14496-12; Apple's QuickTime File Format.
    """

    def __init__(self, content: mmap.mmap) -> None:
        self._content, self._size = content, len(content)
        self._boxes = self._in_fragments = 0
        self._track: _Track | None = None

    def check(self) -> None:
        """Raises NotAVideo if a box announces too much."""
        self._walk(0, self._size, 0)

    def _walk(self, position: int, stop: int, depth: int) -> None:
        """Checks the boxes in order. A box that is longer than its parent, or has no length, ends with its parent."""
        if depth > _MAX_DEPTH:
            raise NotAVideo("a video whose parts are nested too deeply")
        while position + 8 <= stop:
            self._boxes += 1
            if self._boxes > _MAX_BOXES:
                raise NotAVideo(f"a video of more than {_MAX_BOXES} parts")
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
            self._walk(start, stop, depth + 1)
            self._track.check(self._size)
            self._track = outer
        elif kind == b"meta":
            self._meta(start, stop, depth)
        elif kind in _PARENTS:
            self._walk(start, stop, depth + 1)
        elif kind == b"trun":
            self._in_fragments += self._number(start + 4)
            if self._in_fragments > MAX_FRAMES:
                raise NotAVideo(f"a video of more than {MAX_FRAMES} frames")
        elif self._track is not None:
            self._table(self._track, kind, start, stop)

    def _meta(self, start: int, stop: int, depth: int) -> None:
        """Its boxes begin with `hdlr`, either at once or after four bytes."""
        for at in (start, start + 4):
            if self._content[at + 4 : at + 8] == b"hdlr":
                self._walk(at, stop, depth + 1)
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
            entry_bytes = 20 if self._content[start : start + 1] == b"\1" else 12
            track.edits += max(0, min(entries, (stop - start - 8) // entry_bytes))
        elif (
            kind == b"hdlr" and self._content[start + 4 : start + 8] != b"dhlr"
        ):  # `dhlr` is the handler of the data's location
            track.kinds.add(self._content[start + 8 : start + 12])
        elif kind == b"stsd":
            self._unknown(start, stop)

    def _unknown(self, start: int, stop: int) -> None:
        """Raises NotAVideo if a box of unknown structure contains a box that announces samples."""
        if any(self._content.find(kind, start, stop) >= 0 for kind in (*_SAMPLE_SIZES, b"stsc", b"trun", b"trak")):
            raise NotAVideo("a video with tables of samples in an unexpected place")

    def _number(self, at: int, width: int = 4) -> int:
        return int.from_bytes(self._content[at : at + width])
