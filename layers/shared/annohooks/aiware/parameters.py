"""What a task's payload chooses, as parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from annohooks.core.errors import BadRequest

S = TypeVar("S", bound=msgspec.Struct)


def chosen(kind: type[S], parameter: Callable[[str], Any]) -> S:
    """Parameters of a kind, from a payload's values by the fields' names; defaults for null, "" and what is not there.

    parameter: the payload's value of a name, None if it has none. Payloads are written in forms: a text may hold a
    number, true or false, and the case of a choice does not count. Raises BadRequest naming the field, and what the
    kind raises for values that contradict each other.
    """
    values = {}
    for field in msgspec.structs.fields(kind):
        given = parameter(field.encode_name)
        given = given.strip() if isinstance(given, str) else given
        if given is None or given == "":
            continue
        described = inspect.type_info(field.type)
        described = described.type if isinstance(described, inspect.Metadata) else described
        if isinstance(described, inspect.LiteralType) and isinstance(given, str):
            given = next((each for each in described.values if str(each).casefold() == given.casefold()), given)
        try:
            values[field.name] = msgspec.convert(given, field.type, strict=False)
        except msgspec.ValidationError:
            raise BadRequest(f"The payload's `{field.encode_name}` has to be {_wanted(described)}.") from None
    return kind(**values)


def _wanted(described: inspect.Type) -> str:
    match described:
        case inspect.IntType(ge=least, le=most):
            return f"a whole number{_bounds(least, most)}"
        case inspect.FloatType(ge=least, le=most):
            return f"a number{_bounds(least, most)}"
        case inspect.LiteralType(values=choices):
            return f"one of {', '.join(map(str, choices))}"
        case inspect.BoolType():
            return "true or false"
        case _:
            return "a text"


def _bounds(least: float | None, most: float | None) -> str:
    return "" if least is None or most is None else f" from {least:.12g} to {most:.12g}"
