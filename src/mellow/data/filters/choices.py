"""Faults of multiple choice: an answer that is no option, and two options that are both right."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from mellow.data.filters.base import pattern
from mellow.data.records import Record
from mellow.data.wording import is_yes_no, lettered, options_of, roots, stem_of, without_letter, words

__all__ = ["answer_is_no_option", "two_right_options"]

PRESENCE = re.compile(
    r"\b(?:present|heard|hear|occur\w*|happen\w*|contain\w*|what sounds?|which sounds?|sound events?|sound sources?)\b",
    re.IGNORECASE,
)


def answer_is_no_option(record: Record) -> str | None:
    """The answer is none of the options, or its letter is another option's."""
    options = options_of(record)
    if not options:
        return "the question has no options" if record.task == "mcq" else None
    if is_yes_no(record):
        return None
    plain = [_plain(option) for option in options]
    if len(options) < 2:
        return "the question has a single option"
    if _plain(without_letter(record.answer)) not in plain:
        return "the answer is none of the options"
    place = plain.index(_plain(without_letter(record.answer)))
    letter = lettered(record.answer)
    if letter is not None and "a" <= letter <= "z" and ord(letter) - ord("a") != place and not _own(options, record):
        return f"the answer's letter {letter!r} is another option's"
    return None


def two_right_options(record: Record) -> str | None:
    """Two options are equal, one says less of the same as the right one, or the caption tells several of them."""
    options = options_of(record)
    if len(options) < 2 or record.task == "entailment" or is_yes_no(record):
        return None
    if (twice := Counter(map(_plain, options)).most_common(1)[0])[1] > 1:
        return f"the option {twice[0]!r} is there twice"
    right = _plain(without_letter(record.answer))
    others = [option for option in options if _plain(option) != right and not pattern("about_options").search(option)]
    mine = roots(right)
    for other in others:
        if mine and roots(other) and (mine <= roots(other) or roots(other) <= mine) and not _opposes(right, other):
            return f"the options {right!r} and {other!r} are both right"
    return _told_by_caption(record, others, right)


def _told_by_caption(record: Record, others: Sequence[str], right: str) -> str | None:
    """Asked what is heard, the caption holds all words of an option that is not the answer."""
    if len(record.captions) != 1 or pattern("about_options").search(right) or not PRESENCE.search(stem_of(record)):
        return None
    told = roots(record.captions[0])
    if not roots(right) <= told:
        return None
    also = next((option for option in others if roots(option) and roots(option) <= told), None)
    return f"the caption tells {right!r} and {also!r}" if also else None


def _plain(text: str) -> str:
    return " ".join(words(text)) or text.strip()


def _opposes(one: str, other: str) -> bool:
    """`It is present` and `It is not present` share their content words."""
    negative = {"no", "not", "never", "without", "neither", "nor", "none"}
    spelled = [set(words(text)) for text in (one, other)]
    if bool(spelled[0] & negative) != bool(spelled[1] & negative):
        return True
    return roots(one) == roots(other)  # told apart by small words: `before the dog`, `after the dog`


def _own(options: Sequence[str], record: Record) -> bool:
    """Whether letters are words of the options, as in keys of music."""
    return any(_plain(record.answer) == _plain(option) for option in options)
