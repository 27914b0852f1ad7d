"""Prompts: where clips, question and answer stand, as token ids. One way for asking, training and tests.

The compact layout, which we train:

    <|im_start|>user
    Audio: [clip] Heard: dog, bark.        (or "Audio 1: ... Audio 2: ...", or nothing)
    What animal is it?<|im_end|>
    <|im_start|>assistant
    A dog.<|im_end|>

A clip stands in the ids as one placeholder (`CLIP`); once it is encoded, `expand` puts its audio tokens (`AUDIO` each)
and its tags in its place. The part up to the question does not depend on the question, so its cache is shared.
Vocabularies without chat tokens (GPT-2) use `<|endoftext|>` as the only mark.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from mellow.text.tokenizer import Tokenizer

__all__ = ["AUDIO", "CLIP", "IGNORE", "Assembled", "ClipTokens", "CompactPrompt", "Prompt", "expand"]

CLIP = -2  # placeholder id of a clip that is not encoded yet
AUDIO = -1  # placeholder id of one audio token
IGNORE = -100  # label of positions without a loss (Hugging Face's convention)
T = TypeVar("T")


@dataclass(frozen=True)
class ClipTokens:
    """What stands in a prompt for one clip: how many audio tokens, then the token ids of its tags."""

    audio: int
    tags: Sequence[int] = ()


class Assembled(NamedTuple):
    """A prompt as token ids.

    ids: AUDIO where an audio token stands; labels: the ids that are to be learnt, IGNORE elsewhere; spans: of each
    slot, where its audio tokens stand.
    """

    ids: list[int]
    labels: list[int]
    spans: list[range]


@dataclass(frozen=True)
class Prompt(ABC):
    """What the prompt of every layout does, for one tokenizer."""

    tokenizer: Tokenizer

    @property
    @abstractmethod
    def stop_ids(self) -> tuple[int, ...]:
        """Ids that end an answer."""

    @abstractmethod
    def slots(self, clips: Sequence[T]) -> list[T]:
        """The clips in the order of the prefix's placeholders."""

    @abstractmethod
    def prefix(self, clips: int) -> list[int]:
        """Everything in front of the question, with one CLIP placeholder per slot."""

    @abstractmethod
    def write(self, question: str, options: Sequence[str] = ()) -> str:
        """A question and its options as one text."""

    @abstractmethod
    def question(self, text: str) -> list[int]:
        """The question and the opening of the answer."""

    @abstractmethod
    def answer(self, text: str) -> list[int]:
        """The answer and its end mark, as trained."""

    @abstractmethod
    def options(self, texts: Sequence[str]) -> list[list[int]]:
        """Each option as the answer that would choose it, for its likelihood."""

    def assemble(
        self, clips: Sequence[ClipTokens], question: str | None = None, answer: str | None = None
    ) -> Assembled:
        """The whole prompt of a question about some clips.

        question: as `write` gives it; None leaves the prefix alone. answer: with it, its tokens are labelled.
        """
        ids = expand(self.prefix(len(clips)), self.slots(clips))
        if question is not None:
            ids += self.question(question)
        learnt = self.answer(answer) if answer is not None else []
        labels = [*[IGNORE] * len(ids), *learnt]
        return Assembled([*ids, *learnt], labels, _spans(ids, self.slots(clips)))


class CompactPrompt(Prompt):
    """The compact layout: the clips there are, none padded or repeated."""

    @property
    def stop_ids(self) -> tuple[int, ...]:
        named = (self.tokenizer.special(name) for name in ("<|im_end|>", "<|endoftext|>"))
        return tuple(token for token in named if token is not None)

    def slots(self, clips: Sequence[T]) -> list[T]:
        return list(clips)

    def prefix(self, clips: int) -> list[int]:
        ids = self._open("user")
        for number in range(1, clips + 1):
            label = "Audio:" if clips == 1 else f"Audio {number}:"
            ids += [*self.tokenizer.encode(label), CLIP, *self.tokenizer.encode("\n")]
        return ids

    def write(self, question: str, options: Sequence[str] = ()) -> str:
        text = question.strip()
        return f"{text}\nOptions: {'; '.join(options)}" if options else text

    def question(self, text: str) -> list[int]:
        return [*self.tokenizer.encode(text), *self._close(), *self._open("assistant")]

    def answer(self, text: str) -> list[int]:
        return [*self.tokenizer.encode(text), self.stop_ids[0]]

    def options(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.answer(text) for text in texts]

    def _open(self, role: str) -> list[int]:
        start = self.tokenizer.special("<|im_start|>")
        if start is not None:
            return [start, *self.tokenizer.encode(f"{role}\n")]
        return self.tokenizer.encode("Question:\n" if role == "user" else "Answer:\n")

    def _close(self) -> list[int]:
        end = self.tokenizer.special("<|im_end|>")
        return [*([end] if end is not None else []), *self.tokenizer.encode("\n")]


def expand(ids: Sequence[int], clips: Sequence[ClipTokens]) -> list[int]:
    """Put each clip's audio tokens and tags in place of its placeholder, in order."""
    expanded: list[int] = []
    waiting = iter(clips)
    for token in ids:
        if token == CLIP:
            clip = next(waiting)
            expanded += [AUDIO] * clip.audio + list(clip.tags)
        else:
            expanded.append(token)
    return expanded


def _spans(ids: Sequence[int], clips: Sequence[ClipTokens]) -> list[range]:
    """Where the audio tokens of each clip stand in expanded ids."""
    places = [place for place, token in enumerate(ids) if token == AUDIO]
    spans, start = [], 0
    for clip in clips:
        mine = places[start : start + clip.audio]
        spans.append(range(mine[0], mine[-1] + 1) if mine else range(0))
        start += clip.audio
    return spans
