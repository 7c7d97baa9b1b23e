"""JPEGs as servers send them, whole and otherwise."""

from __future__ import annotations

import struct

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


def segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def with_segment(jpeg, marker, content):
    """The JPEG with a segment of our own after its start marker."""
    return jpeg[:2] + segment(marker, content) + jpeg[2:]


def exif_orientation(orientation):
    """An APP1 segment's content that says how the camera was held."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"Exif\0\0" + b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)


def with_size(jpeg, width, height):
    """The JPEG with another size in its frame header."""
    at = next(jpeg.find(bytes([0xFF, marker])) for marker in (0xC0, 0xC2) if bytes([0xFF, marker, 0, 17]) in jpeg)
    return jpeg[: at + 5] + struct.pack(">HH", height, width) + jpeg[at + 9 :]


@pytest.mark.parametrize("jpeg", KINDS.values(), ids=KINDS)
def test_jpeg_gives_its_pixels_in_blue_green_red(jpeg):
    picture = decode.jpeg(jpeg, max_pixels=WIDTH * HEIGHT)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert picture.dtype == np.uint8
    assert np.abs(picture.astype(int) - gradient()).mean() < 12


def test_grey_jpeg_gives_three_equal_channels():
    picture = decode.jpeg(encoded(picture=gradient()[..., 0]), max_pixels=10_000)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert (picture[..., 0] == picture[..., 2]).all()


@pytest.mark.parametrize("jpeg", KINDS.values(), ids=KINDS)
def test_jpeg_that_ends_anywhere_before_its_end_is_refused(jpeg):
    assert jpeg.endswith(END)
    for length in range(2, len(jpeg) - 1):
        with pytest.raises(NotAPicture, match="ends too early"):
            decode.jpeg(jpeg[:length], max_pixels=10_000)


def test_end_marker_of_an_embedded_thumbnail_is_not_the_pictures():
    jpeg = with_segment(BASELINE, 0xE1, b"Exif\0\0" + encoded(picture=gradient(8, 8)))
    assert decode.jpeg(jpeg, max_pixels=10_000).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(NotAPicture, match="ends too early"):
        decode.jpeg(jpeg[:-2], max_pixels=10_000)


def test_size_of_an_embedded_thumbnail_is_not_the_pictures():
    thumbnail = with_size(encoded(picture=gradient(8, 8)), 60_000, 60_000)
    assert decode.jpeg(with_segment(BASELINE, 0xE1, thumbnail), max_pixels=10_000).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_orientation_of_a_camera_is_not_applied(orientation):
    turned = decode.jpeg(with_segment(BASELINE, 0xE1, exif_orientation(orientation)), max_pixels=10_000)
    assert np.array_equal(turned, decode.jpeg(BASELINE, max_pixels=10_000))


def test_bytes_after_the_end_marker_and_fill_bytes_do_no_harm():
    jpeg = BASELINE[:2] + b"\xff\xff\xff" + BASELINE[2:] + b"\0\0"
    assert decode.jpeg(jpeg, max_pixels=10_000).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"<!DOCTYPE html><html><body>Please log in</body></html>",
        b'{"success": false}',
        b"GIF89a\1\0\1\0",
        cv2.imencode(".png", gradient())[1].tobytes(),
        BASELINE[1:],
    ],
    ids=["nothing", "one byte", "a login page", "json", "a gif", "a png", "a jpeg without its first byte"],
)
def test_what_is_not_a_jpeg_is_refused(content):
    with pytest.raises(NotAPicture, match="not a JPEG"):
        decode.jpeg(content, max_pixels=10_000)


@pytest.mark.parametrize("jpeg", [BASELINE, PROGRESSIVE], ids=["baseline", "progressive"])
def test_size_is_checked_before_any_pixel_is_decoded(jpeg, monkeypatch):
    monkeypatch.setattr("cv2.imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(NotAPicture, match="60000 x 60000 pixels is over the limit of 16000000 pixels"):
        decode.jpeg(with_size(jpeg, 60_000, 60_000), max_pixels=16_000_000)


def test_size_limit_is_the_largest_size_allowed():
    assert decode.jpeg(BASELINE, max_pixels=WIDTH * HEIGHT).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(NotAPicture, match="over the limit"):
        decode.jpeg(BASELINE, max_pixels=WIDTH * HEIGHT - 1)


@pytest.mark.parametrize("marker", [0x00, 0x01, 0xD0, 0xD7, 0xD8, 0xD9])
def test_size_cannot_hide_behind_a_marker_that_has_no_length(marker, monkeypatch):
    """A decoder reads on right after such a marker; taking what follows for its length would skip the true size."""
    monkeypatch.setattr("cv2.imdecode", lambda *_: pytest.fail("decoded"))
    hidden = with_size(BASELINE, 20_000, 20_000)
    hiding = bytes([0xFF, marker]) + struct.pack(">H", len(hidden) - 2) + hidden[4:]
    with pytest.raises(NotAPicture):
        decode.jpeg(hidden[:2] + hiding + BASELINE[2:], max_pixels=10_000)


def test_jpeg_without_a_size_is_refused():
    with pytest.raises(NotAPicture, match="cannot be decoded"):
        decode.jpeg(with_size(BASELINE, WIDTH, 0), max_pixels=10_000)


def test_jpeg_of_garbage_between_good_markers_is_refused():
    at = BASELINE.find(b"\xff\xdb")
    broken = BASELINE[: at + 4] + b"\x77" * 65 + BASELINE[at + 69 :]
    with pytest.raises(NotAPicture, match="cannot be decoded"):
        decode.jpeg(broken, max_pixels=10_000)


@given(st.integers(2, len(BASELINE) - 1), st.binary(min_size=1, max_size=8))
def test_damaged_jpeg_is_decoded_at_its_size_or_refused(at, damage):
    content = BASELINE[:at] + damage + BASELINE[at + len(damage) :]
    try:
        picture = decode.jpeg(content, max_pixels=100_000)
    except NotAPicture:
        return
    assert picture.size <= 300_000
    assert picture.ndim == 3


def test_jpeg_of_more_scans_than_any_camera_writes_is_refused_undecoded(monkeypatch):
    """Each scan of a few bytes goes over the whole picture once more."""
    first = PROGRESSIVE.index(b"\xff\xda")
    scan = PROGRESSIVE[first : PROGRESSIVE.index(b"\xff", first + 2 + 12)]
    scans = PROGRESSIVE.count(b"\xff\xda")
    assert decode.jpeg(PROGRESSIVE, max_pixels=10_000).shape == (HEIGHT, WIDTH, 3)
    monkeypatch.setattr("cv2.imdecode", lambda *_: pytest.fail("decoded"))
    for hidden in (b"", segment(0xFE, END)):  # an end marker in a comment ends nothing
        with pytest.raises(NotAPicture, match="a JPEG of more than 100 scans"):
            decode.jpeg(PROGRESSIVE[:-2] + hidden + scan * (101 - scans) + END, max_pixels=10_000)
