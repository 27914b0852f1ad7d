"""Which of two clips, and whether both: presence, loudness, length, number of sounds."""

from __future__ import annotations

import random

from mellow.data.scenes.phrases import Sound
from mellow.data.tasks.compare import clearly
from mellow.data.tasks.difference import loudness
from mellow.data.tasks.options import closed
from mellow.data.tasks.view import Pair
from mellow.data.tasks.words import end, pick, sound_of, typed
from mellow.types import Example

__all__ = ["draw_same", "draw_which"]

# How the question calls the clips -> how the answer names the first and the second.
NAMES: tuple[tuple[str, tuple[str, str]], ...] = (
    ("clip", ("the first clip", "the second clip")), ("audio", ("audio 1", "audio 2")),
    ("recording", ("the first recording", "the second recording")),
    ("audio", ("the first audio", "the second audio")), ("clip", ("clip 1", "clip 2")), ("file", ("file 1", "file 2")),
    ("one", ("the first", "the second")),
)  # fmt: skip
HOLDS = (
    "Which {thing} contains {sound}?", "In which {thing} can you hear {noun}?", "which {thing} has {noun}",
    "Which {thing} is the one with {noun}?", "Where do you hear {noun}, in {a} or in {b}?",
    "{noun}: {a} or {b}?", "Is {sound} in {a} or in {b}?", "Find the {thing} with {noun}: {a} or {b}?",
    "Which of the two has {sound}, {a} or {b}?",
    "Only one of them has {noun}. Is it {a} or {b}?", "Does {sound} come from {a} or from {b}?",
    "I am looking for {noun}. Which {thing} is it in?",
    "Tell me which {thing} holds {sound}.",
)  # fmt: skip
HELD = (
    "Which {thing} is {word}?", "which {thing} is {word}, {a} or {b}", "Which of the two is {word}, {a} or {b}?",
    "Is {a} or {b} {word}?", "Compare them: which {thing} is {word}?",
    "Which is {word}: {a} or {b}?", "Tell me which {thing} is {word}.", "Of the two, which {thing} is {word}?",
    "Which {thing} would you call {word}?",
    "{a} or {b}: which is {word}?", "Is {a} the {word} one, or {b}?", "Listening to both, which {thing} is {word}?",
)  # fmt: skip
MORE = (
    "Which {thing} has {word} kinds of sound?", "In which {thing} do you hear {word} different sounds?",
    "which {thing} has {word} sound events, {a} or {b}", "Which of the two has {word} different sounds, {a} or {b}?",
    "Are there {word} sounds in {a} or in {b}?", "Count the different sounds in each. Which {thing} has {word}?",
    "Which {thing} contains {word} sound sources?",
    "Compare the number of sounds: which {thing} has {word}?", "{word} sounds: {a} or {b}?",
    "Tell me which {thing} has {word} different sounds.",
    "Does {a} or {b} have {word} different sounds?", "Where are there {word} things to hear, in {a} or in {b}?",
)  # fmt: skip
BOTH = (
    "Do both clips contain {sound}?", "Can {noun} be heard in both clips?", "Is {sound} in both recordings?",
    "do the two audios share {sound}", "Do you hear {noun} in audio 1 and in audio 2?",
    "Is {sound} common to the two clips?", "Does {sound} occur in each of the two audios?", "{noun}: in both?",
    "Do the two recordings have {noun} in common?",
    "Is it true that both clips have {noun}?", "Would you say that {noun} can be heard in both files?",
    "Are there two clips with {noun} here?", "Both have {noun}, right?",
)  # fmt: skip
SHARED = (
    "What do both clips have in common?", "Which sound is in both recordings?", "What can be heard in both audios?",
    "common sound?", "Which sound do the two clips share?",
    "Name a sound that occurs in audio 1 and audio 2.", "What is the same in the two clips?",
    "Is there a sound in both clips? Which one?", "Do the recordings share any sound?",
    "Which sound event appears in the first and in the second clip?", "What connects the two audios?",
    "Find the sound the two files share.",
)  # fmt: skip
ONLY = ("", " Answer only using yes or no.", " Answer yes or no.", " Yes or no?")


