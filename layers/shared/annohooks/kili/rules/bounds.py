"""Least and most of what a check measures, and how both are said."""

from __future__ import annotations

from annohooks.kili.rules.base import Inconsistent, Parameters


def must_be_in_order(parameters: Parameters, *measures: str) -> None:
    """Raises Inconsistent for a min that is more than its max. measures: "area" for min_area and max_area."""
    for measure in measures:
        least, most = f"min_{measure}", f"max_{measure}"
        low, high = getattr(parameters, least), getattr(parameters, most)
        if low is not None and high is not None and low > high:
            raise Inconsistent(least, f"is more than '{most}'")


def must_say_something(parameters: Parameters, *names: str) -> None:
    """Raises ValueError when none of these parameters is set: the rule could find nothing."""
    if all(getattr(parameters, name) in (None, ()) for name in names):
        raise ValueError(f"one of these is needed: {', '.join(names)}")


def beyond(measure: str, value: float, low: float | None, high: float | None, unit: str = "") -> str:
    """What is wrong with a measured value, in words; "" when it is in bounds, which are themselves accepted."""
    unit = unit and f" {unit}"
    if low is not None and value < low:
        return f"{measure} {_number(value)}{unit} is less than {_number(low)}{unit}"
    if high is not None and value > high:
        return f"{measure} {_number(value)}{unit} is more than {_number(high)}{unit}"
    return ""


def accepted(low: float | None, high: float | None) -> str:
    """Bounds in words: at least 1, at most 3, 1 to 3, exactly 2; any number without bounds."""
    if low is not None and high is not None:
        return f"exactly {low:g}" if low == high else f"{low:g} to {high:g}"
    if low is not None:
        return f"at least {low:g}"
    return "any number" if high is None else f"at most {high:g}"


def _number(value: float) -> str:
    return f"{value:.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"
