"""The parameters of an engine, as a task's payload chooses them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from annohooks.core.errors import BadRequest
from annohooks.imaging.parameters import Parameter, read

S = TypeVar("S", bound=msgspec.Struct)


def chosen(kind: type[S], value_of: Callable[[str], Any]) -> S:
    """Parameters of a class, from a payload's values by the fields' names. null, "" and missing values are defaults.

    value_of: the payload's value of a name, None if it has none. Raises BadRequest naming the field, and what the class
    raises for values that contradict each other.
    """

    def refusal(parameter: Parameter) -> BadRequest:
        return BadRequest(f"The payload's `{parameter.name}` has to be {parameter.expected}.")

    return read(kind, lambda parameter: value_of(parameter.name), refusal)
