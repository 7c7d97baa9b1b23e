"""The questions a study asks, and what their answers choose."""

from __future__ import annotations

from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annohooks.core.errors import BadRequest
from annohooks.imaging.analyzers import ANALYZERS
from annohooks.imaging.analyzers.base import Parameters
from annohooks.imaging.analyzers.dark_regions import DarkRegions, DarkRegionsParameters
from annohooks.imaging.analyzers.nuclei import NucleiParameters
from annohooks.slidescore.parameters import analyzer_for, described, parameters_for, questions_string, shown_for
from annohooks.slidescore.request import Answer, Webhook

DARK, NUCLEI = ANALYZERS["dark_regions"], ANALYZERS["nuclei"]
SHIPPED = {name: ANALYZERS[name] for name in ("dab_positivity", "dark_regions", "density", "nuclei", "tissue")}
TYPES = {"AnnoShapes", "DropDown", "Integer", "Real"}


def webhook(answers=None, analyzer=None):
    listed = [Answer(name, value) for name, value in (answers or {}).items()]
    return Webhook(1, listed, analyzer=analyzer)


def questions(*analyzers):
    """{name: (type, specification)}"""
    lines = questions_string(list(analyzers or SHIPPED.values())).splitlines()
    return {name: (kind, *specification) for name, kind, *specification in (line.split("\t") for line in lines)}


def refused(answers, analyzer=NUCLEI):
    with pytest.raises(BadRequest) as raised:
        parameters_for(webhook(answers), analyzer)
    return raised.value.message


# Questions


def test_every_question_has_a_type_that_slide_score_knows_and_a_name_of_its_own():
    lines = questions_string(SHIPPED.values()).splitlines()
    assert {line.split("\t")[1] for line in lines} <= TYPES
    assert len(questions()) == len(lines)


def test_region_analysis_and_what_to_show_are_asked_first():
    asked = questions()
    assert list(asked)[:3] == ["ROI", "Analysis", "Show (default: what suits the analysis)"]
    assert asked["ROI"] == ("AnnoShapes", "#FF0000")
    assert asked["Analysis"] == ("DropDown", "DAB positivity;;Dark regions;;Density of nuclei;;Nuclei;;Tissue")
    assert asked["Show (default: what suits the analysis)"] == (
        "DropDown",
        "Outlines and centres;;Outlines;;Centres;;Neither",
    )


def test_parameters_are_asked_with_their_default_and_choices():
    asked = questions(NUCLEI)
    assert asked["Nuclei: stain (default H&E)"] == ("DropDown", "H&E;;H-DAB")
    assert asked["Nuclei: sensitivity, above 1 finds fainter nuclei (default 1)"] == ("Real",)
    assert questions(DARK)["Dark regions: darker than this grey value, 0 for Otsu's (default 0)"] == ("Integer",)


class Shy(DarkRegions):
    name, title, shows = "shy", "Shy", ()


def test_form_says_what_is_shown_by_default_when_its_analyzers_agree():
    assert "Show (default Outlines and centres)" in questions(NUCLEI)
    assert "Show (default Outlines and centres)" in questions(NUCLEI, DARK)
    assert "Show (default Neither)" in questions(Shy())
    assert "Show (default: what suits the analysis)" in questions(NUCLEI, Shy())


def test_form_of_one_analyzer_asks_nothing_of_another():
    assert not [name for name in questions(NUCLEI) if name.startswith("Dark")]
    assert questions(NUCLEI)["Analysis"] == ("DropDown", "Nuclei")


@pytest.mark.parametrize("analyzer", SHIPPED.values(), ids=SHIPPED)
def test_form_answered_with_its_own_defaults_gives_the_defaults(analyzer):
    answers = {
        name: name.rpartition("(default ")[2].rstrip(")") if "(default " in name else "" for name in questions(analyzer)
    }
    assert parameters_for(webhook(answers), analyzer) == analyzer.parameters()


@pytest.mark.parametrize("analyzer", SHIPPED.values(), ids=SHIPPED)
def test_every_option_a_form_offers_can_be_answered(analyzer):
    for name, (kind, *specification) in questions(analyzer).items():
        for option in specification[0].split(";;") if kind == "DropDown" else ():
            answered = webhook({name: option})
            parameters_for(answered, analyzer)
            assert analyzer_for(answered, analyzer.name) is analyzer
            shown_for(answered, analyzer)


def named(asked, part):
    return next(name for name in asked if part in name)


