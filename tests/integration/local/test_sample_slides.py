"""The slides that the simulated server shows by default."""

from __future__ import annotations

import numpy as np

from local import slides


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


def test_the_studio_has_field_mosaic_and_glass() -> None:
    studio = slides.studio()
    assert [(image, slide.width, slide.height) for image, slide in studio.items()] == [
        (1, 512, 512),
        (2, 5000, 4000),
        (3, 2048, 1536),
    ]
