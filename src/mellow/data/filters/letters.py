"""Letter bias: right answers that stand in one place too often; and the cure, places drawn from the content."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from mellow.data.filters.base import pattern
from mellow.data.records import Record
from mellow.data.tally import key_of
from mellow.data.wording import lettered, start_of_options, without_letter

__all__ = ["rebalanced"]

ORDINAL = re.compile(r"\b(?:first|second|third|last) (?:option|choice)\b|\b(?:option|choice) [a-f]\b", re.IGNORECASE)


def rebalanced(record: Record, seed: int = 0) -> Record:
    """The same question with its options in another order, so that every place is right equally often.

    The order depends on the seed and on what is asked, not on the order found: to do it twice changes nothing. Letters
    before the options and the answer follow. Left as they are: labels (yes and no, entailment), options that speak of
    other options ("both A and B") or follow one another (numbers), and questions in whose text they are not found.
    """
    options = [without_letter(choice) for choice in record.choices]
    if len(options) < 2 or record.task in ("entailment", "binary") or record.answer not in record.choices:
        return record
    if any(pattern("about_options").search(option.lower()) for option in options) or ORDINAL.search(record.question):
        return record
    if len(set(options)) < len(options) or _follow_one_another(options):
        return record
    order = sorted(range(len(options)), key=options.__getitem__)
    random.Random(key_of(str(seed), *record.audio, *sorted(options))).shuffle(order)
    moved = [options[place] for place in order]
    question = _with_options(record.question, options, moved)
    if question is None:
        return record
    marks = [choice[: len(choice) - len(option)] for choice, option in zip(record.choices, options, strict=True)]
    choices = tuple(mark + option for mark, option in zip(marks, moved, strict=True))
    place = order.index(record.choices.index(record.answer))
    return replace(record, question=question, choices=choices, answer=choices[place])


def _with_options(question: str, options: Sequence[str], moved: Sequence[str]) -> str | None:
    """The question with each option replaced; None where it holds some of them but not as a list."""
    start = start_of_options(question, options)
    if start is None:
        return None if any(lettered(line) for line in question.splitlines()) or options[0] in question else question
    parts, at = [question[:start]], start
    for option, other in zip(options, moved, strict=True):
        found = question.index(option, at)
        parts += [question[at:found], other]
        at = found + len(option)
    return "".join([*parts, question[at:]])


def _follow_one_another(options: Sequence[str]) -> bool:
    """Numbers in ascending or descending order; people expect them so."""
    try:
        numbers = [float(option.split()[0]) for option in options]
    except (ValueError, IndexError):
        return False
    return numbers in (sorted(numbers), sorted(numbers, reverse=True))
