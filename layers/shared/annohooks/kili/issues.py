"""Which issues an asset should have, and what has to change for that.

Every issue that a rule raises begins with a tag, `[qa:RULE#SUBJECT-TEXT.OWNER]`, by which alone it is known again: the
rule's id, digests of what the violation is about and of what is said, and whose label it is on: a digest of the
labeller, or `review`. Kili keeps no such thing itself, its issues do not say on which label they are, and nothing says
that it keeps a text as it was sent.
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
    """What has to change.

    missing: issues to create. obsolete, kept: ids of open issues that are no longer wanted, and that are. dismissed:
    findings whose issue a person has cancelled before. over: how many issues are wanted beyond the most there may be.
    """

    missing: list[NewIssue]
    obsolete: list[str] = []
    kept: list[str] = []
    dismissed: list[Finding] = []
    over: int = 0


Planner = Callable[[Sequence[Issue]], Plan]


Undecided = Callable[[str, str | None], bool]
"""Whether nothing is known, this time, of what a rule's issue on an object (a mid, or None) is about."""


def of_findings(
    findings: Iterable[Finding], label: Label, undecided: Undecided = lambda rule, mid: False, most: int = 1000
) -> Planner:
    """Plans for one checked label.

    An open issue of the same rule, subject and text is kept, one of each. Others on labels of the same author, or on a
    review, are obsolete: this newer label no longer violates that, or says it differently; unless it is undecided. A
    review speaks for the whole asset, so it goes for the issues of every author. One that was cancelled is not raised
    again, whatever its text: only people cancel. most: issues that a label may have.
    """
    owner = _REVIEW if label.label_type == "REVIEW" else _digest(label.author_id or "")[:6]
    wanted = {}
    for finding in findings:
        subject = _digest(f"{finding.subject}\0{finding.mid or ''}")[:8]
        wording = _digest(finding.text)[:4]
        text = f"[qa:{finding.rule}#{subject}-{wording}.{owner}] {finding.text}"
        new = NewIssue(label_id=label.id, text=text, mid=_sendable(finding.mid))
        wanted[finding.rule, subject, wording] = finding, new

    def plan(issues: Sequence[Issue]) -> Plan:
        missing = dict(wanted)
        kept: list[str] = []
        obsolete: list[str] = []
        cancelled = set()
        for issue in issues:
            found = _TAG.match(issue.text)
            if found is None or not (owner == _REVIEW or found[4] in (owner, _REVIEW)):
                continue
            rule, subject, wording = found[1], found[2], found[3]
            if issue.status == "CANCELLED":
                cancelled.add((rule, subject))
            elif issue.status == "OPEN":
                if missing.pop((rule, subject, wording), None):
                    kept.append(issue.id)
                elif (rule, subject, wording) in wanted or not undecided(rule, issue.mid):
                    obsolete.append(issue.id)
        raised = [new for key, (_, new) in missing.items() if key[:2] not in cancelled]
        dismissed = [finding for key, (finding, _) in missing.items() if key[:2] in cancelled]
        room = max(0, most - len(kept))
        return Plan(raised[:room], obsolete, kept, dismissed, len(raised[room:]))

    return plan


def of_texts(wanted: Sequence[NewIssue]) -> Planner:
    """Plans for issues that a plugin raises: one of the same text on the same object is kept, none is obsolete."""

    def plan(issues: Sequence[Issue]) -> Plan:
        missing = {(new.text.strip(), new.mid): new for new in wanted}
        open_ones = [issue for issue in issues if issue.status == "OPEN"]
        kept = [issue.id for issue in open_ones if missing.pop((issue.text.strip(), issue.mid), None)]
        return Plan(list(missing.values()), kept=kept)

    return plan


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _sendable(mid: str | None) -> str | None:
    """A label may hold half a surrogate pair; no request can."""
    return mid if mid is not None and mid.isprintable() else None
