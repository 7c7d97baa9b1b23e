"""The real picture, a mosaic of it, and empty glass."""

from __future__ import annotations

import numpy as np
import pytest

from local import slides


@pytest.fixture(scope="session")
def tissue():
    """The immunohistochemistry field, uint8 BGR [512, 512, 3], 0.5 um per pixel."""
    return np.ascontiguousarray(slides.immunohistochemistry().pixels[..., ::-1])


@pytest.fixture(scope="session")
def glass():
    """Empty glass with a camera's noise, uint8 BGR [600, 700, 3]."""
    return np.ascontiguousarray(slides.blank(700, 600).pixels[..., ::-1])


@pytest.fixture(scope="session")
def mosaic():
    """The field mirrored to uint8 BGR [900, 1000, 3]."""
    return np.ascontiguousarray(slides.mosaic(1000, 900).pixels[..., ::-1])
