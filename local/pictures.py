"""The pictures that scikit-image's wheel brings, read without scikit-image, whose own dependencies fill 200 MB."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


@cache
def read(name: str) -> NDArray[Any]:
    """A picture by its file name, such as "astronaut.png": uint8, RGB [height, width, 3] or grey [height, width]."""
    spec = find_spec("skimage")
    assert spec is not None
    assert spec.origin is not None
    content = np.frombuffer((Path(spec.origin).parent / "data" / name).read_bytes(), np.uint8)
    pixels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    pixels.flags.writeable = False  # every caller gets the same array
    return pixels
