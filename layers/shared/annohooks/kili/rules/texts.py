"""Checks of transcriptions and named entities."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta

from annohooks.kili.label.model import Object
from annohooks.kili.rules.base import Case, Inconsistent, NotApplicable, Parameters, Scope, Violation, check
from annohooks.kili.rules.bounds import counted, refuse_min_above_max, require_one_of
from annohooks.kili.rules.location import location_text
from annohooks.kili.rules.messages import COMMON_VALUES, category_names, common_values, one_line

LONGEST_TEXT = 10_000
"""Characters. Only the length of a longer text is checked."""
LONGEST_FOR_PATTERNS = 1_000
"""Characters, for rules with a pattern: a search takes polynomial time or worse, and nothing can interrupt it."""
MOST_WORDS = 1_000

_QUOTED = 60
"""Characters of a text that an issue quotes."""

Length = Annotated[int, Meta(ge=0)]
Words = Annotated[tuple[str, ...], Meta(max_length=MOST_WORDS)]


class Text(Parameters, frozen=True):
    """The accepted contents of a transcription or a named entity. Of a blank text only the length is checked.

    min_length, max_length: in characters, without white space at both ends, accepted themselves. pattern,
    forbidden_pattern: regular expressions (Python's) that must, or must not, match anywhere in the text; anchor them
    with ^ and $. required_words, forbidden_words: whole words or phrases that must all, or must not, be in the text;
    any white space separates the words of a phrase. allowed: the accepted texts. ignore_case: for patterns, words and
    allowed. format: an `iban` (spaces accepted), a `date` (2024-06-13) or a `number` (-1.5e3).
    """

    min_length: Length | None = None
    max_length: Length | None = None
    pattern: str | None = None
    forbidden_pattern: str | None = None
    required_words: Words = ()
    forbidden_words: Words = ()
    allowed: tuple[str, ...] = ()
    ignore_case: bool = False
    format: Literal["iban", "date", "number"] | None = None

    def __post_init__(self) -> None:
        require_one_of(self, *(name for name in self.__struct_fields__ if name != "ignore_case"))
        refuse_min_above_max(self, "length")
        for name in ("pattern", "forbidden_pattern"):
            try:
                re.compile(getattr(self, name) or "")
            except (re.error, OverflowError, RecursionError) as error:
                raise Inconsistent(name, f"is not a valid regular expression: {error}") from None
        for name in ("required_words", "forbidden_words"):
            if not all(map(str.strip, getattr(self, name))):
                raise Inconsistent(name, "contains a blank word")


@check(
    "text",
    Text,
    message="{quote} {where} {problem}",
    values={**COMMON_VALUES, "quote": 'TRANSCRIPTION_JOB "FR76 3000"', "problem": "is not an IBAN"}
    | {"text": "FR76 3000", "length": 9, "where": "on page 3"},
    tools=("entity",),
)
def text(case: Case, scope: Scope, parameters: Text) -> Iterator[Violation]:
    """Texts that are not accepted: one violation per text, with its first problem."""
    has_pattern = parameters.pattern is not None or parameters.forbidden_pattern is not None
    longest = LONGEST_FOR_PATTERNS if has_pattern else LONGEST_TEXT
    too_long = 0
    for part in _texts(case, scope):
        if not case.deadline.remaining_s():
            raise NotApplicable("there was no time to check all texts")
        trimmed = part.text.strip()
        problem = _length_problem(len(trimmed), parameters)
        if len(trimmed) > longest:
            too_long += 1
        elif trimmed and not problem:
            problem = _problem(trimmed, parameters)
        if problem:
            values = {**part.values, "problem": problem, "text": part.text, "length": len(trimmed)}
            yield Violation(part.subject, values, part.mid)
    if too_long:
        raise NotApplicable(f"{counted(too_long, 'text')} of more than {longest} characters")


class _Text(NamedTuple):
    """One text of a label. values: for the placeholders of a message that do not depend on the problem."""

    subject: str
    text: str
    mid: str | None
    values: dict[str, Any]


def _texts(case: Case, scope: Scope) -> Iterator[_Text]:
    """The contents of the named entities and the transcriptions in the scope."""
    objects: dict[str | None, Object] = {obj.key: obj for obj in case.reading.objects}
    categories_of = {
        (answer.of, answer.frame, answer.page, (*answer.within, answer.job)): answer.categories
        for answer in case.reading.answers
    }
    for obj in filter(scope.covers, case.reading.objects):
        if obj.span:
            where = location_text((None, obj.shapes[0].page)) if obj.shapes else ""
            values = {**common_values(obj), "quote": _entity(obj), "where": where}
            yield _Text(obj.key, obj.span.content, obj.mid, values)
    for answer in case.reading.answers:
        if answer.text is not None and scope.covers_nested(answer):
            parent_object = objects.get(answer.of)
            parent = (answer.of, answer.frame, answer.page, answer.within)
            nearest = answer.within[-1:]
            if parent_object and nearest == (parent_object.job,):
                categories = parent_object.categories
            else:
                categories = categories_of.get(parent, nearest if len(answer.within) > 1 else ())
            # In a video the same text on many frames is one subject, and another text is another.
            page, text_of_frame = str(answer.page or ""), "" if answer.frame is None else answer.text
            subject = "/".join(filter(None, (answer.of, *answer.within, answer.job, page, text_of_frame)))
            values = {**common_values(answer), "category": ", ".join(categories)}
            values |= {"quote": _quote(answer.job, answer.text), "where": location_text((answer.frame, answer.page))}
            yield _Text(subject, answer.text, parent_object.mid if parent_object else None, values)


def _quote(name: str, text: str) -> str:
    """The job of a transcription or the category of an entity, and the beginning of its text."""
    beginning = one_line(text.strip(), _QUOTED)
    return f'{name} "{beginning}"' if beginning else name


def _length_problem(length: int, parameters: Text) -> str:
    low, high = parameters.min_length, parameters.max_length
    if low is not None and length < low:
        return f"has {counted(length, 'character')}, fewer than {low}" if length else "is empty"
    return f"has {counted(length, 'character')}, more than {high}" if high is not None and length > high else ""


def _problem(text: str, parameters: Text) -> str:
    if parameters.allowed and not _is_allowed(text, parameters.allowed, parameters.ignore_case):
        return f"is not one of {', '.join(parameters.allowed)}"
    for pattern, must_match, problem in _searches(parameters):
        if bool(pattern.search(text)) != must_match:
            return problem
    if parameters.format and not _FORMATS[parameters.format](text):
        return f"is not {_FORMAT_NAMES[parameters.format]}"
    return ""


@lru_cache(maxsize=256)
def _searches(parameters: Text) -> tuple[tuple[re.Pattern[str], bool, str], ...]:
    """Each pattern, whether it must match, and the problem if it does not do as it must."""
    searches = [
        (parameters.pattern, True, f"does not match {parameters.pattern}"),
        (parameters.forbidden_pattern, False, f"may not match {parameters.forbidden_pattern}"),
        *((_as_pattern(word), True, f'lacks "{word}"') for word in parameters.required_words),
        *((_as_pattern(word), False, f'may not contain "{word}"') for word in parameters.forbidden_words),
    ]
    flags = re.IGNORECASE if parameters.ignore_case else re.NOFLAG
    return tuple(
        (re.compile(pattern, flags), must_match, problem)
        for pattern, must_match, problem in searches
        if pattern is not None
    )


def _as_pattern(phrase: str) -> str:
    words = r"\s+".join(map(re.escape, phrase.split()))
    return rf"(?<!\w){words}(?!\w)"


def _is_allowed(text: str, allowed: tuple[str, ...], ignore_case: bool) -> bool:
    if ignore_case:
        return text.casefold() in {value.casefold() for value in allowed}
    return text in allowed


# The code of each country and the length of its IBANs. Source: SWIFT, IBAN registry (ISO 13616).
_IBAN_LENGTHS = {
    country: int(length)
    for country, length in re.findall(
        "([A-Z]{2})([0-9]{2})",
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
        "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
        "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 "
        "PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 "
        "YE30 ",
    )
}


def _is_iban(text: str) -> bool:
    """Whether length and check digits are right: with the first four characters last and A as 10, 1 modulo 97.

    Source: ISO 13616.
    """
    iban = "".join(text.split())
    if not re.fullmatch("[A-Z]{2}[0-9]{2}[A-Z0-9]+", iban) or len(iban) != _IBAN_LENGTHS.get(iban[:2]):
        return False
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def _is_date(text: str) -> bool:
    try:
        return re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text) is not None


_FORMATS: dict[str, Callable[[str], bool]] = {"iban": _is_iban, "date": _is_date, "number": _is_number}
_FORMAT_NAMES = {"iban": "an IBAN", "date": "a date such as 2024-06-13", "number": "a number"}


class Entities(Parameters, frozen=True):
    """How named entities have to be marked.

    trimmed: without white space at their ends. overlap: `none`, `nested` (one may lie within another), or `any`.
    """

    trimmed: bool = True
    overlap: Literal["none", "nested", "any"] = "none"

    def __post_init__(self) -> None:
        if not self.trimmed and self.overlap == "any":
            raise ValueError("'trimmed: false' with 'overlap: any' leaves nothing to check")


@check(
    "entities",
    Entities,
    message="{quote} {problem}",
    values={**COMMON_VALUES, "quote": 'CITY "Paris"', "problem": "has white space at an end", "text": " Paris"}
    | {"other": "20240613093119204-2"},
    scope="job category",
)
def entities(case: Case, scope: Scope, parameters: Entities) -> Iterator[Violation]:
    """Entities with white space at an end, and pairs that overlap: the violation is on the one that begins later."""
    marked = [obj for obj in case.reading.objects if obj.span and scope.covers(obj)]
    if parameters.trimmed:
        for obj in marked:
            if obj.span and obj.span.content != obj.span.content.strip():
                values = _marked(obj, "has white space at an end")
                yield Violation(obj.key, values, obj.mid)
    if parameters.overlap != "any":
        for first, second in _overlapping(marked, parameters.overlap == "nested"):
            values = _marked(second, f"overlaps {_entity(first)}") | {"other": first.key}
            yield Violation(" ".join(sorted((first.key, second.key))), values, second.mid)


def _entity(obj: Object) -> str:
    return _quote(category_names(obj), obj.span.content if obj.span else "")


def _marked(obj: Object, problem: str) -> dict[str, Any]:
    text = obj.span.content if obj.span else ""
    return {**common_values(obj), "quote": _entity(obj), "text": text, "problem": problem, "other": ""}


def _overlapping(marked: list[Object], may_nest: bool) -> Iterator[tuple[Object, Object]]:
    """Pairs of entities that overlap, in the order of the text; entities without known offsets are skipped."""
    spans: list[tuple[str, int, int, str, Object]] = []
    for obj in marked:
        span = obj.span
        if span and span.begin_offset is not None and span.begin_id == span.end_id:
            end = span.end_offset if span.end_offset is not None else span.begin_offset + len(span.content)
            if end > span.begin_offset:
                spans.append((span.begin_id or "", span.begin_offset, -end, obj.key, obj))
    spans.sort(key=lambda entry: entry[:4])
    around: list[tuple[str, int, Object]] = []
    for node, begin, minus_end, _, obj in spans:
        while around and (around[-1][0] != node or around[-1][1] <= begin):
            around.pop()
        if around and (not may_nest or around[-1][1] < -minus_end):
            yield around[-1][2], obj
        around.append((node, -minus_end, obj))
