"""Least and most of what a check measures, and how both are said."""

from __future__ import annotations

import math

from annohooks.kili.rules.base import Inconsistent, Parameters

_DIGITS = 4
_MOST_DIGITS = 17
"""So many tell any two floats apart."""
_ASTRONOMICAL = 1e15


def must_be_in_order(parameters: Parameters, *measures: str) -> None:
    """Raises Inconsistent for a min that is more than its max. measures: "area" for min_area, max_area."""
    for measure in measures:
        least, most = f"min_{measure}".rstrip("_"), f"max_{measure}".rstrip("_")
        low, high = getattr(parameters, least), getattr(parameters, most)
        if low is not None and high is not None and low > high:
            raise Inconsistent(least, f"is more than '{most}'")


def must_say_something(parameters: Parameters, *names: str) -> None:
    """Raises ValueError when none of these parameters is set, or only a least of 0: the rule could find nothing."""
    nothing = {name for name in names if getattr(parameters, name) in (None, ())}
    none_needed = {name for name in names if name.startswith("min") and getattr(parameters, name) == 0}
    if nothing | none_needed == set(names):
        more = "; a least of 0 accepts all" if none_needed else ""
        raise ValueError(f"one of these is needed: {', '.join(names)}{more}")


def beyond(measure: str, value: float, low: float | None, high: float | None, unit: str = "") -> str:
    """What is wrong with a measured value, in words; "" when it is in bounds, which are themselves accepted.

    measure: the words with {} where the number stands. unit: what follows the numbers; % makes percentages of them.
    """
    if low is not None and value < low:
        than, bound = "less", low
    elif high is not None and value > high:
        than, bound = "more", high
    else:
        return ""
    said, limit = _apart(value * 100, bound * 100) if unit == "%" else _apart(value, bound)
    return f"{measure.format(said + unit)} is {than} than {limit}{unit}"


def many(number: int, what: str) -> str:
    """1 frame, 2 frames."""
    return f"{number} {what}{'s' * (number != 1)}"


def accepted(low: float | None, high: float | None) -> str:
    """Bounds in words: at least 1, at most 3, 1 to 3, exactly 2; any number without bounds."""
    if low == high:
        return "any number" if low is None else f"exactly {low:g}"
    if high is None:
        return f"at least {low:g}"
    return f"{low:g} to {high:g}" if low else f"at most {high:g}"


def _apart(value: float, bound: float) -> tuple[str, str]:
    """Two numbers that differ, each with four digits or as many as it takes to see that they do."""
    for digits in range(_DIGITS, _MOST_DIGITS + 1):
        said = _number(value, digits), _number(bound, digits)
        if said[0] != said[1]:
            break
    return said


def _number(value: float, digits: int) -> str:
    """Never with an exponent, unless it is astronomical."""
    if not 0 < abs(value) < _ASTRONOMICAL:
        return f"{value:g}"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    said = f"{value:.{max(decimals, 0)}f}"
    return said.rstrip("0").rstrip(".") if "." in said else said
