"""The body Slide Score posts, as far as it is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec

from annohooks.core.errors import BadRequest
from annohooks.core.json_text import json_object

T = TypeVar("T")

_HINT = 'In the webhook\'s body template, put quotes around parameters that may be empty, as in "caseid": "%CASE_ID%".'
_PERSONAL = ("apitoken", "secret", "email", "imagename", "casename")


class Answer(msgspec.Struct, frozen=True):
    """One answered question. value is text, for drawn shapes JSON text; null when nothing was answered."""

    name: str
    value: Any = None


class Sender(msgspec.Struct, frozen=True, rename={"token": "apitoken"}):
    """The server a trigger comes from, and the token it brought."""

    host: Annotated[str, msgspec.Meta(min_length=1)]
    token: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class Webhook(msgspec.Struct, frozen=True, rename={"image_id": "imageid", "study_id": "studyid"}):
    """What a trigger asks for.

    Keys that are not used (the names, the case, the email, the webhook's own id in either generation of the template)
    are not looked at: an empty case or a renamed key cannot fail a request. `analyzer` is ours, for a body template
    that fixes the analysis. Source: protocol reference, section 4.
    """

    image_id: int
    answers: list[Answer]
    study_id: Any = None
    analyzer: str | None = None

    def answer(self, name: str) -> Any:
        """The value answered to a question, its name compared without case; None when there is none."""
        wanted = name.casefold().strip()
        return next((answer.value for answer in self.answers if answer.name.casefold().strip() == wanted), None)


def decode(body: bytes) -> dict[str, Any]:
    """The body's JSON object, its keys not yet looked at. Raises BadRequest saying where the text stops being JSON."""
    return json_object(body, _HINT)


def sender(fields: Mapping[str, Any]) -> Sender:
    """Raises BadRequest naming the key that is missing or of the wrong type, never its value."""
    return _converted(fields, Sender)


def parse(fields: Mapping[str, Any]) -> Webhook:
    """Raises BadRequest naming the key that is missing or of the wrong type, never its value."""
    return _converted(fields, Webhook)


def _converted(fields: Mapping[str, Any], into: type[T]) -> T:
    try:
        return msgspec.convert(fields, into, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(f"The request body cannot be used: {error}.") from None


def personal(fields: Mapping[str, Any]) -> list[str]:
    """Values that must not reach a log: token, secret, and whatever names a person, a case or a slide."""
    return [value for key in _PERSONAL if isinstance(value := fields.get(key), str)]
