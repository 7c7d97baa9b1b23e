"""Requests of the Engine Toolkit and of the Test Console, as forms that Go's mime/multipart writes."""

from __future__ import annotations

import json
from collections.abc import Mapping

from annohooks.aiware import form, request
from annohooks.aiware.request import ProcessRequest

BOUNDARY = "7cbcabd31ba037353ff74cca1caaf1fdef1fb028c58668c97d12c43fc229"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
CONTEXT = "000000.000000000.000000000_1604611231892635750_6b8bdc9d-bc80-4d8e-a796-87dd8ab2fab6.in"
METADATA = {
    "chunk-metadata-index": "3",
    "chunk-metadata-main-message": "map[cacheURI:https://edge.example.org/c?key=1 endOffsetMs:0 mimeType:image/jpeg]",
}
PAYLOAD = {"jobId": "j", "sampleMs": "500", "taskPayload": {"analyzer": "faces", "verbose": "false"}}


def fields(text: str) -> dict[str, str]:
    """Fields that are written as name=value, with blanks between them."""
    return dict(field.split("=", 1) for field in text.split())


# Every field that is not set is there, and empty.
UNSET = fields("""
chunkMimeType= chunkUUID= chunkIndex= startOffsetMS= endOffsetMS= width= height= libraryId= libraryEngineModelId=
libraryModelDirectory= cacheURI= veritoneApiBaseUrl= token= payload= internalJobId= internalTaskId= inputFolderID=
taskTmpDir= engineDir= chunkContext= maxTTL= chunkTimestamp= heartbeatWebhook= resultWebhook= externalCallbackWebhook=
controllerToken= redisETUrl=
""")
TOOLKIT = UNSET | fields("""
internalJobId=job-1 internalTaskId=task-1 chunkMimeType=image/jpeg chunkUUID=uuid-1 chunkIndex=0 startOffsetMS=1000
endOffsetMS=2000 width=640 height=480 libraryId=library-1 libraryEngineModelId=model-1
cacheURI=https://edge.example.org/chunk/a.out veritoneApiBaseUrl=https://api.example.org token=token-1
controllerToken=controller-token-1 inputFolderID=folder-1 taskTmpDir=/tmp/task-1 engineDir=/opt/engine
chunkTimestamp=1604611231892 heartbeatWebhook=http://localhost:1234/heartbeat/task1234
resultWebhook=http://localhost:1234/result/task1234 externalCallbackWebhook=https://callback.example.org/x
maxTTL=3600 redisETUrl=http://localhost:33193
""")
TOOLKIT |= {"payload": json.dumps(PAYLOAD), "chunkContext": CONTEXT, **METADATA}
TEST_CONSOLE = fields("""
chunkMimeType=image/jpg startOffsetMS=1000 endOffsetMS=2000 width=250 height=250 libraryID=library-1
libraryEngineModelId=model-1 cacheURI= veritoneApiBaseUrl=https://api.example.org token=
payload={"jobId":"j","analyzer":"faces"}
""")


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


def parsed(fields=TOOLKIT, chunk=None, boundary=BOUNDARY, **changed) -> ProcessRequest:
    """The request of a form that went over the wire as Go writes it."""
    content = written({**fields, **changed}, chunk, boundary)
    return request.parse(form.parse(f"multipart/form-data; boundary={boundary}", content))


def payload(value) -> ProcessRequest:
    return parsed(payload=json.dumps(value))
