"""Questions and answers about scenes: one module per family, one table of all families."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from mellow.data.scenes import phrases
from mellow.data.scenes.scene import Scene
from mellow.data.tasks import (
    caption,
    choices,
    compare,
    count,
    difference,
    entailment,
    identify,
    inference,
    nothing,
    order,
    practice,
    timing,
    which,
    yesno,
)
from mellow.data.tasks.view import Draw, DrawPair, Pair, View
from mellow.data.tasks.vocabulary import Vocabulary
from mellow.types import Example

__all__ = [
    "PAIR_TASKS",
    "TASKS",
    "Task",
    "Vocabulary",
    "examples_for_pair",
    "examples_for_scene",
    "examples_without_audio",
    "open_vocabulary",
]

Maker = TypeVar("Maker")
TRIES_PER_EXAMPLE = 30


@dataclass(frozen=True)
class Task(Generic[Maker]):
    """A family of questions. weight: how often it is drawn among the families."""

    draw: Maker
    weight: float


TASKS: Mapping[str, Task[Draw]] = {
    "identify": Task(identify.draw, 1.6),
    "caption": Task(caption.draw, 1.0),
    "choices": Task(choices.draw, 4.0),
    "yesno": Task(yesno.draw, 1.6),
    "count": Task(count.draw, 1.3),
    "order": Task(order.draw, 8.0),
    "compare": Task(compare.draw, 0.9),
    "time": Task(timing.draw, 1.1),
    "entailment": Task(entailment.draw, 1.7),
    "inference": Task(inference.draw_inference, 1.4),
    "character": Task(inference.draw_character, 0.7),
    "scene": Task(inference.draw_scene, 0.6),
    "knowledge": Task(inference.draw_knowledge, 1.2),
    "nothing": Task(nothing.draw_absent, 0.5),
}
SILENT_TASKS: Mapping[str, Task[Draw]] = {"nothing": Task(nothing.draw_nothing, 1.0)}
PAIR_TASKS: Mapping[str, Task[DrawPair]] = {
    "difference": Task(difference.draw, 1.2),
    "which": Task(which.draw_which, 1.6),
    "same": Task(which.draw_same, 1.4),
}


def open_vocabulary(held_out: frozenset[str] = frozenset()) -> Vocabulary:
    """All sounds of the table that training may name, each as likely as any other."""
    return Vocabulary({key: 1.0 for key in phrases.sounds() if key not in held_out})


def examples_for_scene(scene: Scene, rng: random.Random, *, count: int, vocabulary: Vocabulary) -> list[Example]:
    """Up to `count` different questions that suit the scene, its wrong options drawn from the vocabulary."""
    view = View(scene, vocabulary)
    tasks = TASKS if scene.nothing is None else SILENT_TASKS
    return _drawn(tasks, lambda draw: draw(view, rng), rng, count)


def examples_for_pair(
    first: Scene, second: Scene, rng: random.Random, *, count: int, vocabulary: Vocabulary
) -> list[Example]:
    """Up to `count` different questions about two clips."""
    pair = Pair(View(first, vocabulary), View(second, vocabulary))
    return _drawn(PAIR_TASKS, lambda draw: draw(pair, rng), rng, count)


def examples_without_audio(rng: random.Random, *, count: int, vocabulary: Vocabulary | None = None) -> list[Example]:
    """`count` questions with the names heard in place of a clip; by default over the whole table."""
    words = open_vocabulary() if vocabulary is None else vocabulary
    found: list[Example] = []
    for _ in range(count * TRIES_PER_EXAMPLE):
        if len(found) == count:
            break
        example = practice.draw(words, rng)
        if example is not None:
            found.append(example)
    return found


def _drawn(
    tasks: Mapping[str, Task[Maker]], ask: Callable[[Maker], Example | None], rng: random.Random, count: int
) -> list[Example]:
    """Draw families by weight until `count` different questions are found, or the scene has no more to give."""
    makers = [task.draw for task in tasks.values()]
    weights = [task.weight for task in tasks.values()]
    found: dict[str, Example] = {}
    for _ in range(count * TRIES_PER_EXAMPLE):
        if len(found) == count:
            break
        example = ask(rng.choices(makers, weights)[0])
        if example is not None:
            found.setdefault(example.question, example)
    return list(found.values())
