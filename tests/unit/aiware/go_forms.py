"""A form as Go's mime/multipart writes it, and so the Engine Toolkit."""

from __future__ import annotations

from collections.abc import Mapping

BOUNDARY = "7cbcabd31ba037353ff74cca1caaf1fdef1fb028c58668c97d12c43fc229"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"

# Every field that is not set is there, and empty.
UNSET = dict.fromkeys(
    [
        *("chunkMimeType", "chunkUUID", "chunkIndex", "startOffsetMS", "endOffsetMS", "width", "height", "libraryId"),
        *("libraryEngineModelId", "libraryModelDirectory", "cacheURI", "veritoneApiBaseUrl", "token", "payload"),
        *("internalJobId", "internalTaskId", "inputFolderID", "taskTmpDir", "engineDir", "chunkContext", "maxTTL"),
        *("chunkTimestamp", "heartbeatWebhook", "resultWebhook", "externalCallbackWebhook", "controllerToken"),
        "redisETUrl",
    ],
    "",
)


def written(fields: Mapping[str, str], chunk: bytes | None = None, boundary: str = BOUNDARY) -> bytes:
    """What Writer.WriteField, CreateFormFile and Close write. Of a name only backslashes and quotes are escaped."""
    parts = [(f'form-data; name="{_escaped(name)}"', text.encode()) for name, text in fields.items()]
    if chunk is not None:
        disposition = 'form-data; name="chunk"; filename="chunk.data"\r\nContent-Type: application/octet-stream'
        parts.append((disposition, chunk))
    body = [f"--{boundary}\r\nContent-Disposition: {head}\r\n\r\n".encode() + content for head, content in parts]
    return b"\r\n".join([*body, f"--{boundary}--\r\n".encode()])


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')
