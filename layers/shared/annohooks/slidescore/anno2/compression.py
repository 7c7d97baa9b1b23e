"""Brotli, from blocks, so that what is compressed need never be in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterable

import brotli  # type: ignore[import-untyped]

QUALITY = 5
"""Slide Score's own 8 takes about twice as long for the same size."""
WINDOW = 22
"""Log2 of how many bytes back repeats are looked for: brotli's own default."""


def brotlied(blocks: Iterable[bytes], quality: int = QUALITY, window: int = WINDOW) -> bytes:
    """The blocks, one after another, compressed together."""
    compressor = brotli.Compressor(quality=quality, lgwin=window)
    parts = [compressor.process(block) for block in blocks]
    parts.append(compressor.finish())
    return b"".join(parts)
