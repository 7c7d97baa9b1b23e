"""rules.yaml: what it may say, and how its mistakes are told."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from textwrap import dedent

import msgspec
import pytest
import yaml
from cases import InMemory, objects, ruleset
from hypothesis import given
from hypothesis import strategies as st
from labels import rectangle

from annohooks.core.deadline import Deadline
from annohooks.core.errors import SettingsError, Upstream
from annohooks.kili.rules import CHECKS, RulesError, load
from annohooks.kili.rules.base import Inconsistent, Parameters, Scope
from annohooks.kili.rules.file import MOST_BYTES, MOST_MISTAKES, MOST_RULES
from annohooks.kili.rules.ruleset import LONGEST_TEXT, MOST_FINDINGS

ROOT = Path(__file__).parents[3]
PACKAGED = ROOT / "functions" / "kili" / "rules.yaml"
PAGE = (ROOT / "docs" / "kili-rules.md").read_text()
NO_RULES = "version: 1\nrules: []\n"


def of(rules: str) -> str:
    return f"version: 1\nrules:\n{dedent(rules).strip()}\n"


def mistakes(text: str) -> list[str]:
    with pytest.raises(RulesError) as raised:
        load(text, "rules.yaml")
    assert str(raised.value).splitlines() == raised.value.mistakes[:MOST_MISTAKES]
    return [mistake.removeprefix("rules.yaml:") for mistake in raised.value.mistakes]


# What is right


def test_packaged_rules_are_those_of_the_vendors_example():
    label = objects(
        rectangle("small-1", "OBJECT_A", (0.0, 0.0, 0.1, 0.1)),
        rectangle("large", "OBJECT_A", (0.1, 0.1, 0.7, 0.7)),
        rectangle("small-2", "OBJECT_A", (0.8, 0.8, 0.1, 0.1)),
    )
    findings, unchecked, _ = load(PACKAGED.read_text(), "rules.yaml").find(InMemory(label))
    assert unchecked == {}
    assert [(one.rule, one.mid, one.text, one.action) for one in findings] == [
        ("one-object-a", None, "There are too many BBox (3) - Only 1 BBox of Object A accepted", "issue_and_send_back"),
        ("box-size", "large", "BBox too large", "issue_and_send_back"),
    ]


def test_file_may_have_no_rules():
    assert load(NO_RULES, "rules.yaml").rules == ()
    assert load("version: 1\nrules:\n  # - id: later", "rules.yaml").rules == ()


def test_what_is_left_out_has_a_default():
    (rule,) = load(of("- {id: a, check: duplicates}"), "rules.yaml").rules
    assert rule.action == "issue"
    assert rule.message == CHECKS["duplicates"].message
    assert rule.scope == Scope()
    assert rule.parameters.min_iou == 0.95


def test_what_is_left_empty_counts_as_left_out():
    (rule,) = load(of("- {id: a, check: duplicates, scope: , parameters: ~, message: null, action: }"), "x").rules
    assert (rule.scope, rule.action, rule.message) == (Scope(), "issue", CHECKS["duplicates"].message)


def test_one_name_is_as_good_as_a_list():
    rules = "- {id: a, check: count, scope: {job: %s}, parameters: {max: 1}}"
    one, listed = (load(of(rules % job), "x").rules[0].scope for job in ("JOB_0", "[JOB_0]"))
    assert one == listed == Scope(job=("JOB_0",))


def test_names_that_yaml_takes_for_something_else_are_names():
    (rule,) = load(
        of("- {id: 007, check: count, scope: {category: [NO, 12, 1.50, 2024-01-01, true]}, parameters: {max: 1}}"), "x"
    ).rules
    assert rule.id == "007"
    assert rule.scope.category == ("NO", "12", "1.50", "2024-01-01", "true")


@pytest.mark.parametrize("written", [".5", "0.5", "+0.5", "5e-1", "0.50", "00.5", "'.5'"])
def test_numbers_may_be_written_as_python_reads_them(written):
    (rule,) = load(of(f"- {{id: a, check: size, parameters: {{max_area: {written}}}}}"), "x").rules
    assert rule.parameters.max_area == 0.5


@pytest.mark.parametrize("style", ["|", ">", "|+", "|-"])
def test_block_of_text_ends_where_its_words_do(style):
    rules = f"- id: a\n  check: text\n  parameters:\n    pattern: {style}\n      ^FR$\n\n"
    (rule,) = load(f"version: 1\nrules:\n{rules}", "x").rules
    assert rule.parameters.pattern == "^FR$"


def test_comma_in_a_name_needs_quotes():
    quoted = "- id: a\n  check: count\n  scope:\n    category: 'A, B'\n  parameters: {max: 1}\n"
    assert load(of(quoted), "x").rules[0].scope.category == ("A, B",)
    assert mistakes(of(quoted.replace("'", ""))) == [
        "6:15: rule 'a': scope: 'category': a list is written [A, B]; a comma in a name needs quotes"
    ]


def test_relations_need_one_link_unless_something_else_is_said():
    label = objects(rectangle())
    rule = "check: relations\nparameters: {%s}"
    told = [len(ruleset(rule % said).find(InMemory(label)).findings) for said in ("", "min_links: 1", "max_links: 1")]
    assert told == [1, 1, 0]


def test_quoted_null_is_a_name():
    (rule,) = load(of("- {id: a, check: count, scope: {category: 'null'}, parameters: {max: 1}}"), "x").rules
    assert rule.scope.category == ("null",)


def test_digest_is_of_the_text():
    assert load(NO_RULES, "a").digest == load(NO_RULES, "b").digest
    assert load(NO_RULES, "a").digest != load(f"{NO_RULES}# other", "a").digest


def test_byte_order_mark_is_accepted():
    assert load(f"\ufeff{NO_RULES}", "rules.yaml").rules == ()


def test_rules_are_for_the_handlers_and_projects_they_name():
    rules = ruleset(
        "check: count\nscope: {handler: submit}\nparameters: {min: 1}",
        "check: count\nscope: {handler: [review]}\nparameters: {min: 1}",
        "check: count\nscope: {handler: [submit, review], project: project-1}\nparameters: {min: 1}",
        "check: count\nscope: {project: [project-2, project-3]}\nparameters: {min: 1}",
    )
    submitted, reviewed = (rules.find(InMemory({}, handler=handler)) for handler in ("submit", "review"))
    assert [finding.rule for finding in submitted.findings] == ["rule-1", "rule-3"]
    assert submitted.not_now == {"rule-2"}
    assert [finding.rule for finding in reviewed.findings] == ["rule-2", "rule-3"]
    assert reviewed.not_now == {"rule-1"}


# What is wrong


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ["1:1: expected version, rules, not nothing"]),
        ("# nothing", ["1:1: expected version, rules, not nothing"]),
        ("rules", ["1:1: expected version, rules, not a text"]),
        ("[]", ["1:1: expected version, rules, not a list"]),
        ("version: 1", ["1:1: 'rules' is missing"]),
        ("rules: []", ["1:1: 'version' is missing"]),
        ("version:\nrules: []", ["1:1: 'version' is missing"]),
        ("version: 2\nrules: []", ["1:10: 'version': '2' is not known; there are 1"]),
        ("version: [1]\nrules: []", ["1:10: 'version': a list is not known; there are 1"]),
        ("version: 1\nrule: []\nrules: []", ["2:1: 'rule' is not known; there are version, rules"]),
        ("version: 1\nrules: {}", ["2:8: 'rules': expected a list, not a mapping"]),
        ("version: 1\nrules: [x]", ["2:9: rule 1: expected id, check, message, action, scope, parameters, not a text"]),
        ("version: 1\nrules: []\n---\nversion: 1", ["3:1: a second document"]),
        ("version: 1\nrules: [}", ["2:9: not YAML: did not find expected node content"]),
        ("version: 1\n\trules: []", ["2:1: not YAML: found a tab character that violates indentation"]),
        ("version: 1\n\n  a\x07", ["3:4: no such character"]),
        ("version: 1\nrules: []\nversion: 1", ["3:1: 'version' is there twice"]),
        ("version: 1\nrules: []\n? [a]\n: b", ["3:3: a list where a name should be"]),
        ("version: 1\nrules: []\n~: b", ["3:1: nothing where a name should be"]),
    ],
)
def test_file_that_is_none_is_told_with_its_place(text, told):
    assert mistakes(text) == told


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("- check: duplicates", "3:3: rule 1: 'id' is missing"),
        ("- {id: , check: duplicates}", "3:3: rule 1: 'id' is missing"),
        ("- id: a", "3:3: rule 'a': 'check' is missing"),
        ("- {id: [a], check: duplicates}", "3:8: rule 1: 'id': expected a text, not a list"),
        (
            "- {id: A, check: duplicates}",
            "3:8: rule 'A': 'id': an id is made of small letters, digits and hyphens, up to 64, a letter or digit",
        ),
        (
            "- {id: a, check: duplicates, checks: b}",
            "3:30: rule 'a': 'checks' is not known; there are id, check, message, action, scope, parameters",
        ),
        (
            "- {id: a, check: duplicates, action: isue}",
            "3:38: rule 'a': 'action': 'isue' is not known; there are log, issue, issue_and_send_back, add_to_review",
        ),
        (
            "- {id: a, check: duplicates, scope: {jobs: b}}",
            "3:38: rule 'a': scope: 'jobs' is not known; there are project, job, category, tool, handler",
        ),
        (
            "- {id: a, check: duplicates, scope: {handler: onSubmit}}",
            "3:47: rule 'a': scope: 'handler': 'onSubmit' is not known; there are submit, review",
        ),
        (
            "- {id: a, check: duplicates, scope: {job: [a, [b]]}}",
            "3:47: rule 'a': scope: 'job': expected a text, not a list",
        ),
        (
            "- {id: a, check: duplicates, scope: {job: [a, ~]}}",
            "3:47: rule 'a': scope: 'job': expected a text, not nothing",
        ),
        (
            "- {id: a, check: duplicates, scope: b}",
            "3:37: rule 'a': scope: expected project, job, category, tool, handler, not a text",
        ),
        (
            "- {id: a, check: well_formed, scope: {tool: pose}}",
            "3:39: rule 'a': scope: 'tool' means nothing to 'well_formed'; project, handler do",
        ),
        (
            "- {id: a, check: well_formed, parameters: {b: c}}",
            "3:44: rule 'a': parameters: 'b' is not known; there are none",
        ),
        ("- {id: a, check: overlap}", "3:3: rule 'a': parameters: 'max_iou' is missing"),
        ("- {id: a, check: overlap, parameters: {max_iou: }}", "3:39: rule 'a': parameters: 'max_iou' is missing"),
        (
            "- {id: a, check: overlap, parameters: {max_iou: 1.5}}",
            "3:49: rule 'a': parameters: 'max_iou': expected a number <= 1.0, not '1.5'",
        ),
        (
            "- {id: a, check: overlap, parameters: {max_iou: nan}}",
            "3:49: rule 'a': parameters: 'max_iou': expected a number, not 'nan'",
        ),
        (
            "- {id: a, check: overlap, parameters: {max_iou: half}}",
            "3:49: rule 'a': parameters: 'max_iou': expected a number, not 'half'",
        ),
        (
            "- {id: a, check: count, parameters: {max: 1.5}}",
            "3:43: rule 'a': parameters: 'max': expected a whole number, not '1.5'",
        ),
        (
            "- {id: a, check: count, parameters: {max: [1]}}",
            "3:43: rule 'a': parameters: 'max': expected a whole number, not a list",
        ),
        (
            "- {id: a, check: count, parameters: {max: 1, each_category: yes}}",
            "3:61: rule 'a': parameters: 'each_category': expected true or false, not 'yes'",
        ),
        ("- {id: a, check: count}", "3:3: rule 'a': parameters: one of these is needed: min, max, exactly"),
        (
            "- {id: a, check: count, parameters: {per: frame}}",
            "3:37: rule 'a': parameters: one of these is needed: min, max, exactly",
        ),
        (
            "- {id: a, check: count, parameters: {min: 2, max: 1}}",
            "3:43: rule 'a': parameters: 'min' is more than 'max'",
        ),
        (
            "- {id: a, check: count, parameters: {exactly: 2, max: 1}}",
            "3:47: rule 'a': parameters: 'exactly' leaves nothing for 'min' and 'max' to say",
        ),
        (
            "- {id: a, check: size, parameters: {min_area: 0.5, max_area: 0.1}}",
            "3:47: rule 'a': parameters: 'min_area' is more than 'max_area'",
        ),
        (
            "- {id: a, check: size, parameters: {max_area: 50}}",
            "3:47: rule 'a': parameters: 'max_area' is a fraction of the image, so at most 1; for pixels there is",
        ),
        (
            "- {id: a, check: overlap, parameters: {max_iou: inf}}",
            "3:49: rule 'a': parameters: 'max_iou': expected a number, not 'inf'",
        ),
        (
            "- {id: a, check: count, parameters: {min: 0}}",
            "3:37: rule 'a': parameters: one of these is needed: min, max, exactly; a least of 0 accepts all",
        ),
        (
            "- {id: a, check: size, parameters: {min_area: 0, min_width: 0}}",
            "3:36: rule 'a': parameters: one of these is needed: min_area, max_area, min_width, max_width, min_height, "
            "max_height; a least of 0 accepts all",
        ),
        (
            "- {id: a, check: relations, parameters: {min_links: 0}}",
            "3:53: rule 'a': parameters: 'min_links' of 0 accepts all",
        ),
        (
            "- {id: a, check: relations, parameters: {min_links: 2, max_links: 1}}",
            "3:53: rule 'a': parameters: 'min_links' is more than 'max_links'",
        ),
        (
            "- {id: a, check: entities, parameters: {trimmed: false, overlap: any}}",
            "3:40: rule 'a': parameters: 'trimmed: false' and 'overlap: any' leave nothing to find",
        ),
        (
            "- {id: a, check: exclusive, parameters: {categories: [b, b]}}",
            "3:54: rule 'a': parameters: 'categories' names one of them twice",
        ),
        (
            "- {id: a, check: text, scope: {tool: rectangle}, parameters: {format: iban}}",
            "3:38: rule 'a': scope: 'tool': 'rectangle' draws nothing that 'text' looks at; there are entity",
        ),
        (
            "- {id: a, check: size, scope: {tool: [polygon, marker]}, parameters: {max_area: 1}}",
            "3:48: rule 'a': scope: 'tool': 'marker' draws nothing that 'size' looks at; there are rectangle, polygon, "
            "semantic, entity",
        ),
        (
            f"- {{id: a, check: text, parameters: {{forbidden_words: [{', '.join(['b'] * 1001)}]}}}}",
            "3:54: rule 'a': parameters: 'forbidden_words': expected a list of length <= 1000",
        ),
        (
            "- {id: a, check: exclusive, parameters: {categories: [b]}}",
            "3:54: rule 'a': parameters: 'categories': expected a list of length >= 2",
        ),
        (
            "- {id: a, check: co_required, parameters: {when: b, requires: [b, c]}}",
            "3:63: rule 'a': parameters: 'requires' names a category that 'when' names too",
        ),
        (
            "- {id: a, check: text, parameters: {pattern: '(('}}",
            "3:46: rule 'a': parameters: 'pattern' is not a regular expression: missing ), unterminated subpattern at",
        ),
        (
            "- {id: a, check: text, parameters: {forbidden_words: ''}}",
            "3:54: rule 'a': parameters: 'forbidden_words' has a blank word",
        ),
        (
            "- {id: a, check: size, parameters: &b {max_area: 1}}",
            "3:36: anchors and aliases (&, *) are not for rules: please write it out",
        ),
        ("- {id: a, check: size, parameters: !!map {max_area: 1}}", "3:36: tags (!) are not for rules"),
        (
            "- {id: a, check: size, parameters: {<<: {max_area: 1}, max_area: 1}}",
            "3:37: rule 'a': parameters: '<<' is not known; there are min_area, max_area, min_width, max_width,",
        ),
    ],
)
def test_rule_that_is_wrong_is_told_with_its_place(rule, told):
    (mistake,) = mistakes(of(rule))
    assert mistake.startswith(told)


def test_parameter_that_does_not_suit_the_default_of_another_is_told(monkeypatch):
    class Odd(Parameters, frozen=True):
        least: int = 1
        most: int = 2

        def __post_init__(self) -> None:
            if self.least > self.most:
                raise Inconsistent("least", "is more than 'most'")

    monkeypatch.setitem(CHECKS, "count", CHECKS["count"]._replace(parameters=Odd))
    assert mistakes(of("- {id: a, check: count, parameters: {most: 0}}")) == [
        "3:37: rule 'a': parameters: 'least' is more than 'most'"
    ]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("{cuont}", "{cuont} is not known to 'count'; there are accepted, category, count, job, where"),
        ("{}", "{} is not known to 'count'; there are accepted, category, count, job, where"),
        ("{0}", "{0} is not known to 'count'; there are accepted, category, count, job, where"),
        ("{count.real}", "{count.real} is not known to 'count'; there are accepted, category, count, job, where"),
        ("{job[0]}", "{job[0]} is not known to 'count'; there are accepted, category, count, job, where"),
        ("{count:.0%", ".*; a brace that stands for itself is written twice"),
        ("}", ".*; a brace that stands for itself is written twice"),
        ("{job:.2f}", "Unknown format code 'f'.*"),
        ("{count:s}", "Unknown format code 's'.*"),
        ("{count!q}", "Unknown conversion.*"),
        ("{count:999999999}", "'999999999' is no format for {count}"),
        ("{count:{count}}", "'{count}' is no format for {count}"),
        ("{count:c}", "'c' is no format for {count}"),
        ("  ", "it is empty"),
        ("x" * (LONGEST_TEXT + 1), f"longer than {LONGEST_TEXT} characters"),
    ],
)
def test_message_that_cannot_be_filled_in_is_told(message, told):
    rule = f"- {{id: a, check: count, parameters: {{max: 1}}, message: {msgspec.json.encode(message).decode()}}}"
    (mistake,) = mistakes(of(rule))
    assert re.fullmatch(told if ".*" in told else re.escape(told), mistake.removeprefix("3:56: rule 'a': 'message': "))


@pytest.mark.parametrize("message", ["{count:>3} of {category!r}", "{{count}} {count:+d}", "100 %", "plain"])
def test_message_with_formats_that_suit_is_accepted(message):
    rule = f"- {{id: a, check: count, parameters: {{max: 1}}, message: '{message}'}}"
    assert load(of(rule), "rules.yaml").rules[0].message == message


def test_every_mistake_is_told_at_once_in_the_order_of_the_file():
    text = """\
        - id: box-size
          check: size
          scope:
            tool: rectangel
          parameters:
            maximum: 0.33
            min_area: -1
          message: "{aera}"
          action: shout
        - id: box-size
          check: sizes
          scope: {jobs: a}
        - id: fine
          check: duplicates
        - id: no-parameters
          check: overlap
        """
    places = [mistake.split(": ")[0] for mistake in mistakes(of(text))]
    assert places == ["6:11", "8:5", "9:15", "10:12", "11:11", "12:7", "13:10", "14:11", "17:3"]
    assert "12:7: rule 'box-size': 'id': the rule in line 3 has the same" in mistakes(of(text))


def test_too_many_mistakes_are_counted():
    with pytest.raises(RulesError) as raised:
        load(of("\n".join(f"- id: rule-{n}" for n in range(MOST_MISTAKES + 20))), "rules.yaml")
    assert len(raised.value.mistakes) == MOST_MISTAKES + 20
    assert str(raised.value).splitlines()[MOST_MISTAKES:] == ["... and 20 more"]


def test_rules_may_not_be_too_many_or_too_large():
    many = "\n".join(f"- {{id: rule-{n}, check: duplicates}}" for n in range(MOST_RULES))
    assert len(load(of(many), "rules.yaml").rules) == MOST_RULES
    assert mistakes(of(f"{many}\n- id: last")) == [f"3:1: 'rules': {MOST_RULES + 1} rules are more than {MOST_RULES}"]
    assert mistakes(f"{NO_RULES}#{'x' * MOST_BYTES}") == [f" larger than {MOST_BYTES} bytes"]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 50_000,
        "- " * 100_000,
        "a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
        "a: &a [*a]",
        "!!python/object/apply:os.system ['true']",
        "? " * 1000,
        "a:\n" + "".join(" " * n + "a:\n" for n in range(1, 700)),
    ],
)
def test_text_that_was_made_to_do_harm_is_refused(text):
    assert mistakes(text)


def test_rules_can_be_read_without_libyaml(monkeypatch):
    fast = load(PACKAGED.read_text(), "rules.yaml")
    monkeypatch.delattr(yaml, "CSafeLoader")
    slow = load(PACKAGED.read_text(), "rules.yaml")
    assert slow.rules == fast.rules
    assert mistakes(of("- {id: a, check: sizes}"))[0].startswith("3:18: rule 'a': 'check': 'sizes' is not known")


@given(st.text() | st.text("abc:-[]{}#&*!|>'\"%@` \n0~?,", max_size=60).map(lambda text: f"version: 1\nrules:\n{text}"))
def test_whatever_is_written_is_read_or_refused_with_a_place(text):
    told = []
    try:
        load(text, "rules.yaml")
    except RulesError as error:
        told = error.mistakes
    assert all(re.match(r"rules\.yaml:[0-9]+:[0-9]+: .", mistake) for mistake in told)


def test_mistakes_in_the_rules_are_mistakes_in_the_settings():
    assert issubclass(RulesError, SettingsError)


# What is found


@pytest.fixture
def failing(monkeypatch):
    """A check that raises what it is given, after what it finds first."""

    def with_error(error):
        def find(case, scope, parameters):
            yield from CHECKS["count"].find(case, scope, parameters)
            raise error

        monkeypatch.setitem(CHECKS, "duplicates", CHECKS["count"]._replace(name="duplicates", find=find))
        return ruleset("check: duplicates\nparameters: {min: 1}", "check: count\nparameters: {min: 1}")

    return with_error


def test_rule_that_fails_does_not_keep_the_others_from_running(failing, monkeypatch):
    logged = []
    monkeypatch.setattr("annohooks.kili.rules.ruleset.log_unexpected", logged.append)
    error = KeyError("secret")
    findings, unchecked, _ = failing(error).find(InMemory({}))
    assert [finding.rule for finding in findings] == ["rule-1", "rule-2"]
    assert unchecked == {"rule-1": "failed"}
    assert logged == [error]


def test_rules_for_which_no_time_is_left_are_unchecked():
    case = InMemory(objects(rectangle("box")))
    case.deadline = Deadline.after(-1)
    findings, unchecked, _ = ruleset("check: size\nparameters: {max_area: 0}").find(case)
    assert (findings, unchecked) == ([], {"rule-1": "no time was left for it"})


def test_kili_failing_is_no_fault_of_a_rule(failing):
    with pytest.raises(Upstream):
        failing(Upstream("Kili did not answer.")).find(InMemory({}))


def test_one_rule_does_not_tell_without_end():
    label = objects(*(rectangle(f"box-{n}") for n in range(MOST_FINDINGS + 1)))
    findings, unchecked, _ = ruleset("check: size\nparameters: {max_area: 0}").find(InMemory(label))
    assert len(findings) == MOST_FINDINGS
    assert unchecked == {"rule-1": f"only the first {MOST_FINDINGS} findings are told of"}


def test_what_a_label_says_is_never_a_template():
    label = objects({**rectangle("{mid}", "{count.__class__}")})
    rules = ruleset("check: size\nparameters: {max_area: 0}\nmessage: '{category} {object}'")
    assert [finding.text for finding in rules.find(InMemory(label)).findings] == ["{count.__class__} {mid}"]


def test_message_that_comes_out_empty_is_the_rules_id():
    rules = ruleset("check: size\nparameters: {max_area: 0}\nmessage: '{where}'")
    assert [finding.text for finding in rules.find(InMemory(objects(rectangle()))).findings] == ["rule-1"]


def test_subject_is_short_and_printable_whatever_the_label_names():
    label = objects(rectangle("a\n\0"), rectangle("b" * 10_000), rectangle("c\ud800"))
    rules = ruleset("check: size\nparameters: {max_area: 0}")
    subjects = [finding.subject for finding in rules.find(InMemory(label)).findings]
    assert len(set(subjects)) == 3
    assert all(len(subject) <= 200 and subject.isprintable() for subject in subjects)


# In words


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["rules", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("annohooks.kili.rules", run_name="__main__")
    return ended.value.code


def test_command_says_each_rule_in_words(monkeypatch, capsys):
    assert run(monkeypatch, PACKAGED) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == (
        "one-object-a: count of job JOB_0, category OBJECT_A (max 1; per asset), when a label is submitted or "
        "reviewed: an issue, and the asset goes back to the queue, "
        '"There are too many BBox ({count}) - Only 1 BBox of Object A accepted"'
    )
    assert second.startswith("box-size: size of job JOB_0, tool rectangle (max_area 0.33; unit fraction), when")


def test_words_leave_out_what_is_not_set_and_keep_zeros_and_lists():
    scope = "{project: p, job: [a, b], handler: review}"
    parameters = "{max_length: 0, allowed: [x, y], ignore_case: true}"
    rules = load(
        of(f"""\
        - {{id: a, check: text, scope: {scope}, parameters: {parameters}, message: No., action: log}}
        - {{id: b, check: dangling_relations, action: add_to_review}}
        """),
        "rules.yaml",
    ).rules
    assert [rule.in_words() for rule in rules] == [
        "a: text of project p, job a or b (max_length 0; allowed x, y; ignore_case), when a label is reviewed: "
        'a line in the log, "No."',
        "b: dangling_relations, when a label is submitted or reviewed: the asset goes to review, "
        '"{category}: {problem}"',
    ]


def test_words_tell_what_was_switched_off():
    (rule,) = ruleset("check: geometry\nparameters: {simple: false}").rules
    assert "geometry (within_image; tolerance 0.001; simple false), when" in rule.in_words()


@pytest.mark.parametrize("rules", ["[]", "", "\n  # - id: later"])
def test_command_says_that_there_are_no_rules(monkeypatch, capsys, tmp_path, rules):
    path = tmp_path / "rules.yaml"
    path.write_text(f"version: 1\nrules: {rules}\n")
    assert run(monkeypatch, path) == 0
    assert capsys.readouterr().out == "no rules\n"


def test_command_says_what_is_wrong(monkeypatch, capsys, tmp_path):
    path = tmp_path / "ours.yaml"
    path.write_text(of("- {id: a, check: sizes}"))
    assert run(monkeypatch, path) == 1
    assert capsys.readouterr().err.startswith("ours.yaml:3:18: rule 'a': 'check': 'sizes' is not known")


@pytest.mark.parametrize("arguments", [(), ("a", "b"), ("missing.yaml",)])
def test_command_without_a_file_says_so(monkeypatch, capsys, tmp_path, arguments):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments) == 2
    assert capsys.readouterr().err


# The page


def section(name: str) -> str:
    return PAGE.split(f"\n### {name}\n", 1)[1].split("\n### ", 1)[0]


BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_page_has_every_check_with_its_parameters_and_what_its_messages_may_name(check):
    text = section(check.name)
    assert f"check: {check.name}\n" in text
    prose = re.sub(r"```yaml\n.*?```", "", text, flags=re.DOTALL)
    names = set(re.findall(r"`([a-z_]+)`", prose))
    assert {field.name for field in msgspec.structs.fields(check.parameters)} <= names
    assert set(re.findall(r"`\{([a-z_]+)\}`", prose)) == set(check.values)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_every_example_of_the_page_is_a_file_of_rules(block):
    assert load(block if block.startswith("version") else of(block), "kili-rules.md").rules


def test_first_example_of_the_page_is_the_packaged_file():
    assert load(BLOCKS[0], "page").rules == load(PACKAGED.read_text(), "rules.yaml").rules


def test_page_shows_a_mistake_as_it_is_told():
    (mistake,) = mistakes(BLOCKS[0].replace("max_area", "maximum"))
    assert f"rules.yaml:{mistake}\n" in PAGE


def test_page_has_each_check_once_and_no_other():
    titles = re.findall(r"^### (.*)$", PAGE.split("\n## Checks\n")[1], re.MULTILINE)
    assert sorted(titles) == sorted(CHECKS)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_every_default_message_can_be_filled_in(check):
    parameters = {"overlap": "max_iou: 1", "exclusive": "categories: [a, b]", "co_required": "when: a, requires: b"}
    needed = {"count": "max: 1", "size": "max_area: 1", "aspect_ratio": "max_ratio: 1", "text": "min_length: 1"}
    more = {"too_fast": "min_seconds: 1", "track": "max_gap: 1"}
    said = (parameters | needed | more).get(check.name, "")
    message = check.message.replace("'", "''")
    (rule,) = load(of(f"- {{id: a, check: {check.name}, parameters: {{{said}}}, message: '{message}'}}"), "x").rules
    assert rule.message == check.message


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_every_parameter_is_explained_where_it_is_defined(check):
    said = check.parameters.__doc__ or ""
    assert all(re.search(rf"\b{field.name}\b", said) for field in msgspec.structs.fields(check.parameters))
