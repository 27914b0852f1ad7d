"""Checks of public arguments, whose errors name the argument and the value that was given."""

from __future__ import annotations

import numbers
from typing import Any

__all__ = ["check_kind", "kind_of", "shown", "whole_number", "within"]

LONGEST = 60  # characters of a value in a message


def kind_of(value: object) -> str:
    """What a value is, with its article: `a dict`, `an int`, `None`."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def shown(value: object) -> str:
    """A value as a message shows it: its representation, shortened, or its kind where it has none."""
    try:
        text = repr(value)
    except Exception:  # of a foreign class, or a number with too many digits
        return kind_of(value)
    return text if len(text) <= LONGEST and text.isprintable() else f"{ascii(text[:LONGEST])[1:-1]}..."


def check_kind(
    value: object, kinds: type | tuple[type, ...], *, what: str, wanted: str, error: type[ValueError]
) -> None:
    """Raise `error` unless a value is of one of these kinds: `The question must be a string, not an int.`"""
    if not isinstance(value, kinds):
        raise error(f"{what} must be {wanted}, not {kind_of(value)}.")


def whole_number(value: Any, *, what: str, low: int, error: type[ValueError]) -> int:
    """A whole number of at least `low` as an int; raises `error` for anything else."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise error(f"{what} must be a whole number, not {shown(value)}.")
    if value < low:
        raise error(f"{what} is {shown(value)}, but it must be at least {low}.")
    return int(value)


def within(value: Any, *, what: str, low: float, high: float, error: type[ValueError]) -> float:
    """A number from `low` to `high` as a float; raises `error` for anything else."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise error(f"{what} must be a number, not {shown(value)}.")
    found: Any = value  # mypy knows no order of Real
    if not low <= found <= high:
        raise error(f"{what} is {shown(value)}, but it must be from {low:g} to {high:g}.")
    return float(found)
