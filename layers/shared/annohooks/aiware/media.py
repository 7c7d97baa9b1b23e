"""What a chunk is by its MIME type, and how it is fetched from the URI that the toolkit names."""

from __future__ import annotations

from typing import BinaryIO, Literal

from annohooks.aiware.settings import Settings
from annohooks.core.deadline import Deadline
from annohooks.core.http import Outbound

Kind = Literal["picture", "video", "unknown"]

SERVER = "the server of cacheURI"

_PICTURES = frozenset(
    {"image/jpeg", "image/png", "image/webp", "image/bmp", "image/x-ms-bmp", "image/tiff", "image/gif"}
)
_VIDEOS = frozenset({"application/mp4", "application/x-matroska"})
_UNTOLD = frozenset({"", "application/octet-stream", "binary/octet-stream"})


def kind(mime_type: str) -> Kind | None:
    """What media of that type are; "unknown" if it does not tell, None for those that no engine here looks at."""
    if mime_type in _PICTURES:
        return "picture"
    if mime_type.startswith("video/") or mime_type in _VIDEOS:
        return "video"
    return "unknown" if mime_type in _UNTOLD else None


def fetch(cache_uri: str, into: BinaryIO, most_bytes: int, settings: Settings, deadline: Deadline) -> int:
    """Writes the media into an open file; returns how many bytes they are.

    Raises Forbidden for a server that is not allowed, and what `Outbound.request` does: Upstream when they are more
    than most_bytes, however many the server announced.
    """
    origin = settings.aiware_media_origins.match(cache_uri)
    start = into.tell()
    with Outbound(origin, deadline, platform=SERVER, read_timeout_s=20) as outbound:
        path = outbound.locate(cache_uri)
        outbound.request("GET", path, doing="reading the media", max_bytes=most_bytes, attempts=3, into=into)
    return into.tell() - start
