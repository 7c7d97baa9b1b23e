"""What the demo draws of a density map: the colours of Turbo over the very cells they stand for."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from local.demo import slidescore as demo


@pytest.mark.parametrize(("zoom", "cell_px"), [(1.0, 8), (2.0, 4), (0.5, 16)])
def test_a_map_lies_over_the_cells_it_is_of_and_nowhere_else(zoom: float, cell_px: int) -> None:
    levels = np.array([[0, 255, 20], [100, 0, 200]], np.uint8)
    heatmap = SimpleNamespace(levels=levels, x=round(16 / zoom), y=round(24 / zoom), cell_px=cell_px)
    canvas = np.full((64, 96, 3), 200, np.uint8)
    drawn = demo.overlaid(canvas, heatmap, zoom)
    expected = canvas.copy()
    turbo = cv2.applyColorMap(np.arange(256, dtype=np.uint8), cv2.COLORMAP_TURBO)[:, 0]
    for (row, column), level in np.ndenumerate(levels):
        if level:
            top, left = 24 + 8 * row, 16 + 8 * column
            expected[top : top + 8, left : left + 8] = 100 + turbo[level] // 2
    np.testing.assert_array_equal(drawn, expected)


def test_a_map_that_reaches_beyond_the_slide_is_drawn_as_far_as_the_slide_goes() -> None:
    heatmap = SimpleNamespace(levels=np.full((9, 9), 90, np.uint8), x=20, y=20, cell_px=16)
    canvas = np.zeros((64, 96, 3), np.uint8)
    covered = demo.overlaid(canvas, heatmap, 1.0).any(axis=2)
    assert covered[20:, 20:].all()
    assert not covered[:20].any()
    assert not covered[:, :20].any()
