"""A scene as the task families see it: its events as sounds, and what may safely be said of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from mellow.data.scenes.phrases import Sound
from mellow.data.scenes.scene import Event, Scene
from mellow.data.tasks.vocabulary import Vocabulary
from mellow.types import Example

__all__ = ["Draw", "DrawPair", "Pair", "View", "precedes"]

CLEAR_ONSET_S = 0.4  # onsets closer than this are not put in order
CLEAR_OVERLAP_S = 0.7  # sounding together for at least this long is heard as such


def precedes(one: Event, other: Event) -> bool:
    """Does `one` clearly come before `other`: it starts first and does not end last?"""
    return one.onset_s + CLEAR_ONSET_S <= other.onset_s and one.end_s <= other.end_s


@dataclass(frozen=True)
class View:
    """A scene with the vocabulary in which it is asked about."""

    scene: Scene
    vocabulary: Vocabulary

    @cached_property
    def present(self) -> tuple[str, ...]:
        """Keys of all sounds, foreground by onset first, each once."""
        events = (*self.scene.foreground, *self.background)
        return tuple(dict.fromkeys(event.sound for event in events))

    @cached_property
    def background(self) -> tuple[Event, ...]:
        return tuple(event for event in self.scene.events if event.is_background)

    @cached_property
    def solo(self) -> tuple[Event, ...]:
        """Foreground events that no other event of the scene can be mistaken for, by onset."""
        return tuple(event for event in self.scene.foreground if self._alone(event))

    @cached_property
    def only(self) -> Sound | None:
        """The sound of a scene that holds just one, in front or in the background."""
        return self.sound(self.scene.events[0]) if len(self.present) == 1 else None

    @cached_property
    def main(self) -> Sound | None:
        """The one foreground sound (whatever lies behind it), or the only sound there is."""
        front = {event.sound for event in self.scene.foreground}
        return self.vocabulary[next(iter(front))] if len(front) == 1 else self.only

    def sound(self, event: Event) -> Sound:
        return self.vocabulary[event.sound]

    def absent(self, rng: random.Random, *, near: bool | None = None) -> Sound | None:
        """A sound that is surely not in the scene; near: of the category of one that is (by default in half)."""
        near = rng.random() < 0.5 if near is None else near
        category = self.vocabulary[rng.choice(self.present)].category if near and self.present else None
        key = self.vocabulary.draw(rng, avoid=self.present, category=category)
        if key is None and near:
            key = self.vocabulary.draw(rng, avoid=self.present)
        return None if key is None else self.vocabulary[key]

    def example(self, task: str, question: str, answer: str, choices: Sequence[str] = ()) -> Example:
        audio = (f"audio/{self.scene.name}.flac",)
        return Example(question, answer, audio=audio, choices=tuple(choices), task=task, group=self.scene.name)

    def _alone(self, event: Event) -> bool:
        confusable = self.vocabulary.confusable
        return not any(
            confusable.related(event.sound, other.sound) for other in self.scene.events if other is not event
        )


@dataclass(frozen=True)
class Pair:
    """Two clips that are asked about together."""

    first: View
    second: View

    def example(self, task: str, question: str, answer: str, choices: Sequence[str] = ()) -> Example:
        names = (self.first.scene.name, self.second.scene.name)
        audio = tuple(f"audio/{name}.flac" for name in names)
        return Example(question, answer, audio=audio, choices=tuple(choices), task=task, group="+".join(names))


Draw = Callable[[View, random.Random], Example | None]
DrawPair = Callable[[Pair, random.Random], Example | None]
