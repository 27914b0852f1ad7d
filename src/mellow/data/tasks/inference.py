"""What follows from a sound: place, reaction, character, kind of source, setting, mood; open and closed."""

from __future__ import annotations

import random

from mellow.data.scenes.phrases import Sound
from mellow.data.tasks.facets import FACET_OPTIONS, FACETS, facet_options, facets_of, maker, setting
from mellow.data.tasks.options import closed
from mellow.data.tasks.view import View
from mellow.data.tasks.words import cap, clause, definite, end, named, pick, sound_of, typed
from mellow.types import Example

__all__ = ["draw_character", "draw_inference", "draw_knowledge", "draw_scene"]

ANSWERS = {
    "place": (
        "{Sound} is typically heard {place}.", "This was probably recorded {place}, as I can hear {noun}.",
        "Probably {place}, because {noun} can be heard.",
        "{Sound} suggests that this is {place}.", "It might be {place}: I hear {noun}.",
        "The likely setting is {place}, where one can hear {noun}.",
    ),
    "action": (
        "This is {sound}, so {action}.", "I hear {noun}: {action}.", "On hearing {noun}, {action}.",
        "It is {sound}. You should {action}.",
        "When you hear {noun}, you should {action}.", "{Action}, as {noun} can be heard.",
        "A sensible listener would {action}, because this is {sound}.",
    ),
    "character": (
        "{Noun}: {character}.", "I hear {noun}. It can be described like this: {character}.",
        "It is {sound}: {character}.", "The sound, {noun}, can be put like this: {character}.",
        "{Character}: this is {noun}.", "What you hear is {sound}: {character}.",
    ),
    "category": (
        "It comes from {maker}: {noun}.", "The source is {maker}; I hear {noun}.", "{Noun}, so the source is {maker}.",
        "This is {sound}, that is, {maker}.",
        "{Maker} makes this sound: {noun}.",
    ),
}  # fmt: skip
HAPPENING = (
    "What is happening?", "what is going on here", "What seems to be going on?",
    "Explain what is happening in this scene.", "What happened here?", "Tell me what is taking place.",
    "What do you conclude from the sound?", "What activity or event is this?", "Why is there this sound?",
    "What could have caused the sound?", "What made it?",
    "What might be the reason for this sound?", "What event is associated with this sound?",
)  # fmt: skip
HAPPENING_ANSWERS = (
    "{Clause}, probably {place}.", "{Clause}. Such a sound is typically heard {place}.", "I hear {noun}: {clause}.",
    "It is {sound}, as one hears it {place}.",
    "The sound is caused by {maker}: {clause}.", "{Clause}, as happens {place}.",
)  # fmt: skip
SETTING = (
    "Is this indoors or outdoors?", "Was this recorded inside or outside?", "indoor or outdoor?",
    "Would you place this sound indoors or outdoors?", "Does this sound belong inside or outside?",
    "Is the setting more likely indoors or outdoors?", "Inside a building or out in the open?",
    "Is it an indoor or an outdoor sound?", "Do you think the microphone was inside or outside?",
    "Judging by the sound, are we indoors or outdoors?", "Indoors or outdoors, which is more likely?",
    "Guess: inside or outside?",
)  # fmt: skip
MOOD = (
    "Is this sound a sign of danger?", "Should I be worried?", "Is it dangerous?", "Does this call for attention?",
    "Is there reason for alarm?", "Does the sound mean trouble?",
    "is this an emergency?", "Is this sound urgent or harmless?", "How urgent is this sound?",
    "Would this sound alarm you?", "Do I need to act on this sound?",
    "Is this something to be careful about?",
)  # fmt: skip
URGENT = {"alarm": "a warning or a call for attention", "explosion": "possible danger", "fire": "something burning"}
HARMLESS = frozenset(("bird", "music", "music instrument", "kitchen", "household", "insect", "bell"))
MANNERS = ("this sound", "the sound", "this sound", "this")
SCENE = (
    "Where might this be?", "Where are we?", "What kind of place is this?", "Describe the place of this recording.",
    "In what surroundings was this recorded, and how can you tell?",
    "What does the background tell about the place?", "where was the microphone?",
    "Where could this scene take place? Give a reason.", "What environment do you hear?",
    "Guess the place and say why.", "What setting do the sounds suggest?", "Tell me where this is, from the sounds.",
    "Which surroundings does the audio suggest?",
)  # fmt: skip
SCENE_ANSWERS = (
    "This might be {place}, because I can hear {noun}.", "Probably {place}: {noun} can be heard.",
    "The sounds suggest a place {place}, as {noun} can be heard.",
    "I would say {place}, since I hear {noun}.", "It could be {place}, going by {sound}.",
    "Most likely {place}, because {clause}.",
)  # fmt: skip


