"""rules.yaml: what it may contain, and how its mistakes are reported."""

from __future__ import annotations

import re
from textwrap import dedent

import msgspec
import pytest
import yaml
from cases import PACKAGED_RULES
from hypothesis import given
from hypothesis import strategies as st

from annohooks.core.errors import SettingsError
from annohooks.kili.rules import CHECKS, Rule, RulesError, load
from annohooks.kili.rules.base import Inconsistent, Parameters, Scope
from annohooks.kili.rules.file import MOST_BYTES, MOST_MISTAKES, MOST_RULES
from annohooks.kili.rules.messages import MOST_CHARACTERS

NO_RULES = "version: 1\nrules: []\n"


def of(rules: str) -> str:
    return f"version: 1\nrules:\n{dedent(rules).strip()}\n"


def only_rule(rule: str) -> Rule:
    (loaded,) = load(of(rule), "rules.yaml").rules
    return loaded


def mistakes(text: str) -> list[str]:
    with pytest.raises(RulesError) as raised:
        load(text, "rules.yaml")
    assert str(raised.value).splitlines() == raised.value.mistakes[:MOST_MISTAKES]
    return [mistake.removeprefix("rules.yaml:") for mistake in raised.value.mistakes]


def only_mistake(marked: str) -> str:
    """The one mistake in a text, without its place, which has to be where the text has an @."""
    before, _, after = marked.partition("@")
    place = f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}: "
    (mistake,) = mistakes(before + after)
    assert mistake.startswith(place)
    return mistake.removeprefix(place)


# Files that are accepted


@pytest.mark.parametrize("text", [NO_RULES, "version: 1\nrules:\n  # - id: later", f"\ufeff{NO_RULES}"])
def test_file_may_have_no_rules(text):
    assert load(text, "rules.yaml").rules == ()


@pytest.mark.parametrize("empty", ["", ", scope: , parameters: ~, message: null, action: "])
def test_keys_that_are_left_out_or_left_empty_have_defaults(empty):
    rule = only_rule(f"- {{id: a, check: duplicates{empty}}}")
    assert (rule.action, rule.message, rule.scope) == ("issue", CHECKS["duplicates"].message, Scope())
    assert rule.parameters.min_iou == 0.95


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("{job: JOB_0}", Scope(job=("JOB_0",))),
        ("{job: [JOB_0]}", Scope(job=("JOB_0",))),
        ("{category: [NO, 12, 1.50, 2024-01-01, true]}", Scope(category=("NO", "12", "1.50", "2024-01-01", "true"))),
        ("{category: 'null'}", Scope(category=("null",))),
        ("{category: 'A, B'}", Scope(category=("A, B",))),
    ],
)
def test_value_without_quotes_is_a_name_and_a_name_is_a_list_of_one(scope, expected):
    rule = only_rule(f"- {{id: 007, check: count, scope: {scope}, parameters: {{max: 1}}}}")
    assert (rule.id, rule.scope) == ("007", expected)


@pytest.mark.parametrize("text", [".5", "+0.5", "5e-1", "00.5", "'.5'"])
def test_numbers_may_be_in_any_form_that_python_reads(text):
    assert only_rule(f"- {{id: a, check: size, parameters: {{max_area: {text}}}}}").parameters.max_area == 0.5


@pytest.mark.parametrize("style", ["|", ">", "|+", "|-"])
def test_block_of_text_loses_the_line_breaks_at_its_end(style):
    rules = f"- id: a\n  check: text\n  parameters:\n    pattern: {style}\n      ^FR$\n\n"
    assert only_rule(rules).parameters.pattern == "^FR$"


def test_digest_depends_on_the_text_only():
    assert load(NO_RULES, "a").digest == load(NO_RULES, "b").digest != load(f"{NO_RULES}# other", "a").digest


def test_rules_can_be_read_without_libyaml(monkeypatch):
    fast = load(PACKAGED_RULES.read_text(), "rules.yaml")
    monkeypatch.delattr(yaml, "CSafeLoader")
    assert load(PACKAGED_RULES.read_text(), "rules.yaml").rules == fast.rules


@pytest.mark.parametrize("message", ["{count:>3} of {category!r}", "{{count}} {count:+d}", "100 %", "plain"])
def test_message_with_fitting_formats_is_accepted(message):
    assert only_rule(f"- {{id: a, check: count, parameters: {{max: 1}}, message: '{message}'}}").message == message


