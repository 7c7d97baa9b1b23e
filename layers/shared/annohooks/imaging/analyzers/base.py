"""What an analyzer is: calibrate once per region, then a class map from each picture of it, then what it all means."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar, get_args

import msgspec
import numpy as np
from msgspec import inspect
from numpy.typing import NDArray

from annohooks.imaging.decode import Picture
from annohooks.imaging.density import DensityMap
from annohooks.imaging.findings import Findings
from annohooks.imaging.parameters import parameters_of

ClassMap = NDArray[np.uint8]
"""uint8 [height, width]; 0 is background, k an object of the analyzer's k-th class."""

Shown = Literal["outlines", "centres"]

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_COLOR = re.compile(r"#[0-9A-F]{6}")
_NO_TITLE = 'is empty, begins or ends with a space, or has a colon, semicolon, tab, line break or "(default"'
_MOST_CLASSES = 255  # values of a class map, but for the background


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may choose for any analyzer. `title` is the question's text; bounds and unit stand beside it."""

    smallest_um2: Annotated[float, msgspec.Meta(title="smallest area in um2", ge=0, le=1e9)] = 10.0
    largest_um2: Annotated[float, msgspec.Meta(title="largest area in um2, 0 for any", ge=0, le=1e12)] = 0.0

    @property
    def no_area_fits(self) -> bool:
        """Whether the smallest area is above the largest."""
        return 0 < self.largest_um2 < self.smallest_um2


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


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What the objects of all regions mean.

    sentence: for the person who asked; empty when their number says it all. density: a map of how crowded the regions
    are, None when there is none.
    """

    sentence: str = ""
    density: DensityMap | None = None


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

    def conclude(self, found: Sequence[Findings], parameters: P) -> Conclusion:
        """What it all means; asked once for an answer, also when nothing was found. found: one for each region."""
        return Conclusion()


ANALYZERS: dict[str, Analyzer[Any, Any]] = {}
"""All there are, by name."""


def analyzer(cls: A) -> A:
    """Registers an analyzer: from here on settings, questions and requests know it.

    Raises ValueError, naming the class and what is wrong with it, when requests, forms, results or class maps could
    not hold what it says of itself; AttributeError when it does not say it.
    """
    new = cls()
    for flaw in chain(_flaws(new), _flaws_of_parameters(new.parameters)):
        raise ValueError(f"{cls.__name__}: {flaw}")
    ANALYZERS[new.name] = new
    return cls


def _flaws(new: Analyzer[Any, Any]) -> Iterator[str]:
    if not _NAME.fullmatch(new.name):
        yield f"the name {new.name!r} is not of lower case letters, digits and _"
    if not _is_title(new.title):
        yield f"the title {new.title!r} {_NO_TITLE}"
    taken = {each.casefold() for other in ANALYZERS.values() for each in (other.name, other.title)}  # as requests do
    if not taken.isdisjoint({new.name, new.title.casefold()}):
        yield f"there is an analyzer of the name or title {new.name!r} or {new.title!r} already"
    if not new.classes or not all(_COLOR.fullmatch(each.color) for each in new.classes):
        yield "at least one class is needed, each with a colour such as #00C800"
    if len(new.classes) > _MOST_CLASSES:
        yield f"there are {len(new.classes)} classes, and {_MOST_CLASSES} at most can be told apart"
    if len({each.title.casefold() for each in new.classes}) < len(new.classes):
        yield "two classes have the same title"
    if not set(new.shows) <= set(get_args(Shown)):
        yield f"shows is {new.shows!r}, and may only hold {' and '.join(get_args(Shown))}"
    if not 0 < new.mpp <= new.coarsest_mpp or not 0 <= new.halo_um < math.inf:
        yield "mpp has to be above 0, coarsest_mpp not below it, and halo_um not below 0"


def _flaws_of_parameters(parameters: type[Any]) -> Iterator[str]:
    if not issubclass(parameters, Parameters):
        yield f"its parameters, {parameters.__name__}, are no subclass of Parameters"
        return
    titles: set[str] = set()
    for parameter in parameters_of(parameters):
        if not _is_title(parameter.title):
            yield f"the title {parameter.title!r} of the parameter {parameter.name} {_NO_TITLE}"
        elif parameter.title.casefold() in titles:
            yield f"the title {parameter.title!r} of the parameter {parameter.name} is another's too"
        elif flaw := _flaw_of_answer(parameter.type, parameter.default):
            yield f"the parameter {parameter.name} {flaw}"
        titles.add(parameter.title.casefold())


def _flaw_of_answer(kind: inspect.Type, default: Any) -> str:
    """Why no question can be made of it, empty if one can."""
    match kind:
        case inspect.FloatType() | inspect.IntType():
            if not (kind.gt is kind.lt is kind.multiple_of is None) or kind.ge is None or kind.le is None:
                return "needs both bounds, ge and le, and no other"
            is_within = isinstance(default, int | float) and -math.inf < kind.ge <= default <= kind.le < math.inf
            return "" if is_within else f"has no default from {kind.ge} to {kind.le}"
        case inspect.LiteralType(values=choices):
            if not all(isinstance(each, str) and _is_plain(each) for each in choices):
                return "has a choice that is no text, or one that a form cannot hold"
            if len({each.casefold() for each in choices if isinstance(each, str)}) < len(choices):
                return "has two choices that differ in case only"
            return "" if default in choices else "has no default among its choices"
        case inspect.StrType():
            if kind != inspect.StrType():
                return "is a text with bounds, which nobody would look at"
            return "" if isinstance(default, str) and default.isprintable() else "has no default on one line"
        case _:
            return "is no number, text or Literal"


def _is_title(text: str) -> bool:
    """Whether a question's name can hold it: the name ends in "(default ...)", and a colon parts it."""
    return _is_plain(text) and ":" not in text and "(default" not in text


def _is_plain(text: str) -> bool:
    """Whether it can be a choice of a form: ;; parts them, tabs and line breaks the form, and answers are stripped."""
    return bool(text) and text.isprintable() and text == text.strip() and ";" not in text
