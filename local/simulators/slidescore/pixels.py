"""What the simulated server draws: screenshots, raw tiles, DeepZoom tiles, and the numbers that describe a slide."""

from __future__ import annotations

import math

import cv2
import numpy as np

from local.slides import Pixels, Slide

TILE_PX = 256
WHITE = 255


def full_level(slide: Slide) -> int:
    """The DeepZoom level of full resolution: ceil(log2(longer side)); each level below halves both sides."""
    return math.ceil(math.log2(max(slide.width, slide.height)))


def downsamples(slide: Slide) -> list[int]:
    """1, 2, 4 ... until the slide fits one tile: what GetRawTile's level is an index into."""
    count = 1 + max(0, math.ceil(math.log2(max(slide.width, slide.height) / TILE_PX)))
    return [2**level for level in range(count)]


def metadata(slide: Slide) -> dict[str, object]:
    """The `metadata` of GetImageMetadata (reference, section 1.2). The two mpp differ slightly, as scanners' do."""
    factors = downsamples(slide)
    return {
        "level0Width": slide.width,
        "level0Height": slide.height,
        "level0TileWidth": TILE_PX,
        "level0TileHeight": TILE_PX,
        "osdTileSize": TILE_PX,
        "mppX": slide.mpp,
        "mppY": None if slide.mpp is None else round(slide.mpp * 1.0004, 6),
        "objectivePower": 0 if slide.mpp is None else round(10 / slide.mpp),
        "backgroundColor": None,
        "levelCount": len(factors),
        "zLayerCount": 1,
        "levelWidths": [math.ceil(slide.width / factor) for factor in factors],
        "levelHeights": [math.ceil(slide.height / factor) for factor in factors],
        "downsamples": [float(factor) for factor in factors],
        "fileName": f"{slide.name}.tiff",
    }


def region(slide: Slide, x: int, y: int, width: int, height: int) -> Pixels:
    """The level-0 pixels uint8 [height, width, 3] of a region, white where it lies off the slide."""
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, slide.width), min(y + height, slide.height)
    inside = slide.pixels[top : max(bottom, top), left : max(right, left)]
    if inside.shape[:2] == (height, width):
        return inside
    padded = np.full((height, width, 3), WHITE, dtype=np.uint8)
    if inside.size:
        padded[top - y : bottom - y, left - x : right - x] = inside
    return padded


def resized(rgb: Pixels, width: int, height: int) -> Pixels:
    """The same field in width x height px, each pixel the mean of what it covers."""
    if rgb.shape[:2] == (height, width):
        return rgb
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def with_scalebar(rgb: Pixels) -> Pixels:
    """A black bar in the lower left corner: what a client gets that does not ask for showScalebar=false."""
    height, width = rgb.shape[:2]
    bar = rgb.copy()
    bar[height - max(2, height // 20) : height - max(1, height // 40), width // 20 : max(1, width // 4)] = 0
    return bar


def tile(slide: Slide, level: int, column: int, row: int) -> Pixels | None:
    """One DeepZoom tile without overlap, None beyond the grid or the highest level."""
    below = full_level(slide) - level
    if below < 0:
        return None
    factor = 2**below
    level_width, level_height = math.ceil(slide.width / factor), math.ceil(slide.height / factor)
    left, top = column * TILE_PX, row * TILE_PX
    width, height = min(TILE_PX, level_width - left), min(TILE_PX, level_height - top)
    if width <= 0 or height <= 0:
        return None
    x, y = left * factor, top * factor
    shown = region(slide, x, y, min(width * factor, slide.width - x), min(height * factor, slide.height - y))
    return resized(shown, width, height)


def jpeg(rgb: Pixels, quality: int = 85) -> bytes:
    return _encoded(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])


def png(rgb: Pixels) -> bytes:
    return _encoded(".png", rgb, [])


def _encoded(suffix: str, rgb: Pixels, options: list[int]) -> bytes:
    _, content = cv2.imencode(suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    return content.tobytes()
