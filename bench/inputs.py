"""The input files of both sides: python -m bench.inputs NAME FILE. A name always gives the same file."""

import io
import math
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

SIDE_PX = 4000
JPEG_QUALITY = 85
DOWNSAMPLE = 2
"""Slide pixels per pixel of the picture, for contours that are mapped onto a slide."""

OUTLINE_VERTICES = 20
CELL_PX = 100
COMB_HEIGHT_PX = 100
FAR_PX = 100_000
PICTURES = 60
VIDEO_FPS = 20
VIDEO_SIZE = (1280, 720)


def tissue() -> bytes:
    """JPEG of synthetic H&E tissue: 15,000 purple nuclei on pale pink, blurred, with camera noise."""
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
    """JPEG of a real picture, colon by immunohistochemistry (H-DAB), mirrored repeatedly to the same size."""
    import cv2
    import numpy as np
    from skimage import data

    picture = data.immunohistochemistry()
    margins = [(0, SIDE_PX - side) for side in picture.shape[:2]]
    return _jpeg(cv2.cvtColor(np.pad(picture, [*margins, (0, 0)], "symmetric"), cv2.COLOR_RGB2BGR))


def tissue_members() -> bytes:
    """A zip of the uncompressed members of the anno2 that our side writes for the tissue's dark regions."""
    import zipfile

    import brotli

    from bench.dark_regions import analysis

    plain = io.BytesIO()
    _, anno2s, _ = analysis(tissue(), SIDE_PX)()
    with zipfile.ZipFile(plain, "w") as members:
        for number, anno2 in enumerate(anno2s):
            with zipfile.ZipFile(io.BytesIO(anno2)) as packed:
                for name in packed.namelist():
                    if name.endswith(".br"):
                        members.writestr(f"{number}/{name.removesuffix('.br')}", brotli.decompress(packed.read(name)))
    return plain.getvalue()


def face_pictures() -> bytes:
    """A zip of JPEGs of 640 x 360 px: real pictures, moved; about half of them contain a face."""
    import zipfile

    pictures = frames()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for number in range(PICTURES):
            archive.writestr(f"{number:03}.jpg", _jpeg(pictures[number * len(pictures) // PICTURES]))
    return content.getvalue()


def video_720p() -> bytes:
    """The minute of `frames` as MP4 of 1280 x 720 px at 20 frames a second; every second frame is a mean of two."""
    import tempfile

    import cv2

    pictures = frames()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "video.mp4")
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), VIDEO_FPS, VIDEO_SIZE)
        for frame, following in zip(pictures, [*pictures[1:], pictures[-1]], strict=True):
            for shown in (frame, cv2.addWeighted(frame, 0.5, following, 0.5, 0)):
                writer.write(cv2.resize(shown, VIDEO_SIZE, interpolation=cv2.INTER_CUBIC))
        writer.release()
        return path.read_bytes()


def frames():
    """The frames of the minute of video that `make demo` uses, 10 a second."""
    import tempfile

    import cv2

    from local.simulators.aiware import samples

    minute = samples.video(60)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "minute.mp4")
        path.write_bytes(minute.content)
        capture = cv2.VideoCapture(str(path))
        read = [capture.read()[1] for _ in minute.faces]
        capture.release()
    return read


def nuclei(number: int) -> bytes:
    """int32 [number, 20, 2]: rough outlines, radius 12 to 24 px, one in each cell of 100 x 100 px, row by row."""
    import numpy as np

    random = np.random.default_rng(number)
    row, column = np.divmod(np.arange(number), math.ceil(math.sqrt(number)))
    radii = random.uniform(14, 22, (number, 1)) + random.uniform(-2, 2, (number, OUTLINE_VERTICES))
    centres = np.column_stack([column, row]) * CELL_PX + CELL_PX // 2
    return _npy(centres[:, None] + radii[:, :, None] * _directions())


def points(number: int, side_px: int) -> bytes:
    """int32 [number, 2]: random points on a square slide."""
    import numpy as np

    return _npy(np.random.default_rng(side_px).integers(0, side_px, (number, 2)))


def comb(vertices: int) -> bytes:
    """int32 [1, vertices, 2]: one comb-shaped outline, whose simplification removes one vertex at a time."""
    import numpy as np

    number = np.arange(vertices)
    return _npy(np.column_stack([2 * number, number % 2 * COMB_HEIGHT_PX])[None])


def far_outline() -> bytes:
    """int32 [1, 20, 2]: one outline 20 px across, far from the slide's corner."""
    return _npy(FAR_PX + 10 * _directions()[None])


def _directions():
    import numpy as np

    angles = np.arange(OUTLINE_VERTICES) * (2 * np.pi / OUTLINE_VERTICES)
    return np.column_stack([np.cos(angles), np.sin(angles)])


def _jpeg(picture) -> bytes:
    import cv2

    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def _npy(coordinates) -> bytes:
    import numpy as np

    file = io.BytesIO()
    np.save(file, np.rint(coordinates).astype(np.int32))
    return file.getvalue()


INPUTS: dict[str, Callable[[], bytes]] = {
    "tissue": tissue,
    "tissue_members": tissue_members,
    "ihc": ihc,
    "face_pictures": face_pictures,
    "video_720p": video_720p,
    "nuclei_1k": partial(nuclei, 1_000),
    "nuclei_10k": partial(nuclei, 10_000),
    "nuclei_100k": partial(nuclei, 100_000),
    "nuclei_1m": partial(nuclei, 1_000_000),
    "points_1m_dense": partial(points, 1_000_000, 20_000),  # 164 in a tile of 256 px
    "points_1m_sparse": partial(points, 1_000_000, 100_000),  # 6.5
    "comb_8k": partial(comb, 8_000),
    "far_outline": far_outline,
}

if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(INPUTS[sys.argv[1]]())
