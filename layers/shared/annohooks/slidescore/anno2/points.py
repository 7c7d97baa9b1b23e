"""The member of an anno2 zip that holds points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.outlines import BoolArray, IntArray


def anno1_points(xy: IntArray) -> bytes:
    """anno1_points.json: `[{"x": 1, "y": 2}, ...]`, in order, duplicates kept.

    xy: int32 [K, 2], K at least 1, none negative.
    """
    parts = [_text(b'{"x": ', len(xy)), _decimals(xy[:, 0]), _text(b', "y": ', len(xy)), _decimals(xy[:, 1])]
    parts.append(_text(b"}, ", len(xy)))
    characters = np.hstack([part for part, _ in parts])
    written = np.hstack([part for _, part in parts])
    return b"[" + characters[written].tobytes()[:-2] + b"]"


def _text(text: bytes, rows: int) -> tuple[NDArray[np.uint8], BoolArray]:
    """The same text in every row: characters uint8 [rows, len(text)], and that all of them are written."""
    shape = (rows, len(text))
    return np.broadcast_to(np.frombuffer(text, np.uint8), shape), np.ones(shape, np.bool_)


def _decimals(numbers: IntArray) -> tuple[NDArray[np.uint8], BoolArray]:
    """Each number's decimal digits, right-aligned, uint8 [K, D], and which of them are written: no leading zeros."""
    powers = 10 ** np.arange(len(str(numbers.max())) - 1, -1, -1)
    quotients = numbers[:, None] // powers
    written = quotients > 0
    written[:, -1] = True
    return (quotients % 10 + ord("0")).astype(np.uint8), written
