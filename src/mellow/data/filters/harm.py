"""Harmful content (appendix A.1), by rules: `harmful.toml` lists what is looked for."""

from __future__ import annotations

import re
from functools import cache

from mellow.data.filters.base import patterns
from mellow.data.records import Record

__all__ = ["harmful"]


@cache
def _any() -> re.Pattern[str]:
    return re.compile("|".join(one.pattern for one in patterns("harmful.toml").values()))


def harmful(record: Record) -> str | None:
    """The question, an option or the answer is harmful; the kind of harm is named, its words are not repeated."""
    text = f"{record.question}\n{record.answer}".lower().replace("’", "'")
    if not _any().search(text):
        return None
    kind = next(name for name, one in patterns("harmful.toml").items() if one.search(text))
    return f"harmful: {kind.replace('_', ' ')}"
