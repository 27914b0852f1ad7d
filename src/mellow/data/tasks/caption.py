"""One sentence that tells what happens in the clip, in order, with the background."""

from __future__ import annotations

import random
import re

from mellow.data.scenes.phrases import Sound
from mellow.data.scenes.scene import Event
from mellow.data.tasks.view import CLEAR_ONSET_S, CLEAR_OVERLAP_S, View
from mellow.data.tasks.words import clause, end, join, typed
from mellow.types import Example

__all__ = ["caption", "draw"]

QUESTIONS = (
    "caption the audio", "Caption the audio.", "Describe the audio.", "describe this clip in one sentence",
    "What happens in this recording?",
    "Write a caption for this clip.", "Give me a one-sentence description of the audio.", "Summarize what you hear.",
    "what is happening in the audio?", "Provide a short caption.", "Tell me what happens, in order.",
    "Generate a caption for this sound clip.",
    "Describe what can be heard, in one sentence.", "how would you describe this recording",
    "Put what you hear into a sentence.",
    "Please write a single sentence about the sounds in this clip.",
    "I need alt text for this audio. What should it say?",
    "audio caption please", "Describe the sound scene.", "In one sentence: what goes on in this audio?",
    "Write a subtitle-like description of the sounds.", "describe",
    "Could you describe the clip for someone who cannot hear it?",
)  # fmt: skip
THEN = (", then ", ", and then ", ", and after that ", ", followed by ")


def draw(view: View, rng: random.Random) -> Example | None:
    """One request for a caption."""
    if not view.present:
        return None
    return view.example("caption", typed(rng.choice(QUESTIONS), rng), caption(view, rng))


def caption(view: View, rng: random.Random) -> str:
    """A sentence with all sounds: events by onset, those that overlap joined by `while`, the background last."""
    groups = _groups(view.scene.foreground)
    behind = list(dict.fromkeys(event.sound for event in view.background))
    if not groups:
        return end(clause(view.vocabulary[behind[0]], rng) + _tail(view, behind[1:], rng))
    parts = [_together(view, group, rng) for group in groups]
    text = parts[0]
    for group, part in zip(groups[1:], parts[1:], strict=True):
        link = rng.choice(THEN) if len(group) == 1 else rng.choice(THEN[:3])
        text += link + (view.sound(group[0]).noun if link == THEN[3] else part)
    return end(text + _tail(view, behind, rng))


def _tail(view: View, behind: list[str], rng: random.Random) -> str:
    if not behind:
        return ""
    first = view.vocabulary[behind[0]]
    nouns = join([view.vocabulary[key].noun for key in behind])
    if len(behind) == 1 and rng.random() < 0.35:
        return f" while {_simple(first, rng)} in the background"
    other = f" over {nouns}" if len(behind) == 1 else f", with {nouns} behind it all"
    return rng.choice((f", with {nouns} in the background", other))


def _groups(events: tuple[Event, ...]) -> list[list[Event]]:
    """Events that start together or overlap clearly form a group; the same sound twice in a row is told once."""
    groups: list[list[Event]] = []
    for event in events:
        last = groups[-1][-1] if groups else None
        if last is not None and event.sound == last.sound:
            continue
        if last is not None and len(groups[-1]) < 2 and _overlap(last, event):
            groups[-1].append(event)
        else:
            groups.append([event])
    return groups


def _overlap(one: Event, other: Event) -> bool:
    shared = min(one.end_s, other.end_s) - other.onset_s
    return other.onset_s - one.onset_s < CLEAR_ONSET_S or shared > CLEAR_OVERLAP_S


def _together(view: View, group: list[Event], rng: random.Random) -> str:
    first, *rest = (view.sound(event) for event in group)
    if not rest:
        return clause(first, rng)
    return f"{_simple(first, rng)}{rng.choice((' while ', ' and ', ' as '))}{_simple(rest[0], rng)}"


def _simple(sound: Sound, rng: random.Random) -> str:
    """A clause that holds no second one, so that it can be joined to another."""
    simple = [
        verb
        for verb in sound.verbs
        if not re.search(r"\b(while|as|and|then|when|twice|times|in the background)\b", verb)
    ]
    return rng.choice(simple or sound.verbs[:1])
