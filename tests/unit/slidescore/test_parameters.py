"""The questions of a form, the parameters from their answers, and the settings of a deployment."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annohooks.core.errors import BadRequest, SettingsError
from annohooks.core.settings import from_env
from annohooks.imaging.analyzers import ANALYZERS
from annohooks.imaging.analyzers.base import Parameters
from annohooks.imaging.analyzers.dark_regions import DarkRegions, DarkRegionsParameters
from annohooks.imaging.analyzers.nuclei import NucleiParameters
from annohooks.slidescore.parameters import analyzer_for, described, parameters_for, questions_string, shown_for
from annohooks.slidescore.request import Answer, Trigger
from annohooks.slidescore.settings import Settings

DARK, NUCLEI = ANALYZERS["dark_regions"], ANALYZERS["nuclei"]
SHIPPED = {name: ANALYZERS[name] for name in ("dab_positivity", "dark_regions", "density", "nuclei", "tissue")}
SENSITIVITY = "Nuclei: sensitivity, above 1 finds fainter nuclei"
SMALLEST = "Nuclei: smallest area in um2"
LARGEST = "Nuclei: largest area in um2, 0 for any"
THRESHOLD = "Dark regions: darker than this grey value, 0 for Otsu's"
each_analyzer = pytest.mark.parametrize("analyzer", SHIPPED.values(), ids=SHIPPED)


def trigger(answers=None, analyzer=None):
    return Trigger(1, [Answer(name, value) for name, value in (answers or {}).items()], analyzer=analyzer)


def questions(*analyzers):
    """{name: (type, specification)}"""
    lines = questions_string(list(analyzers or SHIPPED.values())).splitlines()
    return {name: (kind, *specification) for name, kind, *specification in (line.split("\t") for line in lines)}


ALL_QUESTIONS = questions()


def parameters(answers, analyzer=NUCLEI):
    return parameters_for(trigger(answers), analyzer)


def refusal(answers, analyzer=NUCLEI):
    with pytest.raises(BadRequest) as raised:
        parameters(answers, analyzer)
    return raised.value.message


# Questions


def test_the_first_questions_are_the_region_the_analysis_and_what_to_show():
    show = "Show (default: depends on the analysis)"
    assert list(ALL_QUESTIONS)[:3] == ["ROI", "Analysis", show]
    assert ALL_QUESTIONS["ROI"] == ("AnnoShapes", "#FF0000")
    assert ALL_QUESTIONS["Analysis"] == ("DropDown", "DAB positivity;;Dark regions;;Density of nuclei;;Nuclei;;Tissue")
    assert ALL_QUESTIONS[show] == ("DropDown", "Outlines and centres;;Outlines;;Centres;;Neither")
    assert {kind for kind, *_ in ALL_QUESTIONS.values()} == {"AnnoShapes", "DropDown", "Integer", "Real"}
    assert len(ALL_QUESTIONS) == len(questions_string(SHIPPED.values()).splitlines())  # no name is used twice


def test_a_parameter_is_a_question_with_its_default_and_choices():
    form = questions(NUCLEI)
    assert form["Nuclei: stain (default H&E)"] == ("DropDown", "H&E;;H-DAB")
    assert form[f"{SENSITIVITY} (default 1)"] == ("Real",)
    assert questions(DARK)[f"{THRESHOLD} (default 0)"] == ("Integer",)
    assert form["Analysis"] == ("DropDown", "Nuclei")
    assert not [name for name in form if name.startswith("Dark")]


class ShowsNothing(DarkRegions):
    name, title, shows = "shows_nothing", "Shows nothing", ()


NOTHING = ShowsNothing()


def test_the_question_show_has_a_default_when_all_analyzers_have_the_same():
    assert "Show (default Outlines and centres)" in questions(NUCLEI, DARK)
    assert "Show (default Neither)" in questions(NOTHING)
    assert "Show (default: depends on the analysis)" in questions(NUCLEI, NOTHING)


@each_analyzer
def test_a_form_answered_with_its_own_defaults_or_with_any_option_is_valid(analyzer):
    form = questions(analyzer)
    defaults = {name: name.rpartition("(default ")[2].rstrip(")") for name in form if "(default " in name}
    assert parameters(defaults, analyzer) == analyzer.parameters()
    for name, options in ((name, options[0]) for name, (kind, *options) in form.items() if kind == "DropDown"):
        for option in options.split(";;"):
            answered = trigger({name: option})
            parameters_for(answered, analyzer)
            assert analyzer_for(answered, analyzer.name) is analyzer
            shown_for(answered, analyzer)


# Answers


@pytest.mark.parametrize("name", [SMALLEST, f"{SMALLEST} (default 25)", SMALLEST.upper(), f" {SMALLEST} "])
def test_the_case_and_the_default_in_a_questions_name_do_not_matter(name):
    assert parameters({name: "50", "Nuclei: stain": "h-dab"}) == NucleiParameters(smallest_um2=50, stain="H-DAB")


@pytest.mark.parametrize("unanswered", [None, "", "   ", [{"x": 1, "y": 2}], {"x": 1}])
def test_without_an_answer_or_with_a_drawing_the_defaults_hold(unanswered):
    answers = dict.fromkeys(ALL_QUESTIONS, unanswered)
    assert parameters(answers) == NucleiParameters()
    assert shown_for(trigger(answers), NUCLEI) == ("outlines", "centres")
    assert analyzer_for(trigger(answers), "dark_regions") is DARK


@given(
    st.builds(
        NucleiParameters,
        stain=st.sampled_from(["H&E", "H-DAB"]),
        marker=st.sampled_from(["hematoxylin", "DAB", "either"]),
        sensitivity=st.floats(0.2, 5),
        separation=st.floats(0.3, 0.98),
        smallest_um2=st.floats(0, 500),
        largest_um2=st.floats(501, 1e12),
    )
)
def test_answers_under_the_names_of_the_form_are_the_parameters(chosen):
    words = {"stain": "stain (", "marker": "stained by", "smallest_um2": "smallest", "largest_um2": "largest"}
    answers = {
        name: str(getattr(chosen, field))
        for field in NucleiParameters.__struct_fields__
        for name in questions(NUCLEI)
        if words.get(field, field) in name
    }
    assert parameters(answers) == chosen


@pytest.mark.parametrize(
    ("analyzer", "question", "text", "number"),
    [
        (NUCLEI, SMALLEST, "12,5", 12.5),
        (NUCLEI, SMALLEST, " 7 ", 7),
        (NUCLEI, SMALLEST, "1e3", 1000),
        (NUCLEI, SMALLEST, 12, 12),
        (DARK, THRESHOLD, "255", 255),
        (DARK, THRESHOLD, "128,0", 128),
    ],
)
def test_a_number_may_have_a_decimal_comma_or_be_no_text(analyzer, question, text, number):
    chosen = parameters({question: text, LARGEST: "0"}, analyzer)
    assert (chosen.threshold if analyzer is DARK else chosen.smallest_um2) == number
    assert analyzer is NUCLEI or isinstance(chosen.threshold, int)


@pytest.mark.parametrize(
    ("analyzer", "question", "texts", "expected"),
    [
        (NUCLEI, SMALLEST, ["many", "nan", "-1", "1e10", "inf", "1.000,5", "1e999"], "a number from 0 to 1000000000"),
        (DARK, THRESHOLD, ["128.5", "256", "-1", "dark", "nan", "inf"], "a whole number from 0 to 255"),
        (NUCLEI, "Nuclei: stain", ["PAS"], "one of H&E, H-DAB"),
    ],
)
def test_an_impossible_answer_is_refused_with_the_possible_ones(analyzer, question, texts, expected):
    for text in texts:
        assert refusal({question: text}, analyzer) == f'The answer to "{question}" has to be {expected}.'


def test_a_smallest_area_above_the_largest_is_refused():
    assert refusal({SMALLEST: "50", LARGEST: "40"}) == "Nuclei: the smallest area is larger than the largest area."
    assert parameters({SMALLEST: "50", LARGEST: "0"}).largest_um2 == 0


def test_an_answered_question_that_the_analyzer_does_not_have_is_refused():
    assert "does not belong to this analysis" in refusal({"Nuclei: colour": "blue"})
    answers = {"Nuclei: remarks": "", "Nuclei: colour": None, "Dark regions: smallest area in um2": "canary"}
    assert parameters({**answers, "Unknown": ["x"]}) == NucleiParameters()


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.integers())


@given(st.dictionaries(st.sampled_from(list(ALL_QUESTIONS)), values, max_size=5))
def test_any_answers_are_parameters_within_bounds_or_refused(answers):
    with suppress(BadRequest):
        chosen = parameters(answers)
        assert 0.2 <= chosen.sensitivity <= 5
        assert 0 <= chosen.smallest_um2 <= 1e9
        assert chosen.stain in ("H&E", "H-DAB")


def test_the_changed_parameters_are_described():
    chosen = NucleiParameters(stain="H-DAB", sensitivity=1.5, largest_um2=250)
    assert described(NUCLEI, chosen) == "Changed parameters: largest area in um2 250; sensitivity 1.5; stain H-DAB."
    dark = DarkRegionsParameters(threshold=100)
    assert described(DARK, dark) == "Changed parameters: darker than this grey value 100."
    assert described(NUCLEI, NucleiParameters()) == ""


# The settings of a deployment


def test_the_default_analyzer_must_exist_and_an_answer_may_have_1_to_a_million_outlines():
    required = {
        "SLIDESCORE_ORIGINS": "https://slides.example.org",
        "SLIDESCORE_SECRET_PARAMETER": "/annohooks/slidescore/secret",
        "STAGING_BUCKET": "staging",
    }
    assert from_env(Settings, required | {"SLIDESCORE_ANALYZER": "tissue"}).slidescore_analyzer == "tissue"
    names = ", ".join(sorted(ANALYZERS))
    with pytest.raises(SettingsError, match=f"^SLIDESCORE_ANALYZER must be one of {names}$"):
        from_env(Settings, required | {"SLIDESCORE_ANALYZER": "Nuclei"})
    for number in (1, 1_000_000):
        assert from_env(Settings, required | {"SLIDESCORE_MAX_OUTLINES": f"{number}"}).slidescore_max_outlines == number
    for number in (0, 1_000_001):
        with pytest.raises(SettingsError, match="SLIDESCORE_MAX_OUTLINES"):
            from_env(Settings, required | {"SLIDESCORE_MAX_OUTLINES": f"{number}"})


# The analyzer, and what to show


def test_the_analyzer_is_named_by_the_body_or_the_answer_or_the_deployment():
    answer = {"Analysis": " NUCLEI "}
    assert analyzer_for(trigger(answer, analyzer="dark_regions"), "nuclei") is DARK
    assert analyzer_for(trigger(answer), "dark_regions") is NUCLEI
    assert analyzer_for(trigger(), "dark_regions") is DARK


def test_an_unknown_analyzer_or_answer_to_show_is_refused_with_the_known_ones():
    titles = ", ".join(analyzer.title for analyzer in ANALYZERS.values())
    with pytest.raises(BadRequest, match=f'^The answer to "Analysis" has to be one of {titles}.$'):
        analyzer_for(trigger({"Analysis": "canary"}), "nuclei")
    with pytest.raises(BadRequest, match="one of Outlines and centres, Outlines, Centres, Neither"):
        shown_for(trigger({"Show": "everything"}), NUCLEI)


def test_the_answer_to_show_chooses_what_is_shown():
    assert shown_for(trigger({"show (default Outlines)": "centres"}), NUCLEI) == ("centres",)
    assert shown_for(trigger({"Show (default: depends)": "Outlines and centres"}), NUCLEI) == ("outlines", "centres")
    assert shown_for(trigger({"Show": " neither "}), NUCLEI) == ()


@pytest.mark.parametrize("analyzer", [*SHIPPED.values(), NOTHING], ids=[*SHIPPED, "shows nothing"])
def test_without_an_answer_to_show_the_analyzers_own_default_is_shown(analyzer):
    for answers in {}, {"Show": ""}, {"Show": None, "Show (default Centres)": []}:
        assert shown_for(trigger(answers), analyzer) == analyzer.shows


# A team's own analyzer


class CustomParameters(Parameters, frozen=True, kw_only=True):
    model: Annotated[str, msgspec.Meta(title="model")] = "small"

    def __post_init__(self):
        if self.model == "none":
            raise BadRequest("Custom: there is no such model.")


class Custom(DarkRegions):
    name, title, parameters = "custom", "Custom", CustomParameters


def test_a_parameter_that_is_text_is_a_free_text_question_and_the_analyzer_may_refuse_it():
    assert questions(Custom())["Custom: model (default small)"] == ("FreeText",)
    assert parameters({"Custom: model": " large 2 "}, Custom()).model == "large 2"
    assert parameters({"Custom: model": ""}, Custom()).model == "small"
    assert refusal({"Custom: model": "none"}, Custom()) == "Custom: there is no such model."
