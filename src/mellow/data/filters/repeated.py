"""Questions that are repeated across clips: Table 12's "Does the audio clip convey a sense of urgency?"."""

from __future__ import annotations

from collections.abc import Sequence

from mellow.data.filters.base import SYNTHETIC, Counting
from mellow.data.records import Record
from mellow.data.tally import Tally, key_of
from mellow.data.wording import stem_of, words

__all__ = ["RepeatedQuestions"]

ALL = 1 << 64


class RepeatedQuestions(Counting):
    """Of a question that is asked more often than the limit, keeps about as many as the limit, chosen by their content.

    A published template (`caption the audio`, a difference, an entailment) is meant to be repeated.
    most: how often a question (without its options) may be asked, as a share of the family's rows.
    least: ... but at least so often.
    """

    name = "repeated question"

    def __init__(self, most: float = 0.005, least: int = 20) -> None:
        self._most, self._least = most, least
        self._tallies: dict[str, Tally] = {}
        self._limits: dict[str, int] = {}
        self._frequent: dict[str, dict[int, int]] = {}

    def observe(self, record: Record) -> None:
        if record.task in SYNTHETIC:
            self._tallies.setdefault(record.task, Tally()).add(_key(record))

    def finish(self) -> None:
        for task, tally in self._tallies.items():
            keys, counts = tally.counts()
            limit = max(self._least, int(self._most * tally.total()))
            over = counts > limit
            self._limits[task] = limit
            self._frequent[task] = dict(zip(keys[over].tolist(), counts[over].tolist(), strict=True))
        self._tallies.clear()

    def reasons(self, records: Sequence[Record]) -> list[str | None]:
        return [self._reason(record) for record in records]

    def _reason(self, record: Record) -> str | None:
        frequent = self._frequent.get(record.task)
        if not frequent:
            return None
        count, limit = frequent.get(_key(record), 0), self._limits[record.task]
        if not count or key_of(record.id) < ALL * limit // count:
            return None
        return f"the question is asked {count} times; at most {limit} are kept"


def _key(record: Record) -> int:
    return key_of(*words(stem_of(record)))
