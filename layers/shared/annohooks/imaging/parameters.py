"""The parameters of analyzers and detectors, and how they are read from the values of a request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import inspect

S = TypeVar("S", bound=msgspec.Struct)


class Parameter(NamedTuple):
    """One field of a class of parameters.

    field: its name in the class. name: its name in requests. title: as a person reads it, empty if it has none.
    default: `msgspec.NODEFAULT` if it has none. type: without its annotations. annotated: with them.
    """

    field: str
    name: str
    title: str
    default: Any
    type: inspect.Type
    annotated: Any

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts to choose from, empty if it is no choice."""
        return tuple(map(str, self.type.values)) if isinstance(self.type, inspect.LiteralType) else ()

    @property
    def is_number(self) -> bool:
        """Whether the parameter takes a number."""
        return isinstance(self.type, inspect.IntType | inspect.FloatType)

    @property
    def expected(self) -> str:
        """What a value has to be, as the end of a sentence."""
        match self.type:
            case inspect.IntType(ge=lowest, le=highest):
                return f"a whole number{_range(lowest, highest)}"
            case inspect.FloatType(ge=lowest, le=highest):
                return f"a number{_range(lowest, highest)}"
            case inspect.LiteralType():
                return f"one of {', '.join(self.choices)}"
            case inspect.BoolType():
                return "true or false"
        return "a text"

    def read(self, value: Any) -> Any:
        """A value of the parameter's type. A number, true or false may be text; a choice is compared without case.

        Raises msgspec.ValidationError for a value of another type or out of bounds.
        """
        if isinstance(self.type, inspect.LiteralType) and isinstance(value, str):
            choices = {str(choice).casefold(): choice for choice in self.type.values}
            value = choices.get(value.casefold(), value)
        return msgspec.convert(value, self.annotated, strict=False)


def parameters_of(kind: type[msgspec.Struct]) -> Iterator[Parameter]:
    """The parameters of a class, in the order of its fields."""
    for field in msgspec.structs.fields(kind):
        type_, title = inspect.type_info(field.type), ""
        if isinstance(type_, inspect.Metadata):
            title, type_ = (type_.extra_json_schema or {}).get("title", ""), type_.type
        yield Parameter(field.name, field.encode_name, title, field.default, type_, field.type)


def read(kind: type[S], value_of: Callable[[Parameter], Any], refusal: Callable[[Parameter], Exception]) -> S:
    """An instance of a class of parameters, from the values of a request.

    value_of: the request's value of a parameter; text is stripped, and None and "" stand for the default. refusal: the
    error to raise for a value that the parameter cannot have. Raises that, and what the class raises for values that
    contradict each other.
    """
    values = {}
    for parameter in parameters_of(kind):
        value = value_of(parameter)
        value = value.strip() if isinstance(value, str) else value
        if value is None or value == "":
            continue
        try:
            values[parameter.field] = parameter.read(value)
        except msgspec.ValidationError:
            raise refusal(parameter) from None
    return kind(**values)


def _range(lowest: float | None, highest: float | None) -> str:
    return "" if lowest is None or highest is None else f" from {lowest:.12g} to {highest:.12g}"
