"""Honest answers where there is nothing to hear, or where the question takes an absent sound for granted."""

from __future__ import annotations

import random

from mellow.data.tasks import caption, choices, compare, identify, timing
from mellow.data.tasks.facets import FACETS
from mellow.data.tasks.options import closed
from mellow.data.tasks.view import View
from mellow.data.tasks.words import cap, end, join, named, pick, sound_of, typed
from mellow.types import Example

__all__ = ["draw_absent", "draw_nothing"]

FACET_QUESTIONS = tuple(q.format(it="this sound") for facet in FACETS.values() for q in facet.questions)
OPEN = (*identify.PHRASE, *identify.SENTENCE, *identify.ALL, *caption.QUESTIONS, *FACET_QUESTIONS)
LOADED = (
    "What animal is it?", "Which bird is singing?", "What is the person saying?", "Which instrument is playing?",
    "What kind of vehicle is passing?", "which machine is running?",
    "Who is talking?", "what song is this", "Is the dog big or small?", "Which alarm is ringing?",
    "How many people are speaking?", "What is the weather like?",
    "What are they building?", "Where is the car going?",
)  # fmt: skip
SILENT = (
    "There is nothing to hear, only silence.", "I cannot hear anything; the clip is silent.",
    "Nothing. The recording is silent.", "Only silence can be heard.",
    "The clip is silent, so there is no sound to tell about.", "I hear nothing at all.",
)  # fmt: skip
NOISE = (
    "There is nothing to hear but {n}.", "I can only hear {n}, no event.", "Only {n} can be heard.",
    "Just {n}; there is no other sound.",
    "The clip holds nothing but {n}.", "Nothing in particular, only {n}.",
)  # fmt: skip
LOADED_SILENT = (
    "There is none: the clip is silent.",
    "I cannot tell, as there is nothing to hear, only silence.",
    "None. I hear only silence.",
)
LOADED_NOISE = (
    "There is none: I hear only {n}.",
    "I cannot tell, as there is nothing to hear but {n}.",
    "None. Only {n} can be heard.",
)
EMPTY_OPTION = ("nothing", "silence", "no sound at all", "nothing at all", "only silence")
EMPTY_NOISE = ("nothing but {n}", "only {n}", "just {n}", "{n}")
EMPTY_KINDS = ("silence", "silence", "silence", "white noise", "pink noise", "brown noise", "hum")
CLOSED_SHARE = 0.35  # of the questions asked of normal clips: with `nothing` among the wrong options
ABOUT = (
    "How loud is {named}?", "How does {named} sound here?", "Describe {named} in this clip.",
    "Where is {sound} in this recording?", "Why is there {noun}?", "What comes after {named}?",
)  # fmt: skip
MISSING = (
    "I cannot hear {noun}.", "I cannot hear {noun} in this clip.", "There is no {name} in the clip; I hear {heard}.",
    "I do not hear {noun}, only {heard}.",
    "{Noun} cannot be heard here.", "I hear {heard}, but no {name}.",
)  # fmt: skip


def draw_nothing(view: View, rng: random.Random) -> Example | None:
    """Any question asked of a silent clip or of mere noise."""
    kind = view.scene.nothing
    if kind is None:
        return None
    dice = rng.random()
    if dice < 0.4:
        return view.example("nothing", typed(rng.choice(OPEN), rng), _empty(kind, rng, SILENT, NOISE))
    if dice < 0.55:
        return view.example("nothing", typed(rng.choice(LOADED), rng), _empty(kind, rng, LOADED_SILENT, LOADED_NOISE))
    key = view.vocabulary.draw(rng, avoid=_like(view, kind))
    if key is None:
        return None
    sound = view.vocabulary[key]
    slots = {"noun": sound.noun, "name": sound.name, "sound": sound_of(sound.noun), "named": named(sound.noun)}
    if dice < 0.7:
        return _closed(view, key, kind, rng)
    return view.example(
        "nothing", typed(pick(rng, (*timing.WHEN, *ABOUT), slots), rng), _empty(kind, rng, *_missing(sound.noun))
    )


def _closed(view: View, key: str, kind: str, rng: random.Random) -> Example:
    """Options with an empty one: right in a clip that holds nothing else, wrong in one that holds `key`."""
    silent = view.scene.nothing is not None
    present = _like(view, kind) if silent else view.present
    others = [key, *view.vocabulary.distractors(rng, key, rng.choice((0, 1, 2, 3)), present=present)]
    word = choices.phrasing(rng)
    empty = rng.choice(EMPTY_OPTION) if kind == "silence" else rng.choice(EMPTY_NOISE).format(n=_noise(kind))
    options = [word(view.vocabulary[key]), empty, *(word(view.vocabulary[other]) for other in others[1:])]
    question, answer, shown = closed(rng.choice(choices.STEMS), options, options[1 if silent else 0], rng)
    return view.example("nothing", question, answer, shown)


def draw_absent(view: View, rng: random.Random) -> Example | None:
    """A question about a sound that is not in the clip, answered by saying so."""
    if not view.present:
        return None
    if rng.random() < CLOSED_SHARE:
        kind = rng.choice(EMPTY_KINDS)
        likes = any(view.vocabulary.confusable.related(key, like) for key in view.present for like in _like(view, kind))
        return None if likes else _closed(view, rng.choice(view.present), kind, rng)
    sound = view.absent(rng)
    if sound is None:
        return None
    other = view.vocabulary[rng.choice(view.present)]
    slots = {
        "noun": sound.noun,
        "name": sound.name,
        "sound": sound_of(sound.noun),
        "named": named(sound.noun),
        "Noun": cap(sound.noun),
    }
    slots["heard"] = join([view.vocabulary[key].noun for key in view.present[:3]])
    if rng.random() < 0.3:
        pair = {"a": named(sound.noun), "b": named(other.noun), "word": rng.choice(compare.MEASURES).more[0]}
        if rng.random() < 0.5:
            pair["a"], pair["b"] = pair["b"], pair["a"]
        question = pick(rng, compare.WHICH, pair)
    else:
        question = pick(rng, (*timing.WHEN, *timing.SECONDS, *timing.LENGTH, *ABOUT), slots)
    return view.example("nothing", typed(question, rng), end(pick(rng, MISSING, slots)))


def _noise(kind: str) -> str:
    return "a steady hum" if kind == "hum" else kind


def _like(view: View, kind: str) -> list[str]:
    """Sounds of the table that the clip's noise may be taken for."""
    keys = {"silence": ("silence",), "hum": ("hum", "mains_hum")}.get(kind, (kind.replace(" ", "_"), "static", "noise"))
    return [key for key in keys if key in view.vocabulary.table]


def _missing(noun: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (
        (f"I cannot hear {noun}; the clip is silent.", f"There is nothing to hear, so I cannot hear {noun} either."),
        (f"I cannot hear {noun}, only {{n}}.", f"There is only {{n}}; I do not hear {noun}."),
    )


def _empty(kind: str, rng: random.Random, silent: tuple[str, ...], noise: tuple[str, ...]) -> str:
    return rng.choice(silent) if kind == "silence" else rng.choice(noise).replace("{n}", _noise(kind))
