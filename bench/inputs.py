"""What both sides are given, in files: python -m bench.inputs NAME FILE"""

import sys
from collections.abc import Callable
from pathlib import Path

SIDE_PX = 4000
JPEG_QUALITY = 85


def tissue() -> bytes:
    """JPEG of tissue as H&E shows it: 15,000 purple nuclei on pale pink, blurred, with a camera's noise."""
    import cv2
    import numpy as np

    random = np.random.default_rng(4000)
    picture = np.full((SIDE_PX, SIDE_PX, 3), (236, 215, 232), np.uint8)  # blue, green, red
    for _ in range(15_000):
        centre = random.integers(0, SIDE_PX, 2).tolist()
        radii = random.integers(6, 14, 2).tolist()
        angle, shade = random.integers(0, 180), random.integers(-20, 21)
        purple = (np.array((140, 70, 110)) + shade).tolist()
        cv2.ellipse(picture, centre, radii, int(angle), 0, 360, purple, cv2.FILLED, cv2.LINE_AA)
    noisy = cv2.GaussianBlur(picture, (0, 0), 1.0) + random.normal(0, 6, picture.shape)
    return _jpeg(np.clip(noisy, 0, 255).astype(np.uint8))


def ihc() -> bytes:
    """JPEG of a real picture, colon by immunohistochemistry (H-DAB), mirrored over and over to the same size."""
    import cv2
    import numpy as np
    from skimage import data

    picture = data.immunohistochemistry()
    margins = [(0, SIDE_PX - side) for side in picture.shape[:2]]
    return _jpeg(cv2.cvtColor(np.pad(picture, [*margins, (0, 0)], "symmetric"), cv2.COLOR_RGB2BGR))


def _jpeg(picture) -> bytes:
    import cv2

    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


INPUTS: dict[str, Callable[[], bytes]] = {"tissue": tissue, "ihc": ihc}

if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(INPUTS[sys.argv[1]]())
