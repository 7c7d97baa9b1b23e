"""The rows of the table and of results.json."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

PER_SECOND = "/s"
"""How a unit ends of which more is better."""


class Row(NamedTuple):
    """ours, theirs: medians, in unit; less is better, or more if it is per second.

    theirs: what is promised where there is no other side, None if nothing is. ratio: how many times better ours is.
    """

    name: str
    ours: float
    theirs: float | None
    ratio: float | None
    unit: str
    note: str


class Measured(NamedTuple):
    """What becomes a row where there is no other side. suffix: of the row's name. promised: in unit, or None."""

    suffix: str
    value: float
    promised: float | None
    unit: str
    note: str


def row(name: str, ours: Sequence[float], theirs: Sequence[float], unit: str, note: str) -> Row:
    """A row of what each run of either side took, or did per second. theirs: may be empty."""
    our = median(ours)
    if not theirs:
        return Row(name, _significant(our, 4), None, None, unit, note)
    their = median(theirs)
    ratio = our / their if unit.endswith(PER_SECOND) else their / our
    return Row(name, _significant(our, 4), _significant(their, 4), _significant(ratio, 3), unit, note)


def merged(earlier: Iterable[Row], now: Iterable[Row]) -> list[Row]:
    """All rows by name; a row of now takes the place of an earlier one."""
    rows = {row.name: row for row in (*earlier, *now)}
    return [rows[name] for name in sorted(rows)]


def table(rows: Iterable[Row]) -> str:
    lines = [Row._fields, *(["" if value is None else str(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _significant(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
