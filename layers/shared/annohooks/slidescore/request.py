"""The body that Slide Score posts, as far as it is used.

Source: Slide Score's manual, External Analyses (test3.slidescore.com/docs/analysis.html); the example
webhook_slide_analysis of slidescore-sdk 1.5.4.
"""

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
    """The answer to one question. value: text, JSON text for drawn shapes, or null if the user answered nothing."""

    name: str
    value: Any = None


class Sender(msgspec.Struct, frozen=True, rename={"token": "apitoken"}):
    """The server that a trigger comes from, and the token for its API."""

    host: Annotated[str, msgspec.Meta(min_length=1)]
    token: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class Trigger(msgspec.Struct, frozen=True, rename={"image_id": "imageid", "study_id": "studyid"}):
    """What a user asks for by pressing Send: the slide, the answers, and the analysis if the body template fixes it.

    All other keys are ignored (names, the case, the email, the webhook's own id under its old or new key), so an empty
    case or a renamed key cannot make a request fail. `analyzer` is a key of annohooks, not of Slide Score.
    """

    image_id: int
    answers: list[Answer]
    study_id: Any = None
    analyzer: str | None = None

    def answer(self, question: str) -> Any:
        """The value answered to a question, None if there is none. The case of the question's name does not matter."""
        name = question.casefold().strip()
        return next((answer.value for answer in self.answers if answer.name.casefold().strip() == name), None)


def decode(body: bytes) -> dict[str, Any]:
    """The body's JSON object, with unchecked keys. Raises BadRequest with the place where the text is not JSON."""
    return json_object(body, _HINT)


def sender(fields: Mapping[str, Any]) -> Sender:
    """Raises BadRequest with the name, never the value, of a key that is missing or of the wrong type."""
    return _converted(fields, Sender)


def trigger(fields: Mapping[str, Any]) -> Trigger:
    """Raises BadRequest with the name, never the value, of a key that is missing or of the wrong type."""
    return _converted(fields, Trigger)


def _converted(fields: Mapping[str, Any], into: type[T]) -> T:
    try:
        return msgspec.convert(fields, into, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(f"The request body cannot be used: {error}.") from None


def personal(fields: Mapping[str, Any]) -> list[str]:
    """Values that must not reach a log: the token, the secret, and the names of a person, a case and a slide."""
    return [value for key in _PERSONAL if isinstance(value := fields.get(key), str)]
