"""The pictures of the simulated server, and the numbers that describe a slide."""

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
    """1, 2, 4 ... until the slide fits one tile. The level of GetRawTile is an index into this list."""
    count = 1 + max(0, math.ceil(math.log2(max(slide.width, slide.height) / TILE_PX)))
    return [2**level for level in range(count)]


def metadata(slide: Slide) -> dict[str, object]:
    """The `metadata` of GetImageMetadata. mppX and mppY differ slightly, as with real scanners."""
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
    """The level-0 pixels of a region, uint8 [height, width, 3]; white beyond the slide."""
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
    """The picture in width x height px. Each pixel is the mean of the area it covers."""
    if rgb.shape[:2] == (height, width):
        return rgb
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def with_scalebar(rgb: Pixels) -> Pixels:
    """Draws a black bar in the lower left corner. A client gets it unless it asks for showScalebar=false."""
    height, width = rgb.shape[:2]
    bar = rgb.copy()
    bar[height - max(2, height // 20) : height - max(1, height // 40), width // 20 : max(1, width // 4)] = 0
    return bar


def jpeg(rgb: Pixels, quality: int = 85) -> bytes:
    return _encoded(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])


def png(rgb: Pixels) -> bytes:
    return _encoded(".png", rgb, [])


def _encoded(suffix: str, rgb: Pixels, options: list[int]) -> bytes:
    _, content = cv2.imencode(suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    return content.tobytes()
