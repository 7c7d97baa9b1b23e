"""The pages hold nothing unfinished, no broken table and no broken link."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local.template import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "engine/README.md"]
LEFTOVER = re.compile(r"\b(TODO|TBD|FIXME|XXX|PLACEHOLDER|lorem ipsum)\b|^\W*[A-Z]+(_[A-Z]+)+\W*$", re.MULTILINE)


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def broken_tables(text: str) -> list[str]:
    """The rows of tables that have another number of cells than their header, and headers without a rule below."""
    broken = []
    for table in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        header, *rows = table.splitlines()
        cells = [len(re.split(r"(?<!\\)\|", row.strip().strip("|"))) for row in (header, *rows)]
        if not rows or not re.fullmatch(r"\|(\s*:?-+:?\s*\|)+", rows[0].strip()):
            broken.append(header)
        broken += [row for row, count in zip(rows, cells[1:], strict=True) if count != cells[0]]
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_holds_no_placeholder(page: Path) -> None:
    assert LEFTOVER.search(prose(page).replace("`TODO`", "")) is None  # Kili's own status of an asset


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tables_of_a_page_are_whole(page: Path) -> None:
    assert broken_tables(prose(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_files_that_the_architecture_names_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    roots = (ROOT, ROOT / "layers" / "shared" / "annohooks")
    names = set(re.findall(r"`((?:[a-z0-9_]+/)+(?:[a-z0-9_]+\.(?:py|yaml|json))?)`", text))
    assert len(names) > 20
    assert sorted(name for name in names if not any((root / name).exists() for root in roots)) == []


@pytest.mark.parametrize(
    ("text", "is_broken"),
    [
        ("| a | b |\n|---|---|\n| 1 | 2 |\n", False),
        ("| a | b |\n|---|---|\n| 1 | x \\| y |\n", False),
        ("| a | b |\n|---|---|\n| 1 |\n", True),
        ("| a | b |\n| 1 | 2 |\n", True),
    ],
)
def test_a_broken_table_would_be_found(text: str, is_broken: bool) -> None:
    assert bool(broken_tables(text)) == is_broken


@pytest.mark.parametrize("text", ["COST_TABLE", "| TODO |", "the figures are TBD"])
def test_a_placeholder_would_be_found(text: str) -> None:
    assert LEFTOVER.search(text)
