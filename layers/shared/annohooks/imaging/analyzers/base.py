"""The base class of analyzers: a calibration for each region, a class map for each picture of it, a conclusion."""

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
"""uint8 [height, width]; 0 is background, k is an object of the analyzer's k-th class."""

Shown = Literal["outlines", "centres"]

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_COLOR = re.compile(r"#[0-9A-F]{6}")
_NO_TITLE = 'is empty, begins or ends with a space, or has a colon, semicolon, tab, line break or "(default"'
_MAX_CLASSES = 255  # the values of a class map without the background


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of every analyzer. A user chooses them; `title` is the text of the question."""

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
    """A class of objects that an analyzer distinguishes.

    title: as a pathologist reads it, plural. color: #RRGGBB, in the viewer.
    """

    title: str
    color: str


@dataclass(frozen=True, slots=True)
class Conclusion:
    """An analyzer's conclusion from the objects of all regions.

    sentence: for the user, empty if there is nothing to say beyond counts and areas. density: a density map, or None.
    """

    sentence: str = ""
    density: DensityMap | None = None


class Analyzer(ABC, Generic[P, C]):
    """Finds objects in pictures. It is stateless: one instance serves all requests.

    P: the class of its parameters. C: the type of its calibration, which calibrate() computes once for a region and
    class_map() uses in every tile, so that the tiles agree.
    """

    name: ClassVar[str]
    """Its name in settings and requests: lower case letters, digits and _."""
    title: ClassVar[str]
    """Its name as a pathologist reads it."""
    classes: ClassVar[tuple[ObjectClass, ...]]
    """The classes it distinguishes, at least one. The value k in a class map stands for classes[k - 1]."""
    shows: ClassVar[tuple[Shown, ...]] = ("outlines", "centres")
    """What the viewer shows if the user does not choose."""
    parameters: ClassVar[type[Any]]
    """The class P."""
    mpp: ClassVar[float]
    """The resolution it works at, micrometres per pixel. A finer slide is read at the level nearest to it."""
    coarsest_mpp: ClassVar[float]
    """The coarsest resolution at which its objects can be recognised."""
    smallest_hole_um2: ClassVar[float]
    """Smaller holes are filled. If the smallest object is smaller than this, its size is the limit."""
    halo_um: ClassVar[float]
    """The distance up to which other pixels influence a pixel. Tiles overlap by it, so that they join exactly."""

    @abstractmethod
    def calibrate(self, sample: Picture, mpp: float, parameters: P) -> C:
        """The calibration of a region. sample: uint8 BGR [h, w, 3], the region or pieces of it side by side."""

    @abstractmethod
    def class_map(self, picture: Picture, mpp: float, parameters: P, calibration: C) -> ClassMap:
        """The objects in a picture, uint8 [h, w]. Objects of one class must not touch, not even diagonally."""

    def conclude(self, findings: Sequence[Findings], parameters: P) -> Conclusion:
        """The conclusion from the findings of all regions, one for each. Called also if no object was found."""
        return Conclusion()


ANALYZERS: dict[str, Analyzer[Any, Any]] = {}
"""The registered analyzers, by name."""


def analyzer(cls: A) -> A:
    """Registers an analyzer, so that settings, forms and requests can name it.

    Raises ValueError with the name of the class and the problem if one of its attributes cannot be used in requests,
    forms, results or class maps; AttributeError if an attribute is missing.
    """
    new = cls()
    for problem in chain(_problems(new), _parameter_problems(new.parameters)):
        raise ValueError(f"{cls.__name__}: {problem}")
    ANALYZERS[new.name] = new
    return cls


def _problems(new: Analyzer[Any, Any]) -> Iterator[str]:
    if not _NAME.fullmatch(new.name):
        yield f"the name {new.name!r} may have only lower case letters, digits and _"
    if not _is_title(new.title):
        yield f"the title {new.title!r} {_NO_TITLE}"
    # Requests may use either, in any case.
    taken = {text.casefold() for other in ANALYZERS.values() for text in (other.name, other.title)}
    if not taken.isdisjoint({new.name, new.title.casefold()}):
        yield f"another analyzer has the name or title {new.name!r} or {new.title!r} already"
    if not new.classes or not all(_COLOR.fullmatch(object_class.color) for object_class in new.classes):
        yield "it needs at least one class, and each class a colour such as #00C800"
    if len(new.classes) > _MAX_CLASSES:
        yield f"it has {len(new.classes)} classes, but a class map holds at most {_MAX_CLASSES}"
    if len({object_class.title.casefold() for object_class in new.classes}) < len(new.classes):
        yield "two classes have the same title"
    if not set(new.shows) <= set(get_args(Shown)):
        yield f"shows is {new.shows!r}, but may only contain {' and '.join(get_args(Shown))}"
    if not 0 < new.mpp <= new.coarsest_mpp or not 0 <= new.halo_um < math.inf:
        yield "mpp has to be above 0, coarsest_mpp at least mpp, and halo_um at least 0"


def _parameter_problems(parameters: type[Any]) -> Iterator[str]:
    if not issubclass(parameters, Parameters):
        yield f"the class of its parameters, {parameters.__name__}, is not a subclass of Parameters"
        return
    titles: set[str] = set()
    for parameter in parameters_of(parameters):
        if not _is_title(parameter.title):
            yield f"the title {parameter.title!r} of the parameter {parameter.name} {_NO_TITLE}"
        elif parameter.title.casefold() in titles:
            yield f"the title {parameter.title!r} of the parameter {parameter.name} is used twice"
        elif problem := _question_problem(parameter.type, parameter.default):
            yield f"the parameter {parameter.name} {problem}"
        titles.add(parameter.title.casefold())


def _question_problem(kind: inspect.Type, default: Any) -> str:
    """Why a parameter cannot be a question of a form, empty if it can."""
    match kind:
        case inspect.FloatType() | inspect.IntType():
            if not (kind.gt is kind.lt is kind.multiple_of is None) or kind.ge is None or kind.le is None:
                return "needs the bounds ge and le, and no others"
            is_within = isinstance(default, int | float) and -math.inf < kind.ge <= default <= kind.le < math.inf
            return "" if is_within else f"needs a default from {kind.ge} to {kind.le}"
        case inspect.LiteralType(values=choices):
            if not all(isinstance(choice, str) and _is_plain(choice) for choice in choices):
                return "has a choice that is not a text, or that a form cannot contain"
            if len({choice.casefold() for choice in choices if isinstance(choice, str)}) < len(choices):
                return "has two choices that differ only in case"
            return "" if default in choices else "needs one of its choices as default"
        case inspect.StrType():
            if kind != inspect.StrType():
                return "is a text with bounds, which are not checked"
            return "" if isinstance(default, str) and default.isprintable() else "needs a default of one line"
        case _:
            return "is not a number, text or Literal"


def _is_title(text: str) -> bool:
    """Whether it can be in the name of a question, which has a colon before it and "(default ...)" after it."""
    return _is_plain(text) and ":" not in text and "(default" not in text


def _is_plain(text: str) -> bool:
    """Whether it can be a choice of a form, which separates choices by ;; and fields by tabs and line breaks."""
    return bool(text) and text.isprintable() and text == text.strip() and ";" not in text