def draw_inference(view: View, rng: random.Random) -> Example | None:
    """A question about what follows from the one main sound."""
    sound = view.main
    if sound is None:
        return None
    dice = rng.random()
    if dice < 0.15:
        text = pick(rng, HAPPENING_ANSWERS, _slots(sound, rng))
        return view.example("inference", typed(rng.choice(HAPPENING), rng), text)
    if dice < 0.27:
        return _setting(view, sound, rng)
    if dice < 0.37:
        return _mood(view, sound, rng)
    facet = rng.choice(("place", "action", "action", "category"))
    return _facet(view, sound, facet, "inference", rng) if facet in facets_of(sound) else None


def draw_character(view: View, rng: random.Random) -> Example | None:
    """How the main sound sounds."""
    return None if view.main is None else _facet(view, view.main, "character", "character", rng)


def draw_knowledge(view: View, rng: random.Random) -> Example | None:
    """Which option is typical of the only sound: always closed."""
    if view.only is None:
        return None
    return _closed(
        view,
        view.only,
        rng.choice(facets_of(view.only)),
        "knowledge",
        "this sound",
        rng,
    )


def draw_scene(view: View, rng: random.Random) -> Example | None:
    """Where the clip may come from: told by its background, or by its only sound."""
    if not view.background and view.only is None:
        return None
    sound = view.sound(view.background[0]) if view.background else view.only
    assert sound is not None
    if rng.random() < 0.35:
        return _closed(
            view,
            sound,
            "place",
            "scene",
            "this",
            rng,
            stem=rng.choice(SCENE[:2] + SCENE[5:6] + SCENE[8:9] + SCENE[10:]),
        )
    return view.example("scene", typed(rng.choice(SCENE), rng), pick(rng, SCENE_ANSWERS, _slots(sound, rng)))


def _slots(sound: Sound, rng: random.Random) -> dict[str, str]:
    words = {
        "noun": sound.noun, "place": sound.place, "action": sound.action, "character": sound.character,
        "maker": maker(sound), "clause": clause(sound, rng),
        "sound": sound_of(sound.noun), "named": named(sound.noun), "definite": definite(sound.noun),
    }  # fmt: skip
    return {**words, **{cap(name): cap(word) for name, word in words.items()}}


def _facet(view: View, sound: Sound, facet: str, task: str, rng: random.Random) -> Example | None:
    several = len(view.present) > 1
    it = named(sound.noun) if several and rng.random() < 0.5 else rng.choice(MANNERS)
    if rng.random() < 0.45:
        return _closed(view, sound, facet, task, it, rng)
    question = typed(rng.choice(FACETS[facet].questions).format(it=it), rng)
    return view.example(task, question, pick(rng, ANSWERS[facet], _slots(sound, rng)))


def _closed(
    view: View, sound: Sound, facet: str, task: str, it: str, rng: random.Random, *, stem: str | None = None
) -> Example | None:
    vocabulary = view.vocabulary.on("scene") if task == "scene" else view.vocabulary.on(facet)
    options = facet_options(vocabulary, rng, sound, facet, rng.choice(FACET_OPTIONS), present=view.present)
    if options is None:
        return None
    stem = rng.choice(FACETS[facet].questions).format(it=it) if stem is None else stem
    question, answer, choices = closed(stem, options, options[0], rng)
    return view.example(task, question, answer, choices)


def _setting(view: View, sound: Sound, rng: random.Random) -> Example | None:
    found = setting(sound)
    if found is None or len(view.present) > 1:
        return None
    text = rng.choice(
        (
            f"probably {found}, as I hear {sound.noun}",
            f"{found}: {sound_of(sound.noun)} is typically heard {sound.place}",
        )
    )
    return view.example("inference", typed(rng.choice(SETTING), rng), end(text))


def _mood(view: View, sound: Sound, rng: random.Random) -> Example | None:
    if len(view.present) > 1:
        return None
    if sound.category in URGENT:
        text = f"{sound.noun} can mean {URGENT[sound.category]}, so {sound.action}"
    elif sound.category in HARMLESS:
        text = f"this is {sound.noun}, which is harmless"
    else:
        return None
    return view.example("inference", typed(rng.choice(MOOD), rng), end(text))
