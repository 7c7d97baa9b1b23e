"""Handles an event: reads the label, checks it, and changes in Kili what the rules ask for."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from annohooks.core.deadline import Deadline
from annohooks.core.errors import BadRequest, DeadlineExceeded
from annohooks.core.observability import logger
from annohooks.kili import issues
from annohooks.kili.api.client import Client
from annohooks.kili.api.records import Label, Project
from annohooks.kili.events import Event
from annohooks.kili.issues import Undecided
from annohooks.kili.label.model import Fault, Reading
from annohooks.kili.label.reader import read
from annohooks.kili.memory import Memory
from annohooks.kili.rules import Ruleset, Verdict
from annohooks.kili.rules.base import Finding, Handler, NotApplicable
from annohooks.kili.settings import Settings
from annohooks.kili.writes import Account, Writes

if TYPE_CHECKING:
    from annohooks.kili.plugins import Plugin

_WRITING_S = 6.0
"""Seconds kept free after the checks, to write the issues."""
_HANDLERS: dict[str, Handler] = {"DEFAULT": "submit", "REVIEW": "review"}


class Outcome(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What was done about an event. It is the answer to Kili.

    ignored: why nothing was done. unchecked: rules that could not be applied, and why. left_out: parts of the label
    that are not in Kili's format. over: how many findings raise no issue because the label has too many. done: what was
    changed in Kili, or would have been in a dry run.
    """

    ignored: str | None = None
    label_id: str | None = None
    asset_id: str | None = None
    handler: Handler | None = None
    dry_run: bool = False
    findings: list[Finding] = []
    unchecked: dict[str, str] = {}
    left_out: tuple[Fault, ...] = ()
    over: int = 0
    plugin: bool = False
    done: Account | None = None

    def log_keys(self) -> dict[str, Any]:
        """The outcome for the log line. It only counts the findings, because their text may quote a labeller."""
        return {**msgspec.to_builtins(self), "findings": len(self.findings)}


def reason_to_ignore(event: Event, plugin: Plugin | None, settings: Settings) -> str | None:
    """Why nothing is done about an event, as far as the event itself tells. None if it must be handled."""
    if event.handler is None and not (plugin and plugin.handles(event)):
        return event.ignored or "neither the rules nor a plugin handle this event"
    if event.project_id is None:
        return "the event belongs to no project"
    if not settings.kili_projects.serve(event.project_id):
        return "this deployment checks other projects"
    return None


def handle(
    event: Event,
    client: Client,
    rules: Ruleset,
    plugin: Plugin | None,
    settings: Settings,
    deadline: Deadline,
    *,
    unless_checked: bool = False,
) -> Outcome:
    """Applies the rules and the plugin to an event for which there is no reason_to_ignore.

    It may run for the same event any number of times, also at the same time: it holds the asset, and writes only what
    is missing in Kili. unless_checked: ignores a label that the same rules have checked before, so that later changes
    by people stay. Raises AnnohooksError. The next delivery then does the rest.
    """
    assert event.project_id is not None  # see reason_to_ignore
    logger.thread_safe_append_keys(project_id=event.project_id, rules=len(rules.rules), rule_set=rules.digest[:12])
    memory = Memory(settings.kili_table, deadline)
    asset_id = event.asset_id
    if asset_id is None and event.label_id:
        asset_id = client.label(event.project_id, event.label_id).asset_id
    with memory.held(asset_id) if asset_id and not settings.kili_dry_run else nullcontext():
        label = client.label(event.project_id, event.label_id) if event.label_id else None
        if label and label.asset_id != asset_id:
            raise BadRequest("The label and the asset in the event do not belong together.")
        outcome = Outcome(label_id=event.label_id, asset_id=asset_id, dry_run=settings.kili_dry_run)
        outcome.ignored = _reason_to_ignore_label(event, label, client, memory if plugin else None)
        checked = {"content": label.content, "rules": rules.digest} if label and event.handler else None
        if unless_checked and checked and memory.noted({"checked": event.label_id or ""}) == checked:
            outcome.ignored = "it was checked before"
        if outcome.ignored:
            return outcome
        writes = Writes(client, memory, deadline, event.project_id, label, dry_run=settings.kili_dry_run)
        outcome.done = writes.account
        if event.handler and label:
            case = _Case(label, client, deadline.earlier(_WRITING_S))
            _check(case, rules, writes, settings.kili_max_issues, outcome)
        if plugin and plugin.handles(event):
            plugin.run(event, label, client, writes)
            outcome.plugin = True
        if checked and not settings.kili_dry_run:
            memory.note({"checked": event.label_id or ""}, checked)
    return outcome