@given(
    st.sampled_from(["H&E", "H-DAB"]),
    st.sampled_from(["hematoxylin", "DAB", "either"]),
    st.floats(0.2, 5),
    st.floats(0.3, 0.98),
    st.floats(0, 500),
    st.floats(501, 1e12),
)
def test_answers_by_the_names_of_the_form_are_the_parameters(stain, marker, sensitivity, separation, least, most):
    asked = questions(NUCLEI)
    answers = {
        named(asked, "stain (default"): stain,
        named(asked, "stained by"): marker,
        named(asked, "sensitivity"): repr(sensitivity),
        named(asked, "separation"): repr(separation),
        named(asked, "smallest"): repr(least),
        named(asked, "largest"): repr(most),
    }
    assert parameters_for(webhook(answers), NUCLEI) == NucleiParameters(
        stain=stain,
        marker=marker,
        sensitivity=sensitivity,
        separation=separation,
        smallest_um2=least,
        largest_um2=most,
    )


# Answers


@pytest.mark.parametrize(
    "name",
    [
        "Dark regions: smallest area in um2 (default 25)",
        "Dark regions: smallest area in um2",
        "dark regions: SMALLEST area in um2 (default 99)",
        " Dark regions: smallest area in um2 ",
    ],
)
def test_answer_is_found_with_or_without_the_default_in_its_name(name):
    assert parameters_for(webhook({name: "50"}), DARK) == DarkRegionsParameters(smallest_um2=50)


@pytest.mark.parametrize("unanswered", [None, "", "   "])
def test_question_left_open_takes_the_default(unanswered):
    answers = dict.fromkeys(questions(), unanswered)
    assert parameters_for(webhook(answers), NUCLEI) == NucleiParameters()
    assert shown_for(webhook(answers), NUCLEI) == ("outlines", "centres")
    assert analyzer_for(webhook(answers), "dark_regions") is DARK


@pytest.mark.parametrize(("text", "number"), [("12,5", 12.5), ("12.5", 12.5), (" 7 ", 7), ("1e3", 1000), (12, 12)])
def test_numbers_may_have_a_decimal_comma_and_be_numbers_already(text, number):
    answers = {"Nuclei: smallest area in um2": text, "Nuclei: largest area in um2, 0 for any": "0"}
    assert parameters_for(webhook(answers), NUCLEI).smallest_um2 == number


@pytest.mark.parametrize("text", ["many", "nan", "-1", "1e10", "inf", "-inf", "1.000,5", "1e999"])
def test_number_that_is_none_or_out_of_bounds_is_refused_with_the_bounds(text):
    message = refused({"Nuclei: smallest area in um2": text})
    assert message == 'The answer to "Nuclei: smallest area in um2" has to be a number from 0 to 1000000000.'


@pytest.mark.parametrize("text", ["128.5", "256", "-1", "dark", "nan", "inf"])
def test_whole_number_that_is_none_is_refused_with_the_bounds(text):
    message = refused({"Dark regions: darker than this grey value, 0 for Otsu's": text}, DARK)
    assert "a whole number from 0 to 255" in message


@pytest.mark.parametrize("text", ["0", "128", "255", "128.0", "128,0"])
def test_whole_number_within_its_bounds_is_taken_as_one(text):
    answers = {"Dark regions: darker than this grey value, 0 for Otsu's": text}
    threshold = parameters_for(webhook(answers), DARK).threshold
    assert isinstance(threshold, int)
    assert threshold == float(text.replace(",", "."))


def test_choice_is_taken_whatever_its_case_and_any_other_is_refused_with_the_choices():
    assert parameters_for(webhook({"Nuclei: stain": "h-dab"}), NUCLEI).stain == "H-DAB"
    assert refused({"Nuclei: stain": "PAS"}) == 'The answer to "Nuclei: stain" has to be one of H&E, H-DAB.'


def test_smallest_above_the_largest_is_refused():
    answers = {"Nuclei: smallest area in um2": "50", "Nuclei: largest area in um2, 0 for any": "40"}
    assert "smallest area is larger" in refused(answers)
    answers["Nuclei: largest area in um2, 0 for any"] = "0"
    assert parameters_for(webhook(answers), NUCLEI).largest_um2 == 0


@pytest.mark.parametrize("drawing", [["x"], [{"x": 1, "y": 2}], {"x": 1}])
def test_drawing_is_no_answer_to_a_question_about_a_parameter(drawing):
    answers = dict.fromkeys(questions(), drawing)
    assert parameters_for(webhook(answers), NUCLEI) == NucleiParameters()


def test_answers_for_another_analyzer_are_not_looked_at():
    answers = {"Dark regions: smallest area in um2": "canary", "Unknown": ["x"]}
    assert parameters_for(webhook(answers), NUCLEI) == NucleiParameters()


