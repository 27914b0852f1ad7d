"""The encoder's strongest classes as words behind a clip's audio rows: `Heard: dog, rain. Parts: dog | rain`.

Small language models reason far better on words than on audio rows. Class scores are normalised by their mean and
spread over the training recordings, since rare classes have low scores; the statistics are part of the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mellow.text.tokenizer import Tokenizer

__all__ = ["HeardWords"]

PARTS = 4  # equal stretches of a window of up to 10 s, each named by its own strongest class
LIKELY = 0.1  # weight of the raw logit in the order: keeps rare classes with a lucky score down (docs/log.md)
PART_STEPS = 2  # a part has at least this many encoder steps; shorter clips have fewer parts


@dataclass(frozen=True)
class HeardWords:
    """Turns class scores into token ids; made once per model from its tokenizer, names and score statistics.

    names: token ids of each class name (with a leading space); mean, spread: of each class's logit.
    count: how many classes are named for the whole clip; sure: normalised score below which a class is not named.
    muted: classes that are never named (held out of training altogether).
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
    sure: float = 1.0
    muted: Sequence[int] = ()

    @classmethod
    def make(
        cls,
        tokenizer: Tokenizer,
        names: Sequence[str],
        *,
        mean: Sequence[float],
        spread: Sequence[float],
        **settings: Any,
    ) -> HeardWords:
        """Tokenise the class names and the fixed words around them."""
        encode = tokenizer.encode
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
            **settings,
        )

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> HeardWords:
        return cls(**settings)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

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

    def ids(self, clip_scores_C: np.ndarray, step_scores_TC: np.ndarray) -> list[int]:
        """Word ids for one clip from its class logits, whole (C) and per step (T, C)."""
        words = [*self.start, *self._list(self.strongest(clip_scores_C, self.count))]
        stretches = self._stretches(step_scores_TC)
        if len(stretches) > 1:
            words += self.parts
            for number, stretch in enumerate(stretches):
                words += [*(self.bar if number else ()), *self._list(self.strongest(stretch, 2))]
        return [*words, *self.stop]

    def words(self, names: Sequence[Sequence[int]]) -> list[int]:
        """Word ids for names given outright (word-only practice)."""
        return [*self.start, *self._join(names), *self.stop]

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
