"""Explain the difference between two clips: in few words, in one sentence, in detail."""

from __future__ import annotations

import random
from collections.abc import Sequence

from mellow.data.scenes.phrases import Sound
from mellow.data.tasks.caption import caption
from mellow.data.tasks.compare import clearly
from mellow.data.tasks.view import Pair, View
from mellow.data.tasks.words import NUMBERS, cap, end, join, sound_of, typed
from mellow.types import Example

__all__ = ["draw", "loudness"]

FEW = (
    "Explain the difference between the two audios in few words.", "explain the difference in few words",
    "What is the difference? Keep it short.", "in a few words, how do the clips differ",
    "Briefly: what sets the two clips apart?", "Short answer: how does audio 1 differ from audio 2?",
    "Name the main difference between both recordings in few words.",
    "difference in short?", "How do they differ? A few words are enough.", "Compare the two audios very briefly.",
    "Sum up the difference in as few words as you can.",
    "Tell me quickly what is different.", "What changes from audio 1 to audio 2? Few words, please.",
    "Tersely, how are the two clips not the same?",
)  # fmt: skip
SENTENCE = (
    "Explain the difference between the two audios in one extended sentence.",
    "explain the difference in one extended sentence",
    "What is the difference between the two clips? One sentence, please.",
    "In one sentence, how do both recordings differ?", "Write a single sentence that contrasts audio 1 and audio 2.",
    "Contrast the two clips in a sentence.",
    "How does the first clip differ from the second? Use one sentence.",
    "Describe in one long sentence what sets the audios apart.", "Tell the two audios apart in one sentence.",
    "Give a one-sentence comparison of the recordings.", "Compare the two audios in a sentence.",
    "one sentence: what differs between these files",
    "Could you put the difference between these clips into one sentence?",
)  # fmt: skip
DETAIL = (
    "Explain the difference between the two audios in detail.", "explain the difference in detail",
    "How do the two clips differ? Please be thorough.", "Give a detailed comparison of both recordings.",
    "Describe all differences between audio 1 and audio 2.",
    "Compare the clips in detail: events, order, loudness, character.", "What are the differences? Go into detail.",
    "Explain at length how the two audios differ.", "Write a detailed account of what sets the recordings apart.",
    "I want to know everything that differs between these two clips.",
    "Contrast the two recordings as fully as you can.",
    "In several sentences, explain how audio 1 differs from audio 2.", "detailed difference please",
)  # fmt: skip
CONTRAST = (", while ", ", whereas ", "; ", ", but ")
LOUDNESS_NAMES = ("louder", "quieter")


def loudness(view: View) -> float:
    """How loud the clip is: the level of its loudest event, in dBFS."""
    return max((event.level_db for event in view.scene.events), default=-120.0)


def draw(pair: Pair, rng: random.Random) -> Example | None:
    """One request for the difference, in one of three tiers."""
    if pair.first.present == pair.second.present:
        return None
    questions, answer = rng.choice(((FEW, _few), (SENTENCE, _sentence), (DETAIL, _detail)))
    return pair.example("difference", typed(rng.choice(questions), rng), answer(pair, rng))


def _sounds(view: View) -> list[Sound]:
    return [view.vocabulary[key] for key in view.present]


def _listed(sounds: Sequence[Sound], view: View) -> str:
    if sounds:
        return join([sound.noun for sound in sounds])
    return "silence" if view.scene.nothing in (None, "silence") else f"only {view.scene.nothing}"


def _own(pair: Pair) -> tuple[list[Sound], list[Sound], list[Sound]]:
    """Sounds of the first clip only, of the second only, of both."""
    one, two = set(pair.first.present), set(pair.second.present)
    return (
        [s for s in _sounds(pair.first) if s.key not in two],
        [s for s in _sounds(pair.second) if s.key not in one],
        [s for s in _sounds(pair.first) if s.key in two],
    )


def _few(pair: Pair, rng: random.Random) -> str:
    first, second, both = _own(pair)
    if both and first and second:
        own = f"only audio 1 has {_nouns(first)} and only audio 2 has {_nouns(second)}"
        return f"Both have {_nouns(both)}, but {own}."
    if both:
        number, extra = (1, first) if first else (2, second)
        return f"Only audio {number} has {_nouns(extra)}; {_nouns(both)} can be heard in both."
    one, two = _listed(first, pair.first), _listed(second, pair.second)
    forms = ("Audio 1 has {}, audio 2 has {}.", "Audio 1: {}. Audio 2: {}.", "{} in audio 1, {} in audio 2.")
    return cap(rng.choice(forms).format(one, two))


def _nouns(sounds: Sequence[Sound]) -> str:
    return join([sound.noun for sound in sounds])


def _sentence(pair: Pair, rng: random.Random) -> str:
    one, two = (_phrase(view, rng) for view in (pair.first, pair.second))
    verb = rng.choice(("features", "has", "presents", "contains"))
    return f"Audio 1 {verb} {one}{rng.choice(CONTRAST)}audio 2 {verb} {two}{_level(pair, rng)}."


def _phrase(view: View, rng: random.Random) -> str:
    """The sounds of a clip, one or two of them with how they sound."""
    parts = []
    for number, sound in enumerate(_sounds(view)):
        parts.append(f"{sound.noun} ({sound.character})" if number < 2 else sound.noun)
    return join(parts) if parts else _listed([], view)


def _level(pair: Pair, rng: random.Random) -> str:
    word = _louder(pair)
    if word is None:
        return ""
    return rng.choice((f", and audio 1 is the {word} one", f", with audio 1 being {word} than audio 2"))


def _louder(pair: Pair) -> str | None:
    one, two = loudness(pair.first), loudness(pair.second)
    if not pair.first.present or not pair.second.present:
        return None
    if clearly(one, two, "level"):
        return LOUDNESS_NAMES[0]
    return LOUDNESS_NAMES[1] if clearly(two, one, "level") else None


def _detail(pair: Pair, rng: random.Random) -> str:
    lines = [_told(pair.first, "In audio 1, ", rng), _told(pair.second, "In audio 2, ", rng)]
    first, second, both = _own(pair)
    for number, sounds in ((1, first), (2, second)):
        if sounds:
            sound = rng.choice(sounds)
            where = f"{cap(sound_of(sound.noun))}, which is heard in audio {number} only"
            lines.append(f"{where}, is like this: {sound.character}.")
    if both:
        lines.append(f"Both clips have {_nouns(both)}.")
    word = _louder(pair)
    if word is not None:
        lines.append(f"Audio 1 is {word} than audio 2.")
    counts = len(pair.first.present), len(pair.second.present)
    if counts[0] != counts[1] and min(counts) > 0:
        lines.append(f"Audio 1 holds {_many(counts[0])} and audio 2 {_many(counts[1])}.")
    return " ".join(lines)


def _many(number: int) -> str:
    word = NUMBERS[number] if number < len(NUMBERS) else str(number)
    return f"{word} kind{'s' if number > 1 else ''} of sound"


def _told(view: View, opening: str, rng: random.Random) -> str:
    if not view.present:
        return end(f"{opening}there is {_listed([], view)}")
    text = caption(view, rng)
    return f"{opening}{text[:1].lower()}{text[1:]}"
