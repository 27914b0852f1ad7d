"""Questions that a model of text answers without audio, fitted on rows about other clips."""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Sequence

import numpy as np

from mellow.data.control import LEAST_ROWS
from mellow.data.filters.base import Counting
from mellow.data.records import Record
from mellow.data.tally import key_of
from mellow.data.text_only import ByLabel, ByOption, TextOnly, accuracy

__all__ = ["FOLDS", "Sample", "TextOnlyFilter", "closed", "fold_of"]

FOLDS = 3
ROWS = 12_000  # of a family, on which the models are fitted


def closed(record: Record) -> bool:
    """Whether a record lets one choose and its answer is one of its choices."""
    return len(record.choices) > 1 and record.answer in record.choices


class Sample:
    """Keeps the records with the smallest keys of their content: as good as drawn at random, whatever their order."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[int, int, Record]] = []
        self._seen = 0

    def add(self, record: Record) -> None:
        self._seen += 1
        item = (-key_of(record.id), self._seen, record)
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, item)
        elif item > self._heap[0]:
            heapq.heapreplace(self._heap, item)

    def records(self) -> list[Record]:
        """In the order in which they were added."""
        return [record for _, _, record in sorted(self._heap, key=lambda item: item[1])]


class TextOnlyFilter(Counting):
    """Rejects a question whose answer a model of text gives with confidence.

    Three models per family, each fitted on the clips of two thirds; a record is judged by the one that has seen none of
    its clip. Of the two ways (by option, by label) the better one is taken. A question that is guessed without
    confidence stays: with four options, every fourth guess is right.
    confidence: probability of the option from which the question is rejected.
    """

    name = "answerable by text"

    def __init__(self, confidence: float = 0.8, rows: int = ROWS) -> None:
        self._confidence, self._rows = confidence, rows
        self._samples: dict[str, Sample] = {}
        self._models: dict[str, list[TextOnly]] = {}

    def observe(self, record: Record) -> None:
        if closed(record):
            self._samples.setdefault(record.task, Sample(self._rows)).add(record)

    def finish(self) -> None:
        for task, sample in self._samples.items():
            rows = sample.records()
            parts = [[row for row in rows if fold_of(row) == fold] for fold in range(FOLDS)]
            if min(map(len, parts)) >= LEAST_ROWS:
                self._models[task] = _better(parts)
        self._samples.clear()

    def reasons(self, records: Sequence[Record]) -> list[str | None]:
        found: list[str | None] = [None] * len(records)
        for task, models in self._models.items():
            for fold, model in enumerate(models):
                places = [
                    place
                    for place, record in enumerate(records)
                    if record.task == task and closed(record) and fold_of(record) == fold
                ]
                rows = [records[place] for place in places]
                for place, row, likely in zip(places, rows, model.probabilities(rows), strict=True):
                    found[place] = self._reason(row, likely)
        return found

    def _reason(self, record: Record, likely: np.ndarray) -> str | None:
        best = int(np.argmax(likely))
        if likely[best] < self._confidence or record.choices[best] != record.answer:
            return None
        return f"a model of text is {likely[best]:.0%} sure of the answer"


def fold_of(record: Record) -> int:
    """Records about one clip are in one fold; two clips count as one."""
    return zlib.crc32("|".join(record.audio or record.captions or (record.id,)).encode()) % FOLDS


def _better(parts: Sequence[list[Record]]) -> list[TextOnly]:
    """One model per part, fitted on the others: of the way that answers more of the parts left out."""
    ways: list[list[TextOnly]] = []
    scores: list[float] = []
    for way in (ByOption, ByLabel):
        models: list[TextOnly] = []
        for fold in range(len(parts)):
            models.append(way([row for other, part in enumerate(parts) if other != fold for row in part]))
        ways.append(models)
        scores.append(sum(accuracy(model, part) for model, part in zip(models, parts, strict=True)))
    return ways[int(np.argmax(scores))]
