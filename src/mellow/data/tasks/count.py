"""How many: soundings of one sound, different sounds in the clip."""

from __future__ import annotations

import random

from mellow.data.scenes.scene import Event
from mellow.data.tasks.options import closed
from mellow.data.tasks.view import View
from mellow.data.tasks.words import NUMBERS, TIMES, end, pick, sound_of, typed
from mellow.types import Example

__all__ = ["draw"]

MOST = 6  # times that a sound is repeated in a scene
KINDS_KEPT = {1: 0.15, 2: 0.2, 3: 0.7}  # share of clips with so few sounds that are asked for their number: most have
SINGLES_KEPT = 0.03  # share of single soundings that are asked for: 30 sounds are heard once for one heard twice
SHORT_S = 1.5  # a single sounding that is no longer than this counts as one
TIMES_ASKED = (
    "How many times can you hear {noun}?", "How often is {sound} heard?", "how many times does {sound} occur",
    "Count how often {noun} can be heard.",
    "How many separate times do you hear {noun}?", "How often does {sound} come up in the clip?",
    "What is the number of times that {sound} is heard?",
    "how often do i hear {noun}", "Listen for {noun}: how many times is it there?",
    "How many times is {sound} repeated or played in all?",
    "Count {sound}. How many times?", "In this recording, how many separate times can {noun} be heard?",
    "{name}: how many times?",
    "Tell me how many times {sound} is heard.", "Based on the audio, how often can {noun} be heard?",
    "number of soundings of {noun}?",
)  # fmt: skip
KINDS_ASKED = (
    "How many different sounds are there?", "How many different sounds can you hear?", "count the different sounds",
    "How many kinds of sound does the clip contain?",
    "How many distinct sound sources are in the recording?", "What is the number of different sound events?",
    "how many sounds do you hear, counting each kind once?",
    "In all, how many different things can be heard?",
    "Counting the background too, how many different sounds are there?", "How many sources of sound are there?",
    "Tell me how many different sounds the audio holds.",
    "Based on the given audio, how many different sounds are present?", "number of different sounds?",
    "How many things make a sound in this clip?",
)  # fmt: skip
YES_NO = (
    "Can you hear {noun} exactly {times}?", "Is {sound} heard {times}?", "Does {sound} occur {times} in the clip?",
    "Would you count {noun} {times}?",
    "Is it right that {noun} can be heard {times}?", "Do you hear {noun} {times}, no more and no less?",
    "I counted {noun} {times}. Correct?",
    "Is {sound} there {times} in all?", "Is the number right: {noun}, {times}?",
    "{noun}, {times}: is that what you hear?",
    "Listening closely, is {sound} heard exactly {times}?", "Can {noun} be heard {times} altogether?",
)  # fmt: skip


def draw(view: View, rng: random.Random) -> Example | None:
    """One counting question; what is frequent in scenes is asked for seldom, so that no number is the likely one."""
    dice = rng.random()
    if dice < 0.35 and view.present:
        return _kinds(view, rng)
    counted = [event for event in _countable(view) if event.repeats > 1 or rng.random() < SINGLES_KEPT]
    if not counted:
        return None
    event = rng.choice(counted)
    return _agreed(view, event, rng) if dice > 0.75 else _times(view, event, rng)


def _countable(view: View) -> list[Event]:
    """Events whose soundings can be told apart: repeated ones, and single short ones."""
    return [event for event in view.solo if event.repeats > 1 or event.duration_s <= SHORT_S]


def _slots(view: View, event: Event) -> dict[str, str]:
    sound = view.sound(event)
    return {"noun": sound.noun, "name": sound.name, "sound": sound_of(sound.noun)}


def _times(view: View, event: Event, rng: random.Random) -> Example | None:
    if event.repeats >= len(TIMES):
        return None
    question = pick(rng, TIMES_ASKED, _slots(view, event))
    if rng.random() < 0.4:
        form = rng.choice((TIMES, NUMBERS, tuple(str(n) for n in range(len(TIMES)))))
        options = [form[n] for n in _around(event.repeats, rng)]
        if not options:
            return None
        text, answer, choices = closed(question, options, form[event.repeats], rng, shuffle=rng.random() < 0.5)
        return view.example("count", text, answer, choices)
    answer = rng.choice((TIMES[event.repeats], TIMES[event.repeats], NUMBERS[event.repeats], str(event.repeats)))
    if rng.random() < 0.3:
        answer = f"I can hear {view.sound(event).noun} {TIMES[event.repeats]}"
    return view.example("count", typed(question, rng), end(answer))


def _around(number: int, rng: random.Random) -> list[int]:
    """Four numbers in a row with the right one at any rank; nothing where that would leave 1 to MOST."""
    low = number - rng.randrange(4)
    return list(range(low, low + 4)) if 1 <= low <= MOST - 3 else []


def _kinds(view: View, rng: random.Random) -> Example | None:
    number = len(view.present)
    if number >= len(NUMBERS) or rng.random() > KINDS_KEPT.get(number, 1.0):
        return None
    question = rng.choice(KINDS_ASKED)
    if rng.random() < 0.4:
        form = rng.choice((NUMBERS, tuple(str(n) for n in range(len(NUMBERS)))))
        if number > 4:  # too few clips have as many
            return None
        text, answer, choices = closed(question, list(form[1:5]), form[number], rng, shuffle=rng.random() < 0.5)
        return view.example("count", text, answer, choices)
    answer = rng.choice(
        (NUMBERS[number], str(number), f"{NUMBERS[number]} different sounds" if number > 1 else "just one sound")
    )
    return view.example("count", typed(question, rng), end(answer))


def _agreed(view: View, event: Event, rng: random.Random) -> Example | None:
    """Yes or no: the wrong number is as likely as the right one, whatever it is."""
    others = [number for number in range(1, MOST + 1) if number != event.repeats]
    yes = rng.random() < 0.5
    number = event.repeats if yes else rng.choice(others)
    question = pick(rng, YES_NO, {**_slots(view, event), "times": TIMES[number]})
    question += rng.choice(("", " Answer only using yes or no.", " yes or no?"))
    return view.example("count", typed(question, rng), "yes" if yes else "no", ("yes", "no"))
