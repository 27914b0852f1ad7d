"""Faults of multiple choice: an answer that is no option, and two options that are both right."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from mellow.data.filters.base import pattern
from mellow.data.records import Record
from mellow.data.wording import content_words, is_yes_no, lettered, options_of, roots, stem_of, without_letter, words

__all__ = ["answer_is_no_option", "two_right_options"]

PRESENCE = re.compile(
    r"\b(?:present|heard|hear|occur\w*|happen\w*|contain\w*|what sounds?|which sounds?|sound events?|sound sources?)\b",
    re.IGNORECASE,
)
TELLING = frozenset(  # words that turn the meaning of an option
    """no not never without neither nor none and or only both all each every some many few more less most least first
    second third last one two three four before after during while above below over under on off in out up down to
    from very left right high low""".split()  # noqa: SIM905  # reads better than 60 strings
)
SYMBOLS = re.compile(r"[#:/+=\d]")  # chords, times, sums


def answer_is_no_option(record: Record) -> str | None:
    """The answer is none of the options, or its letter is another option's."""
    options = options_of(record)
    if not options:
        return "the question has no options" if record.task == "mcq" else None
    if is_yes_no(record):
        return None
    if len(options) < 2:
        return "the question has a single option"
    plain = [_plain(option) for option in options]
    answer = _plain(without_letter(record.answer))
    if answer not in plain:
        return "the answer is none of the options"
    letter = lettered(record.answer)
    if letter is not None and _plain(record.answer) not in plain and ord(letter) - ord("a") != plain.index(answer):
        return f"the answer's letter {letter!r} is another option's"
    return None


def two_right_options(record: Record) -> str | None:
    """Two options are equal, one says more of the same as the right one, or the caption tells several of them."""
    options = options_of(record)
    if len(options) < 2 or record.task == "entailment" or is_yes_no(record):
        return None
    if (twice := Counter(map(_plain, options)).most_common(1)[0])[1] > 1:
        return f"the option {twice[0]!r} is there twice"
    right = without_letter(record.answer)
    others = [option for option in options if _plain(option) != _plain(right) and not _is_about_options(option)]
    same = next((option for option in others if _says_the_same(right, option)), None)
    if same is not None:
        return f"the options {right!r} and {same!r} are both right"
    return _told_by_caption(record, others, right)


def _told_by_caption(record: Record, others: Sequence[str], right: str) -> str | None:
    """Asked what is heard, the caption holds all words of an option that is not the answer."""
    if len(record.captions) != 1 or _is_about_options(right) or not PRESENCE.search(stem_of(record)):
        return None
    told = roots(record.captions[0])
    if not roots(right) <= told:
        return None
    also = next((option for option in others if roots(option) and roots(option) <= told), None)
    return f"the caption tells {right!r} and {also!r}" if also else None


def _plain(text: str) -> str:
    return " ".join(text.lower().strip(" .!?,;").split())


def _is_about_options(text: str) -> bool:
    return pattern("about_options").search(text.lower()) is not None


def _says_the_same(one: str, other: str) -> bool:
    """Whether the content words of one stand in the other in a row, and no word that turns the meaning is added."""
    if SYMBOLS.search(one + other) or (set(words(one)) ^ set(words(other))) & TELLING:
        return False
    short, long = sorted((content_words(one), content_words(other)), key=len)
    return bool(short) and any(long[at : at + len(short)] == short for at in range(len(long) - len(short) + 1))
