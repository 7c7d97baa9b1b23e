"""Slide Score's API, as far as a webhook needs it, with the token of one trigger."""

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
"""Longest side of a picture the server makes (GetRawTile refuses more)."""
CONNECTIONS = 6
"""Requests the server takes at once."""
GIVE_UP_S = 3.0
"""Kept free at the end of a request's time to give the token up."""

T = TypeVar("T")

_PICTURE_BYTES = 40_000_000
_READ_ATTEMPTS = 2
_MOST_SLIDE_PX = 2.5e11  # half a million by half a million
_MOST_SIDE_PX = 2**24  # what goes by rows of tiles stays small


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """Of a slide: size in pixels at full resolution, pixel size in micrometres (0 or null when unknown)."""

    level0_width: Annotated[int, msgspec.Meta(ge=1)]
    level0_height: Annotated[int, msgspec.Meta(ge=1)]
    mpp_x: float | None = None
    mpp_y: float | None = None
    downsamples: list[float] = []

    def mpp(self) -> float | None:
        """Micrometres per pixel; None when unknown, or such as no microscope makes."""
        sizes = [size for size in (self.mpp_x, self.mpp_y) if size is not None and 0.01 <= size <= 100]
        return sum(sizes) / len(sizes) if sizes else None


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
                self.call("POST", "GiveUpToken", doing="giving the token up", attempts=2)
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
        """The slide's size and resolution. Raises Upstream also when they are none a slide can have."""
        doing = "reading the slide's metadata"
        reply = self.call("GET", "GetImageMetadata", {"imageid": image_id}, doing=doing, attempts=_READ_ATTEMPTS)
        answer = _json(reply, _MetadataReply, doing)
        metadata = answer.metadata
        if not answer.success or metadata is None:
            raise Upstream(f"{PLATFORM} has no metadata for this slide.")
        width, height = metadata.level0_width, metadata.level0_height
        if max(width, height) > _MOST_SIDE_PX or width * height > _MOST_SLIDE_PX:
            raise Upstream(f"{PLATFORM} gave the slide a size no slide has.")
        return metadata

    def create_orphan_anno2(self) -> Anno2Slot:
        """Room for an anno2 that belongs to no question, as the viewer shows those of a webhook."""
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


def _json(reply: Reply, into: type[T], doing: str) -> T:
    """The reply's JSON. Raises Upstream when it is something else: an error text, a login page, {"success": false}."""
    try:
        return msgspec.json.decode(reply.body, type=into)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Upstream(f"{PLATFORM} answered something unexpected while {doing}.") from None
