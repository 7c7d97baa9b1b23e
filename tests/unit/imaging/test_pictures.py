"""Pictures of any format, and JPEGs as servers send them: the size is known first, and damaged ones are refused."""

from __future__ import annotations

import io
import struct
from contextlib import suppress

import cv2
import numpy as np
import pytest
import scenes
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from annohooks.imaging import decode
from annohooks.imaging.decode import NotAPicture

WIDTH, HEIGHT = 61, 43
SCENE = cv2.resize(scenes.picture("coffee"), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
IMAGE = Image.fromarray(SCENE[..., ::-1])
PALETTE = IMAGE.convert("P", palette=Image.Palette.ADAPTIVE)


def by_opencv(suffix, *flags, picture=SCENE):
    done, content = cv2.imencode(suffix, picture, flags)
    assert done
    return content.tobytes()


def by_pillow(name, image=IMAGE, **chosen):
    content = io.BytesIO()
    image.save(content, name, **chosen)
    return content.getvalue()


BASELINE = by_opencv(".jpg", cv2.IMWRITE_JPEG_QUALITY, 95)
PROGRESSIVE = by_opencv(".jpg", cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
JPEGS = {
    "JPEG": BASELINE,
    "progressive JPEG": PROGRESSIVE,
    "JPEG with restart markers": by_opencv(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 1),
}
EXACT = {
    "PNG": by_opencv(".png"),
    "PNG of 16 bits": by_opencv(".png", picture=SCENE.astype(np.uint16) * 257),
    "interlaced and animated PNG": by_pillow("PNG", save_all=True, append_images=[IMAGE.rotate(90)]),
    "lossless WebP": by_opencv(".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
    "BMP": by_opencv(".bmp"),
    "TIFF without compression": by_pillow("TIFF"),
    "TIFF of a big endian machine": by_pillow("TIFF", tiffinfo={}, compression="tiff_lzw"),
    "TIFF of two pictures": by_pillow("TIFF", save_all=True, append_images=[IMAGE.resize((9, 9))]),
}
CLOSE = {
    "WebP": by_opencv(".webp", cv2.IMWRITE_WEBP_QUALITY, 90),
    "WebP with transparency": by_pillow("WEBP", IMAGE.convert("RGBA"), exact=True, quality=90),
    "animated WebP": by_pillow("WEBP", save_all=True, append_images=[IMAGE.rotate(90)], quality=90),
    "GIF": by_pillow("GIF"),
    "animated GIF": by_pillow("GIF", save_all=True, append_images=[IMAGE.rotate(90), IMAGE.rotate(180)]),
    "TIFF of JPEG": by_pillow("TIFF", compression="jpeg", quality=95),
    "BMP of a palette": by_pillow("BMP", PALETTE),
    "PNG of a palette": by_pillow("PNG", PALETTE),
}
EVERY = EXACT | CLOSE | JPEGS


def contents(kinds):
    return pytest.mark.parametrize("content", kinds.values(), ids=kinds)


@contents(EXACT)
def test_picture_is_decoded_to_its_pixels(content):
    assert np.array_equal(decode.picture(content, WIDTH * HEIGHT), SCENE)


@contents(CLOSE | JPEGS)
def test_picture_of_a_lossy_format_is_decoded_to_nearly_its_pixels(content):
    picture = decode.picture(content, WIDTH * HEIGHT)
    assert (picture.shape, picture.dtype) == (SCENE.shape, np.uint8)
    assert np.abs(picture.astype(int) - SCENE).mean() < 12


@contents(EVERY)
def test_size_is_read_from_the_header_and_limited_without_decoding(content, undecoded):
    assert decode.is_picture(content[:12])
    assert decode.picture_size(content) == (WIDTH, HEIGHT)
    with pytest.raises(NotAPicture, match="61 x 43 pixels is over the limit of 2622 pixels"):
        decode.picture(content, WIDTH * HEIGHT - 1)


@contents(EVERY)
def test_picture_that_is_cut_off_is_refused_unless_the_cut_is_behind_it(content):
    whole = decode.picture(content, 10_000)
    refused = 0
    for length in range(0, len(content), max(1, len(content) // 30)):
        try:
            assert np.array_equal(decode.picture(content[:length], 10_000), whole)
        except NotAPicture:
            refused += 1
    assert refused > 7


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_picture_is_rotated_by_its_exif_orientation_and_a_jpeg_of_a_server_is_not(name):
    exif = Image.Exif()
    exif[0x0112] = 6
    content = by_pillow(name, exif=exif, quality=95)
    picture = decode.picture(content, WIDTH * HEIGHT)
    assert picture.shape == (WIDTH, HEIGHT, 3)
    assert np.abs(picture.astype(int) - cv2.rotate(SCENE, cv2.ROTATE_90_CLOCKWISE)).mean() < 12
    assert decode.picture_size(content) == (WIDTH, HEIGHT)
    if name == "JPEG":
        assert decode.jpeg(content, WIDTH * HEIGHT).shape == SCENE.shape


def test_bmp_stored_from_the_top_and_that_of_os2_have_their_size():
    upright = bytearray(by_opencv(".bmp"))
    struct.pack_into("<i", upright, 22, -HEIGHT)
    assert decode.picture_size(bytes(upright)) == (WIDTH, HEIGHT)
    assert np.array_equal(decode.picture(bytes(upright), 10_000), SCENE[::-1])
    row = bytes(range(12))
    os2 = b"BM" + struct.pack("<IHHI", 26 + 24, 0, 0, 26) + struct.pack("<IHHHH", 12, 4, 2, 1, 24) + row * 2
    assert decode.picture_size(os2) == (4, 2)
    assert decode.picture(os2, 8)[0].ravel().tolist() == list(row)


@pytest.mark.parametrize(("kind", "at", "form"), [("PNG", 16, ">II"), ("GIF", 6, "<HH"), ("BMP", 18, "<ii")])
def test_picture_that_claims_to_be_enormous_is_refused_undecoded(kind, at, form, undecoded):
    content = bytearray(EVERY[kind])
    struct.pack_into(form, content, at, 60_000, 60_000)
    with pytest.raises(NotAPicture, match="60000 x 60000 pixels is over the limit of 16000000 pixels"):
        decode.picture(bytes(content), 16_000_000)


NOT_PICTURES = {
    "nothing": b"",
    "one byte": b"\xff",
    "an SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "a WAV": b"RIFF\x24\0\0\0WAVEfmt " + bytes(40),
}


@contents(NOT_PICTURES)
def test_content_that_is_not_a_picture_is_refused(content):
    assert not decode.is_picture(content[:12])
    for read in (decode.picture_size, lambda content: decode.picture(content, 10_000)):
        with pytest.raises(NotAPicture, match="not a JPEG, PNG, WebP, BMP, TIFF or GIF"):
            read(content)


@contents(EVERY)
def test_content_that_only_begins_like_a_picture_is_refused(content):
    with pytest.raises(NotAPicture):
        decode.picture(content[:12] + b"and then something else " * 20, 10**10)
    with pytest.raises(NotAPicture, match="too early"):
        decode.picture_size(content[:8] if content[:3] == b"GIF" else content[:12])


@given(st.sampled_from(sorted(EVERY)), st.data())
def test_damaged_picture_is_decoded_at_its_size_or_refused(kind, data):
    damaged = bytearray(EVERY[kind])
    for at in data.draw(st.lists(st.integers(0, min(len(damaged), 600) - 1), min_size=1, max_size=5)):
        damaged[at] = data.draw(st.integers(0, 255))
    with suppress(NotAPicture):
        picture = decode.picture(bytes(damaged), 100_000)
        assert picture.ndim == 3
        assert picture.size <= 300_000
        assert sorted(picture.shape[:2]) == sorted(decode.picture_size(bytes(damaged)))


def tiff(*tags):
    """The directory of a TIFF. tags: (tag, type, count, value)."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


SIDES = [(256, 3, 1, 100), (257, 3, 1, 100)]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (SIDES[1:], "a TIFF without a size"),
        ([*SIDES, (256, 16, 1, 20_000)], "a TIFF (that gives its size twice|whose size is not valid)"),
        ([(256, 4, 1, 100), *SIDES], "a TIFF that gives its size twice"),
        ([(256, 9, 1, 20_000), SIDES[1]], "a TIFF whose size is not valid"),
        ([(256, 3, 2, 100), SIDES[1]], "a TIFF whose size is not valid"),
        ([*SIDES, (322, 4, 1, 16_384), (323, 4, 1, 16_384)], "16384 x 16384 pixels a tile"),
        ([*SIDES, (258, 3, 1, 64), (277, 3, 1, 4)], "100 x 100 pixels of 256 bits"),
    ],
    ids=["no size", "another type", "twice", "signed", "two values", "large tiles", "pixels of many bits"],
)
def test_tiff_of_unclear_size_or_more_memory_than_its_size_is_refused_undecoded(tags, message, undecoded):
    with pytest.raises(NotAPicture, match=message):
        decode.picture(tiff(*tags), 20_000)


# JPEGs

END = b"\xff\xd9"


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


@contents(JPEGS)
def test_jpeg_that_ends_anywhere_before_its_end_is_refused(content):
    assert np.array_equal(decoded(content), decode.picture(content, 10_000))
    for length in range(2, len(content) - 1):
        with pytest.raises(NotAPicture, match="ends too early"):
            decoded(content[:length])


def test_grey_jpeg_has_three_equal_channels():
    picture = decoded(by_opencv(".jpg", picture=SCENE[..., 0]))
    assert picture.shape == SCENE.shape
    assert (picture[..., 0] == picture[..., 2]).all()


def test_end_marker_and_size_of_an_embedded_thumbnail_are_ignored():
    thumbnail = with_size(by_opencv(".jpg", picture=SCENE[:8, :8]), 60_000, 60_000)
    jpeg = with_segment(BASELINE, 0xE1, b"Exif\0\0" + thumbnail)
    assert decoded(jpeg).shape == SCENE.shape
    with pytest.raises(NotAPicture, match="ends too early"):
        decoded(jpeg[:-2])


def test_fill_bytes_and_bytes_after_the_end_marker_are_ignored():
    assert decoded(BASELINE[:2] + b"\xff\xff\xff" + BASELINE[2:] + b"\0\0").shape == SCENE.shape


@pytest.mark.parametrize("content", [b"", b"\xff", b"<!DOCTYPE html><html>Please log in</html>", EVERY["GIF"]])
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


@pytest.mark.usefixtures("undecoded")
def test_jpeg_of_more_scans_than_any_camera_writes_is_refused_undecoded():
    """Each scan of a few bytes processes the whole picture once more."""
    first = PROGRESSIVE.index(b"\xff\xda")
    scan = PROGRESSIVE[first : PROGRESSIVE.index(b"\xff", first + 2 + 12)]
    scans = PROGRESSIVE.count(b"\xff\xda")
    for hidden in (b"", segment(0xFE, END)):  # an end marker in a comment ends nothing
        with pytest.raises(NotAPicture, match="a JPEG of more than 100 scans"):
            decoded(PROGRESSIVE[:-2] + hidden + scan * (101 - scans) + END)