def _reason_to_ignore_label(event: Event, label: Label | None, client: Client, memory: Memory | None) -> str | None:
    """Why nothing is done about an event, as far as Kili tells. memory: None if no plugin can have added the label."""
    if event.handler and label:
        if label.label_type not in _HANDLERS:
            return f"labels of type {label.label_type} are not checked"
        if label.superseded:
            return "a newer label replaces it"
        if memory and memory.noted({"own_label": label.id}):
            return "this webhook created the label itself"
    elif event.user_id and event.user_id == client.viewer_id():
        return "this webhook caused the event itself"
    return None


class _Case:
    """A label, and what the checks need from Kili. It asks Kili once."""

    def __init__(self, label: Label, client: Client, deadline: Deadline) -> None:
        self.label = label
        self.deadline = deadline
        self.handler = _HANDLERS[label.label_type]
        self.reading: Reading = read(label.json_response)
        self._client = client

    def project(self) -> Project:
        return self._client.project(self.label.project_id)

    @cached_property
    def _size_px(self) -> tuple[int, int] | None:
        return self._client.size_px(self.label.project_id, self.label.asset_id)

    def size_px(self) -> tuple[int, int]:
        if self._size_px is None:
            raise NotApplicable("Kili does not know the size of the asset in pixels")
        return self._size_px


def _check(case: _Case, rules: Ruleset, writes: Writes, most_issues: int, outcome: Outcome) -> None:
    """Applies the rules, does what they ask for, and writes it into the outcome.

    Raises DeadlineExceeded when there was no time for all rules, after it has dealt with the findings of the others.
    """
    verdict = rules.find(case)
    is_complete = not verdict.unchecked or case.deadline.remaining_s() > 0
    outcome.handler = case.handler
    outcome.left_out = case.reading.faults
    outcome.unchecked = verdict.unchecked
    with_issue = [finding for finding in verdict.findings if finding.action.startswith("issue")]
    plan = writes.settle(
        case.label.asset_id, issues.of_findings(with_issue, case.label, _undecided(case, rules, verdict), most_issues)
    )
    outcome.over = plan.over
    outcome.findings = [finding for finding in verdict.findings if finding not in plan.dismissed]
    for finding in outcome.findings:
        # A text may quote a labeller.
        text = {"text": finding.text} if finding.action == "log" else {}
        logger.info("finding", extra={"rule": finding.rule, "mid": finding.mid, "action": finding.action, **text})
    actions = {finding.action for finding in outcome.findings}
    if "issue_and_send_back" in actions:
        writes.send_back(case.label.asset_id)
    elif "add_to_review" in actions:
        writes.add_to_review(case.label.asset_id)
    for issue_id in plan.obsolete:
        writes.resolve(issue_id)
    if not is_complete:
        raise DeadlineExceeded("The time for this request ran out while checking the label.")


def _undecided(case: _Case, rules: Ruleset, verdict: Verdict) -> Undecided:
    """Issues of rules that were not applied are undecided, and so are issues on objects that cannot be read."""
    not_applied = verdict.unchecked.keys() | verdict.not_now
    rule_ids = {rule.id for rule in rules.rules}
    unread = {fault.mid for fault in case.reading.faults}

    def undecided(rule: str, mid: str | None) -> bool:
        if rule in not_applied:
            return True
        return rule in rule_ids and bool(unread) and (mid is None or mid in unread or None in unread)

    return undecided
