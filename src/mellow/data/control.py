"""What questions give away without any sound: a bag of words that must do no better than chance."""

from __future__ import annotations

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from mellow.types import Example

__all__ = ["ControlRow", "text_only_control"]

TEST_PERCENT = 33
LEAST_ROWS = 30  # of a task, in each part, below which nothing is said
LABEL_ROWS = 20  # how often a set of options must occur to be a set of labels ("yes" and "no")
FEATURES = 20_000
WORD = re.compile(r"\w+")


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
        task: _row(train, test)
        for task, (train, test) in sorted(tasks.items())
        if min(len(train), len(test)) >= LEAST_ROWS
    }


def _in_test(clip: str, seed: int) -> bool:
    return zlib.crc32(f"{seed}:{clip}".encode()) % 100 < TEST_PERCENT


def _row(train: Sequence[Example], test: Sequence[Example]) -> ControlRow:
    chance = float(np.mean([1 / len(example.choices) for example in test]))
    return ControlRow(len(test), chance, _by_option(train, test), _by_label(train, test, chance))


def _by_option(train: Sequence[Example], test: Sequence[Example]) -> float:
    vectorizer = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\S+", min_df=2, binary=True, max_features=FEATURES)
    texts = [text for example in train for text in _option_texts(example)]
    right = [choice == example.answer for example in train for choice in example.choices]
    model = LogisticRegression(C=0.3, max_iter=2000, class_weight="balanced").fit(
        vectorizer.fit_transform(texts), right
    )
    scores = model.decision_function(vectorizer.transform([text for e in test for text in _option_texts(e)]))
    hits, place = 0, 0
    for example in test:
        best = int(np.argmax(scores[place : place + len(example.choices)]))
        hits += example.choices[best] == example.answer
        place += len(example.choices)
    return hits / len(test)


def _option_texts(example: Example) -> list[str]:
    """For each option its words, its place, its rank in length, and the words it shares with the question."""
    stem = example.question
    for choice in sorted(example.choices, key=len, reverse=True):
        stem = stem.replace(choice, " ", 1)
    asked = set(WORD.findall(stem.lower()))
    lengths = sorted(len(choice) for choice in example.choices)
    texts = []
    for place, choice in enumerate(example.choices):
        words = WORD.findall(choice.lower())
        shared = sum(word in asked for word in words)
        rank = lengths.index(len(choice))
        marks = f"@place{place} @rank{rank} @of{len(lengths)}rank{rank} @shared{min(shared, 4)}"
        texts.append(" ".join([*words, marks]))
    return texts


def _by_label(train: Sequence[Example], test: Sequence[Example], chance: float) -> float:
    """Rows whose set of options recurs are answered by the words of the question, all others by chance."""
    counts = Counter(_options(example) for example in train)
    known = [example for example in train if counts[_options(example)] >= LABEL_ROWS]
    if len({example.answer.lower() for example in known}) < 2:
        return chance
    vectorizer = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\w+", min_df=2, binary=True, max_features=FEATURES)
    features = vectorizer.fit_transform([_without_options(example) for example in known])
    model = LogisticRegression(C=0.3, max_iter=2000).fit(features, [example.answer.lower() for example in known])
    classes = list(model.classes_)
    hits = sum(1 / len(example.choices) for example in test if counts[_options(example)] < LABEL_ROWS)
    asked = [example for example in test if counts[_options(example)] >= LABEL_ROWS]
    if not asked:
        return hits / len(test)
    scores = model.decision_function(vectorizer.transform([_without_options(example) for example in asked]))
    scores = np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores
    for example, score in zip(asked, scores, strict=True):
        options = [choice.lower() for choice in example.choices]
        best = max(options, key=lambda option: score[classes.index(option)] if option in classes else -np.inf)
        hits += best == example.answer.lower()
    return hits / len(test)


def _options(example: Example) -> frozenset[str]:
    return frozenset(choice.lower() for choice in example.choices)


def _without_options(example: Example) -> str:
    stem = example.question
    for choice in sorted(example.choices, key=len, reverse=True):
        if len(choice) > 3:  # leaves "yes" and "no" of the question alone
            stem = stem.replace(choice, " ")
    return stem.lower()
