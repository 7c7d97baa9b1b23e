"""MessagePack of many small arrays at once.

Source: the MessagePack specification, formats. The object around each array: slidescore-sdk 1.5.4.
"""

from __future__ import annotations

import msgpack  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from annohooks.imaging.outlines import BoolArray
from annohooks.slidescore.anno2.tiles import Integers

Bytes = NDArray[np.uint8]

_UNSIGNED = ((1 << 7, 0x00, 0), (1 << 8, 0xCC, 1), (1 << 16, 0xCD, 2), (1 << 32, 0xCE, 4))
"""Formats: numbers below the limit, their first byte, and the number of bytes that follow it. If none follow, the first
byte holds the number."""
_BINARY = ((1 << 8, 0xC4, 1), (1 << 16, 0xC5, 2), (1 << 32, 0xC6, 4))
_BEFORE = b"\x84" + msgpack.packb("isTypedArray") + msgpack.packb(True) + msgpack.packb("bytes")
_AFTER = msgpack.packb("type") + msgpack.packb("uint32") + msgpack.packb("len")


def typed_arrays(
    keys: Integers, members: NDArray[np.uint32], counts: NDArray[np.int64]
) -> tuple[bytes, NDArray[np.int64]]:
    """The entries of a map without its header, and the place where each entry ends. A value is an object with an array.

    keys: [G], below 2 ** 32. members: uint32 [T], little endian, of all arrays. counts: int64 [G], members per array.
    """
    before = _joined(_numbers(keys, _UNSIGNED), _repeated(_BEFORE, len(keys)), _numbers(4 * counts, _BINARY))
    after = _joined(_repeated(_AFTER, len(keys)), _numbers(counts, _UNSIGNED))
    lengths = np.stack((before[1].sum(axis=1), 4 * counts, after[1].sum(axis=1)), axis=1)
    is_member = np.repeat(np.tile((False, True, False), len(keys)), lengths.ravel())
    characters, written = _joined(before, after)
    packed = np.empty(len(is_member), np.uint8)
    packed[is_member] = members.view(np.uint8)
    packed[~is_member] = characters[written]
    return packed.tobytes(), np.cumsum(lengths.sum(axis=1))


def _numbers(numbers: Integers, formats: tuple[tuple[int, int, int], ...]) -> tuple[Bytes, BoolArray]:
    """The numbers in their shortest formats: bytes [K, W], and a mask of the bytes to write."""
    below, first, size = np.array(formats).T
    format_ = np.searchsorted(below, numbers, side="right")
    width = int(size[format_.max()])
    characters = np.empty((len(numbers), 1 + width), np.uint8)
    characters[:, 0] = np.where(size[format_] == 0, numbers, first[format_])
    characters[:, 1:] = numbers.astype(">u4").view(np.uint8).reshape(-1, 4)[:, 4 - width :]
    written = np.arange(width + 1, 0, -1) <= size[:, None]
    written[:, 0] = True
    return characters, written[format_]


def _repeated(text: bytes, times: int) -> tuple[Bytes, BoolArray]:
    characters = np.broadcast_to(np.frombuffer(text, np.uint8), (times, len(text)))
    return characters, np.broadcast_to(np.True_, characters.shape)


def _joined(*columns: tuple[Bytes, BoolArray]) -> tuple[Bytes, BoolArray]:
    return np.concatenate([part for part, _ in columns], axis=1), np.concatenate([part for _, part in columns], axis=1)
