"""A team's rules, and what they find in a label."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from annohooks.core.errors import AnnohooksError
from annohooks.core.observability import log_unexpected
from annohooks.kili.label.geometry import TooComplex
from annohooks.kili.rules.base import Action, Case, Check, Finding, NotApplicable, Parameters, Scope, Violation

LONGEST_TEXT = 2000
"""Characters of an issue's text; what Kili accepts is not documented."""
LONGEST_VALUE = 200
"""Characters of any one thing that a message names."""
LONGEST_SUBJECT = 200
MOST_FINDINGS = 1000
"""Of one rule in one label."""

_CONSEQUENCES: dict[Action, str] = {
    "log": "a line in the log",
    "issue": "an issue",
    "issue_and_send_back": "an issue, and the asset goes back to the queue",
    "add_to_review": "the asset goes to review",
}


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule as the team wrote it, checked: its parameters fit its check, its message names only what there is."""

    id: str
    check: Check
    scope: Scope
    parameters: Parameters
    message: str
    action: Action

    def in_words(self) -> str:
        """What it looks for, where, and what follows, in one sentence."""
        scope = ", ".join(_in_words(self.scope, ("project", "job", "category", "tool"), " or "))
        told = "; ".join(_in_words(self.parameters, self.parameters.__struct_fields__, ", "))
        looked_for = self.check.name + f" of {scope}" * bool(scope) + f" ({told})" * bool(told)
        when = {"submit": "submitted", "review": "reviewed"}
        handlers = " or ".join(when[handler] for handler in self.scope.handler or when)
        return f'{self.id}: {looked_for}, when a label is {handlers}: {_CONSEQUENCES[self.action]}, "{self.message}"'


class Verdict(NamedTuple):
    """What is wrong with a label, in the order of the rules.

    unchecked: rules that could not be applied to all of it, and why. not_now: rules for another handler.
    """

    findings: list[Finding]
    unchecked: dict[str, str]
    not_now: set[str]


class Ruleset:
    """All rules of a file. digest: of the text they were read from."""

    def __init__(self, rules: Sequence[Rule], text: str) -> None:
        self.rules = tuple(rules)
        self.digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()

    def find(self, case: Case) -> Verdict:
        """Applies every rule that is for this project and handler.

        A rule that cannot be applied, or fails, is told of in `unchecked`, with what it found so far kept, and the
        others still run. Raises AnnohooksError when Kili was asked for something and failed.
        """
        verdict = Verdict([], {}, set())
        for rule in self.rules:
            if rule.scope.project and case.label.project_id not in rule.scope.project:
                continue
            if rule.scope.handler and case.handler not in rule.scope.handler:
                verdict.not_now.add(rule.id)
                continue
            if not case.deadline.remaining_s():
                verdict.unchecked[rule.id] = "no time was left for it"
                continue
            try:
                verdict.findings.extend(_findings(rule, case))
            except (NotApplicable, TooComplex) as reason:
                verdict.unchecked[rule.id] = str(reason)
            except AnnohooksError:
                raise
            except Exception as error:
                log_unexpected(error)
                verdict.unchecked[rule.id] = "failed"
        return verdict


def _findings(rule: Rule, case: Case) -> Iterator[Finding]:
    """One for each subject. Raises NotApplicable, too when there are more than anybody wants, or some are uncertain."""
    seen: set[str] = set()
    uncertain = False
    for violation in rule.check.find(case, rule.scope, rule.parameters):
        if violation.missing and case.reading.faults:
            uncertain = True
            continue
        subject = _subject(violation)
        if subject in seen:
            continue
        if len(seen) == MOST_FINDINGS:
            raise NotApplicable(f"only the first {MOST_FINDINGS} findings are told of")
        seen.add(subject)
        said = text(rule.message, violation.values) or rule.id
        yield Finding(rule.id, subject, said, rule.action, violation.mid)
    if uncertain:
        raise NotApplicable("parts of the label could not be read, and what seems to be missing may be in them")


def text(message: str, values: Mapping[str, Any]) -> str:
    """A message with its placeholders filled in: one line, and no longer than an issue should be."""
    named = {
        name: one_line(value, LONGEST_VALUE) if isinstance(value, str) else value for name, value in values.items()
    }
    return one_line(message.format_map(named), LONGEST_TEXT)


def one_line(said: str, longest: int) -> str:
    """Printable, with single spaces; a text cut short ends with three dots."""
    beginning = said[: 4 * longest]
    line = " ".join("".join(c if c.isprintable() else " " for c in beginning).split())
    return line if len(line) <= longest and len(beginning) == len(said) else f"{line[: longest - 3]}..."


def _subject(violation: Violation) -> str:
    if len(violation.subject) <= LONGEST_SUBJECT and violation.subject.isprintable():
        return violation.subject
    return hashlib.sha256(violation.subject.encode(errors="surrogatepass")).hexdigest()


def _in_words(told: Scope | Parameters, names: Sequence[str], between: str) -> list[str]:
    """What these fields are set to; left out are those that are not, or are false by themselves. between: the names in
    a list.
    """
    off = {field.name for field in msgspec.structs.fields(told) if field.default is False}
    values = {name: getattr(told, name) for name in names}
    lists = {name: between.join(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return [
        name if value is True else f"{name} {'false' if value is False else value}"
        for name, value in lists.items()
        if value not in (None, "") and not (value is False and name in off)
    ]
