"""The media of a chunk: what they are by their MIME type, and how they are fetched from cacheURI."""

from __future__ import annotations

from typing import BinaryIO, Literal

from annohooks.aiware.settings import Settings
from annohooks.core.deadline import Deadline
from annohooks.core.http import Outbound

MediaKind = Literal["picture", "video", "unknown"]

SERVER = "the server of cacheURI"

_PICTURES = frozenset(
    {"image/jpeg", "image/png", "image/webp", "image/bmp", "image/x-ms-bmp", "image/tiff", "image/gif"}
)
_VIDEOS = frozenset({"application/mp4", "application/x-matroska"})
_UNSPECIFIC = frozenset({"", "application/octet-stream", "binary/octet-stream"})


def kind_of(mime_type: str) -> MediaKind | None:
    """The kind of media of a MIME type: "unknown" if the type says nothing, None if no engine here analyses it."""
    if mime_type in _PICTURES:
        return "picture"
    if mime_type.startswith("video/") or mime_type in _VIDEOS:
        return "video"
    return "unknown" if mime_type in _UNSPECIFIC else None


def fetch(cache_uri: str, into: BinaryIO, max_bytes: int, settings: Settings, deadline: Deadline) -> None:
    """Writes the media into an open file.

    Raises Forbidden for a server that is not allowed, and what `Outbound.request` does, such as Upstream for more than
    max_bytes, whatever length the server announced.
    """
    origin = settings.aiware_media_origins.match(cache_uri)
    with Outbound(origin, deadline, platform=SERVER, read_timeout_s=20) as outbound:
        path = outbound.locate(cache_uri)
        outbound.request("GET", path, doing="reading the media", max_bytes=max_bytes, attempts=3, into=into)
