"""Uploads a staged file to Slide Score by TUS 1.0.0, in ranges. A broken upload continues where it stopped."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

from annohooks.core import retry
from annohooks.core.errors import Upstream, UpstreamStatus
from annohooks.core.http import Outbound
from annohooks.core.observability import logger
from annohooks.core.retry import Backoff
from annohooks.core.staging import Staged, Staging
from annohooks.slidescore.client import PLATFORM

_CHUNK_BYTES = 8_000_000
_BACKOFF = Backoff(first_s=0.2, attempts=5)
_DOING = "uploading the anno2"
_TUS = {"Tus-Resumable": "1.0.0"}


def upload(outbound: Outbound, staging: Staging, staged: Staged, metadata: Mapping[str, str]) -> str:
    """Uploads a staged file and returns the upload's id, the last part of its URL.

    After a broken connection the server is asked for its offset (HEAD), and the upload continues from there, four times
    at most. Raises Upstream when the server names no upload URL, or one on another origin, or the upload stays broken.
    Source: tus.io protocol 1.0.0, core and creation.
    """
    encoded = ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in metadata.items())
    headers = {**_TUS, "Upload-Length": str(staged.size), "Upload-Metadata": encoded}
    created = outbound.request("POST", "/files/", doing=_DOING, headers=headers, accept=(200, 201))
    location = created.headers.get("Location")
    if not location:
        raise Upstream(f"{PLATFORM} did not say where to upload the anno2.")
    path = outbound.locate(location)
    offset, is_broken = 0, False

    def send_the_rest() -> None:
        nonlocal offset, is_broken
        if is_broken:
            is_broken = False
            offset = _server_offset(outbound, path, offset, staged.size)
            logger.warning("a broken upload continues", extra={"offset": offset})
        while offset < staged.size:
            try:
                offset = _patch(outbound, path, staging.read(staged, offset, _CHUNK_BYTES), offset)
            except Upstream:
                is_broken = True
                raise

    retry.call(send_the_rest, _BACKOFF, lambda error: is_broken and _is_repeatable(error))
    return path.partition("?")[0].rstrip("/").rpartition("/")[2]


def _patch(outbound: Outbound, path: str, content: bytes, offset: int) -> int:
    """Sends the bytes that begin at an offset. Returns the server's new offset."""
    headers = {**_TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    reply = outbound.request("PATCH", path, doing=_DOING, headers=headers, body=content, accept=(200, 204))
    return _checked(reply.headers.get("Upload-Offset"), offset + 1, offset + len(content))


def _server_offset(outbound: Outbound, path: str, last: int, size: int) -> int:
    """How many bytes the server has, as it says. The last known offset when it does not answer."""
    try:
        reply = outbound.request("HEAD", path, doing=_DOING, headers=_TUS, accept=(200, 204))
    except Upstream as error:
        if not _is_repeatable(error):
            raise
        return last
    return _checked(reply.headers.get("Upload-Offset"), 0, size)


def _checked(offset: str | None, lowest: int, highest: int) -> int:
    if offset is None or not offset.isdecimal() or not lowest <= int(offset) <= highest:
        raise Upstream(f"{PLATFORM} answered an impossible upload offset while {_DOING}.")
    return int(offset)


def _is_repeatable(error: Exception) -> bool:
    """True for a broken connection, a time-out, a conflict of offsets, and a fault of the server."""
    if isinstance(error, UpstreamStatus):
        return error.reply_status in (409, 423) or error.reply_status >= 500
    return isinstance(error, Upstream)
