"""What every analyzer keeps, and what is refused when one is registered."""

from __future__ import annotations

from typing import Annotated
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
    assert set(ANALYZERS) == {"dark_regions", "tissue", "nuclei", "dab_positivity", "density"}


@pytest.mark.parametrize("name", ["", "Own", "our own", "own-1", "1own", "größe"])
def test_name_that_settings_and_requests_cannot_hold_is_refused(registry, name):
    with pytest.raises(ValueError, match=f"Own: the name '{name}' is not of lower case letters, digits and _"):
        analyzer(like_dark_regions(name=name))
    assert name not in registry


@pytest.mark.parametrize("taken", [{"name": "nuclei"}, {"title": "Nuclei"}, {"title": "nuclei"}])
def test_name_or_title_of_another_is_refused(registry, taken):
    before = dict(registry)
    with pytest.raises(ValueError, match=r"there is an analyzer .* already"):
        analyzer(like_dark_regions(**taken))
    assert registry == before


@pytest.mark.parametrize("title", ["", "a;;b", "Cells: all", "two\nlines", "with\ttab"])
def test_title_that_a_form_cannot_hold_is_refused(registry, title):
    with pytest.raises(ValueError, match=r"Own: the title .* is empty, or has a colon, semicolon, tab or line break"):
        analyzer(like_dark_regions(title=title))


@pytest.mark.parametrize("attributes", [{"mpp": 0}, {"mpp": 2.0, "coarsest_mpp": 1.0}, {"halo_um": -1}])
def test_resolution_or_halo_that_cannot_be_is_refused(registry, attributes):
    with pytest.raises(
        ValueError, match="Own: mpp has to be above 0, coarsest_mpp not below it, and halo_um not below"
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
    with pytest.raises(ValueError, match="Own: at least one class is needed, each with a colour such as #00C800"):
        analyzer(like_dark_regions(classes=classes))


def test_parameter_without_a_title_is_refused(registry):
    class Untitled(Parameters, frozen=True, kw_only=True):
        factor: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5

    with pytest.raises(ValueError, match="Own: the parameter factor has no title"):
        analyzer(like_dark_regions(parameters=Untitled))


@pytest.mark.parametrize("field", [(list[int], []), (bool, True), (float, msgspec.NODEFAULT)])
def test_parameter_that_is_no_question_is_refused(registry, field):
    kind, default = field
    titled = Annotated[kind, msgspec.Meta(title="factor")]
    fields = [("factor", titled) if default is msgspec.NODEFAULT else ("factor", titled, default)]
    odd = msgspec.defstruct("Odd", fields, bases=(Parameters,), frozen=True, kw_only=True)
    with pytest.raises(ValueError, match="Own: the parameter factor is no number, text or Literal with a default"):
        analyzer(like_dark_regions(parameters=odd))


def test_analyzer_that_does_not_say_what_it_finds_cannot_be_registered(registry):
    with pytest.raises(TypeError, match="class_map"):
        analyzer(type("Own", (Analyzer,), {"name": "own", "title": "Our own"}))


# All of them

each = pytest.mark.parametrize("one", ANALYZERS.values(), ids=ANALYZERS)


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
    assert not found.found.any()
    assert isinstance(one.sentence([found], one.parameters()), str)
    assert one.density([found], one.parameters()) is None


@each
def test_class_map_does_not_change_the_picture(one, tissue):
    picture = tissue.copy()
    parameters = one.parameters()
    one.class_map(picture, one.mpp, parameters, one.calibrate(picture, one.mpp, parameters))
    assert np.array_equal(picture, tissue)
