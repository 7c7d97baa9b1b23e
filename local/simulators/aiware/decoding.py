"""JSON as Go decodes it into a struct: keys in any case, unknown ones let be, whole numbers strictly whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_INT64 = 2**63 - 1
_NAMES = {str: "string", int: "int64", bool: "bool", dict: "object"}


class Undecodable(ValueError):
    """Go's decoder would refuse it; says why."""


@dataclass(frozen=True)
class Decoded:
    """values: by the documented names. misspelt: keys as they came that differ from those in their case only.
    others: what is not documented.
    """

    values: dict[str, Any]
    misspelt: list[str]
    others: dict[str, Any]


def document(text: bytes) -> Any:
    """Any JSON. Raises Undecodable for NaN, Infinity, a byte order mark and whatever else is none."""
    try:
        return json.loads(text.decode(errors="replace"), parse_constant=_no_constant)
    except RecursionError:
        raise Undecodable("exceeded max depth") from None
    except ValueError as error:
        raise Undecodable(str(error)) from None


def struct(text: bytes, documented: Mapping[str, type]) -> Decoded:
    """An object of which only some keys are documented; null is as if the key were not there.

    documented: str, int (int64), bool or dict by key.
    """
    found = document(text)
    if not isinstance(found, dict):
        raise Undecodable(f"cannot unmarshal {type(found).__name__} into a struct")
    by_case = {name.lower(): name for name in documented}
    decoded = Decoded({}, [], {})
    for key, value in found.items():
        name = by_case.get(key.lower())
        if name is None:
            decoded.others[key] = value
            continue
        if key != name:
            decoded.misspelt.append(key)
        if value is not None:
            decoded.values[name] = _typed(value, name, documented[name])
    return decoded


def _typed(value: Any, name: str, wanted: type) -> Any:
    fits = type(value) is wanted and (wanted is not int or -MOST_INT64 - 1 <= value <= MOST_INT64)
    if not fits:
        raise Undecodable(f"cannot unmarshal {json.dumps(value):.40} into {name} of type {_NAMES[wanted]}")
    return value


def _no_constant(name: str) -> Any:
    raise Undecodable(f"invalid character {name[0]!r} looking for beginning of value ({name})")
