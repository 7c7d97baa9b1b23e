"""The minimum and maximum of what a check measures, and the texts about them."""

from __future__ import annotations

import math

from annohooks.kili.rules.base import Inconsistent, Parameters

_DIGITS = 4
_MOST_DIGITS = 17
"""Enough to tell any two floats apart."""
_LARGEST_WITHOUT_EXPONENT = 1e15


def refuse_min_above_max(parameters: Parameters, *measures: str) -> None:
    """Raises Inconsistent when a minimum is greater than its maximum. measures: "area" for min_area and max_area."""
    for measure in measures:
        min_name, max_name = f"min_{measure}".rstrip("_"), f"max_{measure}".rstrip("_")
        low, high = getattr(parameters, min_name), getattr(parameters, max_name)
        if low is not None and high is not None and low > high:
            raise Inconsistent(min_name, f"is greater than '{max_name}'")


def require_one_of(parameters: Parameters, *names: str) -> None:
    """Raises ValueError when these parameters are unset, or are minimums of 0: such a rule could find nothing."""
    unset = {name for name in names if getattr(parameters, name) in (None, ())}
    zero = {name for name in names if name.startswith("min") and getattr(parameters, name) == 0}
    if unset | zero == set(names):
        reason = "; a minimum of 0 accepts everything" if zero else ""
        raise ValueError(f"one of these is needed: {', '.join(names)}{reason}")


def out_of_bounds(measure: str, value: float, low: float | None, high: float | None, unit: str = "") -> str:
    """What is wrong with a measured value, such as "area 42% is more than 33%"; "" when it is within its bounds.

    Both bounds are accepted themselves. measure: the text, with {} in place of the number. unit: follows the numbers;
    % turns fractions into percentages.
    """
    if low is not None and value < low:
        comparison, bound = "less", low
    elif high is not None and value > high:
        comparison, bound = "more", high
    else:
        return ""
    factor = 100 if unit == "%" else 1
    value_text, bound_text = _distinguishable(value * factor, bound * factor)
    return f"{measure.format(value_text + unit)} is {comparison} than {bound_text}{unit}"


def counted(number: int, noun: str) -> str:
    """ "1 frame", "2 frames"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def accepted_text(low: float | None, high: float | None) -> str:
    """ "at least 1", "at most 3", "1 to 3" or "exactly 2"; "any number" without bounds."""
    if low == high:
        return "any number" if low is None else f"exactly {low:g}"
    if high is None:
        return f"at least {low:g}"
    return f"{low:g} to {high:g}" if low else f"at most {high:g}"


def _distinguishable(value: float, bound: float) -> tuple[str, str]:
    """Two different numbers, with four digits each, or with as many as show that they differ."""
    for digits in range(_DIGITS, _MOST_DIGITS + 1):
        texts = _number(value, digits), _number(bound, digits)
        if texts[0] != texts[1]:
            break
    return texts


def _number(value: float, digits: int) -> str:
    """A number without an exponent, unless it is very large."""
    if not 0 < abs(value) < _LARGEST_WITHOUT_EXPONENT:
        return f"{value:g}"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    text = f"{value:.{max(decimals, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
