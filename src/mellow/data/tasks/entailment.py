"""Hypotheses about a clip: definitely true, definitely false, or plausible but not to be known from the sound.

The sentence alone must not give the answer away. Two kinds of sentences allow all three labels with the same words,
as only the sounds named decide:
- `extended`: "S, and T was heard there that day": T heard -> true; T not heard -> plausible; S absent -> false.
- `either`: "either S, or T with a detail": S heard -> true; only T heard -> plausible; neither -> false.
The other kinds each allow two labels, and between them each label equally often: `plain` (true or false),
`detail` (plausible or false) and `nearby` (true or plausible).
"""

from __future__ import annotations

import random
from collections.abc import Callable

from mellow.data.scenes.phrases import Sound
from mellow.data.tasks.options import closed
from mellow.data.tasks.view import View
from mellow.data.tasks.words import clause, end, pick, sound_of, typed
from mellow.types import Example

__all__ = ["FORMS", "LABELS", "draw"]

LABELS = ("entailment", "neutral", "contradiction")
TRUE, PLAUSIBLE, FALSE = range(3)

# Options by label (true, plausible, false), then any that are never right.
FORMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("It is definitely true|It is plausible|It is definitely false|I cannot determine", (
        'Based on the audio, what can be said about the hypothesis - "{h}"?',
        'Based on the audio, what can be said about the hypothesis: "{h}"?',
        'What can be said about the hypothesis "{h}" after listening to the audio?')),
    ("entailment|neutral|contradiction", (
        'Hypothesis: "{h}" What is its relation to the audio?',
        'Does the audio entail, leave open or contradict this: "{h}"?',
        'Is "{h}" an entailment, neutral or a contradiction, given the clip?',
        'Label the hypothesis "{h}" against the audio.',
        'Audio entailment. Hypothesis: {h}')),
    ("true|cannot be known|false", (
        'True, false or not to be known from the clip: "{h}"?', 'Listen and judge this statement: {h}',
        'Is this true of the recording? "{h}"',
        'Statement: {h} What do you say, from the audio alone?', 'My friend says: "{h}" Is that right?')),
    ("yes, for sure|maybe, the audio does not tell|no, it cannot be", (
        'Is this right, going by the sound? "{h}"', 'Can I conclude this from the recording: "{h}"?',
        'Would you agree? "{h}"')),
    ("the audio proves it|the audio leaves it open|the audio speaks against it", (
        'How does the clip bear on the claim "{h}"?', 'Claim: {h} What does the audio say about it?',
        'Check this claim against the audio: {h}')),
)  # fmt: skip
PLAIN = (
    "{clause}.", "{clause} in this recording.", "{noun} can be heard.", "The clip contains {sound}.",
    "One can hear {noun}.",
    "There is {sound} in the audio.", "At some moment {clause}.", "The recording captures {noun}.",
    "{sound} is audible.",
    "Someone who listens will notice {noun}.", "The audio features {sound}.", "Among other things, {clause}.",
)  # fmt: skip
NEARBY = (
    "{noun} could be heard at that place on the day of the recording.",
    "On that day, {clause} near the microphone at least once.",
    "The place of the recording had {noun} at some time.", "Before, during or after the recording, {clause} there.",
    "Someone who stayed there all day would have heard {noun}.",
    "{sound} is something that could be heard there at one time or another.",
    "It happened there, within the clip or outside it, that {clause}.",
    "That day {sound} was heard there, be it in the clip or later.",
    "At that place {clause} now and then.", "The microphone's surroundings had {noun} at one time or another.",
    "In the hours around this recording, {clause} there.", "A full day of recording at that place would hold {noun}.",
)  # fmt: skip
EXTENDED = (
    "{clause}, and on the same day {t_noun} could be heard there.",
    "{clause} at a place where {t_clause} at least now and then.",
    "{noun} can be heard in a place that also had {t_noun} at some time.",
    "The clip contains {sound}, and the same place had {t_noun} earlier, later or right then.",
    "{clause}, and within the hour before or after, or in between, {t_clause} too.",
    "{clause}, and {t_sound} was to be heard there that day.",
    "{sound} is heard where {t_noun} can be heard at times, too.",
    "One can hear {noun}, and over the whole day one could hear {t_noun} as well.",
    "{clause} in surroundings that at some moment offered {t_noun}.",
    "The recording has {noun}, and a longer one would have {t_noun} as well.",
    "There is {sound}, made at a place where {t_clause} at one time or another.",
    "{clause}; that day, in the clip or outside it, {t_clause} as well.",
)  # fmt: skip
EITHER = (
    "Either {clause}, or {t_clause} {detail}.", "{clause}, or else {t_clause} {detail}.",
    "At least one of these holds: {clause}, or {t_clause} {detail}.",
    "It is the case that {clause} or that {t_clause} {detail}.", "{t_clause} {detail}, or {clause}.",
    "Either {t_clause} {detail}, or {clause}.",
    "One of the two happens: {clause}, or {t_clause} {detail}.",
    "If it is not so that {t_clause} {detail}, then at least {clause}.",
    "What is heard is that {clause}, or that {t_clause} {detail}.", "{clause} here, or {t_clause} {detail}.",
    "The audio shows that {clause}, or that {t_clause} {detail}.", "Unless {t_clause} {detail}, {clause}.",
)  # fmt: skip
DETAILS = (
    "on a Sunday morning", "in a small town", "close to the house of the person recording",
    "for the second time that day", "while someone looks out of the window",
    "a few minutes before noon", "in the week before a holiday", "at a place the listener has visited before",
    "just as it did the day before",
    "where two roads meet", "shortly after sunrise", "in a film that is being made", "near a family on a trip",
    "under a grey sky",
    "on the first day of the month", "in front of a red brick wall", "while a visitor is waiting",
    "not far from a school", "in the south of the country",
    "late in the evening", "next to a parked car", "in a place that has just been painted",
    "to the surprise of a passer-by", "behind a tall fence",
    "while a child is asleep in the next room", "at the edge of a village", "and nobody takes any notice",
    "on the last day of the year",
)  # fmt: skip
DETAIL = (
    "{clause} {detail}.", "{noun} can be heard {detail}.", "In the clip, {clause} {detail}.",
    "{sound} is heard {detail}.", "One hears {noun} {detail}.",
)  # fmt: skip
OPEN = ("", " Explain briefly.", " Give the reason.", " Why?")
OPEN_ASKED = (
    'Is this true of the clip: "{h}"?', 'What can be said about this: "{h}"?', 'Judge the claim "{h}" from the audio.',
    'Does the sound prove this? "{h}"',
    'Is it certain, possible or wrong that: {h}', 'Someone claims: {h} True, false or not to be known?',
    'Can you confirm this from the recording? "{h}"',
    'From the audio alone, do we know this? "{h}"', 'Hypothesis: {h} Comment on it.', 'I wonder if this is right: {h}',
    'Would the clip back this up? "{h}"', 'Evaluate: {h}',
)  # fmt: skip


