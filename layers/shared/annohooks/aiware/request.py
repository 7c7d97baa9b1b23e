"""The request of POST /process: the fields of its form, with types."""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any
from urllib.parse import unquote

import msgspec

from annohooks.aiware.form import Form
from annohooks.core.errors import BadRequest

MAX_NUMBER = 2**53
"""The largest whole number that every JSON reader keeps exactly. As milliseconds it is 285,000 years."""
_MAX_NESTING = 64
_MAX_CONFIDENTIAL = 64
_MAX_FREE_BYTES = 64_000

_METADATA = "chunk-metadata-"
_NAMES = {
    "internal_job_id": "internalJobId",
    "internal_task_id": "internalTaskId",
    "chunk_context": "chunkContext",
    "chunk_uuid": "chunkUUID",
    "chunk_index": "chunkIndex",
    "mime_type": "chunkMimeType",
    "start_ms": "startOffsetMS",
    "end_ms": "endOffsetMS",
    "width": "width",
    "height": "height",
    "cache_uri": "cacheURI",
    "api_base_url": "veritoneApiBaseUrl",
    "token": "token",
    "controller_token": "controllerToken",
    "library_id": "libraryId",
    "library_engine_model_id": "libraryEngineModelId",
    "input_folder_id": "inputFolderID",
    "redis_url": "redisETUrl",
    "payload": "payload",
    "max_ttl_s": "maxTTL",
    "heartbeat_webhook": "heartbeatWebhook",
    "result_webhook": "resultWebhook",
    "external_callback_webhook": "externalCallbackWebhook",
}
# Veritone's documents also spell them startOffsetMs, cacheUri and libraryID.
_BY_NAME = {name.lower(): field for field, name in _NAMES.items()}
_SAME_TYPE = {"image/jpg": "image/jpeg"}
_URLS = ("cache_uri", "heartbeat_webhook", "result_webhook", "external_callback_webhook")
_URL = re.compile(r"[!-~]{0,2048}")

_NUMBER = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?(?:[eE]\+?[0-9]{1,2})?")
_INSTANCE_FIELD = re.compile(r"webhook|dir(?:ectory)?$", re.IGNORECASE)
# At the end of a name: `token` says who asks for the work, but `tokenize` is a parameter of the work.
_CREDENTIAL = re.compile(
    r"(?:token|secret|passw(?:or)?d|credentials?|authori[sz]ation|api.?key|access.?key|jwt|signature|cookie)$",
    re.IGNORECASE,
)
_SECRET = r"token|secret|passw|credential|authori[sz]|api.?key|access.?key|private.?key|jwt|signature|bearer|cookie"
_CONFIDENTIAL = re.compile(rf"{_SECRET}|webhook|ur[il]$", re.IGNORECASE)
# Every repeat has a limit or a fixed beginning, so that a search takes time in proportion to the text.
_NAMED_SECRET = re.compile(
    rf"""(?:{_SECRET})[\w.-]{{0,32}}["']?\s{{0,4}}[:=]\s{{0,4}}["']?(?:(?:bearer|basic)\s)?([^\s"'&,;\]}}]+)""",
    re.IGNORECASE,
)
_URL_OR_JWT = re.compile(r"""[A-Za-z][A-Za-z0-9+]{1,15}://[^\s"'<>\]]+|(?<![\w.-])eyJ[\w-]+\.[\w-]+\.[\w-]*""")


class ProcessRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The chunk to analyse, and what the toolkit says about it. A missing or empty field is "", or None for a number.

    mime_type: in lower case, without parameters; that of the chunk's part if the form names none. start_ms, end_ms: the
    place of the chunk in the asset; 0 when missing, because the toolkit writes 0 then. width, height: pixels; None for
    0. payload: the parameters of the task, nested 64 deep at most. chunk_metadata: by the names as sent. unknown: every
    other field, as sent. chunk: None when there was no such part.
    It survives encoding as JSON and decoding. Keep the chunk elsewhere, because it would become base64.
    Source: Veritone, "Webhooks", knowledge base article 000004096.
    """

    internal_job_id: str = ""
    internal_task_id: str = ""
    chunk_context: str = ""
    chunk_uuid: str = ""
    chunk_index: int | None = None
    mime_type: str = ""
    start_ms: int = 0
    end_ms: int = 0
    width: int | None = None
    height: int | None = None
    cache_uri: str = ""
    api_base_url: str = ""
    token: str = ""
    controller_token: str = ""
    library_id: str = ""
    library_engine_model_id: str = ""
    input_folder_id: str = ""
    redis_url: str = ""
    payload: dict[str, Any] = {}
    max_ttl_s: int | None = None
    heartbeat_webhook: str = ""
    result_webhook: str = ""
    external_callback_webhook: str = ""
    chunk_metadata: dict[str, str] = {}
    unknown: dict[str, str] = {}
    chunk: bytes | None = None

    @property
    def wants_async(self) -> bool:
        """Whether there are webhooks for heartbeats and results. The Test Console has none: it waits for the answer."""
        return bool(self.heartbeat_webhook and self.result_webhook)

    def parameter(self, name: str, default: Any = None) -> Any:
        """A value of the payload, from its top level or else from its taskPayload."""
        inner = self.payload.get("taskPayload")
        return self.payload.get(name, inner.get(name, default) if isinstance(inner, dict) else default)

    def output_folder(self) -> str:
        """The payload's outputFolderID, "" when there is none. Raises BadRequest for another type, as `parse` does."""
        match self.parameter("outputFolderID"):
            case None:
                return ""
            case str(folder):
                return folder
            case int(number) if not isinstance(number, bool) and abs(number) <= MAX_NUMBER:
                return str(number)
        raise BadRequest("The payload's `outputFolderID` is neither a text nor a whole number.")

    def identity(self) -> str:
        """40 hex digits, the same for every request of the same work and different for other work.

        With internalTaskId and chunkContext, they are the hash of these two: a chunk that is queued again for another
        instance of the engine, with other webhooks and another token, has the same identity. Otherwise everything that
        defines the work is hashed, with the chunk's bytes and without webhooks, credentials and folders.
        """
        if self.internal_task_id and self.chunk_context:
            return _digest([self.internal_task_id, self.chunk_context])
        work = [
            *(self.internal_job_id, self.internal_task_id, self.chunk_context, self.chunk_uuid, self.chunk_index),
            *(self.mime_type, self.start_ms, self.end_ms, self.width, self.height, self.cache_uri, self.api_base_url),
            *(self.library_id, self.library_engine_model_id, self.input_folder_id, self.chunk_metadata),
            {name: text for name, text in self.unknown.items() if not _INSTANCE_FIELD.search(name)},
            self.payload,
            None if self.chunk is None else hashlib.sha256(self.chunk).hexdigest(),
        ]
        return _digest(without_credentials(work))

    def confidential(self) -> tuple[str, ...]:
        """The texts that no log may hold: tokens, URLs, and other values that are named or look like secrets.

        Values at any depth count, and the secrets in the query of a URL. At most 64, the form's own fields first.
        """
        texts = dict.fromkeys(text for text in self._confidential() if text)
        return tuple(islice(texts, _MAX_CONFIDENTIAL))

    def _confidential(self) -> Iterator[str]:
        fields = {name: value for name, value in msgspec.structs.asdict(self).items() if name != "chunk"}
        for is_confidential, text in _scalars(fields):
            if is_confidential:
                yield text
            for match in _NAMED_SECRET.finditer(text):
                yield match[1]
                yield unquote(match[1])
            yield from _URL_OR_JWT.findall(text)


