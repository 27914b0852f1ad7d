"""Audio tags: what the encoder recognises, written as words after a clip's audio tokens.

    Heard: dog, bark, animal. Parts: dog | dog | rain | rain. Likely: dog, rain. Events: dog 0-4.5, maybe rain 5-10.

Small language models reason far better on words than on audio tokens. Class scores are normalised by their mean and
standard deviation over the training recordings, since rare classes have low scores; the statistics are part of the
model. `Likely` and `Events` come from the model's event head, where it has one; times are in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from mellow.errors import ModelError
from mellow.events.timeline import Event, StepClock, Timeline, read_timeline
from mellow.text.tokenizer import Tokenizer

__all__ = ["AudioTags", "TagSettings"]

PARTS = 4  # equal stretches of a window of up to 10 s, each named by its own strongest class
PART_SECONDS = 2.496  # of each part of a longer clip (15.6 steps of CED, as the bundled model was trained)
LIKELY = 0.1  # weight of the raw logit in the order: keeps rare classes with a lucky score down (docs/log.md)
SURE_EVENT = 0.6  # a less probable event is written as uncertain: `maybe rain`
PART_STEPS = 2  # a part has at least this many encoder steps; shorter clips have fewer parts


@dataclass(frozen=True)
class TagSettings:
    """What stands in a model's config about its tags.

    names: of each class; mean, std: of each class's logit over the training clips.
    count: how many classes are named for the whole clip; per_part: for each part; min_score: normalised score below
    which a class is not named; muted: indices of classes that are never named (held out of training altogether).
    sounds: names of the sounds of the event head; empty: there is none.
    """

    names: Sequence[str]
    mean: Sequence[float]
    std: Sequence[float]
    count: int = 10
    per_part: int = 2
    min_score: float = 1.0
    muted: Sequence[int] = ()
    sounds: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.mean) == len(self.std):
            raise ModelError("The audio tags' names, mean and std differ in length.")
        texts = [*self.names, *self.sounds]
        if not all(isinstance(name, str) and name for name in texts) or min(self.count, self.per_part) < 1:
            raise ModelError("The audio tags' names are texts, and count and per_part at least 1.")

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> TagSettings:
        """Settings as they stand in config.json; ModelError for unknown keys and invalid values."""
        unknown = sorted(set(settings) - {field.name for field in fields(cls)})
        if unknown:
            raise ModelError(f"The config of audio tags has unknown keys: {', '.join(unknown)}.")
        try:
            return cls(**settings)
        except TypeError as error:
            raise ModelError(f"The config has invalid audio tags ({error}).") from None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(value) if isinstance(value, list | tuple) else value for name, value in found.items()}


class AudioTags:
    """Turns class and event scores into token ids, for one tokenizer and one encoder's clock."""

    def __init__(self, settings: TagSettings, tokenizer: Tokenizer, clock: StepClock) -> None:
        self.settings, self.tokenizer, self.clock = settings, tokenizer, clock
        self._known: dict[str, list[int]] = {}

    def normalise(self, scores: np.ndarray) -> np.ndarray:
        """Class logits (..., C) as distances from the class's mean in standard deviations, float32."""
        mean_C, std_C = self._statistics
        normal = (scores - mean_C) / std_C
        normal[..., list(self.settings.muted)] = -np.inf
        return np.asarray(normal, np.float32)

    def strongest(self, scores_C: np.ndarray, count: int) -> list[int]:
        """The classes that stand out, best first: at most `count`, none below `min_score`."""
        normal = self.normalise(scores_C)
        rank = np.where(np.isfinite(normal), normal + LIKELY * np.maximum(scores_C, -6.0), -np.inf)
        best = np.argsort(-rank, kind="stable")[:count]
        return [int(c) for c in best if normal[c] >= self.settings.min_score]

    def ids(
        self, clip_scores_C: np.ndarray, step_scores_TC: np.ndarray, event_scores_TE: np.ndarray | None = None
    ) -> list[int]:
        """Token ids for one clip from its class logits, whole (C) and per step (T, C), and those of the event head."""
        timeline = read_timeline(event_scores_TE, self.clock) if event_scores_TE is not None else Timeline()
        return self.write(clip_scores_C, step_scores_TC, timeline)

    def write(self, clip_scores_C: np.ndarray, step_scores_TC: np.ndarray, timeline: Timeline) -> list[int]:
        """As `ids`, with the timeline read already."""
        settings = self.settings
        ids = [*self._ids(" Heard:"), *self._classes(self.strongest(clip_scores_C, settings.count))]
        parts = self._parts(step_scores_TC)
        if len(parts) > 1:
            ids += self._ids(". Parts:")
            for number, part_C in enumerate(parts):
                ids += self._ids(" |") if number else []
                ids += self._classes(self.strongest(part_C, settings.per_part))
        if settings.sounds:
            ids += [*self._ids(". Likely:"), *self._join([settings.sounds[sound] for sound in timeline.likely])]
            ids += [*self._ids(". Events:"), *(self._events(timeline.events) or self._ids(" none"))]
        return [*ids, *self._ids(".")]

    def words(self, names: Sequence[str]) -> list[int]:
        """Token ids of given names (text-only examples)."""
        return [*self._ids(" Heard:"), *self._join(names), *self._ids(".")]

    @cached_property
    def _statistics(self) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray(self.settings.mean, np.float32), np.asarray(self.settings.std, np.float32)

    def _ids(self, text: str) -> list[int]:
        """Token ids of a fixed text or a name; each is tokenised by itself, once."""
        if text not in self._known:
            self._known[text] = self.tokenizer.encode(text)
        return self._known[text]

    def _events(self, events: Sequence[Event]) -> list[int]:
        ids: list[int] = []
        for event in events:
            uncertain = self._ids(" maybe") if event.probability < SURE_EVENT else []
            times = f" {_half(event.start):g}-{max(_half(event.end), _half(event.start) + 0.5):g}"
            written = [token for character in times for token in self._ids(character)]
            name = self._ids(f" {self.settings.sounds[event.sound]}")
            ids += [*(self._ids(",") if ids else []), *uncertain, *name, *written]
        return ids

    def _classes(self, classes: Sequence[int]) -> list[int]:
        return self._join([self.settings.names[c] for c in classes])

    def _join(self, names: Sequence[str]) -> list[int]:
        if not names:
            return list(self._ids(" nothing"))
        ids = list(self._ids(f" {names[0]}"))
        for name in names[1:]:
            ids += [*self._ids(","), *self._ids(f" {name}")]
        return ids

    def _parts(self, step_scores_TC: np.ndarray) -> list[np.ndarray]:
        """Mean logits of the parts of a clip: PARTS up to a window, one per PART_SECONDS in longer clips."""
        steps = len(step_scores_TC)
        is_long = steps > self.clock.per_window + 2
        wanted = max(PARTS, round(steps * self.clock.seconds / PART_SECONDS)) if is_long else PARTS
        parts = max(1, min(wanted, steps // PART_STEPS))
        return [chunk_TC.mean(0) for chunk_TC in np.array_split(step_scores_TC, parts)]


def _half(seconds: float) -> float:
    """Rounded to half seconds."""
    return round(2 * seconds) / 2
