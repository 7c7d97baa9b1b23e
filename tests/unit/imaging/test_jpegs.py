"""JPEGs as servers send them, complete and otherwise."""

from __future__ import annotations

import struct
from contextlib import suppress

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annohooks.imaging import decode
from annohooks.imaging.decode import NotAPicture

WIDTH, HEIGHT = 37, 21
END = b"\xff\xd9"


def gradient(height=HEIGHT, width=WIDTH):
    """Blue grows to the right, green downwards; uint8 BGR."""
    picture = np.full((height, width, 3), 90, np.uint8)
    picture[..., 0] = np.linspace(0, 255, width)
    picture[..., 1] = np.linspace(0, 255, height)[:, None]
    return picture


def encoded(*flags, picture=None):
    done, content = cv2.imencode(".jpg", gradient() if picture is None else picture, flags)
    assert done
    return content.tobytes()


BASELINE = encoded(cv2.IMWRITE_JPEG_QUALITY, 95)
PROGRESSIVE = encoded(cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
KINDS = {
    "baseline": BASELINE,
    "progressive": PROGRESSIVE,
    "with restart markers": encoded(cv2.IMWRITE_JPEG_RST_INTERVAL, 1),
}
kinds = pytest.mark.parametrize("jpeg", KINDS.values(), ids=KINDS)


def decoded(jpeg, max_pixels=10_000):
    return decode.jpeg(jpeg, max_pixels)


def segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def with_segment(jpeg, marker, content):
    """The JPEG with another segment after its start marker."""
    return jpeg[:2] + segment(marker, content) + jpeg[2:]


def with_size(jpeg, width, height):
    """The JPEG with another size in its frame header."""
    at = next(jpeg.find(bytes([0xFF, marker])) for marker in (0xC0, 0xC2) if bytes([0xFF, marker, 0, 17]) in jpeg)
    return jpeg[: at + 5] + struct.pack(">HH", height, width) + jpeg[at + 9 :]


@kinds
def test_jpeg_is_decoded_to_blue_green_red(jpeg):
    picture = decoded(jpeg, WIDTH * HEIGHT)
    assert (picture.shape, picture.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    assert np.abs(picture.astype(int) - gradient()).mean() < 12
    with pytest.raises(NotAPicture, match="over the limit"):
        decoded(jpeg, WIDTH * HEIGHT - 1)


def test_grey_jpeg_has_three_equal_channels():
    picture = decoded(encoded(picture=gradient()[..., 0]))
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert (picture[..., 0] == picture[..., 2]).all()


@kinds
def test_jpeg_that_ends_anywhere_before_its_end_is_refused(jpeg):
    assert jpeg.endswith(END)
    for length in range(2, len(jpeg) - 1):
        with pytest.raises(NotAPicture, match="ends too early"):
            decoded(jpeg[:length])


def test_end_marker_and_size_of_an_embedded_thumbnail_are_ignored():
    thumbnail = with_size(encoded(picture=gradient(8, 8)), 60_000, 60_000)
    jpeg = with_segment(BASELINE, 0xE1, b"Exif\0\0" + thumbnail)
    assert decoded(jpeg).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(NotAPicture, match="ends too early"):
        decoded(jpeg[:-2])


def test_exif_orientation_is_not_applied():
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    exif = b"Exif\0\0" + b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    assert np.array_equal(decoded(with_segment(BASELINE, 0xE1, exif)), decoded(BASELINE))


def test_fill_bytes_and_bytes_after_the_end_marker_are_ignored():
    assert decoded(BASELINE[:2] + b"\xff\xff\xff" + BASELINE[2:] + b"\0\0").shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"<!DOCTYPE html><html><body>Please log in</body></html>", b"GIF89a\1\0\1\0", BASELINE[1:]],
    ids=["nothing", "one byte", "a login page", "a GIF", "a JPEG without its first byte"],
)
def test_content_that_is_not_a_jpeg_is_refused(content):
    with pytest.raises(NotAPicture, match="not a JPEG"):
        decoded(content)


@pytest.mark.parametrize("jpeg", [BASELINE, PROGRESSIVE], ids=["baseline", "progressive"])
@pytest.mark.usefixtures("undecoded")
def test_size_is_checked_before_any_pixel_is_decoded(jpeg):
    with pytest.raises(NotAPicture, match="60000 x 60000 pixels is over the limit of 16000000 pixels"):
        decoded(with_size(jpeg, 60_000, 60_000), 16_000_000)


@pytest.mark.parametrize("marker", [0x00, 0x01, 0xD0, 0xD7, 0xD8, 0xD9])
@pytest.mark.usefixtures("undecoded")
def test_size_cannot_hide_behind_a_marker_without_a_length(marker):
    """A decoder continues right after such a marker. Reading a length there would skip the real size."""
    hidden = with_size(BASELINE, 20_000, 20_000)
    hiding = bytes([0xFF, marker]) + struct.pack(">H", len(hidden) - 2) + hidden[4:]
    with pytest.raises(NotAPicture):
        decoded(hidden[:2] + hiding + BASELINE[2:])


def test_jpeg_without_a_size_or_with_invalid_tables_is_refused():
    at = BASELINE.find(b"\xff\xdb")
    for broken in (with_size(BASELINE, WIDTH, 0), BASELINE[: at + 4] + b"\x77" * 65 + BASELINE[at + 69 :]):
        with pytest.raises(NotAPicture, match="cannot be decoded"):
            decoded(broken)


@given(st.integers(2, len(BASELINE) - 1), st.binary(min_size=1, max_size=8))
def test_damaged_jpeg_is_decoded_at_its_size_or_refused(at, damage):
    with suppress(NotAPicture):
        picture = decoded(BASELINE[:at] + damage + BASELINE[at + len(damage) :], 100_000)
        assert picture.size <= 300_000
        assert picture.ndim == 3


@pytest.mark.usefixtures("undecoded")
def test_jpeg_of_more_scans_than_any_camera_writes_is_refused_undecoded():
    """Each scan of a few bytes processes the whole picture once more."""
    first = PROGRESSIVE.index(b"\xff\xda")
    scan = PROGRESSIVE[first : PROGRESSIVE.index(b"\xff", first + 2 + 12)]
    scans = PROGRESSIVE.count(b"\xff\xda")
    for hidden in (b"", segment(0xFE, END)):  # an end marker in a comment ends nothing
        with pytest.raises(NotAPicture, match="a JPEG of more than 100 scans"):
            decoded(PROGRESSIVE[:-2] + hidden + scan * (101 - scans) + END)
