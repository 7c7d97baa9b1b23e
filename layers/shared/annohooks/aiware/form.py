"""The multipart form that the Engine Toolkit posts, read strictly.

Go's mime/multipart writes it, and leaves nothing open: no preamble, no padding, a final boundary that ends its line.
What differs was cut off or changed on its way, and is refused, not repaired: a chunk that lost its end looks like a
chunk. Source: protocol reference, section 1.4; RFC 2046, section 5.1; RFC 7578.
"""

from __future__ import annotations

import re

import msgspec

from annohooks.core.errors import BadRequest, TooLarge

MAX_BODY_BYTES = 4_700_000
"""As base64, with the largest headers API Gateway takes, just within the 6,291,456 bytes of a Lambda request."""
MAX_PARTS = 256
MAX_FIELD_BYTES = 1 << 20
_MAX_HEAD_BYTES = 8192

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PARAMETER = re.compile(rf';[ \t]*({_TOKEN.pattern})=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))[ \t]*')
_ESCAPED = re.compile(r'\\(["\\])')
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_PLAIN_NAME = re.compile(r"[0-9A-Za-z_.-]{1,64}")
_AS_THEY_ARE = ("7bit", "8bit", "binary")


class Form(msgspec.Struct, frozen=True):
    """fields: the text fields by name. chunk: the part of that name, None if there was none; b"" was sent, but empty.

    chunk_type: the Content-Type of the chunk's part, "" if it has none.
    """

    fields: dict[str, str]
    chunk: bytes | None = None
    chunk_type: str = ""


def parse(content_type: str | None, body: bytes) -> Form:
    """The fields and the chunk of a multipart/form-data body.

    content_type: the request's header. The part `chunk` is bytes and every other is text, with or without a file name.
    Raises BadRequest saying what is wrong, never quoting a value: another content type, no boundary, a body cut off
    anywhere or going on after its end, a name given twice, too many parts, a field that is too long or not UTF-8.
    Raises TooLarge, with the remedy, for more than MAX_BODY_BYTES.
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
        # The line's end before a part may be that of the next delimiter too, when there is no part between them.
        stop = body.find(delimiter, start - 2)
        head_stop = body.find(b"\r\n\r\n", start, min(stop, start + _MAX_HEAD_BYTES))
        if head_stop < 0:
            raise BadRequest(f"Part {part} of the form has no headers, or they do not end.")
        name, part_type = _head(body[start:head_stop], part)
        if name in fields or (name == "chunk" and chunk is not None):
            raise BadRequest(f"{_called(name, part)} is given twice.")
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
            raise BadRequest(f"Part {part} of the form is followed by a boundary that neither goes on nor is the last.")
    raise BadRequest(f"The form has more than {MAX_PARTS} parts.")


def _boundary(content_type: str | None) -> bytes:
    header = _header(content_type or "")
    if header is None:
        raise BadRequest("The request's Content-Type cannot be read.")
    kind, parameters = header
    if kind != "multipart/form-data":
        raise BadRequest("The request's Content-Type is not multipart/form-data.")
    if "boundary" not in parameters:
        raise BadRequest("The request's Content-Type names no boundary.")
    if not _BOUNDARY.fullmatch(parameters["boundary"]):
        raise BadRequest(
            "The request's Content-Type names a boundary that is none: RFC 2046 allows 1 to 70 characters."
        )
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
        # A line without a colon has no value, and one of an older folded header no name; no header of use is empty.
        if not _TOKEN.fullmatch(name) or not value or "\r" in value or "\n" in value or name.lower() in headers:
            raise BadRequest(f"The headers of part {part} of the form cannot be read.")
        headers[name.lower()] = value.strip(" \t")
    disposition = _header(headers.get("content-disposition", ""))
    if disposition is None or disposition[0] != "form-data" or "name" not in disposition[1]:
        raise BadRequest(f"Part {part} of the form has no Content-Disposition that names it.")
    if headers.get("content-transfer-encoding", "binary").lower() not in _AS_THEY_ARE:
        raise BadRequest(
            f"Part {part} of the form has a Content-Transfer-Encoding; the bytes must be sent as they are."
        )
    return disposition[1]["name"], headers.get("content-type", "")


def _header(value: str) -> tuple[str, dict[str, str]] | None:
    """A header's value before the first semicolon, in lower case, and its parameters; None if it is not well formed.

    Of a quoted string only an escaped quote and an escaped backslash are unescaped: Go escapes no more, and browsers
    write the backslashes of a path as they are.
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
    """How an error names a part: by what is certainly a name, else by its place."""
    return f"The form's field `{name}`" if _PLAIN_NAME.fullmatch(name) else f"Part {part} of the form"
