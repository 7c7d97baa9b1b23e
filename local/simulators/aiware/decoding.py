"""JSON decoded as in Go: keys of a struct match in any case, unknown keys are ignored, integers have no fraction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_INT64 = 2**63 - 1
_NAMES = {str: "string", int: "int64", bool: "bool", dict: "object"}


class Undecodable(ValueError):
    """Go's decoder refuses the text. The message is the reason."""


@dataclass(frozen=True)
class Decoded:
    """values: by their documented names. misspelt: keys that differ from a documented name in case only. others: the
    values of undocumented keys.
    """

    values: dict[str, Any]
    misspelt: list[str]
    others: dict[str, Any]


def document(text: bytes) -> Any:
    """Decodes any JSON. Raises Undecodable for all else, NaN, Infinity and a byte order mark included."""
    try:
        return json.loads(text.decode(errors="replace"), parse_constant=_refuse_constant)
    except RecursionError:
        raise Undecodable("exceeded max depth") from None
    except ValueError as error:
        raise Undecodable(str(error)) from None


def struct(text: bytes, documented: Mapping[str, type]) -> Decoded:
    """Decodes an object of which some keys are documented. A null counts as an absent key. Raises Undecodable.

    documented: str, int (int64), bool or dict by key.
    """
    content = document(text)
    if not isinstance(content, dict):
        raise Undecodable(f"cannot unmarshal {type(content).__name__} into a struct")
    by_case = {name.lower(): name for name in documented}
    decoded = Decoded({}, [], {})
    for key, value in content.items():
        name = by_case.get(key.lower())
        if name is None:
            decoded.others[key] = value
            continue
        if key != name:
            decoded.misspelt.append(key)
        if value is not None:
            decoded.values[name] = _typed(value, name, documented[name])
    return decoded


def _typed(value: Any, name: str, kind: type) -> Any:
    fits = type(value) is kind and (kind is not int or -MAX_INT64 - 1 <= value <= MAX_INT64)
    if not fits:
        raise Undecodable(f"cannot unmarshal {json.dumps(value):.40} into {name} of type {_NAMES[kind]}")
    return value


def _refuse_constant(name: str) -> Any:
    raise Undecodable(f"invalid character {name[0]!r} looking for beginning of value ({name})")
