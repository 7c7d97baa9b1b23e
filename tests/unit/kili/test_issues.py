"""Which issues are created, kept and resolved."""

from __future__ import annotations

import re
from collections.abc import Iterable

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


def issues_of(*findings: Finding, of: Label | None = None) -> list[Issue]:
    return raised(of_findings(findings, of or label())([]).missing)


def changes(plan: Plan) -> tuple[int, list[str], list[str]]:
    return len(plan.missing), plan.obsolete, plan.kept


class TestOfFindings:
    def test_a_finding_without_an_issue_gets_one_on_its_object_and_label(self):
        (new,) = of_findings([finding()], label())([]).missing
        assert (new.label_id, new.mid) == ("l1", "m1")
        assert re.fullmatch(r"\[qa:box-size#[0-9a-f]{8}-[0-9a-f]{4}\.[0-9a-f]{6}\] Too large", new.text)

    def test_a_finding_whose_issue_is_open_changes_nothing(self):
        assert changes(of_findings([finding()], label())(issues_of(finding()))) == (0, [], ["i0"])

    def test_a_newer_label_with_the_same_violation_keeps_the_issue(self):
        assert changes(of_findings([finding()], label(label_id="l2"))(issues_of(finding()))) == (0, [], ["i0"])

    def test_an_issue_is_known_again_however_kili_changed_the_text_after_its_tag(self):
        (issue,) = issues_of(finding(text='a < b & "c"  '))
        kept = Issue(id=issue.id, status="OPEN", text=issue.text.split("]")[0] + "] a &lt; b", mid=None)
        assert changes(of_findings([finding(text='a < b & "c"  ')], label())([kept])) == (0, [], ["i0"])

    def test_a_label_that_is_right_makes_the_issues_of_its_author_obsolete(self):
        assert changes(of_findings([], label())(issues_of(finding(), finding("count", "JOB_0")))) == (
            0,
            ["i0", "i1"],
            [],
        )

    def test_issues_on_labels_of_another_author_stay(self):
        assert changes(of_findings([], label("bob"))(issues_of(finding()))) == (0, [], [])

    def test_the_same_violation_of_another_author_is_an_issue_of_its_own(self):
        assert changes(of_findings([finding()], label("bob"))(issues_of(finding()))) == (1, [], [])

    def test_a_review_speaks_for_every_author(self):
        review = label("eve", "REVIEW")
        existing = issues_of(finding()) + raised(of_findings([finding("count")], label("bob"))([]).missing)
        assert changes(of_findings([finding()], review)(existing)) == (0, ["i0"], ["i0"])

    def test_a_new_label_after_a_review_makes_the_issues_of_the_review_obsolete(self):
        assert changes(of_findings([], label())(issues_of(finding(), of=label("eve", "REVIEW")))) == (0, ["i0"], [])

    def test_a_violation_said_in_other_words_replaces_the_issue(self):
        assert changes(of_findings([finding(text="4 boxes")], label())(issues_of(finding(text="3 boxes")))) == (
            1,
            ["i0"],
            [],
        )

    def test_of_two_issues_for_the_same_violation_one_is_kept(self):
        (issue,) = issues_of(finding())
        twin = Issue(id="i9", status="OPEN", text=issue.text, mid=issue.mid)
        assert changes(of_findings([finding()], label())([issue, twin])) == (0, ["i9"], ["i0"])

    def test_a_solved_issue_is_raised_again_when_the_violation_is_back(self):
        solved = raised(of_findings([finding()], label())([]).missing, "SOLVED")
        assert changes(of_findings([finding()], label())(solved)) == (1, [], [])

    def test_a_cancelled_issue_is_not_raised_again_and_its_finding_is_dismissed(self):
        cancelled = raised(of_findings([finding()], label())([]).missing, "CANCELLED")
        plan = of_findings([finding(), finding("count")], label())(cancelled)
        assert [new.text.split("#")[0] for new in plan.missing] == ["[qa:count"]
        assert plan.dismissed == [finding()]

    def test_an_issue_stays_cancelled_when_what_is_said_of_the_same_thing_changes(self):
        cancelled = raised(of_findings([finding(text="3 boxes")], label())([]).missing, "CANCELLED")
        plan = of_findings([finding(text="4 boxes")], label())(cancelled)
        assert (plan.missing, plan.dismissed) == ([], [finding(text="4 boxes")])

    def test_an_issue_on_an_object_of_which_nothing_is_known_stays(self):
        there = issues_of(finding(), finding(subject="m2", mid="m2"))
        assert changes(of_findings([], label(), lambda _, mid: mid == "m2")(there)) == (0, ["i0"], [])

    def test_an_object_whose_mid_no_request_can_hold_has_its_issue_on_the_label(self):
        (new,) = of_findings([finding(mid="m\ud83d")], label())([]).missing
        assert new.mid is None

    def test_what_people_wrote_is_never_touched(self):
        texts = ["Please look again", "about [qa:box-size#01234567-89ab.abcdef] Too large", "[qa:] hm", ""]
        written = [Issue(id=str(n), status="OPEN", text=text) for n, text in enumerate(texts)]
        assert changes(of_findings([], label())(written)) == (0, [], [])

    def test_objects_that_violate_the_same_rule_have_issues_of_their_own(self):
        assert len(of_findings([finding(), finding(subject="m2", mid="m2")], label())([]).missing) == 2

    def test_issues_of_a_rule_that_was_not_applied_stay_as_they_are(self):
        there = issues_of(finding(), finding("count"))
        assert changes(of_findings([], label(), lambda rule, _: rule == "count")(there)) == (0, ["i0"], [])

    def test_what_a_rule_that_was_applied_in_part_has_found_is_one_issue_each(self):
        (issue,) = issues_of(finding())
        twin = Issue(id="i9", status="OPEN", text=issue.text, mid=issue.mid)
        assert changes(of_findings([finding()], label(), lambda *_: True)([issue, twin])) == (0, ["i9"], ["i0"])

    def test_a_label_has_at_most_so_many_issues_and_those_that_are_open_stay(self):
        findings = [finding(subject=str(n), mid=str(n)) for n in range(5)]
        plan = of_findings(findings, label(), most=3)(issues_of(*findings[3:]))
        assert (len(plan.missing), plan.kept, plan.obsolete, plan.over) == (1, ["i0", "i1"], [], 2)

    @given(st.data())
    def test_carrying_a_plan_out_in_any_part_and_planning_again_ends_in_one_issue_for_each_finding(self, data):
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
        assert (plan.missing, plan.obsolete, plan.kept) == ([self.WANTED[1]], [], ["i0"])

    def test_a_text_that_is_solved_or_on_another_object_is_created(self):
        there = [
            Issue(id="i0", status="SOLVED", text="Too large", mid="m1"),
            Issue(id="i1", status="OPEN", text="Too large", mid="m2"),
            Issue(id="i2", status="OPEN", text="Something else"),
        ]
        assert changes(of_texts(self.WANTED)(there)) == (2, [], [])