def parse(form: Form) -> ProcessRequest:
    """The request of a form. The case of field names does not count. Raises BadRequest naming the field at fault.

    Two spellings of one field are refused only if both have a value, and the values differ. endOffsetMS may be 0 for
    any startOffsetMS: the toolkit writes 0 when it does not know the end. A URL has at most 2,048 printable ASCII
    characters. Chunk metadata have at most 64,000 bytes together, and so do unknown fields.
    """
    values: dict[str, Any] = {}
    metadata: dict[str, str] = {}
    unknown: dict[str, str] = {}
    for name, text in form.fields.items():
        field = _BY_NAME.get(name.lower())
        if field is None:
            (metadata if name.lower().startswith(_METADATA) else unknown)[name] = text
        elif text and values.setdefault(field, text) != text:
            raise BadRequest(f"The form's field `{_NAMES[field]}` is there in two spellings with different values.")
    _check_size("chunk-metadata-* fields", metadata)
    _check_size("unknown fields", unknown)
    for field in _URLS:
        if not _URL.fullmatch(values.get(field, "")):
            raise BadRequest(f"The form's field `{_NAMES[field]}` is not a URL of at most 2,048 printable characters.")
    values["mime_type"] = _mime_type(values.get("mime_type") or form.chunk_type.replace("application/octet-stream", ""))
    values["payload"] = _payload(values.get("payload", ""))
    values["chunk_index"] = _number("chunk_index", values)
    for field in ("width", "height", "max_ttl_s"):
        values[field] = _number(field, values) or None
    for field in ("start_ms", "end_ms"):
        values[field] = _number(field, values) or 0
    if 0 < values["end_ms"] < values["start_ms"]:
        raise BadRequest("The form's field `startOffsetMS` is greater than its `endOffsetMS`.")
    request = ProcessRequest(**values, chunk_metadata=metadata, unknown=unknown, chunk=form.chunk)
    request.output_folder()
    return request


def _check_size(what: str, fields: Mapping[str, str]) -> None:
    if sum(len(name.encode()) + len(text.encode()) for name, text in fields.items()) > _MAX_FREE_BYTES:
        raise BadRequest(f"The form's {what} are too large: more than {_MAX_FREE_BYTES} bytes together.")


def _number(field: str, values: Mapping[str, str]) -> int | None:
    """A whole number, written by Go as an integer or a float (1e+06). None for a blank text."""
    text = values.get(field, "").strip()
    if not text:
        return None
    number = _NUMBER.fullmatch(text) and (int(text) if text.isdecimal() else float(text))
    if number is None or number != int(number) or number > MAX_NUMBER:
        raise BadRequest(f"The form's field `{_NAMES[field]}` is not a whole number from 0 to {MAX_NUMBER}.")
    return int(number)


def _payload(text: str) -> dict[str, Any]:
    text = text.removeprefix("\ufeff").strip()
    if not text:
        return {}
    try:
        payload = msgspec.json.decode(text)
    except RecursionError:
        raise BadRequest("The form's field `payload` is nested too deeply.") from None
    except msgspec.DecodeError as error:
        raise BadRequest(f"The form's field `payload` is not JSON: {error}.") from None
    if not isinstance(payload, dict):
        raise BadRequest("The form's field `payload` is not a JSON object.")
    level: list[Any] = [payload]
    for _ in range(_MAX_NESTING):
        level = [inner for value in level for inner in _inside(value) if isinstance(inner, dict | list)]
        if not level:
            return payload
    raise BadRequest("The form's field `payload` is nested too deeply.")


def _inside(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _mime_type(text: str) -> str:
    mime_type = text.partition(";")[0].strip().lower()
    return _SAME_TYPE.get(mime_type, mime_type)


def _digest(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:40]


def without_credentials(value: Any) -> Any:
    """The same JSON value without the keys that name credentials, at any depth."""
    if isinstance(value, dict):
        return {name: without_credentials(inner) for name, inner in value.items() if not _CREDENTIAL.search(name)}
    return [without_credentials(inner) for inner in value] if isinstance(value, list) else value


def _scalars(fields: dict[str, Any]) -> Iterator[tuple[bool, str]]:
    """Every text and number, outer ones first, and whether one of the names above it is that of a secret."""
    waiting: deque[tuple[bool, Any]] = deque([(False, fields)])
    while waiting:
        confidential, value = waiting.popleft()
        if isinstance(value, dict):
            waiting.extend((confidential or _is_confidential(name), inner) for name, inner in value.items())
        elif isinstance(value, list):
            waiting.extend((confidential, inner) for inner in value)
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            yield confidential, str(value)


def _is_confidential(name: str) -> bool:
    return bool(_CONFIDENTIAL.search(name))
