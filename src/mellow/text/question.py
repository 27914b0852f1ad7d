"""Checks of a question and its options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import islice

from mellow.checks import check_kind, kind_of
from mellow.errors import QuestionError

__all__ = ["MAX_CLIPS", "MAX_QUESTION_CHARACTERS", "as_options", "check_question", "first_equals"]

MAX_QUESTION_CHARACTERS = 20_000
MAX_CLIPS = 2


def as_options(choices: object) -> tuple[str, ...]:
    """The options without surrounding spaces; None means no options.

    choices: any iterable of strings that has an order: a list, a tuple, a generator.
    Raises QuestionError for anything else.
    """
    if choices is None:
        return ()
    if isinstance(choices, str):
        raise QuestionError("The options are a single string; give a list of strings.")
    if isinstance(choices, bytes | Mapping | Set) or not isinstance(choices, Iterable):
        raise QuestionError(f"The options must be a list of strings, not {kind_of(choices)}.")
    try:
        found = list(islice(choices, MAX_QUESTION_CHARACTERS + 1))  # a generator may have no end
    except TypeError:  # such as an array without dimensions
        raise QuestionError(f"The options must be a list of strings, not {kind_of(choices)}.") from None
    for number, option in enumerate(found, 1):
        check_kind(option, str, what=f"Option {number}", wanted="a string", error=QuestionError)
    return tuple(str(option).strip() for option in found)


def check_question(question: object, choices: object = (), *, clips: int = 1) -> tuple[str, ...]:
    """Check a question and its options before anything is loaded or encoded; returns `as_options(choices)`.

    Raises QuestionError for a question that is no text, empty, endless or not valid Unicode, a single option or only
    equal ones, an empty option, or too many clips.
    """
    options = as_options(choices)
    check_kind(question, str, what="The question", wanted="a string", error=QuestionError)
    if clips > MAX_CLIPS:
        raise QuestionError(f"A question is about one or two clips, but {clips} were given.")
    text = str(question).strip()
    if not text:
        raise QuestionError("The question is empty; ask something, for example 'What sound is this?'.")
    characters = len(text) + sum(map(len, options))
    if characters > MAX_QUESTION_CHARACTERS:
        raise QuestionError(
            f"The question has {characters:,} characters; at most {MAX_QUESTION_CHARACTERS:,} can be asked."
        )
    if unsound := next((part for part in (text, *options) if any("\ud800" <= c <= "\udfff" for c in part)), None):
        raise QuestionError(f"{unsound[:100]!r} is not valid Unicode text; give the question and its options as UTF-8.")
    if len(options) == 1:
        raise QuestionError(f"A choice needs at least two options, but only {options[0][:100]!r} was given.")
    if "" in options:
        raise QuestionError("One of the options is empty; give every option a text.")
    if options and not any(first_equals(options)):
        raise QuestionError(f"All options are {options[0]!r}; give at least two different ones.")
    return options


def first_equals(options: Sequence[str]) -> list[int]:
    """For each option, the place of the first one that equals it but for upper and lower case."""
    places: dict[str, int] = {}
    return [places.setdefault(option.lower(), place) for place, option in enumerate(options)]
