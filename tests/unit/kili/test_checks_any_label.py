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
from annohooks.kili.label.model import Answer, Fault, Keypoint, Object, Reading, Relation, Shape, Span
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

# Parts that sometimes fit together
names = st.sampled_from(["JOB_0", "JOB_1", "CAR", "TREE", "PLATE", "a", "b", "NOSE", "é\n{x}"])
keys = st.none() | names
categories = st.lists(names, max_size=3).map(tuple)
numbers = st.floats(-1e9, 1e9) | st.sampled_from([0.0, 0.25, 0.5, 1.0])
points = st.lists(st.tuples(numbers, numbers), max_size=6).map(tuple)
rings = st.lists(st.lists(st.tuples(numbers, numbers), min_size=3, max_size=6).map(tuple), max_size=3).map(tuple)
places = st.none() | st.integers(0, 3)
offsets = st.none() | st.integers(0, 12)
texts = st.text(max_size=12) | st.sampled_from(["FR76", "GB82 WEST 1234 5698 7654 32", "2024-02-30", " "])

readings = st.builds(
    Reading,
    objects=st.lists(
        st.builds(
            Object,
            job=names,
            tool=st.sampled_from(["rectangle", "polygon", "semantic", "polyline", "marker", "pose", "entity", "range"]),
            path=st.uuids().map(str),
            mid=keys,
            categories=categories,
            shapes=st.lists(st.builds(Shape, rings, points, places, places, st.booleans()), max_size=3).map(tuple),
            keypoints=st.lists(st.builds(Keypoint, names, st.tuples(numbers, numbers), places), max_size=3).map(tuple),
            span=st.none() | st.builds(Span, texts, keys, offsets, keys, offsets),
        ),
        max_size=6,
    ).map(tuple),
    answers=st.lists(
        st.builds(
            Answer,
            job=names,
            path=names,
            categories=categories,
            text=st.none() | texts,
            of=keys,
            within=categories,
            frame=places,
            page=places,
        ),
        max_size=6,
    ).map(tuple),
    relations=st.lists(
        st.builds(Relation, job=names, path=names, mid=keys, categories=categories, starts=categories, ends=categories),
        max_size=4,
    ).map(tuple),
    faults=st.just(()) | st.lists(st.builds(Fault, names, names, keys), max_size=2).map(tuple),
    jobs=st.frozensets(names, max_size=3),
    rotation=st.sampled_from([0, 90, 180, 270]),
)

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


@given(readings, interfaces, input_types, st.none() | st.floats(0, 1e6))
def test_no_reading_makes_a_check_fail(reading, jobs, input_type, seconds):
    assert_promises(InMemory(reading, jobs=jobs, input_type=input_type, seconds=seconds))


@given(mutated() | ANYTHING, interfaces, input_types)
def test_no_label_makes_a_check_fail(response, jobs, input_type):
    assert_promises(InMemory(response, jobs=jobs, input_type=input_type))


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
