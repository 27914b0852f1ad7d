"""Yes-or-no questions, each asked so that both answers are equally likely for the same words."""

from __future__ import annotations

import random
from itertools import pairwise

from mellow.data.records import YES_NO
from mellow.data.scenes.phrases import Sound
from mellow.data.scenes.scene import Event
from mellow.data.tasks.view import CLEAR_OVERLAP_S, View, precedes
from mellow.data.tasks.words import cap, end, join, named, pick, sound_of, typed
from mellow.types import Example

__all__ = ["ONLY", "answered", "draw"]

ONLY = (
    " Answer only using yes or no.", " Answer only using yes or no.", " Answer yes or no.", " Yes or no?", " (yes/no)",
    " Reply with yes or no only.", " Just yes or no.", " Please answer with yes or no.",
)  # fmt: skip
PRESENCE = (
    "Can you hear {noun}?", "Do you hear {noun}?", "Does the clip contain {sound}?", "Is {sound} in the recording?",
    "is there {sound} in this audio?",
    "any {name} here?", "Is {sound} audible in the clip?", "Does this sound like {noun}?", "Can {noun} be heard?",
    "Is that {noun}?",
    "Does the audio include {sound}?", "Would you say that this recording contains {noun}?",
    "I think I hear {noun}. Am I right?",
    "Is it true that {clause}?", "Is it correct that {clause} in this clip?", "is {sound} one of the sounds?",
    "Could this be {noun}?",
    "Does {sound} occur anywhere in the audio?", "{name}?", "Listen closely. Can you make out {noun}?",
    "Are you hearing {noun}?",
    "Am I hearing {noun} in this file?", "Did somebody record {noun} here?", "Was {sound} captured in the clip?",
)  # fmt: skip
ORDER = (
    "Does {a} come before {b}?", "Can you hear {a} before {b}?", "Is {a} heard before {b}?",
    "Does {a} start before {b}?",
    "Do you hear {a} first and {b} later?", "Is {a} followed by {b}?", "Is it {a} first, then {b}?",
    "Does the clip go from {a} to {b}?",
    "Is {b} heard after {a}?", "Does {b} come later than {a}?", "Is {a} the earlier sound and {b} the later one?",
    "Comparing the two, is {a} earlier in the clip than {b}?", "is the order {a}, then {b}?",
)  # fmt: skip
OVERLAP = (
    "Do {a} and {b} sound at the same time?", "Do {a} and {b} overlap?",
    "Can {a} and {b} be heard together at some moment?",
    "Is {a} heard while {b} can be heard?", "Do you hear {a} at the same time as {b}?",
    "Is there a moment with both {a} and {b}?",
    "do {a} and {b} happen simultaneously", "Is {b} audible while {a} is still going on?",
    "Do {a} and {b} mix at any time?",
    "Are {a} and {b} ever heard at once?", "Does {a} coincide with {b}?", "Do {a} and {b} share any part of the clip?",
)  # fmt: skip
EDGE = (
    "Is {a} the {edge} sound in the clip?", "Is {a} what you hear {edge}?",
    "Of the separate sounds, does {a} come {edge}?", "is {a} the {edge} event",
    "Does {a} come {edge} in this recording?", "Would you say {a} is the {edge} of the sounds?",
    "Is the {edge} sound {a}?",
    "Not counting the background, is {a} {edge}?", "{edge} sound: is it {a}?", "Is it true that {a} comes {edge}?",
    "Was {a} the {edge} thing to be heard?", "Is {a} {edge} in the order of sounds?",
)  # fmt: skip
YES_WHY = ("Yes, I can hear {noun}.", "Yes, {clause}.", "Yes, {sound} can be heard.", "Yes, the clip contains {noun}.")
NO_WHY = (
    "No, I cannot hear {noun}; what I hear is {heard}.", "No, there is no {name} here, only {heard}.",
    "No, the clip contains {heard} but no {name}.",
    "No, that is not in the clip. I hear {heard}.",
)  # fmt: skip


