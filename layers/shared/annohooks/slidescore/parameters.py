"""An analyzer's parameters as Slide Score's questions, and the answers as the analyzer's parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from msgspec import inspect

from annohooks.core.errors import BadRequest
from annohooks.imaging.analyzers import ANALYZERS, Analyzer, Parameters, Shown
from annohooks.imaging.parameters import Parameter, parameters_of, read
from annohooks.slidescore import regions
from annohooks.slidescore.request import Trigger

ANALYSIS_QUESTION = "Analysis"
SHOW_QUESTION = "Show"
_SHOWN: dict[str, tuple[Shown, ...]] = {
    "Outlines and centres": ("outlines", "centres"),
    "Outlines": ("outlines",),
    "Centres": ("centres",),
    "Neither": (),
}
_ROI_COLOR = "#FF0000"


class Question(NamedTuple):
    """One line of a questions string. type: Slide Score's name of it. specification: the options, or a colour."""

    name: str
    type: str
    specification: str = ""

    def line(self) -> str:
        """The question as one line of a questions string."""
        return "\t".join(self).rstrip("\t")


def questions_string(analyzers: Iterable[Analyzer[Any, Any]]) -> str:
    """The form of a webhook that offers these analyzers: one question per line, its fields separated by tabs.

    Source: the questions strings in the examples of slidescore-sdk 1.5.4.
    """
    analyzers = sorted(analyzers, key=lambda analyzer: analyzer.title.casefold())
    titles = ";;".join(analyzer.title for analyzer in analyzers)
    questions = [
        Question(regions.QUESTION, "AnnoShapes", _ROI_COLOR),
        Question(ANALYSIS_QUESTION, "DropDown", titles),
        Question(_show_question(analyzers), "DropDown", ";;".join(_SHOWN)),
    ]
    questions += [
        _question(analyzer, parameter) for analyzer in analyzers for parameter in parameters_of(analyzer.parameters)
    ]
    return "\n".join(question.line() for question in questions) + "\n"


def analyzer_for(trigger: Trigger, default: str) -> Analyzer[Any, Any]:
    """The analyzer named by the body's key `analyzer`, else by the answer to "Analysis", else by the deployment."""
    name = (trigger.analyzer or _text(trigger.answer(ANALYSIS_QUESTION)) or default).casefold()
    for analyzer in ANALYZERS.values():
        if name in (analyzer.name.casefold(), analyzer.title.casefold()):
            return analyzer
    titles = ", ".join(analyzer.title for analyzer in ANALYZERS.values())
    raise BadRequest(f'The answer to "{ANALYSIS_QUESTION}" has to be one of {titles}.')


def shown_for(trigger: Trigger, analyzer: Analyzer[Any, Any]) -> tuple[Shown, ...]:
    """What the answer to "Show" chooses. Without an answer, what the analyzer shows by default."""
    answers = (answer.value for answer in trigger.answers if _key(answer.name) == _key(SHOW_QUESTION))
    text = next(filter(None, map(_text, answers)), "")
    if not text:
        return analyzer.shows
    for choice, shown in _SHOWN.items():
        if text.casefold() == choice.casefold():
            return shown
    raise BadRequest(f'The answer to "{SHOW_QUESTION}" has to be one of {", ".join(_SHOWN)}.')


def parameters_for(trigger: Trigger, analyzer: Analyzer[Any, Any]) -> Parameters:
    """The analyzer's parameters from the answers, or their defaults. Raises BadRequest with the question's name."""
    answers = {_key(answer.name): text for answer in trigger.answers if (text := _text(answer.value))}
    questions = {_key(_name(analyzer, parameter)) for parameter in parameters_of(analyzer.parameters)}
    if any(name.startswith(_key(f"{analyzer.title}:")) for name in answers.keys() - questions):
        raise BadRequest(
            f'A question that begins with "{analyzer.title}:" does not belong to this analysis. The questions '
            "may have changed: please ask your administrator to paste the questions string again."
        )

    def value_of(parameter: Parameter) -> str | float | None:
        text = answers.get(_key(_name(analyzer, parameter)))
        return _number(text) if text and parameter.is_number else text

    def refusal(parameter: Parameter) -> BadRequest:
        return BadRequest(f'The answer to "{_name(analyzer, parameter)}" has to be {parameter.expected}.')

    parameters: Parameters = read(analyzer.parameters, value_of, refusal)
    if parameters.no_area_fits:
        raise BadRequest(f"{analyzer.title}: the smallest area is larger than the largest area.")
    return parameters


def described(analyzer: Analyzer[Any, Any], parameters: Parameters) -> str:
    """A sentence with the parameters that differ from their defaults, empty if there are none."""
    changed = []
    for parameter in parameters_of(analyzer.parameters):
        value = getattr(parameters, parameter.field)
        if value != parameter.default:
            title = parameter.title.partition(",")[0]
            changed.append(f"{title} {value if isinstance(value, str) else f'{value:.12g}'}")
    return f"Changed parameters: {'; '.join(changed)}." if changed else ""


def _show_question(analyzers: Iterable[Analyzer[Any, Any]]) -> str:
    """The name of the question with its default, if all analyzers have the same one."""
    defaults = {
        choice for analyzer in analyzers for choice, shown in _SHOWN.items() if set(shown) == set(analyzer.shows)
    }
    default = f" {defaults.pop()}" if len(defaults) == 1 else ": depends on the analysis"
    return f"{SHOW_QUESTION} (default{default})"


def _question(analyzer: Analyzer[Any, Any], parameter: Parameter) -> Question:
    default = f"{parameter.default:g}" if parameter.is_number else parameter.default
    name = f"{_name(analyzer, parameter)} (default {default})"
    if parameter.choices:
        return Question(name, "DropDown", ";;".join(parameter.choices))
    if parameter.is_number:
        return Question(name, "Integer" if isinstance(parameter.type, inspect.IntType) else "Real")
    return Question(name, "FreeText")


def _name(analyzer: Analyzer[Any, Any], parameter: Parameter) -> str:
    """The name of a parameter's question, without its default."""
    return f"{analyzer.title}: {parameter.title}"


def _number(text: str) -> str | float:
    """The number in a text, also with a decimal comma. The text itself if it is no number."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return text


def _text(value: Any) -> str:
    """The answer as text. Empty if there is none, and for a drawing, which cannot answer such a question."""
    return str(value).strip() if isinstance(value, str | int | float) else ""


def _key(name: str) -> str:
    """A question's name without its "(default ...)" ending, in lower case."""
    return name.partition("(default")[0].casefold().strip()
