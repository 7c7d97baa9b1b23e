"""The texts of issues: templates, their placeholders, and how both are checked when the rules are loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from string import Formatter
from typing import Any

from annohooks.kili.label.model import Answer, Object, Relation
from annohooks.kili.rules.base import Check

MOST_CHARACTERS = 2000
"""In the text of an issue. What Kili accepts is not documented."""
MOST_CHARACTERS_OF_A_VALUE = 200

COMMON_VALUES = {"job": "JOB_0", "category": "OBJECT_A", "object": "20240613093117843-1"}
"""The placeholders of every check of single objects, with examples; see `common_values`."""

# Python's format specifications, without widths that make a text of any length, and without characters by number.
_FORMAT = re.compile(r"([^{}]?[<>=^])?[-+ ]?z?#?0?[0-9]{0,2}[,_]?(\.[0-9]{1,2})?[bdeEfFgGnosxX%]?")


def common_values(part: Object | Answer) -> dict[str, Any]:
    """job, category and object: the mid, or the path of an object without one; "" for an answer about no object."""
    key = part.key if isinstance(part, Object) else part.of or ""
    return {"job": part.job, "category": category_names(part), "object": key}


def category_names(part: Object | Answer | Relation) -> str:
    """All categories, separated by commas; the job of a part without categories."""
    return ", ".join(part.categories) or part.job


def filled_in(template: str, values: Mapping[str, Any]) -> str:
    """A template with its placeholders replaced: one line of MOST_CHARACTERS at most."""
    short = {
        name: one_line(value, MOST_CHARACTERS_OF_A_VALUE) if isinstance(value, str) else value
        for name, value in values.items()
    }
    return one_line(template.format_map(short), MOST_CHARACTERS)


def one_line(text: str, most_characters: int) -> str:
    """A text with single spaces and no characters that cannot be printed; one that is cut ends with three dots."""
    beginning = text[: 4 * most_characters]
    line = " ".join("".join(c if c.isprintable() else " " for c in beginning).split())
    if len(line) <= most_characters and len(beginning) == len(text):
        return line
    return f"{line[: most_characters - 3]}..."


def problems_of(template: str, check: Check) -> Iterator[str]:
    """What is wrong with the message of a rule: unknown placeholders, and formats that do not fit their values."""
    try:
        fields = [(name, form or "") for _, name, form, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        yield f"{error}; write a literal brace twice"
        return
    is_usable = True
    for name, form in fields:
        if name not in check.values:
            known = ", ".join(sorted(check.values))
            yield f"unknown placeholder {{{one_line(name, 60)}}}; the check '{check.name}' has {known}"
            is_usable = False
        elif not _FORMAT.fullmatch(form):
            yield f"'{one_line(form, 60)}' is not a format for {{{name}}}"
            is_usable = False
    if is_usable:
        try:
            if not filled_in(template, check.values):
                yield "the text is empty"
        except ValueError as error:
            yield str(error)
    if len(template) > MOST_CHARACTERS:
        yield f"longer than {MOST_CHARACTERS} characters"
