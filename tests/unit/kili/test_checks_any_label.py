"""Every check on any label: its findings keep its promises, and it never fails."""

from __future__ import annotations

import re

import pytest
from cases import RULES_PAGE, InMemory, objects
from hypothesis import given
from hypothesis import strategies as st
from labels import RESPONSES, SAMPLES, entity, rectangle, relation
from strategies import ANYTHING, mutated

from annohooks.kili.label.geometry import TooComplex
from annohooks.kili.rules import CHECKS, load
from annohooks.kili.rules.base import NotApplicable
from annohooks.kili.rules.messages import MOST_CHARACTERS

BLOCKS = re.findall(r"```yaml\n(.*?)```", RULES_PAGE.read_text(), re.DOTALL)
EXAMPLES = "".join(block for block in BLOCKS if block.startswith("- id"))
# The examples apply to names of their own. These rules apply to everything, and find as much as they can.
EAGER = """
- {id: e-count, check: count, parameters: {exactly: 0, per: frame, each_category: true}}
- {id: e-size, check: size, parameters: {max_area: 0, max_width: 0, max_height: 0}}
- {id: e-px, check: size, parameters: {max_area: 0, unit: px}}
- {id: e-ratio, check: aspect_ratio, parameters: {max_ratio: 0}}
- {id: e-border, check: border, parameters: {margin: 0.49}}
- {id: e-overlap, check: overlap, parameters: {max_iou: 0}}
- {id: e-duplicates, check: duplicates, parameters: {min_iou: 0.01}}
- {id: e-geometry, check: geometry, parameters: {tolerance: 0}}
- {id: e-jobs, check: required_jobs, parameters: {jobs: [JOB_0, NOT_THERE]}}
- {id: e-children, check: required_children, parameters: {jobs: NOT_THERE}}
- {id: e-pose, check: pose, parameters: {points: NOT_THERE}}
- {id: e-interface-pose, check: pose}
- {id: e-interface-children, check: required_children}
- {id: e-exclusive, check: exclusive, parameters: {categories: [CAR, TREE, RED, BLUE]}}
- {id: e-exclusive-each, check: exclusive, parameters: {categories: [CAR, TREE, RED, BLUE], per: object}}
- {id: e-co, check: co_required, parameters: {when: [CAR, TREE, RED, YES], requires: NOT_THERE, per: frame}}
- {id: e-co-each, check: co_required, parameters: {when: [CAR, TREE, RED, YES], requires: NOT_THERE, per: object}}
- {id: e-relations, check: relations, parameters: {min_links: 5}}
- {id: e-dangling, check: dangling_relations}
- {id: e-text, check: text, parameters: {max_length: 0}}
- {id: e-format, check: text, parameters: {format: iban, pattern: x, forbidden_pattern: y, required_words: z}}
- {id: e-entities, check: entities}
- {id: e-fast, check: too_fast, parameters: {min_seconds: 1000}}
- {id: e-track, check: track, parameters: {max_frames: 0, max_gap: 0, min_key_frame_share: 1}}
"""
RULES = load(f"version: 1\nrules:\n{EXAMPLES}{EAGER}", "rules.yaml")

interfaces = st.sampled_from([sample.jobs for sample in SAMPLES.values()]) | ANYTHING
input_types = st.sampled_from(["IMAGE", "VIDEO", "PDF", "TEXT", "GEOSPATIAL"])


def assert_promises(case):
    findings, unchecked, _ = RULES.find(case)
    assert "failed" not in unchecked.values()
    assert RULES.find(case)[:2] == (findings, unchecked)
    assert len({(finding.rule, finding.subject) for finding in findings}) == len(findings)
    for finding in findings:
        assert 0 < len(finding.text) <= MOST_CHARACTERS
        assert finding.text.isprintable()
        assert 0 < len(finding.subject) <= 200
    order = [rule.id for rule in RULES.rules]
    assert [order.index(finding.rule) for finding in findings] == sorted(
        order.index(finding.rule) for finding in findings
    )
    for rule in RULES.rules:
        if rule.scope.project:
            continue
        try:
            for violation in rule.check.find(case, rule.scope, rule.parameters):
                kinds = {name: type(value) for name, value in violation.values.items()}
                assert kinds == {name: type(value) for name, value in rule.check.values.items()}, rule.id
        except (NotApplicable, TooComplex):
            assert rule.id in unchecked


@given(mutated() | ANYTHING, interfaces, input_types, st.none() | st.floats(0, 1e6))
def test_no_label_makes_a_check_fail(response, jobs, input_type, seconds):
    assert_promises(InMemory(response, jobs=jobs, input_type=input_type, seconds=seconds))


@pytest.mark.parametrize("name", RESPONSES)
def test_labels_of_every_kind_are_checked_by_every_rule(name):
    sample = SAMPLES.get(name)
    assert_promises(InMemory(RESPONSES[name], jobs=sample.jobs if sample else None))


def test_rules_of_this_module_find_something_with_every_check():
    twice = [
        rectangle("box-1"),
        rectangle("box-2"),
        entity("word-1", "WORD", "a ", 0),
        entity("word-2", "WORD", "a", 0),
    ]
    bad = objects(*twice, TIES={"annotations": [relation("tie-1", "BESIDE", ["box-1"], ["gone"], "Objects")]})
    labels = [InMemory(response) for response in (*RESPONSES.values(), bad, {"JOB_0": 7})]
    checks = {rule.id: rule.check.name for rule in RULES.rules}
    found = {checks[finding.rule] for label in labels for finding in RULES.find(label).findings}
    assert found == set(checks.values()) == set(CHECKS)
