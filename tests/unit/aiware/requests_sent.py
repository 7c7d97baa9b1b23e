"""Requests of the Engine Toolkit and of the Test Console, as forms that went over the wire."""

from __future__ import annotations

import json

from go_forms import BOUNDARY, UNSET, written

from annohooks.aiware import form, request
from annohooks.aiware.request import ProcessRequest

CONTEXT = "000000.000000000.000000000_1604611231892635750_6b8bdc9d-bc80-4d8e-a796-87dd8ab2fab6.in"
METADATA = {
    "chunk-metadata-index": "3",
    "chunk-metadata-main-message": "map[cacheURI:https://edge.example.org/c?key=1 endOffsetMs:0 mimeType:image/jpeg]",
}
TOOLKIT = UNSET | {
    "internalJobId": "job-1",
    "internalTaskId": "task-1",
    "chunkMimeType": "image/jpeg",
    "chunkUUID": "uuid-1",
    "chunkIndex": "0",
    "startOffsetMS": "1000",
    "endOffsetMS": "2000",
    "width": "640",
    "height": "480",
    "libraryId": "library-1",
    "libraryEngineModelId": "model-1",
    "cacheURI": "https://edge.example.org/chunk/a.out",
    "veritoneApiBaseUrl": "https://api.example.org",
    "token": "token-1",
    "controllerToken": "controller-token-1",
    "payload": '{"jobId": "j", "sampleMs": "500", "taskPayload": {"analyzer": "faces", "verbose": "false"}}',
    "inputFolderID": "folder-1",
    "taskTmpDir": "/tmp/task-1",
    "engineDir": "/opt/engine",
    "chunkContext": CONTEXT,
    "chunkTimestamp": "1604611231892",
    "heartbeatWebhook": "http://localhost:1234/heartbeat/task1234",
    "resultWebhook": "http://localhost:1234/result/task1234",
    "externalCallbackWebhook": "https://callback.example.org/x",
    "maxTTL": "3600",
    "redisETUrl": "http://localhost:33193",
    **METADATA,
}
TEST_CONSOLE = {
    "chunkMimeType": "image/jpg",
    "startOffsetMS": "1000",
    "endOffsetMS": "2000",
    "width": "250",
    "height": "250",
    "libraryID": "library-1",
    "libraryEngineModelId": "model-1",
    "cacheURI": "",
    "veritoneApiBaseUrl": "https://api.example.org",
    "token": "",
    "payload": '{"jobId": "j", "analyzer": "faces"}',
}


def parsed(fields=TOOLKIT, chunk=None, boundary=BOUNDARY, **changed) -> ProcessRequest:
    """The request of a form that went over the wire as Go writes it."""
    content = written({**fields, **changed}, chunk, boundary)
    return request.parse(form.parse(f"multipart/form-data; boundary={boundary}", content))


def payload(value) -> ProcessRequest:
    return parsed(payload=json.dumps(value))
