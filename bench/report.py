"""The rows of the table and of results.json."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple


class Row(NamedTuple):
    """ours, theirs: medians, in unit, the less the better; ratio: how many times better ours is."""

    name: str
    ours: float
    theirs: float
    ratio: float
    unit: str
    note: str


def row(name: str, ours: Sequence[float], theirs: Sequence[float], unit: str, note: str) -> Row:
    """A row of what each run of either side took."""
    our, their = median(ours), median(theirs)
    return Row(name, _significant(our, 4), _significant(their, 4), _significant(their / our, 3), unit, note)


def merged(earlier: Iterable[Row], now: Iterable[Row]) -> list[Row]:
    """All rows by name; a row of now takes the place of an earlier one."""
    rows = {row.name: row for row in (*earlier, *now)}
    return [rows[name] for name in sorted(rows)]


def table(rows: Iterable[Row]) -> str:
    lines = [Row._fields, *([str(value) for value in row[:-1]] + [row.note] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _significant(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
