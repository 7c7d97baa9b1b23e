"""What holds for every analyzer, which analyzers are refused, and the values of their parameters in requests."""

from __future__ import annotations

from typing import Annotated, Literal
from unittest import mock

import msgspec
import numpy as np
import pytest
from analysed import InMemory, class_map, rectangle, segment

from annohooks.imaging.analyzers import ANALYZERS
from annohooks.imaging.analyzers.base import ObjectClass, Parameters, analyzer
from annohooks.imaging.analyzers.dark_regions import DarkRegions
from annohooks.imaging.parameters import parameters_of, read

# A team may add its own, which need neither be like these nor find anything without a model.
BUILT_IN = ("dark_regions", "tissue", "nuclei", "dab_positivity", "density")
BOUNDS = {"title": "factor", "ge": 0, "le": 9}
NOT_TITLES = ["", " a", "a;;b", "Cells: all", "two\nlines", "size (default 3)"]
CLASSES = tuple(ObjectClass(f"kind {k}", "#00C800") for k in range(256))

NAME = r"the name '.*' may have only lower case letters, digits and _"
TAKEN = "another analyzer has the name or title .* already"
TITLE = "the title .* is empty, begins or ends with a space, or has a colon"
NUMBERS = "mpp has to be above 0, coarsest_mpp at least mpp, and halo_um at least 0"
COLOUR = "it needs at least one class, and each class a colour such as #00C800"
SHOWS = "shows is .*, but may only contain outlines and centres"
BOTH_BOUNDS = "needs the bounds ge and le, and no others"
NO_DEFAULT = "needs a default from 0.* to 9"
CHOICE = "has a choice that is not a text, or that a form cannot contain"


@pytest.fixture(autouse=True)
def registry():
    """Analyzers that a test registers are removed afterwards."""
    with mock.patch.dict(ANALYZERS):
        yield ANALYZERS


def like_dark_regions(**attributes):
    """A class that can be registered, except for these attributes."""
    usual = {"name": "own", "title": "Our own", "__doc__": "Our own."}
    return type("Own", (DarkRegions,), usual | attributes)


def with_parameters(*fields):
    """Registers an analyzer with these fields: name, type, metadata, and a default if it has one."""
    titled = [(name, Annotated[kind, msgspec.Meta(**meta)], *default) for name, kind, meta, *default in fields]
    own = msgspec.defstruct("OwnParameters", titled, bases=(Parameters,), frozen=True, kw_only=True)
    return analyzer(like_dark_regions(parameters=own))


# Registration


def test_registered_analyzer_is_known_by_its_name(registry):
    own = like_dark_regions(classes=CLASSES[:255])
    assert analyzer(own) is own
    assert isinstance(registry["own"], own)
    assert set(registry) >= set(BUILT_IN)


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        *(({"name": name}, NAME) for name in ("", "Own", "our own", "own-1", "1own", "größe")),
        *(({"title": title}, TITLE) for title in NOT_TITLES),
        ({"name": "nuclei"}, TAKEN),
        ({"title": "NUCLEI"}, TAKEN),
        ({"title": "dab_positivity"}, TAKEN),
        ({"mpp": 0}, NUMBERS),
        ({"mpp": 2.0, "coarsest_mpp": 1.0}, NUMBERS),
        ({"halo_um": -1}, NUMBERS),
        ({"halo_um": np.nan}, NUMBERS),
        ({"classes": ()}, COLOUR),
        ({"classes": (ObjectClass("a", "#00FF00"), ObjectClass("b", "#0f0"))}, COLOUR),
        ({"classes": CLASSES}, "it has 256 classes, but a class map holds at most 255"),
        ({"classes": (ObjectClass("a", "#00C800"), ObjectClass("A", "#C80000"))}, "two classes have the same title"),
        ({"shows": ("outline",)}, SHOWS),
    ],
)
def test_analyzer_that_forms_or_class_maps_cannot_represent_is_refused(registry, attributes, problem):
    before = dict(registry)
    with pytest.raises(ValueError, match=f"^Own: {problem}"):
        analyzer(like_dark_regions(**attributes))
    assert registry == before


# Parameters


def test_parameters_that_a_form_can_ask_for_are_registered(registry):
    with_parameters(
        ("factor", float, BOUNDS, 9),
        ("rounds", int, BOUNDS | {"title": "rounds, 0 for none (fast)"}, 0),
        ("kind", Literal["H&E: pale", "DAB"], {"title": "kind"}, "DAB"),
        ("model", str, {"title": "model"}, ""),
    )
    assert registry["own"].parameters().rounds == 0


