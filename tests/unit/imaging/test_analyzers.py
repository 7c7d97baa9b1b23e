"""What every analyzer keeps, and what is refused when one is registered."""

from __future__ import annotations

from typing import Annotated, Literal
from unittest import mock

import msgspec
import numpy as np
import pytest
from slide_in_memory import InMemory
from test_segmentation import rectangle

from annohooks.core.deadline import Deadline
from annohooks.imaging import segmentation
from annohooks.imaging.analyzers import ANALYZERS
from annohooks.imaging.analyzers.base import Analyzer, ObjectClass, Parameters, analyzer
from annohooks.imaging.analyzers.dark_regions import DarkRegions

# A team may add its own, which need neither be like these nor find anything without a model.
SHIPPED = ("dark_regions", "tissue", "nuclei", "dab_positivity", "density")

NO_TITLES = ["", " a", "a ", "a;;b", "Cells: all", "two\nlines", "more\u2028lines", "with\ttab", "size (default 3)"]


@pytest.fixture
def registry():
    """What is registered here is forgotten afterwards."""
    with mock.patch.dict(ANALYZERS):
        yield ANALYZERS


def like_dark_regions(**attributes):
    """A class that could be registered, but for these attributes."""
    usual = {"name": "own", "title": "Our own", "__doc__": "Our own."}
    return type("Own", (DarkRegions,), usual | attributes)


# Registration


def test_registered_analyzer_is_known_by_its_name(registry):
    own = like_dark_regions()
    assert analyzer(own) is own
    assert isinstance(registry["own"], own)


def test_those_that_ship_are_registered_by_being_in_the_folder():
    assert set(ANALYZERS) >= set(SHIPPED)


@pytest.mark.parametrize("name", ["", "Own", "our own", "own-1", "1own", "größe"])
def test_name_that_settings_and_requests_cannot_hold_is_refused(registry, name):
    with pytest.raises(ValueError, match=f"Own: the name '{name}' may have only lower case letters, digits and _"):
        analyzer(like_dark_regions(name=name))
    assert name not in registry


@pytest.mark.parametrize(
    "taken",
    [{"name": "nuclei"}, {"title": "Nuclei"}, {"title": "NUCLEI"}, {"title": "dab_positivity"}, {"name": "tissue"}],
)
def test_name_or_title_of_another_is_refused(registry, taken):
    before = dict(registry)
    with pytest.raises(ValueError, match=r"Own: another analyzer has the name or title .* already"):
        analyzer(like_dark_regions(**taken))
    assert registry == before


@pytest.mark.parametrize("title", NO_TITLES)
def test_title_that_a_form_cannot_hold_is_refused(registry, title):
    with pytest.raises(ValueError, match=r"Own: the title .* is empty, begins or ends with a space, or has a colon"):
        analyzer(like_dark_regions(title=title))


@pytest.mark.parametrize(
    "attributes", [{"mpp": 0}, {"mpp": 2.0, "coarsest_mpp": 1.0}, {"halo_um": -1}, {"halo_um": np.nan}]
)
def test_resolution_or_halo_that_cannot_be_is_refused(registry, attributes):
    with pytest.raises(
        ValueError, match="Own: mpp has to be above 0, coarsest_mpp at least mpp, and halo_um at least 0"
    ):
        analyzer(like_dark_regions(**attributes))


@pytest.mark.parametrize(
    "classes",
    [
        (),
        (ObjectClass("one", ""),),
        (ObjectClass("one", "red"),),
        (ObjectClass("a", "#00FF00"), ObjectClass("b", "#0f0")),
    ],
)
def test_no_class_or_one_without_a_colour_is_refused(registry, classes):
    with pytest.raises(ValueError, match="Own: it needs at least one class, and each class a colour such as #00C800"):
        analyzer(like_dark_regions(classes=classes))


