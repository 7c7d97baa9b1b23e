"""A team's rules, and what they find in a label."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from annohooks.core.errors import AnnohooksError
from annohooks.core.observability import log_unexpected
from annohooks.kili.label.geometry import TooComplex
from annohooks.kili.rules.base import Action, Case, Check, Finding, NotApplicable, Parameters, Scope, Violation
from annohooks.kili.rules.messages import filled_in

MOST_CHARACTERS_OF_A_SUBJECT = 200
MOST_FINDINGS = 1000
"""Of one rule in one label."""

_CONSEQUENCES: dict[Action, str] = {
    "log": "a line in the log",
    "issue": "an issue",
    "issue_and_send_back": "an issue, and the asset goes back to the queue",
    "add_to_review": "the asset goes to review",
}


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of a team. `load` has checked that its parameters and its message fit its check."""

    id: str
    check: Check
    scope: Scope
    parameters: Parameters
    message: str
    action: Action

    def description(self) -> str:
        """What the rule checks, on which labels, and what follows, in one sentence."""
        scope = ", ".join(_settings_texts(self.scope, ("project", "job", "category", "tool"), " or "))
        parameters = "; ".join(_settings_texts(self.parameters, self.parameters.__struct_fields__, ", "))
        checked = self.check.name + f" of {scope}" * bool(scope) + f" ({parameters})" * bool(parameters)
        verbs = {"submit": "submitted", "review": "reviewed"}
        handlers = " or ".join(verbs[handler] for handler in self.scope.handler or verbs)
        return f'{self.id}: {checked}, when a label is {handlers}: {_CONSEQUENCES[self.action]}, "{self.message}"'


class Verdict(NamedTuple):
    """What is wrong with a label, in the order of the rules.

    unchecked: the rules that could not be applied to the whole label, and the reason. not_now: the rules for another
    handler.
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

        A rule that fails or cannot be applied is reported in `unchecked`; its findings so far are kept, and the other
        rules still run. Raises AnnohooksError when a request to Kili failed.
        """
        verdict = Verdict([], {}, set())
        for rule in self.rules:
            if rule.scope.project and case.label.project_id not in rule.scope.project:
                continue
            if rule.scope.handler and case.handler not in rule.scope.handler:
                verdict.not_now.add(rule.id)
                continue
            if not case.deadline.remaining_s():
                verdict.unchecked[rule.id] = "no time was left for this rule"
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
    """One finding for each subject.

    Raises NotApplicable after the last finding when there are more than MOST_FINDINGS, or when some are uncertain.
    """
    seen: set[str] = set()
    is_uncertain = False
    for violation in rule.check.find(case, rule.scope, rule.parameters):
        if violation.missing and case.reading.faults:
            is_uncertain = True
            continue
        subject = _subject(violation)
        if subject in seen:
            continue
        if len(seen) == MOST_FINDINGS:
            raise NotApplicable(f"only the first {MOST_FINDINGS} findings are reported")
        seen.add(subject)
        text = filled_in(rule.message, violation.values) or rule.id
        yield Finding(rule.id, subject, text, rule.action, violation.mid)
    if is_uncertain:
        raise NotApplicable("parts of the label could not be read, and what seems to be missing may be in them")


def _subject(violation: Violation) -> str:
    if len(violation.subject) <= MOST_CHARACTERS_OF_A_SUBJECT and violation.subject.isprintable():
        return violation.subject
    return hashlib.sha256(violation.subject.encode(errors="surrogatepass")).hexdigest()


def _settings_texts(settings: Scope | Parameters, names: Sequence[str], separator: str) -> list[str]:
    """ "max 3", "ignore_case", ... of the fields that are set. A field that is false by default shows only when true.

    separator: between the values of a list.
    """
    false_by_default = {field.name for field in msgspec.structs.fields(settings) if field.default is False}
    texts = []
    for name in names:
        value = getattr(settings, name)
        if value is True:
            texts.append(name)
        elif value is False:
            texts += [] if name in false_by_default else [f"{name} false"]
        elif value not in (None, "", ()):
            texts.append(f"{name} {separator.join(value) if isinstance(value, tuple) else value}")
    return texts
