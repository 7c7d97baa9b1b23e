"""JSON from others: the body of a request, and text that is almost JSON."""

import json
from collections.abc import Callable
from typing import Any

import msgspec

from annohooks.core.errors import BadRequest

_DECODER = msgspec.json.Decoder()


def any_json(content: bytes) -> Any:
    """The value that JSON text stands for.

    Also accepts what many programs write although JSON does not allow it: NaN, half a surrogate pair, huge integers.
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
    """The JSON object in a request's body. Raises BadRequest saying where the text is wrong, without quoting it.

    hint: a sentence for the person who wrote the body. decode: `any_json` to accept almost-JSON.
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
