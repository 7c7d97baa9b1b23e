"""docs/kili-rules.md: the page has every check, and its examples are right."""

from __future__ import annotations

import re

import msgspec
import pytest
from cases import PACKAGED_RULES, RULES_PAGE

from annohooks.kili.rules import CHECKS, RulesError, load
from annohooks.kili.rules.messages import problems_of

PAGE = RULES_PAGE.read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_page_has_each_check_once_and_no_other():
    titles = re.findall(r"^### (.*)$", PAGE.split("\n## Checks\n")[1], re.MULTILINE)
    assert sorted(titles) == sorted(CHECKS)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_page_has_every_parameter_and_placeholder_of_a_check(check):
    section = PAGE.split(f"\n### {check.name}\n", 1)[1].split("\n### ", 1)[0]
    assert f"check: {check.name}\n" in section
    prose = re.sub(r"```yaml\n.*?```", "", section, flags=re.DOTALL)
    fields = {field.name for field in msgspec.structs.fields(check.parameters)}
    assert fields <= set(re.findall(r"`([a-z_]+)`", prose))
    assert set(re.findall(r"`\{([a-z_]+)\}`", prose)) == set(check.values)
    assert fields <= set(re.findall(r"\w+", check.parameters.__doc__ or ""))


def test_every_example_is_a_file_of_rules():
    for block in BLOCKS:
        assert load(block if block.startswith("version") else f"version: 1\nrules:\n{block}", "kili-rules.md").rules


def test_default_messages_fit_their_checks():
    assert [problem for check in CHECKS.values() for problem in problems_of(check.message, check)] == []


def test_first_example_is_the_packaged_file():
    assert load(BLOCKS[0], "page").rules == load(PACKAGED_RULES.read_text(), "rules.yaml").rules


def test_mistake_on_the_page_is_the_one_that_is_reported():
    with pytest.raises(RulesError) as raised:
        load(BLOCKS[0].replace("max_area", "maximum"), "rules.yaml")
    assert f"{raised.value}\n" in PAGE
