"""The prompt of the published Mellow v0, as token ids: 389 positions, of which the question fills 129.

    audio 1 (129 tokens), SEPARATOR, audio 2 (129 tokens), SEPARATOR, question padded with PAD to 129; then the answer

The pads are attended to and take positions, as in the original. There are always two clips: a single one fills both
slots. The interface is that of `CompactPrompt`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from string import ascii_lowercase
from typing import TypeVar

from mellow.errors import QuestionError
from mellow.text.prompt import CLIP, Prompt

__all__ = ["PAD", "QUESTION_TOKENS", "SEPARATOR", "PublishedPrompt"]

log = logging.getLogger(__name__)
SEPARATOR = 0  # <|endoftext|>: between the parts, and the end of an answer
PAD = 17  # "!"
QUESTION_TOKENS = 129
YES_OR_NO = "Answer only using yes or no."
T = TypeVar("T")


class PublishedPrompt(Prompt):
    """The published layout: always two clips, and a question padded to 129 tokens."""

    @property
    def stop_ids(self) -> tuple[int, ...]:
        return (SEPARATOR,)

    def slots(self, clips: Sequence[T]) -> list[T]:
        """The clips of both slots: a single clip twice."""
        return [clips[0], clips[-1]] if clips else []

    def prefix(self, clips: int) -> list[int]:
        """The audio part, which does not depend on the question; without clips only its separators."""
        return [CLIP, SEPARATOR, CLIP, SEPARATOR] if clips else [SEPARATOR, SEPARATOR]

    def write(self, question: str, options: Sequence[str] = ()) -> str:
        """The question as typed; options as trained: lettered `a) .. b) ..`, or a note for a plain yes or no."""
        if not options:
            return question
        text = question.strip()
        if _binary(options):
            return text if text.endswith(YES_OR_NO) else f"{text} {YES_OR_NO}"
        return " ".join([text, *_lettered(options)])

    def question(self, text: str) -> list[int]:
        """The question's ids, padded or cut to 129; a cut is logged, since the model does not see what is left out."""
        ids = self.tokenizer.encode(text)
        if len(ids) > QUESTION_TOKENS:
            log.warning("the question has %d tokens and the model reads the first %d", len(ids), QUESTION_TOKENS)
        return self.pad(ids)

    def pad(self, ids: Sequence[int]) -> list[int]:
        """Token ids of a question, padded or cut to 129."""
        return [*ids, *[PAD] * (QUESTION_TOKENS - len(ids))][:QUESTION_TOKENS]

    def answer(self, text: str) -> list[int]:
        """The answer and its end as trained, ` <|endoftext|>`."""
        return [*self.tokenizer.encode(f"{text} "), SEPARATOR]

    def options(self, texts: Sequence[str]) -> list[list[int]]:
        """Each option as the trained answer that chooses it: `b) <text>`, or plain `yes` and `no`."""
        return [self.answer(text) for text in (map(str.lower, texts) if _binary(texts) else _lettered(texts))]


def _binary(options: Sequence[str]) -> bool:
    return {option.strip().lower() for option in options} == {"yes", "no"}


def _lettered(options: Sequence[str]) -> list[str]:
    if len(options) > len(ascii_lowercase):
        raise QuestionError(f"Mellow v0 letters its options, so give at most 26, not {len(options)}.")
    return [f"{letter}) {option}" for letter, option in zip(ascii_lowercase, options, strict=False)]
