"""Label conflicts: the same question about the same clips with different answers, as annotators give them."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from mellow.data.measures.base import clip_name, family_of, share
from mellow.data.records import Record
from mellow.data.section import Section
from mellow.data.tally import Tally, key_of
from mellow.data.wording import is_yes_no, options_of

__all__ = ["Conflicts", "conflicts"]

ANSWER_BITS = 24  # of a key; the others tell the question


class Conflicts:
    """Counts them per family and split, for questions that let one choose."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)

    def observe(self, record: Record) -> None:
        if is_yes_no(record) or options_of(record):
            question = key_of(record.question.strip().lower(), *map(clip_name, record.audio))
            answer = key_of(record.answer.strip(" .").lower())
            self._tallies[family_of(record), record.split].add(
                question >> ANSWER_BITS << ANSWER_BITS | answer >> (64 - ANSWER_BITS)
            )

    def sections(self) -> list[Section]:
        rows = {f"{family}, {split}": conflicts(tally) for (family, split), tally in sorted(self._tallies.items())}
        note = (
            "Questions about the same clips whose answers differ. The ceiling is the accuracy of one who always gives "
            "the most frequent answer to each question: more is impossible, however well one listens."
        )
        return [Section("conflicts", "Label conflicts", rows, frozenset({"conflicting", "ceiling"}), note)]


def conflicts(tally: Tally) -> dict[str, int | float]:
    """Of keys whose upper bits tell the question and whose lower 24 bits the answer."""
    keys, counts = tally.counts()
    if not len(keys):
        return {"rows": 0, "questions": 0, "conflicting": 0.0, "ceiling": 1.0}
    starts = np.flatnonzero(np.concatenate([[True], np.diff(keys >> np.uint64(ANSWER_BITS)) != 0]))
    best = np.maximum.reduceat(counts, starts)
    answers = np.diff(np.append(starts, len(keys)))
    return {
        "rows": int(counts.sum()),
        "questions": len(starts),
        "conflicting": share(int((answers > 1).sum()), len(starts)),
        "ceiling": share(int(best.sum()), int(counts.sum())),
    }
