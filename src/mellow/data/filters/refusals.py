"""Answers that refuse: Table 12's "The duration of the whistling is unknown."."""

from __future__ import annotations

from mellow.data.filters.base import pattern
from mellow.data.records import Record
from mellow.data.wording import sentences, without_letter

__all__ = ["refusal"]


def refusal(record: Record) -> str | None:
    """The first sentence refuses, or half of them do; a remark at the end of a real answer is none.

    Entailment asks for "I cannot determine", and is left alone.
    """
    if record.task == "entailment":
        return None
    answer = without_letter(record.answer).lower().replace("’", "'")
    if pattern("refusal_whole").fullmatch(answer.strip(" .")):
        return f"the answer is {answer!r}"
    if not pattern("refusal").search(answer):
        return None
    said = sentences(answer)
    refusing = [sentence for sentence in said if pattern("refusal").search(sentence)]
    if refusing and (refusing[0] == said[0] or 2 * len(refusing) >= len(said)):
        match = pattern("refusal").search(refusing[0])
        return f"the answer refuses ({match[0]!r})" if match else None
    return None
