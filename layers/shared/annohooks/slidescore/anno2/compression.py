"""Brotli compression of blocks, so that the whole content is never in memory."""

from __future__ import annotations

from collections.abc import Iterable

import brotli  # type: ignore[import-untyped]

QUALITY = 5
"""Slide Score's own quality 8 takes about twice as long for the same size."""
WINDOW = 22
"""Base-2 logarithm of the window in bytes: brotli's own default."""


def brotli_compressed(blocks: Iterable[bytes], quality: int = QUALITY, window: int = WINDOW) -> bytes:
    """The blocks, one after another, compressed as one stream."""
    compressor = brotli.Compressor(quality=quality, lgwin=window)
    parts = [compressor.process(block) for block in blocks]
    parts.append(compressor.finish())
    return b"".join(parts)
