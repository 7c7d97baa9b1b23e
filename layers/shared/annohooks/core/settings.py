"""Settings from environment variables, checked when a function starts."""

import os
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from annohooks.core.errors import SettingsError

T = TypeVar("T", bound=msgspec.Struct)


def from_env(cls: type[T], environ: Mapping[str, str] = os.environ) -> T:
    """A settings struct. The variable of a field has the field's name in upper case: STAGING_BUCKET, `staging_bucket`.

    A variable that is unset or empty leaves the field's default. A type with a class method `parse`, such as
    `origins.Origins`, reads its own text. Raises SettingsError naming the variable and what is wrong with it.
    """
    values = {}
    for field in msgspec.structs.fields(cls):
        name = field.name.upper()
        text = environ.get(name, "").strip()
        if text:
            try:
                values[field.name] = _value(text, field.type)
            except (msgspec.ValidationError, ValueError) as error:
                # msgspec quotes an invalid choice, and the text may be a secret in the wrong variable.
                raise SettingsError(f"{name}: {str(error).replace(repr(text), 'the value')}") from None
        elif field.required:
            raise SettingsError(f"{name} is not set")
    return cls(**values)


def _value(text: str, kind: Any) -> Any:
    parse = getattr(kind, "parse", None)
    return parse(text) if parse else msgspec.convert(text, kind, strict=False)
