"""Louder or quieter, higher or lower, longer or shorter: only where the measured difference is clear."""

from __future__ import annotations

import random
from dataclasses import dataclass

from mellow.data.scenes.scene import Event
from mellow.data.tasks.choices import phrasing
from mellow.data.tasks.options import closed
from mellow.data.tasks.view import View
from mellow.data.tasks.words import end, named, pick, sound_of, typed
from mellow.types import Example

__all__ = ["CLEAR_DB", "CLEAR_RATIO", "clearly", "draw"]

CLEAR_DB = 4.0
CLEAR_RATIO = 1.5


@dataclass(frozen=True)
class Measure:
    """What is compared, and the words for more and less of it."""

    name: str
    more: tuple[str, ...]
    less: tuple[str, ...]
    weight: float


MEASURES = (
    Measure("level", ("louder", "stronger in volume"), ("quieter", "softer", "less loud"), 0.45),
    Measure("pitch", ("higher in pitch", "brighter", "more high-pitched"), ("lower in pitch", "deeper"), 0.2),
    Measure("duration", ("longer", "longer-lasting"), ("shorter", "shorter in duration"), 0.35),
)
WHICH = (
    "Which is {word}, {a} or {b}?", "Which sound is {word}: {a} or {b}?", "what is {word}, {a} or {b}",
    "Which of the two is {word}, {a} or {b}?",
    "Is {a} or {b} {word}?", "Compare {a} with {b}: which one is {word}?", "Of {a} and {b}, which is {word}?",
    "Tell me which is {word}, {a} or {b}.",
    "Listening to {a} and {b}, which would you call {word}?", "Between {a} and {b}, which is {word}?",
    "{a} or {b}: which one is {word}?",
    "Which one is {word} in this clip, {a} or {b}?",
)  # fmt: skip
CLOSED = (
    "Which of these sounds is {word}?", "Which is {word}?", "which one is {word}",
    "Based on the audio, which sound is {word}?",
    "Compare the sounds. Which is {word}?", "Of these sounds in the clip, which is {word}?",
    "Pick the sound that is {word}.",
    "Which of the following is {word} in the recording?", "What is {word}?", "Identify the one that is {word}.",
    "Given the audio sample, which sound is {word}?", "Choose the one that is {word}.",
)  # fmt: skip
YES_NO = (
    "Is {a} {word} than {b}?", "Would you say that {a} is {word} than {b}?", "is {a} {word} than {b} here",
    "Compared with {b}, is {a} {word}?",
    "Is it true that {a} is {word} than {b}?", "In this clip, is {a} {word} than {b}?",
    "Do you hear {a} as {word} than {b}?",
    "Does {a} sound {word} than {b}?", "I find {a} {word} than {b}. Am I right?",
    "Of {a} and {b}, is it {a} that is {word}?",
    "Setting {a} beside {b}, is the former {word}?", "When {a} is compared with {b}, is {a} {word}?",
)  # fmt: skip


def clearly(one: float, other: float, measure: str) -> bool:
    """Is `one` clearly more than `other`?"""
    return one - other >= CLEAR_DB if measure == "level" else other > 0 and one / other >= CLEAR_RATIO


def _value(event: Event, measure: str) -> float:
    if measure == "level":
        return event.level_db
    return event.pitch_hz if measure == "pitch" else event.duration_s


def draw(view: View, rng: random.Random) -> Example | None:
    """One comparison of two sounds of the clip."""
    measure = rng.choices(MEASURES, [m.weight for m in MEASURES])[0]
    pairs = [(a, b) for a in view.solo for b in view.solo if _clear(view, a, b, measure.name)]
    if not pairs:
        return None
    more, less = rng.choice(pairs)
    up = rng.random() < 0.5
    word = rng.choice(measure.more if up else measure.less)
    right, wrong = (more, less) if up else (less, more)
    return rng.choice((_which, _closed, _agreed))(view, right, wrong, word, rng)


def _clear(view: View, one: Event, other: Event, measure: str) -> bool:
    if view.vocabulary.confusable.related(one.sound, other.sound):
        return False
    if measure == "duration" and max(one.repeats, other.repeats) > 1:
        return False
    return clearly(_value(one, measure), _value(other, measure), measure)


def _which(view: View, right: Event, wrong: Event, word: str, rng: random.Random) -> Example:
    nouns = [named(view.sound(event).noun) for event in (right, wrong)]
    a, b = rng.sample(nouns, 2)
    question = typed(pick(rng, WHICH, {"a": a, "b": b, "word": word}), rng)
    answer = end(nouns[0]) if rng.random() < 0.6 else end(f"{nouns[0]} is {word}")
    return view.example("compare", question, answer)


def _closed(view: View, right: Event, wrong: Event, word: str, rng: random.Random) -> Example:
    form = phrasing(rng) if rng.random() < 0.5 else (lambda sound: sound_of(sound.noun))
    options = [form(view.sound(event)) for event in (right, wrong)]
    question, answer, choices = closed(pick(rng, CLOSED, {"word": word}), options, options[0], rng)
    return view.example("compare", question, answer, choices)


def _agreed(view: View, right: Event, wrong: Event, word: str, rng: random.Random) -> Example:
    yes = rng.random() < 0.5
    true = {"a": named(view.sound(right).noun), "b": named(view.sound(wrong).noun), "word": word}
    asked = true if yes else {"a": true["b"], "b": true["a"], "word": word}
    question = pick(rng, YES_NO, asked)
    if rng.random() < 0.3:
        return view.example("compare", typed(question, rng), f"{'Yes' if yes else 'No'}, {true['a']} is {word}.")
    question += rng.choice(("", " Answer only using yes or no.", " Yes or no?"))
    return view.example("compare", typed(question, rng), "yes" if yes else "no", ("yes", "no"))