def test_more_classes_than_a_class_map_has_values_are_refused(registry):
    kinds = tuple(ObjectClass(f"kind {k}", "#00C800") for k in range(256))
    analyzer(like_dark_regions(classes=kinds[:255]))
    with pytest.raises(ValueError, match="Other: it has 256 classes, but a class map holds at most 255"):
        analyzer(type("Other", (DarkRegions,), {"name": "other", "title": "Other", "classes": kinds}))


def test_classes_of_the_same_title_are_refused(registry):
    with pytest.raises(ValueError, match="Own: two classes have the same title"):
        analyzer(like_dark_regions(classes=(ObjectClass("cells", "#00C800"), ObjectClass("Cells", "#C80000"))))


@pytest.mark.parametrize("shows", [("outline",), "outlines", ("centres", "map")])
def test_what_cannot_be_shown_is_refused(registry, shows):
    with pytest.raises(ValueError, match=r"Own: shows is .*, but may only contain outlines and centres"):
        analyzer(like_dark_regions(shows=shows))


def with_parameters(*fields):
    """Registers an analyzer with these fields (name, type, metadata, and a default if it has one)."""
    titled = [(name, Annotated[kind, msgspec.Meta(**meta)], *default) for name, kind, meta, *default in fields]
    own = msgspec.defstruct("OwnParameters", titled, bases=(Parameters,), frozen=True, kw_only=True)
    return analyzer(like_dark_regions(parameters=own))


BOUNDS = {"title": "factor", "ge": 0, "le": 9}


def test_parameters_that_a_form_can_ask_are_registered(registry):
    with_parameters(
        ("factor", float, BOUNDS, 9),
        ("rounds", int, BOUNDS | {"title": "rounds, 0 for none (fast)"}, 0),
        ("kind", Literal["H&E: pale", "DAB"], {"title": "kind"}, "DAB"),
        ("model", str, {"title": "model"}, ""),
    )
    assert registry["own"].parameters().rounds == 0


@pytest.mark.parametrize("title", NO_TITLES)
def test_parameter_of_a_title_that_a_form_cannot_hold_is_refused(registry, title):
    with pytest.raises(ValueError, match=r"Own: the title .* of the parameter factor is empty, begins"):
        with_parameters(("factor", float, BOUNDS | {"title": title}, 1.0))


def test_parameter_without_a_title_is_refused(registry):
    with pytest.raises(ValueError, match="Own: the title '' of the parameter factor is empty"):
        with_parameters(("factor", float, {"ge": 0, "le": 9}, 1.0))


def test_parameters_of_the_same_title_are_refused(registry):
    with pytest.raises(ValueError, match="Own: the title 'Factor' of the parameter other is used twice"):
        with_parameters(("factor", float, BOUNDS, 1.0), ("other", float, BOUNDS | {"title": "Factor"}, 1.0))


@pytest.mark.parametrize(
    "bounds", [{}, {"ge": 0}, {"le": 1}, {"gt": 0, "lt": 1}, {"ge": 0, "lt": 1}, {"ge": 0, "le": 9, "multiple_of": 3}]
)
@pytest.mark.parametrize("kind", [int, float])
def test_number_without_both_bounds_or_with_others_is_refused(registry, kind, bounds):
    with pytest.raises(ValueError, match="Own: the parameter factor needs the bounds ge and le, and no others"):
        with_parameters(("factor", kind, {"title": "factor", **bounds}, 0))


@pytest.mark.parametrize("default", [[-1.0], [10.0], [float("nan")], [None], []], ids=str)
def test_number_without_a_default_within_its_bounds_is_refused(registry, default):
    with pytest.raises(ValueError, match=r"Own: the parameter factor needs a default from 0.* to 9"):
        with_parameters(("factor", float, BOUNDS, *default))


