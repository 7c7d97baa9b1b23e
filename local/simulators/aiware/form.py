"""The multipart form of process, byte for byte as Go's mime/multipart writes it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

FIELDS = (
    # in the order of the toolkit published in 2019
    *("chunkMimeType", "chunkUUID", "chunkIndex", "startOffsetMS", "endOffsetMS", "width", "height", "libraryId"),
    *("libraryEngineModelId", "cacheURI", "veritoneApiBaseUrl", "token", "payload"),
    # fields of later toolkits, whose order is not published
    *("internalJobId", "internalTaskId", "inputFolderID", "libraryModelDirectory", "taskTmpDir", "engineDir"),
    *("chunkContext", "chunkTimestamp", "heartbeatWebhook", "resultWebhook", "externalCallbackWebhook", "maxTTL"),
    *("controllerToken", "redisETUrl"),
)
NUMBERS = ("chunkIndex", "startOffsetMS", "endOffsetMS", "width", "height")
"""Fields that are 0 by default. The others are empty."""

CHUNK_NAME, CHUNK_TYPE = "chunk.data", "application/octet-stream"


def encode(
    fields: Mapping[str, str],
    chunk: bytes | None,
    *,
    chunk_name: str = CHUNK_NAME,
    chunk_type: str = CHUNK_TYPE,
    boundary: str = "",
) -> tuple[str, bytes]:
    """The Content-Type and the body: the fields in their order, then the chunk.

    boundary: 60 random hex digits if empty.
    """
    boundary = boundary or secrets.token_hex(30)
    parts = [(f'name="{_quoted(name)}"', value.encode()) for name, value in fields.items()]
    if chunk is not None:
        parts.append((f'name="chunk"; filename="{_quoted(chunk_name)}"\r\nContent-Type: {chunk_type}', chunk))
    pieces = []
    for disposition, content in parts:
        pieces += [f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode(), content, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", b"".join(pieces)


def _quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')
