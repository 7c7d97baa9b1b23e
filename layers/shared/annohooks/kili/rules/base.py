"""What a check is, and what a rule makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, get_args

import msgspec

from annohooks.core.deadline import Deadline
from annohooks.kili.api.records import Label, Project
from annohooks.kili.label.model import Answer, Object, Reading, Relation, Tool

Handler = Literal["submit", "review"]
Action = Literal["log", "issue", "issue_and_send_back", "add_to_review"]


class Scope(msgspec.Struct, frozen=True):
    """What a rule looks at; an empty list is no restriction. handler: when it runs."""

    project: tuple[str, ...] = ()
    job: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    tool: tuple[Tool, ...] = ()
    handler: tuple[Handler, ...] = ()

    def covers(self, thing: Object | Answer | Relation) -> bool:
        """Whether the rule looks at this part of a label, by its own job and categories. Only objects have a tool."""
        if self.job and thing.job not in self.job:
            return False
        if self.category and not set(self.category) & set(thing.categories):
            return False
        return not self.tool or (isinstance(thing, Object) and thing.tool in self.tool)

    def reaches(self, answer: Answer) -> bool:
        """Whether the rule looks at this answer, by its own job and categories or those it is nested in."""
        if self.job and answer.job not in self.job and not set(self.job) & set(answer.within):
            return False
        return not self.tool and not (self.category and not set(self.category) & {*answer.categories, *answer.within})


class Parameters(msgspec.Struct, frozen=True):
    """What a check can be told. A subclass refuses what contradicts itself by raising Inconsistent in __post_init__."""


class Inconsistent(ValueError):
    """A parameter that cannot be meant. field: which one; why: the rest of the sentence."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"'{field}' {why}")
        self.field = field


class NotApplicable(Exception):
    """The check cannot be made on this label (sizes in degrees, no resolution known, too long a text): says why."""


class Case(Protocol):
    """One label as a check sees it. What needs a request to Kili is a method, and is asked for once at most."""

    @property
    def label(self) -> Label: ...

    @property
    def reading(self) -> Reading: ...

    @property
    def handler(self) -> Handler: ...

    @property
    def deadline(self) -> Deadline:
        """When checking must have ended."""

    def project(self) -> Project:
        """The project with its interface."""

    def size_px(self) -> tuple[int, int]:
        """Width and height of the asset. Raises NotApplicable when Kili does not know them."""


class Violation(NamedTuple):
    """What is wrong. subject: the same for the same thing in every version of a label (a mid, a job's name, ...).

    mid: of the object to put the issue on. values: what the message may name, all that the check promises. missing:
    whether it is that something is not there, which is not told of a label of which parts could not be read.
    """

    subject: str
    values: dict[str, Any]
    mid: str | None = None
    missing: bool = False


class Finding(msgspec.Struct, frozen=True):
    """A violation of one of the team's rules, with the text of its issue."""

    rule: str
    subject: str
    text: str
    action: Action
    mid: str | None = None


P = TypeVar("P", bound=Parameters)
CheckFunction = Callable[[Case, Scope, P], Iterator[Violation]]


class Check(NamedTuple):
    """A kind of rule. message: the template when a rule has none of its own. values: what it may name, with examples.

    scope: what of a scope means something to it; project and handler do to each. tools: those it can look at.
    """

    name: str
    parameters: type[Parameters]
    message: str
    values: Mapping[str, Any]
    scope: frozenset[str]
    tools: tuple[Tool, ...]
    find: CheckFunction[Any]


CHECKS: dict[str, Check] = {}


def check(
    name: str,
    parameters: type[P],
    *,
    message: str,
    values: Mapping[str, Any],
    scope: str = "job category tool",
    tools: tuple[Tool, ...] = get_args(Tool),
) -> Callable[[CheckFunction[P]], CheckFunction[P]]:
    """Registers a function as the check that rules.yaml calls by this name.

    values: what its messages may name, each with an example of its type; every violation must give all of them.
    scope: the parts of a scope it heeds, separated by spaces. tools: those it can find anything about.
    """

    def register(find: CheckFunction[P]) -> CheckFunction[P]:
        heeded = frozenset({"project", "handler", *scope.split()})
        CHECKS[name] = Check(name, parameters, message, values, heeded, tools, find)
        return find

    return register
