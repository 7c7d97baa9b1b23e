"""Reads rules.yaml: a Ruleset, or every mistake in it with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from math import isfinite
from string import Formatter
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec
import yaml

from annohooks.core.errors import SettingsError
from annohooks.kili.label.model import Tool
from annohooks.kili.rules.base import CHECKS, Action, Check, Inconsistent, Scope
from annohooks.kili.rules.ruleset import LONGEST_TEXT, Rule, Ruleset, text

MOST_BYTES = 256_000
MOST_RULES = 200
MOST_MISTAKES = 100
"""So many are told; of more, how many."""

_DEEPEST = 10
_ID = re.compile("[a-z0-9][a-z0-9-]{0,63}")
_NOTHING = {"", "~", "null", "Null", "NULL"}
_NOT_YAML = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Python's format specifications, but for widths that would make a text of any length, and for characters by number.
_SPECIFICATION = re.compile(r"([^{}]?[<>=^])?[-+ ]?z?#?0?[0-9]{0,2}[,_]?(\.[0-9]{1,2})?[bdeEfFgGnosxX%]?")
_KINDS = {"float": "a number", "int": "a whole number", "bool": "true or false", "str": "a text", "array": "a list"}


class RulesError(SettingsError):
    """A file of rules is wrong. mistakes: each in a line, as in the message."""

    def __init__(self, mistakes: list[str]) -> None:
        self.mistakes = mistakes
        more = len(mistakes) - MOST_MISTAKES
        super().__init__("\n".join(mistakes[:MOST_MISTAKES] + [f"... and {more} more"] * (more > 0)))


def load(written: str, source: str) -> Ruleset:
    """The rules in a text. source: what mistakes call it, such as rules.yaml.

    Raises RulesError with every mistake, each as "rules.yaml:12:9: rule 'box-size': parameters: ..."; of a text that is
    not YAML, with the first. A value without quotes is what its place asks for: `NO` is a text where texts stand.
    """
    if len(written.encode(errors="replace")) > MOST_BYTES:
        raise RulesError([f"{source}: larger than {MOST_BYTES} bytes"])
    reader = _Reader()
    rules = reader.rules(reader.document(written))
    if reader.mistakes:
        raise RulesError([f"{source}:{line}:{column}: {what}" for line, column, what in sorted(reader.mistakes)])
    return Ruleset(rules, written)


class _Entry(NamedTuple):
    key: _Node
    value: _Node


class _Node(NamedTuple):
    """A part of the text and where it begins, from 1. content: None for what was left empty. bare: without quotes."""

    line: int
    column: int
    content: str | list[_Node] | dict[str, _Entry] | None
    bare: bool = False


_WRONG: Any = object()
"""In place of a value that is not what it should be, once the mistake is told."""


class _Reader:
    """Reads one text and gathers its mistakes: line, column, what is wrong."""

    def __init__(self) -> None:
        self.mistakes: list[tuple[int, int, str]] = []

    def mistake(self, node: _Node, what: str) -> None:
        self.mistakes.append((node.line, node.column, what))

    # YAML, without anchors, aliases and tags: from events, since a composed document has lost how a value was written

    def document(self, written: str) -> _Node:
        refused = _NOT_YAML.search(written)
        if refused:
            line = written.count("\n", 0, refused.start()) + 1
            self.mistakes.append((line, refused.start() - written.rfind("\n", 0, refused.start()), "no such character"))
            return _Node(1, 1, None)
        events = yaml.parse(written, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        node = _Node(1, 1, None)
        try:
            next(events)
            if isinstance(next(events), yaml.DocumentStartEvent):
                node = self.node(events, next(events), 0)
                next(events)
                after = next(events)
                if not isinstance(after, yaml.StreamEndEvent):
                    self.mistake(_at(after.start_mark, None), "a second document")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self.mistake(_at(mark, None), f"not YAML: {error.problem or error.context}")
            return _Node(1, 1, None)
        return node

    def node(self, events: Iterator[Any], event: Any, depth: int) -> _Node:
        """Raises yaml.MarkedYAMLError."""
        if depth > _DEEPEST:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=event.start_mark)
        empty = _at(event.start_mark, None)
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            self.mistake(empty, "anchors and aliases (&, *) are not for rules: please write it out")
        elif event.tag is not None:
            self.mistake(empty, "tags (!) are not for rules")
        if isinstance(event, yaml.ScalarEvent):
            if event.implicit[0] and event.value in _NOTHING:
                return empty
            # A block (|, >) ends with a line break, which nobody means to be looked for.
            content = event.value.rstrip("\n") if event.style in ("|", ">") else event.value
            return empty._replace(content=content, bare=event.implicit[0])
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := next(events), yaml.SequenceEndEvent):
                items.append(self.node(events, event, depth + 1))
            return empty._replace(content=items)
        if isinstance(event, yaml.MappingStartEvent):
            entries: dict[str, _Entry] = {}
            while not isinstance(event := next(events), yaml.MappingEndEvent):
                key = self.node(events, event, depth + 1)
                value = self.node(events, next(events), depth + 1)
                if not isinstance(key.content, str):
                    self.mistake(key, f"{_kind(key)} where a name should be")
                elif key.content in entries:
                    self.mistake(key, f"'{_short(key.content)}' is there twice")
                else:
                    entries[key.content] = _Entry(key, value)
            return empty._replace(content=entries)
        return empty

    # Rules

    def rules(self, document: _Node) -> list[Rule]:
        """Those without a mistake."""
        if document.content is None and self.mistakes:
            return []
        entries = self.entries(document, "", ("version", "rules"))
        if not isinstance(document.content, dict):
            return []
        self.missing(document, entries, ["version"], "")
        self.values({name: entries[name] for name in entries if name == "version"}, {"version": Literal[1]}, "")
        if "rules" not in entries:
            self.mistake(document, "'rules' is missing")
            return []
        listed = entries["rules"].value
        if listed.content is None:
            return []
        if not isinstance(listed.content, list):
            self.mistake(listed, f"'rules': expected a list, not {_kind(listed)}")
            return []
        if len(listed.content) > MOST_RULES:
            self.mistake(listed, f"'rules': {len(listed.content)} rules are more than {MOST_RULES}")
        lines: dict[str, int] = {}
        rules = [self.rule(node, number, lines) for number, node in enumerate(listed.content[:MOST_RULES], 1)]
        return [rule for rule in rules if rule]

    def rule(self, node: _Node, number: int, lines: dict[str, int]) -> Rule | None:
        """None when there is a mistake in it. lines: where the ids before stand."""
        before = len(self.mistakes)
        types = {"id": str, "check": Literal[tuple(sorted(CHECKS))], "message": str, "action": Action}
        named = node.content.get("id") if isinstance(node.content, dict) else None
        id_ = named.value.content if named and isinstance(named.value.content, str) else ""
        prefix = f"rule '{_short(id_)}': " if id_ else f"rule {number}: "
        entries = self.entries(node, prefix, (*types, "scope", "parameters"))
        found = self.values({name: entry for name, entry in entries.items() if name in types}, types, prefix)
        if isinstance(node.content, dict):
            self.missing(node, entries, ["id", "check"], prefix)
        if named and "id" in found:
            if not _ID.fullmatch(id_):
                what = "made of small letters, digits and hyphens, up to 64, a letter or digit first"
                self.mistake(named.value, f"{prefix}'id': an id is {what}")
            elif id_ in lines:
                self.mistake(named.value, f"{prefix}'id': the rule in line {lines[id_]} has the same")
            lines.setdefault(id_, named.value.line)
        check = CHECKS.get(found.get("check", ""))
        scope = self.scope(entries.get("scope"), check, prefix)
        if check is None:
            return None
        message = found.get("message", check.message)
        if "message" in found:
            for what in _wrong_in(message, check):
                self.mistake(entries["message"].value, f"{prefix}'message': {what}")
        parameters = self.struct(entries.get("parameters"), check.parameters, node, f"{prefix}parameters: ")
        if len(self.mistakes) > before or parameters is None:
            return None
        action = found.get("action", "issue")
        return Rule(id=id_, check=check, scope=scope, parameters=parameters, message=message, action=action)

    def scope(self, entry: _Entry | None, check: Check | None, prefix: str) -> Any:
        if entry and check and isinstance(entry.value.content, dict):
            for name, inner in entry.value.content.items():
                if name in Scope.__struct_fields__ and name not in check.scope:
                    known = ", ".join(field for field in Scope.__struct_fields__ if field in check.scope)
                    self.mistake(inner.key, f"{prefix}scope: '{name}' means nothing to '{check.name}'; {known} do")
                elif name == "tool":
                    for tool in inner.value.content if isinstance(inner.value.content, list) else [inner.value]:
                        if tool.content in get_args(Tool) and tool.content not in check.tools:
                            what = f"'{tool.content}' draws nothing that '{check.name}' looks at"
                            self.mistake(tool, f"{prefix}scope: 'tool': {what}; there are {', '.join(check.tools)}")
        return self.struct(entry, Scope, None, f"{prefix}scope: ")

    def struct(self, entry: _Entry | None, cls: type[msgspec.Struct], beside: _Node | None, prefix: str) -> Any:
        """None when there is a mistake in it. beside: where what is missing altogether is told."""
        node = entry.value if entry and entry.value.content is not None else None
        types, required = _fields(cls)
        before = len(self.mistakes)
        entries = self.entries(node, prefix, tuple(types)) if node else {}
        found = self.values(entries, types, prefix)
        place = node or beside
        if place is not None:
            self.missing(place, entries, required, prefix)
        if len(self.mistakes) > before:
            return None
        try:
            return cls(**found)
        except Inconsistent as error:
            assert place is not None
            self.mistake(entries[error.field].value if error.field in entries else place, f"{prefix}{error}")
        except ValueError as error:
            assert place is not None
            self.mistake(place, f"{prefix}{error}")
        return None

    def entries(self, node: _Node, prefix: str, known: tuple[str, ...]) -> dict[str, _Entry]:
        """The entries of a mapping that are known."""
        if not isinstance(node.content, dict):
            self.mistake(node, f"{prefix}expected {', '.join(known) or 'nothing'}, not {_kind(node)}")
            return {}
        for name, entry in node.content.items():
            if name not in known:
                there_are = f"there are {', '.join(known)}" if known else "there are none"
                self.mistake(entry.key, f"{prefix}'{_short(name)}' is not known; {there_are}")
        return {name: entry for name, entry in node.content.items() if name in known}

    def missing(self, node: _Node, entries: Mapping[str, _Entry], required: list[str], prefix: str) -> None:
        """Tells what is required and not there."""
        for name in required:
            if name not in entries or entries[name].value.content is None:
                self.mistake(node, f"{prefix}'{name}' is missing")

    def values(self, entries: Mapping[str, _Entry], types: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        """What stands there and is of its type; what was left empty is not there."""
        found = {}
        for name, entry in entries.items():
            if entry.value.content is not None:
                value = self.value(entry.value, types[name], f"{prefix}'{name}': ")
                if value is not _WRONG:
                    found[name] = value
        return found

    def value(self, node: _Node, kind: Any, prefix: str) -> Any:
        """What stands there, as this type; or _WRONG."""
        bare = _bare(kind)
        content: Any = node.content
        if get_origin(bare) is tuple:
            if node.bare and "," in content:
                self.mistake(node, f"{prefix}a list is written [{_short(content)}]; a comma in a name needs quotes")
                return _WRONG
            items = content if isinstance(content, list) else [node]
            content = [self.value(item, get_args(bare)[0], prefix) for item in items]
            if _WRONG in content:
                return _WRONG
        elif get_origin(bare) is Literal:
            choices = {str(choice): choice for choice in get_args(bare)}
            if not isinstance(content, str) or content not in choices:
                what = f"'{_short(content)}'" if isinstance(content, str) else _kind(node)
                self.mistake(node, f"{prefix}{what} is not known; there are {', '.join(choices)}")
                return _WRONG
            return choices[content]
        elif not isinstance(content, str):
            self.mistake(node, f"{prefix}expected {_KINDS[bare.__name__]}, not {_kind(node)}")
            return _WRONG
        elif bare is float:
            content = _number(content)
            if content is None:
                self.mistake(node, f"{prefix}expected a number, not '{_short(str(node.content))}'")
                return _WRONG
        try:
            return msgspec.convert(content, kind, strict=False)
        except msgspec.ValidationError as error:
            expected = str(error).partition(", got ")[0].replace("Expected", "expected")
            expected = re.sub(r"`(\w+)[^`]*`", lambda named: _KINDS.get(named[1], named[1]), expected)
            but = f", not '{_short(str(node.content))}'" if bare in (int, float, bool) else ""
            self.mistake(node, f"{prefix}{expected}{but}")
            return _WRONG


def _wrong_in(message: str, check: Check) -> Iterator[str]:
    """What is wrong with a rule's own message: placeholders are plain names, with formats that suit their values."""
    try:
        fields = [(name, form or "") for _, name, form, _ in Formatter().parse(message) if name is not None]
    except ValueError as error:
        yield f"{error}; a brace that stands for itself is written twice"
        return
    wrong = False
    for name, form in fields:
        if name not in check.values:
            yield f"{{{_short(name)}}} is not known to '{check.name}'; there are {', '.join(sorted(check.values))}"
            wrong = True
        elif not _SPECIFICATION.fullmatch(form):
            yield f"'{_short(form)}' is no format for {{{name}}}"
            wrong = True
    if not wrong:
        try:
            if not text(message, check.values):
                yield "it is empty"
        except ValueError as error:
            yield str(error)
    if len(message) > LONGEST_TEXT:
        yield f"longer than {LONGEST_TEXT} characters"


@cache
def _fields(cls: type[msgspec.Struct]) -> tuple[dict[str, Any], list[str]]:
    """Types of a struct's fields, and which of them are required."""
    fields = msgspec.structs.fields(cls)
    return {field.name: field.type for field in fields}, [field.name for field in fields if field.required]


def _bare(kind: Any) -> Any:
    """A type without what is said about its bounds, and without None."""
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif get_origin(kind) in (Union, UnionType):
            kind = next(choice for choice in get_args(kind) if choice is not type(None))
        else:
            return kind


def _number(said: str) -> float | None:
    """As Python writes numbers, which is more than JSON knows; None for what is none, or not finite."""
    try:
        number = float(said)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _at(mark: Any, content: None) -> _Node:
    return _Node(mark.line + 1, mark.column + 1, content)


def _kind(node: _Node) -> str:
    if node.content is None:
        return "nothing"
    return "a text" if isinstance(node.content, str) else "a list" if isinstance(node.content, list) else "a mapping"


def _short(said: str) -> str:
    return said if len(said) <= 60 else f"{said[:57]}..."
