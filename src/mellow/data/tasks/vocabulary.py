"""The sounds that questions may name, and how often each is drawn."""

from __future__ import annotations

import random
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import accumulate

from mellow.data.scenes import phrases
from mellow.data.scenes.phrases import Sound
from mellow.data.tasks.confusable import Kin

__all__ = ["Ask", "Vocabulary"]

TRIES = 25
FIT_STEPS = (0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)  # how far each round of fitting follows what it counted
FIT_QUESTIONS = 12  # per sound and round
FIT_PRIOR = 3.0  # how many counts it takes to move a weight
FIT_OPTIONS = (1, 2, 3, 3, 3, 3, 4, 5, 9)  # wrong options of the trial questions

# Draws the wrong options of a trial question: (vocabulary, dice, right key, keys in the clip) -> keys.
Ask = Callable[["Vocabulary", random.Random, str, Sequence[str]], list[str]]


class Vocabulary:
    """Sounds with weights: distractors are drawn as often as right answers are, so that frequency tells nothing.

    weights: key -> how often the sound occurs in the scenes that are asked about.
    table: all known sounds; by default `phrases.sounds()`. confusable: their relation, when it is at hand already.
    """

    def __init__(
        self, weights: Mapping[str, float], table: Mapping[str, Sound] | None = None, *, confusable: Kin | None = None
    ) -> None:
        self.table: Mapping[str, Sound] = phrases.sounds() if table is None else table
        self.confusable = Kin(self.table) if confusable is None else confusable
        self.purposes: dict[str, Vocabulary] = {}
        self._weights = {key: weight for key, weight in sorted(weights.items()) if weight > 0 and key in self.table}
        groups: dict[str | None, list[str]] = defaultdict(list)
        for key in self._weights:
            groups[None].append(key)
            groups[self.table[key].category].append(key)
        self._groups = dict(groups)
        self._sum_up()

    def on(self, purpose: str) -> Vocabulary:
        """The same sounds weighted for one kind of question ("background", "place", ...), or this vocabulary."""
        return self.purposes.get(purpose, self)

    def fit(self, contexts: Sequence[Collection[str]], rng: random.Random, ask: Ask | None = None) -> None:
        """Even out how often each sound is a wrong option against how often it is the right one.

        Some sounds are passed over more than others because one they are confused with is in the clip already; their
        weights are raised until trial questions about the clips draw all sounds alike.
        contexts: what each clip holds. ask: draws the wrong options of a trial question (by default `distractors`).
        """
        ask = ask or _trial
        clips = [held for held in ([key for key in held if key in self] for held in contexts) if held]
        for step in FIT_STEPS if len(self._weights) > max(FIT_OPTIONS) and clips else ():
            right, wrong = Counter[str](), Counter[str]()
            for _ in range(FIT_QUESTIONS * len(self._weights)):
                held = rng.choice(clips)
                key = rng.choice(held)
                found = ask(self, rng, key, held)
                right[key] += len(found)
                wrong.update(found)
            for key in self._weights:
                self._weights[key] *= ((right[key] + FIT_PRIOR) / (wrong[key] + FIT_PRIOR)) ** step
            self._sum_up()

    def _sum_up(self) -> None:
        self._sums = {name: list(accumulate(self._weights[k] for k in keys)) for name, keys in self._groups.items()}

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._weights)

    def __getitem__(self, key: str) -> Sound:
        return self.table[key]

    def __contains__(self, key: str) -> bool:
        return key in self._weights

    def draw(self, rng: random.Random, *, avoid: Collection[str] = (), category: str | None = None) -> str | None:
        """A key by weight (of one category, when given), confusable with none in `avoid`; None when there is none."""
        keys = self._groups.get(category)
        if not keys:
            return None
        taken = [self.confusable.of(key) for key in avoid]
        sums = self._sums[category]
        for _ in range(TRIES):
            key = keys[min(bisect(sums, rng.random() * sums[-1]), len(keys) - 1)]
            if not any(key in confusable for confusable in taken):
                return key
        free = [key for key in keys if not any(key in confusable for confusable in taken)]
        return rng.choices(free, [self._weights[key] for key in free])[0] if free else None

    def distractors(self, rng: random.Random, key: str, count: int, *, present: Collection[str] = ()) -> list[str]:
        """`count` wrong options beside `key`, no two confusable, nor with what is `present`; fewer when sounds run out.

        The pattern (all of one category, pairs of categories, all mixed) is drawn first and holds for right and wrong
        options alike, so that the odd one out or the largest family is no hint.
        """
        avoid = [*present, key]
        chosen: list[str] = []
        pattern = rng.choice(("near", "near", "mixed", "mixed", "pairs"))
        category: str | None = self.table[key].category
        while len(chosen) < count:
            near = pattern == "near" or (pattern == "pairs" and len(chosen) % 2 == 0)
            found = self.draw(rng, avoid=avoid, category=category if near else None)
            if found is None and near:
                found = self.draw(rng, avoid=avoid)
                pattern = "mixed"
            if found is None:
                break
            chosen.append(found)
            avoid.append(found)
            if pattern == "pairs" and not near:
                category = self.table[found].category
        return chosen


def _trial(words: Vocabulary, rng: random.Random, key: str, held: Sequence[str]) -> list[str]:
    return words.distractors(rng, key, rng.choice(FIT_OPTIONS), present=held)
