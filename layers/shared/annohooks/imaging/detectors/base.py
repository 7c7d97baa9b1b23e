"""What a detector is: a picture to labelled, scored rings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, Literal, TypeVar

import msgspec

from annohooks.imaging.decode import Picture
from annohooks.imaging.detections import Detections

Kind = Literal["face", "barcode", "object"]


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may choose for any detector."""


P = TypeVar("P", bound=Parameters)


class Detector(ABC, Generic[P]):
    """Finds objects in a picture, one at a time. One instance serves every request, also several at once."""

    name: str
    """How settings and requests call it: lower case letters, digits and _."""
    title: str
    """How a person reads it."""
    kind: Kind
    """What its objects are."""
    parameters: type[P]
    """The class P; all its fields have defaults."""

    @abstractmethod
    def detect(self, picture: Picture, parameters: P) -> Detections:
        """Objects in a picture, uint8 BGR [h, w, 3], in its pixels, the surest first."""
