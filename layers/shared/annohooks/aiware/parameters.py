"""The parameters of an engine, as a task's payload chooses them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from annohooks.core.errors import BadRequest

S = TypeVar("S", bound=msgspec.Struct)


def chosen(kind: type[S], parameter: Callable[[str], Any]) -> S:
    """Parameters of a kind, from a payload's values by the fields' names. null, "" and missing values are defaults.

    parameter: the payload's value of a name, None if it has none. Payloads are written in forms: a number, true and
    false may be text, and the case of a choice does not count. Raises BadRequest naming the field, and what the kind
    raises for values that contradict each other.
    """
    values = {}
    for field in msgspec.structs.fields(kind):
        value = parameter(field.encode_name)
        value = value.strip() if isinstance(value, str) else value
        if value is None or value == "":
            continue
        type_ = inspect.type_info(field.type)
        type_ = type_.type if isinstance(type_, inspect.Metadata) else type_
        if isinstance(type_, inspect.LiteralType) and isinstance(value, str):
            value = next((choice for choice in type_.values if str(choice).casefold() == value.casefold()), value)
        try:
            values[field.name] = msgspec.convert(value, field.type, strict=False)
        except msgspec.ValidationError:
            raise BadRequest(f"The payload's `{field.encode_name}` has to be {_described(type_)}.") from None
    return kind(**values)


def _described(type_: inspect.Type) -> str:
    match type_:
        case inspect.IntType(ge=lowest, le=highest):
            return f"a whole number{_range(lowest, highest)}"
        case inspect.FloatType(ge=lowest, le=highest):
            return f"a number{_range(lowest, highest)}"
        case inspect.LiteralType(values=choices):
            return f"one of {', '.join(map(str, choices))}"
        case inspect.BoolType():
            return "true or false"
    return "a text"


def _range(lowest: float | None, highest: float | None) -> str:
    return "" if lowest is None or highest is None else f" from {lowest:.12g} to {highest:.12g}"
