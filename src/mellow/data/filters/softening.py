"""Words in place of numbers that nobody measured; `softening.toml` says how."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from mellow.data.filters.numbers import Quantity, uncarried
from mellow.data.records import Record
from mellow.data.wording import options_of

__all__ = ["softened"]

WIDE = 20  # from the lower to the upper end of a range
HEDGES = "about|around|approximately|roughly|nearly|likely|typically|probably|possibly|potentially|usually|often|mostly"
LINKS = (
    "of|in|at|from|to|between|above|below|under|over|up to|within|at least|near|is|are|ranging|spanning|extending|"
    "reaching|exceeding|peaking|centered|concentrated|focused|falling|that spans|that ranges|the range|the|a range"
)
LEAD = rf"(?:(?:{HEDGES}|{LINKS})\s+)+"


def softened(record: Record) -> Record | None:
    """The record with words instead of its uncarried numbers; None where no rule fits, and for options.

    Brackets that hold a number are left out; frequencies become low, mid or high ones, times short or long ones.
    """
    if options_of(record):
        return None
    text = record.answer
    for quantity in sorted(uncarried(record), key=lambda quantity: -len(quantity.text)):
        changed = _soften(text, quantity)
        if changed is None:
            return None
        text = changed
    text = re.sub(r"\s+([,.;:])", r"\1", re.sub(r"[^\S\n]{2,}", " ", text)).strip()
    made = replace(record, answer=text)
    return made if text and not uncarried(made) else None


@cache
def _rules() -> dict[str, Any]:
    return tomllib.loads(files("mellow.data.filters").joinpath("softening.toml").read_text(encoding="utf-8"))


def _soften(text: str, quantity: Quantity) -> str | None:
    """One number replaced; None where no rule fits. One that went with a bracket before is gone already."""
    if quantity.text not in text:
        return text
    table = _rules()[quantity.unit]
    middle = (max(quantity.low, 1e-3) * max(quantity.high, 1e-3)) ** 0.5
    word = next(word for bound, word in table["words"] if middle < bound)
    if "wide" in table and quantity.high > WIDE * max(quantity.low, 1.0):
        word = table["wide"]
    for rule in table["rules"]:
        find = rule["find"].replace("[lead]", LEAD).replace("[N]", re.escape(quantity.text))
        if match := re.search(find, text, re.IGNORECASE):
            written = match.expand(rule["write"].replace("[word]", word))
            return text[: match.start()] + written + text[match.end() :]
    return None
