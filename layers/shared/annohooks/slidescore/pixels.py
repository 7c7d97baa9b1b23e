"""A slide's pixels at any downsample, through GetScreenshot or GetRawTile."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping

import cv2
import numpy as np

from annohooks.core.errors import AnnohooksError, Upstream
from annohooks.imaging.decode import Picture
from annohooks.imaging.region import Box
from annohooks.slidescore.client import PICTURE_PX, PLATFORM, Client, Metadata

_LEVEL_ATTEMPTS = 3
_LEAST_MEASURABLE_PX = 32  # rounding by a pixel or two could make a smaller picture look like another level's
_MEASURABLE_PX = 256


class _Pixels:
    """What both kinds of pixels share of segmentation.Slide: the slide's size and resolution."""

    def __init__(self, client: Client, image_id: int, metadata: Metadata, picture_px: int = PICTURE_PX) -> None:
        self._client, self._image_id, self._picture_px = client, image_id, picture_px
        self.width, self.height = metadata.level0_width, metadata.level0_height
        self.mpp = metadata.mpp()


class Screenshots(_Pixels):
    """Pixels through GetScreenshot, whose level numbers differ between servers.

    Full resolution is level ceil(log2(longest side)) plus an offset, which no document states. The size of the first
    picture shows the offset, and all later requests use it. If the first picture is too small to show it, or so large
    that the server might limit its size at a wrong level, a picture of its surroundings is measured first.
    """

    def __init__(self, client: Client, image_id: int, metadata: Metadata, picture_px: int = PICTURE_PX) -> None:
        super().__init__(client, image_id, metadata, picture_px)
        self._full_level = math.ceil(math.log2(max(self.width, self.height, 2)))
        self._level_offset: int | None = None
        self._measuring = threading.Lock()

    def picture(self, box: Box, downsample: int) -> Picture:
        """See `segmentation.Slide.picture`."""
        size = math.ceil(box.width / downsample), math.ceil(box.height / downsample)
        with self._measuring:
            if self._level_offset is None:
                measurable = self._measurable(box, downsample)
                picture, self._level_offset = self._measured(measurable, downsample)
                if measurable == box:
                    return _resized(_checked(picture, *size), *size)
        return _resized(_checked(self._screenshot(box, downsample, self._level_offset), *size), *size)

    def _measurable(self, box: Box, downsample: int) -> Box:
        """The box if the size of its picture shows the offset, else a box at the same place whose picture does."""
        if _LEAST_MEASURABLE_PX <= max(box.width, box.height) / downsample <= self._picture_px / 2:
            return box
        width, height = (min(_MEASURABLE_PX * downsample, side) for side in (self.width, self.height))
        return Box(min(box.x, self.width - width), min(box.y, self.height - height), width, height)

    def _measured(self, box: Box, downsample: int) -> tuple[Picture, int]:
        """The picture, and the level offset that gave it the expected size. If none did, those of the last attempt."""
        expected_px = math.ceil(max(box.width, box.height) / downsample)
        offset = missing_levels = 0
        for _ in range(_LEVEL_ATTEMPTS):
            offset += missing_levels
            picture = self._screenshot(box, downsample, offset)
            missing_levels = round(math.log2(expected_px / max(picture.shape[:2])))
            if not missing_levels:
                break
        return picture, offset

    def _screenshot(self, box: Box, downsample: int, offset: int) -> Picture:
        level = max(self._full_level + offset - round(math.log2(downsample)), 0)
        fields = {"imageid": self._image_id, "x": box.x, "y": box.y, "width": box.width, "height": box.height}
        return self._client.picture("GetScreenshot", {**fields, "level": level, "showScalebar": "false"})


class RawTiles(_Pixels):
    """Pixels through GetRawTile. A level is an index into the slide's downsamples, a size is in the level's pixels."""

    def __init__(
        self, client: Client, image_id: int, metadata: Metadata, study_id: object, picture_px: int = PICTURE_PX
    ) -> None:
        super().__init__(client, image_id, metadata, picture_px)
        self._failure: AnnohooksError | None = None
        self._ids = {"studyid": study_id, "imageId": image_id}
        self._downsamples = metadata.downsamples or [1.0]
        if not all(1 <= downsample < math.inf for downsample in self._downsamples):
            raise Upstream(f"{PLATFORM} answered impossible levels for this slide.")

    def picture(self, box: Box, downsample: int) -> Picture:
        """See `segmentation.Slide.picture`."""
        level = max((i for i, d in enumerate(self._downsamples) if d <= downsample * 1.01), default=0)
        level_downsample = self._downsamples[level]
        whole = np.empty((math.ceil(box.height / downsample), math.ceil(box.width / downsample), 3), np.uint8)
        side = max(1, int(self._picture_px * level_downsample / downsample))  # of one tile, in pixels of the picture
        for row in range(0, whole.shape[0], side):
            for column in range(0, whole.shape[1], side):
                part = whole[row : row + side, column : column + side]
                height, width = part.shape[:2]
                left, top = column * downsample, row * downsample
                fields = {
                    "level": level,
                    "x": box.x + left,
                    "y": box.y + top,
                    "width": max(1, round(min(width * downsample, box.width - left) / level_downsample)),
                    "height": max(1, round(min(height * downsample, box.height - top) / level_downsample)),
                    "jpegQuality": 90,
                }
                tile = self._tile(fields)
                part[:] = _resized(_checked(tile, fields["width"], fields["height"]), width, height)
        return whole

    def _tile(self, fields: Mapping[str, int]) -> Picture:
        """One tile. After a failure no thread sends another request: the same error is raised again."""
        if self._failure is not None:
            raise self._failure
        try:
            return self._client.picture("GetRawTile", {**self._ids, **fields})
        except AnnohooksError as failure:
            self._failure = failure
            raise


def _checked(picture: Picture, width: int, height: int) -> Picture:
    """The picture if it has the requested size, within rounding. Any other picture would be stretched unnoticed."""
    for side, requested in zip(picture.shape, (height, width), strict=False):
        if abs(side - requested) > max(2, 0.02 * requested):
            size = f"{picture.shape[1]} x {picture.shape[0]}"
            raise Upstream(f"{PLATFORM} sent a picture of {size} pixels instead of {width} x {height}.")
    return picture


def _resized(picture: Picture, width: int, height: int) -> Picture:
    """The picture at another size, [height, width, 3]."""
    if picture.shape[:2] == (height, width):
        return picture
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
