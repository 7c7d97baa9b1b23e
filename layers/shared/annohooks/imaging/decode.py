"""Picture bytes to pixels, with the size known before a pixel is decoded."""

from __future__ import annotations

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
_TIFF_SIDES = (256, 257)  # the tags of width and length
_TIFF_INTEGERS = {3: "H", 4: "I"}
_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_WITHOUT_LENGTH = frozenset({0x00, 0x01, *range(0xD0, 0xDA)})  # none of them belongs before the first scan


class NotAPicture(ValueError):
    """The bytes are no whole picture, or one larger than allowed; the message says which and names no content."""


def jpeg(content: bytes, max_pixels: int) -> Picture:
    """Decodes a baseline or progressive JPEG.

    Raises NotAPicture for other content, more than max_pixels, or a file that ends before its end marker: OpenCV
    fills what is missing of a truncated JPEG with grey, which an analysis would take for tissue.
    Source: ITU-T T.81, annex B.
    """
    return _decoded(content, _jpeg_size(content), max_pixels, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION, "JPEG")


def is_picture(head: bytes) -> bool:
    """Whether a file that begins so, with 12 bytes or more, is of a format that `picture` decodes."""
    return _name(head) is not None


def picture(content: bytes, max_pixels: int) -> Picture:
    """Decodes a JPEG, PNG, WebP, BMP, TIFF or GIF, of several pictures the first, turned as its camera was held.

    Raises NotAPicture for other content, more than max_pixels, or a file that ends too early.
    """
    name, size = _format(content)
    return _decoded(content, size, max_pixels, cv2.IMREAD_COLOR, name)


def picture_size(content: bytes) -> tuple[int, int]:
    """Width and height as stored of what `picture` decodes, from its header alone: the camera may have been turned.

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
    return next((name for begins, name in _BEGINNINGS.items() if head.startswith(begins)), None)


def _format(content: bytes) -> tuple[str, tuple[int, int]]:
    """The name of a format, and width and height from the file's header.

    Source: ITU-T T.81; W3C PNG; RFC 9649 (WebP); Microsoft's BITMAPFILEHEADER; Adobe TIFF 6.0; CompuServe GIF89a.
    """
    name = _name(content)
    if name is None:
        raise NotAPicture("something that is no JPEG, PNG, WebP, BMP, TIFF or GIF")
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
    """Of its first picture."""
    order = "<" if content[:2] == b"II" else ">"
    (directory,) = struct.unpack_from(f"{order}I", content, 4)
    (entries,) = struct.unpack_from(f"{order}H", content, directory)
    sides: dict[int, int] = {}
    for at in range(directory + 2, directory + 2 + 12 * entries, 12):
        tag, kind, _ = struct.unpack_from(f"{order}HHI", content, at)
        if tag in _TIFF_SIDES and kind in _TIFF_INTEGERS:
            if tag in sides:
                raise NotAPicture("a TIFF of two sizes")
            (sides[tag],) = struct.unpack_from(order + _TIFF_INTEGERS[kind], content, at + 8)
    if len(sides) < 2:
        raise NotAPicture("a TIFF without a size")
    return sides[_TIFF_SIDES[0]], sides[_TIFF_SIDES[1]]


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
        if marker == 0xDA:  # entropy-coded data follows, in which 0xFFD9 can only be the end marker
            if size is None or content.find(b"\xff\xd9", position) < 0:
                break
            return size
    raise NotAPicture("a JPEG that ends too early")


_SIZES: dict[str, Callable[[bytes], tuple[int, int]]] = {
    "JPEG": _jpeg_size,
    "PNG": _png_size,
    "GIF": _gif_size,
    "WebP": _webp_size,
    "BMP": _bmp_size,
    "TIFF": _tiff_size,
}