def draw(view: View, rng: random.Random) -> Example | None:
    """One hypothesis; its label is drawn before its words."""
    if not view.present:
        return None
    kinds: list[tuple[Callable[..., tuple[str, str] | None], tuple[int, ...], float]] = [
        (_extended, (TRUE, PLAUSIBLE, FALSE), 0.46), (_either, (TRUE, PLAUSIBLE, FALSE), 0.27),
        (_plain, (TRUE, FALSE), 0.09),
        (_detail, (PLAUSIBLE, FALSE), 0.09), (_nearby, (TRUE, PLAUSIBLE), 0.09),
    ]  # fmt: skip
    make, labels, _ = rng.choices(kinds, [kind[2] for kind in kinds])[0]
    label = rng.choice(labels)
    made = make(view, rng, label)
    if made is None:
        return None
    hypothesis, reason = made
    hypothesis = end(hypothesis)
    if rng.random() < 0.2:
        words = ("That is true", "That may be, but the audio does not tell", "That is false")[label]
        question = typed(rng.choice(OPEN_ASKED).format(h=hypothesis) + rng.choice(OPEN), rng)
        return view.example("entailment", question, f"{words}: {reason}.")
    joined, asked = rng.choices(FORMS, (6, 2, 2, 1, 1))[0]
    options = joined.split("|")
    stem = rng.choice(asked).format(h=hypothesis)
    shuffle = rng.random() < 0.7
    right = options[label]
    if len(options) == 4 and not shuffle:
        options = [options[0], options[2], options[1], options[3]]  # the order of the published prompt
    question, answer, choices = closed(stem, options, right, rng, shuffle=shuffle)
    return view.example("entailment", question, answer, choices)