@pytest.mark.parametrize(
    ("kind", "default", "flaw"),
    [
        (Literal[1, 2], [1], "has a choice that is not a text, or that a form cannot contain"),
        (Literal["a", 2], ["a"], "has a choice that is not a text"),
        (Literal["a;;b", "c"], ["c"], "or that a form cannot contain"),
        (Literal["a\tb", "c"], ["c"], "or that a form cannot contain"),
        (Literal["a\nb", "c"], ["c"], "or that a form cannot contain"),
        (Literal["DAB", "dab"], ["DAB"], "has two choices that differ only in case"),
        (Literal["a", "b"], ["c"], "needs one of its choices as default"),
        (Literal["a", "b"], [], "needs one of its choices as default"),
        (str, ["two\nlines"], "needs a default of one line"),
        (str, [], "needs a default of one line"),
        (list[int], [[]], "is not a number, text or Literal"),
        (bool, [True], "is not a number, text or Literal"),
    ],
)
def test_parameter_that_is_no_question_is_refused(registry, kind, default, flaw):
    with pytest.raises(ValueError, match=f"Own: the parameter factor .*{flaw}"):
        with_parameters(("factor", kind, {"title": "factor"}, *default))


def test_text_with_bounds_that_nobody_looks_at_is_refused(registry):
    with pytest.raises(ValueError, match="Own: the parameter model is a text with bounds"):
        with_parameters(("model", str, {"title": "model", "max_length": 3}, "a"))


def test_parameters_that_are_not_those_of_every_analyzer_are_refused(registry):
    class Alone(msgspec.Struct):
        factor: Annotated[float, msgspec.Meta(**BOUNDS)] = 1.0

    with pytest.raises(ValueError, match="Own: the class of its parameters, Alone, is not a subclass of Parameters"):
        analyzer(like_dark_regions(parameters=Alone))


def test_analyzer_that_does_not_say_what_it_finds_cannot_be_registered(registry):
    with pytest.raises(TypeError, match="class_map"):
        analyzer(type("Own", (Analyzer,), {"name": "own", "title": "Our own"}))


# All that ship

each = pytest.mark.parametrize("one", [ANALYZERS[name] for name in SHIPPED], ids=SHIPPED)


@each
def test_every_parameter_has_bounds_or_choices_and_a_default_within(one):
    for field in msgspec.inspect.type_info(one.parameters).fields:
        kind = field.type.type
        if isinstance(kind, msgspec.inspect.LiteralType):
            assert field.default in kind.values
        else:
            assert kind.ge <= field.default <= kind.le


@each
def test_titles_and_colours_tell_the_classes_apart(one):
    assert len({kind.title for kind in one.classes}) == len({kind.color for kind in one.classes}) == len(one.classes)


@each
def test_class_map_is_of_the_pictures_size_and_names_only_its_classes(one, tissue):
    picture = np.ascontiguousarray(tissue[:401, :333])
    parameters = one.parameters()
    calibration = one.calibrate(picture, one.mpp, parameters)
    class_map = one.class_map(picture, one.mpp, parameters, calibration)
    assert (class_map.shape, class_map.dtype) == ((401, 333), np.uint8)
    assert set(np.unique(class_map)) <= set(range(len(one.classes) + 1))


@each
@pytest.mark.parametrize("size", [(1, 1), (2, 50), (50, 2), (9, 9)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_tiny_pictures_of_one_colour_hold_nothing_or_one_thing(one, size, value):
    picture = np.full((*size, 3), value, np.uint8)
    parameters = one.parameters()
    class_map = one.class_map(picture, one.mpp, parameters, one.calibrate(picture, one.mpp, parameters))
    assert class_map.shape == size
    assert len(np.unique(class_map)) == 1


@each
def test_empty_glass_gives_nothing_and_what_is_said_does_not_fail(one, glass):
    slide = InMemory(glass, min(one.mpp, 8))
    found = segmentation.segment(
        slide, rectangle(0, 0, 600, 500), one, one.parameters(), Deadline.after(60), segmentation.Limits()
    )
    assert not found.object_counts.any()
    conclusion = one.conclude([found], one.parameters())
    assert isinstance(conclusion.sentence, str)
    assert conclusion.density is None


@each
def test_class_map_does_not_change_the_picture(one, tissue):
    picture = tissue.copy()
    parameters = one.parameters()
    one.class_map(picture, one.mpp, parameters, one.calibrate(picture, one.mpp, parameters))
    assert np.array_equal(picture, tissue)
