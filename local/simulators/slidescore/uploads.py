"""Uploads to the simulated server: TUS 1.0.0 under /files, then FinishUpload. Source: tus.io, slidescore-sdk."""

from __future__ import annotations

import base64
import binascii
import io
import json
import secrets
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field

from local.listener import Dropped, Refused, Reply, Request
from local.simulators.faults import Faults

PATCH_TYPE = "application/offset+octet-stream"


@dataclass
class Upload:
    """An unfinished upload. first_patch_failed: the fault of the first PATCH has struck."""

    token: str
    length: int
    content: bytearray = field(default_factory=bytearray)
    first_patch_failed: bool = False


class Uploads:
    """Upload tokens, unfinished uploads, and finished annotations.

    annos: zips by annoUUID.
    """

    def __init__(self, faults: Faults) -> None:
        self.annos: dict[str, bytes] = {}
        self._faults = faults
        self._created: dict[str, str] = {}  # annoUUID by upload token
        self._uploads: dict[str, Upload] = {}

    def create_anno(self) -> dict[str, object]:
        """The answer of CreateOrphanAnno2 and CreateAnno2: a new annotation without content."""
        token, anno = "FEU" + secrets.token_hex(16), str(uuid.uuid4())
        self._created[token] = anno
        return {"success": True, "uploadToken": token, "annoUUID": anno}

    def tus(self, request: Request, location_prefix: str, accepts_token: Callable[[str], bool]) -> Reply:
        """Answers one TUS request. location_prefix: the start of the Location header, /files/ included."""
        if request.headers.get("Tus-Resumable") != "1.0.0":
            raise _refused(412, "a TUS request without Tus-Resumable: 1.0.0")
        if request.method == "POST":
            return self._create(request, location_prefix, accepts_token)
        upload = self._uploads.get(request.path.rpartition("/")[2])
        if upload is None:
            raise _refused(404, f"{request.method} of an upload that does not exist")
        if request.method == "HEAD":
            return _tus(200, Upload_Offset=str(len(upload.content)), Upload_Length=str(upload.length))
        if request.method == "PATCH":
            return self._patch(request, upload)
        raise _refused(405, f"{request.method} is no part of an upload")

    def finish(self, upload_id: str, token: str) -> str:
        """Finishes an upload and stores its annotation; returns OK. Raises Refused with a JSON string as the answer."""
        upload = self._uploads.get(upload_id)
        if upload is None or upload.token != token:
            raise _unfinished("Upload not found", "FinishUpload with an id and a token that do not belong together")
        if len(upload.content) < upload.length:
            raise _unfinished("Upload is not complete", "FinishUpload before everything was uploaded")
        del self._uploads[upload_id]
        content = bytes(upload.content)
        if system_metadata(content) is None:
            raise _unfinished("Not an anno2 zip", "what was uploaded is no anno2 zip")
        self.annos[self._created.pop(token)] = content
        return "OK"

    def _create(self, request: Request, location_prefix: str, accepts_token: Callable[[str], bool]) -> Reply:
        length = request.headers.get("Upload-Length", "")
        if not length.isdecimal():
            raise _refused(400, "an upload without Upload-Length")
        metadata = _metadata(request.headers.get("Upload-Metadata", ""))
        if not accepts_token(metadata.get("apitoken", "")):
            raise _refused(401, "an upload without a valid apitoken in Upload-Metadata")
        token = metadata.get("uploadtoken", "")
        if token not in self._created:
            raise _refused(401, "an upload without a valid uploadtoken in Upload-Metadata")
        upload_id = secrets.token_hex(16)
        self._uploads[upload_id] = Upload(token, int(length))
        return _tus(201) if "no_location" in self._faults else _tus(201, Location=location_prefix + upload_id)

    def _patch(self, request: Request, upload: Upload) -> Reply:
        if request.headers.get("Content-Type") != PATCH_TYPE:
            raise _refused(415, f"a PATCH that is not {PATCH_TYPE}")
        if request.headers.get("Upload-Offset") != str(len(upload.content)):
            raise _refused(409, "a PATCH at the wrong Upload-Offset")
        if len(upload.content) + request.unread > upload.length:
            raise _refused(413, "a PATCH beyond Upload-Length")
        if "upload_never_works" in self._faults:
            raise Dropped
        if "upload_breaks" in self._faults and not upload.first_patch_failed:
            upload.first_patch_failed = True
            upload.content += request.read(request.unread // 2)
            raise Dropped
        upload.content += request.read(request.unread)
        if "upload_conflict" in self._faults and not upload.first_patch_failed:
            upload.first_patch_failed = True
            return _tus(409)
        return _tus(204, Upload_Offset=str(len(upload.content)))


def system_metadata(content: bytes) -> dict[str, object] | None:
    """system_metadata.json of an anno2 zip; None if the content is no such zip."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as anno2:
            metadata = json.loads(anno2.read("system_metadata.json"))
    except (zipfile.BadZipFile, KeyError, ValueError):
        return None
    return metadata if isinstance(metadata, dict) else None


def _metadata(header: str) -> dict[str, str]:
    try:
        pairs = (entry.strip().partition(" ") for entry in header.split(","))
        return {key: base64.b64decode(value, validate=True).decode() for key, _, value in pairs}
    except (binascii.Error, UnicodeDecodeError):
        raise _refused(400, "Upload-Metadata is not a list of `key base64`") from None


def _tus(status: int, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, headers={"Tus-Resumable": "1.0.0", "Cache-Control": "no-store", **named})


def _refused(status: int, violation: str) -> Refused:
    return Refused(violation, _tus(status))


def _unfinished(message: str, violation: str) -> Refused:
    return Refused(violation, Reply(body=json.dumps(message).encode()))
