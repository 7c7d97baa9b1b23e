"""Parameters as requests give them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import pytest

from annohooks.imaging.parameters import parameters_of, read


class Values(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    whole_number: Annotated[int, msgspec.Meta(title="whole", ge=0, le=9)] = 3
    number: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 0.5
    choice: Annotated[Literal["H&E", "H-DAB"], msgspec.Meta(title="stain")] = "H&E"
    is_upper: bool = False
    text: str = ""
    unbounded: float = 0.0

    def __post_init__(self):
        if self.text == "contradiction":
            raise ArithmeticError


def values(**given):
    return read(Values, lambda parameter: given.get(parameter.name), lambda parameter: KeyError(parameter.name))


def test_parameters_have_titles_names_choices_and_expectations():
    parameters = list(parameters_of(Values))
    assert [(one.field, one.name, one.title, one.is_number) for one in parameters][:3] == [
        ("whole_number", "wholeNumber", "whole", True),
        ("number", "number", "", True),
        ("choice", "choice", "stain", False),
    ]
    assert [one.choices for one in parameters] == [(), (), ("H&E", "H-DAB"), (), (), ()]
    assert [one.expected for one in parameters] == [
        "a whole number from 0 to 9",
        "a number from 0 to 1000000000",
        "one of H&E, H-DAB",
        "true or false",
        "a text",
        "a number",
    ]


def test_values_may_be_text_and_what_is_left_out_has_its_default():
    assert values(wholeNumber=" 4 ", choice="h-dab", isUpper="true", text=" a ") == Values(
        whole_number=4, choice="H-DAB", is_upper=True, text="a"
    )
    assert values(wholeNumber=None, number="", choice=" ") == Values()


@pytest.mark.parametrize(
    ("name", "value"),
    [("wholeNumber", 10), ("wholeNumber", "4.5"), ("number", "nan"), ("choice", "PAS"), ("choice", 3), ("text", [1])],
)
def test_value_that_cannot_be_used_is_refused_by_the_name_of_its_parameter(name, value):
    with pytest.raises(KeyError, match=name):
        values(**{name: value})


def test_class_may_refuse_values_that_contradict_each_other():
    with pytest.raises(ArithmeticError):
        values(text="contradiction")
