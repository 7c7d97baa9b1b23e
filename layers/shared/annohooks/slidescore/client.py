"""The calls of Slide Score's API that a webhook needs.

Source: slidescore-sdk 1.5.4, whose client judges this one's calls in tests/contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Annotated, Literal, TypeVar

import msgspec

from annohooks.core.deadline import Deadline
from annohooks.core.errors import AnnohooksError, Upstream
from annohooks.core.http import Outbound, Reply
from annohooks.core.observability import logger
from annohooks.imaging import decode
from annohooks.imaging.decode import Picture

PLATFORM = "Slide Score"
PICTURE_PX = 2000
"""Longest side of a picture that the server makes. GetRawTile refuses more."""
CONNECTIONS = 6
"""Requests that the server takes at once."""
GIVE_UP_S = 3.0
"""Seconds kept free at the end of a request's time, to give the token up."""

T = TypeVar("T")

_PICTURE_BYTES = 40_000_000
_READ_ATTEMPTS = 2
_MAX_SLIDE_PX = 2.5e11  # 500,000 x 500,000
_MAX_SIDE_PX = 2**24  # keeps arrays with one entry per row of tiles small


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """A slide's size in pixels at full resolution, and its pixel size in micrometres: 0 or null when unknown."""

    level0_width: Annotated[int, msgspec.Meta(ge=1)]
    level0_height: Annotated[int, msgspec.Meta(ge=1)]
    mpp_x: float | None = None
    mpp_y: float | None = None
    downsamples: list[float] = []

    def mpp(self) -> float | None:
        """Micrometres per pixel. None when they are unknown or impossible for a microscope."""
        sizes = [size for size in (self.mpp_x, self.mpp_y) if size is not None and 0.01 <= size <= 100]
        return sum(sizes) / len(sizes) if sizes else None


class _MetadataReply(msgspec.Struct):
    success: bool
    metadata: Metadata | None = None


class Anno2Slot(msgspec.Struct, frozen=True, rename={"upload_token": "uploadToken", "uuid": "annoUUID"}):
    """The place of a new anno2: the token for its upload, and its id."""

    upload_token: str
    uuid: str


class Client:
    """Calls to one Slide Score server with the token of one trigger. Leaving the `with` statement gives the token up.

    Every method raises Upstream (also UpstreamTimeout, UpstreamStatus) with what failed, and DeadlineExceeded.
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
                self.call("POST", "GiveUpToken", doing="giving up the token", attempts=2)
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
        """Makes one call of the API. fields: the query of a GET, or the form of a POST."""
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
        """The slide's size and resolution. Raises Upstream also when the size is impossible for a slide."""
        doing = "reading the slide's metadata"
        reply = self.call("GET", "GetImageMetadata", {"imageid": image_id}, doing=doing, attempts=_READ_ATTEMPTS)
        answer = _json(reply, _MetadataReply, doing)
        metadata = answer.metadata
        if not answer.success or metadata is None:
            raise Upstream(f"{PLATFORM} has no metadata for this slide.")
        width, height = metadata.level0_width, metadata.level0_height
        if max(width, height) > _MAX_SIDE_PX or width * height > _MAX_SLIDE_PX:
            raise Upstream(f"{PLATFORM} answered an impossible size for this slide.")
        return metadata

    def create_orphan_anno2(self) -> Anno2Slot:
        """Creates an anno2 that belongs to no question. The viewer shows the anno2 of a webhook this way."""
        doing = "creating the anno2"
        return _json(self.call("POST", "CreateOrphanAnno2", doing=doing), Anno2Slot, doing)

    def finish_upload(self, upload_id: str, upload_token: str) -> None:
        """Tells the server that the upload is complete. Raises Upstream unless it answers "OK"."""
        doing = "finishing the upload of the anno2"
        fields = {"id": upload_id, "token": upload_token}
        if _json(self.call("POST", "FinishUpload", fields, doing=doing), str, doing) != "OK":
            raise Upstream(f"{PLATFORM} did not accept the uploaded anno2.")

    def picture(self, name: str, fields: Mapping[str, object]) -> Picture:
        """A decoded JPEG that the server makes. Raises Upstream when it is no JPEG, or an incomplete one."""
        doing = "reading the pixels"
        reply = self.call("GET", name, fields, doing=doing, max_bytes=_PICTURE_BYTES, attempts=_READ_ATTEMPTS)
        try:
            return decode.jpeg(reply.body, max_pixels=4 * PICTURE_PX**2)
        except decode.NotAPicture as error:
            raise Upstream(f"{PLATFORM} answered {error} while {doing}.") from None

    def upload_metadata(self, upload_token: str) -> Mapping[str, str]:
        """The TUS metadata of an upload. It holds the token, so it must go to this origin only."""
        return {"uploadtoken": upload_token, "apitoken": self._token}


def _json(reply: Reply, into: type[T], doing: str) -> T:
    """The reply's JSON as a type. Raises Upstream for all else: an error text, a login page, {"success": false}."""
    try:
        return msgspec.json.decode(reply.body, type=into)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Upstream(f"{PLATFORM} sent an unexpected answer while {doing}.") from None
