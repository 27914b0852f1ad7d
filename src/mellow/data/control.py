"""What questions give away without any sound: a model of text that must do no better than chance."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mellow.data.text_only import ByLabel, ByOption, Closed, accuracy
from mellow.types import Example

__all__ = ["LEAST_ROWS", "ControlRow", "control_row", "text_only_control"]

TEST_PERCENT = 33
LEAST_ROWS = 30  # of a task, in each part, below which nothing is said


@dataclass(frozen=True)
class ControlRow:
    """One task: closed-ended test rows, accuracy from the text alone, and what guessing gives.

    by_option: choosing the option that looks most like an answer (its words, place, length, overlap with the question).
    by_label: choosing the most likely label given the words of the question; equal to chance where options vary freely.
    """

    rows: int
    chance: float
    by_option: float
    by_label: float

    @property
    def accuracy(self) -> float:
        return max(self.by_option, self.by_label)


def text_only_control(examples: Iterable[Example], seed: int) -> dict[str, ControlRow]:
    """Train on two thirds of the clips, answer the closed-ended rows of the other third from their text, by task."""
    tasks: dict[str, tuple[list[Example], list[Example]]] = defaultdict(lambda: ([], []))
    for example in examples:
        if not example.choices or not example.audio:
            continue
        sides = {_in_test(clip, seed) for clip in example.audio}
        if len(sides) == 1:
            tasks[example.task][sides.pop()].append(example)
    return {
        task: control_row(train, test)
        for task, (train, test) in sorted(tasks.items())
        if min(len(train), len(test)) >= LEAST_ROWS
    }


def _in_test(clip: str, seed: int) -> bool:
    return zlib.crc32(f"{seed}:{clip}".encode()) % 100 < TEST_PERCENT


def control_row(train: Sequence[Closed], test: Sequence[Closed]) -> ControlRow:
    """Fit both models of text on rows, and answer others with them."""
    chance = float(np.mean([1 / len(row.choices) for row in test]))
    return ControlRow(len(test), chance, accuracy(ByOption(train), test), accuracy(ByLabel(train), test))
