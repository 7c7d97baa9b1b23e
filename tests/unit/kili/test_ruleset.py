"""Rules applied to labels, and rules described in sentences."""

from __future__ import annotations

import runpy
import sys

import pytest
from cases import PACKAGED_RULES, InMemory, objects, ruleset
from labels import rectangle

from annohooks.core.deadline import Deadline
from annohooks.core.errors import Upstream
from annohooks.kili.rules import CHECKS, load
from annohooks.kili.rules.ruleset import MOST_FINDINGS


def texts(rules: str, response) -> list[str]:
    return [finding.text for finding in ruleset(rules).find(InMemory(response)).findings]


def test_packaged_rules_are_those_of_the_vendors_example():
    label = objects(
        rectangle("small-1", "OBJECT_A", (0.0, 0.0, 0.1, 0.1)),
        rectangle("large", "OBJECT_A", (0.1, 0.1, 0.7, 0.7)),
        rectangle("small-2", "OBJECT_A", (0.8, 0.8, 0.1, 0.1)),
    )
    findings, unchecked, _ = load(PACKAGED_RULES.read_text(), "rules.yaml").find(InMemory(label))
    assert unchecked == {}
    assert [(finding.rule, finding.mid, finding.text, finding.action) for finding in findings] == [
        ("one-object-a", None, "There are too many BBox (3) - Only 1 BBox of Object A accepted", "issue_and_send_back"),
        ("box-size", "large", "BBox too large", "issue_and_send_back"),
    ]


def test_rules_run_for_the_handlers_and_projects_they_name():
    rules = ruleset(
        "check: count\nscope: {handler: submit}\nparameters: {min: 1}",
        "check: count\nscope: {handler: [review]}\nparameters: {min: 1}",
        "check: count\nscope: {handler: [submit, review], project: project-1}\nparameters: {min: 1}",
        "check: count\nscope: {project: [project-2, project-3]}\nparameters: {min: 1}",
    )
    submitted, reviewed = (rules.find(InMemory({}, handler=handler)) for handler in ("submit", "review"))
    assert ([finding.rule for finding in submitted.findings], submitted.not_now) == (["rule-1", "rule-3"], {"rule-2"})
    assert ([finding.rule for finding in reviewed.findings], reviewed.not_now) == (["rule-2", "rule-3"], {"rule-1"})


# Rules that fail, and limits


@pytest.fixture
def failing(monkeypatch):
    """failing(error): two rules, of which the first raises the error after its first finding."""

    def with_error(error):
        def find(case, scope, parameters):
            yield from CHECKS["count"].find(case, scope, parameters)
            raise error

        monkeypatch.setitem(CHECKS, "duplicates", CHECKS["count"]._replace(name="duplicates", find=find))
        return ruleset("check: duplicates\nparameters: {min: 1}", "check: count\nparameters: {min: 1}")

    return with_error


def test_rule_that_fails_does_not_stop_the_others(failing, monkeypatch):
    logged = []
    monkeypatch.setattr("annohooks.kili.rules.ruleset.log_unexpected", logged.append)
    error = KeyError("secret")
    findings, unchecked, _ = failing(error).find(InMemory({}))
    assert [finding.rule for finding in findings] == ["rule-1", "rule-2"]
    assert (unchecked, logged) == ({"rule-1": "failed"}, [error])


def test_error_of_kili_is_not_the_fault_of_a_rule(failing):
    with pytest.raises(Upstream):
        failing(Upstream("Kili did not answer.")).find(InMemory({}))


def test_rules_that_no_time_is_left_for_are_unchecked():
    case = InMemory(objects(rectangle("box")))
    case.deadline = Deadline.after(-1)
    findings, unchecked, _ = ruleset("check: size\nparameters: {max_area: 0}").find(case)
    assert (findings, unchecked) == ([], {"rule-1": "no time was left for this rule"})