@pytest.mark.parametrize("wanted", ["Nuclei", "nuclei", " NUCLEI "])
def test_analysis_is_chosen_by_its_title_or_name(wanted):
    assert analyzer_for(webhook({"Analysis": wanted}), "dark_regions") is NUCLEI


def test_analysis_the_body_names_goes_before_the_answer_and_the_default():
    assert analyzer_for(webhook({"Analysis": "Nuclei"}, analyzer="dark_regions"), "nuclei") is DARK
    assert analyzer_for(webhook({"Analysis": "Nuclei"}), "dark_regions") is NUCLEI
    assert analyzer_for(webhook(), "dark_regions") is DARK


def test_unknown_analysis_is_refused_with_those_there_are():
    with pytest.raises(BadRequest) as raised:
        analyzer_for(webhook({"Analysis": "canary"}), "nuclei")
    assert all(analyzer.title in raised.value.message for analyzer in ANALYZERS.values())
    assert "canary" not in raised.value.message


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("Outlines", ("outlines",)),
        ("centres", ("centres",)),
        ("Outlines and centres", ("outlines", "centres")),
        (" neither ", ()),
    ],
)
@pytest.mark.parametrize("question", ["Show", "show (default Outlines)", "Show (default: what suits the analysis)"])
def test_what_to_show_is_chosen_by_its_text_whatever_the_form_said_of_its_default(question, answer, shown):
    assert shown_for(webhook({question: answer}), NUCLEI) == shown


@pytest.mark.parametrize("analyzer", [*SHIPPED.values(), Shy()], ids=[*SHIPPED, "shy"])
@pytest.mark.parametrize("answers", [{}, {"Show": ""}, {"Show": None, "Show (default Centres)": []}])
def test_what_suits_the_analyzer_is_shown_when_nothing_was_answered(analyzer, answers):
    assert shown_for(webhook(answers), analyzer) == analyzer.shows


def test_unknown_thing_to_show_is_refused_with_those_there_are():
    with pytest.raises(BadRequest, match="one of Outlines and centres, Outlines, Centres, Neither"):
        shown_for(webhook({"Show": "everything"}), NUCLEI)


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.integers())


@given(st.dictionaries(st.sampled_from(list(questions())), values))
def test_any_answers_are_parameters_within_bounds_or_refused(answers):
    try:
        parameters = parameters_for(webhook(answers), NUCLEI)
    except BadRequest:
        return
    assert 0.2 <= parameters.sensitivity <= 5
    assert 0 <= parameters.smallest_um2 <= 1e9
    assert parameters.stain in ("H&E", "H-DAB")


def test_question_the_analysis_does_not_have_is_refused_when_it_was_answered():
    assert "not a question of this analysis" in refused({"Nuclei: colour": "blue"})
    assert parameters_for(webhook({"Nuclei: remarks": "", "Nuclei: colour": None}), NUCLEI) == NucleiParameters()


def test_what_was_chosen_is_told_without_what_was_not():
    chosen = NucleiParameters(stain="H-DAB", sensitivity=1.5, largest_um2=250)
    assert described(NUCLEI, chosen) == "Chosen: largest area in um2 250; sensitivity 1.5; stain H-DAB."
    assert described(DARK, DarkRegionsParameters(threshold=100)) == "Chosen: darker than this grey value 100."
    assert described(NUCLEI, NucleiParameters()) == ""


class Ascending(Parameters, frozen=True, kw_only=True):
    weak: Annotated[float, msgspec.Meta(title="weak from", ge=0, le=1)] = 0.2
    strong: Annotated[float, msgspec.Meta(title="strong from", ge=0, le=1)] = 0.6

    def __post_init__(self):
        if self.strong < self.weak:
            raise BadRequest("Stepped: strong has to be above weak.")


class Stepped(DarkRegions):
    name, title, parameters = "stepped", "Stepped", Ascending


def test_answers_that_contradict_each_other_are_refused_in_the_analyzers_words():
    assert refused({"Stepped: weak from": "0.7"}, Stepped()) == "Stepped: strong has to be above weak."
    assert parameters_for(webhook({"Stepped: weak from": "0.6"}), Stepped()) == Ascending(weak=0.6)


class WithText(Parameters, frozen=True, kw_only=True):
    model: Annotated[str, msgspec.Meta(title="model")] = "small"


class Custom(DarkRegions):
    name, title, parameters = "custom", "Custom", WithText


def test_parameter_that_is_a_text_is_asked_as_free_text_and_taken_as_it_is():
    assert questions(Custom())["Custom: model (default small)"] == ("FreeText",)
    assert parameters_for(webhook({"Custom: model": " large 2 "}), Custom()).model == "large 2"
    assert parameters_for(webhook({"Custom: model": ""}), Custom()).model == "small"
