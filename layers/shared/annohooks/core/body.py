"""The body of a request."""

from typing import Any

import msgspec

from annohooks.core.errors import BadRequest

_DECODER = msgspec.json.Decoder()


def json_object(body: bytes, hint: str = "") -> dict[str, Any]:
    """A body's JSON object. Raises BadRequest saying where the text stops being JSON, never quoting it.

    hint: a sentence for whoever wrote what is not JSON.
    """
    try:
        fields = _DECODER.decode(body)
    except RecursionError:
        raise BadRequest("The request body cannot be used: it is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        where = str(error) if isinstance(error, msgspec.DecodeError) else "it is not UTF-8"
        raise BadRequest(f"The request body is not JSON: {where}. {hint}".strip()) from None
    if not isinstance(fields, dict):
        raise BadRequest("The request body is not a JSON object.")
    return fields
