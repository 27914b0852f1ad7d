"""What can be asked: checks of a question and its options that need no model."""

from __future__ import annotations

from collections.abc import Sequence

from mellow.errors import QuestionError

__all__ = ["MAX_CLIPS", "MAX_QUESTION_CHARACTERS", "check_question"]

MAX_QUESTION_CHARACTERS = 20_000
MAX_CLIPS = 2


def check_question(question: str, choices: Sequence[str] = (), *, clips: int = 1) -> tuple[str, ...]:
    """Check a question and its options before anything is loaded or encoded; returns the options without blanks around.

    Raises QuestionError for an empty or endless question, one that is not valid text, empty or repeated options, or
    too many clips.
    """
    if isinstance(choices, str):
        raise QuestionError("The options are one text; give a list of texts.")
    if clips > MAX_CLIPS:
        raise QuestionError(f"A question is about one or two clips, but {clips} were given.")
    text = question.strip()
    if not text:
        raise QuestionError("The question is empty; ask something, for example 'What sound is this?'.")
    options = tuple(option.strip() for option in choices)
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
    if len({option.lower() for option in options}) < len(options):
        raise QuestionError("Two of the options are the same; give each option once.")
    return options