# Mistakes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@", "expected a mapping of version and rules, not an empty file"),
        ("# nothing@", None),
        ("@rules", "expected a mapping of version, rules, not text"),
        ("@[]", "expected a mapping of version, rules, not a list"),
        ("@version: 1", "'rules' is missing"),
        ("@version:\nrules: []", "'version' is missing"),
        ("version: @2\nrules: []", "'version': expected 1, not '2'"),
        ("version: @[1]\nrules: []", "'version': expected 1, not a list"),
        ("version: 1\n@rule: []\nrules: []", "unknown key 'rule'; expected version, rules"),
        ("version: 1\nrules: @{}", "'rules': expected a list, not a mapping"),
        ("version: 1\nrules: [@x]", "rule 1: expected a mapping of id, check, message, action, scope, parameters, not"),
        ("version: 1\nrules: []\n@version: 1", "'version' occurs twice"),
        ("version: 1\nrules: []\n? @[a]\n: b", "expected a key, not a list"),
        ("version: 1\nrules: []\n@~: b", "expected a key, not an empty value"),
        ("version: 1\nrules: [@}", "not YAML: did not find expected node content"),
    ],
)
def test_text_that_is_no_file_of_rules_is_refused_with_the_place(text, expected):
    if expected is None:
        assert mistakes(text.strip("@")) == ["1:1: expected a mapping of version and rules, not an empty file"]
    else:
        assert only_mistake(text).startswith(expected)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("- @{check: duplicates}", "rule 1: 'id' is missing"),
        ("- @{id: , check: duplicates}", "rule 1: 'id' is missing"),
        ("- @{id: a}", "rule 'a': 'check' is missing"),
        ("- {id: @[a], check: duplicates}", "rule 1: 'id': expected text, not a list"),
        (
            "- {id: @A, check: duplicates}",
            "rule 'A': 'id': use lower case letters, digits and hyphens, 64 at most, and",
        ),
        ("- @{id: a, check: overlap}", "rule 'a': parameters: 'max_iou' is missing"),
        ("- @{id: a, check: count}", "rule 'a': parameters: one of these is needed: min, max, exactly"),
    ],
)
def test_incomplete_rule_is_refused_with_the_place(rule, expected):
    assert only_mistake(of(rule)).startswith(expected)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        # keys and values
        ("duplicates, @checks: b", "unknown key 'checks'; expected id, check, message, action, scope, parameters"),
        (
            "duplicates, action: @isue",
            "'action': expected log or issue or issue_and_send_back or add_to_review, not 'i",
        ),
        ("duplicates, scope: {@jobs: b}", "scope: unknown key 'jobs'; expected project, job, category, tool, handler"),
        ("duplicates, scope: {handler: @onSubmit}", "scope: 'handler': expected submit or review, not 'onSubmit'"),
        ("duplicates, scope: {job: [a, @[b]]}", "scope: 'job': expected text, not a list"),
        ("duplicates, scope: {job: [a, @~]}", "scope: 'job': expected text, not an empty value"),
        ("duplicates, scope: @b", "scope: expected a mapping of project, job, category, tool, handler, not text"),
        ("well_formed, parameters: {@b: c}", "parameters: unknown key 'b'; no keys are expected"),
        (
            "size, parameters: {@<<: {max_area: 1}, max_area: 1}",
            "parameters: unknown key '<<'; expected min_area, max_",
        ),
        ("overlap, parameters: @{max_iou: }", "parameters: 'max_iou' is missing"),
        # types
        ("overlap, parameters: {max_iou: @1.5}", "parameters: 'max_iou': expected a number <= 1.0, not '1.5'"),
        ("overlap, parameters: {max_iou: @nan}", "parameters: 'max_iou': expected a number, not 'nan'"),
        ("overlap, parameters: {max_iou: @half}", "parameters: 'max_iou': expected a number, not 'half'"),
        ("count, parameters: {max: @1.5}", "parameters: 'max': expected a whole number, not '1.5'"),
        ("count, parameters: {max: @[1]}", "parameters: 'max': expected a whole number, not a list"),
        (
            "count, parameters: {max: 1, each_category: @yes}",
            "parameters: 'each_category': expected true or false, not",
        ),
        ("exclusive, parameters: {categories: @[b]}", "parameters: 'categories': expected a list of length >= 2"),
        # scopes that do not fit the check
        (
            "well_formed, scope: {@tool: pose}",
            "scope: 'tool' does not apply to the check 'well_formed', only project, ",
        ),
        (
            "text, scope: {tool: @rectangle}, parameters: {format: iban}",
            "scope: 'tool': the check 'text' does not look at 'rectangle', only at entity",
        ),
        (
            "size, scope: {tool: [polygon, @marker]}, parameters: {max_area: 1}",
            "scope: 'tool': the check 'size' does not look at 'marker', only at rectangle, polygon, semantic, entity",
        ),
        # parameters that contradict each other, or accept everything
        ("count, parameters: @{per: frame}", "parameters: one of these is needed: min, max, exactly"),
        (
            "count, parameters: @{min: 0}",
            "parameters: one of these is needed: min, max, exactly; a minimum of 0 accepts",
        ),
        ("count, parameters: {min: @2, max: 1}", "parameters: 'min' is greater than 'max'"),
        ("count, parameters: {exactly: @2, max: 1}", "parameters: 'exactly' cannot be combined with 'min' and 'max'"),
        ("size, parameters: {min_area: @0.5, max_area: 0.1}", "parameters: 'min_area' is greater than 'max_area'"),
        (
            "size, parameters: {max_area: @50}",
            "parameters: 'max_area' is a fraction of the image, so at most 1; for pix",
        ),
        ("relations, parameters: {min_links: @0}", "parameters: 'min_links' of 0 accepts everything"),
        (
            "entities, parameters: @{trimmed: false, overlap: any}",
            "parameters: 'trimmed: false' with 'overlap: any' leaves nothing to check",
        ),
        ("exclusive, parameters: {categories: @[b, b]}", "parameters: 'categories' names a category twice"),
        (
            "co_required, parameters: {when: b, requires: @[b, c]}",
            "parameters: 'requires' names a category that 'when' also names",
        ),
        (
            "text, parameters: {pattern: @'(('}",
            "parameters: 'pattern' is not a valid regular expression: missing ), unt",
        ),
        ("text, parameters: {forbidden_words: @''}", "parameters: 'forbidden_words' contains a blank word"),
    ],
)
def test_mistake_in_a_rule_is_reported_with_its_place(keys, expected):
    assert only_mistake(of(f"- {{id: a, check: {keys}}}")).startswith(f"rule 'a': {expected}")


