"""The compact prompt: where clips, question and answer stand, as token ids.

    <|im_start|>user
    Audio: [clip] Heard: dog, bark.        (or "Audio 1: ... Audio 2: ...", or nothing)
    What animal is it?<|im_end|>
    <|im_start|>assistant
    A dog.<|im_end|>

A clip stands in the ids as one placeholder (`CLIP`); once it has been heard, `expand` puts its audio rows (`ROW` each)
and the words heard in its place. The part up to the question does not depend on the question, so its cache is shared.
Vocabularies without chat tokens (GPT-2) use `<|endoftext|>` as the only mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mellow.text.tokenizer import Tokenizer

__all__ = ["CLIP", "ROW", "CompactPrompt", "HeardClip", "Prompt", "expand"]

CLIP = -2  # placeholder id of a clip that has not been heard yet
ROW = -1  # placeholder id of one audio row
T = TypeVar("T")


class Prompt(Protocol):
    """What the prompt of every layout does; `CompactPrompt` says what each part is."""

    @property
    def tokenizer(self) -> Tokenizer: ...
    @property
    def stop_ids(self) -> tuple[int, ...]: ...
    def slots(self, clips: Sequence[T]) -> list[T]: ...
    def prefix(self, clips: int) -> list[int]: ...
    def write(self, question: str, options: Sequence[str] = ()) -> str: ...
    def question(self, text: str) -> list[int]: ...
    def answer(self, text: str) -> list[int]: ...
    def options(self, texts: Sequence[str]) -> list[list[int]]: ...


@dataclass(frozen=True)
class HeardClip:
    """What stands in a prompt for one clip: how many audio rows, then these word ids."""

    rows: int
    words: Sequence[int] = ()


@dataclass(frozen=True)
class CompactPrompt:
    """Builds prompts of the compact layout for one tokenizer."""

    tokenizer: Tokenizer

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Ids that end an answer."""
        named = (self.tokenizer.special(name) for name in ("<|im_end|>", "<|endoftext|>"))
        return tuple(token for token in named if token is not None)

    def slots(self, clips: Sequence[T]) -> list[T]:
        """The clips in the order of the prefix's placeholders: here as they are, none is repeated."""
        return list(clips)

    def prefix(self, clips: int) -> list[int]:
        """Everything in front of the question, with one CLIP placeholder per clip."""
        ids = self._open("user")
        for number in range(1, clips + 1):
            label = "Audio:" if clips == 1 else f"Audio {number}:"
            ids += [*self.tokenizer.encode(label), CLIP, *self.tokenizer.encode("\n")]
        return ids

    def write(self, question: str, options: Sequence[str] = ()) -> str:
        """A question and its options as one text."""
        text = question.strip()
        return f"{text}\nOptions: {'; '.join(options)}" if options else text

    def question(self, text: str) -> list[int]:
        """The question and the opening of the answer."""
        return [*self.tokenizer.encode(text), *self._close(), *self._open("assistant")]

    def answer(self, text: str) -> list[int]:
        """The answer and its end mark, as trained."""
        return [*self.tokenizer.encode(text), self.stop_ids[0]]

    def options(self, texts: Sequence[str]) -> list[list[int]]:
        """Each option as the answer that would choose it, for its likelihood."""
        return [self.answer(text) for text in texts]

    def _open(self, role: str) -> list[int]:
        start = self.tokenizer.special("<|im_start|>")
        if start is not None:
            return [start, *self.tokenizer.encode(f"{role}\n")]
        return self.tokenizer.encode("Question:\n" if role == "user" else "Answer:\n")

    def _close(self) -> list[int]:
        end = self.tokenizer.special("<|im_end|>")
        return [*([end] if end is not None else []), *self.tokenizer.encode("\n")]


def expand(ids: Sequence[int], clips: Sequence[HeardClip]) -> list[int]:
    """Put each clip's audio rows and heard words in place of its placeholder, in order."""
    expanded: list[int] = []
    waiting = iter(clips)
    for token in ids:
        if token == CLIP:
            clip = next(waiting)
            expanded += [ROW] * clip.rows + list(clip.words)
        else:
            expanded.append(token)
    return expanded
