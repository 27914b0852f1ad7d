"""What comes first, last, after, before, between; the whole sequence; open and closed."""

from __future__ import annotations

import random
from itertools import pairwise

from mellow.data.scenes.phrases import Sound
from mellow.data.scenes.scene import Event
from mellow.data.tasks.choices import phrasing
from mellow.data.tasks.options import closed
from mellow.data.tasks.view import View, precedes
from mellow.data.tasks.words import cap, end, join, named, pick, sound_of, typed
from mellow.types import Example

__all__ = ["chain", "draw"]

FIRST = (
    "What comes first?", "Which sound is heard first?", "what's the first sound", "How does the clip begin?",
    "Which event starts the recording?",
    "What do you hear at first?", "Name the first sound event.", "Based on the audio, which sound occurs first?",
    "what is heard before everything else?",
    "Identify the earliest sound.", "The first sound of the clip is", "What opens this audio?",
    "Which of the sounds comes first?",
)  # fmt: skip
LAST = (
    "What comes last?", "Which sound is heard last?", "what's the last sound", "How does the clip end?",
    "Which event closes the recording?",
    "What is the final sound event?", "What is the concluding sound in the provided audio?",
    "Based on the audio, which sound occurs last?",
    "what is heard at the very end?", "Identify the latest sound.", "The last sound of the clip is",
    "With what does this audio end?",
)  # fmt: skip
AFTER = (
    "What comes right after {sound}?", "Which sound follows {sound}?", "what is heard next after {sound}",
    "After {sound}, what do you hear?",
    "What happens directly after {sound}?", "{sound} is followed by what?",
    "Based on the audio, what comes after {sound}?", "Which event comes next once {sound} has been heard?",
    "what do I hear after {noun}?", "Identify the sound that follows {noun}.", "What is the next sound after {noun}?",
    "Which sound comes just after {noun}?",
)  # fmt: skip
BEFORE = (
    "What comes right before {sound}?", "Which sound precedes {sound}?", "what is heard just before {sound}",
    "Before {sound}, what do you hear?",
    "What happens directly before {sound}?", "{sound} comes after what?",
    "Based on the audio, what comes just before {sound}?", "Which event leads up to {noun}?",
    "what do I hear before {noun}?", "Identify the sound right before {noun}.",
    "What is the previous sound, before {noun}?", "Which sound comes just ahead of {noun}?",
)  # fmt: skip
BETWEEN = (
    "What comes between {a} and {b}?", "Which sound is heard between {a} and {b}?", "what's in between {a} and {b}",
    "Between {a} and {b}, what do you hear?",
    "What happens after {a} and before {b}?", "Which event separates {a} from {b}?",
    "Name the sound that lies between {a} and {b}.",
    "After {a} but before {b}, which sound can be heard?", "Identify the event between {a} and {b}.",
    "{a}, then what, then {b}?",
    "Which sound comes after {a} yet before {b}?", "What fills the gap between {a} and {b}?",
)  # fmt: skip
SEQUENCE = (
    "In which order do the sounds occur?", "What is the order of the sounds?", "List the sounds in order.",
    "sequence of events?", "Put the sounds in order of time.",
    "What happens first, next and last?", "Which sequence matches the audio?", "Describe the order of events.",
    "Tell me the sounds one after the other.",
    "What is the right order of the events in this clip?", "From start to end, which sounds follow one another?",
    "Based on the given audio, what is the sequence of sounds?",
    "what comes when? list the order", "In what order can these sounds be heard?",
)  # fmt: skip


def chain(view: View) -> list[Event]:
    """The foreground events by onset when each clearly precedes the next and none can be mistaken; else nothing."""
    events = list(view.scene.foreground)
    clear = all(precedes(a, b) for a, b in pairwise(events))
    return events if clear and len(view.solo) == len(events) else []


def draw(view: View, rng: random.Random) -> Example | None:
    """One question about order, for clips with two or more clearly ordered events."""
    events = chain(view)
    if len(events) < 2:
        return None
    sounds = [view.sound(event) for event in events]
    ways = [_first, _last, _after, _before, _sequence]
    ways += [_between, _between] if len(sounds) > 2 else []
    return rng.choice(ways)(view, sounds, rng)