@pytest.mark.parametrize(
    ("kind", "meta", "default", "problem"),
    [
        *((float, BOUNDS | {"title": title}, [1.0], "the title .* is empty, begins") for title in NOT_TITLES),
        (int, {"title": "factor", "ge": 0}, [0], BOTH_BOUNDS),
        (float, {"title": "factor", "le": 1}, [0], BOTH_BOUNDS),
        (int, BOUNDS | {"multiple_of": 3}, [0], BOTH_BOUNDS),
        (float, BOUNDS, [-1.0], NO_DEFAULT),
        (float, BOUNDS, [9.5], NO_DEFAULT),
        (float, BOUNDS, [], NO_DEFAULT),
        (Literal[1, 2], {"title": "factor"}, [1], CHOICE),
        (Literal["a;;b", "c"], {"title": "factor"}, ["c"], CHOICE),
        (Literal["DAB", "dab"], {"title": "factor"}, ["DAB"], "has two choices that differ only in case"),
        (Literal["a", "b"], {"title": "factor"}, ["c"], "needs one of its choices as default"),
        (str, {"title": "factor"}, ["two\nlines"], "needs a default of one line"),
        (str, {"title": "factor"}, [], "needs a default of one line"),
        (str, {"title": "factor", "max_length": 3}, ["a"], "is a text with bounds, which are not checked"),
        (bool, {"title": "factor"}, [True], "is not a number, text or Literal"),
    ],
)
def test_parameter_that_cannot_be_a_question_is_refused(kind, meta, default, problem):
    with pytest.raises(ValueError, match=f"^Own: .*{problem}"):
        with_parameters(("factor", kind, meta, *default))


def test_parameters_with_one_title_or_of_another_base_class_are_refused():
    class Alone(msgspec.Struct):
        factor: Annotated[float, msgspec.Meta(**BOUNDS)] = 1.0

    with pytest.raises(ValueError, match="Own: the title 'Factor' of the parameter other is used twice"):
        with_parameters(("factor", float, BOUNDS, 1.0), ("other", float, BOUNDS | {"title": "Factor"}, 1.0))
    with pytest.raises(ValueError, match="Own: the class of its parameters, Alone, is not a subclass of Parameters"):
        analyzer(like_dark_regions(parameters=Alone))


# The built-in analyzers

built_in = pytest.mark.parametrize("one", [ANALYZERS[name] for name in BUILT_IN], ids=BUILT_IN)


@built_in
def test_class_map_has_the_size_of_the_picture_and_only_values_of_its_classes(one, tissue):
    assert len({kind.color for kind in one.classes}) == len(one.classes)
    picture = np.ascontiguousarray(tissue[:401, :333])
    before = picture.copy()
    classes = class_map(one, picture, one.mpp, one.parameters())
    assert (classes.shape, classes.dtype) == ((401, 333), np.uint8)
    assert set(np.unique(classes)) <= set(range(len(one.classes) + 1))
    assert np.array_equal(picture, before)


@built_in
@pytest.mark.parametrize("size", [(1, 1), (2, 50), (50, 2), (9, 9)])
def test_tiny_pictures_of_one_colour_have_no_objects_or_are_one(one, size):
    for value in (0, 128, 255):
        classes = class_map(one, np.full((*size, 3), value, np.uint8), one.mpp, one.parameters())
        assert classes.shape == size
        assert len(np.unique(classes)) == 1


@built_in
def test_empty_glass_has_no_objects_and_the_conclusion_has_no_map(one, glass):
    findings = segment(InMemory(glass, min(one.mpp, 8)), rectangle(0, 0, 600, 500), one, one.parameters())
    assert not findings.object_counts.any()
    conclusion = one.conclude([findings], one.parameters())
    assert isinstance(conclusion.sentence, str)
    assert conclusion.density is None


# The values of requests


class Values(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    whole_number: Annotated[int, msgspec.Meta(title="whole", ge=0, le=9)] = 3
    number: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 0.5
    choice: Annotated[Literal["H&E", "H-DAB"], msgspec.Meta(title="stain")] = "H&E"
    is_upper: bool = False
    text: str = ""
    unbounded: float = 0.0


def values(**given):
    return read(Values, lambda parameter: given.get(parameter.name), lambda parameter: KeyError(parameter.name))


def test_parameters_have_titles_names_choices_and_expectations():
    listed = [(one.field, one.name, one.title, one.is_number, one.choices) for one in parameters_of(Values)]
    assert listed[:3] == [
        ("whole_number", "wholeNumber", "whole", True, ()),
        ("number", "number", "", True, ()),
        ("choice", "choice", "stain", False, ("H&E", "H-DAB")),
    ]
    numbers = ["a whole number from 0 to 9", "a number from 0 to 1000000000"]
    others = ["one of H&E, H-DAB", "true or false", "a text", "a number"]
    assert [one.expected for one in parameters_of(Values)] == numbers + others


def test_values_may_be_text_and_what_is_left_out_has_its_default():
    given = values(wholeNumber=" 4 ", choice="h-dab", isUpper="true", text=" a ")
    assert given == Values(whole_number=4, choice="H-DAB", is_upper=True, text="a")
    assert values(wholeNumber=None, number="", choice=" ") == Values()


@pytest.mark.parametrize(
    ("name", "value"),
    [("wholeNumber", 10), ("wholeNumber", "4.5"), ("number", "nan"), ("choice", "PAS"), ("choice", 3), ("text", [1])],
)
def test_value_that_cannot_be_used_is_refused_by_the_name_of_its_parameter(name, value):
    with pytest.raises(KeyError, match=name):
        values(**{name: value})
