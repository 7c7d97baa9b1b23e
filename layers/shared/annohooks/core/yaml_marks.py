"""YAML read as PyYAML's nodes, which know their line and column, so that a mistake can be reported where it is.

PyYAML is imported when a text is read: most functions read none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import yaml

MOST_LEVELS = 10
"""Levels of lists and mappings in each other."""

_NOT_ALLOWED = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Mistake(NamedTuple):
    """What is wrong, and where. line, column: from 1."""

    line: int
    column: int
    problem: str


class YamlError(ValueError):
    """A text is not YAML, or uses a part of YAML that `compose` does not accept."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("\n".join(f"{line}:{column}: {problem}" for line, column, problem in mistakes))
        self.mistakes = mistakes


def compose(text: str) -> yaml.Node | None:
    """The root node of a YAML text; None when the text holds no document.

    Accepted is one document of MOST_LEVELS levels, without anchors, aliases and tags, so the nodes form a tree. Raises
    YamlError with every part that is not accepted, or with the first place that is not YAML.
    """
    import yaml

    refused = _NOT_ALLOWED.search(text)
    if refused:
        line, column = text.count("\n", 0, refused.start()) + 1, refused.start() - text.rfind("\n", 0, refused.start())
        raise YamlError([Mistake(line, column, "this character is not allowed in YAML")])
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    mistakes: list[Mistake] = []
    try:
        mistakes.extend(_not_accepted(text, loader))
        if not mistakes:
            root: yaml.Node | None = yaml.compose(text, loader)
            return root
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        mistakes.append(Mistake(mark.line + 1, mark.column + 1, f"not YAML: {error.problem or error.context}"))
    raise YamlError(mistakes)


def position(node: yaml.Node) -> tuple[int, int]:
    """Line and column where a node begins, from 1."""
    return node.start_mark.line + 1, node.start_mark.column + 1


def _not_accepted(text: str, loader: type[yaml.SafeLoader]) -> Iterator[Mistake]:
    """The parts of YAML that a composed node no longer shows, up to the first that ends the reading."""
    import yaml

    level = documents = 0
    for event in yaml.parse(text, loader):
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                yield Mistake(line, column, "only one YAML document is accepted")
                return
        elif isinstance(event, yaml.CollectionStartEvent):
            level += 1
            if level > MOST_LEVELS:
                yield Mistake(line, column, "nested too deeply")
                return
        elif isinstance(event, yaml.CollectionEndEvent):
            level -= 1
        if isinstance(event, yaml.NodeEvent) and (isinstance(event, yaml.AliasEvent) or event.anchor is not None):
            yield Mistake(line, column, "anchors and aliases (&, *) are not accepted: repeat the value instead")
        elif isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag is not None:
            yield Mistake(line, column, "tags (!) are not accepted")
