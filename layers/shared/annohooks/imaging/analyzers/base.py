"""What an analyzer is: calibrate once per region, then a class map from each picture of it, then what it all means."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import msgspec
import numpy as np
from msgspec import inspect
from numpy.typing import NDArray

from annohooks.imaging.decode import Picture
from annohooks.imaging.density import DensityMap
from annohooks.imaging.findings import Findings

ClassMap = NDArray[np.uint8]
"""uint8 [height, width]; 0 is background, k an object of the analyzer's k-th class."""

Shown = Literal["outlines", "centres"]

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_TITLE = re.compile(r"[^:;\t\n\r]+")
_COLOR = re.compile(r"#[0-9A-F]{6}")
_ANSWERS = (inspect.FloatType, inspect.IntType, inspect.StrType, inspect.LiteralType)


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may choose for any analyzer. `title` is the question's text; bounds and unit stand beside it."""

    smallest_um2: Annotated[float, msgspec.Meta(title="smallest area in um2", ge=0, le=1e9)] = 10.0
    largest_um2: Annotated[float, msgspec.Meta(title="largest area in um2, 0 for any", ge=0, le=1e12)] = 0.0


P = TypeVar("P", bound=Parameters)
C = TypeVar("C")
A = TypeVar("A", bound="type[Analyzer[Any, Any]]")


@dataclass(frozen=True, slots=True)
class ObjectClass:
    """A kind of object that an analyzer tells apart.

    title: as a pathologist reads it, plural; color: #RRGGBB, in the viewer.
    """

    title: str
    color: str


class Analyzer(ABC, Generic[P, C]):
    """Finds objects in pictures. Stateless: one instance serves every request.

    P: its parameters; C: what calibrate() learns from a sample and class_map() uses in every tile of the region, so
    that tiles agree with each other.
    """

    name: ClassVar[str]
    """How settings and requests call it: lower case letters, digits and _."""
    title: ClassVar[str]
    """How a pathologist reads it."""
    classes: ClassVar[tuple[ObjectClass, ...]]
    """What it tells apart, at least one: a pixel of value k in the class map is of classes[k - 1]."""
    shows: ClassVar[tuple[Shown, ...]] = ("outlines", "centres")
    """What a user sees who did not choose."""
    parameters: ClassVar[type[Any]]
    """The class P."""
    mpp: ClassVar[float]
    """Resolution it works at, micrometres per pixel; a finer slide is read at the level nearest to it."""
    coarsest_mpp: ClassVar[float]
    """Where its objects can no longer be told apart."""
    smallest_hole_um2: ClassVar[float]
    """Holes below this are filled, unless the smallest object is smaller: then those below its size."""
    halo_um: ClassVar[float]
    """How far from a pixel others may lie that decide about it; tiles overlap by this much, and join exactly."""

    @abstractmethod
    def calibrate(self, sample: Picture, mpp: float, parameters: P) -> C:
        """What holds for the whole region. sample: uint8 BGR [h, w, 3], the region or pieces of it side by side."""

    @abstractmethod
    def class_map(self, picture: Picture, mpp: float, parameters: P, calibration: C) -> ClassMap:
        """Objects in a picture, uint8 [h, w]. Two objects of one class must not touch, not even diagonally."""

    def sentence(self, found: Sequence[Findings], parameters: P) -> str:
        """What the objects of all regions mean, for the person who asked; empty when their number says it all."""
        return ""

    def density(self, found: Sequence[Findings], parameters: P) -> DensityMap | None:
        """A map of how crowded the regions are, for an analyzer that draws one."""
        return None


ANALYZERS: dict[str, Analyzer[Any, Any]] = {}
"""All there are, by name."""


def analyzer(cls: A) -> A:
    """Registers an analyzer: from here on settings, questions and requests know it.

    Raises ValueError, naming the class and what is wrong with it, when its name or title is another's or none, it has
    no class or a colour that is none, its resolution or halo cannot be, or a parameter is no question; AttributeError
    when one of these is not there.
    """
    new = cls()
    for flaw in _flaws(new):
        raise ValueError(f"{cls.__name__}: {flaw}")
    ANALYZERS[new.name] = new
    return cls


def _flaws(new: Analyzer[Any, Any]) -> Iterator[str]:
    if not _NAME.fullmatch(new.name):
        yield f"the name {new.name!r} is not of lower case letters, digits and _"
    if not _TITLE.fullmatch(new.title):
        yield f"the title {new.title!r} is empty, or has a colon, semicolon, tab or line break"
    title = new.title.casefold()  # as requests compare it
    if any(new.name == other.name or title == other.title.casefold() for other in ANALYZERS.values()):
        yield f"there is an analyzer {new.name!r} or of the title {new.title!r} already"
    if not new.classes or not all(_COLOR.fullmatch(each.color) for each in new.classes):
        yield "at least one class is needed, each with a colour such as #00C800"
    if not 0 < new.mpp <= new.coarsest_mpp or new.halo_um < 0:
        yield "mpp has to be above 0, coarsest_mpp not below it, and halo_um not below 0"
    for field in inspect.type_info(new.parameters).fields:  # type: ignore[attr-defined]
        if not (getattr(field.type, "extra_json_schema", None) or {}).get("title"):
            yield f"the parameter {field.name} has no title"
        elif not isinstance(field.type.type, _ANSWERS) or field.default is msgspec.NODEFAULT:
            yield f"the parameter {field.name} is no number, text or Literal with a default"
