"""Reads rules.yaml: a Ruleset, or every mistake in the file with its line and column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from math import isfinite
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec
import yaml

from annohooks.core import yaml_marks
from annohooks.core.errors import SettingsError
from annohooks.core.yaml_marks import Mistake, YamlError
from annohooks.kili.label.model import Tool
from annohooks.kili.rules import messages
from annohooks.kili.rules.base import CHECKS, Action, Check, Inconsistent, Scope
from annohooks.kili.rules.ruleset import Rule, Ruleset

MOST_BYTES = 256_000
MOST_RULES = 200
MOST_MISTAKES = 100
"""Named in an error message; of the others it has the number."""

_ID = re.compile("[a-z0-9][a-z0-9-]{0,63}")
_NULL = "tag:yaml.org,2002:null"
_TYPE_NAMES = {"float": "a number", "int": "a whole number", "bool": "true or false", "str": "text", "array": "a list"}

_FILE_KEYS = {"version": Literal[1]}
_RULE_KEYS = {"id": str, "check": Literal[tuple(sorted(CHECKS))], "message": str, "action": Action}


class RulesError(SettingsError):
    """A file of rules contains mistakes. mistakes: one line of text each, with the place in the file."""

    def __init__(self, mistakes: list[str]) -> None:
        self.mistakes = mistakes
        more = len(mistakes) - MOST_MISTAKES
        super().__init__("\n".join(mistakes[:MOST_MISTAKES] + [f"... and {more} more"] * (more > 0)))


def load(text: str, source: str) -> Ruleset:
    """The rules in a YAML text. source: the name of the file in error messages, such as rules.yaml.

    A value without quotes is read as the type that is expected there: where text is expected, `NO` is the text "NO".
    Raises RulesError with every mistake, each as "rules.yaml:12:9: rule 'box-size': parameters: ...". What is not plain
    YAML is reported alone.
    """
    if len(text.encode(errors="replace")) > MOST_BYTES:
        raise RulesError([f"{source}: larger than {MOST_BYTES} bytes"])
    reader = _Reader()
    rules: list[Rule] = []
    try:
        rules = reader.rules(yaml_marks.compose(text))
    except YamlError as error:
        reader.mistakes = error.mistakes
    if reader.mistakes:
        raise RulesError([f"{source}:{line}:{column}: {problem}" for line, column, problem in sorted(reader.mistakes)])
    return Ruleset(rules, text)


class _Entry(NamedTuple):
    """One entry of a mapping. key: the node, for its place."""

    key: yaml.Node
    value: yaml.Node


_INVALID: Any = object()
"""In place of a value that is not of its type, after the mistake was noted."""


class _Reader:
    """Turns the nodes of one file into rules and collects the mistakes.

    prefix: names in a mistake what is being read, such as "rule 'box-size': scope: ".
    """

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []

    def mistake(self, node: yaml.Node, problem: str) -> None:
        self.mistakes.append(Mistake(*yaml_marks.position(node), problem))

    def rules(self, root: yaml.Node | None) -> list[Rule]:
        """The rules without a mistake."""
        if root is None:
            self.mistakes.append(Mistake(1, 1, "expected a mapping of version and rules, not an empty file"))
            return []
        entries = self.entries(root, "", ("version", "rules"))
        if not isinstance(root, yaml.MappingNode):
            return []
        self.require(root, entries, ("version",), "")
        self.values(entries, _FILE_KEYS, "")
        if "rules" not in entries:
            self.mistake(root, "'rules' is missing")
            return []
        listed = entries["rules"].value
        if _is_null(listed):
            return []
        if not isinstance(listed, yaml.SequenceNode):
            self.mistake(listed, f"'rules': expected a list, not {_kind(listed)}")
            return []
        if len(listed.value) > MOST_RULES:
            self.mistake(listed, f"'rules': {len(listed.value)} rules are more than {MOST_RULES}")
        lines: dict[str, int] = {}
        rules = [self.rule(node, number, lines) for number, node in enumerate(listed.value[:MOST_RULES], 1)]
        return [rule for rule in rules if rule]

    def rule(self, node: yaml.Node, number: int, lines: dict[str, int]) -> Rule | None:
        """None when the rule contains a mistake. lines: of the ids so far; the id of this rule is added."""
        mistakes_before = len(self.mistakes)
        id_ = _id_of(node)
        prefix = f"rule '{_short(id_)}': " if id_ else f"rule {number}: "
        entries = self.entries(node, prefix, (*_RULE_KEYS, "scope", "parameters"))
        values = self.values(entries, _RULE_KEYS, prefix)
        if isinstance(node, yaml.MappingNode):
            self.require(node, entries, ("id", "check"), prefix)
        if "id" in values:
            self.check_id(id_, entries["id"].value, lines, prefix)
        check = CHECKS.get(values.get("check", ""))
        scope = self.scope(entries.get("scope"), check, node, prefix)
        if check is None:
            return None
        message = values.get("message", check.message)
        if "message" in values:
            for problem in messages.problems_of(message, check):
                self.mistake(entries["message"].value, f"{prefix}'message': {problem}")
        parameters = self.struct(entries.get("parameters"), check.parameters, node, f"{prefix}parameters: ")
        if len(self.mistakes) > mistakes_before or parameters is None:
            return None
        action = values.get("action", "issue")
        return Rule(id=id_, check=check, scope=scope, parameters=parameters, message=message, action=action)

    def check_id(self, id_: str, node: yaml.Node, lines: dict[str, int], prefix: str) -> None:
        line, _ = yaml_marks.position(node)
        if not _ID.fullmatch(id_):
            problem = "use lower case letters, digits and hyphens, 64 at most, and begin with a letter or digit"
            self.mistake(node, f"{prefix}'id': {problem}")
        elif id_ in lines:
            self.mistake(node, f"{prefix}'id': the rule in line {lines[id_]} has the same id")
        lines.setdefault(id_, line)

    def scope(self, entry: _Entry | None, check: Check | None, rule: yaml.Node, prefix: str) -> Any:
        """A Scope, or None when it contains a mistake."""
        if entry and check and isinstance(entry.value, yaml.MappingNode):
            for key, value in entry.value.value:
                if key.value in Scope.__struct_fields__ and key.value not in check.scope:
                    used = ", ".join(field for field in Scope.__struct_fields__ if field in check.scope)
                    problem = f"'{key.value}' does not apply to the check '{check.name}', only {used}"
                    self.mistake(key, f"{prefix}scope: {problem}")
                elif key.value == "tool":
                    for tool in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                        if tool.value in get_args(Tool) and tool.value not in check.tools:
                            problem = f"the check '{check.name}' does not look at '{tool.value}', only at "
                            self.mistake(tool, f"{prefix}scope: 'tool': {problem}{', '.join(check.tools)}")
        return self.struct(entry, Scope, rule, f"{prefix}scope: ")

    def struct(self, entry: _Entry | None, cls: type[msgspec.Struct], rule: yaml.Node, prefix: str) -> Any:
        """A struct, or None when it contains a mistake.

        entry: None for a mapping that is left out; what is then missing is reported at the rule.
        """
        mistakes_before = len(self.mistakes)
        node = entry.value if entry and not _is_null(entry.value) else None
        types, required = _fields(cls)
        entries = self.entries(node, prefix, tuple(types)) if node else {}
        values = self.values(entries, types, prefix)
        self.require(node or rule, entries, required, prefix)
        if len(self.mistakes) > mistakes_before:
            return None
        try:
            return cls(**values)
        except Inconsistent as error:
            self.mistake(entries[error.field].value if error.field in entries else node or rule, f"{prefix}{error}")
        except ValueError as error:
            self.mistake(node or rule, f"{prefix}{error}")
        return None

    def entries(self, node: yaml.Node, prefix: str, known: tuple[str, ...]) -> dict[str, _Entry]:
        """The entries of a mapping that have known keys, by key."""
        if not isinstance(node, yaml.MappingNode):
            self.mistake(node, f"{prefix}expected a mapping of {', '.join(known) or 'nothing'}, not {_kind(node)}")
            return {}
        entries: dict[str, _Entry] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or _is_null(key):
                self.mistake(key, f"{prefix}expected a key, not {_kind(key)}")
            elif key.value not in known:
                expected = f"expected {', '.join(known)}" if known else "no keys are expected"
                self.mistake(key, f"{prefix}unknown key '{_short(key.value)}'; {expected}")
            elif key.value in entries:
                self.mistake(key, f"{prefix}'{key.value}' occurs twice")
            else:
                entries[key.value] = _Entry(key, value)
        return entries

    def require(self, node: yaml.Node, entries: Mapping[str, _Entry], required: tuple[str, ...], prefix: str) -> None:
        """Notes required keys that are absent or empty."""
        for name in required:
            if name not in entries or _is_null(entries[name].value):
                self.mistake(node, f"{prefix}'{name}' is missing")

    def values(self, entries: Mapping[str, _Entry], types: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        """The values that are of their types. An empty value counts as absent; entries without a type are skipped."""
        values = {}
        for name, entry in entries.items():
            if name in types and not _is_null(entry.value):
                value = self.value(entry.value, types[name], f"{prefix}'{name}': ")
                if value is not _INVALID:
                    values[name] = value
        return values

    def value(self, node: yaml.Node, kind: Any, prefix: str) -> Any:
        """The value of a node as this type, or _INVALID."""
        base = _base_type(kind)
        if get_origin(base) is tuple:
            plain: Any = self.items(node, get_args(base)[0], prefix)
        elif get_origin(base) is Literal:
            return self.choice(node, get_args(base), prefix)
        else:
            plain = self.scalar(node, base, prefix)
        if plain is _INVALID:
            return _INVALID
        try:
            return msgspec.convert(plain, kind, strict=False)
        except msgspec.ValidationError as error:
            expected = str(error).partition(", got ")[0].replace("Expected", "expected")
            expected = re.sub(r"`(\w+)[^`]*`", lambda match: _TYPE_NAMES.get(match[1], match[1]), expected)
            actual = f", not '{_short(node.value)}'" if base in (int, float, bool) else ""
            self.mistake(node, f"{prefix}{expected}{actual}")
            return _INVALID

    def items(self, node: yaml.Node, kind: Any, prefix: str) -> Any:
        """The items of a list, or a single value as a list of one."""
        if isinstance(node, yaml.ScalarNode) and not node.style and "," in node.value:
            self.mistake(node, f"{prefix}write a list as [{_short(node.value)}], and a name with a comma in quotes")
            return _INVALID
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        items = [self.value(item, kind, prefix) for item in nodes]
        return _INVALID if _INVALID in items else items

    def choice(self, node: yaml.Node, choices: tuple[Any, ...], prefix: str) -> Any:
        by_text = {str(choice): choice for choice in choices}
        text = _text(node)
        if text not in by_text:
            actual = _kind(node) if text is None else f"'{_short(text)}'"
            self.mistake(node, f"{prefix}expected {' or '.join(by_text)}, not {actual}")
            return _INVALID
        return by_text[text]

    def scalar(self, node: yaml.Node, kind: type, prefix: str) -> Any:
        text = _text(node)
        number = _finite(text) if text is not None and kind is float else None
        if text is None or (kind is float and number is None):
            actual = _kind(node) if text is None else f"'{_short(text)}'"
            self.mistake(node, f"{prefix}expected {_TYPE_NAMES[kind.__name__]}, not {actual}")
            return _INVALID
        return text if number is None else number


def _id_of(rule: yaml.Node) -> str:
    """The id of a rule for error messages; "" without one."""
    for key, value in rule.value if isinstance(rule, yaml.MappingNode) else ():
        if key.value == "id":
            return _text(value) or ""
    return ""


@cache
def _fields(cls: type[msgspec.Struct]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The types of a struct's fields, and the names of those that are required."""
    fields = msgspec.structs.fields(cls)
    return {field.name: field.type for field in fields}, tuple(field.name for field in fields if field.required)


def _base_type(kind: Any) -> Any:
    """A type without its constraints and without None."""
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif get_origin(kind) in (Union, UnionType):
            kind = next(choice for choice in get_args(kind) if choice is not type(None))
        else:
            return kind


def _finite(text: str) -> float | None:
    """A number in any form that Python reads, which are more than JSON's; None for anything else, and for infinity."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag == _NULL)


def _text(node: yaml.Node) -> str | None:
    """The text of a scalar; None for an empty value, a list and a mapping.

    A block (|, >) loses the line breaks at its end: a pattern in a block is not meant to end with one.
    """
    if not isinstance(node, yaml.ScalarNode) or _is_null(node):
        return None
    text = str(node.value)
    return text.rstrip("\n") if node.style in ("|", ">") else text


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    return "an empty value" if _is_null(node) else "text"


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