def draw_which(pair: Pair, rng: random.Random) -> Example | None:
    """Which clip: each answer as likely as the other for the same words."""
    first = rng.random() < 0.5
    dice = rng.random()
    if dice < 0.6:
        return _holds(pair, first, rng)
    if dice < 0.75:
        words = ("louder", "quieter")
        order = (
            _order(loudness(pair.first), loudness(pair.second), "level")
            if pair.first.present and pair.second.present
            else 0
        )
        return _asked(pair, rng, HELD, words, order, first)
    if dice < 0.87:
        words = ("longer", "shorter")
        return _asked(
            pair, rng, HELD, words, _order(pair.first.scene.seconds, pair.second.scene.seconds, "duration"), first
        )
    one, two = len(pair.first.present), len(pair.second.present)
    return _asked(pair, rng, MORE, ("more", "fewer"), (one > two) - (one < two), first)


def _order(one: float, two: float, measure: str) -> int:
    return 1 if clearly(one, two, measure) else -1 if clearly(two, one, measure) else 0


def _asked(
    pair: Pair, rng: random.Random, templates: tuple[str, ...], words: tuple[str, str], order: int, first: bool
) -> Example | None:
    """`order` is 1 when the first clip has more; the word is chosen so that the wanted clip is the answer."""
    if order == 0:
        return None
    word = words[0] if (order > 0) == first else words[1]
    return _closed(pair, rng, templates, {"word": word}, first)


def _closed(pair: Pair, rng: random.Random, templates: tuple[str, ...], slots: dict[str, str], first: bool) -> Example:
    thing, names = rng.choice(NAMES)
    template = rng.choice(templates)
    swapped = rng.random() < 0.5
    a, b = names[::-1] if swapped else names
    stem = template.format(thing=thing, a=a, b=b, **slots)
    right = names[0] if first else names[1]
    if "{a}" in template and rng.random() < 0.7:
        return pair.example("which", typed(stem, rng), end(right))
    question, answer, choices = closed(stem, names, right, rng, shuffle=rng.random() < 0.5)
    return pair.example("which", question, answer, choices)


def _holds(pair: Pair, first: bool, rng: random.Random) -> Example | None:
    here, there = (pair.first, pair.second) if first else (pair.second, pair.first)
    confusable = here.vocabulary.confusable
    keys = [key for key in here.present if not any(confusable.related(key, other) for other in there.present)]
    if not keys:
        return None
    sound = here.vocabulary[rng.choice(keys)]
    return _closed(pair, rng, HOLDS, _slots(sound), first)


def _slots(sound: Sound) -> dict[str, str]:
    return {"noun": sound.noun, "sound": sound_of(sound.noun)}


def draw_same(pair: Pair, rng: random.Random) -> Example | None:
    """Yes or no: is a sound in both; or open: which sound is shared."""
    one, two = pair.first, pair.second
    shared = [key for key in one.present if key in two.present]
    if rng.random() < 0.3 and shared:
        nouns = " and ".join(one.vocabulary[key].noun for key in shared)
        text = rng.choice((nouns, f"both clips have {nouns}", f"{nouns} can be heard in both"))
        return pair.example("same", typed(rng.choice(SHARED), rng), end(text))
    yes = rng.random() < 0.5
    confusable = one.vocabulary.confusable
    lonely = [
        k
        for a, b in ((one, two), (two, one))
        for k in a.present
        if not any(confusable.related(k, o) for o in b.present)
    ]
    keys = shared if yes else lonely
    if not shared or not keys:  # asked of pairs that share something, so that the sounds named tell nothing
        return None
    question = pick(rng, BOTH, _slots(one.vocabulary[rng.choice(keys)])) + rng.choice(ONLY)
    return pair.example("same", typed(question, rng), "yes" if yes else "no", ("yes", "no"))
