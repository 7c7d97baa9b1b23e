"""Which issues are created, stay and are resolved."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annohooks.kili.api.records import Issue, Label, NewIssue
from annohooks.kili.issues import Plan, of_findings, of_texts
from annohooks.kili.rules.base import Finding


def label(author: str = "ada", label_type: str = "DEFAULT", label_id: str = "l1") -> Label:
    return Label(
        id=label_id, project_id="p", asset_id="a", label_type=label_type, json_response={}, author_id=author
    )  # fmt: skip


def finding(rule: str = "box-size", subject: str = "m1", text: str = "Too large", mid: str | None = "m1") -> Finding:
    return Finding(rule, subject, text, "issue", mid)


def raised(new: Iterable[NewIssue], status: str = "OPEN") -> list[Issue]:
    return [Issue(id=f"i{n}", status=status, text=one.text, mid=one.mid) for n, one in enumerate(new)]


def issues_of(*findings: Finding, of: Label | None = None, status: str = "OPEN") -> list[Issue]:
    return raised(of_findings(findings, of or label())([]).missing, status)


def changes(plan: Plan) -> tuple[int, list[str], list[str]]:
    return len(plan.missing), plan.obsolete, plan.unchanged


FIRST, REVIEW = label(), label("eve", "REVIEW")
SECOND = finding("count", "JOB_0")
TWINS = [
    Issue(id=issue_id, status="OPEN", text=issue.text, mid=issue.mid)
    for issue in issues_of(finding())
    for issue_id in ("i0", "i9")
]
CASES = {
    "an open issue of the same finding is unchanged": ([finding()], FIRST, issues_of(finding()), (0, [], ["i0"])),
    "so it is for a newer label": ([finding()], label(label_id="l2"), issues_of(finding()), (0, [], ["i0"])),
    "of two such issues one is unchanged": ([finding()], FIRST, TWINS, (0, ["i9"], ["i0"])),
    "a label without findings makes the issues of its author obsolete": (
        [],
        FIRST,
        issues_of(finding(), SECOND),
        (0, ["i0", "i1"], []),
    ),
    "issues on labels of another author stay": ([], label("bob"), issues_of(finding()), (0, [], [])),
    "the same finding of another author is an issue of its own": (
        [finding()],
        label("bob"),
        issues_of(finding()),
        (1, [], []),
    ),
    "a review decides for every author": (
        [finding()],
        REVIEW,
        issues_of(finding()) + issues_of(SECOND, of=label("bob")),
        (0, ["i0"], ["i0"]),
    ),
    "a label after a review makes the issues of the review obsolete": (
        [],
        FIRST,
        issues_of(finding(), of=REVIEW),
        (0, ["i0"], []),
    ),
    "another text replaces the issue": (
        [finding(text="4 boxes")],
        FIRST,
        issues_of(finding(text="3 boxes")),
        (1, ["i0"], []),
    ),
    "a solved issue is created again": ([finding()], FIRST, issues_of(finding(), status="SOLVED"), (1, [], [])),
    "each object has an issue of its own": ([finding(), finding(subject="m2", mid="m2")], FIRST, [], (2, [], [])),
    "texts of people are not touched": (
        [],
        FIRST,
        [
            Issue(id=text, status="OPEN", text=text)
            for text in ("Please look again", "about [qa:box-size#01234567-89ab.abcdef] Too large", "[qa:] hm", "")
        ],
        (0, [], []),
    ),
}


class TestOfFindings:
    def test_an_issue_names_its_object_and_its_label_and_begins_with_a_tag(self):
        (new,) = of_findings([finding()], label())([]).missing
        assert (new.label_id, new.mid) == ("l1", "m1")
        assert re.fullmatch(r"\[qa:box-size#[0-9a-f]{8}-[0-9a-f]{4}\.[0-9a-f]{6}\] Too large", new.text)

    @pytest.mark.parametrize(("findings", "of", "issues", "expected"), CASES.values(), ids=CASES)
    def test_plan_is_the_difference(self, findings, of, issues, expected):
        assert changes(of_findings(findings, of)(issues)) == expected

    def test_an_issue_is_recognised_however_kili_changed_the_text_after_its_tag(self):
        (issue,) = issues_of(finding(text='a < b & "c"  '))
        stored = Issue(id=issue.id, status="OPEN", text=issue.text.split("]")[0] + "] a &lt; b", mid=None)
        assert changes(of_findings([finding(text='a < b & "c"  ')], label())([stored])) == (0, [], ["i0"])

    @pytest.mark.parametrize("text", ["Too large", "Much too large"])
    def test_a_cancelled_issue_is_not_created_again_whatever_its_text(self, text):
        plan = of_findings([finding(text=text), SECOND], label())(issues_of(finding(), status="CANCELLED"))
        assert [new.text.split("#")[0] for new in plan.missing] == ["[qa:count"]
        assert plan.dismissed == [finding(text=text)]

    def test_undecided_issues_stay_but_not_the_duplicates_of_a_finding(self):
        existing = issues_of(finding(), SECOND, finding(subject="m2", mid="m2"))
        undecided = of_findings([], label(), lambda rule, mid: rule == "count" or mid == "m2")
        assert changes(undecided(existing)) == (0, ["i0"], [])
        assert changes(of_findings([finding()], label(), lambda *_: True)(TWINS)) == (0, ["i9"], ["i0"])

    def test_an_issue_is_on_the_label_when_a_request_cannot_hold_the_mid(self):
        (new,) = of_findings([finding(mid="m\ud83d")], label())([]).missing
        assert new.mid is None

    def test_open_issues_stay_when_a_label_has_the_most_issues(self):
        findings = [finding(subject=str(n), mid=str(n)) for n in range(5)]
        plan = of_findings(findings, label(), most=3)(issues_of(*findings[3:]))
        assert (len(plan.missing), plan.unchanged, plan.obsolete, plan.over) == (1, ["i0", "i1"], [], 2)

    @given(st.data())
    def test_interrupted_plans_end_in_one_issue_for_each_finding(self, data):
        names = st.sampled_from(["a", "b", "c", "d"])
        findings = [finding(subject=name, mid=name) for name in data.draw(st.lists(names, unique=True))]
        issues: list[Issue] = []
        for _ in range(3):
            earlier = [finding(subject=name, mid=name) for name in data.draw(st.lists(names))]
            plan = of_findings(earlier, label())(issues)
            done = data.draw(st.integers(0, len(plan.missing)))
            issues += [
                Issue(id=f"{len(issues)}-{n}", status="OPEN", text=new.text, mid=new.mid)
                for n, new in enumerate(plan.missing[:done])
            ]
        plan = of_findings(findings, label())(issues)
        left = [issue for issue in issues if issue.id not in plan.obsolete] + raised(plan.missing)
        assert sorted(issue.mid or "" for issue in left) == sorted(one.subject for one in findings)


class TestOfTexts:
    WANTED = (NewIssue(label_id="l1", text="Too large", mid="m1"), NewIssue(label_id="l1", text="Too many"))

    def test_texts_that_are_open_on_the_same_object_are_kept_and_the_rest_is_created(self):
        plan = of_texts(self.WANTED)([Issue(id="i0", status="OPEN", text="Too large ", mid="m1")])
        assert (plan.missing, plan.obsolete, plan.unchanged) == ([self.WANTED[1]], [], ["i0"])

    def test_a_text_that_is_solved_or_on_another_object_is_created(self):
        there = [
            Issue(id="i0", status="SOLVED", text="Too large", mid="m1"),
            Issue(id="i1", status="OPEN", text="Too large", mid="m2"),
            Issue(id="i2", status="OPEN", text="Something else"),
        ]
        assert changes(of_texts(self.WANTED)(there)) == (2, [], [])