def _first(view: View, sounds: list[Sound], rng: random.Random) -> Example | None:
    return _asked(view, rng, rng.choice(FIRST), sounds[0], sounds, "{0} comes first")


def _last(view: View, sounds: list[Sound], rng: random.Random) -> Example | None:
    return _asked(view, rng, rng.choice(LAST), sounds[-1], sounds, "{0} comes last")


def _slots(sound: Sound) -> dict[str, str]:
    return {"sound": sound_of(sound.noun), "noun": sound.noun}


def _after(view: View, sounds: list[Sound], rng: random.Random) -> Example | None:
    place = rng.randrange(len(sounds) - 1)
    question = cap(pick(rng, AFTER, _slots(sounds[place])))
    others = [sound for sound in sounds if sound is not sounds[place]]
    return _asked(view, rng, question, sounds[place + 1], others, f"after {named(sounds[place].noun)} comes {{1}}")


def _before(view: View, sounds: list[Sound], rng: random.Random) -> Example | None:
    place = rng.randrange(1, len(sounds))
    question = cap(pick(rng, BEFORE, _slots(sounds[place])))
    others = [sound for sound in sounds if sound is not sounds[place]]
    return _asked(view, rng, question, sounds[place - 1], others, f"before {named(sounds[place].noun)} comes {{1}}")


def _between(view: View, sounds: list[Sound], rng: random.Random) -> Example | None:
    place = rng.randrange(1, len(sounds) - 1)
    a, b = sounds[place - 1], sounds[place + 1]
    question = cap(pick(rng, BETWEEN, {"a": named(a.noun), "b": named(b.noun)}))
    others = [sound for sound in sounds if sound is not a and sound is not b]
    return _asked(view, rng, question, sounds[place], others, "{0} comes between the two")


def _asked(
    view: View, rng: random.Random, question: str, right: Sound, heard: list[Sound], sentence: str
) -> Example | None:
    """Open, or closed: among the other sounds of the clip when there are enough, else with absent ones too."""
    if rng.random() < 0.45:
        text = right.noun if rng.random() < 0.6 else sentence.format(named(right.noun), right.noun)
        return view.example("order", typed(question, rng), end(text))
    wrong = [sound for sound in heard if sound is not right]
    if not wrong:
        return None
    if len(wrong) > 1 and rng.random() < 0.8:
        options = [right, *rng.sample(wrong, min(len(wrong), 3))]
    else:
        absent = view.vocabulary.distractors(rng, right.key, rng.choice((0, 1, 2)), present=view.present)
        options = [right, *wrong[:2], *(view.vocabulary[key] for key in absent)]
    word = phrasing(rng)
    stem, answer, choices = closed(question, [word(sound) for sound in options], word(right), rng)
    return view.example("order", stem, answer, choices)


def _sequence(view: View, sounds: list[Sound], rng: random.Random) -> Example | None:
    """The whole order; wrong options are other orders of the same sounds."""
    question = rng.choice(SEQUENCE)
    if rng.random() < 0.5:
        return view.example("order", typed(question, rng), end(_told([s.noun for s in sounds], rng)))
    word = phrasing(rng)
    names = [word(sound) for sound in sounds[:4]] if len(sounds) <= 4 else []
    if not names:
        return None
    link = rng.choice((", then ", " - ", " -> ", ", followed by "))
    orders = {tuple(names)}
    wanted = 2 if len(names) == 2 else rng.choice((3, 4))
    while len(orders) < wanted:
        orders.add(tuple(rng.sample(names, len(names))))
    options = [link.join(order) for order in sorted(orders)]
    stem, answer, choices = closed(question, options, link.join(names), rng)
    return view.example("order", stem, answer, choices)


def _told(nouns: list[str], rng: random.Random) -> str:
    if rng.random() < 0.5:
        return ", then ".join(nouns)
    if len(nouns) == 2:
        return f"first {nouns[0]}, then {nouns[1]}"
    return f"first {nouns[0]}, then {join(nouns[1:-1])}, and finally {nouns[-1]}"
