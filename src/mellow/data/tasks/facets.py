"""What is typical of a sound (place, action, character, category, source), as open words and as options."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mellow.data.scenes.phrases import Sound
from mellow.data.tasks.vocabulary import Vocabulary
from mellow.data.tasks.words import content, word_set

__all__ = [
    "CLASHES",
    "FACETS",
    "FACET_OPTIONS",
    "MAKERS",
    "SETTINGS",
    "facet_distractors",
    "facet_options",
    "facets_of",
    "maker",
    "setting",
]

_CLASH_GROUPS = (
    ("animal", "bird", "insect", "nature", "place"),
    ("human voice", "human body", "human action", "crowd", "place", "music"),
    ("music instrument", "music", "bell"),
    ("vehicle", "engine", "machine", "tool", "place"),
    ("household", "kitchen", "machine", "door", "human action", "tool", "electronic"),
    ("alarm", "bell", "electronic", "noise", "vehicle"),
    ("weather", "water", "nature", "place", "noise"),
    ("impact", "explosion", "fire", "door", "tool", "kitchen", "household", "human action"),
    ("noise", "electronic", "machine", "engine", "weather", "water"),
)
CLASHES: Mapping[str, frozenset[str]] = {
    name: frozenset(other for group in _CLASH_GROUPS if name in group for other in group)
    for name in {name for group in _CLASH_GROUPS for name in group}
}
MAKERS: Mapping[str, str] = {
    "animal": "an animal", "bird": "a bird", "insect": "an insect", "human voice": "a human voice",
    "human body": "a human body",
    "human action": "a person doing something", "crowd": "a group of people",
    "music instrument": "a musical instrument", "music": "music being played",
    "vehicle": "a vehicle", "engine": "an engine", "machine": "a machine", "tool": "a tool",
    "household": "a household object", "kitchen": "something in a kitchen",
    "alarm": "an alarm or a signal", "bell": "a bell", "weather": "the weather", "water": "water", "nature": "nature",
    "fire": "fire",
    "impact": "an object being hit", "explosion": "an explosion or a shot", "electronic": "an electronic device",
    "door": "a door or something that opens", "noise": "mere noise",
    "place": "a place full of sounds",
}  # fmt: skip
_INDOOR = word_set(
    "kitchen bedroom bathroom office living house home hall hallway room classroom studio library restaurant cafe bar "
    "pub shop store supermarket laundry apartment theater church gym hospital closet basement nursery garage desk "
    "elevator"
)
_OUTDOOR = word_set(
    "street road forest garden field beach sea ocean park yard backyard river lake mountain farm pasture meadow "
    "harbor highway coast jungle woods trail pond outdoors savanna racetrack sky campfire campsite swamp"
)
SETTINGS = ("indoors", "outdoors")
VAGUE = frozenset(("noise", "place", "music"))  # categories whose maker is no thing that one can point at
FACET_OPTIONS = (1, 2, 3, 3, 3)  # wrong options of a question about a facet


@dataclass(frozen=True)
class Facet:
    """One side of a sound, with the questions that ask for it ({it} names the sound, or is `this sound`)."""

    name: str
    questions: tuple[str, ...]


FACETS: Mapping[str, Facet] = {
    facet.name: facet
    for facet in (
        Facet("place", (
            "Where would you expect to hear {it}?", "Where is {it} typically heard?", "where could this be",
            "Which place fits {it}?", "Where might this have been recorded?",
            "Where was this probably recorded?", "What is the most likely setting?",
            "Given the audio, where does this take place?", "which place is it",
            "In what kind of place does one hear {it}?", "Based on the given audio, what is the likely location?",
            "Where do you usually come across {it}?",
            "What might the acoustic environment be?", "Which location goes with {it}?", "Guess the location.")),
        Facet("action", (
            "What should a listener do?", "What should I do when I hear {it}?", "what would be a sensible reaction?",
            "What is a fitting response to {it}?",
            "You hear {it}. What do you do?", "What is the best thing to do now?",
            "Which reaction makes sense after hearing {it}?", "How should one react to {it}?",
            "If you heard this nearby, what would you do?", "what should you do if you hear this",
            "Which advice fits {it}?", "What would a sensible person do on hearing {it}?",
            "Based on the audio, what action makes sense?", "What does {it} call for?")),
        Facet("character", (
            "How does it sound?", "Which description fits {it}?", "What are the acoustic qualities of {it}?",
            "what does it sound like", "Describe the character of {it}.",
            "How would you describe {it}?", "What is the primary characteristic of {it}?",
            "Which words describe {it} best?", "What is {it} like to the ear?",
            "Based on the audio, how can {it} be characterized?", "what's the character of this sound?",
            "What qualities does {it} have?",
            "How would you put the texture of {it} into words?", "What describes the acoustic character of the clip?")),
        Facet("category", (
            "What kind of thing makes {it}?", "What category does {it} belong to?",
            "What is the source: which kind of thing?", "Which group of sounds is this?",
            "what type of sound is it", "What sort of source is behind {it}?",
            "Based on the given audio, what kind of source is heard?", "Who or what makes {it}?",
            "Which of these makes such a sound?", "What is responsible for {it}?", "From what does {it} come?",
            "Which kind of source fits {it}?",
            "What produced {it}?", "Classify the source of {it}.")),
    )
}  # fmt: skip


def maker(sound: Sound) -> str:
    """The kind of thing that makes the sound, in words."""
    return MAKERS[sound.category]


def facets_of(sound: Sound) -> tuple[str, ...]:
    """The facets that the sound can be asked for."""
    return tuple(facet for facet in FACETS if facet != "category" or sound.category not in VAGUE)


def setting(sound: Sound) -> str | None:
    """`indoors` or `outdoors` where the typical place is surely one of them."""
    words = content(sound.place)
    inside, outside = bool(words & _INDOOR), bool(words & _OUTDOOR)
    if inside == outside:
        return None
    return SETTINGS[0] if inside else SETTINGS[1]


def _text(sound: Sound, facet: str) -> str:
    return maker(sound) if facet == "category" else str(getattr(sound, facet))


def facet_options(
    vocabulary: Vocabulary, rng: random.Random, sound: Sound, facet: str, count: int, *, present: Collection[str] = ()
) -> list[str] | None:
    """The right text and `count` wrong ones from sounds of other kinds, whose words share nothing; None if too few."""
    others = facet_distractors(vocabulary, rng, sound, facet, count, present=present)
    return None if len(others) < count else [_text(sound, facet), *(_text(vocabulary[key], facet) for key in others)]


def facet_distractors(
    vocabulary: Vocabulary, rng: random.Random, sound: Sound, facet: str, count: int, *, present: Collection[str] = ()
) -> list[str]:
    """Keys of up to `count` sounds of other kinds, whose texts for the facet share no word with the right one's."""
    chosen: list[str] = []
    avoid = [*present, sound.key]
    taken = [content(_text(sound, facet))]
    closed_to = {sound.category} | CLASHES.get(sound.category, frozenset())
    for _ in range(40):
        if len(chosen) == count:
            break
        key = vocabulary.draw(rng, avoid=avoid)
        if key is None:
            break
        other = vocabulary[key]
        words = content(_text(other, facet))
        if facet not in facets_of(other) or other.category in closed_to or any(words & known for known in taken):
            continue
        chosen.append(key)
        avoid.append(key)
        taken.append(words)
        if facet == "category":
            closed_to |= {other.category} | CLASHES.get(other.category, frozenset())
    return chosen
