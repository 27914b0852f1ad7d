"""Numbers on example files: rows by task, answers, option places, and the text-only control."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mellow.data.control import text_only_control
from mellow.types import Example

__all__ = ["report"]

CONTROL_ROWS = 15_000  # closed-ended rows of a split that the control looks at, at most
WORD = re.compile(r"\w+")


def report(rows: Mapping[str, Sequence[Example]], *, seed: int) -> dict[str, Any]:
    """What each split holds, as plain values for JSON."""
    return {split: _split(examples, seed) for split, examples in rows.items()}


def _split(examples: Sequence[Example], seed: int) -> dict[str, Any]:
    tasks: dict[str, list[Example]] = defaultdict(list)
    words: set[str] = set()
    for example in examples:
        tasks[example.task].append(example)
        words.update(WORD.findall(f"{example.question} {example.answer}".lower()))
    closed = [example for example in examples if example.choices and example.audio]
    if len(closed) > CONTROL_ROWS:
        closed = random.Random(seed).sample(closed, CONTROL_ROWS)
    control = text_only_control(closed, seed)
    return {
        "rows": len(examples),
        "clips": len({clip for example in examples for clip in example.audio}),
        "vocabulary": len(words),
        "tasks": {task: _task(found) for task, found in sorted(tasks.items())},
        "control": {task: {**asdict(row), "accuracy": row.accuracy} for task, row in control.items()},
    }


def _task(examples: Sequence[Example]) -> dict[str, Any]:
    closed = [example for example in examples if example.choices]
    places: dict[str, Counter[int]] = defaultdict(Counter)
    for example in closed:
        places[str(len(example.choices))][example.choices.index(example.answer)] += 1
    return {
        "rows": len(examples),
        "closed": len(closed),
        "answer_words": round(sum(len(e.answer.split()) for e in examples) / len(examples), 1),
        "questions": len({example.question for example in examples}),
        "places": {
            count: [round(found[place] / found.total(), 3) for place in range(int(count))]
            for count, found in sorted(places.items(), key=lambda item: int(item[0]))
            if int(count) <= 6
        },
    }
