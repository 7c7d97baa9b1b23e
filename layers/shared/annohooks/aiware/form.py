"""The multipart form that the Engine Toolkit posts, read strictly.

Go's mime/multipart writes it: without preamble and padding, and with a final boundary that ends its line. A body that
differs was cut off or changed on its way. It is refused, because a chunk that lost its end still looks like a chunk.
Sources: RFC 2046, section 5.1; RFC 7578; Go's package mime/multipart.
"""

from __future__ import annotations

import re

import msgspec

from annohooks.core.errors import BadRequest, TooLarge

MAX_BODY_BYTES = 4_700_000
"""In base64, with the largest headers that API Gateway takes, this fits into a Lambda request of 6,291,456 bytes."""
MAX_PARTS = 256
MAX_FIELD_BYTES = 1 << 20
_MAX_HEAD_BYTES = 8192

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PARAMETER = re.compile(rf';[ \t]*({_TOKEN.pattern})=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))[ \t]*')
_ESCAPED = re.compile(r'\\(["\\])')
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_PLAIN_NAME = re.compile(r"[0-9A-Za-z_.-]{1,64}")
_PLAIN_ENCODINGS = ("7bit", "8bit", "binary")


class Form(msgspec.Struct, frozen=True):
    """fields: the text fields by name. chunk: the content of the part `chunk`, None if there is no such part.

    chunk_type: the Content-Type of that part, "" if it has none.
    """

    fields: dict[str, str]
    chunk: bytes | None = None
    chunk_type: str = ""


def parse(content_type: str | None, body: bytes) -> Form:
    """The fields and the chunk of a multipart/form-data body.

    content_type: the request's header. The part `chunk` is bytes; every other part is text, even with a file name.
    Raises BadRequest saying what is wrong, without quoting values: another content type, no boundary, a body that was
    cut off or goes on after its end, a repeated name, too many parts, a field that is too long or not UTF-8. Raises
    TooLarge, with the remedy, for more than MAX_BODY_BYTES.
    """
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(
            f"The request body is over {MAX_BODY_BYTES} bytes, more than this engine can be sent. "
            "Set VERITONE_DISABLE_CHUNK_DOWNLOAD=true for the engine, and it fetches the chunk from cacheURI."
        )
    delimiter = b"\r\n--" + _boundary(content_type)
    opening = delimiter[2:] + b"\r\n"
    if not body.startswith(opening):
        raise BadRequest("The request body does not begin with the boundary that its Content-Type names.")
    if not body.endswith(delimiter + b"--\r\n"):
        raise BadRequest("The request body does not end with its final boundary: it was cut off.")
    fields: dict[str, str] = {}
    chunk, chunk_type = None, ""
    start = len(opening)
    for part in range(1, MAX_PARTS + 1):
        # When two delimiters follow each other without a part, they share one line end.
        stop = body.find(delimiter, start - 2)
        head_stop = body.find(b"\r\n\r\n", start, min(stop, start + _MAX_HEAD_BYTES))
        if head_stop < 0:
            raise BadRequest(f"Part {part} of the form has no headers, or they do not end.")
        name, part_type = _head(body[start:head_stop], part)
        if name in fields or (name == "chunk" and chunk is not None):
            raise BadRequest(f"{_called(name, part)} is repeated.")
        content = body[head_stop + 4 : stop]
        if name == "chunk":
            chunk, chunk_type = content, part_type
        else:
            fields[name] = _text(content, name, part)
        start = stop + len(delimiter) + 2
        following = body[start - 2 : start]
        if following == b"--" and start + 2 == len(body):
            return Form(fields, chunk, chunk_type)
        if following != b"\r\n":
            raise BadRequest(f"Part {part} of the form is followed by a malformed boundary.")
    raise BadRequest(f"The form has more than {MAX_PARTS} parts.")


def _boundary(content_type: str | None) -> bytes:
    header = _header(content_type or "")
    if header is None:
        raise BadRequest("The request's Content-Type is malformed.")
    kind, parameters = header
    if kind != "multipart/form-data":
        raise BadRequest("The request's Content-Type is not multipart/form-data.")
    if "boundary" not in parameters:
        raise BadRequest("The request's Content-Type names no boundary.")
    if not _BOUNDARY.fullmatch(parameters["boundary"]):
        raise BadRequest("The request's Content-Type names an invalid boundary: RFC 2046 allows 1 to 70 characters.")
    return parameters["boundary"].encode()


def _head(head: bytes, part: int) -> tuple[str, str]:
    """A part's name, and its Content-Type or ""."""
    headers: dict[str, str] = {}
    try:
        lines = head.decode().split("\r\n")
    except UnicodeDecodeError:
        raise BadRequest(f"The headers of part {part} of the form are not UTF-8.") from None
    for line in lines:
        name, _, value = line.partition(":")
        # A line without a colon has no value. The second line of a folded header has no name. Both are refused.
        if not _TOKEN.fullmatch(name) or not value or "\r" in value or "\n" in value or name.lower() in headers:
            raise BadRequest(f"The headers of part {part} of the form are malformed.")
        headers[name.lower()] = value.strip(" \t")
    disposition = _header(headers.get("content-disposition", ""))
    if disposition is None or disposition[0] != "form-data" or "name" not in disposition[1]:
        raise BadRequest(f"Part {part} of the form has no Content-Disposition that names it.")
    if headers.get("content-transfer-encoding", "binary").lower() not in _PLAIN_ENCODINGS:
        raise BadRequest(
            f"Part {part} of the form has a Content-Transfer-Encoding; the bytes must be sent as they are."
        )
    return disposition[1]["name"], headers.get("content-type", "")


def _header(value: str) -> tuple[str, dict[str, str]] | None:
    """A header's value before the first semicolon, in lower case, and its parameters; None for a malformed header.

    In quoted strings only \\" and \\\\ are unescaped: Go escapes nothing else, and browsers do not escape backslashes.
    """
    kind, semicolon, _ = value.partition(";")
    parameters: dict[str, str] = {}
    at = len(kind) if semicolon else len(value)
    while at < len(value):
        match = _PARAMETER.match(value, at)
        if match is None or match[1].lower() in parameters:
            return None
        parameters[match[1].lower()] = match[3] or _ESCAPED.sub(r"\1", match[2])
        at = match.end()
    return kind.strip(" \t").lower(), parameters


def _text(content: bytes, name: str, part: int) -> str:
    if len(content) > MAX_FIELD_BYTES:
        raise BadRequest(f"{_called(name, part)} is over {MAX_FIELD_BYTES} bytes.")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise BadRequest(f"{_called(name, part)} is not UTF-8.") from None


def _called(name: str, part: int) -> str:
    """What an error calls a part: its name if that is a plain one, else its position."""
    return f"The form's field `{name}`" if _PLAIN_NAME.fullmatch(name) else f"Part {part} of the form"
