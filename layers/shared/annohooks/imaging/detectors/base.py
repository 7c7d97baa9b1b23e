"""The base class of detectors, which find labelled, scored rings in a picture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, Literal, TypeVar

import msgspec

from annohooks.imaging.decode import Picture
from annohooks.imaging.detections import Detections

Kind = Literal["face", "barcode", "object"]


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of every detector: none."""


P = TypeVar("P", bound=Parameters)


class Detector(ABC, Generic[P]):
    """Finds objects in one picture at a time. One instance serves all requests, also concurrent ones."""

    name: str
    """Its name in settings and requests: lower case letters, digits and _."""
    title: str
    """Its name as a person reads it."""
    kind: Kind
    """The kind of its objects."""
    parameters: type[P]
    """The class P. All its fields have defaults."""

    @abstractmethod
    def detect(self, picture: Picture, parameters: P) -> Detections:
        """The objects in a picture, uint8 BGR [h, w, 3], in pixels of the picture, the highest score first."""
