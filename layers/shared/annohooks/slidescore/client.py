"""Slide Score's API, as far as a webhook needs it, with the token of one trigger."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Annotated, Literal, TypeVar

import cv2
import msgspec
import numpy as np

from annohooks.core.deadline import Deadline
from annohooks.core.errors import AnnohooksError, Upstream
from annohooks.core.http import Outbound, Reply
from annohooks.core.observability import logger
from annohooks.imaging import decode
from annohooks.imaging.decode import Picture
from annohooks.imaging.region import Box

PLATFORM = "Slide Score"
PICTURE_PX = 2000
"""Longest side of a picture the server makes (GetRawTile refuses more)."""
CONNECTIONS = 6
"""Requests the server takes at once."""
GIVE_UP_S = 3.0
"""Kept free at the end of a request's time to give the token up."""

T = TypeVar("T")

_PICTURE_BYTES = 40_000_000
_LEVEL_TRIES = 3
_LEAST_TELLING_PX = 32
_TELLING_PX = 256
_READ_ATTEMPTS = 2


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """Of a slide: size in pixels at full resolution, pixel size in micrometres (0 or null when unknown)."""

    level0_width: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
    level0_height: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
    mpp_x: float | None = None
    mpp_y: float | None = None
    downsamples: list[float] = []


class _MetadataReply(msgspec.Struct):
    success: bool
    metadata: Metadata | None = None


class Anno2Slot(msgspec.Struct, frozen=True, rename={"upload_token": "uploadToken", "uuid": "annoUUID"}):
    """Where an anno2 goes: the token its upload needs, and the id it will have."""

    upload_token: str
    uuid: str


class Client:
    """Calls to one Slide Score server with one trigger's token, which is given up when the client is closed.

    Every method raises Upstream (UpstreamTimeout, UpstreamStatus) naming what failed, and DeadlineExceeded.
    Source: protocol reference, section 1.
    """

    def __init__(self, outbound: Outbound, token: str, *, give_up_token: bool) -> None:
        self.outbound = outbound
        self._token = token
        self._give_up_token = give_up_token

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._give_up_token:
            try:
                self.outbound = self.outbound.until(Deadline.after(GIVE_UP_S))
                self.call("POST", "GiveUpToken", doing="giving the token up")
            except AnnohooksError as failure:
                logger.warning("the token could not be given up", extra={"reason": failure.message})

    def call(
        self,
        method: Literal["GET", "POST"],
        name: str,
        fields: Mapping[str, object] | None = None,
        *,
        doing: str,
        max_bytes: int = 1_000_000,
        attempts: int = 1,
    ) -> Reply:
        """One call of the API; fields go as query on GET (as the server's own documentation has it), else as form."""
        text = {key: str(value) for key, value in (fields or {}).items()}
        return self.outbound.request(
            method,
            f"/Api/{name}",
            doing=doing,
            query=text if method == "GET" else None,
            form=text if method == "POST" else None,
            headers={"Accept": "application/json", "Authorization": f"Bearer {self._token}"},
            max_bytes=max_bytes,
            attempts=attempts,
        )

    def metadata(self, image_id: int) -> Metadata:
        doing = "reading the slide's metadata"
        reply = self.call("GET", "GetImageMetadata", {"imageid": image_id}, doing=doing, attempts=_READ_ATTEMPTS)
        answer = _json(reply, _MetadataReply, doing)
        if not answer.success or answer.metadata is None:
            raise Upstream(f"{PLATFORM} has no metadata for this slide.")
        return answer.metadata

    def create_orphan_anno2(self) -> Anno2Slot:
        doing = "making room for the anno2"
        return _json(self.call("POST", "CreateOrphanAnno2", doing=doing), Anno2Slot, doing)

    def finish_upload(self, upload_id: str, upload_token: str) -> None:
        """Raises Upstream unless the server says, in so many words, that the upload is whole."""
        doing = "finishing the anno2's upload"
        fields = {"id": upload_id, "token": upload_token}
        if _json(self.call("POST", "FinishUpload", fields, doing=doing), str, doing) != "OK":
            raise Upstream(f"{PLATFORM} did not accept the uploaded anno2.")

    def picture(self, name: str, fields: Mapping[str, object]) -> Picture:
        """A JPEG the server makes, decoded. Raises Upstream when it is not one, or not whole."""
        doing = "reading the pixels"
        reply = self.call("GET", name, fields, doing=doing, max_bytes=_PICTURE_BYTES, attempts=_READ_ATTEMPTS)
        try:
            return decode.jpeg(reply.body, max_pixels=4 * PICTURE_PX**2)
        except decode.NotAPicture as error:
            raise Upstream(f"{PLATFORM} answered {error} while {doing}.") from None

    def upload_metadata(self, upload_token: str) -> Mapping[str, str]:
        """What the upload server wants to know, as TUS metadata. It holds the token: for this origin only."""
        return {"uploadtoken": upload_token, "apitoken": self._token}


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


def _json(reply: Reply, into: type[T], doing: str) -> T:
    """The reply's JSON. Raises Upstream when it is something else: an error text, a login page, {"success": false}."""
    try:
        return msgspec.json.decode(reply.body, type=into)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Upstream(f"{PLATFORM} answered something unexpected while {doing}.") from None
