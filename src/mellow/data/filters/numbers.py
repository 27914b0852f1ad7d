"""Numbers that no caption carries: answers that state hertz, decibels or seconds about a clip nobody measured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from mellow.data.records import Record
from mellow.data.wording import options_of

__all__ = ["Quantity", "Unit", "quantities", "uncarried", "unit_names"]

Unit = Literal["Hz", "dB", "s"]
NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
SPELLED = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
FACTORS: dict[str, tuple[Unit, float]] = {
    "hz": ("Hz", 1.0),
    "hertz": ("Hz", 1.0),
    "khz": ("Hz", 1000.0),
    "kilohertz": ("Hz", 1000.0),
    "db": ("dB", 1.0),
    "dbfs": ("dB", 1.0),
    "dba": ("dB", 1.0),
    "decibel": ("dB", 1.0),
    "decibels": ("dB", 1.0),
    "ms": ("s", 0.001),
    "milliseconds": ("s", 0.001),
    "millisecond": ("s", 0.001),
    "s": ("s", 1.0),
    "sec": ("s", 1.0),
    "secs": ("s", 1.0),
    "second": ("s", 1.0),
    "seconds": ("s", 1.0),
    "minute": ("s", 60.0),
    "minutes": ("s", 60.0),
}
UNITS = "|".join(sorted(FACTORS, key=len, reverse=True))
VALUE = rf"(?:-?{NUMBER}|\b(?:{'|'.join(SPELLED)})\b)"
JOINT = r"\s*(?:-|–|—|to|and|or)\s*"
QUANTITY = re.compile(
    rf"(?P<low>{VALUE})\s*(?:(?P<first>{UNITS})\b)?(?:(?P<joint>{JOINT})(?P<high>{VALUE}))?[\s-]*(?P<unit>{UNITS})\b",
    re.IGNORECASE,
)
MARKS = ("hz", "hertz", "db", "decibel", "sec", "minute", "ms")  # one of which a text with a number has to hold
SECONDS = re.compile(r"\ds\b|\d s\b")
LONE_S = re.compile(r"^\d+\s*s$")  # "1980s" is a decade
ORDER = re.compile(r"\b(?:the|a|each|every|per|one|another)\s+second\b", re.IGNORECASE)


@dataclass(frozen=True)
class Quantity:
    """A number with its unit, in Hz, dB or seconds; low and high are equal where it is no range."""

    text: str
    unit: Unit
    low: float
    high: float


@lru_cache(maxsize=4096)
def quantities(text: str) -> tuple[Quantity, ...]:
    """All numbers with a unit of frequency, level or time."""
    lower = text.lower()
    return tuple(_quantities(text)) if any(mark in lower for mark in MARKS) or SECONDS.search(lower) else ()


def _quantities(text: str) -> Iterator[Quantity]:
    for match in QUANTITY.finditer(text):
        if (LONE_S.match(match[0].lower()) and len(match["low"]) == 4) or ORDER.search(match[0]):
            continue
        unit, factor = FACTORS[match["unit"].lower()]
        first_unit, first = FACTORS[match["first"].lower()] if match["first"] else (unit, factor)
        low = _value(match["low"]) * first
        high = _value(match["high"]) * factor if match["high"] else low
        if match["first"] and match["joint"] and not _is_range(match, first_unit == unit):
            yield Quantity(text[match.start() : match.end("first")], first_unit, low, low)
            yield Quantity(text[match.start("high") : match.end()], unit, high, high)
        else:
            yield Quantity(match[0], unit, min(low, high), max(low, high))


def _is_range(match: re.Match[str], same_unit: bool) -> bool:
    """Whether two numbers with a unit each are one range: `5 kHz to 20 kHz`, but `1 kHz and 2 kHz` behind "between"."""
    is_list = match["joint"].strip().lower() in ("and", "or")
    return same_unit and not (is_list and not match.string[: match.start()].rstrip().lower().endswith("between"))


def _value(text: str) -> float:
    return float(SPELLED[text.lower()]) if text.lower() in SPELLED else float(text.replace(",", ""))


def uncarried(record: Record) -> tuple[Quantity, ...]:
    """The numbers of an answer (and of the options) that neither a caption nor the question's stem states."""
    options = " ; ".join(options_of(record))
    said = quantities(f"{record.answer} ; {options}" if options else record.answer)
    if not said:
        return ()
    known = [(q.unit, q.low, q.high) for caption in record.captions for q in quantities(caption)]
    return tuple(dict.fromkeys(q for q in said if (q.unit, q.low, q.high) not in known))


def unit_names(found: tuple[Quantity, ...]) -> str:
    return ", ".join(sorted({quantity.unit for quantity in found}))