def draw(view: View, rng: random.Random) -> Example | None:
    """One yes-or-no question: presence mostly, else order, overlap, first or last."""
    if not view.present:
        return None
    dice = rng.random()
    if dice < 0.55 or len(view.solo) < 2:
        return _presence(view, rng)
    if dice < 0.75:
        return _order(view, rng)
    return _overlap(view, rng) if dice < 0.85 else _edge(view, rng)


def answered(view: View, rng: random.Random, question: str, yes: bool, reason: str) -> Example:
    """The question with a bare yes or no, or (when it leaves room) with the reason."""
    if rng.random() < 0.5:
        return view.example("yesno", typed(question + rng.choice(ONLY), rng), "yes" if yes else "no", YES_NO)
    if rng.random() < 0.6 and reason:
        return view.example("yesno", typed(question, rng), end(reason))
    return view.example("yesno", typed(question, rng), "yes" if yes else "no", YES_NO)


def _presence(view: View, rng: random.Random) -> Example | None:
    yes = rng.random() < 0.5
    sound = view.vocabulary[rng.choice(view.present)] if yes else view.absent(rng)
    if sound is None:
        return None
    slots = {"noun": sound.noun, "name": sound.name, "sound": sound_of(sound.noun), "clause": rng.choice(sound.verbs)}
    slots["heard"] = join([view.vocabulary[key].noun for key in view.present[:3]])
    return answered(view, rng, pick(rng, PRESENCE, slots), yes, pick(rng, YES_WHY if yes else NO_WHY, slots))


def _named(view: View, one: Event, other: Event) -> dict[str, str]:
    a, b = view.sound(one), view.sound(other)
    return {"a": named(a.noun), "b": named(b.noun)}


def _order(view: View, rng: random.Random) -> Example | None:
    pairs = [(a, b) for a in view.solo for b in view.solo if precedes(a, b)]
    if not pairs:
        return None
    first, second = rng.choice(pairs)
    yes = rng.random() < 0.5
    true = _named(view, first, second)
    asked = true if yes else _named(view, second, first)
    reason = f"{'Yes' if yes else 'No'}, {true['a']} can be heard first, then {true['b']}."
    return answered(view, rng, pick(rng, ORDER, asked), yes, reason)


def _overlap(view: View, rng: random.Random) -> Example | None:
    """Asked only of scenes that have both: a pair that overlaps clearly, and a pair that clearly does not."""
    pairs = [(a, b) for number, a in enumerate(view.solo) for b in view.solo[number + 1 :]]
    together = [(a, b) for a, b in pairs if min(a.end_s, b.end_s) - b.onset_s >= CLEAR_OVERLAP_S]
    apart = [(a, b) for a, b in pairs if b.onset_s >= a.end_s]
    if not together or not apart:
        return None
    yes = rng.random() < 0.5
    one, other = rng.choice(together if yes else apart)
    slots = _named(view, one, other)
    when = "they overlap" if yes else f"{slots['a']} has ended before {slots['b']} can be heard"
    asked = slots if rng.random() < 0.5 else {"a": slots["b"], "b": slots["a"]}
    return answered(view, rng, pick(rng, OVERLAP, asked), yes, f"{'Yes' if yes else 'No'}, {when}.")


def _edge(view: View, rng: random.Random) -> Example | None:
    """First or last of all separate events; the wrong one asked about comes from the other end."""
    events: list[Sound] = [view.sound(event) for event in view.solo]
    chain = list(view.scene.foreground)
    clear = all(precedes(a, b) for a, b in pairwise(chain))
    if len(events) != len(chain) or not clear:
        return None
    edge = rng.choice(("first", "last"))
    right, wrong = (events[0], events[-1]) if edge == "first" else (events[-1], events[0])
    yes = rng.random() < 0.5
    slots = {"a": named((right if yes else wrong).noun), "edge": edge}
    reason = f"{'Yes' if yes else 'No'}, {named(right.noun)} comes {edge}."
    return answered(view, rng, pick(rng, EDGE, slots), yes, cap(reason))