def test_too_many_words_are_refused():
    words = ", ".join(["b"] * 1001)
    assert "expected a list of length <= 1000" in only_mistake(
        of(f"- {{id: a, check: text, parameters: {{forbidden_words: @[{words}]}}}}")
    )


def test_name_with_a_comma_needs_quotes():
    mistake = only_mistake(of("- id: a\n  check: count\n  scope:\n    category: @A, B\n  parameters: {max: 1}"))
    assert mistake == "rule 'a': scope: 'category': write a list as [A, B], and a name with a comma in quotes"


def test_parameter_that_contradicts_the_default_of_another_is_reported(monkeypatch):
    class Limits(Parameters, frozen=True):
        low: int = 1
        high: int = 2

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise Inconsistent("low", "is greater than 'high'")

    monkeypatch.setitem(CHECKS, "count", CHECKS["count"]._replace(parameters=Limits))
    mistake = only_mistake(of("- {id: a, check: count, parameters: @{high: 0}}"))
    assert mistake == "rule 'a': parameters: 'low' is greater than 'high'"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("{cuont}", "unknown placeholder {cuont}; the check 'count' has accepted, category, count, job, where"),
        ("{}", "unknown placeholder {}; the check"),
        ("{count.real}", "unknown placeholder {count.real}; the check"),
        ("{job[0]}", "unknown placeholder {job[0]}; the check"),
        ("{count:.0%", "; write a literal brace twice"),
        ("{job:.2f}", "Unknown format code 'f'"),
        ("{count!q}", "Unknown conversion specifier"),
        ("{count:999999999}", "'999999999' is not a format for {count}"),
        ("{count:{count}}", "'{count}' is not a format for {count}"),
        ("{count:c}", "'c' is not a format for {count}"),
        ("  ", "the text is empty"),
        ("x" * (MOST_CHARACTERS + 1), f"longer than {MOST_CHARACTERS} characters"),
    ],
)
def test_message_that_cannot_be_filled_in_is_refused(message, expected):
    quoted = msgspec.json.encode(message).decode()
    mistake = only_mistake(of(f"- {{id: a, check: count, parameters: {{max: 1}}, message: @{quoted}}}"))
    assert expected in mistake.removeprefix("rule 'a': 'message': ")


def test_all_mistakes_are_reported_in_the_order_of_the_file():
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
    reported = mistakes(of(text))
    places = [mistake.split(": ")[0] for mistake in reported]
    assert places == ["6:11", "8:5", "9:15", "10:12", "11:11", "12:7", "13:10", "14:11", "17:3"]
    assert "12:7: rule 'box-size': 'id': the rule in line 3 has the same id" in reported


def test_message_names_a_number_of_mistakes_and_counts_the_others():
    with pytest.raises(RulesError) as raised:
        load(of("\n".join(f"- id: rule-{n}" for n in range(MOST_MISTAKES + 20))), "rules.yaml")
    assert isinstance(raised.value, SettingsError)
    assert len(raised.value.mistakes) == MOST_MISTAKES + 20
    assert str(raised.value).splitlines()[MOST_MISTAKES:] == ["... and 20 more"]


def test_number_of_rules_and_size_of_the_file_are_limited():
    most = "\n".join(f"- {{id: rule-{n}, check: duplicates}}" for n in range(MOST_RULES))
    assert len(load(of(most), "rules.yaml").rules) == MOST_RULES
    assert mistakes(of(f"{most}\n- id: last")) == [f"3:1: 'rules': {MOST_RULES + 1} rules are more than {MOST_RULES}"]
    assert mistakes(f"{NO_RULES}#{'x' * MOST_BYTES}") == [f" larger than {MOST_BYTES} bytes"]


@given(st.text() | st.text("abc:-[]{}#&*!|>'\"%@` \n0~?,", max_size=60).map(lambda text: f"version: 1\nrules:\n{text}"))
def test_any_text_is_loaded_or_refused_with_places(text):
    try:
        load(text, "rules.yaml")
        reported = []
    except RulesError as error:
        reported = error.mistakes or [""]
    assert all(re.match(r"rules\.yaml:[0-9]+:[0-9]+: .", mistake) for mistake in reported)
