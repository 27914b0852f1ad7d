"""Practice with words alone: the names an encoder might report, and questions about the sound they stand for.

Over all sounds of the table, so that the language model learns which words go together.
"""

from __future__ import annotations

import random

from mellow.data.records import YES_NO
from mellow.data.scenes.phrases import Sound
from mellow.data.tasks import choices, identify, yesno
from mellow.data.tasks.facets import FACET_OPTIONS, FACETS, facet_options, facets_of, maker
from mellow.data.tasks.inference import ANSWERS
from mellow.data.tasks.options import closed
from mellow.data.tasks.vocabulary import Vocabulary
from mellow.data.tasks.words import cap, clause, end, join, pick, sound_of, typed
from mellow.types import Example

__all__ = ["draw"]

COUNTS = (2, 3, 4, 4, 4, 4, 5, 6, 10, 20)
SYNONYMS = (
    "Which of these means the same?", "Which option says the same as what is heard?", "Which wording fits the sound?",
    "Which of these is another way to put it?",
    "which phrase matches", "Match the sound to a phrase.", "Which phrase stands for this sound?",
    "How else could one say it?", "Which description belongs to the sound?",
    "Choose the phrase that fits the sound best.", "Which of these would be the right words for it?",
    "Pick the matching description.",
)  # fmt: skip


def draw(vocabulary: Vocabulary, rng: random.Random) -> Example | None:
    """One question answered from the names heard, the first of which is the sound meant."""
    key = vocabulary.draw(rng)
    if key is None:
        return None
    sound = vocabulary[key]
    heard = _heard(vocabulary, sound, rng)
    dice = rng.random()
    if dice < 0.35:
        made = _identify(vocabulary, sound, heard, rng, choices.STEMS)
    elif dice < 0.43:
        made = _identify(vocabulary, sound, heard, rng, SYNONYMS)
    elif dice < 0.70:
        made = _facet(vocabulary, sound, heard, rng)
    elif dice < 0.80:
        made = _open_facet(sound, rng)
    elif dice < 0.87:
        made = _name(sound, rng)
    else:
        made = _presence(vocabulary, sound, heard, rng)
    if made is None:
        return None
    question, answer, options = made
    names = tuple(vocabulary[k].name for k in heard)
    return Example(question, answer, choices=options, task="practice", group=f"words/{key}", heard=names)


Made = tuple[str, str, tuple[str, ...]]


def _heard(vocabulary: Vocabulary, sound: Sound, rng: random.Random) -> list[str]:
    """The sound itself, then two to five others that an encoder might confuse it with: confusable and its category."""
    wanted = rng.randint(2, 5)
    confusable = [key for key in vocabulary.confusable.close(sound.key) if key in vocabulary]
    near = [key for key in vocabulary.keys if vocabulary[key].category == sound.category and key != sound.key]
    heard = [sound.key]
    for _ in range(20):
        if len(heard) > wanted:
            break
        pool = rng.choice((confusable, confusable, near, vocabulary.keys if rng.random() < 0.3 else near))
        key = rng.choice(pool) if pool else None
        if key is not None and key not in heard:
            heard.append(key)
    return heard


def _identify(
    vocabulary: Vocabulary, sound: Sound, heard: list[str], rng: random.Random, stems: tuple[str, ...]
) -> Made | None:
    count = rng.choice(COUNTS) - 1
    others = vocabulary.distractors(rng, sound.key, count, present=heard)
    if not others:
        return None
    word = choices.phrasing(rng)
    options = [word(vocabulary[key]) for key in (sound.key, *others)]
    return closed(rng.choice(stems), options, options[0], rng)


def _facet(vocabulary: Vocabulary, sound: Sound, heard: list[str], rng: random.Random) -> Made | None:
    facet = rng.choice(facets_of(sound))
    options = facet_options(vocabulary, rng, sound, facet, rng.choice(FACET_OPTIONS), present=heard)
    if options is None:
        return None
    return closed(rng.choice(FACETS[facet].questions).format(it="this sound"), options, options[0], rng)


def _open_facet(sound: Sound, rng: random.Random) -> Made:
    facet = rng.choice(facets_of(sound))
    slots = {
        "noun": sound.noun, "place": sound.place, "action": sound.action, "character": sound.character,
        "maker": maker(sound), "clause": clause(sound, rng),
        "sound": sound_of(sound.noun),
    }  # fmt: skip
    slots |= {cap(name): cap(word) for name, word in slots.items()}
    question = rng.choice(FACETS[facet].questions).format(it="this sound")
    return typed(question, rng), pick(rng, ANSWERS[facet], slots), ()


def _name(sound: Sound, rng: random.Random) -> Made:
    if rng.random() < 0.4:
        return typed(rng.choice(identify.NAME), rng), end(sound.name), ()
    return typed(rng.choice(identify.PHRASE), rng), end(sound.noun if rng.random() < 0.7 else clause(sound, rng)), ()


def _presence(vocabulary: Vocabulary, sound: Sound, heard: list[str], rng: random.Random) -> Made | None:
    yes = rng.random() < 0.5
    key: str | None = sound.key
    if not yes:
        category = sound.category if rng.random() < 0.5 else None
        key = vocabulary.draw(rng, avoid=heard, category=category) or vocabulary.draw(rng, avoid=heard)
    if key is None:
        return None
    asked = vocabulary[key]
    slots = {
        "noun": asked.noun,
        "name": asked.name,
        "sound": sound_of(asked.noun),
        "clause": clause(asked, rng),
        "heard": join([sound.noun]),
    }
    question = pick(rng, yesno.PRESENCE, slots)
    if rng.random() < 0.25:
        return typed(question, rng), pick(rng, yesno.YES_WHY if yes else yesno.NO_WHY, slots), ()
    return typed(question + rng.choice(("", *yesno.ONLY)), rng), "yes" if yes else "no", YES_NO
