"""What transcriptions and named entities say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta

from annohooks.kili.label.model import Object
from annohooks.kili.rules.base import Case, Inconsistent, NotApplicable, Parameters, Scope, Violation, check
from annohooks.kili.rules.bounds import many, must_be_in_order, must_say_something
from annohooks.kili.rules.location import ABOUT, about, categories_in_words, in_words
from annohooks.kili.rules.ruleset import one_line

LONGEST_TEXT = 10_000
"""Characters. A longer text is measured, but not looked at otherwise."""
LONGEST_FOR_PATTERNS = 1_000
"""Characters. The same where there is a pattern: it takes time with a power of them, and nothing interrupts it."""
MOST_WORDS = 1_000

_QUOTED = 60
"""Characters of a text by which an issue says which one it is about."""

Length = Annotated[int, Meta(ge=0)]
Words = Annotated[tuple[str, ...], Meta(max_length=MOST_WORDS)]


class Text(Parameters, frozen=True):
    """What a transcription, or the content of a named entity, has to be. A blank text is only asked for its length.

    min_length, max_length: in characters, white space at both ends left off, accepted themselves. pattern,
    forbidden_pattern: regular expressions (Python's) that have to, and may not, be found in it; ^ and $ tie them to its
    ends. required_words, forbidden_words: each of these, none of these, as whole words; those of a phrase may be parted
    by any white space. allowed: it is one of these. ignore_case: for all of them. format: an `iban` (spaces allowed), a
    `date` (2024-06-13), a `number` (-1.5e3).
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
        must_say_something(self, *(name for name in self.__struct_fields__ if name != "ignore_case"))
        must_be_in_order(self, "length")
        for name in ("pattern", "forbidden_pattern"):
            try:
                re.compile(getattr(self, name) or "")
            except (re.error, OverflowError, RecursionError) as error:
                raise Inconsistent(name, f"is not a regular expression: {error}") from None
        for name in ("required_words", "forbidden_words"):
            if not all(map(str.strip, getattr(self, name))):
                raise Inconsistent(name, "has a blank word")


@check(
    "text",
    Text,
    message="{quote} {where} {problem}",
    values={**ABOUT, "quote": 'TRANSCRIPTION_JOB "FR76 3000"', "problem": "is not an IBAN"}
    | {"text": "FR76 3000", "length": 9, "where": "on page 3"},
    tools=("entity",),
)
def text(case: Case, scope: Scope, parameters: Text) -> Iterator[Violation]:
    """Texts that are not what they have to be: one violation per text, with the first thing that is wrong."""
    has_pattern = parameters.pattern is not None or parameters.forbidden_pattern is not None
    longest = LONGEST_FOR_PATTERNS if has_pattern else LONGEST_TEXT
    too_long = 0
    for said in _said(case, scope):
        if not case.deadline.remaining_s():
            raise NotApplicable("no time was left for all texts")
        trimmed = said.text.strip()
        problem = _length_problem(len(trimmed), parameters)
        if len(trimmed) > longest:
            too_long += 1
        elif trimmed and not problem:
            problem = _problem(trimmed, parameters)
        if problem:
            values = {**said.values, "problem": problem, "text": said.text, "length": len(trimmed)}
            yield Violation(said.subject, values, said.mid)
    if too_long:
        raise NotApplicable(f"{many(too_long, 'text')} of more than {longest} characters")


class _Said(NamedTuple):
    """One text. values: what messages name, but for the text itself."""

    subject: str
    text: str
    mid: str | None
    values: dict[str, Any]


def _said(case: Case, scope: Scope) -> Iterator[_Said]:
    objects: dict[str | None, Object] = {thing.key: thing for thing in case.reading.objects}
    answered = {
        (answer.of, answer.frame, answer.page, (*answer.within, answer.job)): answer.categories
        for answer in case.reading.answers
    }
    for thing in filter(scope.covers, case.reading.objects):
        if thing.span:
            where = in_words((None, thing.shapes[0].page)) if thing.shapes else ""
            values = {**about(thing), "quote": _entity(thing), "where": where}
            yield _Said(thing.key, thing.span.content, thing.mid, values)
    for answer in case.reading.answers:
        if answer.text is not None and scope.reaches(answer):
            on = objects.get(answer.of)
            above = (answer.of, answer.frame, answer.page, answer.within)
            nearest = answer.within[-1:]
            if on and nearest == (on.job,):
                categories = on.categories
            else:
                categories = answered.get(above, nearest if len(answer.within) > 1 else ())
            page, on_frame = str(answer.page or ""), "" if answer.frame is None else answer.text
            subject = "/".join(filter(None, (answer.of, *answer.within, answer.job, page, on_frame)))
            values = {**about(answer), "category": ", ".join(categories)}
            values |= {"quote": _quote(answer.job, answer.text), "where": in_words((answer.frame, answer.page))}
            yield _Said(subject, answer.text, on.mid if on else None, values)


def _quote(name: str, said: str) -> str:
    """What an issue is about: a transcription's job or an entity's category, and how the text begins."""
    beginning = one_line(said.strip(), _QUOTED)
    return f'{name} "{beginning}"' if beginning else name


def _length_problem(length: int, parameters: Text) -> str:
    low, high = parameters.min_length, parameters.max_length
    if low is not None and length < low:
        return f"has {many(length, 'character')}, fewer than {low}" if length else "is empty"
    return f"has {many(length, 'character')}, more than {high}" if high is not None and length > high else ""


def _problem(said: str, parameters: Text) -> str:
    if parameters.allowed and _is_none_of(said, parameters.allowed, parameters.ignore_case):
        return f"is not one of {', '.join(parameters.allowed)}"
    for looked_for, wanted, problem in _searches(parameters):
        if bool(looked_for.search(said)) != wanted:
            return problem
    if parameters.format and not _FORMATS[parameters.format](said):
        return f"is not {_FORMAT_NAMES[parameters.format]}"
    return ""


@lru_cache(maxsize=256)
def _searches(parameters: Text) -> tuple[tuple[re.Pattern[str], bool, str], ...]:
    """What is looked for, whether it has to be found, and what is wrong otherwise."""
    searches = [
        (parameters.pattern, True, f"does not match {parameters.pattern}"),
        (parameters.forbidden_pattern, False, f"may not match {parameters.forbidden_pattern}"),
        *((_as_pattern(word), True, f'lacks "{word}"') for word in parameters.required_words),
        *((_as_pattern(word), False, f'may not contain "{word}"') for word in parameters.forbidden_words),
    ]
    flags = re.IGNORECASE if parameters.ignore_case else re.NOFLAG
    return tuple(
        (re.compile(pattern, flags), wanted, said) for pattern, wanted, said in searches if pattern is not None
    )


def _as_pattern(phrase: str) -> str:
    words = r"\s+".join(map(re.escape, phrase.split()))
    return rf"(?<!\w){words}(?!\w)"


def _is_none_of(said: str, allowed: tuple[str, ...], ignore_case: bool) -> bool:
    if ignore_case:
        return said.casefold() not in {value.casefold() for value in allowed}
    return said not in allowed


# ISO 13616 as in SWIFT's registry: each country's code and the length of its IBANs.
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


def _is_iban(said: str) -> bool:
    """ISO 13616: the country's length, and 1 modulo 97 when the first four characters are put last, A as 10."""
    iban = "".join(said.split())
    if not re.fullmatch("[A-Z]{2}[0-9]{2}[A-Z0-9]+", iban) or len(iban) != _IBAN_LENGTHS.get(iban[:2]):
        return False
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def _is_date(said: str) -> bool:
    try:
        return re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", said) is not None and bool(date.fromisoformat(said))
    except ValueError:
        return False


def _is_number(said: str) -> bool:
    return re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", said) is not None


_FORMATS: dict[str, Callable[[str], bool]] = {"iban": _is_iban, "date": _is_date, "number": _is_number}
_FORMAT_NAMES = {"iban": "an IBAN", "date": "a date such as 2024-06-13", "number": "a number"}


class Entities(Parameters, frozen=True):
    """How named entities have to be marked.

    trimmed: without white space at their ends. overlap: `none`; `nested`, one may lie within another; or `any`.
    """

    trimmed: bool = True
    overlap: Literal["none", "nested", "any"] = "none"

    def __post_init__(self) -> None:
        if not self.trimmed and self.overlap == "any":
            raise ValueError("'trimmed: false' and 'overlap: any' leave nothing to find")


@check(
    "entities",
    Entities,
    message="{quote} {problem}",
    values={**ABOUT, "quote": 'CITY "Paris"', "problem": "has white space at an end", "text": " Paris"}
    | {"other": "20240613093119204-2"},
    scope="job category",
)
def entities(case: Case, scope: Scope, parameters: Entities) -> Iterator[Violation]:
    """Entities marked badly: one violation each, or per pair, on the one that begins later in the text."""
    marked = [thing for thing in case.reading.objects if thing.span and scope.covers(thing)]
    if parameters.trimmed:
        for thing in marked:
            if thing.span and thing.span.content != thing.span.content.strip():
                values = _marked(thing, "has white space at an end")
                yield Violation(thing.key, values, thing.mid)
    if parameters.overlap != "any":
        for first, second in _overlapping(marked, parameters.overlap == "nested"):
            values = _marked(second, f"overlaps {_entity(first)}") | {"other": first.key}
            yield Violation(" ".join(sorted((first.key, second.key))), values, second.mid)


def _entity(thing: Object) -> str:
    return _quote(categories_in_words(thing), thing.span.content if thing.span else "")


def _marked(thing: Object, problem: str) -> dict[str, Any]:
    text = thing.span.content if thing.span else ""
    return {**about(thing), "quote": _entity(thing), "text": text, "problem": problem, "other": ""}


def _overlapping(marked: list[Object], may_nest: bool) -> Iterator[tuple[Object, Object]]:
    """Each entity that overlaps one before it in the text, after that one; as far as their offsets are known."""
    spans: list[tuple[str, int, int, str, Object]] = []
    for thing in marked:
        span = thing.span
        if span and span.begin_offset is not None and span.begin_id == span.end_id:
            end = span.end_offset if span.end_offset is not None else span.begin_offset + len(span.content)
            if end > span.begin_offset:
                spans.append((span.begin_id or "", span.begin_offset, -end, thing.key, thing))
    spans.sort(key=lambda entry: entry[:4])
    around: list[tuple[str, int, Object]] = []
    for node, begin, minus_end, _, thing in spans:
        while around and (around[-1][0] != node or around[-1][1] <= begin):
            around.pop()
        if around and (not may_nest or around[-1][1] < -minus_end):
            yield around[-1][2], thing
        around.append((node, -minus_end, thing))
