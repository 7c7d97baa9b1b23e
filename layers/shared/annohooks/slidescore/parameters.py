"""An analyzer's parameters as Slide Score questions, and the answers back as parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from msgspec import inspect

from annohooks.core.errors import BadRequest
from annohooks.imaging.analyzers import ANALYZERS, Analyzer, Parameters, Shown
from annohooks.imaging.parameters import Parameter, parameters_of, read
from annohooks.slidescore import regions
from annohooks.slidescore.request import Webhook

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
    """One line of a questions string: name, Slide Score's type, and its specification (options, or a colour)."""

    name: str
    type: str
    specification: str = ""

    def line(self) -> str:
        return "\t".join(self).rstrip("\t")


def questions_string(analyzers: Iterable[Analyzer[Any, Any]]) -> str:
    """The form for a webhook that offers these analyzers, one question a line, fields parted by tabs.

    Source: protocol reference, section 4 (questions string).
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


def analyzer_for(webhook: Webhook, default: str) -> Analyzer[Any, Any]:
    """The analyzer the body's `analyzer` key names, else the answer to "Analysis", else the deployment's default."""
    wanted = webhook.analyzer or _text(webhook.answer(ANALYSIS_QUESTION)) or default
    for analyzer in ANALYZERS.values():
        if wanted.casefold() in (analyzer.name.casefold(), analyzer.title.casefold()):
            return analyzer
    titles = ", ".join(analyzer.title for analyzer in ANALYZERS.values())
    raise BadRequest(f'The answer to "{ANALYSIS_QUESTION}" is not an analysis this webhook has: {titles}.')


def shown_for(webhook: Webhook, analyzer: Analyzer[Any, Any]) -> tuple[Shown, ...]:
    """What the answer to "Show" chooses; what suits the analyzer when nothing was answered."""
    answers = (answer.value for answer in webhook.answers if _bare(answer.name) == _bare(SHOW_QUESTION))
    text = next(filter(None, map(_text, answers)), "")
    if not text:
        return analyzer.shows
    for choice, shown in _SHOWN.items():
        if text.casefold() == choice.casefold():
            return shown
    raise BadRequest(f'The answer to "{SHOW_QUESTION}" has to be one of {", ".join(_SHOWN)}.')


def parameters_for(webhook: Webhook, analyzer: Analyzer[Any, Any]) -> Parameters:
    """The analyzer's parameters, defaults where nothing was answered. Raises BadRequest naming the question."""
    answers = {_bare(answer.name): text for answer in webhook.answers if (text := _text(answer.value))}
    questions = {_bare(_name(analyzer, parameter)) for parameter in parameters_of(analyzer.parameters)}
    if any(name.startswith(_bare(f"{analyzer.title}:")) for name in answers.keys() - questions):
        raise BadRequest(
            f'A question that begins with "{analyzer.title}:" is not a question of this analysis. Its questions '
            "may have changed: please ask your administrator to paste the questions string again."
        )

    def value_of(parameter: Parameter) -> str | float | None:
        text = answers.get(_bare(_name(analyzer, parameter)))
        return _number(text) if text and parameter.is_number else text

    def refusal(parameter: Parameter) -> BadRequest:
        return BadRequest(f'The answer to "{_name(analyzer, parameter)}" has to be {parameter.expected}.')

    parameters: Parameters = read(analyzer.parameters, value_of, refusal)
    if parameters.no_area_fits:
        raise BadRequest(f"{analyzer.title}: the smallest area is larger than the largest area.")
    return parameters


def described(analyzer: Analyzer[Any, Any], parameters: Parameters) -> str:
    """What differs from the defaults, for the person who chose it; empty when nothing does."""
    chosen = []
    for parameter in parameters_of(analyzer.parameters):
        value = getattr(parameters, parameter.field)
        if value != parameter.default:
            title = parameter.title.partition(",")[0]
            chosen.append(f"{title} {value if isinstance(value, str) else f'{value:.12g}'}")
    return f"Chosen: {'; '.join(chosen)}." if chosen else ""


def _show_question(analyzers: Iterable[Analyzer[Any, Any]]) -> str:
    """With what is shown when it is left open, as far as all of them agree."""
    defaults = {choice for each in analyzers for choice, shown in _SHOWN.items() if set(shown) == set(each.shows)}
    default = f" {defaults.pop()}" if len(defaults) == 1 else ": what suits the analysis"
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
    """A number that may have a decimal comma; the text itself if it is no number."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return text


def _text(value: Any) -> str:
    """What was answered, as text; empty for nothing, and for a drawing, which is no answer to such a question."""
    return str(value).strip() if isinstance(value, str | int | float) else ""


def _bare(name: str) -> str:
    """A question's name without its "(default ...)" ending, compared without case."""
    return name.partition("(default")[0].casefold().strip()
