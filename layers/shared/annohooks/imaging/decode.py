"""Decodes pictures. Their size is checked before any pixel is decoded."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""uint8 [height, width, 3], channels blue, green, red, as OpenCV has them."""

_BEGINNINGS = {
    b"\xff\xd8": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
_MAX_SCANS = 100  # of a JPEG; a progressive one has about 10, and each takes as long as decoding the whole picture
_BYTES_PER_PIXEL = 8  # of a TIFF: four channels of 16 bits
_TIFF_SIDES = (256, 257)  # the tags ImageWidth and ImageLength
_TIFF_TILE = (322, 323)  # TileWidth and TileLength
_TIFF_BITS, _TIFF_SAMPLES = 258, 277  # BitsPerSample and SamplesPerPixel
_MAX_SAMPLES = 64
_TIFF_SINGLE = frozenset({*_TIFF_SIDES, *_TIFF_TILE, _TIFF_SAMPLES})
_TIFF_INTEGERS = {3: "H", 4: "I"}
_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]", re.DOTALL)  # any marker but restart markers
_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_WITHOUT_LENGTH = frozenset({0x00, 0x01, *range(0xD0, 0xDA)})  # not allowed before the first scan


class NotAPicture(ValueError):
    """The bytes are not a complete picture, or it is too large. The message says which, and quotes nothing of it."""


def jpeg(content: bytes, max_pixels: int) -> Picture:
    """Decodes a baseline or progressive JPEG.

    Raises NotAPicture for other content, more than max_pixels, or a file that ends before its end marker: OpenCV fills
    the missing part of a truncated JPEG with grey, which an analysis would take for tissue.
    Source: ITU-T T.81, annex B.
    """
    return _decoded(content, _jpeg_size(content), max_pixels, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION, "JPEG")


def is_picture(head: bytes) -> bool:
    """Whether a file that begins with head, at least 12 bytes, has a format that `picture` decodes."""
    return _name(head) is not None


def picture(content: bytes, max_pixels: int) -> Picture:
    """Decodes a JPEG, PNG, WebP, BMP, TIFF or GIF, and rotates it as its EXIF orientation says.

    If a file has several pictures, it is the first. Raises NotAPicture for other content, more than max_pixels, or a
    file that ends too early; for a TIFF also if its tiles, or its pixels of more than 8 bytes, would take more memory
    than max_pixels of 8 bytes.
    """
    name, size = _format(content)
    if name == "TIFF" and size[0] * size[1] <= max_pixels:
        _check_tiff(content, size, max_pixels)
    return _decoded(content, size, max_pixels, cv2.IMREAD_COLOR, name)


def picture_size(content: bytes) -> tuple[int, int]:
    """Width and height of a picture in a format that `picture` decodes, from its header, before any rotation.

    Raises NotAPicture for other content.
    """
    return _format(content)[1]


def _decoded(content: bytes, size: tuple[int, int], max_pixels: int, flags: int, name: str) -> Picture:
    width, height = size
    if width * height > max_pixels:
        raise NotAPicture(f"a picture of {width} x {height} pixels is over the limit of {max_pixels} pixels")
    try:
        decoded = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        decoded = None
    if decoded is None or decoded.shape[:2] not in ((height, width), (width, height)):
        raise NotAPicture(f"a {name} that cannot be decoded")
    return decoded.astype(np.uint8, copy=False)


def _name(head: bytes) -> str | None:
    if head[:4] == b"RIFF":
        return "WebP" if head[8:12] == b"WEBP" else None
    return next((name for beginning, name in _BEGINNINGS.items() if head.startswith(beginning)), None)


def _format(content: bytes) -> tuple[str, tuple[int, int]]:
    """The name of a file's format, and width and height from its header.

    Source: ITU-T T.81; W3C PNG; RFC 9649 (WebP); Microsoft's BITMAPFILEHEADER; Adobe TIFF 6.0; CompuServe GIF89a.
    """
    name = _name(content)
    if name is None:
        raise NotAPicture("something that is not a JPEG, PNG, WebP, BMP, TIFF or GIF")
    try:
        return name, _SIZES[name](content)
    except struct.error:
        raise NotAPicture(f"a {name} that ends too early") from None


