"""What a check is, and what a rule needs to run one."""

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
    """The labels and the parts of them that a rule applies to; an empty tuple does not restrict.

    handler: the events that the rule runs on.
    """

    project: tuple[str, ...] = ()
    job: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    tool: tuple[Tool, ...] = ()
    handler: tuple[Handler, ...] = ()

    def covers(self, part: Object | Answer | Relation) -> bool:
        """Whether a part of a label is in the scope by its own job, categories and tool. Only objects have a tool."""
        if self.job and part.job not in self.job:
            return False
        if self.category and not set(self.category) & set(part.categories):
            return False
        return not self.tool or (isinstance(part, Object) and part.tool in self.tool)

    def covers_nested(self, answer: Answer) -> bool:
        """Whether an answer is in the scope by its own job and categories, or by those that it is nested in."""
        if self.job and answer.job not in self.job and not set(self.job) & set(answer.within):
            return False
        return not self.tool and not (self.category and not set(self.category) & {*answer.categories, *answer.within})


class Parameters(msgspec.Struct, frozen=True):
    """The parameters of a check. A subclass raises Inconsistent in __post_init__ when they contradict each other."""


class Inconsistent(ValueError):
    """A parameter has a value that cannot be meant. field: its name. problem: the rest of the sentence."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"'{field}' {problem}")
        self.field = field


class NotApplicable(Exception):
    """A check cannot be applied to this label. The text is the reason, such as that Kili knows no resolution."""


class Case(Protocol):
    """One label as a check sees it. A method may send a request to Kili; the answer is kept for the next call."""

    @property
    def label(self) -> Label:
        """The label that is checked."""

    @property
    def reading(self) -> Reading:
        """The label's objects and answers."""

    @property
    def handler(self) -> Handler:
        """Whether the label was submitted or reviewed."""

    @property
    def deadline(self) -> Deadline:
        """The time by which all checks must have ended."""

    def project(self) -> Project:
        """The project with its interface."""

    def size_px(self) -> tuple[int, int]:
        """Width and height of the asset. Raises NotApplicable when Kili does not know them."""


class Violation(NamedTuple):
    """Something in a label that violates a rule.

    subject: identifies it in every version of the label (a mid, the name of a job, ...). values: for the placeholders
    of the message. mid: of the object to put the issue on. missing: whether something is missing; this is not reported
    for a label of which parts could not be read, since it may be in those parts.
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
    """A kind of rule.

    message: the template for rules without a message of their own. values: the placeholders of messages, with examples.
    scope: the fields of a scope that apply to this check. tools: those whose objects it can check.
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
    """Registers a function as the check with this name in rules.yaml.

    values: the placeholders of its messages, each with an example of its type; every violation must have all of them.
    scope: the fields of a scope that it uses beside project and handler, separated by spaces. tools: those whose
    objects it can check.
    """

    def register(find: CheckFunction[P]) -> CheckFunction[P]:
        fields = frozenset({"project", "handler", *scope.split()})
        CHECKS[name] = Check(name, parameters, message, values, fields, tools, find)
        return find

    return register
