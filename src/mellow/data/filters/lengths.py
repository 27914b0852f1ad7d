"""Questions and answers that are too short or too long, and those that a language model spoiled while writing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from mellow.data.filters.base import SYNTHETIC, pattern
from mellow.data.records import Record
from mellow.data.wording import stem_of, words

__all__ = ["bad_generation", "bad_length"]

QUESTION = (3, 80)  # words, options not counted
ANSWER: Mapping[str, tuple[int, int]] = {  # words by family
    "mcq": (1, 30),
    "detail": (3, 300),
    "caption": (2, 100),
    "difference": (4, 600),
    "binary": (1, 60),
}
LOOP_WORDS, LOOP_TIMES, LOOP_SHARE = 5, 3, 0.3  # a run of words that is so much of an answer is a loop
LONG = 15  # words from which an answer is a sentence and ends like one


def bad_length(record: Record) -> str | None:
    """The question or the answer has too few or too many words for its family."""
    asked, said = len(words(stem_of(record))), len(words(record.answer))
    if not QUESTION[0] <= asked <= QUESTION[1]:
        return f"the question has {asked} words"
    low, high = ANSWER.get(record.task, (1, 600))
    return None if low <= said <= high else f"the answer has {said} words"


def bad_generation(record: Record) -> str | None:
    """Leftovers of a prompt, talk about the caption, a loop, or an answer that was cut off."""
    if record.task not in (*SYNTHETIC, "difference"):
        return None
    for what, text in (("question", stem_of(record)), ("answer", record.answer)):
        if match := pattern("leftover").search(text.lower()):
            return f"the {what} has leftovers of its making ({match[0].strip()!r})"
    said = words(record.answer)
    runs = Counter(said[at : at + LOOP_WORDS] for at in range(len(said) - LOOP_WORDS + 1))
    loop = max(runs.items(), key=lambda run: run[1], default=((), 0))
    if loop[1] >= LOOP_TIMES and loop[1] * LOOP_WORDS >= LOOP_SHARE * len(said):
        return f"the answer repeats {' '.join(loop[0])!r} {loop[1]} times"
    if len(said) >= LONG and record.answer.rstrip()[-1:] not in ".!?\"')”’]":
        return "the answer is cut off"
    return None
