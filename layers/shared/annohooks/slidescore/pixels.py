"""A slide's pixels at any downsample, by either of the calls that give them."""

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

_LEVEL_TRIES = 3
_LEAST_TELLING_PX = 32  # below it, a size rounded by a pixel or two could pass for another level's
_TELLING_PX = 256


class _Pixels:
    """A slide's size and resolution, and its pixels at any downsample; see segmentation.Slide."""

    def __init__(self, client: Client, image_id: int, metadata: Metadata, picture_px: int = PICTURE_PX) -> None:
        self._client, self._image_id, self._picture_px = client, image_id, picture_px
        self.width, self.height = metadata.level0_width, metadata.level0_height
        self.mpp = metadata.mpp()


class Screenshots(_Pixels):
    """Pixels through GetScreenshot, whose levels are counted differently from server to server.

    Full resolution is level ceil(log2(longest side)) plus an offset nobody documents: the first picture's size tells
    it, and all later ones are asked for with it. A first picture too small to tell, or so large that at the wrong level
    it could be more than the server makes, is preceded by one of its surroundings.
    """

    def __init__(self, client: Client, image_id: int, metadata: Metadata, picture_px: int = PICTURE_PX) -> None:
        super().__init__(client, image_id, metadata, picture_px)
        self._full = math.ceil(math.log2(max(self.width, self.height, 2)))
        self._offset: int | None = None
        self._measuring = threading.Lock()

    def picture(self, box: Box, downsample: int) -> Picture:
        size = math.ceil(box.width / downsample), math.ceil(box.height / downsample)
        with self._measuring:
            if self._offset is None:
                telling = self._telling(box, downsample)
                picture, self._offset = self._measured(telling, downsample)
                if telling == box:
                    return _resized(_checked(picture, *size), *size)
        return _resized(_checked(self._screenshot(box, downsample, self._offset), *size), *size)

    def _telling(self, box: Box, downsample: int) -> Box:
        """The box if its picture's size can tell the offset, else one at the same place whose picture's can."""
        if _LEAST_TELLING_PX <= max(box.width, box.height) / downsample <= self._picture_px / 2:
            return box
        width, height = (min(_TELLING_PX * downsample, side) for side in (self.width, self.height))
        return Box(min(box.x, self.width - width), min(box.y, self.height - height), width, height)

    def _measured(self, box: Box, downsample: int) -> tuple[Picture, int]:
        """The picture, and the level offset that gave it its size; of the last try, when none gave the size wanted."""
        wanted = math.ceil(max(box.width, box.height) / downsample)
        offset = missing = 0
        for _ in range(_LEVEL_TRIES):
            offset += missing
            picture = self._screenshot(box, downsample, offset)
            missing = round(math.log2(wanted / max(picture.shape[:2])))
            if not missing:
                break
        return picture, offset

    def _screenshot(self, box: Box, downsample: int, offset: int) -> Picture:
        level = max(self._full + offset - round(math.log2(downsample)), 0)
        where = {"imageid": self._image_id, "x": box.x, "y": box.y, "width": box.width, "height": box.height}
        return self._client.picture("GetScreenshot", {**where, "level": level, "showScalebar": "false"})


class RawTiles(_Pixels):
    """Pixels through GetRawTile: the level is an index into the slide's downsamples, the size is of that level."""

    def __init__(
        self, client: Client, image_id: int, metadata: Metadata, study_id: object, picture_px: int = PICTURE_PX
    ) -> None:
        super().__init__(client, image_id, metadata, picture_px)
        self._failure: AnnohooksError | None = None
        self._ids = {"studyid": study_id, "imageId": image_id}
        self._downsamples = metadata.downsamples or [1.0]
        if not all(1 <= downsample < math.inf for downsample in self._downsamples):
            raise Upstream(f"{PLATFORM} gave the slide levels no slide has.")

    def picture(self, box: Box, downsample: int) -> Picture:
        level = max((i for i, d in enumerate(self._downsamples) if d <= downsample * 1.01), default=0)
        step = self._downsamples[level]
        whole = np.empty((math.ceil(box.height / downsample), math.ceil(box.width / downsample), 3), np.uint8)
        side = max(1, int(self._picture_px * step / downsample))  # of the part that one tile of the level gives
        for row in range(0, whole.shape[0], side):
            for column in range(0, whole.shape[1], side):
                part = whole[row : row + side, column : column + side]
                height, width = part.shape[:2]
                left, top = column * downsample, row * downsample
                fields = {
                    "level": level,
                    "x": box.x + left,
                    "y": box.y + top,
                    "width": max(1, round(min(width * downsample, box.width - left) / step)),
                    "height": max(1, round(min(height * downsample, box.height - top) / step)),
                    "jpegQuality": 90,
                }
                tile = self._tile(fields)
                part[:] = _resized(_checked(tile, fields["width"], fields["height"]), width, height)
        return whole

    def _tile(self, fields: Mapping[str, int]) -> Picture:
        """One tile. Once one has failed none is asked for any more, whichever thread needs it."""
        if self._failure is not None:
            raise self._failure
        try:
            return self._client.picture("GetRawTile", {**self._ids, **fields})
        except AnnohooksError as failure:
            self._failure = failure
            raise


def _checked(picture: Picture, width: int, height: int) -> Picture:
    """The picture, if its size is the one asked for but for rounding: any other would be stretched unnoticed."""
    for side, wanted in zip(picture.shape, (height, width), strict=False):
        if abs(side - wanted) > max(2, 0.02 * wanted):
            sent = f"{picture.shape[1]} x {picture.shape[0]}"
            raise Upstream(f"{PLATFORM} sent a picture of {sent} pixels, where {width} x {height} were asked for.")
    return picture


def _resized(picture: Picture, width: int, height: int) -> Picture:
    """The picture at that size, [height, width, 3]."""
    if picture.shape[:2] == (height, width):
        return picture
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
