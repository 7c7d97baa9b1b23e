"""From an event to what becomes of it: the label is read, checked, and Kili brought to what the rules say."""

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
from annohooks.kili.once import Once
from annohooks.kili.rules import Ruleset, Verdict
from annohooks.kili.rules.base import Finding, Handler, NotApplicable
from annohooks.kili.settings import Settings
from annohooks.kili.writes import Account, Writes

if TYPE_CHECKING:
    from annohooks.kili.plugins import Plugin

_WRITING_S = 6.0
"""Kept free after the checks, to raise what they found."""
_HANDLERS: dict[str, Handler] = {"DEFAULT": "submit", "REVIEW": "review"}


class Outcome(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What became of an event, as it is answered.

    ignored: why nothing was done. unchecked: rules that could not be applied, and why. left_out: parts of the label
    that are not as Kili writes them. over: findings beyond the most issues a label may get, which raise none.
    done: what was changed in Kili, or would have been.
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
        """The outcome for the log line of the answer. A finding's text may quote a labeller: only their number."""
        return {**msgspec.to_builtins(self), "findings": len(self.findings)}


def unhandled(event: Event, plugin: Plugin | None, settings: Settings) -> str | None:
    """Why nothing will be done about an event, as far as can be told without asking Kili."""
    if event.handler is None and not (plugin and plugin.handles(event)):
        return event.ignored or "neither the rules nor a plugin handle this event"
    if event.project_id is None:
        return "it is about no project"
    if not settings.kili_projects.serve(event.project_id):
        return "this deployment is for other projects"
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
    """What the rules and the plugin make of an event that is handled.

    It may be called for the same event any number of times, also at once: the asset is held meanwhile, and only what
    is missing in Kili is written. unless_checked: leaves alone what these rules have seen in the end, so that nobody's
    later changes are undone. Raises AnnohooksError; what was not done then, the next delivery does.
    """
    assert event.project_id is not None  # or it is unhandled
    once = Once(settings.kili_table, deadline)
    asset_id = event.asset_id
    if asset_id is None and event.label_id:
        asset_id = client.label(event.project_id, event.label_id).asset_id
    with once.held(asset_id) if asset_id and not settings.kili_dry_run else nullcontext():
        label = client.label(event.project_id, event.label_id) if event.label_id else None
        if label and label.asset_id != asset_id:
            raise BadRequest("The label and the asset in the event do not belong together.")
        outcome = Outcome(label_id=event.label_id, asset_id=asset_id, dry_run=settings.kili_dry_run)
        outcome.ignored = _ignored(event, label, client, once if plugin else None)
        note = {"content": label.content, "rules": rules.digest} if label and event.handler else None
        if unless_checked and note and once.noted({"checked": event.label_id or ""}) == note:
            outcome.ignored = "it was checked before"
        if outcome.ignored:
            return outcome
        writes = Writes(client, once, deadline, event.project_id, label, dry_run=settings.kili_dry_run)
        outcome.done = writes.account
        if event.handler and label:
            case = _Case(label, client, deadline.earlier(_WRITING_S))
            _check(case, rules, writes, settings.kili_max_issues, outcome)
        if plugin and plugin.handles(event):
            plugin.run(event, label, client, writes)
            outcome.plugin = True
        if note and not settings.kili_dry_run:
            once.note({"checked": event.label_id or ""}, note)
    return outcome


def _ignored(event: Event, label: Label | None, client: Client, once: Once | None) -> str | None:
    """Why nothing is done about an event that somebody handles. once: given where there may be labels of our own."""
    if event.handler and label:
        if label.label_type not in _HANDLERS:
            return f"labels of type {label.label_type} are not checked"
        if label.superseded:
            return "a newer label has taken its place"
        if once and once.noted({"own_label": label.id}):
            return "this webhook made the label itself"
    elif event.user_id and event.user_id == client.viewer_id():
        return "this webhook's own doing"
    return None


class _Case:
    """A label with what the checks ask Kili for, once."""

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
    """Applies the rules, carries out what they say, and puts it into the outcome.

    Raises DeadlineExceeded, once what was found is carried out, when there was no time for all of the rules.
    """
    verdict = rules.find(case)
    in_time = not verdict.unchecked or case.deadline.remaining_s() > 0
    outcome.handler = case.handler
    outcome.left_out = case.reading.faults
    outcome.unchecked = verdict.unchecked
    raising = [finding for finding in verdict.findings if finding.action.startswith("issue")]
    plan = writes.settle(
        case.label.asset_id, issues.of_findings(raising, case.label, _undecided(case, rules, verdict), most_issues)
    )
    outcome.over = plan.over
    outcome.findings = [finding for finding in verdict.findings if finding not in plan.dismissed]
    for finding in outcome.findings:
        # A text may quote what a labeller wrote.
        text = {"text": finding.text} if finding.action == "log" else {}
        logger.info("finding", extra={"rule": finding.rule, "mid": finding.mid, "action": finding.action, **text})
    actions = {finding.action for finding in outcome.findings}
    if "issue_and_send_back" in actions:
        writes.send_back(case.label.asset_id)
    elif "add_to_review" in actions:
        writes.add_to_review(case.label.asset_id)
    for issue_id in plan.obsolete:
        writes.resolve(issue_id)
    if not in_time:
        raise DeadlineExceeded("The time for this request ran out while checking the label.")


def _undecided(case: _Case, rules: Ruleset, verdict: Verdict) -> Undecided:
    """Issues of rules that were not applied are undecided, and those on what cannot be read of the label."""
    not_applied = verdict.unchecked.keys() | verdict.not_now
    known = {rule.id for rule in rules.rules}
    unread = {fault.mid for fault in case.reading.faults}

    def undecided(rule: str, mid: str | None) -> bool:
        if rule in not_applied:
            return True
        return rule in known and bool(unread) and (mid is None or mid in unread or None in unread)

    return undecided