def _png_size(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", content, 16)
    return width, height


def _gif_size(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", content, 6)
    return width, height


def _webp_size(content: bytes) -> tuple[int, int]:
    first, second, third = struct.unpack_from("<HHH", content, 24)
    if content[12:16] == b"VP8X":
        return 1 + first + ((second & 0xFF) << 16), 1 + (second >> 8) + (third << 8)
    if content[12:16] == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return second & 0x3FFF, third & 0x3FFF


def _bmp_size(content: bytes) -> tuple[int, int]:
    (header,) = struct.unpack_from("<I", content, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ii", content, 18)
    return abs(width), abs(height)  # a negative height is stored from the top


def _tiff_size(content: bytes) -> tuple[int, int]:
    """Width and height of the first picture."""
    tags = _tiff_tags(content)
    if not all(side in tags for side in _TIFF_SIDES):
        raise NotAPicture("a TIFF without a size")
    return tags[_TIFF_SIDES[0]], tags[_TIFF_SIDES[1]]


def _check_tiff(content: bytes, size: tuple[int, int], max_pixels: int) -> None:
    """Raises NotAPicture for a TIFF whose decoding would take more memory than its size suggests."""
    tags = _tiff_tags(content)
    per_pixel = max(8 * _BYTES_PER_PIXEL, tags.get(_TIFF_BITS, 1) * tags.get(_TIFF_SAMPLES, 1))
    tile = tuple(tags.get(side, 0) for side in _TIFF_TILE)
    for unit, (width, height) in {"pixels": size, "pixels a tile": tile}.items():
        if width * height * per_pixel > max_pixels * 8 * _BYTES_PER_PIXEL:
            raise NotAPicture(
                f"a TIFF of {width} x {height} {unit} of {per_pixel} bits is over the limit of {max_pixels} pixels"
            )


def _tiff_tags(content: bytes) -> dict[int, int]:
    """The tags of the first picture that determine its memory; for bits per sample, the largest value.

    Raises NotAPicture if a tag occurs twice or is not as TIFF 6.0 defines it, because LibTIFF accepts both.
    """
    order = "<" if content[:2] == b"II" else ">"
    (directory,) = struct.unpack_from(f"{order}I", content, 4)
    (entries,) = struct.unpack_from(f"{order}H", content, directory)
    tags: dict[int, int] = {}
    for at in range(directory + 2, directory + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(f"{order}HHI", content, at)
        if tag not in _TIFF_SINGLE and tag != _TIFF_BITS:
            continue
        if tag in tags:
            raise NotAPicture("a TIFF that gives its size twice")
        if kind not in _TIFF_INTEGERS or not 1 <= count <= (1 if tag in _TIFF_SINGLE else _MAX_SAMPLES):
            raise NotAPicture("a TIFF whose size is not valid")
        values = f"{order}{count}{_TIFF_INTEGERS[kind]}"
        start = at + 8
        if struct.calcsize(values) > 4:
            (start,) = struct.unpack_from(f"{order}I", content, start)
        tags[tag] = max(struct.unpack_from(values, content, start))
    return tags


def _jpeg_size(content: bytes) -> tuple[int, int]:
    """Width and height from the frame header of a JPEG that has its end marker."""
    if content[:2] != b"\xff\xd8":
        raise NotAPicture("something that is not a JPEG")
    size: tuple[int, int] | None = None
    position = 2
    while position + 4 <= len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker in _WITHOUT_LENGTH:
            break
        (length,) = struct.unpack_from(">H", content, position + 2)
        if marker in _FRAME_HEADERS and position + 9 <= len(content):
            height, width = struct.unpack_from(">HH", content, position + 5)
            size = width, height
        position += 2 + length
        if marker == 0xDA:
            if size is None or not _has_end(content, position):
                break
            return size
    raise NotAPicture("a JPEG that ends too early")


def _has_end(content: bytes, position: int) -> bool:
    """Whether the end marker follows. position: the start of the first scan.

    In entropy-coded data, 0xFF is followed by 0 or by a restart marker; any other marker ends the data. Raises
    NotAPicture after _MAX_SCANS scans.
    """
    scans = 1
    while match := _MARKER.search(content, position):
        marker, position = content[match.end() - 1], match.end()
        if marker == 0xD9:
            return True
        if marker in _WITHOUT_LENGTH:
            continue
        scans += marker == 0xDA
        if scans > _MAX_SCANS:
            raise NotAPicture(f"a JPEG of more than {_MAX_SCANS} scans")
        position += int.from_bytes(content[position : position + 2])
    return False


_SIZES: dict[str, Callable[[bytes], tuple[int, int]]] = {
    "JPEG": _jpeg_size,
    "PNG": _png_size,
    "GIF": _gif_size,
    "WebP": _webp_size,
    "BMP": _bmp_size,
    "TIFF": _tiff_size,
}
