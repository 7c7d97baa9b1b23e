"""Which events Kili has, and which patterns subscribe to them."""

from __future__ import annotations

import pytest

from annohooks.kili import event_types
from annohooks.kili.event_types import SUBJECTS, goes_to_plugins, matches


def test_there_are_79_events_of_which_14_are_for_kili_itself_and_3_have_no_project():
    assert (len(SUBJECTS), len(event_types.SYSTEM), len(event_types.OF_NO_PROJECT)) == (79, 14, 3)


def test_plugins_get_neither_system_events_nor_those_without_a_project():
    assert goes_to_plugins("label.workflow.created.default")
    assert goes_to_plugins("label.workflow.somethingNew")
    assert not goes_to_plugins("label.jsonResponse.store.started")
    assert not goes_to_plugins("assetStorage.integration.created")


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("asset.created", "asset.created", True),
        ("asset", "asset.created", False),
        ("asset.*", "asset.created", True),
        ("asset.*", "asset.workflow.assigned", True),
        ("asset.*", "asset", False),
        ("asset.*", "assetStorage.connection.created", False),
        ("asset.*.created", "asset.issue.created", True),
        ("asset.*.created", "asset.created", False),
        ("asset.*.*", "asset.created", False),
        ("asset.*.*", "asset.a.b.c", True),
    ],
)
def test_star_stands_for_one_or_more_names(pattern, subject, expected):
    assert matches(subject, pattern) is expected


def test_pattern_of_a_family_matches_all_of_it():
    assert sum(matches(subject, "label.workflow.*") for subject in SUBJECTS) == 9


@pytest.mark.parametrize("pattern", ["", "*", "*.created", "asset.**", "asset.>", "asset..created", "asset.", "é"])
def test_invalid_pattern_is_refused(pattern):
    with pytest.raises(ValueError, match="is not a pattern"):
        matches("asset.created", pattern)


def test_pattern_with_many_stars_is_matched_quickly():
    assert not matches(".".join(["a"] * 1000), "a" + ".*" * 500 + ".b")
