"""The rows of the table and of results.json."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

PER_SECOND = "/s"
"""The end of a unit of which more is better."""


class Row(NamedTuple):
    """ours, theirs: medians in `unit`. Less is better, unless the unit is per second.

    theirs: the promised value if there is no other side, None if nothing is promised.
    ratio: how many times better ours is.
    """

    name: str
    ours: float
    theirs: float | None
    ratio: float | None
    unit: str
    note: str


class Measurement(NamedTuple):
    """The content of a row without another side. suffix: the end of the row's name. promised: in `unit`, or None."""

    suffix: str
    value: float
    promised: float | None
    unit: str
    note: str


def row(name: str, ours: Sequence[float], theirs: Sequence[float], unit: str, note: str) -> Row:
    """A row from the values of each side's runs. theirs: may be empty."""
    our_median = median(ours)
    if not theirs:
        return Row(name, _significant(our_median, 4), None, None, unit, note)
    their_median = median(theirs)
    ratio = our_median / their_median if unit.endswith(PER_SECOND) else their_median / our_median
    return Row(name, _significant(our_median, 4), _significant(their_median, 4), _significant(ratio, 3), unit, note)


def merged(earlier: Iterable[Row], new: Iterable[Row]) -> list[Row]:
    """All rows, sorted by name; a new row replaces an earlier one of the same name."""
    rows = {row.name: row for row in (*earlier, *new)}
    return [rows[name] for name in sorted(rows)]


def table(rows: Iterable[Row]) -> str:
    """The rows below a heading, in columns."""
    lines = [Row._fields, *(["" if value is None else str(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _significant(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
