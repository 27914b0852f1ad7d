"""Multiple choice: which of these is in the clip."""

from __future__ import annotations

import random
from collections.abc import Callable

from mellow.data.scenes.phrases import Sound
from mellow.data.tasks.options import closed
from mellow.data.tasks.view import View
from mellow.types import Example

__all__ = ["COUNTS", "NONE", "STEMS", "draw", "phrasing"]

STEMS = (
    "Which of these is it?", "What is it?", "which one is it", "What do you hear?", "Which sound is in the clip?",
    "Which of the following can be heard?", "What can be heard in the recording?",
    "Based on the given audio, what is the source of the sound?",
    "What is the most likely sound being heard?", "Identify the sound in the audio.",
    "Which of these matches the audio?",
    "Pick the sound that is present in this clip.", "Given the audio sample, which of these sounds do you recognize?",
    "What is this sound?", "Listen to the clip and choose the best description.", "What made this noise?",
    "Which option describes the recording?", "The audio contains", "In this audio you can hear", "what's in the clip",
    "Based on the audio, which event took place?", "Which label fits the clip best?",
    "Which of these sounds occurs in the recording?",
    "Tell me which of these you hear.", "For the given audio, identify the sound that is present.", "what is that?",
    "Classify the sound.", "Select what you hear:",
)  # fmt: skip
ABSENT_STEMS = (
    "Which of these can NOT be heard?", "Which of these sounds is missing from the clip?",
    "Which one is not in the recording?",
    "One of these sounds does not occur in the audio. Which one?", "What do you not hear?",
    "Find the sound that is absent.",
    "All of these but one are in the clip. Which one is not?", "which sound is not there",
    "Which of the following is not present in the audio?",
    "Spot the odd one out: which sound never occurs?", "Which of these never happens in the clip?",
    "What is not heard here?",
)  # fmt: skip
BACKGROUND_STEMS = (
    "What is in the background?", "Which of these is the background sound?", "Identify the background sound.",
    "what's the background noise?",
    "Which sound goes on behind the others?", "Based on the audio, what is the background sound?",
    "What ambience can be heard behind the events?",
    "Which steady sound lies under the clip?", "Choose the background of this recording.",
    "The background of the clip is",
    "Which of these runs through the whole clip?", "Select the sound in the background.",
)  # fmt: skip
NONE = ("none of these", "none of the above", "none of them", "something else")  # right at times, in any clip
NONE_SHARE = 0.08
COUNTS = (2, 2, 3, 3, 4, 4, 4, 4, 4, 4, 5, 6, 10, 20, 50)


def phrasing(rng: random.Random) -> Callable[[Sound], str]:
    """One way to word all options of a question: by name, by noun phrase or by clause."""
    dice = rng.random()
    if dice < 0.35:
        return lambda sound: sound.name
    if dice < 0.75:
        return lambda sound: sound.noun
    number = rng.randrange(3)
    return lambda sound: sound.verbs[min(number, len(sound.verbs) - 1)]


def draw(view: View, rng: random.Random) -> Example | None:
    """One multiple-choice question about the presence of sounds."""
    if not view.present:
        return None
    dice = rng.random()
    if dice < 0.12 and view.background and view.scene.foreground:
        return _present(view, rng, view.background[0].sound, BACKGROUND_STEMS)
    if dice < 0.25 and len(view.present) >= 2:
        return _missing(view, rng)
    return _present(view, rng, rng.choice(view.present), STEMS)


def _present(view: View, rng: random.Random, key: str, stems: tuple[str, ...]) -> Example | None:
    count = rng.choice(COUNTS) - 1
    vocabulary = view.vocabulary.on("background") if stems is BACKGROUND_STEMS else view.vocabulary
    others = vocabulary.distractors(rng, key, count, present=view.present)
    if not others:
        return None
    word = phrasing(rng)
    options = [word(view.vocabulary[k]) for k in (key, *others)]
    right = options[0]
    if stems is STEMS and len(others) > 1 and rng.random() < NONE_SHARE:
        options.pop()
        options.append(rng.choice(NONE))
        if rng.random() < 1 / len(options):
            replaced = view.vocabulary[others[-1]]
            options[0], right = word(replaced), options[-1]
    question, answer, choices = closed(rng.choice(stems), options, right, rng)
    return view.example("choices", question, answer, choices)


def _missing(view: View, rng: random.Random) -> Example | None:
    absent = view.absent(rng)
    if absent is None:
        return None
    word = phrasing(rng)
    heard = rng.sample(view.present, min(len(view.present), rng.choice((2, 3, 4))))
    options = [word(absent), *(word(view.vocabulary[key]) for key in heard)]
    question, answer, choices = closed(rng.choice(ABSENT_STEMS), options, options[0], rng)
    return view.example("choices", question, answer, choices)
