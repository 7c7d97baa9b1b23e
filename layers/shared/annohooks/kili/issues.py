"""Which issues an asset should have, and which changes that takes.

Every issue of a rule begins with a tag, `[qa:RULE#SUBJECT-TEXT.OWNER]`, by which the webhook recognises it later: the
rule's id, a digest of the subject of the violation, a digest of the text, and whose label it is on: a digest of the
author's id, or `review`. Kili stores no such data with an issue, does not say which label an issue is on, and does not
promise to keep a text unchanged.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence

import msgspec

from annohooks.kili.api.records import Issue, Label, NewIssue
from annohooks.kili.rules.base import Finding

_TAG = re.compile(r"\[qa:([a-z0-9-]+)#([0-9a-f]{8})-([0-9a-f]{4})\.([0-9a-f]{6}|review)\]")
_REVIEW = "review"


class Plan(msgspec.Struct, frozen=True):
    """The changes that an asset's issues need.

    missing: issues to create. obsolete: ids of open issues to resolve. unchanged: ids of open issues that stay.
    dismissed: findings whose issue a person has cancelled. over: how many missing issues exceed the limit.
    """

    missing: list[NewIssue]
    obsolete: list[str] = []
    unchanged: list[str] = []
    dismissed: list[Finding] = []
    over: int = 0


Planner = Callable[[Sequence[Issue]], Plan]
"""Compares the present issues of an asset with what they should be."""

Undecided = Callable[[str, str | None], bool]
"""Whether this check says nothing about the issues of a rule (by its id) on an object (a mid, or None)."""


def of_findings(
    findings: Iterable[Finding], label: Label, undecided: Undecided = lambda rule, mid: False, most: int = 1000
) -> Planner:
    """Plans for one checked label.

    An open issue with the same rule, subject and text is unchanged; duplicates of it are obsolete. Other issues on
    labels of the same author or on a review are obsolete, unless they are undecided: this newer label no longer has
    the violation, or its text has changed. A review counts for the whole asset, so it decides on the issues of every
    author. A cancelled issue is not created again, even with another text, because only people cancel issues. most:
    the most issues of a label.
    """
    owner = _REVIEW if label.label_type == "REVIEW" else _digest(label.author_id or "")[:6]
    expected = {}
    for finding in findings:
        subject = _digest(f"{finding.subject}\0{finding.mid or ''}")[:8]
        wording = _digest(finding.text)[:4]
        text = f"[qa:{finding.rule}#{subject}-{wording}.{owner}] {finding.text}"
        issue = NewIssue(label_id=label.id, text=text, mid=_sendable(finding.mid))
        expected[finding.rule, subject, wording] = finding, issue

    def plan(issues: Sequence[Issue]) -> Plan:
        missing = dict(expected)
        unchanged: list[str] = []
        obsolete: list[str] = []
        cancelled = set()
        for issue in issues:
            tag = _TAG.match(issue.text)
            if tag is None or not (owner == _REVIEW or tag[4] in (owner, _REVIEW)):
                continue
            rule, subject, wording = tag[1], tag[2], tag[3]
            if issue.status == "CANCELLED":
                cancelled.add((rule, subject))
            elif issue.status == "OPEN":
                if missing.pop((rule, subject, wording), None):
                    unchanged.append(issue.id)
                elif (rule, subject, wording) in expected or not undecided(rule, issue.mid):
                    obsolete.append(issue.id)
        to_create = [issue for key, (_, issue) in missing.items() if key[:2] not in cancelled]
        dismissed = [finding for key, (finding, _) in missing.items() if key[:2] in cancelled]
        room = max(0, most - len(unchanged))
        return Plan(to_create[:room], obsolete, unchanged, dismissed, len(to_create[room:]))

    return plan


def of_texts(texts: Sequence[NewIssue]) -> Planner:
    """Plans for the issues of a plugin. An open issue with the same text on the same object is unchanged."""

    def plan(issues: Sequence[Issue]) -> Plan:
        missing = {(issue.text.strip(), issue.mid): issue for issue in texts}
        open_issues = [issue for issue in issues if issue.status == "OPEN"]
        unchanged = [issue.id for issue in open_issues if missing.pop((issue.text.strip(), issue.mid), None)]
        return Plan(list(missing.values()), unchanged=unchanged)

    return plan


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _sendable(mid: str | None) -> str | None:
    """The mid, or None if a request cannot hold it: a label may contain half a surrogate pair."""
    return mid if mid is not None and mid.isprintable() else None
