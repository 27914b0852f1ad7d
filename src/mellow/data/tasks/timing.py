"""When a sound is heard: beginning, middle or end, and the second."""

from __future__ import annotations

import random

from mellow.data.scenes.scene import Event
from mellow.data.tasks.options import closed
from mellow.data.tasks.view import View
from mellow.data.tasks.words import end, named, pick, sound_of, typed
from mellow.types import Example

__all__ = ["WHEN", "draw", "part"]

PARTS = ("at the beginning", "in the middle", "at the end")
WHEN = (
    "When can {noun} be heard?", "When does {named} start?", "when does {named} begin",
    "At what point do you hear {noun}?", "When do you first hear {noun}?",
    "Where in the clip does {named} occur?", "When is {sound} heard?", "Tell me when {named} starts.",
    "At which time does {sound} set in?",
    "When does one hear {noun} in this recording?", "what time is {sound} in the clip?",
    "Find the moment when {named} starts.", "when is {sound}",
)  # fmt: skip
PART = (
    "In which part of the clip does {named} start?",
    "Does {named} start at the beginning, in the middle or at the end?",
    "Which part of the recording holds the start of {named}?",
    "When does {named} start: beginning, middle or end?", "In which third of the audio does {named} begin?",
    "Where does {named} first come up in the recording?",
    "Roughly where in the clip does {named} begin?", "Which part of the clip: when does {named} come in?",
    "Where along the clip does {sound} begin?",
    "At which stage of the recording is {sound} first heard?", "In what part of the audio does {sound} set in?",
    "When in the recording does {sound} start?",
)  # fmt: skip
PART_CLOSED = tuple(question for question in PART if "beginning" not in question)  # these do not list the options
SECONDS = (
    "At which second does {named} start?", "After how many seconds do you hear {noun}?",
    "At about what second is {sound} first heard?", "how many seconds in is {sound}?",
    "Give the start of {sound} in seconds.", "Roughly how many seconds into the clip does {named} begin?",
    "Estimate the start time of {sound}.",
    "When does {named} start, in seconds?", "At what timestamp does {named} begin?",
    "What is the onset time of {sound}?",
    "Around which second does {sound} set in?", "How long does it take until {noun} can be heard?",
)  # fmt: skip
LENGTH = (
    "How long does {named} last?", "For about how many seconds can {noun} be heard?", "How long is {sound}?",
    "duration of {noun}?",
    "Estimate the length of {sound} in seconds.", "How many seconds does {sound} go on?",
    "Roughly how long do you hear {noun}?",
    "For how long is {sound} audible?", "What is the duration of {sound}?", "Is {sound} short or long? Give seconds.",
    "How much time does {sound} take up?", "About how long does {sound} go on for?",
)  # fmt: skip
MARGIN = 0.06  # of the clip: starts this near to a border between thirds are not asked about


def part(event: Event, seconds: float) -> str | None:
    """In which third of the clip the event starts; None when it starts near a border."""
    place = event.onset_s / seconds
    for border in (1 / 3, 2 / 3):
        if abs(place - border) < MARGIN:
            return None
    return PARTS[int(place * 3)] if place < 1 else None


def draw(view: View, rng: random.Random) -> Example | None:
    """One question about the time of a sound; the part of the clip is drawn first, so that none is the rule."""
    target = rng.choice(PARTS)
    dice = rng.random()
    if dice < 0.15:
        return _length(view, rng)
    events = [event for event in view.solo if part(event, view.scene.seconds) == target]
    if not events or view.scene.seconds < 4:
        return None
    event = rng.choice(events)
    if dice < 0.45:
        return _closed(view, event, target, rng)
    return _second(view, event, rng) if dice < 0.65 else _open(view, event, target, rng)


def _slots(view: View, event: Event) -> dict[str, str]:
    noun = view.sound(event).noun
    return {"noun": noun, "named": named(noun), "sound": sound_of(noun)}


def _closed(view: View, event: Event, target: str, rng: random.Random) -> Example:
    question, answer, choices = closed(pick(rng, PART_CLOSED, _slots(view, event)), PARTS, target, rng)
    return view.example("time", question, answer, choices)


def _open(view: View, event: Event, target: str, rng: random.Random) -> Example:
    slots = _slots(view, event)
    second = _seconds(event.onset_s)
    text = rng.choice(
        (
            f"{target} of the clip",
            f"{slots['named']} starts {target} of the clip",
            f"{target}, at about {second}",
            f"{target}",
        )
    )
    return view.example("time", typed(pick(rng, (*WHEN, *PART), slots), rng), end(text))


def _second(view: View, event: Event, rng: random.Random) -> Example:
    second = _seconds(event.onset_s)
    text = rng.choice((f"at about {second}", f"after about {second}", f"about {second} into the clip"))
    return view.example("time", typed(pick(rng, SECONDS, _slots(view, event)), rng), end(text))


def _length(view: View, rng: random.Random) -> Example | None:
    events = [event for event in view.solo if event.repeats == 1 and event.duration_s >= 0.5]
    if not events:
        return None
    event = rng.choice(events)
    second = _seconds(event.duration_s)
    text = rng.choice(
        (f"about {second}", f"it lasts about {second}", f"{sound_of(view.sound(event).noun)} lasts about {second}")
    )
    return view.example("time", typed(pick(rng, LENGTH, _slots(view, event)), rng), end(text))


def _seconds(value: float) -> str:
    if value < 0.75:
        return "half a second"
    number = round(value)
    return "1 second" if number == 1 else f"{number} seconds"
