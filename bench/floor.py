"""The other side of a benchmark that asks how near ours is to what OpenCV and brotli cost by themselves."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import brotli
import cv2
import numpy as np


def region(jpeg: str, members: str) -> Callable[[], str]:
    """The JPEG to contours, by OpenCV's own calls, and brotli over what our anno2 of the same picture compresses."""
    from annohooks.slidescore.anno2.compression import QUALITY

    content = Path(jpeg).read_bytes()
    with zipfile.ZipFile(members) as plain:
        members_of_ours = [plain.read(name) for name in plain.namelist()]

    def work() -> str:
        contours, _ = dark_contours(content)
        packed = [brotli.compress(member, quality=QUALITY) for member in members_of_ours]
        return (
            f"OpenCV and brotli by themselves, {len(contours):,} contours, {sum(map(len, contours)):,} vertices; "
            f"{sum(map(len, members_of_ours)) / 1e6:.2f} MB of our zip's members compressed to "
            f"{sum(map(len, packed)) / 1e6:.2f} MB; ratio is floor / ours"
        )

    return work


def dark_contours(jpeg: bytes) -> tuple:
    """What cv2.findContours returns for the dark regions of a picture: Otsu's threshold, specks opened away."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    _, dark = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    opened = cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return cv2.findContours(opened, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
