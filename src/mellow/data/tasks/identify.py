"""Open questions for the sounds of a clip: by name, as a phrase, as a sentence."""

from __future__ import annotations

import random

from mellow.data.scenes.phrases import Sound
from mellow.data.tasks.view import View
from mellow.data.tasks.words import cap, clause, end, join, pick, sound_of, typed
from mellow.types import Example

__all__ = ["draw"]

NAME = (
    "what is it? one or two words.", "name the sound.", "name this sound in a word or two",
    "what makes this sound? short answer please.",
    "Give a short name for this sound.", "Tag this clip.", "label the audio", "which sound is this? Just the name.",
    "What's the sound called? Keep it very short.", "Name it.", "one label for this clip, please",
    "Identify the sound, name only.", "Answer in as few words as you can: what is heard?",
)  # fmt: skip
PHRASE = (
    "what is it?", "what is this?", "what's that sound?", "What do you hear?", "What can be heard?",
    "what am I listening to?",
    "what sound is this?", "What is making this noise?", "Which sound is this?", "what was that?",
    "What is in the clip?",
    "Any idea what this is?", "Identify the sound.", "what do we hear here?", "can you tell me what this sound is?",
    "What is the source of the sound?", "I recorded this. What is it?", "What kind of sound is in the recording?",
    "guess the sound", "what's going on in this clip?", "what is the main sound?", "Recognize this sound, please.",
)  # fmt: skip
SENTENCE = (
    "What do you hear in this recording? Answer in a sentence.", "Tell me in a full sentence what this sound is.",
    "I am not sure what I recorded here. Could you tell me what it is?",
    "Please listen to the clip and tell me what makes the sound.",
    "Describe in one short sentence which sound is heard.", "What does the audio contain? Please use a whole sentence.",
    "Could you identify the source of the sound in this audio for me?",
    "Listen carefully: what is the sound in this clip?",
    "Can you explain what I am hearing?", "In a sentence, what is happening in this audio?",
    "Say what you hear, in your own words.", "What would you say this recording contains?",
)  # fmt: skip
SENTENCES = (
    "I can hear {noun}.", "This is {sound}.", "It sounds like {noun}.", "I hear {noun}.", "The clip contains {sound}.",
    "{clause}.", "{clause}.", "You are hearing {noun}.", "In this recording, {clause}.", "It is {sound}.",
    "The sound is that of {noun}.",
    "What you hear is {sound}.",
)  # fmt: skip
ALL = (
    "What sounds are in this recording?", "which sounds do you hear?", "List all the sounds in the clip.",
    "list the sounds",
    "Name everything you can hear.", "what can you hear?", "Which sound events does the audio contain?",
    "Tell me all the sounds you notice.",
    "what's in this audio", "What different sounds are there?", "Give me the list of sound events.",
    "what all is audible here?",
    "Enumerate the sounds of the clip.", "Which things can be heard in this recording?",
    "What do you hear in this clip, from start to end?",
)  # fmt: skip
ALL_SENTENCES = (
    "I can hear {all}.", "The clip contains {all}.", "There are {count} sounds: {all}.", "You can hear {all}.",
    "I hear {all}.", "The recording has {all}.",
)  # fmt: skip
BACKGROUND = (
    "What is in the background?", "which sound is in the background?", "what's the background noise",
    "What can be heard behind the other sounds?",
    "What goes on throughout the clip?", "Which steady sound runs through the recording?", "Name the background sound.",
    "what ambience is this?", "Besides the main sounds, what do you hear in the background?",
    "What is the constant sound behind everything?",
    "Is something going on in the background? What is it?", "describe the background",
    "What kind of ambience lies under the clip?",
)  # fmt: skip
BACKGROUND_ANSWERS = (
    "{Noun}.", "{Noun} can be heard in the background.", "In the background there is {sound}.",
    "The background is {sound}.",
    "{Noun}.", "In the background I hear {noun}.",
)  # fmt: skip
COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")


def draw(view: View, rng: random.Random) -> Example | None:
    """One open question about what is heard."""
    ways = []
    if view.main is not None:
        ways += [_name, _phrase, _phrase, _sentence]
    if len(view.present) > 1:
        ways += [_all, _all]
    if view.background and view.scene.foreground:
        ways += [_background]
    return rng.choice(ways)(view, rng) if ways else None


def _slots(sound: Sound, rng: random.Random) -> dict[str, str]:
    return {"noun": sound.noun, "Noun": cap(sound.noun), "sound": sound_of(sound.noun), "clause": clause(sound, rng)}


def _name(view: View, rng: random.Random) -> Example:
    assert view.main is not None
    return view.example("identify", typed(rng.choice(NAME), rng), end(view.main.name))


def _phrase(view: View, rng: random.Random) -> Example:
    assert view.main is not None
    answer = view.main.noun if rng.random() < 0.7 else clause(view.main, rng)
    return view.example("identify", typed(rng.choice(PHRASE), rng), end(answer))


def _sentence(view: View, rng: random.Random) -> Example:
    assert view.main is not None
    answer = pick(rng, SENTENCES, _slots(view.main, rng))
    return view.example("identify", typed(rng.choice(SENTENCE), rng), end(answer))


def _all(view: View, rng: random.Random) -> Example:
    nouns = [view.vocabulary[key].noun for key in view.present]
    listed = join(nouns)
    count = COUNTS[len(nouns)] if len(nouns) < len(COUNTS) else str(len(nouns))
    answer = listed if rng.random() < 0.5 else pick(rng, ALL_SENTENCES, {"all": listed, "count": count})
    return view.example("identify", typed(rng.choice(ALL), rng), end(answer))


def _background(view: View, rng: random.Random) -> Example:
    sound = view.sound(view.background[0])
    return view.example(
        "identify", typed(rng.choice(BACKGROUND), rng), pick(rng, BACKGROUND_ANSWERS, _slots(sound, rng))
    )
