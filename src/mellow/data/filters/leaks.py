"""Answers that stand in their own question."""

from __future__ import annotations

import re

from mellow.data.filters.base import SYNTHETIC
from mellow.data.records import Record
from mellow.data.wording import content_words, options_of, stem_of, without_letter, words

__all__ = ["leaking_answer"]

SHORT = 6  # content words of an answer that may stand in a question
OFFERS = re.compile(r"\bor\b|\bversus\b|\bvs\b", re.IGNORECASE)  # "Is it a dog or a cat?" has to name both
GENERAL = frozenset(["sound", "sounds", "noise", "noises", "audio", "clip", "recording", "yes", "no"])


def leaking_answer(record: Record) -> str | None:
    """The question names its answer, and no other option."""
    if record.task not in SYNTHETIC:
        return None
    answer, stem = without_letter(record.answer), stem_of(record)
    said = [word for word in content_words(answer) if word not in GENERAL]
    if not 0 < len(said) <= SHORT or len(answer) < 2 or OFFERS.search(stem) or not _names(stem, answer):
        return None
    others = [option for option in options_of(record) if words(option) != words(answer)]
    if any(_names(stem, option) for option in others):
        return None
    return f"the question names its answer {answer!r}"


def _names(stem: str, text: str) -> bool:
    """Whether the content words of a text follow one another in a question."""
    said = [word for word in content_words(text) if word not in GENERAL]
    asked = [word for word in content_words(stem) if word not in GENERAL]
    return bool(said) and any(asked[at : at + len(said)] == said for at in range(len(asked) - len(said) + 1))
