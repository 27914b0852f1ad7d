"""The text-only control as a gate: a family that text alone answers is refused unless it is allowed by name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mellow.data.control import LEAST_ROWS, ControlRow
from mellow.data.filters.text_only import FOLDS, Sample, closed, fold_of
from mellow.data.measures.base import family_of, share
from mellow.data.records import Record, Split, Task
from mellow.data.section import Section, Value
from mellow.data.text_only import ByLabel, ByOption, accuracy
from mellow.errors import DataError

__all__ = ["ALLOWED", "Controlled", "TextControl", "gate"]

ALLOWED = 0.05  # above chance, which a family may be without being named
ROWS = 15_000  # of a published file in a split that are looked at


@dataclass(frozen=True)
class Controlled:
    """What text alone answers of one family.

    name: the published file, else the task; task: the family by which it is allowed; trained: on which rows.
    frequent: accuracy of the most frequent answer.
    """

    name: str
    task: Task
    trained: str
    frequent: float
    row: ControlRow

    @property
    def above(self) -> float:
        """Accuracy above chance, from 0 to 1."""
        return self.row.accuracy - self.row.chance


class TextControl:
    """Answers closed-ended questions without audio: fitted on the training rows of a task, judged on its other splits.

    Where a published file has rows of one split only, it is fitted on the clips of two thirds and judged on the rest;
    where its task has training rows in another file, on those (ACE on CLE).
    """

    def __init__(self, rows: int = ROWS) -> None:
        self._rows = rows
        self._samples: dict[tuple[Task, str, Split], Sample] = {}

    def observe(self, record: Record) -> None:
        if closed(record):
            key = (record.task, family_of(record), record.split)
            if key not in self._samples:
                self._samples[key] = Sample(self._rows)
            self._samples[key].add(record)

    def results(self) -> list[Controlled]:
        """One per published file with enough rows, in order of their names."""
        rows: dict[tuple[Task, str], dict[Split, list[Record]]] = defaultdict(dict)
        for (task, name, split), sample in self._samples.items():
            rows[task, name][split] = sample.records()
        found = []
        for task in sorted({task for task, _ in rows}):
            files = {name: splits for (other, name), splits in rows.items() if other == task}
            train = [row for splits in files.values() for row in splits.get("train", [])]
            models = (ByOption(train), ByLabel(train)) if len(train) >= LEAST_ROWS else None
            for name, splits in sorted(files.items()):
                test = splits.get("test") or splits.get("val") or []
                if models and len(test) >= LEAST_ROWS:
                    row = _judged(models, test)
                    found.append(Controlled(name, task, "training rows", _frequent(test), row))
                elif (made := _folded([row for part in splits.values() for row in part])) is not None:
                    found.append(Controlled(name, task, "other clips", *made))
        return found

    def sections(self) -> list[Section]:
        rows: dict[str, dict[str, Value]] = {}
        for one in self.results():
            rows[one.name] = {
                "rows": one.row.rows,
                "chance": round(one.row.chance, 4),
                "most frequent": round(one.frequent, 4),
                "by option": round(one.row.by_option, 4),
                "by label": round(one.row.by_label, 4),
                "text only": round(one.row.accuracy, 4),
                "fitted on": one.trained,
                "gate": "refused unless allowed" if one.above > ALLOWED else "passes",
            }
        note = (
            "Accuracy of a model that reads questions and options without hearing anything (TF-IDF and logistic "
            "regression). A family more than 5 points above chance can be solved without listening."
        )
        shares = frozenset({"chance", "most frequent", "by option", "by label", "text only"})
        return [Section("text_only", "Answered by text alone", rows, shares, note)]


def gate(records: Iterable[Record], *, allow: Collection[str] = ()) -> list[Controlled]:
    """What text alone answers; DataError for a family more than 5 points above chance that `allow` does not name.

    allow: tasks (`entailment`) or published files (`CLE`, `CLE.json`).
    """
    control = TextControl()
    for record in records:
        control.observe(record)
    results = control.results()
    names = {name.removesuffix(".json") for name in allow}
    refused = [one for one in results if one.above > ALLOWED and not names & {one.name, one.task}]
    if refused:
        worst = max(refused, key=lambda one: one.above)
        raise DataError(
            f"{worst.row.accuracy:.1%} of the {worst.name} questions are answered by their text alone (chance "
            f"{worst.row.chance:.1%}); remove what gives the answers away, or allow the family {worst.task!r} by name."
        )
    return results


def _judged(models: tuple[ByOption, ByLabel], test: Sequence[Record]) -> ControlRow:
    chance = float(np.mean([1 / len(row.choices) for row in test]))
    return ControlRow(len(test), chance, accuracy(models[0], test), accuracy(models[1], test))


def _folded(rows: Sequence[Record]) -> tuple[float, ControlRow] | None:
    """Fitted on two thirds of the clips; None where there are too few rows."""
    test = [row for row in rows if fold_of(row) == FOLDS - 1]
    train = [row for row in rows if fold_of(row) != FOLDS - 1]
    if min(len(train), len(test)) < LEAST_ROWS:
        return None
    return _frequent(test), _judged((ByOption(train), ByLabel(train)), test)


def _frequent(rows: Sequence[Record]) -> float:
    counts = Counter(row.answer.lower() for row in rows)
    return share(counts.most_common(1)[0][1], len(rows))
