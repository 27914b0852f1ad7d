"""English: articles, lists, numbers, sentence ends, and the careless ways in which people type."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

from mellow.data.scenes.phrases import Sound

__all__ = [
    "NUMBERS",
    "TIMES",
    "cap",
    "clause",
    "content",
    "definite",
    "end",
    "join",
    "named",
    "pick",
    "sound_of",
    "typed",
]

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
TIMES = ("never", "once", "twice", "three times", "four times", "five times", "six times", "seven times", "eight times")


def word_set(text: str) -> frozenset[str]:
    """The words of a text that lists them with spaces between."""
    return frozenset(text.split())


STOP = word_set(
    "a an the of in on at by to or and with for from into over near inside beside is are it its as that this your you "
    "be being while one some very small large big"
)
_ARTICLE = re.compile(r"^(a|an|the) ")
_NO_ARTICLE = re.compile(r"^(someone|somebody|something|several|two|many|some|various|another|one|his|her) ?")
_COUNTED = re.compile(r"\b(twice|(two|three|several) times)\b")
_PLURAL = re.compile(r"(people|feet|children|men|women|mice|geese|sheep|cattle|\w+[^su]s)$")


def cap(text: str) -> str:
    """Upper-case the first letter only."""
    return text[:1].upper() + text[1:]


def end(text: str) -> str:
    """A sentence: first letter upper case, one mark at its end."""
    return cap(text if text.endswith((".", "?", "!")) else f"{text}.")


def definite(noun: str) -> str:
    """`a dog barking` -> `the dog barking`; `someone coughing` stays."""
    if _NO_ARTICLE.match(noun):
        return noun
    return f"the {_ARTICLE.sub('', noun)}"


def sound_of(noun: str) -> str:
    """`a dog barking` -> `the sound of a dog barking`, unless the phrase speaks of sound already."""
    if re.search(r"\b(sounds?|noises?|ambience|music|hum|bustle)\b", noun):
        return definite(noun)
    return f"the sound of {noun}"


def named(noun: str) -> str:
    """A subject that takes a singular verb: `the dog barking`, `the sound of people talking`."""
    first = re.split(r" (?:\w+ing|being|on|in|of|at|through|with|falling)\b", _ARTICLE.sub("", noun))[0].split()
    plural = not re.match(r"an? ", noun) and any(_PLURAL.match(word) for word in first)
    return sound_of(noun) if plural or _NO_ARTICLE.match(noun) else definite(noun)


def clause(sound: Sound, rng: random.Random) -> str:
    """One of the sound's clauses that do not say how often: `a dog barks`."""
    return rng.choice([verb for verb in sound.verbs if not _COUNTED.search(verb)] or sound.verbs)


def join(parts: Sequence[str], last: str = "and") -> str:
    """`x`, `x and y`, `x, y and z`."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def content(text: str) -> frozenset[str]:
    """The words of a text that carry meaning, with plural marks off."""
    words = re.findall(r"[a-z]+", text.lower())
    return frozenset(word[:-1] if word.endswith("s") and len(word) > 3 else word for word in words if word not in STOP)


def pick(rng: random.Random, templates: Sequence[str], slots: Mapping[str, str] | None = None) -> str:
    """A template with its slots filled."""
    return rng.choice(templates).format(**(slots or {}))


def typed(question: str, rng: random.Random) -> str:
    """The question as users type it: mostly with care, at times without capitals or final mark."""
    dice = rng.random()
    if dice < 0.62:
        return cap(question)
    if dice < 0.74:
        return question.lower()
    if dice < 0.90:
        return question.lower().rstrip("?.!")
    if dice < 0.98:
        return cap(question).rstrip("?.!")
    return cap(question).upper() if len(question) < 60 else cap(question)
