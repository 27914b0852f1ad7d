"""What was heard as words behind a clip's audio rows: the encoder's strongest classes, and a timeline of events.

    Heard: dog, bark, animal. Parts: dog | dog | rain | rain. Likely: dog, rain. Events: dog 0-4.5, maybe rain 5-10.

Small language models reason far better on words than on audio rows. Class scores are normalised by their mean and
spread over the training recordings, since rare classes have low scores; the statistics are part of the model. What is
likely and the events come from the model's event head, where it has one; times are in seconds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from mellow.text.timeline import Event, Timeline, read_timeline
from mellow.text.tokenizer import Tokenizer

__all__ = ["HeardWords"]

PARTS = 4  # equal stretches of a window of up to 10 s, each named by its own strongest class
LIKELY = 0.1  # weight of the raw logit in the order: keeps rare classes with a lucky score down (docs/log.md)
SURE_EVENT = 0.6  # an event that is less probable is written as a guess: `maybe rain`
PART_STEPS = 2  # a part has at least this many encoder steps; shorter clips have fewer parts


@dataclass(frozen=True)
class HeardWords:
    """Turns class scores into token ids; made once per model from its tokenizer, names and score statistics.

    names: token ids of each class name (with a leading space); mean, spread: of each class's logit.
    count: how many classes are named for the whole clip, per_part: for each part; sure: normalised score below which a
    class is not named; muted: classes that are never named (held out of training altogether).
    events: token ids of the name of each sound of the event head (empty: there is none); marks: of what stands between.
    """

    names: Sequence[Sequence[int]]
    mean: Sequence[float]
    spread: Sequence[float]
    start: Sequence[int]
    comma: Sequence[int]
    parts: Sequence[int]
    bar: Sequence[int]
    nothing: Sequence[int]
    stop: Sequence[int]
    count: int = 10
    per_part: int = 2
    sure: float = 1.0
    muted: Sequence[int] = ()
    events: Sequence[Sequence[int]] = ()
    marks: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.mean) == len(self.spread):
            raise TypeError("names, mean and spread differ in length")

    @classmethod
    def make(
        cls,
        tokenizer: Tokenizer,
        names: Sequence[str],
        *,
        mean: Sequence[float],
        spread: Sequence[float],
        events: Sequence[str] = (),
        **settings: Any,
    ) -> HeardWords:
        """Tokenise the names of classes and events, and the fixed words around them."""
        encode = tokenizer.encode
        marks = (
            {mark: encode(mark) for mark in [*"0123456789.- ", ". Likely:", ". Events:", " maybe", " none"]}
            if events
            else {}
        )
        return cls(
            names=[encode(f" {name}") for name in names],
            mean=[round(float(x), 4) for x in mean],
            spread=[round(float(x), 4) for x in spread],
            start=encode(" Heard:"),
            comma=encode(","),
            parts=encode(". Parts:"),
            bar=encode(" |"),
            nothing=encode(" nothing"),
            stop=encode("."),
            events=[encode(f" {name}") for name in events],
            marks=marks,
            **settings,
        )

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> HeardWords:
        return cls(**settings)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: lists, no tuples."""
        found: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return found

    def normalise(self, scores: np.ndarray) -> np.ndarray:
        """Class logits (..., C) as distances from the class's mean in spreads, float32."""
        normal = (scores - np.asarray(self.mean, np.float32)) / np.asarray(self.spread, np.float32)
        normal[..., list(self.muted)] = -np.inf
        return np.asarray(normal, np.float32)

    def strongest(self, scores_C: np.ndarray, count: int) -> list[int]:
        """The classes that stand out, best first: at most `count`, none below `sure`."""
        normal = self.normalise(scores_C)
        rank = np.where(np.isfinite(normal), normal + LIKELY * np.maximum(scores_C, -6.0), -np.inf)
        best = np.argsort(-rank, kind="stable")[:count]
        return [int(c) for c in best if normal[c] >= self.sure]

    def ids(
        self, clip_scores_C: np.ndarray, step_scores_TC: np.ndarray, event_scores_TS: np.ndarray | None = None
    ) -> list[int]:
        """Word ids for one clip from its class logits, whole (C) and per step (T, C), and those of the event head."""
        timeline = read_timeline(event_scores_TS) if event_scores_TS is not None else Timeline()
        return self.write(clip_scores_C, step_scores_TC, timeline)

    def write(self, clip_scores_C: np.ndarray, step_scores_TC: np.ndarray, timeline: Timeline) -> list[int]:
        """As `ids`, with the timeline read already."""
        words = [*self.start, *self._list(self.strongest(clip_scores_C, self.count))]
        stretches = self._stretches(step_scores_TC)
        if len(stretches) > 1:
            words += self.parts
            for number, stretch in enumerate(stretches):
                words += [*(self.bar if number else ()), *self._list(self.strongest(stretch, self.per_part))]
        if self.events:
            likely = self._join([self.events[sound] for sound in timeline.likely])
            words += [*self.marks[". Likely:"], *likely]
            words += [*self.marks[". Events:"], *(self._timeline(timeline.events) or self.marks[" none"])]
        return [*words, *self.stop]

    def words(self, names: Sequence[Sequence[int]]) -> list[int]:
        """Word ids for names given outright (word-only practice)."""
        return [*self.start, *self._join(names), *self.stop]

    def _timeline(self, events: Sequence[Event]) -> list[int]:
        ids: list[int] = []
        for event in events:
            guess = self.marks[" maybe"] if event.probability < SURE_EVENT else ()
            times = f" {_half(event.start):g}-{max(_half(event.end), _half(event.start) + 0.5):g}"
            written = [token for character in times for token in self.marks[character]]
            ids += [*(self.comma if ids else ()), *guess, *self.events[event.sound], *written]
        return ids

    def _list(self, classes: Sequence[int]) -> list[int]:
        return self._join([self.names[c] for c in classes])

    def _join(self, names: Sequence[Sequence[int]]) -> list[int]:
        if not names:
            return list(self.nothing)
        ids = list(names[0])
        for name in names[1:]:
            ids += [*self.comma, *name]
        return ids

    def _stretches(self, step_scores_TC: np.ndarray) -> list[np.ndarray]:
        """Mean logits of the parts of a clip (one part per 2.5 s of long clips, PARTS in up to 10 s)."""
        steps = len(step_scores_TC)
        wanted = max(PARTS, round(steps / 15.6)) if steps > 64 else PARTS
        parts = max(1, min(wanted, steps // PART_STEPS))
        return [chunk.mean(0) for chunk in np.array_split(step_scores_TC, parts)]


def _half(seconds: float) -> float:
    """Rounded to half seconds."""
    return round(2 * seconds) / 2
