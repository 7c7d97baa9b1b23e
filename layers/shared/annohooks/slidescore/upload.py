"""A staged file to Slide Score, by TUS 1.0.0: in ranges, and on from where a broken upload stopped."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Mapping

from annohooks.core.errors import Upstream, UpstreamStatus
from annohooks.core.http import Outbound
from annohooks.core.observability import logger
from annohooks.core.staging import Staged, Staging
from annohooks.slidescore.client import PLATFORM

_CHUNK_BYTES = 8_000_000
_MOST_BREAKS = 4
_PAUSE_S = 0.2  # before going on, twice as long each time
_DOING = "uploading the anno2"
_TUS = {"Tus-Resumable": "1.0.0"}


def upload(outbound: Outbound, staging: Staging, staged: Staged, metadata: Mapping[str, str]) -> str:
    """Uploads a staged file and returns the upload's id, the last part of its URL.

    A range that breaks off is asked about (HEAD) and continued, at most four times in an upload. Raises Upstream when
    the server names an upload URL on another origin, or none, or the upload stays broken.
    Source: tus.io protocol 1.0.0, core and creation.
    """
    encoded = ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in metadata.items())
    headers = {**_TUS, "Upload-Length": str(staged.size), "Upload-Metadata": encoded}
    created = outbound.request("POST", "/files/", doing=_DOING, headers=headers, accept=(200, 201))
    location = created.headers.get("Location")
    if not location:
        raise Upstream(f"{PLATFORM} did not say where to upload the anno2.")
    path = outbound.locate(location)
    offset, breaks = 0, 0
    while offset < staged.size:
        try:
            offset = _patch(outbound, path, staging.read(staged, offset, _CHUNK_BYTES), offset)
        except Upstream as error:
            breaks += 1
            if breaks > _MOST_BREAKS or not _may_go_on(error):
                raise
            logger.warning("an upload broke off and goes on", extra={"offset": offset, "breaks": breaks})
            time.sleep(_PAUSE_S * 2 ** (breaks - 1))
            offset = _offset(outbound, path, offset, staged.size)
    return path.partition("?")[0].rstrip("/").rpartition("/")[2]


def _patch(outbound: Outbound, path: str, content: bytes, offset: int) -> int:
    """Sends bytes from offset on; returns the offset the server has then."""
    headers = {**_TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    reply = outbound.request("PATCH", path, doing=_DOING, headers=headers, body=content, accept=(200, 204))
    return _checked(reply.headers.get("Upload-Offset"), offset + 1, offset + len(content))


def _offset(outbound: Outbound, path: str, last: int, size: int) -> int:
    """How much the server has, by its own word; what was known before when it does not answer."""
    try:
        reply = outbound.request("HEAD", path, doing=_DOING, headers=_TUS, accept=(200, 204))
    except Upstream as error:
        if not _may_go_on(error):
            raise
        return last
    return _checked(reply.headers.get("Upload-Offset"), 0, size)


def _checked(offset: str | None, least: int, most: int) -> int:
    if offset is None or not offset.isdecimal() or not least <= int(offset) <= most:
        raise Upstream(f"{PLATFORM} lost count of the bytes while {_DOING}.")
    return int(offset)


def _may_go_on(error: Upstream) -> bool:
    """A connection that broke, a time-out, a conflict of offsets or a fault of the server may pass; a refusal stays."""
    if isinstance(error, UpstreamStatus):
        return error.reply_status in (409, 423) or error.reply_status >= 500
    return True
