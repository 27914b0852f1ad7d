"""The words of questions and answers: what counts as a word, which are left out, where a question's options begin."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.resources import files

from mellow.data.records import YES_NO, Record
from mellow.text.options import find_options

__all__ = [
    "content_words",
    "function_words",
    "is_yes_no",
    "lettered",
    "options_in",
    "options_of",
    "read_list",
    "roots",
    "sentences",
    "start_of_options",
    "stem_of",
    "stop_words",
    "without_letter",
    "words",
]

WORD = re.compile(r"[^\W_]+(?:['’.][^\W_]+)*")
LETTERED = re.compile(r"\s*[(\[]?([A-Za-z])[)\].:]\s+(?=\S)")
LISTED = re.compile(r"(?:^|\s)[(\[]?[aA1][)\].:]\s|\b(?:options|choices|choose|pick)\b|\n\s*[-*]", re.IGNORECASE)
LAST_MARK = re.compile(r"(?:options?|choices)?\s*:?\s*[(\[]?(?:\b[A-Za-z0-9][)\].:]|[-*])?\s*$", re.IGNORECASE)
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
ENDINGS = ("ing", "ies", "ied", "es", "ed", "s")
LONGEST_YES_NO = 8  # characters
LONGEST_MARK = 24  # characters of what stands before the first option


def read_list(package: str, name: str) -> frozenset[str]:
    """The words of a text file beside the modules of a package; lines that begin with # are comments."""
    lines = files(package).joinpath(name).read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


@cache
def stop_words() -> frozenset[str]:
    """Words that the paper's counts of words leave out."""
    return read_list("mellow.data", "stop_words.txt")


@cache
def function_words() -> frozenset[str]:
    """Words that only hold a sentence together."""
    return read_list("mellow.data", "function_words.txt")


@lru_cache(maxsize=4096)  # several filters look at the same few texts
def words(text: str) -> tuple[str, ...]:
    """All words in lower case, in order; `high-frequency` is two, a number with its decimals one."""
    return tuple(word.lower() for word in WORD.findall(text))


@lru_cache(maxsize=4096)
def content_words(text: str) -> tuple[str, ...]:
    """The words that are no stop words, in order."""
    return tuple(word for word in words(text) if word not in stop_words())


@lru_cache(maxsize=4096)
def roots(text: str) -> frozenset[str]:
    """The content words without their endings, so that `talks` and `talking` are equal."""
    return frozenset(_root(word) for word in content_words(text))


def _root(word: str) -> str:
    word = word.removesuffix("'s").removesuffix("’s")
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word.removesuffix(ending)
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]  # running, dripping
    return word[:-1] if len(word) > 3 and word[-1] in "eyi" else word


def sentences(text: str) -> list[str]:
    """A text at its full stops, question marks and exclamation marks."""
    return [part for part in SENTENCE_END.split(text.strip()) if part]


def is_yes_no(record: Record) -> bool:
    """Whether a question is answered with one of the words yes and no."""
    return len(record.answer) <= LONGEST_YES_NO and record.answer.strip(" .!").lower() in YES_NO


@lru_cache(maxsize=4096)
def options_in(question: str) -> tuple[str, ...]:
    """The options that the text of a question lists, without letters."""
    return find_options(question) if LISTED.search(question) else ()  # looking for them is slow


def options_of(record: Record) -> tuple[str, ...]:
    """What a question lets one choose from, without letters: its choices, options in its text, or yes and no."""
    if record.choices:
        return _without_letters(record.choices)
    return options_in(record.question) or (YES_NO if is_yes_no(record) else ())


@lru_cache(maxsize=4096)
def _without_letters(choices: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(without_letter(choice) for choice in choices)


def without_letter(text: str) -> str:
    """`B) Wind blowing` and `(b) Wind blowing` as `Wind blowing`."""
    match = LETTERED.match(text)
    return text[match.end() :].strip() if match else text.strip()


def lettered(text: str) -> str | None:
    """The letter before an option, in lower case, or None."""
    match = LETTERED.match(text)
    return match[1].lower() if match else None


def stem_of(record: Record) -> str:
    """A question up to its options: `What is it? A) a dog B) a cat` as `What is it?`."""
    options = options_of(record)
    return (
        _stem(record.question, options)
        if options and not (is_yes_no(record) and len(options) == 2)
        else record.question
    )


@lru_cache(maxsize=4096)
def _stem(question: str, options: tuple[str, ...]) -> str:
    start = start_of_options(question, options)
    if start is None:
        return question
    near = max(0, start - LONGEST_MARK)
    return (question[:near] + LAST_MARK.sub("", question[near:start])).strip()


def start_of_options(question: str, options: Sequence[str]) -> int | None:
    """Where the text of the first option begins in a question that lists them all in order, or None."""
    at = len(question)
    for option in reversed(options):
        at = question.rfind(option, 0, at)
        if at < 0:
            return None
    return at if options else None
