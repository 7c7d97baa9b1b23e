"""The fields of a work item's form: values that a test chooses, or that a toolkit would send."""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Mapping
from typing import Any

from local.simulators.aiware import form

API = "https://api.aiware.invalid"


def fields(chosen: Mapping[str, Any], *, webhooks: Mapping[str, str]) -> dict[str, str]:
    """Every field of the form as text, in its order, then the other chosen fields.

    chosen: by the name of the field. None leaves a field out. A dict as `payload` is added to the identifiers of every
    payload; a str is sent unchanged. webhooks: by the name of the field; chosen values replace them.
    """
    job, task, recording = str(uuid.uuid4()), str(uuid.uuid4()), str(secrets.randbelow(10**9))
    item = {**dict.fromkeys(form.FIELDS, ""), **dict.fromkeys(form.NUMBERS, "0")}
    item |= {
        "chunkUUID": str(uuid.uuid4()),
        "veritoneApiBaseUrl": API,
        "token": f"{secrets.token_hex(8)}:{secrets.token_hex(32)}",
        "internalJobId": job,
        "internalTaskId": task,
        "inputFolderID": str(uuid.uuid4()),
        "taskTmpDir": f"/cache/task/{task}/tmp",
        "engineDir": "/cache/engine/annohooks",
        "chunkContext": f"000000.000000000.000000000_{time.time_ns()}_{uuid.uuid4()}.in",
        "chunkTimestamp": str(time.time_ns() // 1_000_000),
        "redisETUrl": "http://localhost:33193",
    }
    item |= {**webhooks, **{name: _text(value) for name, value in chosen.items()}}
    payload = chosen.get("payload", {})
    if isinstance(payload, dict):
        identifiers = {"applicationId": str(uuid.uuid4()), "tdoId": recording, "jobId": job, "taskId": task}
        identifiers |= {"token": item["token"], "veritoneApiBaseUrl": API}
        item["payload"] = _text(identifiers | payload)
    metadata = {
        "endoffsetms": item["endOffsetMS"],
        "groupid": "",
        "index": item["chunkIndex"],
        "main-message": f"map[cacheURI:{item['cacheURI']} endOffsetMs:{item['endOffsetMS']} timestampUTC:1.6046e+12]",
        "mimetype": item["chunkMimeType"],
        "startoffsetms": item["startOffsetMS"],
        "tdoid": recording,
    }
    for key, value in metadata.items():
        item.setdefault(f"chunk-metadata-{key}", value)
    return changed(item, {name: value for name, value in chosen.items() if name != "payload" or value is None})


def changed(item: Mapping[str, str], chosen: Mapping[str, Any]) -> dict[str, str]:
    """The fields of an item with these replaced, and without those that are None."""
    omitted = {name for name, value in chosen.items() if value is None}
    texts = {**item, **{name: _text(value) for name, value in chosen.items()}}
    return {name: value for name, value in texts.items() if name not in omitted}


def console_fields(chosen: Mapping[str, Any]) -> dict[str, str]:
    """The form of the Test Console: no webhooks, no identifiers, and libraryID instead of libraryId."""
    sample = {"applicationId": "a1", "recordingId": "r1", "jobId": "j1", "taskId": "t1", "mode": "library-run"}
    item = {
        "chunkMimeType": "image/jpg",
        "startOffsetMS": "1000",
        "endOffsetMS": "2000",
        "width": "250",
        "height": "250",
        "libraryID": "",
        "libraryEngineModelId": "",
        "cacheURI": "",
        "veritoneApiBaseUrl": API,
        "token": "",
        "payload": json.dumps({**sample, "taskPayload": {}}, indent=2),
    }
    return changed(item, chosen)


def secrets_of(fields: Mapping[str, str]) -> dict[str, str]:
    """The confidential values by field. No answer and no message may contain them."""
    named = ("token", "controllerToken", "cacheURI", "heartbeatWebhook", "resultWebhook", "externalCallbackWebhook")
    return {name: fields[name] for name in (*named, "payload") if len(fields.get(name, "")) >= _SHORTEST_SECRET}


_SHORTEST_SECRET = 8


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
