"""The body of a request, and JSON as others write it."""

import json
from collections.abc import Callable
from typing import Any

import msgspec

from annohooks.core.errors import BadRequest

_DECODER = msgspec.json.Decoder()


def any_json(content: bytes) -> Any:
    """What JSON text stands for, and what many write though it is none: NaN, halves of a surrogate pair, huge integers.

    Raises msgspec.DecodeError, UnicodeDecodeError or RecursionError, as msgspec does.
    """
    try:
        return _DECODER.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise error from None


def json_object(body: bytes, hint: str = "", decode: Callable[[bytes], Any] = _DECODER.decode) -> dict[str, Any]:
    """A body's JSON object. Raises BadRequest saying where the text stops being JSON, never quoting it.

    hint: a sentence for whoever wrote what is not JSON. decode: `any_json` for a body of which little matters.
    """
    try:
        fields = decode(body)
    except RecursionError:
        raise BadRequest("The request body cannot be used: it is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        where = str(error) if isinstance(error, msgspec.DecodeError) else "it is not UTF-8"
        raise BadRequest(f"The request body is not JSON: {where}. {hint}".strip()) from None
    if not isinstance(fields, dict):
        raise BadRequest("The request body is not a JSON object.")
    return fields
