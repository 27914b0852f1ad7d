"""Harmful content (appendix A.1), by rules: `harmful.toml` lists what is looked for."""

from __future__ import annotations

import re
from functools import cache

from mellow.data.filters.base import patterns
from mellow.data.records import Record

__all__ = ["harmful"]


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    found = patterns("harmful.toml")
    return {name: re.compile(rf"\b(?:{one.pattern})(?!\w)", re.IGNORECASE) for name, one in found.items()}


@cache
def _any() -> re.Pattern[str]:
    return re.compile("|".join(one.pattern for one in _patterns().values()), re.IGNORECASE)


def harmful(record: Record) -> str | None:
    """The question, an option or the answer is harmful; the kind of harm is named, its words are not repeated."""
    text = f"{record.question}\n{record.answer}".replace("’", "'")
    if not _any().search(text):
        return None
    return next(f"harmful: {name.replace('_', ' ')}" for name, one in _patterns().items() if one.search(text))
