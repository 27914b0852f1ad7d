"""Vague questions: Table 12's "What might the perception of the clip change if other sounds were added to it?"."""

from __future__ import annotations

from mellow.data.filters.base import SYNTHETIC, pattern
from mellow.data.records import Record
from mellow.data.wording import stem_of

__all__ = ["vague"]


def vague(record: Record) -> str | None:
    """The question supposes what is not there, or could be asked of anything."""
    if record.task not in SYNTHETIC:
        return None
    stem = stem_of(record).lower().strip(" ?.!")
    match = pattern("vague").search(stem)
    return f"the question is vague ({match[0].strip()!r})" if match else None
