"""The slides that the simulated server shows by default."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from local import slides

pytestmark = pytest.mark.thorough


def test_the_field_is_the_picture_scikit_image_ships() -> None:
    field = slides.immunohistochemistry()
    assert field.pixels.shape == (512, 512, 3)
    assert field.pixels.dtype == np.uint8
    assert (field.width, field.height, field.mpp) == (512, 512, 0.5)
    assert field.pixels.std() > 20


def test_the_mosaic_mirrors_the_field_at_each_seam() -> None:
    field = slides.immunohistochemistry().pixels
    mosaic = slides.mosaic(1300, 700).pixels
    assert mosaic.shape == (700, 1300, 3)
    assert np.array_equal(mosaic[:512, :512], field)
    assert np.array_equal(mosaic[:512, 512:1024], field[:, ::-1])
    assert np.array_equal(mosaic[512:700, :512], field[::-1][:188])
    assert np.array_equal(mosaic[:512, 1024:1300], field[:, :276])


def test_empty_glass_is_almost_evenly_white_and_always_the_same() -> None:
    glass = slides.blank(600, 400)
    assert glass.pixels.shape == (400, 600, 3)
    assert glass.pixels.min() > 225
    assert 0 < glass.pixels[..., 0].std() < 2
    assert np.array_equal(glass.pixels, slides.blank(600, 400).pixels)


def test_tissue_on_glass_is_pieces_of_the_mosaic_with_a_tear_and_glass_all_around_them() -> None:
    slide = slides.tissue_on_glass(1000, 750)
    glass = np.all(slide.pixels == slides.blank(1000, 750).pixels, axis=2)
    tissue = np.all(slide.pixels == slides.mosaic(1000, 750).pixels, axis=2)
    assert 0.25 < tissue.mean() < 0.4
    assert 0.55 < glass.mean() < 0.7
    assert np.concatenate([glass[0], glass[-1], glass[:, 0], glass[:, -1]]).all()
    assert [_large_parts(~glass), _large_parts(glass)] == [3, 2]
    assert np.array_equal(slide.pixels, slides.tissue_on_glass(1000, 750).pixels)


def test_the_studio_has_field_mosaic_glass_and_both() -> None:
    studio = slides.studio()
    assert [(image, slide.width, slide.height) for image, slide in studio.items()] == [
        (1, 512, 512),
        (2, 5000, 4000),
        (3, 2048, 1536),
        (4, 4000, 3000),
    ]


def _large_parts(mask: NDArray[np.bool_]) -> int:
    """A pixel of tissue may have the colour of glass by chance."""
    stats = cv2.connectedComponentsWithStats(mask.astype(np.uint8))[2]
    return int((stats[1:, cv2.CC_STAT_AREA] > 500).sum())
