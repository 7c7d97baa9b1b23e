"""Elias omega codes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def encode(numbers: NDArray[np.int64]) -> bytes:
    """The omega codes of numbers, one after another, most significant bit first, padded with zeros to whole bytes.

    numbers: int64 [K], K at least 1, from 1 to 2 ** 32.
    Source: Elias 1975, Universal codeword sets and representations of the integers.
    """
    code, length = _codes(numbers)
    end = np.cumsum(length)
    begin = end - length
    word, bit = begin >> 6, (begin & 63).astype(np.uint64)
    words = np.zeros((int(end[-1]) + 63) // 64 + 1, np.uint64)
    aligned = code << (64 - length).astype(np.uint64)
    starts = np.flatnonzero(np.diff(word, prepend=-1))
    words[word[starts]] = np.bitwise_or.reduceat(aligned >> bit, starts)
    across = np.flatnonzero((begin & 63) + length > 64)  # at most one code crosses the end of a word
    words[word[across] + 1] |= aligned[across] << (np.uint64(64) - bit[across])
    return words.astype(">u8").tobytes()[: (int(end[-1]) + 7) // 8]


def encode_signed(numbers: NDArray[np.int64]) -> bytes:
    """As `encode`, for integers of either sign: 0, 1, -1, 2, -2 have the codes of 1, 2, 3, 4, 5."""
    return encode(2 * np.abs(numbers) + (numbers <= 0))


def _codes(numbers: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The numbers' codes, right-aligned, and their lengths in bits (44 for 2 ** 32)."""
    group = numbers.copy()
    code = np.zeros(len(group), np.uint64)
    length = np.ones(len(group), np.int64)
    while (more := group > 1).any():
        bits = np.where(more, np.frexp(group)[1], 0)
        code |= np.where(more, group, 0).astype(np.uint64) << length.astype(np.uint64)
        length += bits
        group = np.where(more, bits - 1, 1)
    return code, length
