"""An analyzer's parameters as Slide Score questions, and the answers back as parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from msgspec import inspect

from annohooks.core.errors import BadRequest
from annohooks.imaging.analyzers import ANALYZERS, Analyzer, Parameters, Shown
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


class _Field(NamedTuple):
    """One parameter: the struct's field, its question's name without the default, and its choices if it has any."""

    key: str
    name: str
    default: Any
    choices: tuple[str, ...] = ()
    is_integer: bool = False
    least: float = -math.inf
    most: float = math.inf

    @property
    def question(self) -> Question:
        if self.choices:
            return Question(f"{self.name} (default {self.default})", "DropDown", ";;".join(self.choices))
        if isinstance(self.default, str):
            return Question(f"{self.name} (default {self.default})", "FreeText")
        return Question(f"{self.name} (default {self.default:g})", "Integer" if self.is_integer else "Real")


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
    questions += [field.question for analyzer in analyzers for field in _fields(analyzer)]
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
    fields = {_bare(field.name): field for field in _fields(analyzer)}
    chosen = {}
    for answer in webhook.answers:
        field, text = fields.get(_bare(answer.name)), _text(answer.value)
        if field is not None and text:
            chosen[field.key] = _value(field, text)
        elif field is None and text and _bare(answer.name).startswith(_bare(f"{analyzer.title}:")):
            raise BadRequest(
                f'A question that begins with "{analyzer.title}:" is not a question of this analysis. Its questions '
                "may have changed: please ask your administrator to paste the questions string again."
            )
    parameters: Parameters = analyzer.parameters(**chosen)  # may refuse what contradicts itself
    if 0 < parameters.largest_um2 < parameters.smallest_um2:
        raise BadRequest(f"{analyzer.title}: the smallest area is larger than the largest area.")
    return parameters


def described(analyzer: Analyzer[Any, Any], parameters: Parameters) -> str:
    """What differs from the defaults, for the person who chose it; empty when nothing does."""
    values = [(field, getattr(parameters, field.key)) for field in _fields(analyzer)]
    chosen = [
        (field.name.partition(": ")[2].partition(",")[0], value) for field, value in values if value != field.default
    ]
    shown = [f"{title} {value if isinstance(value, str) else f'{value:.12g}'}" for title, value in chosen]
    return f"Chosen: {'; '.join(shown)}." if shown else ""


def _show_question(analyzers: Iterable[Analyzer[Any, Any]]) -> str:
    """With what is shown when it is left open, as far as all of them agree."""
    defaults = {choice for each in analyzers for choice, shown in _SHOWN.items() if set(shown) == set(each.shows)}
    default = f" {defaults.pop()}" if len(defaults) == 1 else ": what suits the analysis"
    return f"{SHOW_QUESTION} (default{default})"


def _fields(analyzer: Analyzer[Any, Any]) -> Iterator[_Field]:
    described = inspect.type_info(analyzer.parameters)
    assert isinstance(described, inspect.StructType)
    for field in described.fields:
        assert isinstance(field.type, inspect.Metadata), f"{field.name} has no title"
        kind, title = field.type.type, (field.type.extra_json_schema or {})["title"]
        name = f"{analyzer.title}: {title}"
        if isinstance(kind, inspect.LiteralType):
            yield _Field(field.encode_name, name, field.default, tuple(map(str, kind.values)))
        elif isinstance(kind, inspect.StrType):
            yield _Field(field.encode_name, name, field.default)
        else:
            assert isinstance(kind, inspect.IntType | inspect.FloatType)
            least = -math.inf if kind.ge is None else kind.ge
            most = math.inf if kind.le is None else kind.le
            is_integer = isinstance(kind, inspect.IntType)
            yield _Field(field.encode_name, name, field.default, (), is_integer, least, most)


def _value(field: _Field, text: str) -> Any:
    if field.choices:
        for choice in field.choices:
            if choice.casefold() == text.casefold():
                return choice
        raise BadRequest(f'The answer to "{field.name}" has to be one of {", ".join(field.choices)}.')
    if isinstance(field.default, str):
        return text
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        number = math.nan
    if not field.least <= number <= field.most or (field.is_integer and number != int(number)):
        kind = "a whole number" if field.is_integer else "a number"
        raise BadRequest(f'The answer to "{field.name}" has to be {kind} from {field.least:g} to {field.most:g}.')
    return int(number) if field.is_integer else number


def _text(value: Any) -> str:
    """What was answered, as text; empty for nothing, and for a drawing, which is no answer to such a question."""
    return str(value).strip() if isinstance(value, str | int | float) else ""


def _bare(name: str) -> str:
    """A question's name without its "(default ...)" ending, compared without case."""
    return name.partition("(default")[0].casefold().strip()