def test_number_of_findings_of_a_rule_is_limited():
    label = objects(*(rectangle(f"box-{n}") for n in range(MOST_FINDINGS + 1)))
    findings, unchecked, _ = ruleset("check: size\nparameters: {max_area: 0}").find(InMemory(label))
    assert len(findings) == MOST_FINDINGS
    assert unchecked == {"rule-1": f"only the first {MOST_FINDINGS} findings are reported"}


# Texts and subjects


def test_names_in_a_label_are_not_templates():
    rule = "check: size\nparameters: {max_area: 0}\nmessage: '{category} {object}'"
    assert texts(rule, objects(rectangle("{mid}", "{count.__class__}"))) == ["{count.__class__} {mid}"]


def test_text_of_an_empty_message_is_the_id_of_the_rule():
    assert texts("check: size\nparameters: {max_area: 0}\nmessage: '{where}'", objects(rectangle())) == ["rule-1"]


def test_subject_is_short_and_printable_whatever_the_label_contains():
    label = objects(rectangle("a\n\0"), rectangle("b" * 10_000), rectangle("c\ud800"))
    findings = ruleset("check: size\nparameters: {max_area: 0}").find(InMemory(label)).findings
    subjects = {finding.subject for finding in findings}
    assert len(subjects) == 3
    assert all(len(subject) <= 200 and subject.isprintable() for subject in subjects)


# Descriptions, and the command that prints them


@pytest.mark.parametrize(
    ("rule", "description"),
    [
        (
            "check: text\nscope: {project: p, job: [a, b], handler: review}\n"
            "parameters: {max_length: 0, allowed: [x, y], ignore_case: true}\nmessage: No.\naction: log",
            "rule-1: text of project p, job a or b (max_length 0; allowed x, y; ignore_case), when a label is "
            'reviewed: a line in the log, "No."',
        ),
        (
            "check: dangling_relations\naction: add_to_review",
            "rule-1: dangling_relations, when a label is submitted or reviewed: the asset goes to review, "
            '"{category}: {problem}"',
        ),
        (
            "check: geometry\nparameters: {simple: false}\nmessage: x",
            "rule-1: geometry (within_image; tolerance 0.001; simple false), when a label is submitted or reviewed: "
            'an issue, "x"',
        ),
    ],
)
def test_description_names_the_settings_and_what_follows(rule, description):
    assert ruleset(rule).rules[0].description() == description


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
    """command(rules): exit code and output of `python -m annohooks.kili.rules` for a file with this text."""

    def run(text=None, arguments=("ours.yaml",)):
        monkeypatch.chdir(tmp_path)
        if text is not None:
            (tmp_path / "ours.yaml").write_text(text)
        monkeypatch.setattr(sys, "argv", ["rules", *arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("annohooks.kili.rules", run_name="__main__")
        return ended.value.code, "".join(capsys.readouterr())

    return run


def test_command_describes_each_rule(command):
    code, output = command(PACKAGED_RULES.read_text())
    first, second = output.splitlines()
    assert code == 0
    assert first == (
        "one-object-a: count of job JOB_0, category OBJECT_A (max 1; per asset), when a label is submitted or "
        "reviewed: an issue, and the asset goes back to the queue, "
        '"There are too many BBox ({count}) - Only 1 BBox of Object A accepted"'
    )
    assert second.startswith("box-size: size of job JOB_0, tool rectangle (max_area 0.33; unit fraction), when")


def test_command_reports_a_file_without_rules(command):
    assert command("version: 1\nrules: []\n") == (0, "no rules\n")


def test_command_reports_mistakes(command):
    code, output = command("version: 1\nrules:\n- {id: a, check: sizes}")
    assert (code, output[:44]) == (1, "ours.yaml:3:18: rule 'a': 'check': expected ")


@pytest.mark.parametrize("arguments", [(), ("a", "b"), ("missing.yaml",)])
def test_command_without_a_file_ends_with_2(command, arguments):
    code, output = command(arguments=arguments)
    assert code == 2
    assert output