def _slots(sound: Sound, rng: random.Random, prefix: str = "") -> dict[str, str]:
    words = {"clause": clause(sound, rng), "noun": sound.noun, "sound": sound_of(sound.noun)}
    return {f"{prefix}{name}": word for name, word in words.items()}


def _heard(view: View, rng: random.Random) -> Sound:
    return view.vocabulary[rng.choice(view.present)]


def _plain(view: View, rng: random.Random, label: int) -> tuple[str, str] | None:
    sound = _heard(view, rng) if label == TRUE else view.absent(rng)
    if sound is None:
        return None
    can = "can" if label == TRUE else "cannot"
    return pick(rng, PLAIN, _slots(sound, rng)), f"{sound.noun} {can} be heard in the clip"


def _nearby(view: View, rng: random.Random, label: int) -> tuple[str, str] | None:
    sound = _heard(view, rng) if label == TRUE else view.absent(rng)
    if sound is None:
        return None
    reason = f"{sound.noun} can be heard in the clip itself"
    out_of_fold = f"{sound.noun} cannot be heard in the clip, and what happened outside it is unknown"
    return pick(rng, NEARBY, _slots(sound, rng)), reason if label == TRUE else out_of_fold


def _detail(view: View, rng: random.Random, label: int) -> tuple[str, str] | None:
    sound = _heard(view, rng) if label == PLAUSIBLE else view.absent(rng)
    if sound is None:
        return None
    detail = rng.choice(DETAILS)
    reason = f"{sound.noun} can be heard, but the rest is no matter of sound"
    return pick(rng, DETAIL, {**_slots(sound, rng), "detail": detail}), (
        reason if label == PLAUSIBLE else f"{sound.noun} cannot be heard in the clip"
    )


def _extended(view: View, rng: random.Random, label: int) -> tuple[str, str] | None:
    """S and T are both heard (true), T is not (plausible), S is not (false; T heard in half of these)."""
    one = view.absent(rng, near=False) if label == FALSE else _heard(view, rng)
    if one is None or len(view.present) < 2:
        return None
    others = [key for key in view.present if key != one.key]
    if label == TRUE or (label == FALSE and rng.random() < 0.5):
        two = view.vocabulary[rng.choice(others)] if others else None
    else:
        two = _absent_beside(view, one, rng)
    if two is None or two.key == one.key:
        return None
    reasons = (
        f"{one.noun} and {two.noun} can both be heard",
        f"{one.noun} can be heard, but {two.noun} cannot, and what happened outside the clip is unknown",
        f"{one.noun} cannot be heard",
    )
    return pick(rng, EXTENDED, {**_slots(one, rng), **_slots(two, rng, "t_")}), reasons[label]


def _either(view: View, rng: random.Random, label: int) -> tuple[str, str] | None:
    """S is heard (true; T in half of these too), only T is (plausible), neither is (false)."""
    one = _heard(view, rng) if label == TRUE else view.absent(rng, near=False)
    if one is None:
        return None
    others = [key for key in view.present if key != one.key]
    if label == PLAUSIBLE or (label == TRUE and others and rng.random() < 0.5):
        two: Sound | None = view.vocabulary[rng.choice(others)]
    else:
        two = _absent_beside(view, one, rng)
    if two is None:
        return None
    detail = rng.choice(DETAILS)
    reasons = (
        f"{one.noun} can be heard",
        f"{two.noun} can be heard, but the rest is no matter of sound",
        f"neither {one.noun} nor {two.noun} can be heard",
    )
    return pick(rng, EITHER, {**_slots(one, rng), **_slots(two, rng, "t_"), "detail": detail}), reasons[label]


def _absent_beside(view: View, sound: Sound, rng: random.Random) -> Sound | None:
    key = view.vocabulary.draw(rng, avoid=[*view.present, sound.key])
    return None if key is None else view.vocabulary[key]
