"""The text-only control as a gate: a family that can be answered without its audio does not enter unnoticed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from mellow.data.control import text_only_control
from mellow.data.filters.text_only import closed, sample_of
from mellow.data.records import Record
from mellow.errors import DataError

__all__ = ["Gate"]

ROWS = 12_000  # of a family, that the models of text are fitted on and tested with
MARGIN = 0.05  # above chance


class Gate:
    """Collects closed-ended rows of one split by family, in bounded memory, and judges at the end."""

    def __init__(self, allowed: Sequence[str], seed: int) -> None:
        self._allowed = allowed
        self._seed = seed
        self._samples: dict[str, sample_of] = {}

    def add(self, record: Record) -> None:
        if closed(record) and record.audio:
            self._samples.setdefault(record.task, sample_of(ROWS)).add(record)

    def judge(self, split: str) -> dict[str, Any]:
        """Accuracy from the text alone and chance by family; DataError for one too far above that is not allowed."""
        examples = [record.to_example() for sample in self._samples.values() for record in sample.records()]
        found = text_only_control(examples, self._seed)
        for task, row in found.items():
            if row.accuracy > row.chance + MARGIN and task not in self._allowed:
                raise DataError(
                    f"The {task} questions of {split} can be answered from their text alone in "
                    f"{row.accuracy:.1%} of cases (chance {row.chance:.1%}); filter them, "
                    f"or add {task} to allow_text_only in the recipe."
                )
        return {task: {**asdict(row), "accuracy": row.accuracy} for task, row in found.items()}
