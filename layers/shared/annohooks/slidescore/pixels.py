"""A slide's pixels at any downsample, by either of the calls that give them."""

from __future__ import annotations

import math
import threading

import cv2
import numpy as np

from annohooks.imaging.decode import Picture
from annohooks.imaging.region import Box
from annohooks.slidescore.client import PICTURE_PX, Client, Metadata

_LEVEL_TRIES = 3
_LEAST_TELLING_PX = 32  # below it, a size rounded by a pixel or two could pass for another level's
_TELLING_PX = 256


class _Pixels:
    """A slide's size and resolution, and its pixels at any downsample; see segmentation.Slide."""

    def __init__(self, client: Client, image_id: int, metadata: Metadata) -> None:
        self._client, self._image_id, self._metadata = client, image_id, metadata
        self.width, self.height = metadata.level0_width, metadata.level0_height
        sizes = [size for size in (metadata.mpp_x, metadata.mpp_y) if size and size > 0]
        self.mpp = sum(sizes) / len(sizes) if sizes else None


class Screenshots(_Pixels):
    """Pixels through GetScreenshot, whose levels are counted differently from server to server.

    Full resolution is level ceil(log2(longest side)) plus an offset nobody documents: the first picture's size tells
    it, and all later ones are asked for with it. A first picture too small to tell, or so large that at the wrong level
    it could be more than the server makes, is preceded by one of its surroundings.
    """

    def __init__(self, client: Client, image_id: int, metadata: Metadata) -> None:
        super().__init__(client, image_id, metadata)
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
                    return _resized(picture, *size)
        return _resized(self._screenshot(box, downsample, self._offset), *size)

    def _telling(self, box: Box, downsample: int) -> Box:
        """The box if its picture's size can tell the offset, else one at the same place whose picture's can."""
        if _LEAST_TELLING_PX <= max(box.width, box.height) / downsample <= PICTURE_PX / 2:
            return box
        width, height = (min(_TELLING_PX * downsample, side) for side in (self.width, self.height))
        return Box(min(box.x, self.width - width), min(box.y, self.height - height), width, height)

    def _measured(self, box: Box, downsample: int) -> tuple[Picture, int]:
        """The picture, and the level offset that gave it its size."""
        offset = 0
        for _ in range(_LEVEL_TRIES):
            picture = self._screenshot(box, downsample, offset)
            wanted = math.ceil(max(box.width, box.height) / downsample)
            missing = round(math.log2(wanted / max(picture.shape[:2])))
            if not missing:
                return picture, offset
            offset += missing
        return picture, offset - missing

    def _screenshot(self, box: Box, downsample: int, offset: int) -> Picture:
        level = max(self._full + offset - round(math.log2(downsample)), 0)
        where = {"imageid": self._image_id, "x": box.x, "y": box.y, "width": box.width, "height": box.height}
        return self._client.picture("GetScreenshot", {**where, "level": level, "showScalebar": "false"})


class RawTiles(_Pixels):
    """Pixels through GetRawTile: the level is an index into the slide's downsamples, the size is of that level."""

    def __init__(self, client: Client, image_id: int, metadata: Metadata, study_id: object) -> None:
        super().__init__(client, image_id, metadata)
        self._study_id = study_id
        self._downsamples = metadata.downsamples or [1.0]

    def picture(self, box: Box, downsample: int) -> Picture:
        level = max((i for i, d in enumerate(self._downsamples) if d <= downsample * 1.01), default=0)
        step = self._downsamples[level]
        columns, rows = max(1, round(box.width / step)), max(1, round(box.height / step))
        whole = np.empty((rows, columns, 3), np.uint8)
        for row in range(0, rows, PICTURE_PX):
            for column in range(0, columns, PICTURE_PX):
                part = whole[row : row + PICTURE_PX, column : column + PICTURE_PX]
                height, width = part.shape[:2]
                tile = self._client.picture(
                    "GetRawTile",
                    {
                        "studyid": self._study_id,
                        "imageId": self._image_id,
                        "level": level,
                        "x": box.x + round(column * step),
                        "y": box.y + round(row * step),
                        "width": width,
                        "height": height,
                        "jpegQuality": 90,
                    },
                )
                part[:] = _resized(tile, width, height)
        return _resized(whole, math.ceil(box.width / downsample), math.ceil(box.height / downsample))


def _resized(picture: Picture, width: int, height: int) -> Picture:
    """The picture at that size: servers round a part of a pixel up or down."""
    if picture.shape[:2] == (height, width):
        return picture
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
