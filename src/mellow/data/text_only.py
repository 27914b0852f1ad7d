"""Answering closed-ended questions from their text alone: what a model could learn without listening.

Two ways, each a linear model: by the option that looks most like an answer, and by the label that the question's words
suggest where one set of options (true, false, plausible) recurs.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

__all__ = ["ByLabel", "ByOption", "Closed", "TextOnly", "accuracy"]

LABEL_ROWS = 20  # how often a set of options must occur to be a set of labels ("yes" and "no")
FEATURES = 100_000
LABEL_STRENGTH = 10.0  # C of the logistic regression
OPTION_STRENGTH = 0.3
WORD = re.compile(r"\w+")


class Closed(Protocol):
    """A question whose answer is one of its choices: a `Record` or an `Example`."""

    @property
    def question(self) -> str: ...
    @property
    def answer(self) -> str: ...
    @property
    def choices(self) -> tuple[str, ...]: ...


class TextOnly(ABC):
    """A model of text, fitted on rows."""

    @abstractmethod
    def probabilities(self, rows: Sequence[Closed]) -> list[np.ndarray]:
        """For each row one probability per option, in the order shown; even ones where nothing is known."""


def accuracy(model: TextOnly, rows: Sequence[Closed]) -> float:
    """Share of rows whose most probable option is the answer; a tie counts as a guess among those."""
    hits = 0.0
    for row, found in zip(rows, model.probabilities(rows), strict=True):
        best = np.flatnonzero(found >= found.max() - 1e-12)
        hits += sum(row.choices[place] == row.answer for place in best) / len(best)
    return hits / len(rows)


def _even(row: Closed) -> np.ndarray:
    return np.full(len(row.choices), 1 / len(row.choices))


# --- by option --------------------------------------------------------------------------------------------------------


class ByOption(TextOnly):
    """The option that looks most like an answer: its words, place, length, and words shared with the question."""

    def __init__(self, rows: Sequence[Closed]) -> None:
        self._vectorizer = CountVectorizer(
            ngram_range=(1, 2), token_pattern=r"\S+", min_df=2, binary=True, max_features=FEATURES
        )
        right = [choice == row.answer for row in rows for choice in row.choices]
        texts = [text for row in rows for text in _option_texts(row)]
        self._model = LogisticRegression(C=OPTION_STRENGTH, max_iter=2000, class_weight="balanced")
        self._model.fit(self._vectorizer.fit_transform(texts), right)

    def probabilities(self, rows: Sequence[Closed]) -> list[np.ndarray]:
        texts = [text for row in rows for text in _option_texts(row)]
        if not texts:
            return []
        scores = self._model.decision_function(self._vectorizer.transform(texts))
        ends = np.cumsum([len(row.choices) for row in rows])[:-1]
        return [_softmax(part) for part in np.split(scores, ends)]


def _option_texts(row: Closed) -> list[str]:
    """For each option its words, its place, its rank in length, and the words it shares with the question."""
    stem = row.question
    for choice in sorted(row.choices, key=len, reverse=True):
        stem = stem.replace(choice, " ", 1)
    asked = set(WORD.findall(stem.lower()))
    lengths = sorted(len(choice) for choice in row.choices)
    texts = []
    for place, choice in enumerate(row.choices):
        words = WORD.findall(choice.lower())
        shared = sum(word in asked for word in words)
        rank = lengths.index(len(choice))
        marks = f"@place{place} @rank{rank} @of{len(lengths)}rank{rank} @shared{min(shared, 4)}"
        texts.append(" ".join([*words, marks]))
    return texts


# --- by label ---------------------------------------------------------------------------------------------------------


class ByLabel(TextOnly):
    """The label that the question's words suggest: TF-IDF of words and pairs, logistic regression.

    Knows sets of options that occur in 20 rows or more. What all of these rows begin and end with (the template around
    a hypothesis) says nothing and is left out.
    """

    def __init__(self, rows: Sequence[Closed]) -> None:
        counts = Counter(_options(row) for row in rows)
        self._sets = {options for options, count in counts.items() if count >= LABEL_ROWS}
        known = [row for row in rows if _options(row) in self._sets]
        self._classes: list[str] = []
        if len({row.answer.lower() for row in known}) < 2:
            return
        asked = [_without_options(row) for row in known]
        self._start = _to_word(_common(asked))
        self._end = _to_word(_common([text[::-1] for text in asked]))[::-1]
        self._vectorizer = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+", min_df=2, max_features=FEATURES)
        try:
            features = self._vectorizer.fit_transform([self._body(text) for text in asked])
        except ValueError:  # all ask the same: there is not one word to go by
            return
        self._model = LogisticRegression(C=LABEL_STRENGTH, max_iter=2000)
        self._model.fit(features, [row.answer.lower() for row in known])
        self._classes = list(self._model.classes_)

    def _body(self, text: str) -> str:
        return text.removeprefix(self._start).removesuffix(self._end)

    def probabilities(self, rows: Sequence[Closed]) -> list[np.ndarray]:
        found = [_even(row) for row in rows]
        places = [place for place, row in enumerate(rows) if self._classes and _options(row) in self._sets]
        if not places:
            return found
        texts = [self._body(_without_options(rows[place])) for place in places]
        for place, likely in zip(places, self._model.predict_proba(self._vectorizer.transform(texts)), strict=True):
            options = [choice.lower() for choice in rows[place].choices]
            scores = np.array([likely[self._classes.index(o)] if o in self._classes else 0.0 for o in options])
            found[place] = scores / scores.sum() if scores.sum() else found[place]
        return found


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max())
    result: np.ndarray = powers / powers.sum()
    return result


def _options(row: Closed) -> frozenset[str]:
    return frozenset(choice.lower() for choice in row.choices)


def _without_options(row: Closed) -> str:
    stem = row.question
    for choice in sorted(row.choices, key=len, reverse=True):
        if len(choice) > 3:  # leaves "yes" and "no" of the question alone
            stem = stem.replace(choice, " ")
    return stem.lower()


def _common(texts: Sequence[str]) -> str:
    """What all texts begin with."""
    first, last = min(texts), max(texts)
    same = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    return first[:same]


def _to_word(text: str) -> str:
    """A common beginning up to the last space or quote, so that no word is cut."""
    return text[: max(text.rfind(mark) for mark in " \"'") + 1]
