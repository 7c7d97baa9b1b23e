"""Picture bytes to pixels, with the size known before a pixel is decoded."""

from __future__ import annotations

import struct

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""uint8 [height, width, 3], channels blue, green, red, as OpenCV has them."""

_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_WITHOUT_LENGTH = frozenset({0x00, 0x01, *range(0xD0, 0xDA)})  # none of them belongs before the first scan


class NotAPicture(ValueError):
    """The bytes are no whole JPEG, or one larger than allowed; the message says which and names no content."""


def jpeg(content: bytes, max_pixels: int) -> Picture:
    """Decodes a baseline or progressive JPEG.

    Raises NotAPicture for other content, more than max_pixels, or a file that ends before its end marker: OpenCV
    fills what is missing of a truncated JPEG with grey, which an analysis would take for tissue.
    Source: ITU-T T.81, annex B.
    """
    width, height = _jpeg_size(content)
    if width * height > max_pixels:
        raise NotAPicture(f"a picture of {width} x {height} pixels is over the limit of {max_pixels} pixels")
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        picture = None
    if picture is None or picture.shape[:2] != (height, width):
        raise NotAPicture("a JPEG that cannot be decoded")
    return picture.astype(np.uint8, copy=False)


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
